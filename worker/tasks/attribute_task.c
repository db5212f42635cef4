/* attribute: prompts -> sums of the scores of all nodes and edges (common/attribute.h).
 *
 * Spec: {"kind":"attribute", "model", "shuffle_seed" (optional), "fingerprint", "compute",
 *   "method": "atp" | "eap" | "eap_ig",
 *   "metric": "logit_difference" | "probability" | "probability_difference" | "kl",
 *   "steps": embeddings of eap_ig between corrupted and clean (optional, 5)}
 * and the prompts, as ablate_prompts.h reads them (reference and positions are not used).
 *
 * A prompt's scores are the same bits in any unit. A spec is untrusted, and so are units. */
#include "worker/model/attribution.h"
#include "worker/tasks/attribute_metric.h"
#include "worker/tasks/logits.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"
#include "worker/tasks/task_handler.h"

#include <stdlib.h>

enum { DEFAULT_STEPS = 5 };

struct attribute_task {
    struct model_cache *models;
    struct model *model;
    struct ablate_prompts prompts;
    struct attribution *attribution;
    enum attribute_method method;
    enum attribute_metric metric;
    size_t n_steps, n_batch;
};

static void attribute_close(void *context)
{
    struct attribute_task *self = context;
    if (!self) return;
    attribution_destroy(&self->attribution);
    ablate_prompts_fini(&self->prompts);
    if (self->model) model_cache_release_model(self->models, self->model);
    free(self);
}

/* --- the spec ------------------------------------------------------------------------------ */

static status_t read_method(struct attribute_task *self, const json_t *spec, struct error *err)
{
    const char *method, *metric;
    uint64_t n_steps = DEFAULT_STEPS;
    status_t status = spec_text(spec, "method", &method, err);
    if (status == ST_OK) status = spec_text(spec, "metric", &metric, err);
    if (status == ST_OK) status = attribute_method_parse(method, &self->method, err);
    if (status == ST_OK) status = attribute_metric_parse(metric, &self->metric, err);
    if (status == ST_OK && json_object_get(spec, "steps"))
        status = spec_count(spec, "steps", 1, ATTRIBUTE_MAX_STEPS, &n_steps, err);
    if (status != ST_OK) return status;
    self->n_steps = self->method == ATTRIBUTE_EAP_IG ? (size_t)n_steps : 0;
    return self->metric == ATTRIBUTE_KL && !self->n_steps
               ? error_set(err, ST_BAD_INPUT,
                           "metric kl has slope 0 at the clean run, where method %s takes it: use "
                           "eap_ig",
                           method)
               : ST_OK;
}

static status_t open_model(struct attribute_task *self, const json_t *spec, struct error *err)
{
    struct model_wanted wanted;
    const char *planned;
    status_t status = model_spec_read_needs(spec, &wanted, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK) status = model_cache_check_model(self->models, &wanted, planned, err);
    return status == ST_OK ? model_cache_model(self->models, &wanted, &self->model, err) : status;
}

static status_t check_answers(const struct attribute_task *self, struct error *err)
{
    const size_t n_vocab = model_config(self->model)->n_vocab;
    for (size_t i = 0; i < self->prompts.n_columns; i++)
        if (self->prompts.columns[i] >= n_vocab)
            return error_set(err, ST_BAD_INPUT, "answer %u of a vocabulary of %zu",
                             (unsigned)self->prompts.columns[i], n_vocab);
    return ST_OK;
}

static status_t check_size(const struct attribute_task *self, struct error *err)
{
    const struct attribute_shape shape = attribution_shape(model_config(self->model));
    const size_t n_nodes = attribute_n_nodes(&shape);
    return n_nodes > ATTRIBUTE_MAX_NODES || (self->method != ATTRIBUTE_ATP &&
                                             attribute_n_edges(&shape) > ATTRIBUTE_MAX_EDGES)
               ? error_set(err, ST_TOO_LARGE, "%zu nodes and %zu edges", n_nodes,
                           attribute_n_edges(&shape))
               : ST_OK;
}

static status_t open_attribution(struct attribute_task *self, atomic_uint_fast64_t *progress,
                                 struct error *err)
{
    const size_t n_ctx = self->prompts.n_ctx, n_prompts = self->prompts.clean.n;
    const struct attribution_params params = {.model = self->model,
                                              .n_prompts = attribution_task_batch(n_prompts, n_ctx),
                                              .n_ctx = n_ctx,
                                              .has_edges = self->method != ATTRIBUTE_ATP,
                                              .progress = progress};
    const status_t status = attribution_create(&self->attribution, &params, err);
    if (status == ST_OK) self->n_batch = attribution_n_prompts(self->attribution);
    return status;
}

