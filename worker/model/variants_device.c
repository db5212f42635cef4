/* The changes of variants where their rows are: lists of edits go to the device, rows stay there.
 * Hooks without operations have the rows of their own variant, and no others, fetched and put
 * back. */
#include "worker/model/variants_parts.h"

static bool is_same_hook(struct hook_point a, struct hook_point b)
{
    return a.kind == b.kind && a.layer == b.layer;
}

/* Change number k of a variant at the hook point; NULL: it has fewer. */
static const struct variant_change *find_change(const struct variant *variant,
                                                struct hook_point hook, size_t k)
{
    for (size_t i = 0; i < variant->n_changes; i++)
        if (is_same_hook(variant->changes[i].hook, hook) && k-- == 0) return &variant->changes[i];
    return NULL;
}

/* The rows of number `index` that a change is made in. from: the change's values on the device. */
static status_t add_moves(struct variants *v, size_t index, const struct variant_change *c,
                          const float *from, struct error *err)
{
    const size_t first = index * variants_rows_each(v);
    struct row_stretch at = {0};
    status_t status = ST_OK;
    if (c->is_added && !from) return ST_OK; /* adds zeros */
    while (status == ST_OK && variants_next_stretch(v, c->is_row, c->first_position, &at)) {
        const struct edit move = {.from = from ? from + at.row * c->ld : NULL,
                                  .row = (uint32_t)(first + at.first),
                                  .n_rows = (uint32_t)at.n,
                                  .column = (uint32_t)c->column,
                                  .n_columns = (uint32_t)c->n_columns,
                                  .ld_from = (uint32_t)c->ld,
                                  .is_added = c->is_added,
                                  .factor = 1};
        status = variants_add_move(v, &move, err);
    }
    return status;
}

static status_t make_moves(struct variants *v, const struct forward_place *place, struct error *err)
{
    return variants_make_moves(v, place->values, v->n_inside * variants_rows_each(v), place->ld,
                               err);
}

/* Values that only the host has, for one change at once. */
static status_t move_staged(struct variants *v, const struct forward_place *place, size_t index,
                            const struct variant_change *c, struct error *err)
{
    const float *from = NULL;
    status_t status = make_moves(v, place, err);
    if (status == ST_OK) status = variants_put_values(v, c, &from, err);
    if (status == ST_OK) status = add_moves(v, index, c, from, err);
    return status == ST_OK ? make_moves(v, place, err) : status;
}

/* Change number k of everyone: those of one variant may meet, so they follow each other. */
static status_t move_all(struct variants *v, const struct forward_place *place,
                         struct hook_point hook, size_t k, bool *is_any, struct error *err)
{
    status_t status = ST_OK;
    *is_any = false;
    for (size_t i = 0; i < v->n_inside && status == ST_OK; i++) {
        const struct variant_change *c = find_change(v->batch[i].variant, hook, k);
        if (!c) continue;
        *is_any = true;
        status = c->values && !c->on_device ? move_staged(v, place, i, c, err)
                                            : add_moves(v, i, c, c->on_device, err);
    }
    return status == ST_OK ? make_moves(v, place, err) : status;
}

/* A hook without operations; the last row ends with its values. */
static status_t run_on_host(struct variants *v, const struct variant_hook *hook,
                            const struct variant_place *own, size_t width, struct error *err)
{
    const size_t n = (own->n_rows - 1) * own->ld + width;
    struct variant_rows rows = {.ld = own->ld, .n_rows = own->n_rows, .rows = own->rows};
    status_t status = forward_borrow(v->forward, own->values, n, &rows.values, err);
    if (status == ST_OK) status = hook->apply(hook->context, &rows, err);
    return status == ST_OK ? forward_give_back(v->forward, own->values, n, err) : status;
}

static status_t run_hooks(struct variants *v, const struct forward_place *place, size_t index,
                          struct hook_point hook, struct error *err)
{
    const struct variant *variant = v->batch[index].variant;
    const size_t n_each = variants_rows_each(v);
    const struct variant_place own = {.ops = place->ops,
                                      .exec = place->exec,
                                      .values = place->values + index * n_each * place->ld,
                                      .ld = place->ld,
                                      .n_rows = n_each,
                                      .rows = v->is_at_answers ? v->answer_rows : v->rows};
    status_t status = ST_OK;
    for (size_t i = 0; i < variant->n_hooks && status == ST_OK; i++) {
        const struct variant_hook *at = &variant->hooks[i];
        if (!is_same_hook(at->hook, hook)) continue;
        status = at->change ? at->change(at->context, &own, err)
                            : run_on_host(v, at, &own, place->width, err);
    }
    return status;
}

/* In front of the changes of everyone inside, or behind them. */
typedef status_t edges_fn(struct variants *v, size_t index, struct hook_point hook, float *values,
                          size_t ld, struct error *err);

static status_t run_edges(struct variants *v, const struct forward_place *place,
                          struct hook_point hook, edges_fn *run, struct error *err)
{
    const size_t n_floats = variants_rows_each(v) * place->ld;
    status_t status = ST_OK;
    for (size_t i = 0; i < v->n_inside && status == ST_OK; i++)
        status = run(v, i, hook, place->values + i * n_floats, place->ld, err);
    return status;
}

status_t variants_change_place(void *context, const struct forward_place *place, struct error *err)
{
    const struct variants_edit *edit = context;
    struct variants *v = edit->variants;
    bool is_any = true;
    status_t status = run_edges(v, place, edit->hook, variants_edges_before, err);
    for (size_t k = 0; is_any && status == ST_OK; k++)
        status = move_all(v, place, edit->hook, k, &is_any, err);
    for (size_t i = 0; i < v->n_inside && status == ST_OK; i++)
        status = run_hooks(v, place, i, edit->hook, err);
    return status == ST_OK ? run_edges(v, place, edit->hook, variants_edges_behind, err) : status;
}
