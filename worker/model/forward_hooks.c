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
    b->n_floats = n_rows * width;
    if (is_shared) b->host = b->device;
    return ST_OK;
}

/* The values of the rows from `first` on, on the host. */
static status_t fetch(struct forward *f, struct hook_buffer *b, const float *device, size_t first,
                      size_t n, struct error *err)
{
    if (!b->host) b->host = malloc(b->n_floats * sizeof *b->host);
    if (!b->host) return error_set(err, ST_NO_MEMORY, "%zu activations", b->n_floats);
    if (b->host == b->device) return ST_OK;
    return f->ops->download(f->exec, b->host + first, device, n * sizeof(float), err);
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
    const bool stays = f->input->stays && f->input->stays[index];
    const bool is_all = stays || f->ops->memory_is_host; /* the device has all parts */
    status_t status = buffer_reserve(f, b, is_all ? n_all : n_rows, n_all, source->width, err);
    if (status != ST_OK) return status;
    float *device = b->device + (is_all ? first * source->width : 0);
    const struct add_params copy = {.a = source->values,
                                    .bias = source->bias,
                                    .out = device,
                                    .n_rows = n_rows,
                                    .d = source->width,
                                    .ld_a = source->ld,
                                    .ld_out = source->width};
    status = f->ops->add(f->exec, &copy, err);
    if (status == ST_OK && !stays)
        status = fetch(f, b, device, first * source->width, n_rows * source->width, err);
    f->out_acts[index] = stays ? b->device : b->host;
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
