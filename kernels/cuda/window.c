#include "kernels/cuda/window.h"

#include "common/size.h"
#include "kernels/cuda/matmul.h"

#include <stdlib.h>

enum { PART_ALIGNMENT = 256 };
static const size_t NO_LAYER = SIZE_MAX;

/* Half of the window: where a layer's weights are read from. */
struct half {
    size_t layer;               /* that it holds, or is being filled with */
    char *memory;               /* device */
    struct packed *weights;     /* [n_weights] */
    const struct packed **list; /* [n_weights] of them */
    cudaEvent_t there, free;
};

struct window {
    struct exec *exec;
    const struct packed *const *shelf; /* [n_layers, n_weights] */
    size_t n_layers, n_weights;
    cudaStream_t copies;
    struct half halves[WINDOW_N_LAYERS];
    size_t current; /* the half that the exec works with */
};

void window_close(struct window *w)
{
    if (!w) return;
    if (w->copies) (void)cudaStreamSynchronize(w->copies);
    (void)cudaStreamSynchronize(w->exec->stream);
    for (size_t i = 0; i < WINDOW_N_LAYERS; i++) {
        struct half *half = &w->halves[i];
        device_free(half->memory);
        free(half->weights);
        free(half->list);
        if (half->there) (void)cudaEventDestroy(half->there);
        if (half->free) (void)cudaEventDestroy(half->free);
    }
    if (w->copies) (void)cudaStreamDestroy(w->copies);
    free(w);
}

static size_t part_room(const struct packed *weights)
{
    return (packed_part_bytes(weights) + PART_ALIGNMENT - 1) / PART_ALIGNMENT * PART_ALIGNMENT;
}

static bool is_like(const struct packed *a, const struct packed *b)
{
    return a->n_in == b->n_in && a->n_out == b->n_out && a->compute == b->compute &&
           a->is_transposed == b->is_transposed;
}

static status_t check_shelf(const struct window_params *p, size_t *n_bytes, struct error *err)
{
    *n_bytes = 0;
    if (!p->n_layers || !p->n_weights)
        return error_set(err, ST_BAD_INPUT, "a window of %zu layers of %zu weights", p->n_layers,
                         p->n_weights);
    for (size_t i = 0; i < p->n_layers * p->n_weights; i++)
        if (!p->weights[i]->is_shelved || !is_like(p->weights[i], p->weights[i % p->n_weights]))
            return error_set(err, ST_BAD_INPUT, "window: weights %zu of layer %zu do not fit it",
                             i % p->n_weights, i / p->n_weights);
    for (size_t i = 0; i < p->n_weights; i++)
        if (!size_add(*n_bytes, part_room(p->weights[i]) * packed_n_parts(p->weights[i]), n_bytes))
            return error_set(err, ST_TOO_LARGE, "a window of layers");
    return ST_OK;
}

static status_t open_half(struct window *w, struct half *half, size_t n_bytes, struct error *err)
{
    void *memory = NULL;
    status_t status = device_alloc(w->exec->backend->device, n_bytes, &memory, err);
    half->layer = NO_LAYER;
    half->memory = memory;
    half->weights = calloc(w->n_weights, sizeof *half->weights);
    half->list = calloc(w->n_weights, sizeof(const struct packed *));
    if (status == ST_OK && (!half->weights || !half->list))
        status = error_set(err, ST_NO_MEMORY, "a window of %zu weights", w->n_weights);
    for (size_t i = 0, at = 0; i < w->n_weights && status == ST_OK; i++) {
        struct packed *weights = &half->weights[i];
        *weights = *w->shelf[i];
        weights->is_shelved = false;
        weights->is_borrowed = true;
        for (size_t k = 0; k < packed_n_parts(weights); k++, at += part_room(weights))
            weights->parts[k] = half->memory + at;
        half->list[i] = weights;
    }
    if (status == ST_OK)
        status = cuda_check(cudaEventCreateWithFlags(&half->there, cudaEventDisableTiming), "event",
                            err);
    if (status == ST_OK)
        status =
            cuda_check(cudaEventCreateWithFlags(&half->free, cudaEventDisableTiming), "event", err);
    return status;
}

status_t window_open(struct window **out, struct exec *exec, const struct window_params *params,
                     struct error *err)
{
    size_t n_bytes;
    status_t status = check_shelf(params, &n_bytes, err);
    if (status == ST_OK) status = exec_enter(exec, err);
    if (status != ST_OK) return status;
    struct window *w = calloc(1, sizeof *w);
    if (!w) return error_set(err, ST_NO_MEMORY, "window");
    w->exec = exec;
    w->shelf = params->weights;
    w->n_layers = params->n_layers;
    w->n_weights = params->n_weights;
    status =
        cuda_check(cudaStreamCreateWithFlags(&w->copies, cudaStreamNonBlocking), "stream", err);
    for (size_t i = 0; i < WINDOW_N_LAYERS && status == ST_OK; i++)
        status = open_half(w, &w->halves[i], n_bytes, err);
    if (status != ST_OK) {
        window_close(w);
        return error_wrap(err, "room for %d layers of weights", WINDOW_N_LAYERS);
    }
    *out = w;
    return ST_OK;
}

static status_t copy_weights(struct window *w, const struct packed *to, const struct packed *from,
                             struct error *err)
{
    status_t status = ST_OK;
    for (size_t k = 0; k < packed_n_parts(from) && status == ST_OK; k++)
        status = cuda_check(cudaMemcpyAsync(to->parts[k], from->parts[k], packed_part_bytes(from),
                                            cudaMemcpyHostToDevice, w->copies),
                            "bringing weights", err);
    return status;
}

/* Begin to bring a layer, behind all that the exec has been asked so far. */
static status_t bring(struct window *w, struct half *half, size_t layer, struct error *err)
{
    if (half->layer == layer) return ST_OK;
    status_t status =
        cuda_check(cudaEventRecord(half->free, w->exec->stream), "bringing weights", err);
    if (status == ST_OK)
        status = cuda_check(cudaStreamWaitEvent(w->copies, half->free, 0), "bringing weights", err);
    half->layer = NO_LAYER;
    for (size_t i = 0; i < w->n_weights && status == ST_OK; i++)
        status = copy_weights(w, &half->weights[i], w->shelf[layer * w->n_weights + i], err);
    if (status == ST_OK)
        status = cuda_check(cudaEventRecord(half->there, w->copies), "bringing weights", err);
    if (status == ST_OK) half->layer = layer;
    return status;
}

status_t window_take(struct window *w, size_t layer, size_t next, const struct packed *const **out,
                     struct error *err)
{
    if (layer >= w->n_layers || next >= w->n_layers)
        return error_set(err, ST_BAD_INPUT, "layers %zu and %zu of %zu", layer, next, w->n_layers);
    status_t status = exec_enter(w->exec, err);
    if (status != ST_OK) return status;
    if (w->halves[w->current].layer != layer) w->current = 1 - w->current;
    struct half *half = &w->halves[w->current];
    status = bring(w, half, layer, err);
    if (status == ST_OK)
        status = cuda_check(cudaStreamWaitEvent(w->exec->stream, half->there, 0),
                            "waiting for weights", err);
    if (status == ST_OK && next != layer) status = bring(w, &w->halves[1 - w->current], next, err);
    *out = half->list;
    return status;
}
