/* "0-99,105": lists of numbers as inclusive ranges, on the wire and in files. Any thread. */
#ifndef COMMON_NUMBER_RANGES_H
#define COMMON_NUMBER_RANGES_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* Ascending distinct numbers -> text; the caller frees it; NULL without memory. */
char *number_ranges_write(const uint32_t *numbers, size_t n);

/* Text -> numbers below `limit`, which must ascend. The caller frees *out.
 * Errors: ST_BAD_INPUT, ST_NO_MEMORY. */
MUST_CHECK status_t number_ranges_read(const char *text, uint32_t limit, uint32_t **out, size_t *n,
                                       struct error *err);

#endif
