/* Any bytes as a description: refused, or something that encodes again. The first byte chooses
 * whether the input is the frame or what is inside its compression. */
#include "common/describe.h"
#include "common/evidence_zstd.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const void *bytes, size_t n_bytes)
{
    struct description description;
    struct buffer again;
    struct error err = {.status = ST_OK};
    if (description_decode(bytes, n_bytes, &description, &err) != ST_OK) return;
    buffer_init(&again, DESCRIBE_MAX_BYTES);
    if (description_encode(&description, &again, &err) != ST_OK) abort();
    buffer_fini(&again);
    description_fini(&description);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer packed;
    struct error err = {.status = ST_OK};
    if (size == 0) return 0;
    if (data[0] & 1) {
        decode(data + 1, size - 1);
        return 0;
    }
    buffer_init(&packed, DESCRIBE_MAX_BYTES);
    if (evidence_compress(data + 1, size - 1, &packed, &err) == ST_OK)
        decode(packed.bytes, packed.n_bytes);
    buffer_fini(&packed);
    return 0;
}
