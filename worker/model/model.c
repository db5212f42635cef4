#include "worker/model/model.h"

#include "kernels/cpu/system_memory.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct model {
    struct model_config config;
    struct backend *backend;
    struct safetensors *checkpoint;
    struct weights weights;
    struct weights_source source;
    char *directory;
    pthread_mutex_t lock; /* guards what is loaded on first use: */
    struct packed *head;
    float **head_factors; /* [n_layers], device, NULL until made */
    struct adjoint_weights adjoint;
    struct error unrecorded; /* why layers are not replayed; ST_OK: they are, or nobody said */
    bool is_unrecorded_told;
    struct memory_plan plan;
    atomic_uint n_halvings;
    atomic_bool can_halve; /* a pass was made since the last halving that would shrink by one */
};

void model_close(struct model **pointer)
{
    struct model *m = *pointer;
    if (!m) return;
    const struct backend_ops *ops = m->backend->ops;
    if (m->head) ops->packed_destroy(m->head);
    for (size_t i = 0; m->head_factors && i < m->config.n_layers; i++)
        ops->release(m->backend, m->head_factors[i]);
    free(m->head_factors);
    adjoint_weights_unload(&m->adjoint);
    weights_unload(&m->weights);
    safetensors_close(&m->checkpoint);
    (void)pthread_mutex_destroy(&m->lock);
    free(m->directory);
    free(m);
    *pointer = NULL;
}

/* What of this host its weights may take: a shape alone takes nothing. */
static struct backend_memory host_of(const struct model_params *params)
{
    const struct backend_memory nothing = {.n_total = 0};
    return params->shape ? nothing : system_memory("");
}

static status_t open_files(struct model *m, const struct model_params *params, struct error *err)
{
    status_t status = ST_OK;
    if (params->shape)
        m->config = *params->shape;
    else
        status = model_config_read(&m->config, params->directory, err);
    if (status == ST_OK && !params->shape)
        status = safetensors_open(&m->checkpoint, params->directory, err);
    if (status != ST_OK) return status;
    m->source = (struct weights_source){.checkpoint = m->checkpoint,
                                        .config = &m->config,
                                        .backend = m->backend,
                                        .compute = params->compute,
                                        .shuffle_seed = params->shuffle_seed};
    const struct memory_plan_params plan = {.config = &m->config,
                                            .backend = m->backend,
                                            .compute = params->compute,
                                            .needs = params->needs,
                                            .host = host_of(params)};
    status = memory_plan_make(&m->plan, &plan, err);
    if (status == ST_OK) status = memory_plan_check(&m->plan, m->backend, err);
    if (status != ST_OK) return error_wrap(err, "model %s", params->directory);
    m->source.is_streamed = m->plan.is_streamed;
    m->head_factors = calloc(m->config.n_layers, sizeof *m->head_factors);
    if (!m->head_factors) return error_set(err, ST_NO_MEMORY, "model");
    status = weights_load(&m->weights, &m->source, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "model %s", params->directory);
}

status_t model_open(struct model **out, const struct model_params *params, struct error *err)
{
    if (!backend_supports(params->backend, BACKEND_FORWARD))
        return error_set(err, ST_UNSUPPORTED, "backend %s cannot run a forward pass",
                         params->backend->ops->name);
    struct model *m = calloc(1, sizeof *m);
    char *name = strdup(params->directory);
    if (!m || !name || pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        free(name);
        return error_set(err, ST_NO_MEMORY, "model %s", params->directory);
    }
    m->backend = params->backend;
    m->directory = name;
    const status_t status = open_files(m, params, err);
    if (status != ST_OK) {
        model_close(&m);
        return status;
    }
    *out = m;
    return ST_OK;
}

const struct model_config *model_config(const struct model *model)
{
    return &model->config;
}

const struct weights *model_weights(const struct model *model)
{
    return &model->weights;
}

struct backend *model_backend(const struct model *model)
{
    return model->backend;
}

enum compute model_compute(const struct model *model)
{
    return model->source.compute;
}

const char *model_directory(const struct model *model)
{
    return model->directory;
}

const struct weights_source *model_source(const struct model *model)
{
    return &model->source;
}

