/* The parts of the batched run of variants. Private to worker/model/variants*.c. */
#ifndef WORKER_MODEL_VARIANTS_PARTS_H
#define WORKER_MODEL_VARIANTS_PARTS_H

#include "worker/model/forward_parts.h"
#include "worker/model/variants.h"

struct edge_plan;
struct variants_edges;

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
    float *pre, *qkv, *z, *mid, *delta; /* qkv: as attention reads it; delta: the MLP's output
                                         * without its bias */
};

/* A variant of the batch. Number i of those inside has rows [i * n, (i + 1) * n) of the pass, n
 * the rows of the prompts. */
struct placed_variant {
    const struct variant *variant;
    size_t index;            /* in the caller's list */
    size_t order;            /* layer * ENTRY_N + enum variant_entry */
    size_t first_position;   /* nothing differs from the clean pass in front of it */
    struct edge_plan *edges; /* owned while it is in a batch; NULL without edges */
};

/* Context of the pass's edits. */
struct variants_edit {
    struct variants *variants;
    struct hook_point hook;
};

/* What attention reads and writes where the rows of the pass are late positions alone; device,
 * all positions of the batch. NULL until a batch has some. */
struct late_heads {
    float *qkv, *z;
};

struct variants {
    struct forward *forward; /* room for n_batch + 1 copies of the prompts */
    size_t n_prompts, n_ctx, n_batch;
    size_t n_columns;
    uint32_t *column_ids;                 /* [n_columns], or NULL: the whole vocabulary */
    uint32_t *tokens, *lengths, *answers; /* of the prompts; lengths repeated for every copy */
    bool is_loaded;
    struct clean_layer *clean; /* [n_layers] */
    float *clean_out;          /* host: an answer of variants_clean() */
    struct packed *columns;    /* the head's columns that count; NULL: all, or compared */
    bool is_compared;
    struct row_pair *pairs; /* [n_batch + 1, n_prompts]: a row of the pass and its clean one */
    struct divergence *divergences; /* host, likewise */
    const struct divergence *taken; /* those of the variant that is handed out */
    float *clean_answers; /* device [n_prompts, d_model]: of whole passes that are compared; NULL:
                           * none yet */
    float *logits, *logits_host;  /* [rows at answer positions, n_columns] */
    struct placed_variant *batch; /* [n_batch + 1]; the first is clean */
    size_t n_placed, n_inside;
    size_t first_position; /* of those in the batch: rows are the positions from there on */
    struct late_heads late;
    size_t *rows, *answer_rows;   /* [n_prompts * n_ctx], 0 and up; [n_prompts] */
    bool is_at_answers;           /* the rows of the pass are the prompts' answer positions */
    float *path_rows;             /* host [n_prompts * n_ctx, widest]: a sender's values */
    struct variants_edges *edges; /* NULL until a variant has some */
    struct edit *moves; /* host [move_capacity]: edits of the device, while a list is made */
    size_t n_moves, move_capacity;
    const float **terms; /* host [term_capacity]: device rows that edits of the list sum */
    size_t n_terms, term_capacity;
    float *staged; /* device [n_staged]: values of a change that are nowhere else on the device */
    size_t n_staged;
    struct variants_edit edit_contexts[HOOK_N_KINDS];
    struct forward_edit edits[HOOK_N_KINDS];
    struct forward_input input;
};

/* --- variants.c --- */

/* variants_clean() where it lies: device, until the pass goes on. */
status_t variants_clean_rows(struct variants *variants, struct hook_point hook, const float **out,
                             struct error *err);

/* --- variants_change.c --- */

/* Does every change and every edge lie in the model? Names the first that does not. */
status_t variant_check(const struct variants *variants, const struct variant *variant, size_t index,
                       struct error *err);
/* One change in rows [n_prompts * n_ctx], ld apart. */
void variant_make_change(const struct variants *variants, const struct variant_change *change,
                         float *values, size_t ld);
/* Where a change is made: layer * ENTRY_N + entry. */
size_t variant_order_of(struct hook_point hook);
/* Where its first change is, or the first receiver of its edges; SIZE_MAX without one. */
size_t variant_order(const struct variant *variant);
/* The edits of the pass that make the changes of whoever is inside, at this layer. */
void variants_edit_layer(struct variants *variants, size_t layer);

/* All changes of number `index` of those inside at one hook point, on the host: values are its
 * rows, ld apart. */
status_t variants_change_one(struct variants *variants, size_t index, struct hook_point hook,
                             float *values, size_t ld, struct error *err);

