/* Changed features where their rows are: the rows are gathered and encoded on the device, the few
 * values of the unit's features come to the host, with what undoes the norm of each row where that
 * depends on the row, and a list of directions with factors goes back.
 * Sums and their order are those of ablate_features.c, so the bits are, too. */
#include "worker/tasks/ablate_features_parts.h"

#include "worker/model/encoder.h"

#include <stdlib.h>

void feature_device_destroy(struct ablate_features *self)
{
    struct backend *backend = model_backend(self->with.model);
    for (size_t i = 0; self->dictionaries && i < self->n_dictionaries; i++)
        backend->ops->release(backend, self->dictionaries[i].device_directions);
    backend->ops->release(backend, self->device_acts);
    free(self->edits);
}

bool feature_is_movable(const struct feature_dictionary *at)
{
    return !at->has_error && capture_target_is_on_device(at->target);
}

/* Device floats, grown. */
static status_t reserve(const struct ablate_features *self, float **floats, size_t *capacity,
                        size_t n, struct error *err)
{
    struct backend *backend = model_backend(self->with.model);
    void *memory = NULL;
    if (n <= *capacity) return ST_OK;
    backend->ops->release(backend, *floats);
    *floats = NULL;
    *capacity = 0;
    const status_t status = backend->ops->alloc(backend, n * sizeof **floats, &memory, err);
    if (status != ST_OK) return status;
    *floats = memory;
    *capacity = n;
    return ST_OK;
}

static status_t put_directions(struct feature_dictionary *at, const struct variant_place *place,
                               struct error *err)
{
    const size_t n = at->n_features * at->width;
    if (at->has_device_directions) return ST_OK;
    status_t status = reserve(at->all, &at->device_directions, &at->n_device_directions, n, err);
    if (status == ST_OK)
        status = place->ops->upload(place->exec, at->device_directions, at->directions,
                                    n * sizeof(float), err);
    at->has_device_directions = status == ST_OK;
    return status;
}

static status_t reserve_edits(struct ablate_features *self, size_t n, struct error *err)
{
    if (n <= self->edit_capacity) return ST_OK;
    struct edit *grown = realloc(self->edits, n * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%zu edits", n);
    self->edits = grown;
    self->edit_capacity = n;
    return ST_OK;
}

/* The changed rows side by side into device_acts; *n: how many. */
static status_t gather(const struct feature_hook *hook, const struct variant_place *place,
                       size_t *n, struct error *err)
{
    const struct feature_dictionary *at = hook->at;
    struct ablate_features *self = at->all;
    *n = 0;
    for (size_t r = 0; r < place->n_rows; r++) {
        if (!feature_is_changed(hook, place->rows[r])) continue;
        self->edits[*n] = (struct edit){.from = place->values + r * place->ld,
                                        .row = (uint32_t)*n,
                                        .n_rows = 1,
                                        .n_columns = (uint32_t)at->width};
        ++*n;
    }
    if (!*n) return ST_OK;
    const status_t status =
        reserve(self, &self->device_acts, &self->n_device_acts, *n * at->width, err);
    const struct edit_params p = {
        .x = self->device_acts, .n_rows = *n, .ld = at->width, .edits = self->edits, .n_edits = *n};
    return status == ST_OK ? place->ops->edit(place->exec, &p, err) : status;
}

/* What is known of the changed rows [n] from device_acts: columns, scales where there are any. */
static status_t read_rows(struct feature_dictionary *at, const struct variant_place *place,
                          size_t n, struct error *err)
{
    struct ablate_features *self = at->all;
    /* the encoder works on an exec of its own */
    status_t status = place->ops->synchronize(place->exec, err);
    if (status == ST_OK)
        status = feature_read_device_rows(at, self->device_acts, n, self->columns, err);
    if (status != ST_OK || !encoder_has_output_scale(at->dictionary)) return status;
    status = feature_reserve(&self->scales, &self->n_scales, n, 1, err);
    return status == ST_OK
               ? capture_target_output_scales(at->target, self->device_acts, n, self->scales, err)
               : status;
}

/* Change number i of every row that has one: x += (value - now) scale direction. *is_any: there
 * were. */
static status_t add_directions(const struct feature_hook *hook, const struct variant_place *place,
                               size_t i, bool *is_any, struct error *err)
{
    const struct feature_dictionary *at = hook->at;
    struct ablate_features *self = at->all;
    const bool has_scale = encoder_has_output_scale(at->dictionary);
    const float *now = self->columns, *scale = self->scales;
    size_t n = 0, column;
    float value;
    *is_any = false;
    for (size_t r = 0; r < place->n_rows; r++) {
        const size_t row = place->rows[r];
        if (!feature_is_changed(hook, row)) continue;
        const bool has_one = i < feature_n_changes(hook, row);
        *is_any = *is_any || has_one;
        if (has_one && feature_target_of(hook, row, i, &column, &value) && value - now[column] != 0)
            self->edits[n++] = (struct edit){.from = at->device_directions + column * at->width,
                                             .row = (uint32_t)r,
                                             .n_rows = 1,
                                             .n_columns = (uint32_t)at->width,
                                             .is_added = 1,
                                             .factor = has_scale ? (value - now[column]) * *scale
                                                                 : value - now[column]};
        now += at->n_columns;
        scale += has_scale;
    }
    const struct edit_params p = {.x = place->values,
                                  .n_rows = place->n_rows,
                                  .ld = place->ld,
                                  .edits = self->edits,
                                  .n_edits = n};
    return n ? place->ops->edit(place->exec, &p, err) : ST_OK;
}

status_t feature_change_place(void *context, const struct variant_place *place, struct error *err)
{
    const struct feature_hook *hook = context;
    struct feature_dictionary *at = hook->at;
    struct ablate_features *self = at->all;
    bool is_any = true;
    size_t n = 0;
    status_t status = put_directions(at, place, err);
    if (status == ST_OK) status = reserve_edits(self, place->n_rows, err);
    if (status == ST_OK)
        status =
            feature_reserve(&self->columns, &self->n_columns, place->n_rows, at->n_columns, err);
    if (status == ST_OK) status = gather(hook, place, &n, err);
    if (status != ST_OK || n == 0) return status;
    status = read_rows(at, place, n, err);
    for (size_t i = 0; is_any && status == ST_OK; i++)
        status = add_directions(hook, place, i, &is_any, err);
    return status;
}
