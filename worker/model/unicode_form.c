#include "worker/model/unicode_form.h"

#include "common/size.h"
#include "worker/model/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <utf8proc.h>

enum {
    MAX_DECOMPOSED = 32, /* characters that one becomes; Unicode's longest is 18 */
    CODEPOINT_BITS = 21
};

/* The characters while they are worked on. */
struct scalars {
    int32_t *values; /* [n_values], owned */
    uint64_t *keys;  /* [key_capacity], owned: scratch of sort_run() */
    size_t n_values, capacity, key_capacity;
};

static status_t reserve_values(struct scalars *scalars, size_t n_more, struct error *err)
{
    size_t n_bytes;
    size_t capacity = scalars->capacity ? scalars->capacity : 256;
    while (capacity < scalars->n_values + n_more) capacity *= 2;
    if (capacity == scalars->capacity) return ST_OK;
    if (!size_mul(capacity, sizeof *scalars->values, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "unicode form of %zu characters", capacity);
    int32_t *grown = realloc(scalars->values, n_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "unicode form of %zu characters", capacity);
    scalars->values = grown;
    scalars->capacity = capacity;
    return ST_OK;
}

static status_t decompose(const char *text, size_t n_bytes, utf8proc_option_t options,
                          struct scalars *scalars, struct error *err)
{
    for (size_t at = 0, n_used; at < n_bytes; at += n_used) {
        int boundary = 0;
        status_t status = reserve_values(scalars, MAX_DECOMPOSED, err);
        if (status != ST_OK) return status;
        const int32_t value = (int32_t)utf8_read(text + at, &n_used);
        const utf8proc_ssize_t n = utf8proc_decompose_char(
            value, scalars->values + scalars->n_values, MAX_DECOMPOSED, options, &boundary);
        if (n < 0 || n > MAX_DECOMPOSED)
            return error_set(err, ST_INTERNAL, "U+%04X does not decompose", (unsigned)value);
        scalars->n_values += (size_t)n;
    }
    return ST_OK;
}

static int compare_keys(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t combining_class(int32_t value)
{
    return (uint64_t)utf8proc_get_property(value)->combining_class;
}

/* Stable sort of one run of marks: class, then place, in front of the character itself. */
static status_t sort_run(struct scalars *scalars, size_t begin, size_t end, struct error *err)
{
    const size_t n = end - begin;
    if (n > scalars->key_capacity) {
        uint64_t *grown = realloc(scalars->keys, 2 * n * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "a run of %zu marks", n);
        scalars->keys = grown;
        scalars->key_capacity = 2 * n;
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t value = scalars->values[begin + i];
        scalars->keys[i] =
            combining_class(value) << 56 | (uint64_t)i << CODEPOINT_BITS | (uint64_t)value;
    }
    qsort(scalars->keys, n, sizeof *scalars->keys, compare_keys);
    for (size_t i = 0; i < n; i++)
        scalars->values[begin + i] = (int32_t)(scalars->keys[i] & ((1u << CODEPOINT_BITS) - 1));
    return ST_OK;
}

static status_t order_marks(struct scalars *scalars, struct error *err)
{
    for (size_t begin = 0, end; begin < scalars->n_values; begin = end) {
        end = begin + 1;
        if (combining_class(scalars->values[begin]) == 0) continue;
        while (end < scalars->n_values && combining_class(scalars->values[end]) != 0) end++;
        if (end - begin == 1) continue;
        const status_t status = sort_run(scalars, begin, end, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static status_t append_scalars(const struct scalars *scalars, size_t n_values, struct buffer *out,
                               struct error *err)
{
    for (size_t i = 0; i < n_values; i++) {
        char bytes[UTF8_MAX_BYTES];
        const size_t n = utf8_write((uint32_t)scalars->values[i], bytes);
        const status_t status = buffer_append(out, bytes, n, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static size_t ascii_prefix(const char *text, size_t n_bytes)
{
    size_t n = 0;
    while (n < n_bytes && (unsigned char)text[n] < 0x80) n++;
    return n;
}

status_t unicode_form_apply(enum unicode_form form, const char *text, size_t n_bytes,
                            struct buffer *out, struct error *err)
{
    static const int options_of[] = {
        [UNICODE_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [UNICODE_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [UNICODE_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [UNICODE_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    const utf8proc_option_t options = (utf8proc_option_t)options_of[form];
    struct scalars scalars = {0};
    const size_t n_ascii = ascii_prefix(text, n_bytes);
    if (n_ascii == n_bytes) return buffer_append(out, text, n_bytes, err);
    const size_t n_plain = n_ascii ? n_ascii - 1 : 0; /* the last may take a mark */
    status_t status = buffer_append(out, text, n_plain, err);
    if (status == ST_OK)
        status = decompose(text + n_plain, n_bytes - n_plain, options, &scalars, err);
    if (status == ST_OK) status = order_marks(&scalars, err);
    if (status == ST_OK) {
        const utf8proc_ssize_t n =
            utf8proc_normalize_utf32(scalars.values, (utf8proc_ssize_t)scalars.n_values, options);
        status = n < 0 ? error_set(err, ST_INTERNAL, "unicode form: %s", utf8proc_errmsg(n))
                       : append_scalars(&scalars, (size_t)n, out, err);
    }
    free(scalars.values);
    free(scalars.keys);
    return status;
}
