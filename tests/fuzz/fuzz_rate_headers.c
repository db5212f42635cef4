/* Any bytes as header lines: no wait is negative or longer than the cap. Built with
 * -fsanitize=fuzzer. */
#include "coordinator/gateway/rate_headers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rate_headers headers;
    rate_headers_init(&headers);
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        const size_t n = end ? (size_t)(end - data) + 1 : size;
        rate_headers_note(&headers, (const char *)data, n, 1792000000000);
        data += n;
        size -= n;
    }
    const int64_t stop_ms = rate_headers_stop_ms(&headers);
    if (stop_ms < -1 || stop_ms > RATE_WAIT_MAX_MS) abort();
    for (size_t i = 0; i < N_RATE_DIMENSIONS; i++)
        if (rate_headers_remaining(&headers, (enum rate_dimension)i) < -1) abort();
    return 0;
}
