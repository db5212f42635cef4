/* The arithmetic of edges where the rows are (variants_edges_parts.h): lists of edits and of the
 * terms of sums go up, and for each head's sum one number a row comes down, which says whether the
 * row is 0. Differences, sums and what is made of them stay on the device. */
#include "worker/model/variants_edges_parts.h"

#include <stdlib.h>

/* A sum's rows are compared with 0 by their squares: of numbers so much larger that the square of
 * the least of them is no 0. One that overflows is none either. */
#define LARGER 0x1p100F

void edges_free_device(struct variants *v)
{
    struct edge_device *device = &v->edges->device;
    v->forward->ops->release(v->forward->backend, device->sums);
    v->forward->ops->release(v->forward->backend, device->norms);
    free(device->norms_host);
    *device = (struct edge_device){.sums = NULL};
}

/* One edit, made at once. */
static status_t make_move(struct variants *v, const struct edit *move, float *x, size_t n_rows,
                          size_t ld, struct error *err)
{
    const status_t status = variants_add_move(v, move, err);
    return status == ST_OK ? variants_make_moves(v, x, n_rows, ld, err) : status;
}

/* x [n_rows, d] = 0 */
static status_t set_zero(struct variants *v, float *x, size_t n_rows, size_t d, struct error *err)
{
    const struct edit move = {.n_rows = (uint32_t)n_rows, .n_columns = (uint32_t)d};
    return make_move(v, &move, x, n_rows, d, err);
}

/* --- differences --------------------------------------------------------------------------- */

/* Columns of a sender, of the rows at hand, and where their difference goes. */
struct subtraction {
    const struct variant_change *what;
    size_t column, n_columns;
    const float *values; /* at the sender, ld apart */
    size_t ld;
    float *to; /* [n_prompts * n_ctx], d apart, 0 */
    size_t to_column, d;
};

/* The marked rows of `to`: from, row by row of the prompts, or, less it, those at the sender. */
static status_t edit_marked(struct variants *v, const struct subtraction *s, bool is_value,
                            const float *from, struct error *err)
{
    struct row_stretch at = {0};
    status_t status = ST_OK;
    while (status == ST_OK && variants_next_stretch(v, s->what->is_row, 0, &at)) {
        const struct edit move = {.from = is_value ? from + at.row * s->what->ld
                                                   : s->values + at.first * s->ld + s->column,
                                  .row = (uint32_t)at.row,
                                  .n_rows = (uint32_t)at.n,
                                  .column = (uint32_t)s->to_column,
                                  .n_columns = (uint32_t)s->n_columns,
                                  .ld_from = (uint32_t)(is_value ? s->what->ld : s->ld),
                                  .is_added = !is_value,
                                  .factor = -1};
        status = variants_add_move(v, &move, err);
    }
    return status == ST_OK ? variants_make_moves(v, s->to, edges_n_rows(v), s->d, err) : status;
}

/* to = what the change sets less what is there */
static status_t subtract(struct variants *v, const struct subtraction *s, struct error *err)
{
    const float *from = NULL;
    status_t status = variants_put_values(v, s->what, &from, err);
    if (status == ST_OK && from)
        status = edit_marked(v, s, true, from + (s->column - s->what->column), err);
    return status == ST_OK ? edit_marked(v, s, false, NULL, err) : status;
}

/* Of one head whose columns begin at `begin`, added to out. values: z of all rows. */
static status_t add_head(struct variants *v, const struct variant_change *what, size_t begin,
                         const float *values, size_t ld, float *out, struct error *err)
{
    const struct model_config *c = v->forward->config;
    const size_t n = edges_n_rows(v), end = what->column + what->n_columns;
    const size_t low = what->column > begin ? what->column : begin;
    const size_t high = end < begin + c->d_head ? end : begin + c->d_head;
    const struct subtraction head = {.what = what,
                                     .column = low,
                                     .n_columns = high - low,
                                     .values = values,
                                     .ld = ld,
                                     .to = v->edges->x,
                                     .to_column = low - begin,
                                     .d = c->d_head};
    const struct add_params add = {.a = out,
                                   .b = v->edges->y,
                                   .out = out,
                                   .n_rows = n,
                                   .d = c->d_model,
                                   .ld_a = c->d_model,
                                   .ld_out = c->d_model};
    const struct head_weights *heads;
    status_t status = edges_heads_of(v, what->hook.layer, &heads, err);
    if (status == ST_OK) status = set_zero(v, v->edges->x, n, c->d_head, err);
    if (status == ST_OK) status = subtract(v, &head, err);
    if (status == ST_OK)
        status = edges_multiply(v, heads->out[begin / c->d_head], c->d_head, c->d_model, n, err);
    return status == ST_OK ? v->forward->ops->add(v->forward->exec, &add, err) : status;
}

