#include "coordinator/circuit/proposal_score.h"

#include <stdlib.h>

/* --- order -------------------------------------------------------------------------------- */

static size_t find_candidate(const struct proposal_ranking *ranking, const struct component *item)
{
    const struct component *found = ranking->n > 0 ? bsearch(item, ranking->candidates, ranking->n,
                                                             sizeof *item, component_compare_items)
                                                   : NULL;
    return found ? (size_t)(found - ranking->candidates) : ranking->n;
}

status_t proposal_order(const struct proposal_ranking *ranking, struct proposal_order *out,
                        struct error *err)
{
    const size_t n = ranking->n;
    size_t n_placed;
    bool *is_placed = calloc(n + 1, sizeof *is_placed);
    if (!is_placed) return error_set(err, ST_NO_MEMORY, "proposals: %zu candidates", n);
    out->n_named = out->n_unknown = 0;
    for (size_t i = 0; i < ranking->n_proposed; i++) {
        const size_t at = find_candidate(ranking, &ranking->proposed[i]);
        out->n_unknown += at == n;
        if (at == n || is_placed[at]) continue;
        is_placed[at] = true;
        out->order[out->n_named++] = (uint32_t)at;
    }
    n_placed = out->n_named;
    for (size_t c = 0; c < n; c++)
        if (!is_placed[c]) out->order[n_placed++] = (uint32_t)c;
    free(is_placed);
    return ST_OK;
}

/* --- score -------------------------------------------------------------------------------- */

static status_t check_order(const struct proposal_order_view *order, struct error *err)
{
    status_t status = ST_OK;
    if (order->n_named > order->n)
        return error_set(err, ST_BAD_INPUT, "proposals: %zu of %zu candidates", order->n_named,
                         order->n);
    bool *is_placed = calloc(order->n + 1, sizeof *is_placed);
    if (!is_placed) return error_set(err, ST_NO_MEMORY, "proposals: %zu candidates", order->n);
    for (size_t i = 0; i < order->n && status == ST_OK; i++)
        if (order->order[i] >= order->n || is_placed[order->order[i]])
            status = error_set(err, ST_BAD_INPUT, "proposals: place %zu of the order is wrong", i);
        else
            is_placed[order->order[i]] = true;
    free(is_placed);
    return status;
}

static struct score_value share(double part, double whole)
{
    return (struct score_value){whole > 0.0, whole > 0.0 ? part / whole : 0.0};
}

status_t proposal_score(const struct proposal_order_view *order, const bool *is_found,
                        struct proposal_score *out, struct error *err)
{
    const status_t status = check_order(order, err);
    double n_before = 0.0, n_pairs = 0.0; /* found ones seen so far; pairs in the right order */
    size_t n_first = 0;
    if (status != ST_OK) return status;
    struct proposal_score score = {.n_named = order->n_named};
    for (size_t c = 0; c < order->n; c++) score.n_found += is_found[c];
    for (size_t i = 0; i < order->n_named; i++) {
        const bool is_right = is_found[order->order[i]];
        score.n_right += is_right;
        n_first += is_right && i < score.n_found;
        if (is_right)
            n_before += 1.0;
        else
            n_pairs += n_before;
    }
    const double n_found = (double)score.n_found, n_not = (double)(order->n - score.n_found);
    const double n_found_tied = n_found - n_before;
    const double n_not_tied = n_not - (double)(score.n_named - score.n_right);
    n_pairs += n_not_tied * (n_before + 0.5 * n_found_tied);
    score.precision = share((double)score.n_right, (double)score.n_named);
    score.recall = share((double)score.n_right, n_found);
    score.precision_first = share((double)n_first, n_found);
    score.auroc = share(n_pairs, n_found * n_not);
    *out = score;
    return ST_OK;
}
