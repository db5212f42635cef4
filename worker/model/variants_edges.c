/* Edges of variants while they run: what senders would have written is kept as they write, and
 * receivers read the stream of their run plus the sum of what their ablated edges change in it.
 *
 *   embedding  RESID_PRE of layer 0   value - x                      -+
 *   head       Z                      (value - z)_h W_O,h             +-> differences
 *                                                                         [rows, d_model]
 *   MLP        MLP_OUT                value - out                    -+
 *
 *   q, k, v    norm_1(x + sum) W_h + b, one head or group at a time   in the place of what is there
 *   MLP        RESID_MID + sum until MLP_OUT, then the stream as it was
 *   logits     RESID_POST of the last layer + sum
 *
 * Every hook point is an edit of the pass (variants_change.c), so batches and whole passes share
 * this. A row whose sum is exactly 0 is left alone: edges from a component that does nothing have
 * exactly no effect. Sums are f32, sender by sender in the order of the model, a row at a time for
 * all receivers of a hook point: the differences of one row fit into the cache. */
#include "worker/model/variants_edge_plan.h"
#include "worker/model/variants_parts.h"

#include "worker/model/head_weights.h"

#include <stdlib.h>
#include <string.h>

/* Differences held at once; a batch takes no more variants with edges than that. */
#define MAX_BYTES ((size_t)4 << 30)
#define BATCH_BYTES ((size_t)256 << 20)

/* Of the clean pass, for all variants of one call that leave it behind the sender. */
struct clean_difference {
    struct variant_change what;
    float *values; /* [n_prompts * n_ctx, d_model] */
};

struct variants_edges {
    struct head_weights *heads; /* [n_layers], loaded when first needed */
    struct clean_difference *clean;
    size_t n_clean, clean_capacity;
    size_t n_bytes, n_own_bytes; /* of all differences; of those of variants' own runs */
    float *x, *y;                /* device, [rows up to whole blocks, widest] */
    float *rows, *sums;  /* host [n_prompts * n_ctx, d_model]; of all receivers of a hook point */
    float *results;      /* host, likewise */
    size_t sum_capacity; /* receivers that `sums` has room for */
};

static size_t n_all_rows(const struct variants *v)
{
    return v->n_prompts * v->n_ctx;
}

static size_t difference_bytes(const struct variants *v)
{
    return n_all_rows(v) * v->forward->config->d_model * sizeof(float);
}

void variants_edges_destroy(struct variants *v)
{
    struct variants_edges *e = v->edges;
    if (!e) return;
    variants_edges_forget(v);
    for (size_t i = 0; e->heads && i < v->forward->config->n_layers; i++)
        head_weights_unload(&e->heads[i]);
    v->forward->ops->release(v->forward->backend, e->x);
    v->forward->ops->release(v->forward->backend, e->y);
    free(e->heads);
    free(e->clean);
    free(e->rows);
    free(e->sums);
    free(e->results);
    free(e);
    v->edges = NULL;
}

static status_t create(struct variants *v, struct error *err)
{
    struct forward *f = v->forward;
    const size_t d = f->config->d_model, block = f->row_block;
    const size_t widest = d > f->config->d_head ? d : f->config->d_head;
    const size_t n_padded = (n_all_rows(v) + block - 1) / block * block;
    if (v->edges) return ST_OK;
    struct variants_edges *e = v->edges = calloc(1, sizeof *e);
    if (!e) return error_set(err, ST_NO_MEMORY, "edges");
    e->heads = calloc(f->config->n_layers, sizeof *e->heads);
    e->rows = calloc(n_all_rows(v), d * sizeof *e->rows);
    e->results = calloc(n_all_rows(v), widest * sizeof *e->results);
    if (!e->heads || !e->rows || !e->results)
        return error_set(err, ST_NO_MEMORY, "edges over %zu tokens", n_all_rows(v));
    const status_t status = forward_floats(f, n_padded, widest, &e->x, err);
    return status == ST_OK ? forward_floats(f, n_padded, widest, &e->y, err) : status;
}

static status_t heads_of(struct variants *v, size_t layer, const struct head_weights **out,
                         struct error *err)
{
    struct head_weights *w = &v->edges->heads[layer];
    *out = w;
    return w->in ? ST_OK : head_weights_load(w, v->forward->model, layer, err);
}

