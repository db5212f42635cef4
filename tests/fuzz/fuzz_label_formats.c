/* Any bytes as a file of labels of another tool: refused with words, or lines of JSON objects, each
 * with a feature, a target of the sweep and a label. The first byte says which tool, how many
 * targets, and whether the file lies in a directory. */
#include "coordinator/sweep/label_formats.h"

#include "common/file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    enum sweep_labels_format format;
    const char *name;
} KINDS[] = {{SWEEP_LABELS_NEURONPEDIA, "batch-0.jsonl"},
             {SWEEP_LABELS_NEURONPEDIA, "batch-0.jsonl.gz"},
             {SWEEP_LABELS_DELPHI, "blocks.3.hook_resid_pre_latent7.txt"},
             {SWEEP_LABELS_AUTO, "batch-0.jsonl"}};
enum { N_KINDS = sizeof KINDS / sizeof KINDS[0] };

static char own_directory[64];

static void remove_directory(void)
{
    (void)rmdir(own_directory);
}

/* A directory of this process, made once. */
static const char *directory(void)
{
    if (own_directory[0]) return own_directory;
    (void)snprintf(own_directory, sizeof own_directory, "/tmp/interp-fuzz-formats-XXXXXX");
    if (!mkdtemp(own_directory) || atexit(remove_directory) != 0) abort();
    return own_directory;
}

/* Without the sync of file_write_atomic(), which a fuzzer would wait for all the time. */
static void write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
}

static void check_line(const char *line, size_t n_bytes, size_t n_targets)
{
    json_t *json = json_loadb(line, n_bytes, 0, NULL);
    const json_t *feature = json_object_get(json, "feature");
    const json_t *target = json_object_get(json, "target");
    if (!json_is_integer(feature) || json_integer_value(feature) < 0) abort();
    if (!json_is_integer(target) || json_integer_value(target) < 0 ||
        (size_t)json_integer_value(target) >= n_targets)
        abort();
    if (!json_is_string(json_object_get(json, "label"))) abort();
    json_decref(json);
}

static void check_lines(const struct buffer *out, size_t n_targets)
{
    if (out->n_bytes == 0) return; /* and then there are no bytes either */
    const char *at = (const char *)out->bytes, *end = at + out->n_bytes;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) abort();
        check_line(at, (size_t)(stop - at), n_targets);
        at = stop + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char hooks[2][32] = {"blocks.3.hook_resid_pre", "blocks.6.hook_resid_pre"};
    struct sweep_target targets[2] = {{.hook = hooks[0]}, {.hook = hooks[1]}};
    if (size == 0) return 0;
    const size_t kind = data[0] % N_KINDS, n_targets = 1 + (data[0] >> 2) % 2;
    char *file = file_join(directory(), KINDS[kind].name);
    char *whole = file_join(directory(), "");
    struct buffer out;
    struct error err = {.status = ST_OK};
    if (!file || !whole) abort();
    write_file(file, data + 1, size - 1);
    const struct sweep_spec spec = {.labels = data[0] & 8 ? whole : file,
                                    .labels_format = KINDS[kind].format,
                                    .targets = targets,
                                    .n_targets = n_targets};
    buffer_init(&out, 1 << 24);
    const status_t status = label_formats_read(&spec, &out, &err);
    if (status != ST_OK && !err.text[0]) abort();
    if (status == ST_OK && KINDS[kind].format != SWEEP_LABELS_AUTO) check_lines(&out, n_targets);
    buffer_fini(&out);
    (void)unlink(file);
    free(file);
    free(whole);
    return 0;
}
