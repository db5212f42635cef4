/* Cut a few items into k groups by their distances alone: PAM (Kaufman and Rousseeuw 1990), and
 * the silhouette that says how well the groups are apart.
 *
 * Deterministic: greedy start, then the best exchange of a medoid while one helps; ties go to the
 * lower index. So items in an order of their own give groups of their own. k-medoids, because it
 * needs no means of sets and an outlier cannot become a group just by being far away (which is
 * what agglomeration makes of it). O(k n^2) a step; no memory is taken. Pure; any thread. */
#ifndef COORDINATOR_SESSION_K_MEDOIDS_H
#define COORDINATOR_SESSION_K_MEDOIDS_H

#include <stddef.h>
#include <stdint.h>

enum { K_MEDOIDS_MAX_ITEMS = 256, K_MEDOIDS_MAX_GROUPS = 8 };

/* distances [n, n]: symmetric, >= 0, 0 on the diagonal. 1 <= k <= n, both within the limits
 * (the caller's duty). Writes group_of[n], numbers below k in order of each group's first item,
 * and medoids[k], an item of each group. */
void k_medoids(const double *distances, size_t n, size_t k, uint32_t *group_of, uint32_t *medoids);

/* Mean over items of (b - a) / max(a, b): a is the mean distance to the others of its own group,
 * b that to the nearest other group; 0 for an item alone in its group. -1 to 1; 0 if k is 1. */
double k_medoids_silhouette(const double *distances, size_t n, size_t k, const uint32_t *group_of);

#endif
