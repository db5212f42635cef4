/* Changes of values on their way through the pass: by operations where the values are, or, for an
 * edit that has none, on host memory: where the device has its own, the rows are fetched and put
 * back. */
#include "worker/model/forward_parts.h"

#include <stdlib.h>

bool forward_can_edit(enum hook_kind kind)
{
    static const bool can[HOOK_N_KINDS] = {
        [HOOK_RESID_PRE] = true, [HOOK_Q] = true,        [HOOK_K] = true,
        [HOOK_V] = true,         [HOOK_Z] = true,        [HOOK_ATTN_OUT] = true,
        [HOOK_RESID_MID] = true, [HOOK_MLP_POST] = true, [HOOK_MLP_OUT] = true,
        [HOOK_RESID_POST] = true};
    return (unsigned)kind < HOOK_N_KINDS && can[kind];
}

bool forward_is_edited(const struct forward *f, enum hook_kind kind, size_t layer)
{
    for (size_t i = 0; i < f->input->n_edits; i++) {
        const struct hook_point hook = f->input->edits[i].hook;
        if (hook.kind == kind && hook.layer == layer) return true;
    }
    return false;
}

/* Host room for an edit's rows. */
static status_t reserve(struct forward *f, size_t n_floats, struct error *err)
{
    if (n_floats <= f->edited.n_floats) return ST_OK;
    free(f->edited.host);
    f->edited.n_floats = 0;
    f->edited.host = malloc(n_floats * sizeof *f->edited.host);
    if (!f->edited.host) return error_set(err, ST_NO_MEMORY, "%zu values to edit", n_floats);
    f->edited.n_floats = n_floats;
    return ST_OK;
}

status_t forward_borrow(struct forward *f, float *device, size_t n, float **out, struct error *err)
{
    *out = device;
    if (f->ops->memory_is_host) return ST_OK;
    const status_t status = reserve(f, n, err);
    *out = f->edited.host;
    return status == ST_OK
               ? f->ops->download(f->exec, f->edited.host, device, n * sizeof(float), err)
               : status;
}

status_t forward_give_back(struct forward *f, float *device, size_t n, struct error *err)
{
    if (f->ops->memory_is_host) return ST_OK;
    return f->ops->upload(f->exec, device, f->edited.host, n * sizeof(float), err);
}

/* The last row ends with its values: what follows may be another buffer's, and stays. */
static status_t edit_on_host(struct forward *f, const struct forward_edit *edit,
                             const struct edit_source *source, struct error *err)
{
    const size_t n_floats = (f->n_tokens - 1) * source->ld + source->width;
    struct forward_values values = {.first_row = f->first_row,
                                    .n_rows = f->n_rows,
                                    .n_ctx = f->n_ctx,
                                    .width = source->width,
                                    .ld = source->ld};
    status_t status = forward_borrow(f, source->values, n_floats, &values.values, err);
    if (status == ST_OK) status = edit->apply(edit->context, &values, err);
    return status == ST_OK ? forward_give_back(f, source->values, n_floats, err) : status;
}

static status_t edit_on_device(struct forward *f, const struct forward_edit *edit,
                               const struct edit_source *source, struct error *err)
{
    const struct forward_place place = {.ops = f->ops,
                                        .exec = f->exec,
                                        .values = source->values,
                                        .first_row = f->first_row,
                                        .n_rows = f->n_rows,
                                        .n_ctx = f->n_ctx,
                                        .width = source->width,
                                        .ld = source->ld};
    return edit->change(edit->context, &place, err);
}

static status_t apply_edits(struct forward *f, enum hook_kind kind, size_t layer,
                            struct edit_source source, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < f->input->n_edits && status == ST_OK; i++) {
        const struct forward_edit *edit = &f->input->edits[i];
        if (edit->hook.kind != kind || edit->hook.layer != layer) continue;
        status = edit->change && !f->ops->memory_is_host ? edit_on_device(f, edit, &source, err)
                                                         : edit_on_host(f, edit, &source, err);
    }
    return status;
}

status_t forward_settle(struct forward *f, enum hook_kind kind, size_t layer,
                        struct edit_source source, struct error *err)
{
    const struct hook_source out = {
        .values = source.values, .width = source.width, .ld = source.ld};
    const status_t status = apply_edits(f, kind, layer, source, err);
    return status == ST_OK ? forward_offer(f, kind, layer, out, err) : status;
}
