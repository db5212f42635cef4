/* Steering where the activations are: lists of edits go to the device. Where a change depends on
 * what is there (SET, or a norm of each token), the changed tokens' values are gathered and, for a
 * dictionary, encoded there; a number a token and change comes to the host at most, and one for the
 * norm. Arithmetic and order are those of steering.c, so the bits are, too. */
#include "worker/tasks/steering_parts.h"

#include "worker/model/encoder.h"

#include <stdlib.h>

void steering_device_destroy(struct steering *self)
{
    struct backend *backend = self->backend;
    if (!backend) return;
    for (size_t i = 0; i < self->n_targets; i++)
        backend->ops->release(backend, self->targets[i].directions);
    backend->ops->release(backend, self->gathered);
    backend->ops->release(backend, self->one);
    free(self->edit_list);
}

/* Does what undoes the norm of the target's dictionary depend on the token? */
static bool has_scales(const struct target_steering *at)
{
    const struct dictionary *dictionary = at->changes[0].unit.dictionary;
    return dictionary && encoder_has_output_scale(dictionary);
}

/* --- room ---------------------------------------------------------------------------------- */

static status_t new_floats(const struct steering *self, size_t n, float **out, struct error *err)
{
    void *memory = NULL;
    const status_t status =
        self->backend->ops->alloc(self->backend, n * sizeof **out, &memory, err);
    if (status == ST_OK) *out = memory;
    return status;
}

/* The number 1, and the directions of a dictionary's changes. */
static status_t put_constants(struct target_steering *at, const struct forward_place *place,
                              struct error *err)
{
    static const float one = 1;
    struct steering *self = at->all;
    status_t status = ST_OK;
    if (!self->one) {
        status = new_floats(self, 1, &self->one, err);
        if (status == ST_OK)
            status = place->ops->upload(place->exec, self->one, &one, sizeof one, err);
    }
    if (status != ST_OK || at->directions || !at->changes[0].unit.dictionary) return status;
    status = new_floats(self, at->n * at->width, &at->directions, err);
    for (size_t i = 0; i < at->n && status == ST_OK; i++)
        status = place->ops->upload(place->exec, at->directions + i * at->width,
                                    at->changes[i].direction, at->width * sizeof(float), err);
    return status;
}

static status_t reserve(struct steering *self, size_t n_edits, size_t n_floats, struct error *err)
{
    if (n_edits > self->n_edit_list) {
        struct edit *grown = realloc(self->edit_list, n_edits * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu edits", n_edits);
        self->edit_list = grown;
        self->n_edit_list = n_edits;
    }
    if (n_floats <= self->n_gathered) return ST_OK;
    self->backend->ops->release(self->backend, self->gathered);
    self->gathered = NULL;
    self->n_gathered = 0;
    const status_t status = new_floats(self, n_floats, &self->gathered, err);
    if (status == ST_OK) self->n_gathered = n_floats;
    return status;
}

/* --- what is there ------------------------------------------------------------------------- */

/* gathered [n_tokens, n_columns] = these columns of the changed tokens. */
static status_t gather(const struct target_steering *at, const struct forward_place *place,
                       size_t column, size_t n_columns, float *to, struct error *err)
{
    const struct steering_span *spans = at->all->spans + place->first_row;
    struct edit_params p = {.x = to, .ld = n_columns, .edits = at->all->edit_list};
    for (size_t r = 0; r < place->n_rows; r++) {
        const uint32_t n = spans[r].end - spans[r].begin;
        if (n == 0) continue;
        at->all->edit_list[p.n_edits++] = (struct edit){
            .from = place->values + (r * place->n_ctx + spans[r].begin) * place->ld + column,
            .row = (uint32_t)p.n_rows,
            .n_rows = n,
            .n_columns = (uint32_t)n_columns,
            .ld_from = (uint32_t)place->ld};
        p.n_rows += n;
    }
    return place->ops->edit(place->exec, &p, err);
}

/* Of a dictionary's changed tokens [n_tokens]: the features where one is set, and into scales what
 * undoes the norm where that depends on the token. */
static status_t read_features(const struct target_steering *at, const struct forward_place *place,
                              size_t n_tokens, struct sparse_rows *out, float *scales,
                              struct error *err)
{
    const float *gathered = at->all->gathered;
    status_t status = gather(at, place, 0, at->width, at->all->gathered, err);
    if (status == ST_OK) status = place->ops->synchronize(place->exec, err); /* another exec's */
    if (status == ST_OK && has_scales(at))
        status = capture_target_output_scales(at->target, gathered, n_tokens, scales, err);
    return status == ST_OK && at->has_set
               ? capture_target_read_device(at->target, gathered, n_tokens, out, err)
               : status;
}

/* out [n, n_tokens]: the columns of neurons and residual dimensions that are set. */
static status_t read_columns(const struct target_steering *at, const struct forward_place *place,
                             size_t n_tokens, float *out, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < at->n && status == ST_OK; i++) {
        const struct steering_change *change = &at->changes[i];
        if (change->kind != INTERVENTION_SET || change->unit.is_head) continue;
        status = gather(at, place, change->unit.number, 1, at->all->gathered, err);
        if (status == ST_OK)
            status = place->ops->download(place->exec, out + i * n_tokens, at->all->gathered,
                                          n_tokens * sizeof *out, err);
    }
    return status;
}