/* y [n, n_out] = x [n, n_in] W, both on the host; x and y may be one array. */
static status_t multiply(struct variants *v, const struct packed *weights, const float *x,
                         size_t n_in, float *y, size_t n_out, size_t n, struct error *err)
{
    struct forward *f = v->forward;
    struct variants_edges *e = v->edges;
    const size_t block = f->row_block;
    const struct matmul_params product = {.weights = weights,
                                          .x = e->x,
                                          .y = e->y,
                                          .ld_x = n_in,
                                          .ld_y = n_out,
                                          .n_rows = (n + block - 1) / block * block};
    status_t status = f->ops->upload(f->exec, e->x, x, n * n_in * sizeof *x, err);
    if (status == ST_OK) status = f->ops->matmul(f->exec, &product, err);
    return status == ST_OK ? f->ops->download(f->exec, y, e->y, n * n_out * sizeof *y, err)
                           : status;
}

/* --- differences --------------------------------------------------------------------------- */

/* to [n_columns] = what the change sets in `row` less what is there. Is any of it not 0? */
static bool subtract(const struct variant_change *what, size_t row, size_t column, size_t n_columns,
                     const float *from, float *to)
{
    bool is_any = false;
    if (what->is_row && !what->is_row[row]) return false;
    const float *values =
        what->values ? what->values + row * what->ld + (column - what->column) : NULL;
    for (size_t i = 0; i < n_columns; i++) {
        to[i] = (values ? values[i] : 0.0F) - from[column + i];
        is_any = is_any || to[i] != 0.0F;
    }
    return is_any;
}

/* Of one head whose columns begin at `begin`, added to out. values: z of all rows. */
static status_t add_head(struct variants *v, const struct variant_change *what, size_t begin,
                         const float *values, size_t ld, float *out, struct error *err)
{
    const size_t d_head = v->forward->config->d_head, d = v->forward->config->d_model;
    const size_t end = what->column + what->n_columns;
    const size_t low = what->column > begin ? what->column : begin;
    const size_t high = end < begin + d_head ? end : begin + d_head;
    const struct head_weights *heads;
    float *x = v->edges->results, *y = v->edges->results;
    bool is_any = false;
    memset(x, 0, n_all_rows(v) * d_head * sizeof *x);
    for (size_t r = 0; r < n_all_rows(v); r++)
        is_any |=
            subtract(what, r, low, high - low, values + r * ld, x + r * d_head + (low - begin));
    if (!is_any) return ST_OK;
    status_t status = heads_of(v, what->hook.layer, &heads, err);
    if (status == ST_OK)
        status = multiply(v, heads->out[begin / d_head], x, d_head, y, d, n_all_rows(v), err);
    for (size_t i = 0; i < n_all_rows(v) * d && status == ST_OK; i++) out[i] += y[i];
    return status;
}

/* out [n_prompts * n_ctx, d_model]; values: those at the sender, of the rows at hand (all of them
 * in front of the last layer's MLP). Rows that are not at hand stay as they are: nobody reads
 * them. */
static status_t make_difference(struct variants *v, const struct variant_change *what,
                                const float *values, size_t ld, float *out, struct error *err)
{
    const size_t d_head = v->forward->config->d_head, d = v->forward->config->d_model;
    status_t status = ST_OK;
    if (what->hook.kind == HOOK_Z) {
        memset(out, 0, difference_bytes(v));
        for (size_t begin = what->column / d_head * d_head;
             begin < what->column + what->n_columns && status == ST_OK; begin += d_head)
            status = add_head(v, what, begin, values, ld, out, err);
        return status;
    }
    for (size_t r = 0; r < variants_rows_each(v); r++) {
        const size_t row = variants_row(v, r);
        memset(out + row * d, 0, d * sizeof *out);
        (void)subtract(what, row, what->column, what->n_columns, values + r * ld,
                       out + row * d + what->column);
    }
    return ST_OK;
}

static status_t new_difference(struct variants *v, float **out, struct error *err)
{
    const size_t n_bytes = difference_bytes(v);
    if (n_bytes > MAX_BYTES || v->edges->n_bytes > MAX_BYTES - n_bytes)
        return error_set(err, ST_TOO_LARGE,
                         "edges from so many senders over %zu tokens: over %zu GiB", n_all_rows(v),
                         MAX_BYTES >> 30);
    *out = calloc(1, n_bytes);
    if (!*out) return error_set(err, ST_NO_MEMORY, "an edge over %zu tokens", n_all_rows(v));
    v->edges->n_bytes += n_bytes;
    return ST_OK;
}

