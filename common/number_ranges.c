#include "common/number_ranges.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANGE_MAX_TEXT = 22 };

char *number_ranges_write(const uint32_t *numbers, size_t n)
{
    const size_t room = n * RANGE_MAX_TEXT + 1;
    char *text = malloc(room);
    size_t used = 0;
    if (!text) return NULL;
    text[0] = '\0';
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end + 1 < n && numbers[end + 1] == numbers[end] + 1) end++;
        used +=
            (size_t)snprintf(text + used, room - used, "%s%u", i ? "," : "", (unsigned)numbers[i]);
        if (end > i)
            used += (size_t)snprintf(text + used, room - used, "-%u", (unsigned)numbers[end]);
        i = end + 1;
    }
    return text;
}

static const char *read_number(const char *at, uint32_t limit, uint64_t *out)
{
    if (!isdigit((unsigned char)*at)) return NULL;
    for (*out = 0; isdigit((unsigned char)*at) && *out < limit; at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    return *out < limit ? at : NULL;
}

static const char *read_range(const char *at, uint32_t limit, uint64_t *low, uint64_t *high)
{
    at = read_number(at, limit, low);
    *high = *low;
    return at && *at == '-' ? read_number(at + 1, limit, high) : at;
}

status_t number_ranges_read(const char *text, uint32_t limit, uint32_t **out, size_t *n,
                            struct error *err)
{
    uint32_t *numbers = malloc(((size_t)limit + 1) * sizeof *numbers);
    if (!numbers) return error_set(err, ST_NO_MEMORY, "%u numbers", (unsigned)limit);
    size_t count = 0;
    for (const char *at = text;;) {
        uint64_t low = 0, high = 0;
        at = read_range(at, limit, &low, &high);
        const bool ascends = count == 0 || low > numbers[count - 1];
        if (!at || high < low || !ascends || (*at && *at != ',')) {
            free(numbers);
            return error_set(err, ST_BAD_INPUT, "\"%.60s\" is no ascending list below %u", text,
                             (unsigned)limit);
        }
        for (uint64_t i = low; i <= high; i++) numbers[count++] = (uint32_t)i;
        if (!*at) break;
        at++;
    }
    *out = numbers;
    *n = count;
    return ST_OK;
}
