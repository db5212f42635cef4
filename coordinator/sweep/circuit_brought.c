/* Phase of a sweep that brings its circuit: it is read as it was when the sweep was accepted
 * (circuit_kept.h) and held against the model, in the place of a search. No search found it, so
 * nothing says whether a search would find it again: the verdict's stability is not measured, and
 * `partial` is the best that it can be. */
#include "coordinator/sweep/circuit_kept.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>
#include <string.h>

/* The verdict ablates candidates, so every node must be one. */
static status_t check_candidates(const struct circuit_run *run, const struct circuit *circuit,
                                 struct error *err)
{
    for (size_t i = 0; i < circuit->n_nodes; i++) {
        const struct component *node = &circuit->nodes[i].component;
        char name[COMPONENT_NAME_SIZE];
        if (circuit_candidates_have(run, node)) continue;
        return error_set(err, ST_BAD_INPUT,
                         "%s is none of the sweep's candidates; see its keys candidates, layers, "
                         "positions",
                         component_name(node, name));
    }
    return ST_OK;
}

static status_t check(const struct circuit_run *run, const struct circuit *circuit,
                      struct error *err)
{
    const char *path = run->sweep->spec->circuit;
    status_t status = circuit_check(circuit, &run->shape, run->fingerprint, err);
    if (status == ST_OK) status = check_candidates(run, circuit, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", path);
}

/* Workers ablate token and position embeddings as one sender: an edge from either is that edge. */
static void merge_embeddings(struct circuit *circuit)
{
    size_t n = 0;
    for (size_t e = 0; e < circuit->n_edges; e++)
        if (circuit->edges[e].sender.type == COMPONENT_POS_EMBED)
            circuit->edges[e].sender.type = COMPONENT_EMBED;
    if (circuit->n_edges)
        qsort(circuit->edges, circuit->n_edges, sizeof *circuit->edges, circuit_edge_compare_items);
    for (size_t e = 0; e < circuit->n_edges; e++)
        if (n == 0 || circuit_edge_compare(&circuit->edges[n - 1], &circuit->edges[e]) != 0)
            circuit->edges[n++] = circuit->edges[e];
    circuit->n_edges = n;
}

static status_t brought_begin(struct circuit_run *run, struct error *err)
{
    struct circuit circuit;
    const struct sweep *sweep = run->sweep;
    status_t status = circuit_kept_read(sweep->spec, sweep->context->data_directory, &circuit, err);
    if (status != ST_OK) return status;
    status = check(run, &circuit, err);
    if (status != ST_OK) {
        circuit_fini(&circuit);
        return status;
    }
    merge_embeddings(&circuit);
    memcpy(circuit.fingerprint, run->fingerprint, sizeof circuit.fingerprint);
    circuit.shape = run->shape;
    run->found = (struct circuit_search_result){.is_found = true, .circuit = circuit};
    return ST_OK;
}

static status_t brought_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    (void)run;
    (void)err;
    *is_over = true;
    return ST_OK;
}

const struct circuit_phase_ops circuit_brought_phase = {
    .name = "read", .begin = brought_begin, .poll = brought_poll};
