/* Which component's output reaches which input of a later one.
 *
 *   L0H0->L1H0.k   L0H0->L3MLP   embed->L0H0.q   L1H0->logits
 *
 * Also read: `a0.h0->a1.h0<k>` (EAP-IG), `a0.h0->a1.h0.k`, `A0.0->A1.0.K` (auto-circuit), with
 * or without blanks around the arrow. A head as receiver names its input, q, k or v; that of an
 * MLP (mlp) and of the logits (logits) goes without saying, and may be written.
 *
 * Under grouped-query attention L1H2.k is what head 2 alone sees of its group's key
 * (TransformerLens: ungroup_grouped_query_attention), L1K1 the key of the whole group; both are
 * receivers. Plain data, pure functions; any thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_EDGE_H
#define COORDINATOR_CIRCUIT_CIRCUIT_EDGE_H

#include "coordinator/circuit/component.h"

enum edge_input { EDGE_Q, EDGE_K, EDGE_V, EDGE_MLP, EDGE_LOGITS };
enum { EDGE_N_INPUTS = EDGE_LOGITS + 1, EDGE_NAME_SIZE = 2 * COMPONENT_NAME_SIZE + 8 };

struct circuit_edge {
    struct component sender;
    struct component receiver;
    enum edge_input input;
};

/* "q", "k", "v", "mlp", "logits". */
const char *edge_input_name(enum edge_input input);

/* Total order: receiver, input, sender. The second is for qsort(). */
int circuit_edge_compare(const struct circuit_edge *a, const struct circuit_edge *b);
int circuit_edge_compare_items(const void *a, const void *b);

/* Canonical name into out[EDGE_NAME_SIZE]; returns out. */
char *circuit_edge_name(const struct circuit_edge *edge, char out[EDGE_NAME_SIZE]);

/* Errors: ST_BAD_INPUT, quoting the text: not a name, an input that the receiver has not, or a
 * receiver that has none (embed, neuron, residual dimension, feature, error term). */
MUST_CHECK status_t circuit_edge_parse(const char *text, size_t n_bytes, struct circuit_edge *out,
                                       struct error *err);
/* The same of three fields; `input` NULL where it goes without saying. */
MUST_CHECK status_t circuit_edge_make(const struct component *sender,
                                      const struct component *receiver, const char *input,
                                      struct circuit_edge *out, struct error *err);

/* Does the sender send, has the receiver that input, and is the sender computed before it? */
bool circuit_edge_is_legal(const struct circuit_edge *edge, bool is_parallel);

/* Both ends exist, and the sender is computed before the receiver reads. Errors: ST_NOT_FOUND
 * (no such component), ST_BAD_INPUT (against the flow: "L1H0->L0H0.q: ..."). */
MUST_CHECK status_t circuit_edge_check(const struct circuit_edge *edge,
                                       const struct model_shape *shape, struct error *err);

#endif
