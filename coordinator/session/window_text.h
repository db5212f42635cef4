/* The text of a window that a person or a language model can read, token by token.
 *
 * Tokens of byte-level vocabularies may end inside a character, so the bytes are joined first;
 * then every byte that is still invalid becomes U+FFFD. A character belongs to the token that
 * holds its first byte (token strings join to the text again); a highlight covers every
 * character that it touches.
 *
 *   tokens      "caf" "\xC3" "\xA9" " x"
 *   text        c a f é _ x            cuts    0 3 5 5 7   (n_tokens + 1)
 *   strings     "caf" "é" "" " x"      begins  0 3 3 5     (third token starts inside é)
 *
 * Any thread; the struct belongs to one. */
#ifndef COORDINATOR_SESSION_WINDOW_TEXT_H
#define COORDINATOR_SESSION_WINDOW_TEXT_H

#include "coordinator/session/window.h"

struct window_text {
    char *text; /* [n_bytes] + NUL, valid UTF-8, owned */
    size_t n_bytes;
    size_t n_tokens;
    size_t *cuts;   /* [n_tokens + 1], owned: token i's string is text[cuts[i], cuts[i + 1]) */
    size_t *begins; /* [n_tokens], owned: start of the first character that token i touches */
};

/* Render; ids outside the vocabulary become U+FFFD. On ST_OK the caller owns *out
 * (window_text_fini). Errors: ST_NO_MEMORY, ST_TOO_LARGE; *out untouched. */
MUST_CHECK status_t window_text_init(struct window_text *out, const struct window *window,
                                     const struct token_texts *texts, struct error *err);
void window_text_fini(struct window_text *text); /* fine twice */

/* The bytes [*begin, *end) that tokens [first, last] touch. first <= last < n_tokens. */
void window_text_range(const struct window_text *text, size_t first, size_t last, size_t *begin,
                       size_t *end);

#endif
