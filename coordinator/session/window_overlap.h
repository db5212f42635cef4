/* Near-duplicates of explain windows: text that a prompt has shown must not come back, a word
 * changed, in a test. Two windows are near when the Jaccard index of their sets of token 8-grams
 * is at least 0.8 (reference: statistics.md 1). A window of fewer than eight tokens is one gram.
 * Grams are compared by 64-bit hash. An index belongs to one thread. */
#ifndef COORDINATOR_SESSION_WINDOW_OVERLAP_H
#define COORDINATOR_SESSION_WINDOW_OVERLAP_H

#include "coordinator/session/window.h"

enum { WINDOW_GRAM_TOKENS = 8 };
#define WINDOW_NEAR_DUPLICATE_JACCARD 0.8

struct window_overlap; /* opaque: the grams of a set of windows */

/* Remember the grams of windows[n_windows] (nothing is borrowed afterwards). On ST_OK the caller
 * owns *out. Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t window_overlap_create(struct window_overlap **out, const struct window *windows,
                                          size_t n_windows, struct error *err);
void window_overlap_destroy(struct window_overlap **overlap); /* NULL-safe */

/* *jaccard = the largest index of `window` with any remembered one; 0 without any. Errors:
 * ST_NO_MEMORY. */
MUST_CHECK status_t window_overlap_largest(struct window_overlap *overlap,
                                           const struct window *window, double *jaccard,
                                           struct error *err);

#endif
