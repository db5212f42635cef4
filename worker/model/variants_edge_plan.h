/* The edges of one variant, ordered by who reads: which senders there are, and for every receiver
 * those whose edge to it is ablated. Private to worker/model/variants*.c.
 *
 *   receiver   one head's q, one group's k or v, an MLP, the logits
 *   terms      the senders of a receiver, in the order of the model: whatever the order in which a
 *              caller lists the edges, a receiver sums the same numbers in the same order
 *
 * A difference is what a sender would write with its value less what it writes, as it arrives in
 * the stream: [n_prompts * n_ctx, d_model]. Its own run's, where the variant has left the clean
 * pass before the sender; else the clean pass's, which is one for all variants. Differences lie on
 * the model's device and are whoever's runs the plan (variants_edges.c). */
#ifndef WORKER_MODEL_VARIANTS_EDGE_PLAN_H
#define WORKER_MODEL_VARIANTS_EDGE_PLAN_H

#include "worker/model/variants.h"

struct edge_sender {
    const struct variant_change *what; /* borrowed from the variant */
    float *own;                        /* device: the difference in this run; NULL: the clean one */
    const float *clean;                /* device, of struct variants; NULL: own */
};

struct edge_receiver {
    struct hook_point hook; /* Q, K, V, MLP_OUT, RESID_POST */
    size_t head;            /* of Q, K, V; else 0 */
    size_t first, n;        /* of the terms */
};

struct edge_plan {
    size_t n_senders, n_receivers;
    struct edge_sender *senders;     /* in the order of the model */
    struct edge_receiver *receivers; /* by layer, kind, head */
    size_t *terms;                   /* indices of senders, ascending for each receiver */
    float *kept;                     /* device [n_prompts * n_ctx, d_model]: the stream in front of
                                      * an MLP that reads another; NULL: no MLP does */
};

/* Does every edge lie in the model, and run forwards? Names the first that does not. */
MUST_CHECK status_t edges_check(const struct variant *variant, size_t index,
                                const struct model_config *config, struct error *err);
/* Of a variant that edges_check() passed and that has edges. No differences yet. n_rows: tokens of
 * the prompts. Errors: ST_BAD_INPUT (an edge twice), ST_NO_MEMORY. */
MUST_CHECK status_t edge_plan_create(struct edge_plan **out, const struct variant *variant,
                                     const struct model_config *config, size_t n_rows,
                                     struct error *err);
void edge_plan_destroy(struct edge_plan **plan); /* NULL-safe */

/* Does an MLP receive? */
bool edge_plan_has_mlp(const struct edge_plan *plan);
/* The receivers of a hook point: their number, and the first of them. */
size_t edge_plan_receivers(const struct edge_plan *plan, struct hook_point hook,
                           const struct edge_receiver **first);
/* Does anybody send from there? */
bool edge_plan_sends(const struct edge_plan *plan, struct hook_point hook);

#endif