static status_t make_difference(struct variants *v, const struct variant_change *what,
                                const float *values, size_t ld, float *out, struct error *err)
{
    const size_t d_head = v->forward->config->d_head, d = v->forward->config->d_model;
    const struct subtraction rows = {.what = what,
                                     .column = what->column,
                                     .n_columns = what->n_columns,
                                     .values = values,
                                     .ld = ld,
                                     .to = out,
                                     .to_column = what->column,
                                     .d = d};
    status_t status = set_zero(v, out, edges_n_rows(v), d, err);
    if (status == ST_OK && what->hook.kind != HOOK_Z) return subtract(v, &rows, err);
    for (size_t begin = what->column / d_head * d_head;
         begin < what->column + what->n_columns && status == ST_OK; begin += d_head)
        status = add_head(v, what, begin, values, ld, out, err);
    return status;
}

/* --- sums ---------------------------------------------------------------------------------- */

static status_t reserve_sums(struct variants *v, size_t n_receivers, struct error *err)
{
    struct edge_device *device = &v->edges->device;
    const size_t n = edges_n_rows(v);
    if (n_receivers <= device->n_sums) return ST_OK;
    edges_free_device(v);
    status_t status = forward_floats(v->forward, n_receivers * n, v->forward->config->d_model,
                                     &device->sums, err);
    if (status == ST_OK) status = forward_floats(v->forward, n_receivers, n, &device->norms, err);
    if (status != ST_OK) return status;
    device->norms_host = calloc(n_receivers, n * sizeof *device->norms_host);
    if (!device->norms_host) return error_set(err, ST_NO_MEMORY, "%zu receivers", n_receivers);
    device->n_sums = n_receivers;
    return ST_OK;
}

/* The edits that make a receiver's sum, in rows `first` and on. */
static status_t add_sum(struct variants *v, const struct edge_plan *plan,
                        const struct edge_receiver *receiver, size_t first, struct error *err)
{
    const size_t d = v->forward->config->d_model;
    struct row_stretch at = {0};
    status_t status = ST_OK;
    while (status == ST_OK && variants_next_stretch(v, NULL, 0, &at)) {
        const struct edit move = {.row = (uint32_t)(first + at.first),
                                  .n_rows = (uint32_t)at.n,
                                  .n_columns = (uint32_t)d,
                                  .ld_from = (uint32_t)d,
                                  .first_term = (uint32_t)v->n_terms,
                                  .n_terms = (uint32_t)receiver->n};
        for (size_t k = 0; k < receiver->n && status == ST_OK; k++)
            status = variants_add_term(v, edges_term(plan, receiver, k) + at.row * d, err);
        if (status == ST_OK) status = variants_add_move(v, &move, err);
    }
    return status;
}

/* sums [n_receivers, n rows at hand, d_model] */
static status_t sum_terms(struct variants *v, const struct edge_plan *plan,
                          const struct edge_receiver *receivers, size_t n_receivers,
                          struct error *err)
{
    const size_t n = variants_rows_each(v);
    status_t status = reserve_sums(v, n_receivers, err);
    for (size_t i = 0; i < n_receivers && status == ST_OK; i++)
        status = add_sum(v, plan, &receivers[i], i * n, err);
    return status == ST_OK ? variants_make_moves(v, v->edges->device.sums, n_receivers * n,
                                                 v->forward->config->d_model, err)
                           : status;
}

