/* The parts of the batched run of variants. Private to worker/model/variants*.c. */
#ifndef WORKER_MODEL_VARIANTS_PARTS_H
#define WORKER_MODEL_VARIANTS_PARTS_H

#include "worker/model/forward_parts.h"
#include "worker/model/variants.h"

/* Where in a layer a variant leaves the clean pass; in order. */
enum variant_entry {
    ENTRY_PRE, /* at the residual stream, q, k, v */
    ENTRY_Z,   /* at heads, the output of attention */
    ENTRY_MID, /* at the residual stream after attention, neurons */
    ENTRY_OUT, /* at the MLP's output, the residual stream behind it */
    ENTRY_N
};

/* The clean pass through one layer, device, [n_prompts * n_ctx, ...]. */
struct clean_layer {
    float *pre, *z, *mid, *delta; /* delta: the MLP's output without its bias */
};

/* A variant of the batch. Number i of those inside has rows [i * n, (i + 1) * n) of the pass, n
 * the rows of the prompts. */
struct placed_variant {
    const struct variant *variant;
    size_t index; /* in the caller's list */
    size_t order; /* layer * ENTRY_N + enum variant_entry */
};

/* Context of the pass's edits. */
struct variants_edit {
    struct variants *variants;
    struct hook_point hook;
};

struct variants {
    struct forward *forward; /* room for n_batch + 1 copies of the prompts */
    size_t n_prompts, n_ctx, n_batch;
    size_t n_columns;
    uint32_t *column_ids;                 /* [n_columns], or NULL: the whole vocabulary */
    uint32_t *tokens, *lengths, *answers; /* of the prompts; lengths repeated for every copy */
    bool is_loaded;
    struct clean_layer *clean;    /* [n_layers] */
    float *clean_out;             /* host: an answer of variants_clean() */
    struct packed *columns;       /* the head's columns that count; NULL: all */
    float *logits, *logits_host;  /* [rows at answer positions, n_columns] */
    struct placed_variant *batch; /* [n_batch + 1]; the first is clean */
    size_t n_placed, n_inside;
    bool is_at_answers; /* the rows of the pass are the prompts' answer positions */
    float *path_rows;   /* host [n_prompts * n_ctx, widest]: a sender's values */
    struct variants_edit edit_contexts[HOOK_N_KINDS];
    struct forward_edit edits[HOOK_N_KINDS];
    struct forward_input input;
};

/* --- variants_change.c --- */

/* Does every change lie in the model? Names the first that does not. */
status_t variant_check(const struct variants *variants, const struct variant *variant, size_t index,
                       struct error *err);
/* One change in rows [n_prompts * n_ctx], ld apart. */
void variant_make_change(const struct variants *variants, const struct variant_change *change,
                         float *values, size_t ld);
/* Where its first change is: layer * ENTRY_N + entry; SIZE_MAX without one. */
size_t variant_order(const struct variant *variant);
/* The edits of the pass that make the changes of whoever is inside, at this layer. */
void variants_edit_layer(struct variants *variants, size_t layer);

/* --- variants_run.c --- */

/* A new pass over the prompts: nobody is inside. */
void variants_begin(struct variants *variants);
/* A batch of the clean variant alone. */
void variants_place_clean(struct variants *variants);

/* --- variants_layer.c --- */

/* The rows of whoever is inside are those that the pass works on. */
void variants_use_rows(struct variants *variants);
/* One layer of the growing batch; behind the last one only answer positions are left. */
status_t variants_layer(struct variants *variants, size_t layer, struct error *err);
/* One layer of the clean pass, kept. */
status_t variants_keep_layer(struct variants *variants, size_t layer, struct error *err);

#endif
