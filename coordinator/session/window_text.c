#include "coordinator/session/window_text.h"

#include "common/size.h"
#include "coordinator/session/utf8.h"

#include <stdlib.h>
#include <string.h>

static struct token_text text_of(const struct token_texts *texts, uint32_t token)
{
    if (token < texts->n_tokens) return texts->texts[token];
    return (struct token_text){UTF8_REPLACEMENT, sizeof UTF8_REPLACEMENT - 1};
}

/* Join the tokens' bytes; raw_begins[i] is where token i starts, raw_begins[n] the end. */
static void join_tokens(const struct window *window, const struct token_texts *texts, char *raw,
                        size_t *raw_begins)
{
    size_t n_raw = 0;
    for (size_t i = 0; i < window->n_tokens; i++) {
        const struct token_text piece = text_of(texts, window->tokens[i]);
        raw_begins[i] = n_raw;
        if (piece.n_bytes) memcpy(raw + n_raw, piece.bytes, piece.n_bytes);
        n_raw += piece.n_bytes;
    }
    raw_begins[window->n_tokens] = n_raw;
}

/* Repair raw[n_raw] into out->text and turn byte positions of tokens into positions there. */
static void repair_text(const char *raw, size_t n_raw, const size_t *raw_begins,
                        struct window_text *out)
{
    size_t token = 0;
    out->n_bytes = 0;
    for (size_t at = 0; at < n_raw;) {
        const size_t n_valid = utf8_decode(raw + at, n_raw - at, NULL);
        const size_t n_read = n_valid ? n_valid : 1;
        const char *piece = n_valid ? raw + at : UTF8_REPLACEMENT;
        const size_t n_piece = n_valid ? n_valid : sizeof UTF8_REPLACEMENT - 1;
        for (; token < out->n_tokens && raw_begins[token] < at + n_read; token++) {
            const bool is_inside = raw_begins[token] > at;
            out->begins[token] = out->n_bytes;
            out->cuts[token] = out->n_bytes + (is_inside ? n_piece : 0);
        }
        memcpy(out->text + out->n_bytes, piece, n_piece);
        out->n_bytes += n_piece;
        at += n_read;
    }
    for (; token < out->n_tokens; token++) out->begins[token] = out->cuts[token] = out->n_bytes;
    out->cuts[out->n_tokens] = out->n_bytes;
    out->text[out->n_bytes] = '\0';
}

status_t window_text_init(struct window_text *out, const struct window *window,
                          const struct token_texts *texts, struct error *err)
{
    size_t n_raw = 0, n_text, n_index;
    for (size_t i = 0; i < window->n_tokens; i++)
        if (!size_add(n_raw, text_of(texts, window->tokens[i]).n_bytes, &n_raw))
            return error_set(err, ST_TOO_LARGE, "text of %zu tokens", window->n_tokens);
    if (!size_mul(n_raw, 3, &n_text) || !size_add(n_text, 1, &n_text) || /* a byte: 3 at most */
        !size_tensor(window->n_tokens + 1, 3, sizeof(size_t), &n_index))
        return error_set(err, ST_TOO_LARGE, "text of %zu tokens", window->n_tokens);
    struct window_text made = {.n_tokens = window->n_tokens};
    char *raw = malloc(n_raw + 1);
    size_t *index = malloc(n_index);
    made.text = malloc(n_text);
    status_t status = ST_OK;
    if (!raw || !index || !made.text) {
        status = error_set(err, ST_NO_MEMORY, "text of %zu tokens", window->n_tokens);
        free(index);
        free(made.text);
        goto done;
    }
    made.cuts = index; /* one block: cuts, begins, and the raw begins while rendering */
    made.begins = index + (window->n_tokens + 1);
    size_t *raw_begins = index + 2 * (window->n_tokens + 1);
    join_tokens(window, texts, raw, raw_begins);
    repair_text(raw, n_raw, raw_begins, &made);
    *out = made;
done:
    free(raw);
    return status;
}

void window_text_fini(struct window_text *text)
{
    free(text->text);
    free(text->cuts);
    *text = (struct window_text){0};
}

void window_text_range(const struct window_text *text, size_t first, size_t last, size_t *begin,
                       size_t *end)
{
    *begin = text->begins[first];
    *end = text->cuts[last + 1];
}
