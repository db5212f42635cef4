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
 * exactly no effect. Differences, sums and kept streams lie where the pass is: what crosses the bus
 * of a device are lists of terms, and a number for each row of a head's sum. */
#include "worker/model/variants_edges_parts.h"

#include <stdlib.h>

/* Differences held at once; a batch takes no more variants with edges than that. */
#define MAX_BYTES ((size_t)4 << 30)
#define BATCH_BYTES ((size_t)256 << 20)

size_t edges_n_rows(const struct variants *v)
{
    return v->n_prompts * v->n_ctx;
}

static size_t difference_bytes(const struct variants *v)
{
    return edges_n_rows(v) * v->forward->config->d_model * sizeof(float);
}

static const struct edge_arithmetic *arithmetic(const struct variants *v)
{
    return v->forward->ops->memory_is_host ? &edges_on_host : &edges_on_device;
}

void variants_edges_destroy(struct variants *v)
{
    struct variants_edges *e = v->edges;
    if (!e) return;
    const struct backend_ops *ops = v->forward->ops;
    variants_edges_forget(v);
    for (size_t i = 0; i < e->n_spare; i++) ops->release(v->forward->backend, e->spare[i]);
    for (size_t i = 0; e->heads && i < v->forward->config->n_layers; i++)
        head_weights_unload(&e->heads[i]);
    ops->release(v->forward->backend, e->x);
    ops->release(v->forward->backend, e->y);
    edges_free_host(v);
    edges_free_device(v);
    free(e->heads);
    free(e->clean);
    free(e->spare);
    free(e);
    v->edges = NULL;
}

static status_t create(struct variants *v, struct error *err)
{
    struct forward *f = v->forward;
    const size_t d = f->config->d_model, block = f->row_block;
    const size_t widest = d > f->config->d_head ? d : f->config->d_head;
    const size_t n_padded = (edges_n_rows(v) + block - 1) / block * block;
    if (v->edges) return ST_OK;
    if (!f->ops->memory_is_host && !backend_supports(f->backend, BACKEND_BACKWARD))
        return error_set(err, ST_UNSUPPORTED, "edges on %s", f->ops->name);
    struct variants_edges *e = calloc(1, sizeof *e);
    if (!e) return error_set(err, ST_NO_MEMORY, "edges");
    v->edges = e;
    e->heads = calloc(f->config->n_layers, sizeof *e->heads);
    if (!e->heads) return error_set(err, ST_NO_MEMORY, "edges over %zu tokens", edges_n_rows(v));
    const status_t status = forward_floats(f, n_padded, widest, &e->x, err);
    return status == ST_OK ? forward_floats(f, n_padded, widest, &e->y, err) : status;
}

/* --- products ------------------------------------------------------------------------------ */

status_t edges_heads_of(struct variants *v, size_t layer, const struct head_weights **out,
                        struct error *err)
{
    struct head_weights *w = &v->edges->heads[layer];
    *out = w;
    return w->in ? ST_OK : head_weights_load(w, v->forward->model, layer, err);
}

status_t edges_multiply(struct variants *v, const struct packed *weights, size_t n_in, size_t n_out,
                        size_t n, struct error *err)
{
    struct forward *f = v->forward;
    const size_t block = f->row_block;
    const struct matmul_params product = {.weights = weights,
                                          .x = v->edges->x,
                                          .y = v->edges->y,
                                          .ld_x = n_in,
                                          .ld_y = n_out,
                                          .n_rows = (n + block - 1) / block * block};
    return f->ops->matmul(f->exec, &product, err);
}

status_t edges_project(struct variants *v, struct hook_point hook, size_t head, struct error *err)
{
    struct forward *f = v->forward;
    const struct model_config *c = f->config;
    const struct layer_weights *w = &f->weights->layers[hook.layer];
    const size_t n = variants_rows_each(v);
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
    status_t status = edges_heads_of(v, hook.layer, &heads, err);
    if (status == ST_OK) status = f->ops->norm(f->exec, &norm, err);
    if (status != ST_OK) return status;
    status = edges_multiply(v, heads->in[index], c->d_model, c->d_head, n, err);
    return status == ST_OK && bias.bias ? f->ops->add(f->exec, &bias, err) : status;
}

const float *edges_term(const struct edge_plan *plan, const struct edge_receiver *receiver,
                        size_t k)
{
    const struct edge_sender *sender = &plan->senders[plan->terms[receiver->first + k]];
    return sender->own ? sender->own : sender->clean;
}

/* --- rows that are taken and given back ------------------------------------------------------ */

/* Room to give one more back is made before it is taken. */
static status_t make_rows(struct variants *v, float **out, struct error *err)
{
    struct variants_edges *e = v->edges;
    float **grown = realloc(e->spare, (e->n_made + 1) * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "an edge over %zu tokens", edges_n_rows(v));
    e->spare = grown;
    const status_t status =
        forward_floats(v->forward, edges_n_rows(v), v->forward->config->d_model, out, err);
    if (status == ST_OK) e->n_made++;
    return status;
}

/* They hold what their last owner left. */
static status_t take_rows(struct variants *v, float **out, struct error *err)
{
    struct variants_edges *e = v->edges;
    const size_t n_bytes = difference_bytes(v);
    status_t status = ST_OK;
    if (n_bytes > MAX_BYTES || e->n_bytes > MAX_BYTES - n_bytes)
        return error_set(err, ST_TOO_LARGE,
                         "edges from so many senders over %zu tokens: over %zu GiB",
                         edges_n_rows(v), MAX_BYTES >> 30);
    if (e->n_spare)
        *out = e->spare[--e->n_spare];
    else
        status = make_rows(v, out, err);
    if (status == ST_OK) e->n_bytes += n_bytes;
    return status;
}

