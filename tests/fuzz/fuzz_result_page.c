/* Any bytes as a page of results: what is split off lies inside it, in order, and can be printed.
 * Built with -fsanitize=fuzzer. */
#include "coordinator/cli/result_page.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size ? size : 1); /* not a byte more than there are */
    struct result_page page;
    struct wire_text record;
    bool has_record = true;
    if (!bytes) abort();
    if (size) memcpy(bytes, data, size);
    const char *at = bytes;
    if (result_page_open(&page, (struct wire_text){bytes, size}, NULL) != ST_OK) has_record = false;
    while (has_record && result_page_next(&page, &record, &has_record, NULL) == ST_OK &&
           has_record) {
        if (record.bytes < at || record.bytes + record.n_bytes > bytes + size) abort();
        if (record.n_bytes < 2 || record.bytes[0] != '{') abort();
        at = record.bytes + record.n_bytes;
    }
    free(bytes);
    return 0;
}