/* --- variants_moves.c --- */

/* Rows [first, first + n) of those at hand, which are rows [row, row + n) of the prompts. */
struct row_stretch {
    size_t first, row, n;
};
/* The stretch behind *at (zeroed: the first one) of rows that `is_row`, if given, marks, at
 * positions from first_position on. False: there is no other. */
bool variants_next_stretch(const struct variants *variants, const uint8_t *is_row,
                           size_t first_position, struct row_stretch *at);
/* Onto the list of edits. Terms are those of the edit that is added next. */
status_t variants_add_move(struct variants *variants, const struct edit *move, struct error *err);
status_t variants_add_term(struct variants *variants, const float *rows, struct error *err);
/* The list in x, device [n_rows, at most ld]; then it is empty. */
status_t variants_make_moves(struct variants *variants, float *x, size_t n_rows, size_t ld,
                             struct error *err);
/* Where the values of a change lie on the device, NULL for zeros: brought there if nobody has, to a
 * place that the next ones overwrite, so edits that read them are made before. */
status_t variants_put_values(struct variants *variants, const struct variant_change *change,
                             const float **out, struct error *err);
void variants_moves_destroy(struct variants *variants);

/* --- variants_device.c --- */

/* The same for everyone inside, by operations where the rows are; hooks that have none, on the
 * host. A forward_change_fn of a struct variants_edit. */
status_t variants_change_place(void *context, const struct forward_place *place, struct error *err);

/* --- variants_logits.c --- */

/* Room for what the prompts ask for at answer positions; before it what there was goes. */
status_t variants_take_columns(struct variants *variants, const struct variants_prompts *prompts,
                               struct error *err);
void variants_logits_destroy(struct variants *variants);
/* Logits, and comparisons, of the rows at answer positions, on the host. */
status_t variants_read_logits(struct variants *variants, struct error *err);
/* Behind the layers of a whole pass: its answers become those of place 0 (clean) or 1, from the
 * logits of all positions, or compared. */
status_t variants_keep_answers(struct variants *variants, size_t place, struct error *err);
status_t variants_compare_answers(struct variants *variants, size_t place, struct error *err);

/* --- variants_late.c --- */

/* In front of it nothing of the variant differs from the clean pass, in any prompt; 0 where that
 * is not known, or too early to be worth anything. At most the first answer position. */
size_t variant_first_position(const struct variants *variants, const struct variant *variant);
/* forward_to_heads() for rows that are late positions: the rest of the keys and values is clean. */
status_t variants_late_heads(struct variants *variants, size_t layer, struct error *err);
void variants_late_destroy(struct variants *variants);

/* --- variants_run.c --- */

/* A new pass over the prompts: nobody is inside. */
void variants_begin(struct variants *variants);
/* A batch of the clean variant alone. */
void variants_place_clean(struct variants *variants);

/* --- variants_edges.c --- */

void variants_edges_destroy(struct variants *variants);
/* What is known of the clean pass alone: values that senders are set to are the caller's. */
void variants_edges_forget(struct variants *variants);
/* Plan and differences of one that is about to be in a batch (its order is known), and the end of
 * them. Leave what was placed, also where placing failed. */
status_t variants_edges_place(struct variants *variants, struct placed_variant *placed,
                              struct error *err);
void variants_edges_leave(struct variants *variants, struct placed_variant *placed);
/* Do those in the batch hold so much that no more should come? */
bool variants_edges_are_many(const struct variants *variants);
/* Must it pass an edit at that hook point? */
bool variants_edges_touch(const struct placed_variant *placed, struct hook_point hook);
/* Number `index` of those inside at a hook point, in front of its changes and behind them.
 * values: its rows, device, ld apart. */
status_t variants_edges_before(struct variants *variants, size_t index, struct hook_point hook,
                               float *values, size_t ld, struct error *err);
status_t variants_edges_behind(struct variants *variants, size_t index, struct hook_point hook,
                               float *values, size_t ld, struct error *err);

/* --- variants_layer.c --- */

/* Rows of each of those inside, and which row of the prompts the r-th of them is. */
size_t variants_rows_each(const struct variants *variants);
size_t variants_row(const struct variants *variants, size_t r);

/* The rows of whoever is inside are those that the pass works on. */
void variants_use_rows(struct variants *variants);
/* One layer of the growing batch; behind the last one only answer positions are left. */
status_t variants_layer(struct variants *variants, size_t layer, struct error *err);
/* One layer of the clean pass, kept. */
status_t variants_keep_layer(struct variants *variants, size_t layer, struct error *err);

#endif
