/* Many changed copies of one batch of prompts, for the price of what the changes touch.
 *
 *   prompts [n_prompts, n_ctx] --clean pass, kept layer by layer--> cache
 *   variant = what is set or added at hook points
 *
 * A variant starts where its first change is, from the clean pass. Variants join one growing batch,
 * layer by layer, so the weights of a layer are read once for all of them. What a variant leaves
 * alone in front of its first changed position is not computed again: attention reads the clean
 * keys and values there, so a change at the end costs a token and not a prompt. The last layer, the
 * final norm and the logits are computed at the answer positions alone, the logits for the asked
 * tokens alone (reference: circuits.md 6). variants_run_naive() does the same work by one whole
 * forward pass per variant, and is what this is compared with.
 *
 * A variant's logits depend on its own changes and the prompts, bit for bit: not on the others of
 * its batch, its place in it, or the size of the batch. One that changes nothing has the clean
 * logits, so the effect of a component that does nothing is exactly 0.
 *
 * A struct variants belongs to one thread; the model is shared. */
#ifndef WORKER_MODEL_VARIANTS_H
#define WORKER_MODEL_VARIANTS_H

#include "worker/model/forward.h"

struct variants;

struct variants_params {
    struct model *model; /* borrowed */
    size_t n_prompts, n_ctx;
    size_t n_batch;                 /* variants at once, >= 1; fewer on a device with less room */
    atomic_uint_fast64_t *progress; /* one tick per layer; borrowed; may be NULL */
};

/* Bytes on the device, for memory plans: of the clean pass over n_tokens of prompts, of a batch for
 * each token of a copy of the prompts, and of the smallest batch: a variant beside the clean
 * run. */
size_t variants_clean_bytes(const struct model_config *config, size_t n_tokens);
size_t variants_token_bytes(const struct model_config *config);
size_t variants_least_bytes(const struct model_config *config, size_t n_tokens);

/* On ST_OK the caller owns *out. Errors: those of forward_create(), ST_BAD_INPUT (no batch). */
MUST_CHECK status_t variants_create(struct variants **out, const struct variants_params *params,
                                    struct error *err);
void variants_destroy(struct variants **variants); /* NULL-safe */

struct variants_prompts {
    const uint32_t *tokens;  /* [n_prompts, n_ctx] */
    const uint32_t *lengths; /* [n_prompts], each 1..n_ctx */
    const uint32_t *answers; /* [n_prompts]: position whose logits count, below the length */
    const uint32_t *columns; /* [n_columns] token ids whose logits count; NULL: all n_vocab */
    size_t n_columns;
    bool is_compared; /* with columns: the whole distributions too (variants_divergences()) */
};

/* The prompts, and their clean pass. Copied. Errors: ST_BAD_INPUT (ids, lengths, positions),
 * ST_NO_MEMORY. */
MUST_CHECK status_t variants_load(struct variants *variants, const struct variants_prompts *prompts,
                                  struct error *err);

/* Values of the clean pass at Z, MLP_OUT (bias included), RESID_PRE or RESID_MID of a layer, for
 * changes of other variants or of another batch of prompts: host [n_prompts * n_ctx, width],
 * borrowed until the next load. Errors: ST_UNSUPPORTED (another kind). */
MUST_CHECK status_t variants_clean(struct variants *variants, struct hook_point hook,
                                   const float **out, struct error *err);

/* One change: columns [column, column + n_columns) at a hook point that forward_can_edit(), on the
 * rows that `is_row` marks. With `values`, row r of the batch gets values[r * ld ...]; ld 0 gives
 * every row the same. The arrays are the caller's and outlive the run. */
struct variant_change {
    struct hook_point hook;
    size_t column, n_columns;
    bool is_added;          /* to what is there; else set */
    const float *values;    /* host, n_columns floats a row; NULL: zeros */
    size_t ld;              /* floats between the rows of values, or 0 */
    const float *on_device; /* where `values` lie on the model's device as well, or NULL: they are
                             * brought there for every batch */
    const uint8_t *is_row;  /* [n_prompts * n_ctx], or NULL: all rows */
    size_t first_position;  /* positions before it are left alone, beside what is_row says */
};

/* One ablated edge: `receiver` reads the stream of this run with what `sender` would write under
 * its change in the place of what it writes in this run; whoever else reads the sender sees it as
 * it is. Any number of edges make a graph, of which the edges that are not listed are kept: they
 * carry what their sender computes in this run, changed inputs and all (Conmy et al. 2023, Syed et
 * al. 2023). The bias of attention's output belongs to no sender, that of the MLP's to the MLP. */
