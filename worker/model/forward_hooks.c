#include "worker/model/forward_parts.h"

#include <stdlib.h>

/* Room for n_device rows on the device and n_rows on the host: one array where memory is shared. */
static status_t buffer_reserve(struct forward *f, struct hook_buffer *b, size_t n_device,
                               size_t n_rows, size_t width, struct error *err)
{
    const bool is_shared = f->ops->memory_is_host;
    const size_t n_wanted = is_shared ? n_rows : n_device;
    if (n_rows * width <= b->n_floats && n_wanted * width <= b->n_device) return ST_OK;
    f->ops->release(f->backend, b->device);
    if (!is_shared) free(b->host);
    *b = (struct hook_buffer){0};
    const status_t status = forward_floats(f, n_wanted, width, &b->device, err);
    if (status != ST_OK) return status;
    b->n_device = n_wanted * width;
    b->host = is_shared ? b->device : malloc(n_rows * width * sizeof *b->host);
    if (!b->host) return error_set(err, ST_NO_MEMORY, "activations of %zu columns", width);
    b->n_floats = n_rows * width;
    return ST_OK;
}

static status_t collect(struct forward *f, size_t index, const struct hook_source *source,
                        struct error *err)
{
    struct hook_buffer *b = &f->buffers[index];
    const bool is_part = f->part_rows < f->batch_rows;
    const size_t n_rows = source->n_rows ? source->n_rows : f->n_tokens;
    const size_t n_all = source->n_rows_out ? source->n_rows_out
                         : is_part          ? f->batch_rows * f->n_ctx
                                            : n_rows;
    const size_t first = source->n_rows_out ? source->first_row_out : f->first_row * f->n_ctx;
    status_t status = buffer_reserve(f, b, n_rows, n_all, source->width, err);
    if (status != ST_OK) return status;
    float *host = b->host + first * source->width;
    float *device = f->ops->memory_is_host ? host : b->device;
    const struct add_params copy = {.a = source->values,
                                    .bias = source->bias,
                                    .out = device,
                                    .n_rows = n_rows,
                                    .d = source->width,
                                    .ld_a = source->ld,
                                    .ld_out = source->width};
    status = f->ops->add(f->exec, &copy, err);
    if (status == ST_OK && host != device)
        status =
            f->ops->download(f->exec, host, device, n_rows * source->width * sizeof(float), err);
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