static bool is_same(const struct variant_change *a, const struct variant_change *b)
{
    return a->hook.kind == b->hook.kind && a->hook.layer == b->hook.layer &&
           a->column == b->column && a->n_columns == b->n_columns && a->values == b->values &&
           a->ld == b->ld && a->is_row == b->is_row;
}

static status_t grow_clean(struct variants_edges *e, struct error *err)
{
    const size_t capacity = e->clean_capacity ? 2 * e->clean_capacity : 64;
    if (e->n_clean < e->clean_capacity) return ST_OK;
    struct clean_difference *clean = realloc(e->clean, capacity * sizeof *clean);
    if (!clean) return error_set(err, ST_NO_MEMORY, "%zu senders", capacity);
    e->clean = clean;
    e->clean_capacity = capacity;
    return ST_OK;
}

/* The difference in the clean pass: made once. */
static status_t clean_difference(struct variants *v, const struct variant_change *what,
                                 const float **out, struct error *err)
{
    struct variants_edges *e = v->edges;
    const float *values;
    for (size_t i = e->n_clean; i > 0; i--)
        if (is_same(&e->clean[i - 1].what, what)) {
            *out = e->clean[i - 1].values;
            return ST_OK;
        }
    float *made = NULL;
    status_t status = grow_clean(e, err);
    if (status == ST_OK) status = variants_clean(v, what->hook, &values, err);
    if (status == ST_OK) status = new_difference(v, &made, err);
    if (status != ST_OK) return status;
    e->clean[e->n_clean++] = (struct clean_difference){*what, made};
    *out = made;
    return make_difference(v, what, values, hook_point_width(what->hook, v->forward->config), made,
                           err);
}

void variants_edges_forget(struct variants *v)
{
    struct variants_edges *e = v->edges;
    if (!e) return;
    for (size_t i = 0; i < e->n_clean; i++) free(e->clean[i].values);
    e->n_clean = 0;
    e->n_bytes = 0;
}

/* --- variants come and go ------------------------------------------------------------------ */

static status_t own_difference(struct variants *v, float **out, struct error *err)
{
    const status_t status = new_difference(v, out, err);
    if (status == ST_OK) v->edges->n_own_bytes += difference_bytes(v);
    return status;
}

status_t variants_edges_place(struct variants *v, struct placed_variant *placed, struct error *err)
{
    if (!placed->variant->n_edges) return ST_OK;
    v->is_at_answers = false;
    status_t status = create(v, err);
    if (status == ST_OK)
        status = edge_plan_create(&placed->edges, placed->variant, v->forward->config,
                                  n_all_rows(v), err);
    for (size_t i = 0; status == ST_OK && i < placed->edges->n_senders; i++) {
        struct edge_sender *sender = &placed->edges->senders[i];
        if (variant_order_of(sender->what->hook) < placed->order)
            status = clean_difference(v, sender->what, &sender->clean, err);
        else
            status = own_difference(v, &sender->own, err);
    }
    return status == ST_OK ? ST_OK : error_wrap(err, "variant %zu", placed->index);
}

void variants_edges_leave(struct variants *v, struct placed_variant *placed)
{
    if (!placed->edges) return;
    for (size_t i = 0; i < placed->edges->n_senders; i++) {
        const size_t n_bytes = placed->edges->senders[i].own ? difference_bytes(v) : 0;
        v->edges->n_bytes -= n_bytes;
        v->edges->n_own_bytes -= n_bytes;
    }
    edge_plan_destroy(&placed->edges);
}

bool variants_edges_are_many(const struct variants *v)
{
    return v->edges && v->edges->n_own_bytes > BATCH_BYTES;
}

/* --- receivers ----------------------------------------------------------------------------- */

/* In pieces of a length that the compiler knows. */
static void add_row(float *restrict to, const float *restrict from, size_t n)
{
    enum { PIECE = 16 };
    size_t i = 0;
    for (; i + PIECE <= n; i += PIECE)
        for (size_t k = 0; k < PIECE; k++) to[i + k] += from[i + k];
    for (; i < n; i++) to[i] += from[i];
}

static bool is_zero(const float *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (row[i] != 0.0F) return false;
    return true;
}

static status_t reserve_sums(struct variants *v, size_t n_receivers, struct error *err)
{
    struct variants_edges *e = v->edges;
    if (n_receivers <= e->sum_capacity) return ST_OK;
    free(e->sums);
    e->sum_capacity = 0;
    e->sums = calloc(n_receivers, difference_bytes(v));
    if (!e->sums) return error_set(err, ST_NO_MEMORY, "%zu receivers", n_receivers);
    e->sum_capacity = n_receivers;
    return ST_OK;
}