uint64_t model_shuffle_seed(const struct model *model)
{
    return model->source.shuffle_seed;
}

const struct memory_plan *model_plan(const struct model *model)
{
    return &model->plan;
}

/* What a plan for these needs counts again: weights of derivatives that they do not count stay. */
static size_t own_bytes(struct model *model, const struct memory_needs *needs)
{
    const size_t n_bytes = model_device_bytes(model);
    return needs && needs->adjoint != MEMORY_NO_ADJOINT ? n_bytes
                                                        : n_bytes - model->adjoint.n_bytes;
}

bool model_plan_again(struct model *model, const struct memory_needs *needs)
{
    struct memory_plan plan;
    const struct memory_plan_params params = {.config = &model->config,
                                              .backend = model->backend,
                                              .compute = model->source.compute,
                                              .needs = needs,
                                              .n_own = own_bytes(model, needs)};
    if (memory_plan_make(&plan, &params, NULL) != ST_OK || !plan.n_fitting) return false;
    if (plan.is_streamed == model->plan.is_streamed)
        model->plan = plan;
    else if (plan.is_streamed)
        return false;
    return true;
}

unsigned model_n_halvings(const struct model *model)
{
    return atomic_load(&model->n_halvings);
}

bool model_halve(struct model *model)
{
    if (!atomic_exchange(&model->can_halve, false)) return false;
    (void)atomic_fetch_add(&model->n_halvings, 1);
    return true;
}

void model_note_pass(struct model *model, bool can_shrink)
{
    if (can_shrink) atomic_store(&model->can_halve, true);
}

void model_note_unrecorded(struct model *model, const struct error *why)
{
    (void)pthread_mutex_lock(&model->lock);
    if (model->unrecorded.status == ST_OK) model->unrecorded = *why;
    (void)pthread_mutex_unlock(&model->lock);
}

bool model_take_unrecorded(struct model *model, struct error *why)
{
    (void)pthread_mutex_lock(&model->lock);
    const bool is_new = model->unrecorded.status != ST_OK && !model->is_unrecorded_told;
    if (is_new) *why = model->unrecorded;
    model->is_unrecorded_told |= is_new;
    (void)pthread_mutex_unlock(&model->lock);
    return is_new;
}

size_t model_device_bytes(struct model *model)
{
    (void)pthread_mutex_lock(&model->lock);
    const size_t head = model->head ? model->backend->ops->packed_bytes(model->head) : 0;
    const size_t adjoint = model->adjoint.n_bytes;
    (void)pthread_mutex_unlock(&model->lock);
    return model->weights.n_bytes + head + adjoint;
}

status_t model_head(struct model *model, const struct packed **out, struct error *err)
{
    status_t status = ST_OK;
    (void)pthread_mutex_lock(&model->lock);
    if (!model->head) status = weights_load_head(&model->head, &model->source, err);
    *out = model->head;
    (void)pthread_mutex_unlock(&model->lock);
    return status == ST_OK ? ST_OK : error_wrap(err, "model %s", model->directory);
}

status_t model_head_columns(struct model *model, const uint32_t *ids, size_t n, struct packed **out,
                            struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= model->config.n_vocab)
            return error_set(err, ST_BAD_INPUT, "token %u of %zu", (unsigned)ids[i],
                             model->config.n_vocab);
    const status_t status = weights_load_head_columns(out, &model->source, ids, n, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "model %s", model->directory);
}

/* Lower Cholesky factor in place of g [n, n], upper part zeroed. Rank-deficient directions (a
 * pivot at rounding level) get a zero column: their norm is zero too. */
static void cholesky(double *g, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, g[i * n + i]);
    for (size_t j = 0; j < n; j++) {
        double pivot = g[j * n + j];
        for (size_t k = 0; k < j; k++) pivot -= g[j * n + k] * g[j * n + k];
        const double root = pivot > largest * 1e-14 ? sqrt(pivot) : 0;
        g[j * n + j] = root;
        for (size_t i = j + 1; i < n; i++) {
            double sum = g[i * n + j];
            for (size_t k = 0; k < j; k++) sum -= g[i * n + k] * g[j * n + k];
            g[i * n + j] = root > 0 ? sum / root : 0;
        }
        for (size_t i = 0; i < j; i++) g[i * n + j] = 0;
    }
}

