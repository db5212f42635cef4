#include "worker/model/weights_loader.h"

#include "common/size.h"
#include "worker/model/weight_shuffle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* prefix + base with '#' replaced by the layer + suffix. */
status_t weights_tensor_name(char out[TENSOR_NAME_SIZE], const char *prefix, const char *base,
                             size_t layer, const char *suffix, struct error *err)
{
    const char *mark = strchr(base, '#');
    const int head = mark ? (int)(mark - base) : (int)strlen(base);
    char number[24] = "";
    if (mark) (void)snprintf(number, sizeof number, "%zu", layer);
    const int n = snprintf(out, TENSOR_NAME_SIZE, "%s%.*s%s%s%s", prefix, head, base, number,
                           mark ? mark + 1 : "", suffix);
    if (n < 0 || n >= TENSOR_NAME_SIZE)
        return error_set(err, ST_TOO_LARGE, "tensor name %s%s is too long", prefix, base);
    return ST_OK;
}

static status_t check_finite(const char *name, const float *values, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        if ((bits & 0x7f800000u) != 0x7f800000u) continue;
        return error_set(err, ST_BAD_INPUT, "tensor %s: value %zu is not finite", name, i);
    }
    return ST_OK;
}

/* The tensor of that name, noted as used. Errors name it: missing, or of a type that is no
 * float. */
status_t weights_find_tensor(struct weights_loader *l, const char *name,
                             const struct tensor_view **out, struct error *err)
{
    const struct tensor_view *view = safetensors_find(l->source->checkpoint, name);
    if (!view) return error_set(err, ST_NOT_FOUND, "tensor %s is missing", name);
    if (view->dtype != TENSOR_F32 && view->dtype != TENSOR_F16 && view->dtype != TENSOR_BF16)
        return error_set(err, ST_UNSUPPORTED, "tensor %s: dtype %s is not F32, F16 or BF16", name,
                         tensor_dtype_name(view->dtype));
    if (l->used && l->n_used < safetensors_count(l->source->checkpoint))
        l->used[l->n_used++] = view;
    *out = view;
    return ST_OK;
}

/* Read a [rows, columns] tensor (rows = 0: a vector [columns]) as f32 into out. */
status_t weights_read_tensor(struct weights_loader *l, const char *name, size_t rows,
                             size_t columns, float *out, struct error *err)
{
    const struct tensor_view *view = NULL;
    status_t status = weights_find_tensor(l, name, &view, err);
    if (status != ST_OK || !view) return status;
    const bool fits = rows
                          ? view->n_dims == 2 && view->shape[0] == rows && view->shape[1] == columns
                          : view->n_dims == 1 && view->shape[0] == columns;
    if (!fits)
        return error_set(err, ST_BAD_INPUT,
                         "tensor %s: shape [%zu, %zu] (%zu dimensions), the config says "
                         "[%zu, %zu]",
                         name, view->n_dims > 1 ? view->shape[0] : 1,
                         view->n_dims ? view->shape[view->n_dims - 1] : 1, view->n_dims,
                         rows ? rows : 1, columns);
    const size_t n = columns * (rows ? rows : 1);
    status = tensor_to_f32(view, out, n, err);
    if (status == ST_OK) status = check_finite(name, out, n, err);
    if (status == ST_OK) weight_shuffle(out, n, l->source->shuffle_seed, name);
    return status;
}

