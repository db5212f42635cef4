/* The searches of a circuit sweep, asked and told: what to measure next, and what it says.
 *
 *   create --> ask --> [somebody runs the batch] --> tell --> ask ... --> ask gives none: over
 *
 * One search of the prompts, and, in lock step with it, the same search on bootstraps of their
 * units, all reading the same values: a set of ablated things is measured once. What is asked
 * depends on the parameters and on what was told alone, so telling the same again after a restart
 * gives the same. Nodes are searched as node_search.h says, then, where asked for, edges between
 * the nodes found (edge_search.h). Pure: no clock, no thread, no store; a value belongs to one
 * thread.
 *
 * Values are those of one clean run: where several batches of the model ran, a value is
 * full + (value - clean row of the same batch), so that what is dead has an effect of exactly 0. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_SEARCH_H
#define COORDINATOR_CIRCUIT_CIRCUIT_SEARCH_H

#include "coordinator/circuit/circuit.h"
#include "coordinator/circuit/edge_search.h"
#include "coordinator/circuit/node_search.h"
#include "coordinator/circuit/search_variant.h"

enum search_edges { SEARCH_NO_EDGES, SEARCH_EDGES };
enum { SEARCH_DEFAULT_BATCH = 512, SEARCH_MAX_BOOTSTRAPS = 1000 };

struct circuit_search_params {
    /* Nodes that may be found, ascending (component_compare), each once, no graph ends. Borrowed
     * until destroy, like the rest. */
    const struct component *candidates; /* [nodes.n] */
    struct node_search_params nodes;
    struct prompt_units units; /* of the search prompts */
    bool is_divergence;        /* the metric is KL: a rise is a drop */
    size_t n_bootstraps;       /* 20 of a node sweep, 5 of an adaptive search */
    uint64_t seed;             /* of the bootstraps */
    size_t max_variants; /* sets that are ever measured; then the search ends with what it has */
    size_t max_batch;    /* SEARCH_DEFAULT_BATCH */
    enum search_edges edges;
    struct edge_search_params edge_params; /* read where edges are searched */
};
/* Conditional, 5 bootstraps, 20,000 variants, no edges; candidates, nodes.n and units are the
 * caller's. */
struct circuit_search_params circuit_search_params_default(uint64_t seed);

struct circuit_search;

/* On ST_OK the caller owns *out. Errors: ST_BAD_INPUT (a parameter, by name), ST_NO_MEMORY. */
MUST_CHECK status_t circuit_search_create(struct circuit_search **out,
                                          const struct circuit_search_params *params,
                                          struct error *err);
void circuit_search_destroy(struct circuit_search **search); /* NULL-safe */

/* What to measure next; n 0: the search is over. The same until told. Borrowed until then.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t circuit_search_ask(struct circuit_search *search, struct search_batch *out,
                                       struct error *err);

/* What came out: values [n, n_prompts] of the batch that was asked, full [n_prompts] of the clean
 * run, the same every time. Errors: ST_BAD_INPUT (a value that is not finite), ST_CONFLICT (not
 * the full of before; nothing asked), ST_NO_MEMORY; then nothing is taken. */
MUST_CHECK status_t circuit_search_tell(struct circuit_search *search, const double *values,
                                        const double *full, struct error *err);

/* The candidate edges, which search_variant.edges index; none before the nodes are found.
 * Borrowed until destroy. */
const struct circuit_edge *circuit_search_edges(const struct circuit_search *search, size_t *n);

struct search_progress {
    size_t n_known;  /* variants measured */
    size_t n_rounds; /* batches told */
    bool is_on_edges;
};
struct search_progress circuit_search_progress(const struct circuit_search *search);

struct circuit_search_result {
    bool is_found;                  /* false: no node was found, and circuit is of nothing */
    struct circuit circuit;         /* roles name classes ("class 1"); finished where is_found */
    const struct found_node *nodes; /* [n candidates], borrowed from the search */
    const struct found_edge *edges; /* [n_edges] those of circuit_search_edges(), borrowed */
    size_t n_edges;
    const struct acdc_circuit *taus; /* [n_taus] of ACDC, borrowed */
    size_t n_taus, chosen_tau;
    size_t n_variants, n_rounds;
    bool is_truncated;              /* max_variants came in between */
    struct node_search_pairs pairs; /* of the search itself */
    bool is_adaptive;  /* what a verdict asks: were later sets chosen by earlier values? */
    size_t n_searches; /* bootstraps */
    struct score_value node_stability; /* mean pairwise Jaccard of the nodes that they found */
    struct score_value edge_stability; /* of the edges among the nodes of the circuit */
    struct score_value stability;      /* the lower one, where both are defined */
};

/* After the end. The caller passes *out to circuit_search_result_fini(). Errors: ST_CONFLICT (not
 * over), ST_NO_MEMORY. */
MUST_CHECK status_t circuit_search_finish(struct circuit_search *search,
                                          struct circuit_search_result *out, struct error *err);
void circuit_search_result_fini(struct circuit_search_result *result); /* fine twice */

#endif
