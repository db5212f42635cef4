#include "coordinator/gateway/rate_headers.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_MAX = 128 };

void rate_headers_init(struct rate_headers *headers)
{
    headers->retry_after_ms = -1;
    for (size_t i = 0; i < N_RATE_DIMENSIONS; i++)
        headers->dimensions[i] = (struct rate_header){-1, -1, -1};
}

/* A decimal number without sign or exponent; *end behind it. */
static bool parse_number(const char *text, double *out, const char **end)
{
    const size_t n = strspn(text, "0123456789.");
    char digits[32], *stop;
    if (n == 0 || n >= sizeof digits) return false;
    memcpy(digits, text, n);
    digits[n] = '\0';
    *out = strtod(digits, &stop);
    *end = text + n;
    return *stop == '\0' && *out <= 1e12;
}

static bool unit_ms(const char **text, double *out)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1},   {"us", 1e-3}, {"ns", 1e-6},  {"h", 3600e3},
                 {"m", 60e3}, {"s", 1e3},   {"d", 86400e3}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const size_t n = strlen(units[i].name);
        if (strncmp(*text, units[i].name, n) != 0) continue;
        *text += n;
        *out = units[i].ms;
        return true;
    }
    return false;
}

bool rate_parse_duration_ms(const char *text, int64_t *out)
{
    double total = 0;
    bool is_bare = true;
    if (!*text) return false;
    while (*text) {
        double number, factor = 1e3;
        if (!parse_number(text, &number, &text)) return false;
        if (*text) {
            if (!unit_ms(&text, &factor)) return false;
            is_bare = false;
        } else if (!is_bare) {
            return false; /* "6m0" */
        }
        total += number * factor;
        if (total > 1e15) return false;
    }
    *out = (int64_t)(total + 0.999);
    return true;
}

static int64_t clamp_wait(int64_t ms)
{
    if (ms < 0) return 0;
    return ms > RATE_WAIT_MAX_MS ? RATE_WAIT_MAX_MS : ms;
}

bool rate_parse_retry_after_ms(const char *text, int64_t now_unix_ms, int64_t *out)
{
    int64_t ms;
    const char *end;
    double seconds;
    if (parse_number(text, &seconds, &end) && *end == '\0') {
        *out = clamp_wait((int64_t)(seconds * 1000 + 0.999));
        return true;
    }
    if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") < 3) return false;
    const time_t when = curl_getdate(text, NULL);
    if (when == (time_t)-1) return false;
    if (__builtin_mul_overflow((int64_t)when, (int64_t)1000, &ms)) return false;
    *out = clamp_wait(ms - now_unix_ms);
    return true;
}

/* Days from 1970-01-01 of a Gregorian date (Hinnant 2013, days_from_civil). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    const int64_t era = year / 400, of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Exactly n_digits digits with a value from `least` to `most`, and then `after` (if not 0). */
static bool take_digits(const char **text, size_t n_digits, int64_t least, int64_t most, char after,
                        int64_t *out)
{
    int64_t value = 0;
    for (size_t i = 0; i < n_digits; i++, (*text)++) {
        if (**text < '0' || **text > '9') return false;
        value = 10 * value + (**text - '0');
    }
    if (value < least || value > most || (after && *(*text)++ != after)) return false;
    *out = value;
    return true;
}

static bool parse_zone(const char *text, int64_t *offset_minutes)
{
    int64_t hours, minutes;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
        *offset_minutes = 0;
        return true;
    }
    const int sign = *text == '-' ? -1 : 1;
    if (*text != '+' && *text != '-') return false;
    text++;
    if (!take_digits(&text, 2, 0, 23, ':', &hours) || !take_digits(&text, 2, 0, 59, 0, &minutes))
        return false;
    *offset_minutes = sign * (hours * 60 + minutes);
    return *text == '\0';
}

