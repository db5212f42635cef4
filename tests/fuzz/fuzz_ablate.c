/* Any bytes as an ablate unit or as outcomes: refused, or what comes back from its own encoding. */
#include "common/ablate.h"

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
    struct ablate_unit unit;
    struct ablate_result result;
    struct buffer again;
    if (ablate_unit_decode(data, size, &unit, NULL) == ST_OK) {
        buffer_init(&again, size + 1);
        if (ablate_unit_encode(&unit, &again, NULL) != ST_OK) abort();
        compare(&again, data, size);
        ablate_unit_fini(&unit);
    }
    if (ablate_result_decode(data, size, &result, NULL) == ST_OK) {
        buffer_init(&again, size + 1);
        if (ablate_result_encode(&result, &again, NULL) != ST_OK) abort();
        compare(&again, data, size);
        ablate_result_fini(&result);
    }
    return 0;
}