static void give_rows_back(struct variants *v, float *rows)
{
    if (!rows) return;
    v->edges->spare[v->edges->n_spare++] = rows;
    v->edges->n_bytes -= difference_bytes(v);
}

static status_t take_own_rows(struct variants *v, float **out, struct error *err)
{
    const status_t status = take_rows(v, out, err);
    if (status == ST_OK) v->edges->n_own_bytes += difference_bytes(v);
    return status;
}

static void give_own_rows_back(struct variants *v, float *rows)
{
    if (rows) v->edges->n_own_bytes -= difference_bytes(v);
    give_rows_back(v, rows);
}

/* --- differences to the clean pass ----------------------------------------------------------- */

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
    if (status == ST_OK) status = variants_clean_rows(v, what->hook, &values, err);
    if (status == ST_OK) status = take_rows(v, &made, err);
    if (status != ST_OK) return status;
    e->clean[e->n_clean++] = (struct clean_difference){*what, made};
    *out = made;
    return arithmetic(v)->make_difference(
        v, what, values, hook_point_width(what->hook, v->forward->config), made, err);
}

void variants_edges_forget(struct variants *v)
{
    struct variants_edges *e = v->edges;
    if (!e) return;
    for (size_t i = 0; i < e->n_clean; i++) give_rows_back(v, e->clean[i].values);
    e->n_clean = 0;
}

/* --- variants come and go ------------------------------------------------------------------ */

static status_t place_senders(struct variants *v, const struct placed_variant *placed,
                              struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < placed->edges->n_senders; i++) {
        struct edge_sender *sender = &placed->edges->senders[i];
        if (variant_order_of(sender->what->hook) < placed->order)
            status = clean_difference(v, sender->what, &sender->clean, err);
        else
            status = take_own_rows(v, &sender->own, err);
    }
    return status;
}

status_t variants_edges_place(struct variants *v, struct placed_variant *placed, struct error *err)
{
    if (!placed->variant->n_edges) return ST_OK;
    v->is_at_answers = false;
    status_t status = create(v, err);
    if (status == ST_OK)
        status = edge_plan_create(&placed->edges, placed->variant, v->forward->config,
                                  edges_n_rows(v), err);
    if (status == ST_OK && edge_plan_has_mlp(placed->edges))
        status = take_own_rows(v, &placed->edges->kept, err);
    if (status == ST_OK) status = place_senders(v, placed, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "variant %zu", placed->index);
}

void variants_edges_leave(struct variants *v, struct placed_variant *placed)
{
    if (!placed->edges) return;
    for (size_t i = 0; i < placed->edges->n_senders; i++)
        give_own_rows_back(v, placed->edges->senders[i].own);
    give_own_rows_back(v, placed->edges->kept);
    edge_plan_destroy(&placed->edges);
}

bool variants_edges_are_many(const struct variants *v)
{
    return v->edges && v->edges->n_own_bytes > BATCH_BYTES;
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

static status_t receive_stream(struct variants *v, const struct edge_plan *plan,
                               struct hook_point hook, float *values, size_t ld, struct error *err)
{
    const struct edge_receiver *receiver;
    return edge_plan_receivers(plan, hook, &receiver)
               ? arithmetic(v)->receive_stream(v, plan, receiver, values, ld, err)
               : ST_OK;
}

/* In front of an MLP: the stream as it is is kept until the MLP has read another. */
static status_t lend_stream(struct variants *v, const struct edge_plan *plan, size_t layer,
                            float *values, size_t ld, struct error *err)
{
    const struct hook_point mlp = {HOOK_MLP_OUT, layer};
    const struct edge_receiver *first;
    if (!edge_plan_receivers(plan, mlp, &first)) return ST_OK;
    const status_t status = arithmetic(v)->keep_stream(v, plan, values, ld, err);
    return status == ST_OK ? receive_stream(v, plan, mlp, values, ld, err) : status;
}

static status_t restore_stream(struct variants *v, size_t index, size_t layer, struct error *err)
{
    struct forward *f = v->forward;
    const struct edge_plan *plan = v->batch[index].edges;
    const struct edge_receiver *first;
    const size_t n_floats = variants_rows_each(v) * f->config->d_model;
    if (!edge_plan_receivers(plan, (struct hook_point){HOOK_MLP_OUT, layer}, &first)) return ST_OK;
    return f->ops->copy(f->exec, f->residual + index * n_floats, plan->kept,
                        n_floats * sizeof(float), err);
}

status_t variants_edges_before(struct variants *v, size_t index, struct hook_point hook,
                               float *values, size_t ld, struct error *err)
{
    const struct edge_plan *plan = v->batch[index].edges;
    const struct edge_receiver *first;
    if (!plan) return ST_OK;
    if (hook.kind == HOOK_MLP_OUT) return restore_stream(v, index, hook.layer, err);
    const bool is_input = hook.kind == HOOK_Q || hook.kind == HOOK_K || hook.kind == HOOK_V;
    return is_input && edge_plan_receivers(plan, hook, &first)
               ? arithmetic(v)->receive_heads(v, index, hook, values, ld, err)
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
            status = arithmetic(v)->make_difference(v, sender->what, values, ld, sender->own, err);
    }
    return status;
}
