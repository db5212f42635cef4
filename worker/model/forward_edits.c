/* Changes of values on their way through the pass. An edit works on host memory: where the device
 * has its own, the rows are fetched and put back. */
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

static status_t run_edits(const struct forward *f, enum hook_kind kind, size_t layer,
                          const struct forward_values *values, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < f->input->n_edits && status == ST_OK; i++) {
        const struct forward_edit *edit = &f->input->edits[i];
        if (edit->hook.kind == kind && edit->hook.layer == layer)
            status = edit->apply(edit->context, values, err);
    }
    return status;
}

/* Host room for all rows of the source, ld apart as on the device. */
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

/* The last row ends with its values: what follows may be another buffer's, and stays. */
static status_t edit_apart(struct forward *f, enum hook_kind kind, size_t layer,
                           const struct edit_source *source, struct error *err)
{
    const size_t n_floats = (f->n_tokens - 1) * source->ld + source->width;
    const size_t n_bytes = n_floats * sizeof(float);
    status_t status = reserve(f, n_floats, err);
    if (status == ST_OK)
        status = f->ops->download(f->exec, f->edited.host, source->values, n_bytes, err);
    const struct forward_values values = {.values = f->edited.host,
                                          .first_row = f->first_row,
                                          .n_rows = f->n_rows,
                                          .n_ctx = f->n_ctx,
                                          .width = source->width,
                                          .ld = source->ld};
    if (status == ST_OK) status = run_edits(f, kind, layer, &values, err);
    if (status == ST_OK)
        status = f->ops->upload(f->exec, source->values, f->edited.host, n_bytes, err);
    return status;
}

static status_t apply_edits(struct forward *f, enum hook_kind kind, size_t layer,
                            struct edit_source source, struct error *err)
{
    if (!forward_is_edited(f, kind, layer)) return ST_OK;
    if (!f->ops->memory_is_host) return edit_apart(f, kind, layer, &source, err);
    const struct forward_values values = {.values = source.values,
                                          .first_row = f->first_row,
                                          .n_rows = f->n_rows,
                                          .n_ctx = f->n_ctx,
                                          .width = source.width,
                                          .ld = source.ld};
    return run_edits(f, kind, layer, &values, err);
}

status_t forward_settle(struct forward *f, enum hook_kind kind, size_t layer,
                        struct edit_source source, struct error *err)
{
    const struct hook_source out = {
        .values = source.values, .width = source.width, .ld = source.ld};
    const status_t status = apply_edits(f, kind, layer, source, err);
    return status == ST_OK ? forward_offer(f, kind, layer, out, err) : status;
}
