/* The changes of variants where their rows are: lists of edits go to the device, rows stay there.
 * Variants whose changes at a hook point cannot be said so (edges, hooks without operations) have
 * their own rows, and no others, fetched and put back. */
#include "worker/model/variants_parts.h"

#include "common/size.h"

#include <stdlib.h>

void variants_device_destroy(struct variants *v)
{
    if (v->forward) v->forward->ops->release(v->forward->backend, v->staged);
    free(v->moves);
}

static bool is_same_hook(struct hook_point a, struct hook_point b)
{
    return a.kind == b.kind && a.layer == b.layer;
}

/* Can all that a variant changes here be done by operations? */
static bool is_movable(const struct placed_variant *placed, struct hook_point hook)
{
    if (variants_edges_touch(placed, hook)) return false;
    for (size_t i = 0; i < placed->variant->n_hooks; i++) {
        const struct variant_hook *own = &placed->variant->hooks[i];
        if (is_same_hook(own->hook, hook) && !own->change) return false;
    }
    return true;
}

/* Change number k of a variant at the hook point; NULL: it has fewer. */
static const struct variant_change *find_change(const struct variant *variant,
                                                struct hook_point hook, size_t k)
{
    for (size_t i = 0; i < variant->n_changes; i++)
        if (is_same_hook(variant->changes[i].hook, hook) && k-- == 0) return &variant->changes[i];
    return NULL;
}

static status_t add_move(struct variants *v, const struct edit *move, struct error *err)
{
    if (v->n_moves == v->move_capacity) {
        const size_t capacity = v->move_capacity ? 2 * v->move_capacity : 64;
        struct edit *grown = realloc(v->moves, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu edits", capacity);
        v->moves = grown;
        v->move_capacity = capacity;
    }
    v->moves[v->n_moves++] = *move;
    return ST_OK;
}

/* The rows of number `index` that a change is made in, as stretches that follow each other both in
 * the pass and in the prompts. from: the change's values on the device. */
static status_t add_moves(struct variants *v, size_t index, const struct variant_change *c,
                          const float *from, struct error *err)
{
    const size_t n_each = variants_rows_each(v);
    size_t last = SIZE_MAX; /* row of the prompts that the open stretch ends with */
    status_t status = ST_OK;
    for (size_t r = 0; r < n_each && status == ST_OK; r++) {
        const size_t row = variants_row(v, r);
        const bool is_on = row % v->n_ctx >= c->first_position && (!c->is_row || c->is_row[row]);
        if (is_on && last != SIZE_MAX && row == last + 1) {
            v->moves[v->n_moves - 1].n_rows++;
        } else if (is_on) {
            const struct edit move = {.from = from ? from + row * c->ld : NULL,
                                      .row = (uint32_t)(index * n_each + r),
                                      .n_rows = 1,
                                      .column = (uint32_t)c->column,
                                      .n_columns = (uint32_t)c->n_columns,
                                      .ld_from = (uint32_t)c->ld,
                                      .is_added = c->is_added && from,
                                      .factor = 1};
            if (c->is_added && !from) return ST_OK; /* adds zeros */
            status = add_move(v, &move, err);
        }
        last = is_on ? row : SIZE_MAX;
    }
    return status;
}

static status_t make_moves(struct variants *v, const struct forward_place *place, struct error *err)
{
    const struct edit_params p = {.x = place->values,
                                  .n_rows = v->n_inside * variants_rows_each(v),
                                  .ld = place->ld,
                                  .edits = v->moves,
                                  .n_edits = v->n_moves};
    const status_t status = v->n_moves ? place->ops->edit(place->exec, &p, err) : ST_OK;
    v->n_moves = 0;
    return status;
}

/* Values that only the host has, for one change at once: the next upload waits for its edit. */
static status_t move_staged(struct variants *v, const struct forward_place *place, size_t index,
                            const struct variant_change *c, struct error *err)
{
    struct forward *f = v->forward;
    const size_t n = (c->ld ? (v->n_prompts * v->n_ctx - 1) * c->ld : 0) + c->n_columns;
    status_t status = make_moves(v, place, err);
    if (status == ST_OK && n > v->n_staged) {
        f->ops->release(f->backend, v->staged);
        v->staged = NULL;
        v->n_staged = 0;
        status = forward_floats(f, n, 1, &v->staged, err);
        if (status == ST_OK) v->n_staged = n;
    }
    if (status == ST_OK)
        status = place->ops->upload(place->exec, v->staged, c->values, n * sizeof(float), err);
    if (status == ST_OK) status = add_moves(v, index, c, v->staged, err);
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
        if (!c || !is_movable(&v->batch[i], hook)) continue;
        *is_any = true;
        status = c->values && !c->on_device ? move_staged(v, place, i, c, err)
                                            : add_moves(v, i, c, c->on_device, err);
    }
    return status == ST_OK ? make_moves(v, place, err) : status;
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
    for (size_t i = 0; i < variant->n_hooks && status == ST_OK; i++)
        if (is_same_hook(variant->hooks[i].hook, hook))
            status = variant->hooks[i].change(variant->hooks[i].context, &own, err);
    return status;
}

/* The last row ends with its values. */
static status_t change_on_host(struct variants *v, const struct forward_place *place, size_t index,
                               struct hook_point hook, struct error *err)
{
    const size_t n_each = variants_rows_each(v);
    const size_t n = (n_each - 1) * place->ld + place->width;
    float *rows, *device = place->values + index * n_each * place->ld;
    status_t status = forward_borrow(v->forward, device, n, &rows, err);
    if (status == ST_OK) status = variants_change_one(v, index, hook, rows, place->ld, err);
    return status == ST_OK ? forward_give_back(v->forward, device, n, err) : status;
}

status_t variants_change_place(void *context, const struct forward_place *place, struct error *err)
{
    const struct variants_edit *edit = context;
    struct variants *v = edit->variants;
    bool is_any = true;
    status_t status = ST_OK;
    for (size_t k = 0; is_any && status == ST_OK; k++)
        status = move_all(v, place, edit->hook, k, &is_any, err);
    for (size_t i = 0; i < v->n_inside && status == ST_OK; i++)
        status = is_movable(&v->batch[i], edit->hook)
                     ? run_hooks(v, place, i, edit->hook, err)
                     : change_on_host(v, place, i, edit->hook, err);
    return status;
}
