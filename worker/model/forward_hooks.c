#include "worker/model/forward_parts.h"

#include <stdlib.h>

static status_t buffer_reserve_floats(struct forward *f, struct hook_buffer *b, size_t n_rows,
                                      size_t width, struct error *err)
{
    const size_t n_floats = n_rows * width;
    if (n_floats <= b->n_floats) return ST_OK;
    f->ops->release(f->backend, b->device);
    if (!f->ops->memory_is_host) free(b->host);
    *b = (struct hook_buffer){0};
    const status_t status = forward_floats(f, n_rows, width, &b->device, err);
    if (status != ST_OK) return status;
    b->host = f->ops->memory_is_host ? b->device : malloc(n_floats * sizeof *b->host);
    if (!b->host) return error_set(err, ST_NO_MEMORY, "activations of %zu columns", width);
    b->n_floats = n_floats;
    return ST_OK;
}

static status_t collect(struct forward *f, size_t index, const struct hook_source *source,
                        struct error *err)
{
    struct hook_buffer *b = &f->buffers[index];
    const size_t n_rows = source->n_rows ? source->n_rows : f->n_tokens;
    status_t status = buffer_reserve_floats(f, b, n_rows, source->width, err);
    if (status != ST_OK) return status;
    const struct add_params copy = {.a = source->values,
                                    .bias = source->bias,
                                    .out = b->device,
                                    .n_rows = n_rows,
                                    .d = source->width,
                                    .ld_a = source->ld,
                                    .ld_out = source->width};
    status = f->ops->add(f->exec, &copy, err);
    if (status == ST_OK && b->host != b->device)
        status = f->ops->download(f->exec, b->host, b->device,
                                  n_rows * source->width * sizeof(float), err);
    f->out_acts[index] = b->host;
    f->n_seen++;
    return status;
}

bool forward_is_asked(const struct forward *f, enum hook_kind kind, size_t layer)
{
    for (size_t i = 0; i < f->n_hooks; i++) {
        if (f->hooks[i].kind == kind && f->hooks[i].layer == layer) return true;
    }
    return false;
}

/* Give `source` to every hook of that kind and layer. */
status_t forward_offer(struct forward *f, enum hook_kind kind, size_t layer,
                       struct hook_source source, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < f->n_hooks && status == ST_OK; i++) {
        if (f->hooks[i].kind == kind && f->hooks[i].layer == layer)
            status = collect(f, i, &source, err);
    }
    return status;
}

bool forward_is_complete(const struct forward *f)
{
    return f->n_seen == f->n_hooks;
}
