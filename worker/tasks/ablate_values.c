#include "worker/tasks/ablate_values.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

/* Of one place: values of all its layers. */
struct place_values {
    float **resample; /* [n_layers], each [n_prompts * n_ctx, width]; NULL until computed */
    float **mean;     /* [n_layers], each [width] or as above */
    float **on_device[ABLATE_N_VALUES]; /* [n_layers] each, the same there; NULL until wanted */
};

struct ablate_values {
    struct backend *backend;
    struct forward *forward; /* [n_prompts, n_ctx] */
    const struct model_config *config;
    const struct ablate_prompts *prompts;
    enum ablate_mean mean;
    struct place_values places[HOOK_N_KINDS];
};

static void free_layers(float **layers, size_t n_layers)
{
    for (size_t i = 0; layers && i < n_layers; i++) free(layers[i]);
    free(layers);
}

static void release_layers(struct backend *backend, float **layers, size_t n_layers)
{
    for (size_t i = 0; layers && i < n_layers; i++) backend->ops->release(backend, layers[i]);
    free(layers);
}

void ablate_values_destroy(struct ablate_values **pointer)
{
    struct ablate_values *v = *pointer;
    if (!v) return;
    for (size_t k = 0; k < HOOK_N_KINDS; k++) {
        free_layers(v->places[k].resample, v->config->n_layers);
        free_layers(v->places[k].mean, v->config->n_layers);
        for (size_t i = 0; i < ABLATE_N_VALUES; i++)
            release_layers(v->backend, v->places[k].on_device[i], v->config->n_layers);
    }
    forward_destroy(&v->forward);
    free(v);
    *pointer = NULL;
}

status_t ablate_values_create(struct ablate_values **out, const struct ablate_values_params *p,
                              struct error *err)
{
    struct ablate_values *v = calloc(1, sizeof *v);
    if (!v) return error_set(err, ST_NO_MEMORY, "values of ablations");
    v->config = model_config(p->model);
    v->backend = model_backend(p->model);
    v->prompts = p->prompts;
    v->mean = p->mean;
    const struct forward_params forward = {.model = p->model,
                                           .n_rows = p->prompts->clean.n,
                                           .n_ctx = p->prompts->n_ctx,
                                           .progress = p->progress};
    const status_t status = forward_create(&v->forward, &forward, err);
    if (status == ST_OK)
        *out = v;
    else
        ablate_values_destroy(&v);
    return status;
}

/* --- passes -------------------------------------------------------------------------------- */

/* Takes the activations of `kind` at layers [low, low + n) of a batch. */
typedef void take_fn(void *context, size_t layer, const float *acts);

/* One batch through the model for as many layers at a time as a run can hook. */
static status_t run_batch(struct ablate_values *v, enum hook_kind kind,
                          const struct forward_input *input, take_fn *take, void *context,
                          struct error *err)
{
    const size_t n_layers = v->config->n_layers;
    status_t status = ST_OK;
    for (size_t low = 0; low < n_layers && status == ST_OK; low += FORWARD_MAX_HOOKS) {
        struct hook_point hooks[FORWARD_MAX_HOOKS];
        const float *acts[FORWARD_MAX_HOOKS];
        const size_t n = n_layers - low < FORWARD_MAX_HOOKS ? n_layers - low : FORWARD_MAX_HOOKS;
        for (size_t i = 0; i < n; i++) hooks[i] = (struct hook_point){kind, low + i};
        status = forward_run(v->forward, input, hooks, n, acts, err);
        for (size_t i = 0; i < n && status == ST_OK; i++) take(context, low + i, acts[i]);
    }
    return status;
}

static status_t make_layers(const struct ablate_values *v, size_t n_rows, size_t width,
                            size_t item_bytes, void ***out, struct error *err)
{
    const size_t n_layers = v->config->n_layers;
    size_t n_bytes;
    void **layers = calloc(n_layers, sizeof *layers);
    bool is_made = layers && size_tensor(n_rows, width, item_bytes, &n_bytes);
    for (size_t i = 0; i < n_layers && is_made; i++) is_made = (layers[i] = calloc(1, n_bytes));
    if (is_made) {
        *out = layers;
        return ST_OK;
    }
    for (size_t i = 0; layers && i < n_layers; i++) free(layers[i]);
    free(layers);
    return error_set(err, ST_NO_MEMORY, "values of %zu x %zu at %zu layers", n_rows, width,
                     n_layers);
}

