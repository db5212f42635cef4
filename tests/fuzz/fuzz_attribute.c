/* Any bytes as a range of prompts to attribute or as scores: refused, or what comes back from its
 * own encoding. */
#include "common/attribute.h"

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
    struct attribute_unit unit;
    struct attribute_result result;
    struct buffer again;
    if (attribute_unit_decode(data, size, &unit, NULL) == ST_OK) {
        buffer_init(&again, size + 1);
        if (attribute_unit_encode(&unit, &again, NULL) != ST_OK) abort();
        compare(&again, data, size);
    }
    if (attribute_result_decode(data, size, &result, NULL) == ST_OK) {
        buffer_init(&again, size + 1);
        if (attribute_result_encode(&result, &again, NULL) != ST_OK) abort();
        compare(&again, data, size);
        attribute_result_fini(&result);
    }
    return 0;
}