struct variant_edge {
    struct variant_change sender; /* set, not added: Z, MLP_OUT, or RESID_PRE of layer 0: the
                                   * embedding */
    struct hook_point receiver;   /* Q, K or V; MLP_OUT: what the MLP reads; RESID_POST of the last
                                   * layer: the logits */
    size_t column, n_columns;     /* of the receiver: whole heads of Q, K, V; all of the others */
};

/* The rows of one variant at a hook point: r is row `rows[r]` of the batch of prompts. Rows that
 * nobody reads any more may be missing. */
struct variant_rows {
    float *values; /* host [n_rows, width of the hook], ld apart */
    size_t ld, n_rows;
    const size_t *rows; /* [n_rows], ascending */
};
/* What a variant does with its rows itself, behind its changes there: for what depends on
 * the values of its own run. It must change a row by that row alone, and must not use the variants
 * that call it. An error ends the run with it. */
typedef status_t variant_hook_fn(void *context, const struct variant_rows *rows, struct error *err);
/* The same rows where the device has them, to be changed by operations asked of `exec`. */
struct variant_place {
    const struct backend_ops *ops;
    struct exec *exec;
    float *values; /* device */
    size_t ld, n_rows;
    const size_t *rows; /* [n_rows], ascending */
};
typedef status_t variant_place_fn(void *context, const struct variant_place *place,
                                  struct error *err);
struct variant_hook {
    struct hook_point hook; /* of a kind that forward_can_edit() */
    variant_hook_fn *apply;
    void *context;
    variant_place_fn *change; /* the same by operations, with the same bits, or NULL */
};

struct variant {
    const struct variant_change *changes; /* made in this order where they meet */
    size_t n_changes;
    const struct variant_edge *edges; /* in any order; changes of a receiver come behind them, those
                                       * of a sender before */
    size_t n_edges;
    const struct variant_hook *hooks;
    size_t n_hooks;
}; /* zeroed: the clean pass once more */

/* Along one edge of the clean pass, once for all receivers of a layer: what a receiver computes
 * when it alone sees a sender changed (path patching, Wang et al. 2022). The sender's difference to
 * the clean pass is added to the stream that the receiver reads; nothing between them is computed
 * again. */
enum path_receiver {
    PATH_QKV,   /* q, k and v of all heads of a layer, side by side: [(n_heads + 2 n_kv) d_head] */
    PATH_MLP,   /* the MLP's output, bias included: [d_model] */
    PATH_LOGITS /* the stream behind the last layer: what is to be added to it, [d_model] */
};
struct variant_path {
    struct variant_change sender; /* Z, MLP_OUT, or RESID_PRE of layer 0: the embedding */
    enum path_receiver receiver;
    size_t layer; /* of the receiver */
};
size_t variants_path_width(const struct variants *variants, enum path_receiver receiver);
/* out: host [n_prompts * n_ctx, width], the receiver's values; set at the columns of one head's q,
 * k or v, at MLP_OUT, or added at RESID_POST of the last layer they are the edge's variant. After
 * a load. Errors: ST_BAD_INPUT (a sender that is none, or not before the receiver). */
MUST_CHECK status_t variants_path(struct variants *variants, const struct variant_path *path,
                                  float *out, struct error *err);

/* What comes of variant `index`: logits [n_prompts, n_columns] at the answer positions, beside the
 * clean ones of the same batch; borrowed for the call. An error ends the run with it. */
typedef status_t variants_take_fn(void *context, size_t index, const float *logits,
                                  const float *clean, struct error *err);

/* While `take` is called, of prompts that are compared: of each prompt the variant's distribution q
 * at the answer position beside the clean run's, p (kernels/backend.h): [n_prompts], borrowed for
 * the call. NULL where they are not compared. */
const struct divergence *variants_divergences(const struct variants *variants);

/* All of list [n], `take` once for each, in an order that is the same every time. After a load.
 * Errors: ST_BAD_INPUT (a change or an edge that does not lie in the model), ST_TOO_LARGE (edges of
 * one variant), ST_NO_MEMORY, those of `take`. */
MUST_CHECK status_t variants_run(struct variants *variants, const struct variant *list, size_t n,
                                 variants_take_fn *take, void *context, struct error *err);

/* The same by whole passes: every variant from the tokens, all positions, the whole vocabulary. */
MUST_CHECK status_t variants_run_naive(struct variants *variants, const struct variant *list,
                                       size_t n, variants_take_fn *take, void *context,
                                       struct error *err);

#endif