struct copying {
    float **layers;
    size_t n_floats;
};

static void copy_layer(void *context, size_t layer, const float *acts)
{
    const struct copying *copying = context;
    memcpy(copying->layers[layer], acts, copying->n_floats * sizeof *acts);
}

static status_t make_resample(struct ablate_values *v, enum hook_kind kind, struct error *err)
{
    const struct ablate_rows *rows = &v->prompts->corrupted;
    const size_t n_rows = rows->n * v->prompts->n_ctx;
    const size_t width = hook_point_width((struct hook_point){kind, 0}, v->config);
    const struct forward_input input = {.tokens = rows->tokens, .row_lengths = rows->lengths};
    void **layers;
    status_t status = make_layers(v, n_rows, width, sizeof(float), &layers, err);
    if (status != ST_OK) return status;
    v->places[kind].resample = (float **)layers;
    struct copying copying = {v->places[kind].resample, n_rows * width};
    status = run_batch(v, kind, &input, copy_layer, &copying, err);
    if (status != ST_OK) {
        free_layers(v->places[kind].resample, v->config->n_layers);
        v->places[kind].resample = NULL;
    }
    return status;
}

/* --- means --------------------------------------------------------------------------------- */

struct averaging {
    const struct ablate_values *values;
    double **sums;  /* [n_layers], each [n_groups, width] */
    size_t *counts; /* [n_groups]: tokens of one layer */
    size_t n_groups, width;
    enum hook_kind kind;
    size_t low, n; /* reference prompts of the batch */
};

static uint32_t n_templates(const struct ablate_prompts *p)
{
    uint32_t max = 0;
    for (size_t i = 0; i < p->clean.n; i++)
        max = p->clean.templates[i] > max ? p->clean.templates[i] : max;
    for (size_t i = 0; i < p->reference.n; i++)
        max = p->reference.templates[i] > max ? p->reference.templates[i] : max;
    return max + 1;
}

size_t ablate_values_n_groups(const struct ablate_values *v)
{
    return v->mean == ABLATE_MEAN_OVERALL    ? 1
           : v->mean == ABLATE_MEAN_POSITION ? v->prompts->n_ctx
                                             : n_templates(v->prompts) * v->prompts->n_ctx;
}

size_t ablate_values_group(const struct ablate_values *v, uint32_t template, size_t position)
{
    if (v->mean == ABLATE_MEAN_OVERALL) return 0;
    return (v->mean == ABLATE_MEAN_TEMPLATE ? template * v->prompts->n_ctx : 0) + position;
}

static void add_layer(void *context, size_t layer, const float *acts)
{
    struct averaging *a = context;
    const struct ablate_rows *rows = &a->values->prompts->reference;
    const size_t n_ctx = a->values->prompts->n_ctx;
    for (size_t i = 0; i < a->n; i++)
        for (size_t t = 0; t < rows->lengths[a->low + i]; t++) {
            const size_t group = ablate_values_group(a->values, rows->templates[a->low + i], t);
            const float *from = acts + (i * n_ctx + t) * a->width;
            double *to = a->sums[layer] + group * a->width;
            for (size_t k = 0; k < a->width; k++) to[k] += (double)from[k];
            a->counts[group] += layer == 0;
        }
}

/* One batch of a list of prompts. */
typedef status_t batch_fn(struct ablate_values *v, const struct forward_input *input, size_t low,
                          size_t n, void *context, struct error *err);