status_t weights_host_floats(size_t rows, size_t columns, float **out, struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(rows ? rows : 1, columns, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu x %zu floats", rows, columns);
    *out = malloc(n_bytes);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu bytes", n_bytes);
}

/* Move n host floats to newly allocated device memory. */
status_t weights_to_device(struct weights_loader *l, const float *host, size_t n, float **out,
                           struct error *err)
{
    void *device;
    struct backend *backend = l->source->backend;
    const struct exec_params params = {.row_block = 1};
    status_t status = l->exec ? ST_OK : l->ops->exec_create(&l->exec, backend, &params, err);
    if (status != ST_OK) return status;
    status = l->ops->alloc(backend, n * sizeof *host, &device, err);
    if (status != ST_OK) return status;
    status = l->ops->upload(l->exec, device, host, n * sizeof *host, err);
    if (status == ST_OK) status = l->ops->synchronize(l->exec, err);
    if (status != ST_OK) {
        l->ops->release(backend, device);
        return status;
    }
    *out = device;
    if (l->weights) l->weights->n_bytes += n * sizeof *host;
    return ST_OK;
}

/* A named table [rows, columns] (rows = 0: vector) on the device. */
status_t weights_load_table(struct weights_loader *l, const char *base, size_t layer,
                            const char *suffix, size_t rows, size_t columns, float **out,
                            struct error *err)
{
    char name[TENSOR_NAME_SIZE];
    float *host = NULL;
    if (!l->source->checkpoint)
        return weights_to_device(l, NULL, columns * (rows ? rows : 1), out, err);
    status_t status = weights_tensor_name(name, l->prefix, base, layer, suffix, err);
    if (status == ST_OK) status = weights_host_floats(rows, columns, &host, err);
    if (status == ST_OK) status = weights_read_tensor(l, name, rows, columns, host, err);
    if (status == ST_OK) status = weights_to_device(l, host, columns * (rows ? rows : 1), out, err);
    free(host);
    return status;
}

static int by_address(const void *a, const void *b)
{
    const uintptr_t left = (uintptr_t) * (const struct tensor_view *const *)a;
    const uintptr_t right = (uintptr_t) * (const struct tensor_view *const *)b;
    return (left > right) - (left < right);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* Buffers that older checkpoints carry beside the weights, and a head that the config ties. */
static bool is_ignorable(const char *name, const struct model_config *config)
{
    static const char *const BUFFERS[] = {".attn.bias", ".attn.masked_bias",
                                          ".rotary_emb.inv_freq"};
    for (size_t i = 0; i < sizeof BUFFERS / sizeof BUFFERS[0]; i++) {
        if (ends_with(name, BUFFERS[i])) return true;
    }
    return ends_with(name, "lm_head.weight") && config->is_tied;
}

/* Every tensor of the checkpoint must have been used: one that we do not know would be a part of
 * the model that we do not compute. */
status_t weights_check_all_used(struct weights_loader *l, struct error *err)
{
    const struct safetensors *checkpoint = l->source->checkpoint;
    const size_t item = sizeof(void *); /* `used` holds pointers */
    if (!checkpoint) return ST_OK;
    qsort(l->used, l->n_used, item, by_address);
    for (size_t i = 0; i < safetensors_count(checkpoint); i++) {
        const struct tensor_view *view = safetensors_at(checkpoint, i);
        if (bsearch(&view, l->used, l->n_used, item, by_address) ||
            is_ignorable(view->name, l->source->config))
            continue;
        return error_set(err, ST_UNSUPPORTED, "tensor %s: a %s model has no such part", view->name,
                         l->source->config->family->name);
    }
    return ST_OK;
}

/* The prefix under which the checkpoint keeps its token embedding. */
static status_t find_prefix(struct weights_loader *l, struct error *err)
{
    const struct family_tensors *names = &l->source->config->family->tensors;
    char name[TENSOR_NAME_SIZE];
    for (size_t i = 0; i < 3 && names->prefixes[i]; i++) {
        const status_t status =
            weights_tensor_name(name, names->prefixes[i], names->token_embed, 0, ".weight", err);
        if (status != ST_OK) return status;
        if (!safetensors_find(l->source->checkpoint, name)) continue;
        l->prefix = names->prefixes[i];
        return ST_OK;
    }
    return error_set(err, ST_NOT_FOUND, "tensor %s%s.weight is missing", names->prefixes[0],
                     names->token_embed);
}

status_t weights_loader_init(struct weights_loader *l, const struct weights_source *source,
                             struct error *err)
{
    *l = (struct weights_loader){.source = source, .ops = source->backend->ops};
    return source->checkpoint ? find_prefix(l, err) : ST_OK;
}

void weights_loader_fini(struct weights_loader *l)
{
    free(l->used);
    if (l->exec) l->ops->exec_destroy(l->exec);
}