/* Factor of one head: w [d_head, d_model] -> out [d_head, d_head]. gram is scratch. */
static void head_factor(const float *w, size_t d_head, size_t d_model, double *gram, float *out)
{
    for (size_t i = 0; i < d_head; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = 0;
            for (size_t k = 0; k < d_model; k++)
                sum += (double)w[i * d_model + k] * (double)w[j * d_model + k];
            gram[i * d_head + j] = gram[j * d_head + i] = sum;
        }
    }
    cholesky(gram, d_head);
    for (size_t i = 0; i < d_head * d_head; i++) out[i] = (float)gram[i];
}

static status_t upload_floats(struct model *m, const float *host, size_t n, float **out,
                              struct error *err)
{
    const struct backend_ops *ops = m->backend->ops;
    const struct exec_params params = {.row_block = 1};
    struct exec *exec = NULL;
    void *device = NULL;
    status_t status = ops->exec_create(&exec, m->backend, &params, err);
    if (status == ST_OK) status = ops->alloc(m->backend, n * sizeof *host, &device, err);
    if (status == ST_OK) status = ops->upload(exec, device, host, n * sizeof *host, err);
    if (status == ST_OK) status = ops->synchronize(exec, err);
    if (exec) ops->exec_destroy(exec);
    if (status == ST_OK)
        *out = device;
    else
        ops->release(m->backend, device);
    return status;
}

static status_t make_factors(struct model *m, size_t layer, struct error *err)
{
    const struct model_config *c = &m->config;
    const size_t n = c->d_head * c->d_head;
    float *w = NULL;
    float *factors = calloc(c->n_heads, n * sizeof *factors);
    double *gram = calloc(n, sizeof *gram);
    status_t status = ST_OK;
    if (!factors || !gram) status = error_set(err, ST_NO_MEMORY, "head factors");
    if (status == ST_OK) status = weights_read_attn_out(&w, &m->source, layer, err);
    for (size_t h = 0; h < c->n_heads && status == ST_OK; h++)
        head_factor(w + h * c->d_head * c->d_model, c->d_head, c->d_model, gram, factors + h * n);
    if (status == ST_OK)
        status = upload_floats(m, factors, c->n_heads * n, &m->head_factors[layer], err);
    free(w);
    free(gram);
    free(factors);
    return status;
}

status_t model_head_factors(struct model *model, size_t layer, const float **out, struct error *err)
{
    status_t status = ST_OK;
    if (layer >= model->config.n_layers)
        return error_set(err, ST_NOT_FOUND, "layer %zu of %zu", layer, model->config.n_layers);
    (void)pthread_mutex_lock(&model->lock);
    if (!model->head_factors[layer]) status = make_factors(model, layer, err);
    *out = model->head_factors[layer];
    (void)pthread_mutex_unlock(&model->lock);
    return status == ST_OK ? ST_OK : error_wrap(err, "model %s", model->directory);
}

status_t model_adjoint(struct model *model, bool has_heads, const struct adjoint_weights **out,
                       struct error *err)
{
    status_t status = ST_OK;
    (void)pthread_mutex_lock(&model->lock);
    if (!model->adjoint.backend)
        status = adjoint_weights_load(&model->adjoint, &model->source, err);
    if (status == ST_OK && has_heads && !model->adjoint.has_heads)
        status = adjoint_weights_load_heads(&model->adjoint, &model->source, err);
    *out = &model->adjoint;
    (void)pthread_mutex_unlock(&model->lock);
    return status == ST_OK ? ST_OK : error_wrap(err, "model %s", model->directory);
}

size_t model_adjoint_missing(struct model *model, bool has_heads)
{
    (void)pthread_mutex_lock(&model->lock);
    const size_t n_bytes = adjoint_weights_missing(&model->adjoint, &model->source, has_heads) +
                           (model->head ? 0 : model->plan.n_head);
    (void)pthread_mutex_unlock(&model->lock);
    return n_bytes;
}
