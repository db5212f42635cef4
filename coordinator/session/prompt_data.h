/* Text of corpora and language models inside a prompt: data, never instruction or markup.
 *
 *   one line      line breaks, tabs and other control characters become visible symbols, so data
 *                 cannot start a line that looks like ours ("Text 7: ...")
 *   no markup     "<<", ">>" in data become U+2039 / U+203A pairs, also where data meets one of
 *                 our own highlight marks, so every << and >> in a prompt is ours
 *   no control    sequences that chat templates read as control tokens ("<|...|>", "</s>",
 *                 "<start_of_turn>", ...) lose their angle bracket the same way
 *   no hiding     zero-width and bidirectional controls are written as their code points
 *
 * Any thread. */
#ifndef COORDINATOR_SESSION_PROMPT_DATA_H
#define COORDINATOR_SESSION_PROMPT_DATA_H

#include "common/buffer.h"
#include "coordinator/session/window_text.h"

#include <stdbool.h>
#include <stddef.h>

/* A run of bytes [begin, end) to be put between << and >>. */
struct prompt_mark {
    size_t begin;
    size_t end;
};

/* Append text[n_bytes] with `marks` (ascending, apart from each other, on character
 * boundaries). Bytes that are not UTF-8 become U+FFFD. */
MUST_CHECK status_t prompt_data_append(struct buffer *out, const char *text, size_t n_bytes,
                                       const struct prompt_mark *marks, size_t n_marks,
                                       struct error *err);

/* Append rendered text with the marked tokens highlighted; neighbouring marked tokens share one
 * highlight. marks is [text->n_tokens] or NULL. */
MUST_CHECK status_t prompt_data_append_text(struct buffer *out, const struct window_text *text,
                                            const bool *marks, struct error *err);
/* Append every character that token `index` of a rendered text touches. */
MUST_CHECK status_t prompt_data_append_token(struct buffer *out, const struct window_text *text,
                                             size_t index, struct error *err);
/* Render a window and append it, as prompt_data_append_text() does. */
MUST_CHECK status_t prompt_data_append_window(struct buffer *out, const struct window *window,
                                              const struct token_texts *texts, const bool *marks,
                                              struct error *err);

#endif
