/* Any bytes as a sweep file: refused with one line, or a spec whose canonical JSON reads back to
 * the same key. Built with -fsanitize=fuzzer. */
#include "coordinator/intake/sweep_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct sweep_spec *spec)
{
    struct sweep_spec *again = NULL;
    struct error err = {.status = ST_OK};
    char key[HASH_HEX_SIZE], key_again[HASH_HEX_SIZE];
    char *json = sweep_spec_to_json(spec);
    if (!json) return;
    const struct sweep_text text = {json, strlen(json), "again", NULL};
    if (sweep_spec_parse(&again, &text, &err) != ST_OK) {
        (void)fprintf(stderr, "%s\n%s\n", err.text, json);
        abort();
    }
    if (!sweep_spec_key(spec, key) || !sweep_spec_key(again, key_again)) abort();
    if (strcmp(key, key_again) != 0) abort();
    sweep_spec_free(&again);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sweep_spec *spec = NULL;
    struct error err = {.status = ST_OK};
    const struct sweep_text text = {(const char *)data, size, "fuzz", "/base"};
    const status_t status = sweep_spec_parse(&spec, &text, &err);
    if ((status == ST_OK) != (spec != NULL)) abort();
    if (status != ST_OK && (err.text[0] == '\0' || strchr(err.text, '\n'))) abort();
    if (spec) check_round_trip(spec);
    sweep_spec_free(&spec);
    return 0;
}
