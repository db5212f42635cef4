#include "coordinator/session/prompt_data.h"

#include "coordinator/session/utf8.h"

#include <stdlib.h>
#include <string.h>

#define MARK_OPEN "<<"
#define MARK_CLOSE ">>"
#define HARMLESS_OPEN "\xE2\x80\xB9"  /* U+2039 */
#define HARMLESS_CLOSE "\xE2\x80\xBA" /* U+203A */

/* What chat templates take for control tokens, besides "<|" and "|>". */
static const char *const CONTROL_TOKENS[] = {
    "<s>",    "</s>",        "<bos>",        "<eos>",           "<pad>",
    "<unk>",  "<think>",     "</think>",     "<start_of_turn>", "<end_of_turn>",
    "<mask>", "<tool_call>", "</tool_call>", "<\xEF\xBD\x9C" /* full-width bar */};

static bool starts_with(const char *text, size_t n_bytes, const char *prefix)
{
    const size_t n_prefix = strlen(prefix);
    return n_bytes >= n_prefix && memcmp(text, prefix, n_prefix) == 0;
}

/* Must the angle bracket at `at` be replaced? Marks beside it count as brackets. */
static bool is_harmful(const char *text, size_t n_bytes, size_t at, bool touches_mark)
{
    const char bracket = text[at];
    if (touches_mark) return true;
    if (at + 1 < n_bytes && text[at + 1] == bracket) return true;
    if (at > 0 && text[at - 1] == bracket) return true;
    if (bracket == '>') return at > 0 && text[at - 1] == '|';
    if (at + 1 < n_bytes && text[at + 1] == '|') return true;
    for (size_t i = 0; i < sizeof CONTROL_TOKENS / sizeof CONTROL_TOKENS[0]; i++)
        if (starts_with(text + at, n_bytes - at, CONTROL_TOKENS[i])) return true;
    return false;
}

static bool is_hidden(uint32_t c)
{
    return (c >= 0x80 && c <= 0x9F) || c == 0xAD || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE007F);
}

static status_t append_control(struct buffer *out, uint32_t c, struct error *err)
{
    char symbol[4];
    if (c == '\n') return buffer_append_text(out, "\xE2\x86\xB5", err); /* U+21B5 */
    if (c == '\t') return buffer_append_text(out, "\xE2\x87\xA5", err); /* U+21E5 */
    const size_t n = utf8_encode(c == 0x7F ? 0x2421 : 0x2400 + c, symbol);
    return buffer_append(out, symbol, n, err);
}

/* One character; `touches_mark`: a << or >> of ours stands right beside it. */
static status_t append_character(struct buffer *out, const char *text, size_t n_bytes, size_t at,
                                 bool touches_mark, size_t *n_read, struct error *err)
{
    uint32_t c = 0;
    *n_read = utf8_decode(text + at, n_bytes - at, &c);
    if (*n_read == 0) {
        *n_read = 1;
        return buffer_append_text(out, UTF8_REPLACEMENT, err);
    }
    if (c < 0x20 || c == 0x7F) return append_control(out, c, err);
    if (is_hidden(c)) return buffer_printf(out, err, "\xE2\x9F\xA8U+%04X\xE2\x9F\xA9", (unsigned)c);
    if (c == '<' && is_harmful(text, n_bytes, at, touches_mark))
        return buffer_append_text(out, HARMLESS_OPEN, err);
    if (c == '>' && is_harmful(text, n_bytes, at, touches_mark))
        return buffer_append_text(out, HARMLESS_CLOSE, err);
    return buffer_append(out, text + at, *n_read, err);
}

status_t prompt_data_append(struct buffer *out, const char *text, size_t n_bytes,
                            const struct prompt_mark *marks, size_t n_marks, struct error *err)
{
    status_t status = ST_OK;
    size_t mark = 0;
    bool is_open = false, after_mark = false;
    for (size_t at = 0; at < n_bytes && status == ST_OK;) {
        if (!is_open && mark < n_marks && marks[mark].begin == at) {
            status = buffer_append_text(out, MARK_OPEN, err);
            is_open = after_mark = true;
        }
        const size_t edge = mark >= n_marks ? n_bytes + 1
                            : is_open       ? marks[mark].end
                                            : marks[mark].begin;
        size_t n_read = 1;
        if (status == ST_OK)
            status = append_character(out, text, n_bytes, at, after_mark || at + 1 == edge, &n_read,
                                      err);
        at += n_read;
        after_mark = false;
        if (status == ST_OK && is_open && at >= marks[mark].end) {
            status = buffer_append_text(out, MARK_CLOSE, err);
            is_open = false;
            after_mark = true;
            mark++;
        }
    }
    if (status == ST_OK && is_open) status = buffer_append_text(out, MARK_CLOSE, err);
    return status;
}

/* Runs of marked tokens as byte ranges; ranges that meet inside a character are joined. */
static size_t merge_marks(const struct window_text *text, const bool *marks,
                          struct prompt_mark *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text->n_tokens; i++) {
        if (!marks[i]) continue;
        size_t begin, end;
        window_text_range(text, i, i, &begin, &end);
        if (begin >= end) continue; /* a token without text */
        if (n > 0 && begin <= out[n - 1].end)
            out[n - 1].end = end > out[n - 1].end ? end : out[n - 1].end;
        else
            out[n++] = (struct prompt_mark){begin, end};
    }
    return n;
}

status_t prompt_data_append_text(struct buffer *out, const struct window_text *text,
                                 const bool *marks, struct error *err)
{
    struct prompt_mark *ranges = calloc(text->n_tokens + 1, sizeof *ranges);
    if (!ranges) return error_set(err, ST_NO_MEMORY, "marks of %zu tokens", text->n_tokens);
    const size_t n_ranges = marks ? merge_marks(text, marks, ranges) : 0;
    const status_t status =
        prompt_data_append(out, text->text, text->n_bytes, ranges, n_ranges, err);
    free(ranges);
    return status;
}

status_t prompt_data_append_token(struct buffer *out, const struct window_text *text, size_t index,
                                  struct error *err)
{
    size_t begin, end;
    window_text_range(text, index, index, &begin, &end);
    return prompt_data_append(out, text->text + begin, end - begin, NULL, 0, err);
}

status_t prompt_data_append_window(struct buffer *out, const struct window *window,
                                   const struct token_texts *texts, const bool *marks,
                                   struct error *err)
{
    struct window_text text;
    status_t status = window_text_init(&text, window, texts, err);
    if (status != ST_OK) return status;
    status = prompt_data_append_text(out, &text, marks, err);
    window_text_fini(&text);
    return status;
}
