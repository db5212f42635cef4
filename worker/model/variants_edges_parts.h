/* What edges hold while variants run, and the arithmetic of edges twice: on the host where the
 * device's memory is the host's (variants_edges_host.c), by operations where it is not
 * (variants_edges_device.c). Private to worker/model/variants_edges*.c.
 *
 * Both do the same sums in the same order: a receiver's is 0 and its terms one after the other, and
 * a row whose sum is exactly 0 is left alone. */
#ifndef WORKER_MODEL_VARIANTS_EDGES_PARTS_H
#define WORKER_MODEL_VARIANTS_EDGES_PARTS_H

#include "worker/model/head_weights.h"
#include "worker/model/variants_edge_plan.h"
#include "worker/model/variants_parts.h"

/* Of the clean pass, for all variants of one call that leave it behind the sender. */
struct clean_difference {
    struct variant_change what;
    float *values; /* device [n_prompts * n_ctx, d_model] */
};

/* Host memory of the sums where they are made there. */
struct edge_host {
    float *sums;         /* [sum_capacity, n_prompts * n_ctx, d_model] */
    size_t sum_capacity; /* receivers */
};

/* Device memory of the sums where they are made there, and what comes of it. */
struct edge_device {
    float *sums;  /* [n_sums, n_prompts * n_ctx, d_model] */
    float *norms; /* [n_sums, n_prompts * n_ctx]: 0 where a row of a sum is 0 */
    float *norms_host;
    size_t n_sums; /* receivers */
};

struct variants_edges {
    struct head_weights *heads; /* [n_layers], loaded when first needed */
    struct clean_difference *clean;
    size_t n_clean, clean_capacity;
    float **spare; /* [n_made]: device [n_prompts * n_ctx, d_model], n_spare of them nobody's */
    size_t n_spare, n_made;
    size_t n_bytes, n_own_bytes; /* taken of them; by variants' own runs */
    float *x, *y;                /* device, [rows up to whole blocks, widest] */
    struct edge_host host;
    struct edge_device device;
};

/* --- variants_edges.c --- */

size_t edges_n_rows(const struct variants *v); /* tokens of the prompts */
/* The weights of a layer's heads, loaded if they are not yet. */
status_t edges_heads_of(struct variants *v, size_t layer, const struct head_weights **out,
                        struct error *err);
/* y [n, n_out] = x [n, n_in] W, in edges' x and y. */
status_t edges_multiply(struct variants *v, const struct packed *weights, size_t n_in, size_t n_out,
                        size_t n, struct error *err);
/* y = norm_1(x) W_h + b for one head's q, k or v, of the rows at hand; x is normed in place. */
status_t edges_project(struct variants *v, struct hook_point hook, size_t head, struct error *err);
/* A term of a receiver: device [n_prompts * n_ctx, d_model]. */
const float *edges_term(const struct edge_plan *plan, const struct edge_receiver *receiver,
                        size_t k);

/* --- the arithmetic: variants_edges_host.c, variants_edges_device.c --- */

struct edge_arithmetic {
    /* out [n_prompts * n_ctx, d_model] = what the change sets less what is there, as it arrives in
     * the stream. values: those at the sender, of the rows at hand (all of them in front of the
     * last layer's MLP). Rows that are not at hand stay as they are: nobody reads them. */
    status_t (*make_difference)(struct variants *v, const struct variant_change *what,
                                const float *values, size_t ld, float *out, struct error *err);
    /* One head's q, k or v of each receiver [n] of a hook point, from the stream of the rows at
     * hand plus its sum. */
    status_t (*receive_heads)(struct variants *v, size_t index, struct hook_point hook,
                              float *values, size_t ld, struct error *err);
    /* values, the stream, += the receiver's sum. */
    status_t (*receive_stream)(struct variants *v, const struct edge_plan *plan,
                               const struct edge_receiver *receiver, float *values, size_t ld,
                               struct error *err);
    /* The stream of the rows at hand into plan->kept, d_model apart. */
    status_t (*keep_stream)(struct variants *v, const struct edge_plan *plan, const float *values,
                            size_t ld, struct error *err);
};
extern const struct edge_arithmetic edges_on_host, edges_on_device;

void edges_free_host(struct variants *v);
void edges_free_device(struct variants *v);

#endif
