/* Any bytes as a journal record: refused, or fields that lie inside it. The checksum is made
 * right first, else nothing would ever get past it. Built with -fsanitize=fuzzer. */
#include "coordinator/gateway/journal_record.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_u32(char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) out[i] = (char)(value >> (8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct journal_record record;
    if (size < 8) return 0;
    char *bytes = malloc(size);
    if (!bytes) return 0;
    memcpy(bytes, data, size);
    if (data[0] & 1) { /* half of the inputs: a whole record with this payload */
        put_u32(bytes, (uint32_t)(size - 8));
        put_u32(bytes + 4, (uint32_t)crc32(0, data + 8, (uInt)(size - 8)));
    }
    const size_t n = journal_record_decode(bytes, size, &record);
    if (n > size) abort();
    for (size_t i = 0; n && i < record.n_fields; i++) {
        if (record.fields[i] < bytes || record.fields[i] + record.n_bytes[i] >= bytes + n) abort();
        if (record.fields[i][record.n_bytes[i]] != '\0') abort();
    }
    free(bytes);
    return 0;
}
