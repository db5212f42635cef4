/* Which foreign labels the null judges: null_model.h. */
#include "coordinator/session/draw.h"
#include "coordinator/session/null_model.h"

#include <stdlib.h>

enum { N_DECILES = 10 };

struct ranked_feature {
    double density;
    uint32_t index;
};

struct null_pairs_params null_pairs_params_default(uint64_t seed, uint64_t score_type)
{
    return (struct null_pairs_params){
        .seed = seed, .score_type = score_type, .n_pairs = 1000, .min_per_feature = 5};
}

static int compare_density(const void *left, const void *right)
{
    const struct ranked_feature *a = left, *b = right;
    if (a->density < b->density || a->density > b->density) return a->density < b->density ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static int compare_pairs(const void *left, const void *right)
{
    const struct null_pair *a = left, *b = right;
    if (a->feature != b->feature) return a->feature < b->feature ? -1 : 1;
    return (a->foreign > b->foreign) - (a->foreign < b->foreign);
}

/* Ranks [*first, *end) that feature at `rank` takes foreign labels from: its decile, widened on
 * both sides until `n_wanted` others are in it. */
static void foreign_range(size_t rank, size_t n, size_t n_wanted, size_t *first, size_t *end)
{
    size_t decile = rank * N_DECILES / n;
    while (decile > 0 && decile * n / N_DECILES > rank) decile--;
    while ((decile + 1) * n / N_DECILES <= rank) decile++;
    *first = decile * n / N_DECILES;
    *end = (decile + 1) * n / N_DECILES;
    while (*end - *first <= n_wanted && (*first > 0 || *end < n)) {
        if (*first > 0) --*first;
        if (*end < n) ++*end;
    }
}

struct pairing {
    const struct ranked_feature *ranked;
    size_t n;
    struct draw draw;
    struct null_pair *pairs;
    size_t n_pairs;
    uint32_t *others; /* [n], ranks */
};

/* `n_wanted` different foreign labels for the feature at `rank`. */
static void pair_feature(struct pairing *pairing, size_t rank, size_t n_wanted)
{
    size_t first, end, n_others = 0;
    foreign_range(rank, pairing->n, n_wanted, &first, &end);
    for (size_t other = first; other < end; other++)
        if (other != rank) pairing->others[n_others++] = (uint32_t)other;
    for (size_t i = 0; i < n_wanted && i < n_others; i++) { /* a shuffle cut short */
        const size_t j = i + draw_below(&pairing->draw, (uint32_t)(n_others - i));
        const uint32_t chosen = pairing->others[j];
        pairing->others[j] = pairing->others[i];
        pairing->pairs[pairing->n_pairs++] =
            (struct null_pair){pairing->ranked[rank].index, pairing->ranked[chosen].index};
    }
}

status_t null_pairs_choose(const double *density, size_t n_features,
                           const struct null_pairs_params *params, struct null_pair **out,
                           size_t *n_out, struct error *err)
{
    const size_t n_small =
        (size_t)params->n_pairs / (params->min_per_feature ? params->min_per_feature : 1);
    const size_t n_total =
        n_features < n_small ? n_features * params->min_per_feature : params->n_pairs;
    if (n_features > UINT32_MAX / 2)
        return error_set(err, ST_TOO_LARGE, "null of %zu features", n_features);
    struct ranked_feature *ranked = calloc(n_features + 1, sizeof *ranked);
    uint32_t *order = calloc(n_features + 1, sizeof *order);
    uint32_t *others = calloc(n_features + 1, sizeof *others);
    struct null_pair *pairs = calloc(n_total + 1, sizeof *pairs);
    status_t status = ST_OK;
    if (!ranked || !order || !others || !pairs) {
        status = error_set(err, ST_NO_MEMORY, "null of %zu features", n_features);
        goto done;
    }
    for (size_t i = 0; i < n_features; i++) {
        ranked[i] = (struct ranked_feature){density[i], (uint32_t)i};
        order[i] = (uint32_t)i;
    }
    qsort(ranked, n_features, sizeof *ranked, compare_density);
    struct pairing pairing = {
        ranked, n_features, draw_stream(params->seed, DRAW_NULL_PAIRS, params->score_type),
        pairs,  0,          others};
    draw_shuffle(&pairing.draw, order, n_features); /* who gets one more, or one at all */
    for (size_t i = 0; i < n_features; i++)
        pair_feature(&pairing, order[i], n_total / n_features + (i < n_total % n_features ? 1 : 0));
    qsort(pairs, pairing.n_pairs, sizeof *pairs, compare_pairs);
    *n_out = pairing.n_pairs;
    *out = pairs;
    pairs = NULL; /* the caller's now */
done:
    free(ranked);
    free(order);
    free(others);
    free(pairs);
    return status;
}
