/* Any bytes as a head_scores unit or result: refused, or what comes back from its own encoding. */
#include "common/head_scores.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(struct buffer *again, const uint8_t *data, size_t size)
{
    if (again->n_bytes != size || memcmp(again->bytes, data, size) != 0) abort();
    buffer_fini(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head_scores_unit unit;
    struct head_scores_result result;
    struct head_scores scores;
    struct buffer again;
    if (head_scores_unit_decode(data, size, &unit, NULL) == ST_OK) {
        buffer_init(&again, size + 1);
        if (head_scores_unit_encode(&unit, &again, NULL) != ST_OK) abort();
        compare(&again, data, size);
        head_scores_unit_fini(&unit);
    }
    if (head_scores_result_decode(data, size, &result, NULL) == ST_OK) {
        buffer_init(&again, size + 1);
        if (head_scores_result_encode(&result, &again, NULL) != ST_OK) abort();
        compare(&again, data, size);
        if (head_scores_init(&scores, result.n_layers, result.n_heads, NULL) != ST_OK) abort();
        if (head_scores_add(&scores, &result, NULL) != ST_OK) abort();
        head_scores_fini(&scores);
        head_scores_result_fini(&result);
    }
    return 0;
}