static status_t run_batches(struct ablate_values *v, const struct ablate_rows *rows, batch_fn *run,
                            void *context, struct error *err)
{
    const size_t n_batch = v->prompts->clean.n, n_ctx = v->prompts->n_ctx;
    uint32_t *tokens = calloc(n_batch * n_ctx, sizeof *tokens);
    uint32_t *lengths = calloc(n_batch, sizeof *lengths);
    status_t status =
        tokens && lengths ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu prompts", n_batch);
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    for (size_t low = 0; low < rows->n && status == ST_OK; low += n_batch) {
        const size_t n = rows->n - low < n_batch ? rows->n - low : n_batch;
        memcpy(tokens, rows->tokens + low * n_ctx, n * n_ctx * sizeof *tokens);
        memset(lengths, 0, n_batch * sizeof *lengths);
        memcpy(lengths, rows->lengths + low, n * sizeof *lengths);
        status = run(v, &input, low, n, context, err);
    }
    free(tokens);
    free(lengths);
    return status;
}

static status_t sum_batch(struct ablate_values *v, const struct forward_input *input, size_t low,
                          size_t n, void *context, struct error *err)
{
    struct averaging *a = context;
    a->low = low;
    a->n = n;
    return run_batch(v, a->kind, input, add_layer, a, err);
}

static status_t sum_reference(struct ablate_values *v, enum hook_kind kind, struct averaging *a,
                              struct error *err)
{
    a->kind = kind;
    return run_batches(v, &v->prompts->reference, sum_batch, a, err);
}

struct passing {
    struct hook_point hook;
    ablate_pass_fn *take;
    void *context;
};

static status_t pass_batch(struct ablate_values *v, const struct forward_input *input, size_t low,
                           size_t n, void *context, struct error *err)
{
    const struct passing *passing = context;
    const float *acts;
    const status_t status = forward_run(v->forward, input, &passing->hook, 1, &acts, err);
    return status == ST_OK ? passing->take(passing->context, low, n, acts, err) : status;
}

status_t ablate_values_pass(struct ablate_values *v, const struct ablate_rows *rows,
                            struct hook_point hook, ablate_pass_fn *take, void *context,
                            struct error *err)
{
    struct passing passing = {hook, take, context};
    return run_batches(v, rows, pass_batch, &passing, err);
}

status_t ablate_values_check(const struct ablate_values *v, const size_t *counts, struct error *err)
{
    const struct ablate_rows *rows = &v->prompts->clean;
    if (v->prompts->reference.n == 0)
        return error_set(err, ST_BAD_INPUT, "a mean over no reference prompts");
    for (size_t i = 0; i < rows->n; i++)
        for (size_t t = 0; t < rows->lengths[i]; t++)
            if (counts[ablate_values_group(v, rows->templates[i], t)] == 0)
                return error_set(err, ST_BAD_INPUT,
                                 "no reference prompt has position %zu of prompt %zu (template %u)",
                                 t, i, (unsigned)rows->templates[i]);
    return ST_OK;
}

/* Row r of the prompts from the mean of its group; overall: one row. */
static void write_means(const struct ablate_values *v, const struct averaging *a, size_t layer,
                        float *out)
{
    const struct ablate_rows *rows = &v->prompts->clean;
    const bool is_one = v->mean == ABLATE_MEAN_OVERALL;
    const size_t n_ctx = v->prompts->n_ctx;
    for (size_t i = 0; i < (is_one ? 1 : rows->n); i++)
        for (size_t t = 0; t < (is_one ? 1 : rows->lengths[i]); t++) {
            const size_t group = ablate_values_group(v, rows->templates[i], t);
            const double *sum = a->sums[layer] + group * a->width;
            float *to = out + (i * n_ctx + t) * a->width;
            for (size_t k = 0; k < a->width; k++)
                to[k] = (float)(sum[k] / (double)a->counts[group]);
        }
}