/* sums [n_receivers, n rows at hand, d_model] */
static void sum_terms(const struct variants *v, const struct edge_plan *plan,
                      const struct edge_receiver *receivers, size_t n_receivers)
{
    const size_t d = v->forward->config->d_model, n = variants_rows_each(v);
    for (size_t r = 0; r < n; r++) {
        const size_t row = variants_row(v, r);
        for (size_t i = 0; i < n_receivers; i++) {
            float *to = v->edges->sums + (i * n + r) * d;
            memset(to, 0, d * sizeof *to);
            for (size_t k = 0; k < receivers[i].n; k++) {
                const struct edge_sender *sender =
                    &plan->senders[plan->terms[receivers[i].first + k]];
                add_row(to, (sender->own ? sender->own : sender->clean) + row * d, d);
            }
        }
    }
}

/* y = norm_1(x) W_h + b for one head, on the device. */
static status_t project(struct variants *v, struct hook_point hook, size_t head, struct error *err)
{
    struct forward *f = v->forward;
    const struct model_config *c = f->config;
    const struct layer_weights *w = &f->weights->layers[hook.layer];
    const size_t n = variants_rows_each(v), block = f->row_block;
    const size_t index = hook.kind == HOOK_Q   ? head
                         : hook.kind == HOOK_K ? c->n_heads + head
                                               : c->n_heads + c->n_kv_heads + head;
    const struct norm_params norm = {.kind = c->family->norm,
                                     .x = v->edges->x,
                                     .weight = w->norm_1.weight,
                                     .bias = w->norm_1.bias,
                                     .y = v->edges->x,
                                     .eps = c->norm_eps,
                                     .n_rows = n,
                                     .d = c->d_model};
    const struct add_params bias = {.a = v->edges->y,
                                    .bias = w->qkv.bias ? w->qkv.bias + index * c->d_head : NULL,
                                    .out = v->edges->y,
                                    .n_rows = n,
                                    .d = c->d_head,
                                    .ld_a = c->d_head,
                                    .ld_out = c->d_head};
    const struct head_weights *heads;
    status_t status = heads_of(v, hook.layer, &heads, err);
    if (status == ST_OK) status = f->ops->norm(f->exec, &norm, err);
    if (status != ST_OK) return status;
    const struct matmul_params product = {.weights = heads->in[index],
                                          .x = v->edges->x,
                                          .y = v->edges->y,
                                          .ld_x = c->d_model,
                                          .ld_y = c->d_head,
                                          .n_rows = (n + block - 1) / block * block};
    status = f->ops->matmul(f->exec, &product, err);
    return status == ST_OK && bias.bias ? f->ops->add(f->exec, &bias, err) : status;
}

/* One head's q, k or v of the stream in e->rows plus `sums`, in the rows where those are not 0. */
static status_t receive_head(struct variants *v, struct hook_point hook, size_t head,
                             const float *sums, float *values, size_t ld, struct error *err)
{
    struct forward *f = v->forward;
    struct variants_edges *e = v->edges;
    const size_t d = f->config->d_model, d_head = f->config->d_head, n = variants_rows_each(v);
    if (is_zero(sums, n * d)) return ST_OK;
    memcpy(e->results, e->rows, n * d * sizeof *e->results);
    add_row(e->results, sums, n * d);
    status_t status = f->ops->upload(f->exec, e->x, e->results, n * d * sizeof(float), err);
    if (status == ST_OK) status = project(v, hook, head, err);
    if (status == ST_OK)
        status = f->ops->download(f->exec, e->results, e->y, n * d_head * sizeof(float), err);
    for (size_t r = 0; r < n && status == ST_OK; r++)
        if (!is_zero(sums + r * d, d))
            memcpy(values + r * ld + head * d_head, e->results + r * d_head,
                   d_head * sizeof *values);
    return status;
}