/* norms_host [n_receivers, n rows at hand]: 0 where a row of a sum is 0, and only there. */
static status_t read_norms(struct variants *v, size_t n_receivers, struct error *err)
{
    struct forward *f = v->forward;
    const struct edge_device *device = &v->edges->device;
    const size_t d = f->config->d_model, n = variants_rows_each(v);
    float *larger = v->edges->y;
    status_t status = ST_OK;
    for (size_t i = 0; i < n_receivers && status == ST_OK; i++) {
        const float *sum = device->sums + i * n * d;
        const struct blend_params blend = {
            .a = sum, .b = sum, .out = larger, .factor = LARGER, .n = n * d};
        const struct group_dots_params dots = {.a = larger,
                                               .b = larger,
                                               .out = device->norms + i * n,
                                               .n_rows = n,
                                               .n_groups = 1,
                                               .d = d,
                                               .ld_a = d,
                                               .ld_b = d};
        status = f->ops->blend(f->exec, &blend, err);
        if (status == ST_OK) status = f->ops->group_dots(f->exec, &dots, err);
    }
    return status == ST_OK ? f->ops->download(f->exec, device->norms_host, device->norms,
                                              n_receivers * n * sizeof(float), err)
                           : status;
}

/* --- receivers ----------------------------------------------------------------------------- */

/* The rows whose norm is not 0, of y [n, d_head] into the head's columns of values. */
static status_t put_head(struct variants *v, size_t head, const float *norms, float *values,
                         size_t ld, struct error *err)
{
    const size_t d_head = v->forward->config->d_head, n = variants_rows_each(v);
    status_t status = ST_OK;
    for (size_t r = 0; r < n && status == ST_OK;) {
        size_t end = r;
        while (end < n && norms[end] != 0.0F) end++;
        const struct edit move = {.from = v->edges->y + r * d_head,
                                  .row = (uint32_t)r,
                                  .n_rows = (uint32_t)(end - r),
                                  .column = (uint32_t)(head * d_head),
                                  .n_columns = (uint32_t)d_head,
                                  .ld_from = (uint32_t)d_head};
        if (end > r) status = variants_add_move(v, &move, err);
        r = end + 1;
    }
    return status == ST_OK ? variants_make_moves(v, values, n, ld, err) : status;
}

static bool is_any(const float *norms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (norms[i] != 0.0F) return true;
    return false;
}

static status_t receive_heads(struct variants *v, size_t index, struct hook_point hook,
                              float *values, size_t ld, struct error *err)
{
    struct forward *f = v->forward;
    const struct edge_plan *plan = v->batch[index].edges;
    const struct edge_receiver *first;
    const size_t d = f->config->d_model, n = variants_rows_each(v);
    const size_t n_receivers = edge_plan_receivers(plan, hook, &first);
    status_t status = sum_terms(v, plan, first, n_receivers, err);
    if (status == ST_OK) status = read_norms(v, n_receivers, err);
    for (size_t i = 0; i < n_receivers && status == ST_OK; i++) {
        const float *norms = v->edges->device.norms_host + i * n;
        const struct add_params add = {.a = f->residual +
                                            index * n * d, /* attention has not been added to it */
                                       .b = v->edges->device.sums + i * n * d,
                                       .out = v->edges->x,
                                       .n_rows = n,
                                       .d = d,
                                       .ld_a = d,
                                       .ld_out = d};
        if (!is_any(norms, n)) continue;
        status = f->ops->add(f->exec, &add, err);
        if (status == ST_OK) status = edges_project(v, hook, first[i].head, err);
        if (status == ST_OK) status = put_head(v, first[i].head, norms, values, ld, err);
    }
    return status;
}

/* Where the sum is 0 nothing but the sign of a 0 can change. */
static status_t receive_stream(struct variants *v, const struct edge_plan *plan,
                               const struct edge_receiver *receiver, float *values, size_t ld,
                               struct error *err)
{
    const size_t d = v->forward->config->d_model, n = variants_rows_each(v);
    const status_t status = sum_terms(v, plan, receiver, 1, err);
    const struct edit move = {.from = v->edges->device.sums,
                              .n_rows = (uint32_t)n,
                              .n_columns = (uint32_t)d,
                              .ld_from = (uint32_t)d,
                              .is_added = 1,
                              .factor = 1};
    return status == ST_OK ? make_move(v, &move, values, n, ld, err) : status;
}

static status_t keep_stream(struct variants *v, const struct edge_plan *plan, const float *values,
                            size_t ld, struct error *err)
{
    const size_t d = v->forward->config->d_model, n = variants_rows_each(v);
    const struct edit move = {
        .from = values, .n_rows = (uint32_t)n, .n_columns = (uint32_t)d, .ld_from = (uint32_t)ld};
    return make_move(v, &move, plan->kept, n, d, err);
}

const struct edge_arithmetic edges_on_device = {make_difference, receive_heads, receive_stream,
                                                keep_stream};
