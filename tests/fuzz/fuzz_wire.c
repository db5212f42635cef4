/* Any bytes as a message header or as a bulk of parts: refused, or something that encodes to a
 * message that decodes to the same. Built with -fsanitize=fuzzer. */
#include "common/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_message(const uint8_t *data, size_t size)
{
    struct wire_message message, again;
    struct buffer first, second;
    struct error err = {.status = ST_OK};
    (void)wire_is_other_version(data, size);
    if (wire_decode(data, size, &message, &err) != ST_OK) return;
    buffer_init(&first, WIRE_MAX_HEADER_BYTES);
    buffer_init(&second, WIRE_MAX_HEADER_BYTES);
    if (wire_encode(&message, &first, &err) != ST_OK) abort();
    if (wire_decode(first.bytes, first.n_bytes, &again, &err) != ST_OK) abort();
    if (wire_encode(&again, &second, &err) != ST_OK) abort();
    if (first.n_bytes != second.n_bytes || memcmp(first.bytes, second.bytes, first.n_bytes) != 0)
        abort();
    buffer_fini(&first);
    buffer_fini(&second);
}

static void try_parts(const uint8_t *data, size_t size)
{
    struct wire_parts parts;
    struct error err = {.status = ST_OK};
    if (wire_parts_decode(data, size, &parts, &err) != ST_OK) return;
    size_t sum = 0;
    for (size_t i = 0; i < parts.n && i < 64; i++) {
        const struct wire_text part = wire_part(&parts, i);
        for (size_t k = 0; k < part.n_bytes; k++) sum += (unsigned char)part.bytes[k];
    }
    if (sum > size * 255) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    if (data[0] & 1)
        try_message(data + 1, size - 1);
    else
        try_parts(data + 1, size - 1);
    return 0;
}
