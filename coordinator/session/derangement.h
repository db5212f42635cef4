/* Whose windows stand in for whose: the permuted control (reference: statistics.md 3).
 *
 * Every feature gets another one of its firing-density decile, and each is given once: a
 * permutation without fixed points. Within a decile it is one cycle drawn uniformly (Sattolo 1986),
 * so a feature's partner is uniform over the others, as a foreign label of the null is. Deciles
 * would hold a single feature when there are fewer than 20: then there are fewer groups, of two at
 * least. Pure; any thread. */
#ifndef COORDINATOR_SESSION_DERANGEMENT_H
#define COORDINATOR_SESSION_DERANGEMENT_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* partners [n_features]: the partner of each, an index below n_features. density [n_features], any
 * order, finite. Errors: ST_BAD_INPUT (one feature alone), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t derangement_choose(const double *density, size_t n_features, uint64_t seed,
                                       uint32_t *partners, struct error *err);
/* Into how many groups so many features fall: 10, or fewer. 0 for fewer than two. */
size_t derangement_n_groups(size_t n_features);

#endif