static status_t attribute_open(void **out, const struct task_environment *environment,
                               const json_t *spec, struct error *err)
{
    struct attribute_task *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "attributions");
    self->models = environment->models;
    status_t status = read_method(self, spec, err);
    if (status == ST_OK) status = open_model(self, spec, err);
    if (status == ST_OK) status = ablate_prompts_read(&self->prompts, spec, err);
    if (status == ST_OK) status = check_answers(self, err);
    if (status == ST_OK) status = check_size(self, err);
    if (status == ST_OK) status = open_attribution(self, environment->ticks, err);
    if (status == ST_OK)
        *out = self;
    else
        attribute_close(self);
    return status;
}

/* --- a unit -------------------------------------------------------------------------------- */

struct slope_context {
    const struct attribute_task *task;
    size_t first; /* prompt of the batch's row 0 */
};

static status_t take_slope(void *context, size_t prompt, const float *logits, const float *clean,
                           float *slope, struct error *err)
{
    const struct slope_context *from = context;
    const struct attribute_task *self = from->task;
    const size_t n_vocab = model_config(self->model)->n_vocab;
    if (!logits_are_finite(logits, n_vocab))
        return error_set(err, ST_BAD_INPUT, "prompt %zu: logits are not finite",
                         from->first + prompt);
    attribute_metric_slope(self->metric, &self->prompts.answers[from->first + prompt], n_vocab,
                           logits, clean, slope);
    return ST_OK;
}

static status_t run_batch(struct attribute_task *self, size_t first, size_t n,
                          struct attribute_result *sums, struct error *err)
{
    const struct ablate_prompts *p = &self->prompts;
    struct slope_context context = {self, first};
    const struct attribution_prompts prompts = {.n = n,
                                                .clean = p->clean.tokens + first * p->n_ctx,
                                                .corrupted = p->corrupted.tokens + first * p->n_ctx,
                                                .lengths = p->clean.lengths + first,
                                                .answers = p->answer_at + first};
    const struct attribution_request request = {.n_steps = self->n_steps,
                                                .slope = take_slope,
                                                .context = &context,
                                                .nodes = sums->nodes,
                                                .edges = sums->n_edges ? sums->edges : NULL};
    return attribution_run(self->attribution, &prompts, &request, err);
}

static status_t run_unit(struct attribute_task *self, const struct attribute_unit *unit,
                         struct attribute_result *sums, struct error *err)
{
    const size_t n_prompts = self->prompts.clean.n,
                 end = (size_t)unit->first_prompt + unit->n_prompts;
    const struct attribute_shape shape = attribution_shape(model_config(self->model));
    status_t status = ST_OK;
    if (end > n_prompts)
        return error_set(err, ST_BAD_INPUT, "prompts %u to %zu of %zu",
                         (unsigned)unit->first_prompt, end, n_prompts);
    sums->n_prompts = unit->n_prompts;
    sums->n_nodes = attribute_n_nodes(&shape);
    sums->n_edges = self->method == ATTRIBUTE_ATP ? 0 : attribute_n_edges(&shape);
    sums->nodes = calloc(sums->n_nodes, sizeof *sums->nodes);
    sums->edges = calloc(sums->n_edges + 1, sizeof *sums->edges);
    if (!sums->nodes || !sums->edges)
        return error_set(err, ST_NO_MEMORY, "%zu scores", sums->n_nodes + sums->n_edges);
    for (size_t i = unit->first_prompt; i < end && status == ST_OK; i += self->n_batch)
        status = run_batch(self, i, end - i < self->n_batch ? end - i : self->n_batch, sums, err);
    return status;
}

static status_t attribute_run(void *context, uint64_t unit_index, struct wire_text payload,
                              struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    (void)shared;
    struct attribute_unit unit;
    struct attribute_result sums = {0};
    status_t status = attribute_unit_decode(payload.bytes, payload.n_bytes, &unit, err);
    if (status == ST_OK) status = run_unit(context, &unit, &sums, err);
    if (status == ST_OK) status = attribute_result_encode(&sums, out, err);
    attribute_result_fini(&sums);
    return status;
}

const struct task_handler attribute_task_handler = {TASK_ATTRIBUTE, attribute_open, attribute_run,
                                                    attribute_close};
