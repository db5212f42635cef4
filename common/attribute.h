/* Attribution patching: what every node and every edge of a model would do to a metric if its
 * clean value were replaced by that of the corrupted prompt, to first order (Syed et al. 2023,
 * Nanda 2023; circuits.md 2). Attribution orders a search, exact ablation decides.
 *
 *   score[node]     = sum over positions of (corrupted - clean value) . slope of the metric by it
 *   score[src, dst] = sum over positions of (corrupted - clean output of src) . slope of the
 *                     metric by the input of dst (the residual stream as dst alone reads it)
 *
 * Results hold sums over the prompts of a unit; the mean is their sum over units, in the order of
 * units, divided by the prompts.
 *
 *   unit    u32 version, first prompt, n_prompts                       coordinator -> worker
 *   result  u32 version, n_prompts, n_nodes, n_edges;                  worker -> coordinator
 *           n_nodes x f64, n_edges x f64
 *
 * Little-endian; the version is 1. n_edges is 0 for method "atp".
 *
 * Order of nodes: the embedding; of every layer its heads, keys of its groups, values of its
 * groups, its MLP. Order of edges, receiver by receiver: of every layer the queries of its heads,
 * the keys and the values of its groups, its MLP; behind the last layer the logits. Under each
 * receiver its senders: the embedding, and of every layer before it the heads and the MLP (an
 * MLP's senders include the heads of its own layer). Without grouped keys these are the edges that
 * EAP-IG and MIB count: 32,491 for GPT-2 small. They count keys and values once for every head;
 * here a group is one receiver.
 *
 * Both sides are untrusted: counts are checked before memory is reserved. Pure functions; any
 * thread. */
#ifndef COMMON_ATTRIBUTE_H
#define COMMON_ATTRIBUTE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

enum { ATTRIBUTE_MAX_NODES = 1 << 20, ATTRIBUTE_MAX_EDGES = 1 << 24, ATTRIBUTE_MAX_STEPS = 1000 };

enum attribute_method {
    ATTRIBUTE_ATP,   /* nodes; slopes at the clean run */
    ATTRIBUTE_EAP,   /* nodes and edges; slopes at the clean run */
    ATTRIBUTE_EAP_IG /* slopes averaged over embeddings on the way from corrupted to clean */
};
enum { ATTRIBUTE_N_METHODS = ATTRIBUTE_EAP_IG + 1 };
const char *attribute_method_name(enum attribute_method method); /* "atp", "eap", "eap_ig" */
/* Errors: ST_BAD_INPUT names the choices. */
MUST_CHECK status_t attribute_method_parse(const char *name, enum attribute_method *out,
                                           struct error *err);

struct attribute_shape {
    size_t n_layers, n_heads, n_kv_heads;
};

/* Senders of a layer are its heads and its MLP; receivers its queries, keys, values and its MLP. */
size_t attribute_n_nodes(const struct attribute_shape *shape);
size_t attribute_n_senders(const struct attribute_shape *shape);
size_t attribute_n_edges(const struct attribute_shape *shape);
/* First node of a layer: its head 0. */
size_t attribute_layer_node(const struct attribute_shape *shape, size_t layer);
/* First sender of a layer: its head 0. The same number of senders lies before the layer. */
size_t attribute_layer_sender(const struct attribute_shape *shape, size_t layer);
/* First edge into the attention of a layer, into its MLP; layer n_layers: into the logits. */
size_t attribute_attention_edge(const struct attribute_shape *shape, size_t layer);
size_t attribute_mlp_edge(const struct attribute_shape *shape, size_t layer);

struct attribute_unit {
    uint32_t first_prompt, n_prompts; /* n_prompts >= 1 */
};
MUST_CHECK status_t attribute_unit_encode(const struct attribute_unit *unit, struct buffer *out,
                                          struct error *err);
/* Errors: ST_PROTOCOL (another version), ST_CORRUPT. */
MUST_CHECK status_t attribute_unit_decode(const void *bytes, size_t n_bytes,
                                          struct attribute_unit *out, struct error *err);

struct attribute_result {
    size_t n_prompts, n_nodes, n_edges;
    double *nodes, *edges; /* owned; sums over the unit's prompts */
};
void attribute_result_fini(struct attribute_result *result); /* safe on zeroed */

/* Append a result. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t attribute_result_encode(const struct attribute_result *result,
                                            struct buffer *out, struct error *err);
/* On ST_OK the caller owns *out (fini). Errors: ST_PROTOCOL, ST_CORRUPT (a score that is not
 * finite among them), ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t attribute_result_decode(const void *bytes, size_t n_bytes,
                                            struct attribute_result *out, struct error *err);

#endif