static status_t average(struct ablate_values *v, enum hook_kind kind, struct averaging *a,
                        struct error *err)
{
    const bool is_one = v->mean == ABLATE_MEAN_OVERALL;
    void **layers;
    status_t status = sum_reference(v, kind, a, err);
    if (status == ST_OK) status = ablate_values_check(v, a->counts, err);
    if (status == ST_OK)
        status = make_layers(v, is_one ? 1 : v->prompts->clean.n * v->prompts->n_ctx, a->width,
                             sizeof(float), &layers, err);
    if (status != ST_OK) return status;
    v->places[kind].mean = (float **)layers;
    for (size_t i = 0; i < v->config->n_layers; i++) write_means(v, a, i, v->places[kind].mean[i]);
    return ST_OK;
}

static status_t make_mean(struct ablate_values *v, enum hook_kind kind, struct error *err)
{
    struct averaging a = {.values = v,
                          .width = hook_point_width((struct hook_point){kind, 0}, v->config)};
    a.n_groups = ablate_values_n_groups(v);
    a.counts = calloc(a.n_groups, sizeof *a.counts);
    void **sums = NULL;
    status_t status = a.counts ? make_layers(v, a.n_groups, a.width, sizeof(double), &sums, err)
                               : error_set(err, ST_NO_MEMORY, "%zu means", a.n_groups);
    if (status == ST_OK) {
        a.sums = (double **)sums;
        status = average(v, kind, &a, err);
        for (size_t i = 0; i < v->config->n_layers; i++) free(sums[i]);
    }
    free(sums);
    free(a.counts);
    return status;
}

status_t ablate_values_get(struct ablate_values *v, struct hook_point hook, enum ablate_value value,
                           const float **out, size_t *ld, struct error *err)
{
    struct place_values *place = &v->places[hook.kind];
    status_t status = ST_OK;
    *out = NULL;
    *ld = 0;
    if (value == ABLATE_ZERO) return ST_OK;
    if (value == ABLATE_RESAMPLE && !place->resample) status = make_resample(v, hook.kind, err);
    if (value == ABLATE_MEAN && !place->mean) status = make_mean(v, hook.kind, err);
    if (status != ST_OK) return status;
    *out = (value == ABLATE_MEAN ? place->mean : place->resample)[hook.layer];
    if (value == ABLATE_RESAMPLE || v->mean != ABLATE_MEAN_OVERALL)
        *ld = hook_point_width(hook, v->config);
    return ST_OK;
}

/* Values may take that share of what is free; the rest is for passes. */
enum { SHARE_OF_FREE = 4 };

static status_t put_on_device(struct ablate_values *v, const float *from, size_t n_bytes,
                              float **out, struct error *err)
{
    const struct backend_ops *ops = v->backend->ops;
    const struct backend_memory memory = ops->memory(v->backend);
    struct exec *exec = forward_exec(v->forward);
    void *device = NULL;
    if (memory.n_total && n_bytes > memory.n_free / SHARE_OF_FREE) return ST_OK;
    status_t status = ops->alloc(v->backend, n_bytes, &device, err);
    if (status != ST_OK) return status;
    *out = device;
    status = ops->upload(exec, device, from, n_bytes, err);
    return status == ST_OK ? ops->synchronize(exec, err) : status; /* others read it */
}

status_t ablate_values_on_device(struct ablate_values *v, struct hook_point hook,
                                 enum ablate_value value, const float **out, struct error *err)
{
    struct place_values *place = &v->places[hook.kind];
    const size_t width = hook_point_width(hook, v->config);
    const bool is_one = value == ABLATE_MEAN && v->mean == ABLATE_MEAN_OVERALL;
    const size_t n_rows = is_one ? 1 : v->prompts->clean.n * v->prompts->n_ctx;
    float **from = value == ABLATE_MEAN ? place->mean : place->resample;
    *out = NULL;
    if (value == ABLATE_ZERO || !from || v->backend->ops->memory_is_host) return ST_OK;
    float ***layers = &place->on_device[value];
    if (!*layers) *layers = calloc(v->config->n_layers, sizeof **layers);
    if (!*layers) return error_set(err, ST_NO_MEMORY, "values of ablations");
    float **device = &(*layers)[hook.layer];
    const status_t status =
        *device ? ST_OK
                : put_on_device(v, from[hook.layer], n_rows * width * sizeof(float), device, err);
    *out = *device;
    return status;
}
