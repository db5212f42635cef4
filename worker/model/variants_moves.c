/* The list of edits that variants send to the device, and the rows it speaks of. */
#include "worker/model/variants_parts.h"

#include <stdlib.h>

void variants_moves_destroy(struct variants *v)
{
    if (v->forward) v->forward->ops->release(v->forward->backend, v->staged);
    free(v->moves);
    free(v->terms);
}

static bool is_on(const struct variants *v, const uint8_t *is_row, size_t first_position,
                  size_t row)
{
    return row % v->n_ctx >= first_position && (!is_row || is_row[row]);
}

bool variants_next_stretch(const struct variants *v, const uint8_t *is_row, size_t first_position,
                           struct row_stretch *at)
{
    const size_t n_each = variants_rows_each(v);
    size_t r = at->first + at->n;
    while (r < n_each && !is_on(v, is_row, first_position, variants_row(v, r))) r++;
    if (r >= n_each) return false;
    *at = (struct row_stretch){r, variants_row(v, r), 1};
    while (r + at->n < n_each && variants_row(v, r + at->n) == at->row + at->n &&
           is_on(v, is_row, first_position, at->row + at->n))
        at->n++;
    return true;
}

/* --- lists --------------------------------------------------------------------------------- */

status_t variants_add_move(struct variants *v, const struct edit *move, struct error *err)
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

status_t variants_add_term(struct variants *v, const float *rows, struct error *err)
{
    if (v->n_terms == v->term_capacity) {
        const size_t capacity = v->term_capacity ? 2 * v->term_capacity : 64;
        const float **grown = realloc(v->terms, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu terms", capacity);
        v->terms = grown;
        v->term_capacity = capacity;
    }
    v->terms[v->n_terms++] = rows;
    return ST_OK;
}

status_t variants_make_moves(struct variants *v, float *x, size_t n_rows, size_t ld,
                             struct error *err)
{
    struct forward *f = v->forward;
    const struct edit_params p = {.x = x,
                                  .n_rows = n_rows,
                                  .ld = ld,
                                  .edits = v->moves,
                                  .n_edits = v->n_moves,
                                  .terms = v->terms,
                                  .n_terms = v->n_terms};
    const status_t status = v->n_moves ? f->ops->edit(f->exec, &p, err) : ST_OK;
    v->n_moves = v->n_terms = 0;
    return status;
}

status_t variants_put_values(struct variants *v, const struct variant_change *c, const float **out,
                             struct error *err)
{
    struct forward *f = v->forward;
    const size_t n = (c->ld ? (v->n_prompts * v->n_ctx - 1) * c->ld : 0) + c->n_columns;
    status_t status = ST_OK;
    *out = c->on_device;
    if (!c->values || c->on_device) return ST_OK;
    if (n > v->n_staged) {
        f->ops->release(f->backend, v->staged);
        v->staged = NULL;
        v->n_staged = 0;
        status = forward_floats(f, n, 1, &v->staged, err);
        if (status == ST_OK) v->n_staged = n;
    }
    if (status == ST_OK)
        status = f->ops->upload(f->exec, v->staged, c->values, n * sizeof(float), err);
    *out = v->staged;
    return status;
}
