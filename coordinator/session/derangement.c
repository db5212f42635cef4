#include "coordinator/session/derangement.h"

#include "coordinator/session/draw.h"

#include <stdlib.h>

enum { MOST_GROUPS = 10, LEAST_IN_GROUP = 2 };

struct ranked_feature {
    double density;
    uint32_t index;
};

static int compare_density(const void *left, const void *right)
{
    const struct ranked_feature *a = left, *b = right;
    if (a->density < b->density || a->density > b->density) return a->density < b->density ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

size_t derangement_n_groups(size_t n_features)
{
    const size_t n = n_features / LEAST_IN_GROUP;
    return n < MOST_GROUPS ? n : (size_t)MOST_GROUPS;
}

/* One cycle through all of group [n], n >= 2. */
static void close_cycle(const struct ranked_feature *group, size_t n, struct draw *draw,
                        uint32_t *order, uint32_t *partners)
{
    for (size_t i = 0; i < n; i++) order[i] = group[i].index;
    for (size_t i = n - 1; i > 0; i--) { /* Sattolo: j < i, never i itself */
        const size_t j = draw_below(draw, (uint32_t)i);
        const uint32_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    for (size_t i = 0; i < n; i++) partners[group[i].index] = order[i];
}

status_t derangement_choose(const double *density, size_t n_features, uint64_t seed,
                            uint32_t *partners, struct error *err)
{
    const size_t n_groups = derangement_n_groups(n_features);
    struct draw draw = draw_stream(seed, DRAW_CONTROL, 0);
    if (n_features == 1)
        return error_set(err, ST_BAD_INPUT, "one feature alone has no other to exchange with");
    if (n_features > UINT32_MAX / MOST_GROUPS)
        return error_set(err, ST_TOO_LARGE, "%zu features to permute", n_features);
    struct ranked_feature *ranked = calloc(n_features + 1, sizeof *ranked);
    uint32_t *order = calloc(n_features + 1, sizeof *order);
    status_t status = ranked && order
                          ? ST_OK
                          : error_set(err, ST_NO_MEMORY, "permutation of %zu features", n_features);
    if (status == ST_OK) {
        for (size_t i = 0; i < n_features; i++)
            ranked[i] = (struct ranked_feature){density[i], (uint32_t)i};
        qsort(ranked, n_features, sizeof *ranked, compare_density);
        for (size_t group = 0; group < n_groups; group++) {
            const size_t first = group * n_features / n_groups;
            const size_t end = (group + 1) * n_features / n_groups;
            close_cycle(ranked + first, end - first, &draw, order, partners);
        }
    }
    free(ranked);
    free(order);
    return status;
}
