/* Any bytes as a capture unit: refused, or a unit that encodes to the same bytes. */
#include "common/capture_unit_bytes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct capture_unit_copy copy;
    struct buffer again;
    struct error err = {.status = ST_OK};
    if (capture_unit_decode(data, size, &copy, &err) != ST_OK) return 0;
    buffer_init(&again, 1 << 28);
    if (capture_unit_encode(&copy.unit, &again, &err) != ST_OK) abort();
    if (again.n_bytes != size || memcmp(again.bytes, data, size) != 0) abort();
    buffer_fini(&again);
    capture_unit_copy_fini(&copy);
    return 0;
}
