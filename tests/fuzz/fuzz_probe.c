/* Any bytes as a unit of probes, as one answer or as a unit's answers: refused, or what comes back
 * from its own encoding. */
#include "common/probe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_unit(const struct probe_unit *unit)
{
    struct buffer bytes;
    struct probe_unit again;
    buffer_init(&bytes, PROBE_MAX_UNIT_BYTES);
    if (probe_unit_encode(unit, &bytes, NULL) != ST_OK) abort();
    if (probe_unit_decode(bytes.bytes, bytes.n_bytes, &again, NULL) != ST_OK) abort();
    if (again.n_probes != unit->n_probes) abort();
    for (size_t i = 0; i < unit->n_probes; i++)
        if (again.probes[i].slot != unit->probes[i].slot ||
            again.probes[i].target != unit->probes[i].target ||
            again.probes[i].text.n_bytes != unit->probes[i].text.n_bytes)
            abort();
    buffer_fini(&bytes);
}

static void check_answer(const struct probe_answer *answer)
{
    struct buffer bytes;
    struct probe_answer again;
    buffer_init(&bytes, PROBE_MAX_RESULT_BYTES);
    if (!(probe_answer_max(answer) >= 0)) abort();
    if (probe_answer_encode(answer, &bytes, NULL) != ST_OK) abort();
    if (probe_answer_decode(bytes.bytes, bytes.n_bytes, &again, NULL) != ST_OK) abort();
    if (again.n_tokens != answer->n_tokens || strcmp(again.error, answer->error) != 0 ||
        memcmp(again.tokens, answer->tokens, 4 * again.n_tokens) != 0 ||
        memcmp(again.activations, answer->activations, 4 * again.n_tokens) != 0)
        abort();
    probe_answer_fini(&again);
    buffer_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct probe_unit unit;
    struct probe_answer answers[3];
    if (probe_unit_decode(data, size, &unit, NULL) == ST_OK) check_unit(&unit);
    if (probe_answer_decode(data, size, &answers[0], NULL) == ST_OK) {
        check_answer(&answers[0]);
        probe_answer_fini(&answers[0]);
    }
    for (size_t n = 0; n <= 3; n++)
        if (probe_result_decode(data, size, answers, n, NULL) == ST_OK)
            for (size_t i = 0; i < n; i++) {
                check_answer(&answers[i]);
                probe_answer_fini(&answers[i]);
            }
    return 0;
}
