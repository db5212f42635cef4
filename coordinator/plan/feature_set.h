/* Which features of a target are labelled: all, a list with ranges, or a seeded sample of them.
 *
 * "all" or "0-99,105,200-300": decimal numbers and inclusive ranges between commas, any order,
 * repeats merged. A sample takes the n members of smallest hash(seed, feature), so it is the
 * same on every machine and a larger sample contains a smaller one. Choosing by firing density
 * needs a capture first and is applied by the caller on what comes out here. Any thread. */
#ifndef COORDINATOR_PLAN_FEATURE_SET_H
#define COORDINATOR_PLAN_FEATURE_SET_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FEATURE_SET_MAX_RANGES = 4096 };

struct feature_set {
    uint32_t *features; /* [n], ascending, distinct, owned */
    size_t n;
};

/* Is `text` a selection at all (grammar, low <= high, numbers below EVIDENCE_MAX_SLOTS)?
 * ST_BAD_INPUT says which part is not. Whether the features exist is known only later. */
MUST_CHECK status_t feature_set_check(const char *text, struct error *err);

/* The features of `text` (NULL: all) out of [0, n_features), at most `n_sample` of them drawn
 * with `seed` (n_sample 0: no sampling). The caller passes *out to feature_set_fini().
 * Errors: ST_BAD_INPUT (grammar), ST_NOT_FOUND (a feature >= n_features), ST_NO_MEMORY. */
MUST_CHECK status_t feature_set_init(struct feature_set *out, const char *text, uint32_t n_features,
                                     size_t n_sample, uint64_t seed, struct error *err);
/* Where `feature` is in the list; false if it is not. */
bool feature_set_find(const struct feature_set *set, uint32_t feature, size_t *position);
void feature_set_fini(struct feature_set *set); /* fine on a zeroed struct or twice */

#endif
