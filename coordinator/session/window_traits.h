/* The traits that firing windows share and silent tokens do not: what window_clusters.h groups
 * by. A trait is a lexical term (lexical_terms.h) at the strongest token of a window
 *
 *   - that at least 6 % of the firing windows share, and 3 of them
 *   - that holds at no more than 2 % of the silent tokens
 *   - that so many windows share by accident with probability 1e-4 at most (Poisson, from its
 *     share among silent tokens)
 *
 * Spellings say one thing in many ways; of terms that the same windows have one is kept, so that
 * a word does not outweigh a context. Pure; any thread. */
#ifndef COORDINATOR_SESSION_WINDOW_TRAITS_H
#define COORDINATOR_SESSION_WINDOW_TRAITS_H

#include "coordinator/session/lexical_pattern.h"

#include <stdbool.h>

enum {
    WINDOW_TRAITS_MAX = 256, /* the most shared ones */
    WINDOW_TRAITS_WORDS = WINDOW_TRAITS_MAX / 64,
    WINDOW_TRAITS_MAX_WINDOWS = 128, /* firing ones */
    WINDOW_TRAITS_BACKGROUND = 1024, /* silent tokens looked at: spread over all */
    WINDOW_TRAITS_MIN_SUPPORT = 3    /* windows that share a trait */
};

struct window_trait {
    struct lexical_term term;
    uint64_t key;      /* lexical_term_key() */
    uint32_t n_firing; /* windows whose strongest token it holds at */
    double background; /* share of silent tokens at which it holds */
};

struct window_traits {
    struct window_trait *traits; /* [n_traits], owned; the simplest first */
    size_t n_traits;
    uint64_t (*masks)[WINDOW_TRAITS_WORDS]; /* [n_firing], owned: bit t: has trait t */
    size_t n_firing;
};

/* firing [n_firing] windows that fire; all [n_all] windows, whose silent tokens are the
 * background. Windows come in an order of their own. On ST_OK the caller owns *out
 * (window_traits_fini). Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t window_traits_find(const struct lexical_vocabulary *vocabulary,
                                       const struct window *const *firing, size_t n_firing,
                                       const struct window *const *all, size_t n_all,
                                       struct window_traits *out, struct error *err);
void window_traits_fini(struct window_traits *traits); /* fine on zeroes or twice */

static inline bool window_has_trait(const struct window_traits *traits, size_t window, size_t trait)
{
    return traits->masks[window][trait / 64] >> (trait % 64) & 1;
}

/* Is there any trait? */
bool window_has_traits(const struct window_traits *traits, size_t window);

/* Which of terms [n_terms] hold at the window's strongest token; at most WINDOW_TRAITS_MAX. */
void window_traits_mask(const struct lexical_term *terms, size_t n_terms,
                        const struct lexical_vocabulary *vocabulary, const struct window *window,
                        uint64_t out[WINDOW_TRAITS_WORDS]);

/* 1 - Jaccard index of two sets of traits; 0 when both are empty. */
double window_traits_mask_distance(const uint64_t a[WINDOW_TRAITS_WORDS],
                                   const uint64_t b[WINDOW_TRAITS_WORDS]);
/* The same of two of the firing windows. */
double window_traits_distance(const struct window_traits *traits, size_t a, size_t b);

#endif
