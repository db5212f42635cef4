/* Phase `search`: what the search asks is measured on the search prompts, round by round. */
#include "coordinator/sweep/circuit_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FREE_SEARCHES = 20 };

void circuit_round_name(size_t round, char out[CIRCUIT_ROUND_NAME_SIZE])
{
    (void)snprintf(out, CIRCUIT_ROUND_NAME_SIZE, "search-%zu", round);
}

void circuit_search_phase_fini(struct circuit_run *run)
{
    circuit_search_result_fini(&run->found);
    circuit_search_destroy(&run->search);
}

/* --- asking ------------------------------------------------------------------------------- */

static struct score_value edge_score(const void *context, const struct circuit_edge *edge)
{
    return circuit_attribution_of_edge(context, edge);
}

static struct edge_search_params edge_params_of(const struct circuit_run *run)
{
    const struct circuit_search_spec *asked = &run->sweep->spec->search;
    struct edge_search_params params = edge_search_params_default();
    params.is_acdc = asked->edges == CIRCUIT_EDGES_ACDC;
    params.sufficiency_min = asked->edge_sufficiency_min;
    if (run->attribution.order) {
        params.score = edge_score;
        params.score_context = run;
    }
    if (asked->n_taus) params.n_taus = asked->n_taus;
    for (size_t i = 0; i < asked->n_taus; i++) /* numbers: the intake saw to it */
        (void)circuit_tau_read(asked->taus[i], &params.taus[i]);
    return params;
}

/* A sweep of single nodes is run again for nothing: its effects are there prompt by prompt. */
static uint32_t n_searches_of(const struct circuit_search_spec *asked)
{
    const bool is_free = !asked->conditional && asked->edges == CIRCUIT_EDGES_NONE;
    return is_free && asked->n_searches < FREE_SEARCHES ? FREE_SEARCHES : asked->n_searches;
}

static status_t search_begin(struct circuit_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const struct circuit_search_spec *asked = &spec->search;
    struct circuit_search_params params = circuit_search_params_default(spec->seed);
    params.candidates = run->candidates;
    params.nodes.n = run->n_candidates;
    params.nodes.order = run->agent.order.order ? run->agent.order.order : run->attribution.order;
    params.nodes.is_conditional = asked->conditional;
    params.nodes.selection.fdr_q = asked->fdr_q;
    params.nodes.selection.share_min = asked->share_min;
    params.nodes.selection.is_signed = asked->is_signed;
    params.nodes.selection.max_nodes = asked->max_nodes;
    params.units = run->units[PART_SEARCH].units;
    params.is_divergence = spec->metric == METRIC_KL;
    params.n_bootstraps = n_searches_of(asked);
    params.max_variants = asked->max_variants;
    params.edges = asked->edges == CIRCUIT_EDGES_NONE ? SEARCH_NO_EDGES : SEARCH_EDGES;
    params.edge_params = edge_params_of(run);
    return circuit_search_create(&run->search, &params, err);
}

struct search_things circuit_things(const struct circuit_run *run)
{
    struct search_things things = {.shape = &run->shape,
                                   .nodes = run->candidates,
                                   .n_nodes = run->n_candidates,
                                   .dictionaries = run->dictionaries.places,
                                   .n_dictionaries = run->sweep->spec->n_dictionaries,
                                   .positions = run->sweep->spec->positions,
                                   .n_positions = run->sweep->spec->n_positions};
    if (run->search) things.edges = circuit_search_edges(run->search, &things.n_edges);
    return things;
}

/* A clean run first, then what was asked. */
static status_t begin_round(struct circuit_run *run, const struct search_batch *batch,
                            struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const struct search_things things = circuit_things(run);
    char name[CIRCUIT_ROUND_NAME_SIZE];
    struct ablate_unit asked = {0};
    status_t status = search_changes_append_clean(&asked, err);
    if (status == ST_OK)
        status = search_changes_append(&asked, batch, spec->search.value, &things, err);
    char *text =
        circuit_ablate_spec(run, PART_SEARCH, circuit_measurement_needs_vocabulary(spec->metric));
    if (status == ST_OK && !text) status = error_set(err, ST_NO_MEMORY, "task spec");
    if (status != ST_OK) {
        ablate_unit_fini(&asked);
        free(text);
        return status;
    }
    circuit_round_name(run->n_rounds, name);
    const struct circuit_measurement_params params = {.work = &run->work,
                                                      .name = name,
                                                      .spec_json = text,
                                                      .asked = asked,
                                                      .metric = spec->metric,
                                                      .n_prompts = run->parts[PART_SEARCH].n,
                                                      .n_batch = spec->ablation.n_batch};
    status = circuit_measurement_begin(&run->measure, &params, err);
    free(text);
    return status;
}

/* --- telling ------------------------------------------------------------------------------ */

static status_t tell(struct circuit_run *run, struct error *err)
{
    const double *full = run->measure.values;
    const status_t status =
        circuit_search_tell(run->search, full + run->measure.n_prompts, full, err);
    circuit_measurement_fini(&run->measure);
    run->n_rounds++;
    return status;
}

/* What the circuit says of itself. */
static void name_circuit(struct circuit_run *run)
{
    struct circuit *circuit = &run->found.circuit;
    const struct sweep_spec *spec = run->sweep->spec;
    const char *generator = circuit_generator_name(spec->task.generator);
    (void)snprintf(circuit->name, sizeof circuit->name, "%.63s", spec->name);
    (void)snprintf(circuit->task, sizeof circuit->task, "%s", generator ? generator : "");
    memcpy(circuit->fingerprint, run->fingerprint, sizeof circuit->fingerprint);
    circuit->shape = run->shape;
}

static status_t search_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    *is_over = false;
    for (;;) {
        struct search_batch batch;
        bool is_measured = false;
        status_t status;
        if (!run->measure.work) {
            status = circuit_search_ask(run->search, &batch, err);
            if (status != ST_OK) return status;
            if (batch.n == 0) break;
            status = begin_round(run, &batch, err);
            if (status != ST_OK) return status;
        }
        status = circuit_measurement_poll(&run->measure, &is_measured, err);
        if (status != ST_OK || !is_measured) return status;
        status = tell(run, err);
        if (status != ST_OK) return status;
    }
    const status_t status = circuit_search_finish(run->search, &run->found, err);
    *is_over = status == ST_OK;
    if (status == ST_OK) name_circuit(run);
    return status;
}

const struct circuit_phase_ops circuit_search_phase = {
    .name = "search", .begin = search_begin, .poll = search_poll};
