/* The arithmetic of edges on the host (variants_edges_parts.h), for devices whose memory is the
 * host's. Sums are f32, sender by sender in the order of the model, a row at a time for all
 * receivers of a hook point: the differences of one row fit into the cache. */
#include "worker/model/variants_edges_parts.h"

#include <stdlib.h>
#include <string.h>

void edges_free_host(struct variants *v)
{
    free(v->edges->host.sums);
    v->edges->host = (struct edge_host){.sums = NULL};
}

static status_t synchronize(const struct variants *v, struct error *err)
{
    return v->forward->ops->synchronize(v->forward->exec, err);
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
    const size_t n = edges_n_rows(v), end = what->column + what->n_columns;
    const size_t low = what->column > begin ? what->column : begin;
    const size_t high = end < begin + d_head ? end : begin + d_head;
    const struct head_weights *heads;
    float *x = v->edges->x;
    bool is_any = false;
    memset(x, 0, n * d_head * sizeof *x);
    for (size_t r = 0; r < n; r++)
        is_any |=
            subtract(what, r, low, high - low, values + r * ld, x + r * d_head + (low - begin));
    if (!is_any) return ST_OK;
    status_t status = edges_heads_of(v, what->hook.layer, &heads, err);
    if (status == ST_OK) status = edges_multiply(v, heads->out[begin / d_head], d_head, d, n, err);
    if (status == ST_OK) status = synchronize(v, err);
    for (size_t i = 0; i < n * d && status == ST_OK; i++) out[i] += v->edges->y[i];
    return status;
}

static status_t make_difference(struct variants *v, const struct variant_change *what,
                                const float *values, size_t ld, float *out, struct error *err)
{
    const size_t d_head = v->forward->config->d_head, d = v->forward->config->d_model;
    status_t status = synchronize(v, err);
    if (what->hook.kind == HOOK_Z) {
        memset(out, 0, edges_n_rows(v) * d * sizeof *out);
        for (size_t begin = what->column / d_head * d_head;
             begin < what->column + what->n_columns && status == ST_OK; begin += d_head)
            status = add_head(v, what, begin, values, ld, out, err);
        return status;
    }
    for (size_t r = 0; r < variants_rows_each(v) && status == ST_OK; r++) {
        const size_t row = variants_row(v, r);
        memset(out + row * d, 0, d * sizeof *out);
        (void)subtract(what, row, what->column, what->n_columns, values + r * ld,
                       out + row * d + what->column);
    }
    return status;
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
    struct edge_host *host = &v->edges->host;
    if (n_receivers <= host->sum_capacity) return ST_OK;
    edges_free_host(v);
    host->sums =
        calloc(n_receivers, edges_n_rows(v) * v->forward->config->d_model * sizeof *host->sums);
    if (!host->sums) return error_set(err, ST_NO_MEMORY, "%zu receivers", n_receivers);
    host->sum_capacity = n_receivers;
    return ST_OK;
}

/* sums [n_receivers, n rows at hand, d_model] */
static status_t sum_terms(struct variants *v, const struct edge_plan *plan,
                          const struct edge_receiver *receivers, size_t n_receivers,
                          struct error *err)
{
    const size_t d = v->forward->config->d_model, n = variants_rows_each(v);
    const status_t status = reserve_sums(v, n_receivers, err);
    for (size_t r = 0; r < n && status == ST_OK; r++) {
        const size_t row = variants_row(v, r);
        for (size_t i = 0; i < n_receivers; i++) {
            float *to = v->edges->host.sums + (i * n + r) * d;
            memset(to, 0, d * sizeof *to);
            for (size_t k = 0; k < receivers[i].n; k++)
                add_row(to, edges_term(plan, &receivers[i], k) + row * d, d);
        }
    }
    return status;
}

/* One head's q, k or v of the stream plus `sums`, in the rows where those are not 0. */
static status_t receive_head(struct variants *v, struct hook_point hook, size_t head,
                             const float *stream, const float *sums, float *values, size_t ld,
                             struct error *err)
{
    const size_t d = v->forward->config->d_model, d_head = v->forward->config->d_head;
    const size_t n = variants_rows_each(v);
    if (is_zero(sums, n * d)) return ST_OK;
    memcpy(v->edges->x, stream, n * d * sizeof *stream);
    add_row(v->edges->x, sums, n * d);
    status_t status = edges_project(v, hook, head, err);
    if (status == ST_OK) status = synchronize(v, err);
    for (size_t r = 0; r < n && status == ST_OK; r++)
        if (!is_zero(sums + r * d, d))
            memcpy(values + r * ld + head * d_head, v->edges->y + r * d_head,
                   d_head * sizeof *values);
    return status;
}

static status_t receive_heads(struct variants *v, size_t index, struct hook_point hook,
                              float *values, size_t ld, struct error *err)
{
    const struct edge_plan *plan = v->batch[index].edges;
    const struct edge_receiver *first;
    const size_t n_floats = variants_rows_each(v) * v->forward->config->d_model;
    const size_t n_receivers = edge_plan_receivers(plan, hook, &first);
    status_t status = synchronize(v, err);
    if (status == ST_OK) status = sum_terms(v, plan, first, n_receivers, err);
    /* in front of the layer: attention has not been added to it */
    const float *stream = v->forward->residual + index * n_floats;
    for (size_t i = 0; i < n_receivers && status == ST_OK; i++)
        status = receive_head(v, hook, first[i].head, stream, v->edges->host.sums + i * n_floats,
                              values, ld, err);
    return status;
}

static status_t receive_stream(struct variants *v, const struct edge_plan *plan,
                               const struct edge_receiver *receiver, float *values, size_t ld,
                               struct error *err)
{
    const size_t d = v->forward->config->d_model, n = variants_rows_each(v);
    const status_t status = sum_terms(v, plan, receiver, 1, err);
    const float *sums = v->edges->host.sums;
    for (size_t r = 0; r < n && status == ST_OK; r++)
        if (!is_zero(sums + r * d, d)) add_row(values + r * ld, sums + r * d, d);
    return status;
}

static status_t keep_stream(struct variants *v, const struct edge_plan *plan, const float *values,
                            size_t ld, struct error *err)
{
    const size_t d = v->forward->config->d_model;
    const status_t status = synchronize(v, err);
    for (size_t r = 0; r < variants_rows_each(v) && status == ST_OK; r++)
        memcpy(plan->kept + r * d, values + r * ld, d * sizeof *values);
    return status;
}

const struct edge_arithmetic edges_on_host = {make_difference, receive_heads, receive_stream,
                                              keep_stream};
