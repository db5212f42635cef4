/* A window as a session sees it: tokens of one document and the feature's values there.
 *
 * Everything from the prompt to the score is computed from arrays of these. A window borrows
 * its tokens and activations; a session keeps them alive. Values are those at which the feature
 * *fires*: whoever makes a window sets values at or below the frozen threshold to 0
 * (window_fill_activations), so that here "fires" is always "> 0". Any thread. */
#ifndef COORDINATOR_SESSION_WINDOW_H
#define COORDINATOR_SESSION_WINDOW_H

#include "common/error.h"
#include "common/evidence_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum window_kind {
    WINDOW_FIRING,
    WINDOW_SILENT_RANDOM,   /* drawn among windows without firing */
    WINDOW_SILENT_HARD,     /* silent, though it holds a token type the feature fires on */
    WINDOW_SILENT_NEIGHBOUR /* silent, though a feature of a near decoder row fires strongly */
};
enum { WINDOW_N_KINDS = 4 };

/* "firing", "silent_random", "silent_hard", "silent_neighbour". */
const char *window_kind_name(enum window_kind kind);

struct window {
    const uint32_t *tokens; /* [n_tokens], borrowed */
    size_t n_tokens;
    const float *activations; /* [n_tokens], borrowed; NULL: silent everywhere */
    uint64_t document_key;    /* hash of the document's id */
    uint32_t document_index;
    uint32_t document_offset; /* of the first token in its document, in tokens */
    enum window_kind kind;
};

/* The bytes of every token of the model's vocabulary (a space is a space; a token may end in
 * the middle of a character). Borrowed. */
struct token_text {
    const char *bytes; /* [n_bytes]; may be NULL if n_bytes is 0 */
    size_t n_bytes;
};
struct token_texts {
    const struct token_text *texts; /* [n_tokens] by token id */
    size_t n_tokens;
};

/* activations[entry->window.n_tokens] = the entry's values above fire_threshold, else 0. */
void window_fill_activations(const struct evidence_entry *entry, float fire_threshold,
                             float *activations);

/* Value at a token; 0 for a silent window. */
static inline float window_activation(const struct window *window, size_t token_index)
{
    return window->activations ? window->activations[token_index] : 0.0f;
}

float window_max(const struct window *window); /* 0 if silent */
bool window_fires(const struct window *window);
size_t window_n_firing(const struct window *window); /* tokens with a value > 0 */

/* Set marks[n_tokens] where the value is at least `fraction` of the window's maximum and > 0;
 * returns how many. This is what a prompt highlights (0.3: reference of Delphi's fuzzing). */
size_t window_mark_strong(const struct window *window, float fraction, bool *marks);

/* Do the two cover a common token of the same document? */
bool window_overlaps(const struct window *a, const struct window *b);

/* Order by document key, offset, kind, length: makes results independent of input order. */
int window_compare(const struct window *a, const struct window *b);

/* Is the kind true (a firing window fires, a silent one does not), are values finite and >= 0,
 * is there a token? ST_BAD_INPUT says what is wrong with window `index`. */
MUST_CHECK status_t window_check(const struct window *windows, size_t n_windows, struct error *err);

#endif
