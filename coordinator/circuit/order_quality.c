#include "coordinator/circuit/order_quality.h"

#include "coordinator/circuit/rank_correlation.h"
#include "coordinator/session/score_json.h"

#include <math.h>
#include <stdlib.h>

/* --- order -------------------------------------------------------------------------------- */

struct sized {
    double size; /* negative: there is no score */
    uint32_t place;
};

static int compare_sized(const void *a, const void *b)
{
    const struct sized *x = a, *y = b;
    if (x->size < y->size || y->size < x->size) return x->size > y->size ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

status_t order_by_size(const struct score_value *scores, size_t n, uint32_t *order, size_t *n_named,
                       struct error *err)
{
    struct sized *items = calloc(n + 1, sizeof *items);
    if (!items) return error_set(err, ST_NO_MEMORY, "an order of %zu", n);
    *n_named = 0;
    for (size_t i = 0; i < n; i++) {
        items[i] = (struct sized){scores[i].is_defined ? fabs(scores[i].value) : -1.0, (uint32_t)i};
        *n_named += scores[i].is_defined;
    }
    qsort(items, n, sizeof *items, compare_sized);
    for (size_t i = 0; i < n; i++) order[i] = items[i].place;
    free(items);
    return ST_OK;
}

/* --- quality ------------------------------------------------------------------------------ */

static status_t correlate(const struct ordered_items *items, struct order_quality *out,
                          struct error *err)
{
    double *sizes = calloc(2 * items->n + 1, sizeof *sizes);
    if (!sizes) return error_set(err, ST_NO_MEMORY, "effects of %zu", items->n);
    double *effects = sizes + items->n;
    for (size_t i = 0; i < items->n; i++) {
        if (!items->scores[i].is_defined || !items->effects[i].is_defined) continue;
        sizes[out->n_compared] = fabs(items->scores[i].value);
        effects[out->n_compared++] = fabs(items->effects[i].value);
    }
    const status_t status =
        rank_correlation(sizes, effects, out->n_compared, &out->rank_correlation, err);
    free(sizes);
    return status;
}

status_t order_quality_measure(const struct ordered_items *items, struct order_quality *out,
                               struct error *err)
{
    struct order_quality quality = {.n_compared = 0};
    size_t n_named = 0;
    uint32_t *order = calloc(items->n + 1, sizeof *order);
    status_t status = order ? order_by_size(items->scores, items->n, order, &n_named, err)
                            : error_set(err, ST_NO_MEMORY, "an order of %zu", items->n);
    if (status == ST_OK) {
        const struct proposal_order_view view = {order, n_named, items->n};
        status = proposal_score(&view, items->is_found, &quality.found, err);
    }
    if (status == ST_OK) status = correlate(items, &quality, err);
    if (status == ST_OK) *out = quality;
    free(order);
    return status;
}

json_t *order_quality_json(const struct order_quality *quality)
{
    return json_pack("{s:I s:I s:o s:I s:o s:o}", "n_ordered", (json_int_t)quality->found.n_named,
                     "n_compared", (json_int_t)quality->n_compared, "rank_correlation",
                     score_value_json(quality->rank_correlation), "n_found",
                     (json_int_t)quality->found.n_found, "precision",
                     score_value_json(quality->found.precision_first), "auroc",
                     score_value_json(quality->found.auroc));
}