static status_t receive_heads(struct variants *v, size_t index, struct hook_point hook,
                              float *values, size_t ld, struct error *err)
{
    struct forward *f = v->forward;
    const struct edge_plan *plan = v->batch[index].edges;
    const struct edge_receiver *first;
    const size_t n_receivers = edge_plan_receivers(plan, hook, &first);
    const size_t n_floats = variants_rows_each(v) * f->config->d_model;
    if (!n_receivers) return ST_OK;
    status_t status = reserve_sums(v, n_receivers, err);
    if (status == ST_OK) /* in front of the layer: attention has not been added to it */
        status = f->ops->download(f->exec, v->edges->rows, f->residual + index * n_floats,
                                  n_floats * sizeof(float), err);
    if (status != ST_OK) return status;
    sum_terms(v, plan, first, n_receivers);
    for (size_t i = 0; i < n_receivers && status == ST_OK; i++)
        status =
            receive_head(v, hook, first[i].head, v->edges->sums + i * n_floats, values, ld, err);
    return status;
}

/* values, the stream, += the sum, if somebody receives at `hook`. */
static status_t receive_stream(struct variants *v, const struct edge_plan *plan,
                               struct hook_point hook, float *values, size_t ld, struct error *err)
{
    const size_t d = v->forward->config->d_model, n = variants_rows_each(v);
    const struct edge_receiver *first;
    if (!edge_plan_receivers(plan, hook, &first)) return ST_OK;
    const status_t status = reserve_sums(v, 1, err);
    if (status != ST_OK) return status;
    sum_terms(v, plan, first, 1);
    for (size_t r = 0; r < n; r++)
        if (!is_zero(v->edges->sums + r * d, d))
            add_row(values + r * ld, v->edges->sums + r * d, d);
    return ST_OK;
}

/* In front of an MLP: the stream as it is is kept until the MLP has read another. */
static status_t lend_stream(struct variants *v, const struct edge_plan *plan, size_t layer,
                            float *values, size_t ld, struct error *err)
{
    const struct hook_point mlp = {HOOK_MLP_OUT, layer};
    const struct edge_receiver *first;
    const size_t d = v->forward->config->d_model;
    if (!edge_plan_receivers(plan, mlp, &first)) return ST_OK;
    for (size_t r = 0; r < variants_rows_each(v); r++)
        memcpy(plan->kept + r * d, values + r * ld, d * sizeof *plan->kept);
    return receive_stream(v, plan, mlp, values, ld, err);
}

static status_t restore_stream(struct variants *v, size_t index, size_t layer, struct error *err)
{
    struct forward *f = v->forward;
    const struct edge_plan *plan = v->batch[index].edges;
    const struct edge_receiver *first;
    const size_t n_floats = variants_rows_each(v) * f->config->d_model;
    if (!edge_plan_receivers(plan, (struct hook_point){HOOK_MLP_OUT, layer}, &first)) return ST_OK;
    return f->ops->upload(f->exec, f->residual + index * n_floats, plan->kept,
                          n_floats * sizeof(float), err);
}

/* --- at a hook point ----------------------------------------------------------------------- */

bool variants_edges_touch(const struct placed_variant *placed, struct hook_point hook)
{
    const struct edge_receiver *first;
    const enum hook_kind kind = hook.kind == HOOK_RESID_MID ? HOOK_MLP_OUT : hook.kind;
    return placed->edges &&
           (edge_plan_sends(placed->edges, hook) ||
            edge_plan_receivers(placed->edges, (struct hook_point){kind, hook.layer}, &first) > 0);
}

status_t variants_edges_before(struct variants *v, size_t index, struct hook_point hook,
                               float *values, size_t ld, struct error *err)
{
    if (!v->batch[index].edges) return ST_OK;
    if (hook.kind == HOOK_MLP_OUT) return restore_stream(v, index, hook.layer, err);
    return hook.kind == HOOK_Q || hook.kind == HOOK_K || hook.kind == HOOK_V
               ? receive_heads(v, index, hook, values, ld, err)
               : ST_OK;
}

status_t variants_edges_behind(struct variants *v, size_t index, struct hook_point hook,
                               float *values, size_t ld, struct error *err)
{
    const struct edge_plan *plan = v->batch[index].edges;
    status_t status = ST_OK;
    if (!plan) return ST_OK;
    if (hook.kind == HOOK_RESID_MID) return lend_stream(v, plan, hook.layer, values, ld, err);
    if (hook.kind == HOOK_RESID_POST) return receive_stream(v, plan, hook, values, ld, err);
    for (size_t i = 0; i < plan->n_senders && status == ST_OK; i++) {
        const struct edge_sender *sender = &plan->senders[i];
        const struct hook_point from = sender->what->hook;
        if (sender->own && from.kind == hook.kind && from.layer == hook.layer)
            status = make_difference(v, sender->what, values, ld, sender->own, err);
    }
    return status;
}