/* --- changes ------------------------------------------------------------------------------- */

/* What the changed tokens have, before any change of the target. */
struct there {
    struct sparse_rows rows; /* of a dictionary */
    const float *values;     /* of a dictionary its scales [n_tokens], of others the columns [n,
                              * n_tokens] */
    size_t n_tokens;
};

/* What change number i adds of its direction, or of 1, at a token. */
static float difference(const struct target_steering *at, size_t i, size_t token,
                        const struct there *there)
{
    const struct steering_change *change = &at->changes[i];
    const bool is_set = change->kind == INTERVENTION_SET;
    if (change->unit.dictionary) {
        const float activation =
            is_set ? steering_activation(&there->rows, token, change->slot) : 0.0F;
        const float by = is_set ? change->value - activation : change->value;
        return has_scales(at) ? by * there->values[token] : by;
    }
    const float sign = change->unit.sign;
    if (!is_set) return sign * change->value;
    const float value = sign * there->values[i * there->n_tokens + token];
    return sign * (change->value - (value > 0.0F ? value : 0.0F));
}

/* Rows [row, row + n) of which number `token` and on are the tokens. */
static void add_edits(const struct target_steering *at, size_t i, const struct there *there,
                      size_t row, size_t n, size_t token, struct edit_params *p)
{
    const struct steering_change *change = &at->changes[i];
    const bool is_head = change->unit.is_head, has_row = change->unit.dictionary != NULL;
    const bool is_same = /* for all of them */
        is_head || (change->kind == INTERVENTION_ADD && !(has_row && has_scales(at)));
    struct edit edit = {.n_rows = (uint32_t)(is_same ? n : 1)};
    if (is_head) {
        edit.column = (uint32_t)(change->unit.number * at->d_head);
        edit.n_columns = (uint32_t)at->d_head;
    } else {
        edit.from = has_row ? at->directions + i * at->width : at->all->one;
        edit.column = has_row ? 0 : change->unit.number;
        edit.n_columns = has_row ? (uint32_t)at->width : 1;
        edit.is_added = 1;
    }
    for (size_t t = 0; t < (is_same ? 1 : n); t++) {
        edit.row = (uint32_t)(row + t);
        edit.factor = is_head ? 0 : difference(at, i, token + t, there);
        if (is_head || edit.factor != 0.0F) at->all->edit_list[p->n_edits++] = edit;
    }
}

static status_t make_change(const struct target_steering *at, size_t i,
                            const struct forward_place *place, const struct there *there,
                            struct error *err)
{
    const struct steering_span *spans = at->all->spans + place->first_row;
    struct edit_params p = {.x = place->values,
                            .n_rows = place->n_rows * place->n_ctx,
                            .ld = place->ld,
                            .edits = at->all->edit_list};
    size_t token = 0;
    for (size_t r = 0; r < place->n_rows; r++) {
        const size_t n = spans[r].end - spans[r].begin;
        if (n) add_edits(at, i, there, r * place->n_ctx + spans[r].begin, n, token, &p);
        token += n;
    }
    return p.n_edits ? place->ops->edit(place->exec, &p, err) : ST_OK;
}

static status_t read_there(const struct target_steering *at, const struct forward_place *place,
                           struct there *there, float *values, struct error *err)
{
    there->values = values;
    if (!at->has_set && !has_scales(at)) return ST_OK;
    return at->changes[0].unit.dictionary
               ? read_features(at, place, there->n_tokens, &there->rows, values, err)
               : read_columns(at, place, there->n_tokens, values, err);
}

status_t steering_change_place(void *context, const struct forward_place *place, struct error *err)
{
    struct target_steering *at = context;
    const struct steering_span *spans = at->all->spans + place->first_row;
    struct there there = {.n_tokens = 0};
    for (size_t r = 0; r < place->n_rows; r++)
        there.n_tokens += (size_t)(spans[r].end - spans[r].begin);
    if (there.n_tokens == 0) return ST_OK;
    float *values = calloc(at->n * there.n_tokens, sizeof *values);
    if (!values) return error_set(err, ST_NO_MEMORY, "%zu steered tokens", there.n_tokens);
    const size_t width = at->changes[0].unit.dictionary ? at->width : 1;
    status_t status = put_constants(at, place, err);
    if (status == ST_OK) status = reserve(at->all, there.n_tokens, there.n_tokens * width, err);
    if (status == ST_OK) status = read_there(at, place, &there, values, err);
    for (size_t i = 0; i < at->n && status == ST_OK; i++)
        status = make_change(at, i, place, &there, err);
    free(values);
    return status;
}
