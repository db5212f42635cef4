#include "worker/model/token_decoder.h"

#include "worker/model/byte_level.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

/* ---- lists of strings -------------------------------------------------------------------- */

void string_list_init(struct string_list *list, size_t max_bytes)
{
    *list = (struct string_list){0};
    buffer_init(&list->text, max_bytes);
}

void string_list_fini(struct string_list *list)
{
    buffer_fini(&list->text);
    free(list->ends);
    list->ends = NULL;
}

status_t string_list_end(struct string_list *list, struct error *err)
{
    if (list->n_strings == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
        size_t *grown = realloc(list->ends, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu strings", capacity);
        list->ends = grown;
        list->capacity = capacity;
    }
    list->ends[list->n_strings++] = list->text.n_bytes;
    return ST_OK;
}

size_t string_list_begin(const struct string_list *list, size_t index)
{
    return index ? list->ends[index - 1] : 0;
}

static void empty_list(struct string_list *list)
{
    list->text.n_bytes = 0;
    list->n_strings = 0;
}

/* The i-th string; "" rather than NULL when the list has no bytes at all. */
static const char *string_at(const struct string_list *list, size_t index, size_t *n_bytes)
{
    const size_t begin = string_list_begin(list, index);
    *n_bytes = list->ends[index] - begin;
    return *n_bytes ? (const char *)list->text.bytes + begin : "";
}

/* ---- steps on one string ------------------------------------------------------------------ */

/* Append the bytes that the token spells; a token with a character that spells none is copied. */
static status_t append_spelled(const char *token, size_t n_bytes, struct buffer *out,
                               struct error *err)
{
    const size_t start = out->n_bytes;
    for (size_t at = 0, n_used; at < n_bytes; at += n_used) {
        const int byte = byte_level_byte(utf8_read(token + at, &n_used));
        if (byte < 0) {
            out->n_bytes = start;
            return buffer_append(out, token, n_bytes, err);
        }
        const unsigned char spelled = (unsigned char)byte;
        const status_t status = buffer_append(out, &spelled, 1, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

/* The byte that "<0xHH>" names, -1 for any other token. */
static int fallback_byte(const char *token, size_t n_bytes)
{
    if (n_bytes != 6 || memcmp(token, "<0x", 3) != 0 || token[5] != '>') return -1;
    const int high = hex_digit(token[3]);
    const int low = hex_digit(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static status_t append_unmarked(const struct token_decoder_step *step, bool is_dropped,
                                const char *token, size_t n_bytes, struct buffer *out,
                                struct error *err)
{
    const size_t n_mark = strlen(step->character);
    for (size_t at = 0, n_used; at < n_bytes; at += n_used) {
        status_t status = ST_OK;
        (void)utf8_read(token + at, &n_used);
        if (n_used != n_mark || memcmp(token + at, step->character, n_mark) != 0)
            status = buffer_append(out, token + at, n_used, err);
        else if (!is_dropped)
            status = buffer_append(out, " ", 1, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static status_t append_stripped(const struct token_decoder_step *step, const char *token,
                                size_t n_bytes, struct buffer *out, struct error *err)
{
    const size_t n = strlen(step->character);
    for (size_t i = 0; i < step->n_start && n_bytes >= n; i++) {
        if (memcmp(token, step->character, n) != 0) break;
        token += n;
        n_bytes -= n;
    }
    for (size_t i = 0; i < step->n_stop && n_bytes >= n; i++) {
        if (memcmp(token + n_bytes - n, step->character, n) != 0) break;
        n_bytes -= n;
    }
    return buffer_append(out, token, n_bytes, err);
}

/* ---- steps on the list --------------------------------------------------------------------- */

/* A run of byte tokens is one string if it is UTF-8, else as many replacement characters. */
static status_t end_byte_run(struct string_list *out, size_t run_begin, struct error *err)
{
    const size_t n_run = out->text.n_bytes - run_begin;
    if (n_run == 0) return ST_OK;
    if (utf8_valid_prefix((const char *)out->text.bytes + run_begin, n_run) == n_run)
        return string_list_end(out, err);
    out->text.n_bytes = run_begin;
    for (size_t i = 0; i < n_run; i++) {
        status_t status = buffer_append(&out->text, "\xef\xbf\xbd", 3, err);
        if (status == ST_OK) status = string_list_end(out, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static status_t join_fallback_bytes(const struct string_list *in, struct string_list *out,
                                    struct error *err)
{
    size_t run_begin = 0;
    for (size_t i = 0; i < in->n_strings; i++) {
        size_t n_bytes;
        const char *token = string_at(in, i, &n_bytes);
        const int byte = fallback_byte(token, n_bytes);
        status_t status = ST_OK;
        if (byte >= 0) {
            const unsigned char value = (unsigned char)byte;
            status = buffer_append(&out->text, &value, 1, err);
        } else {
            status = end_byte_run(out, run_begin, err);
            if (status == ST_OK) status = buffer_append(&out->text, token, n_bytes, err);
            if (status == ST_OK) status = string_list_end(out, err);
            run_begin = out->text.n_bytes;
        }
        if (status != ST_OK) return status;
    }
    return end_byte_run(out, run_begin, err);
}

static status_t join_spelled(const struct string_list *in, struct string_list *out,
                             struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, out->text.max_bytes);
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < in->n_strings; i++) {
        size_t n_bytes;
        const char *token = string_at(in, i, &n_bytes);
        status = append_spelled(token, n_bytes, &bytes, err);
    }
    if (status == ST_OK)
        status = utf8_repair((const char *)bytes.bytes, bytes.n_bytes, &out->text, err);
    buffer_fini(&bytes);
    return status == ST_OK ? string_list_end(out, err) : status;
}

static status_t run_on_each(const struct token_decoder_step *step, struct regex_cursor *cursor,
                            const struct string_list *in, struct string_list *out,
                            struct error *err)
{
    for (size_t i = 0; i < in->n_strings; i++) {
        size_t n_bytes;
        status_t status;
        const char *token = string_at(in, i, &n_bytes);
        if (step->kind == DECODER_REPLACE)
            status = text_pattern_replace(&step->pattern, cursor, token, n_bytes, step->content,
                                          &out->text, err);
        else if (step->kind == DECODER_STRIP)
            status = append_stripped(step, token, n_bytes, &out->text, err);
        else
            status =
                append_unmarked(step, step->drops_first && i == 0, token, n_bytes, &out->text, err);
        if (status == ST_OK) status = string_list_end(out, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static status_t run_step(const struct token_decoder_step *step, struct regex_cursor *cursor,
                         struct string_list *in, struct string_list *out, struct error *err)
{
    switch (step->kind) {
    case DECODER_BYTE_LEVEL: return join_spelled(in, out, err);
    case DECODER_BYTE_FALLBACK: return join_fallback_bytes(in, out, err);
    case DECODER_REPLACE:
    case DECODER_STRIP:
    case DECODER_METASPACE: return run_on_each(step, cursor, in, out, err);
    case DECODER_FUSE: break;
    }
    const status_t status = buffer_append(&out->text, in->text.bytes, in->text.n_bytes, err);
    return status == ST_OK ? string_list_end(out, err) : status;
}

static status_t append_joined(const struct string_list *list, const char *separator,
                              struct buffer *out, struct error *err)
{
    for (size_t i = 0; i < list->n_strings; i++) {
        size_t n_bytes;
        const char *text = string_at(list, i, &n_bytes);
        status_t status = i ? buffer_append_text(out, separator, err) : ST_OK;
        if (status == ST_OK) status = buffer_append(out, text, n_bytes, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

status_t token_decoder_run(const struct token_decoder *decoder, struct regex_cursor *cursor,
                           struct string_list *list, struct string_list *spare, struct buffer *out,
                           struct error *err)
{
    if (decoder->n_steps == 0) return append_joined(list, " ", out, err);
    for (size_t i = 0; i < decoder->n_steps; i++) {
        empty_list(spare);
        const status_t status = run_step(&decoder->steps[i], cursor, list, spare, err);
        if (status != ST_OK) return status;
        const struct string_list done = *spare;
        *spare = *list;
        *list = done;
    }
    return append_joined(list, "", out, err);
}

static status_t show_step(const struct token_decoder_step *step, struct regex_cursor *cursor,
                          const char *token, size_t n_bytes, struct buffer *out, struct error *err)
{
    if (step->kind == DECODER_BYTE_LEVEL) return append_spelled(token, n_bytes, out, err);
    if (step->kind == DECODER_REPLACE)
        return text_pattern_replace(&step->pattern, cursor, token, n_bytes, step->content, out,
                                    err);
    if (step->kind == DECODER_METASPACE)
        return append_unmarked(step, false, token, n_bytes, out, err);
    const int byte = step->kind == DECODER_BYTE_FALLBACK ? fallback_byte(token, n_bytes) : -1;
    const unsigned char value = (unsigned char)byte;
    if (byte >= 0) return buffer_append(out, &value, 1, err);
    return buffer_append(out, token, n_bytes, err);
}

status_t token_decoder_show(const struct token_decoder *decoder, struct regex_cursor *cursor,
                            const char *token, size_t n_bytes, struct buffer *out,
                            struct error *err)
{
    struct buffer text, next;
    bool is_bytes = false; /* no longer characters: the steps behind must not read it */
    buffer_init(&text, out->max_bytes);
    buffer_init(&next, out->max_bytes);
    status_t status = buffer_append(&text, token, n_bytes, err);
    for (size_t i = 0; status == ST_OK && i < decoder->n_steps && !is_bytes; i++) {
        const struct token_decoder_step *step = &decoder->steps[i];
        const char *from = text.n_bytes ? (const char *)text.bytes : "";
        next.n_bytes = 0;
        status = show_step(step, cursor, from, text.n_bytes, &next, err);
        is_bytes = step->kind == DECODER_BYTE_LEVEL ||
                   (step->kind == DECODER_BYTE_FALLBACK && fallback_byte(from, text.n_bytes) >= 0);
        const struct buffer done = next;
        next = text;
        text = done;
    }
    if (status == ST_OK) status = buffer_append(out, text.bytes, text.n_bytes, err);
    buffer_fini(&text);
    buffer_fini(&next);
    return status;
}