bool rate_parse_rfc3339_ms(const char *text, int64_t *out)
{
    int64_t year, month, day, hour, minute, offset_minutes;
    double second;
    const char *rest;
    if (!take_digits(&text, 4, 1970, 9999, '-', &year) ||
        !take_digits(&text, 2, 1, 12, '-', &month) || !take_digits(&text, 2, 1, 31, 0, &day))
        return false;
    if (*text != 'T' && *text != 't' && *text != ' ') return false;
    text++;
    if (!take_digits(&text, 2, 0, 23, ':', &hour) || !take_digits(&text, 2, 0, 59, ':', &minute))
        return false;
    if (!parse_number(text, &second, &rest) || second >= 61 || !parse_zone(rest, &offset_minutes))
        return false;
    const int64_t minutes = days_of(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
    *out = minutes * 60000 + (int64_t)(second * 1000);
    return true;
}

/* ---- names ------------------------------------------------------------------------------- */

enum field { FIELD_LIMIT, FIELD_REMAINING, FIELD_RESET };
static const char *const field_names[] = {"limit", "remaining", "reset"};
static const char *const openai_dimensions[] = {"requests", NULL, NULL, "tokens"};
static const char *const anthropic_dimensions[] = {"requests", "input-tokens", "output-tokens",
                                                   "tokens"};

/* "limit-requests" or "limit-requests-minute" behind the prefix. */
static bool match_openai(const char *name, enum rate_dimension *dimension, enum field *field)
{
    for (size_t f = 0; f < 3; f++) {
        const size_t n = strlen(field_names[f]);
        if (strncasecmp(name, field_names[f], n) != 0 || name[n] != '-') continue;
        for (size_t d = 0; d < N_RATE_DIMENSIONS; d++) {
            const char *word = openai_dimensions[d];
            if (!word || strncasecmp(name + n + 1, word, strlen(word)) != 0) continue;
            const char *rest = name + n + 1 + strlen(word);
            if (*rest && strcasecmp(rest, "-minute") != 0) continue;
            *dimension = (enum rate_dimension)d;
            *field = (enum field)f;
            return true;
        }
    }
    return false;
}

/* "input-tokens-remaining" behind the prefix. */
static bool match_anthropic(const char *name, enum rate_dimension *dimension, enum field *field)
{
    for (size_t d = 0; d < N_RATE_DIMENSIONS; d++) {
        const size_t n = strlen(anthropic_dimensions[d]);
        if (strncasecmp(name, anthropic_dimensions[d], n) != 0 || name[n] != '-') continue;
        for (size_t f = 0; f < 3; f++) {
            if (strcasecmp(name + n + 1, field_names[f]) != 0) continue;
            *dimension = (enum rate_dimension)d;
            *field = (enum field)f;
            return true;
        }
    }
    return false;
}

static bool match_name(const char *name, enum rate_dimension *dimension, enum field *field)
{
    static const char openai[] = "x-ratelimit-", anthropic[] = "anthropic-ratelimit-";
    if (strncasecmp(name, openai, sizeof openai - 1) == 0)
        return match_openai(name + sizeof openai - 1, dimension, field);
    if (strncasecmp(name, anthropic, sizeof anthropic - 1) == 0)
        return match_anthropic(name + sizeof anthropic - 1, dimension, field);
    return false;
}

static void note_field(struct rate_header *header, enum field field, const char *value,
                       int64_t now_unix_ms)
{
    double number;
    const char *end;
    int64_t ms;
    if (field == FIELD_RESET) {
        if (rate_parse_duration_ms(value, &ms))
            header->reset_ms = clamp_wait(ms);
        else if (rate_parse_rfc3339_ms(value, &ms))
            header->reset_ms = clamp_wait(ms - now_unix_ms);
        return;
    }
    if (!parse_number(value, &number, &end) || *end) return;
    *(field == FIELD_LIMIT ? &header->limit : &header->remaining) = (int64_t)number;
}

static bool split_line(const char *line, size_t n_bytes, char name[VALUE_MAX],
                       char value[VALUE_MAX])
{
    const char *colon = memchr(line, ':', n_bytes);
    if (!colon || (size_t)(colon - line) >= VALUE_MAX) return false;
    const size_t n_name = (size_t)(colon - line);
    memcpy(name, line, n_name);
    name[n_name] = '\0';
    const char *start = colon + 1, *end = line + n_bytes;
    while (start < end && (*start == ' ' || *start == '\t')) start++;
    while (end > start && (unsigned char)end[-1] <= ' ') end--;
    if ((size_t)(end - start) >= VALUE_MAX || memchr(start, '\0', (size_t)(end - start)))
        return false;
    memcpy(value, start, (size_t)(end - start));
    value[end - start] = '\0';
    return true;
}

void rate_headers_note(struct rate_headers *headers, const char *line, size_t n_bytes,
                       int64_t now_unix_ms)
{
    char name[VALUE_MAX], value[VALUE_MAX];
    enum rate_dimension dimension;
    enum field field;
    int64_t ms;
    if (!split_line(line, n_bytes, name, value)) return;
    if (strcasecmp(name, "retry-after") == 0) {
        /* retry-after-ms, if it came first, is finer */
        if (headers->retry_after_ms < 0 && rate_parse_retry_after_ms(value, now_unix_ms, &ms))
            headers->retry_after_ms = ms;
    } else if (strcasecmp(name, "retry-after-ms") == 0) {
        double number;
        const char *end;
        if (parse_number(value, &number, &end) && *end == '\0')
            headers->retry_after_ms = clamp_wait((int64_t)(number + 0.999));
    } else if (match_name(name, &dimension, &field)) {
        note_field(&headers->dimensions[dimension], field, value, now_unix_ms);
    }
}

int64_t rate_headers_remaining(const struct rate_headers *headers, enum rate_dimension dimension)
{
    const struct rate_header *header = &headers->dimensions[dimension];
    return header->limit > 0 ? header->remaining : -1;
}

int64_t rate_headers_stop_ms(const struct rate_headers *headers)
{
    if (headers->retry_after_ms >= 0) return headers->retry_after_ms;
    int64_t soonest = -1;
    for (size_t i = 0; i < N_RATE_DIMENSIONS; i++) {
        const struct rate_header *header = &headers->dimensions[i];
        if (header->remaining != 0 || header->reset_ms < 0) continue;
        if (soonest < 0 || header->reset_ms < soonest) soonest = header->reset_ms;
    }
    return soonest;
}
