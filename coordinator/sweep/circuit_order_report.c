/* How good the order of a search was, for readers: apart from the verdict, which knows nothing of
 * it. */
#include "coordinator/circuit/order_quality.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>

static bool was_ordered(const struct circuit_run *run)
{
    return run->attribution.order != NULL && run->search != NULL;
}

/* Room for scores, effects and found ones of n things. */
struct item_lists {
    struct score_value *scores, *effects;
    bool *is_found;
};

static status_t make_lists(struct item_lists *lists, size_t n, struct error *err)
{
    lists->scores = calloc(n + 1, sizeof *lists->scores);
    lists->effects = calloc(n + 1, sizeof *lists->effects);
    lists->is_found = calloc(n + 1, sizeof *lists->is_found);
    return lists->scores && lists->effects && lists->is_found
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "scores of %zu", n);
}

static status_t measure(struct item_lists *lists, size_t n, struct order_quality *out,
                        struct error *err)
{
    const struct ordered_items items = {lists->scores, lists->effects, lists->is_found, n};
    return order_quality_measure(&items, out, err);
}

static void free_lists(struct item_lists *lists)
{
    free(lists->scores);
    free(lists->effects);
    free(lists->is_found);
}

static status_t measure_nodes(const struct circuit_run *run, struct order_quality *out,
                              struct error *err)
{
    struct item_lists lists;
    status_t status = make_lists(&lists, run->n_candidates, err);
    for (size_t i = 0; i < run->n_candidates && status == ST_OK; i++) {
        const struct found_node *found = &run->found.nodes[i];
        lists.scores[i] = circuit_attribution_of(run, &run->candidates[i]);
        lists.effects[i] = (struct score_value){found->is_measured, found->alone.mean};
        lists.is_found[i] = found->is_chosen;
    }
    if (status == ST_OK) status = measure(&lists, run->n_candidates, out, err);
    free_lists(&lists);
    return status;
}

static status_t measure_edges(const struct circuit_run *run, struct order_quality *out,
                              struct error *err)
{
    struct item_lists lists;
    size_t n;
    const struct circuit_edge *edges = circuit_search_edges(run->search, &n);
    status_t status = make_lists(&lists, n, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const struct found_edge *found = &run->found.edges[i];
        lists.scores[i] = circuit_attribution_of_edge(run, &edges[i]);
        lists.effects[i] = (struct score_value){true, found->alone.mean};
        lists.is_found[i] = found->is_kept;
    }
    if (status == ST_OK) status = measure(&lists, n, out, err);
    free_lists(&lists);
    return status;
}

/* --- JSON --------------------------------------------------------------------------------- */

status_t circuit_order_json(const struct circuit_run *run, json_t **out, struct error *err)
{
    const struct circuit_search_spec *asked = &run->sweep->spec->search;
    struct order_quality nodes, edges;
    *out = json_null();
    if (!was_ordered(run)) return ST_OK;
    const bool has_edges = run->found.n_edges > 0;
    status_t status = measure_nodes(run, &nodes, err);
    if (status == ST_OK && has_edges) status = measure_edges(run, &edges, err);
    if (status != ST_OK) return status;
    *out = json_pack("{s:s s:s s:o s:o s:o}", "by", "attribution", "method",
                     attribute_method_name(asked->method), "steps",
                     asked->method == ATTRIBUTE_EAP_IG ? json_integer(asked->steps) : json_null(),
                     "components", order_quality_json(&nodes), "edges",
                     has_edges ? order_quality_json(&edges) : json_null());
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "order");
}

/* --- text --------------------------------------------------------------------------------- */

static status_t put_quality(struct buffer *out, const char *what,
                            const struct order_quality *quality, struct error *err)
{
    const struct proposal_score *found = &quality->found;
    status_t status = buffer_printf(out, err, "  %s: ", what);
    if (status == ST_OK && quality->rank_correlation.is_defined)
        status = buffer_printf(out, err, "rank correlation with %zu exact effects %.3f",
                               quality->n_compared, quality->rank_correlation.value);
    else if (status == ST_OK)
        status = buffer_append_text(out, "rank correlation undefined", err);
    if (status == ST_OK && found->precision_first.is_defined)
        status = buffer_printf(out, err, "; of its first %zu, %.3g %% are in the circuit",
                               found->n_found, 100 * found->precision_first.value);
    return status == ST_OK ? buffer_append_text(out, "\n", err) : status;
}

status_t circuit_order_text(const struct circuit_run *run, struct buffer *out, struct error *err)
{
    struct order_quality quality;
    if (!was_ordered(run)) return ST_OK;
    status_t status = buffer_printf(
        out, err, "\nAttribution (%s) as an order of the search: it has no say in the verdict\n",
        attribute_method_name(run->sweep->spec->search.method));
    if (status == ST_OK) status = measure_nodes(run, &quality, err);
    if (status == ST_OK) status = put_quality(out, "components", &quality, err);
    if (status != ST_OK || run->found.n_edges == 0) return status;
    status = measure_edges(run, &quality, err);
    return status == ST_OK ? put_quality(out, "edges", &quality, err) : status;
}
