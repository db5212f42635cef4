#include "worker/tasks/ablate_runner.h"

#include "worker/model/variants.h"
#include "worker/tasks/ablate_changes.h"
#include "worker/tasks/ablate_outcome.h"
#include "worker/tasks/ablate_runs.h"
#include "worker/tasks/logits.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

#include <stdlib.h>
#include <string.h>

/* A batch of variants reads a layer's weights once; past some thousand tokens that is little. */
enum { BATCH_TOKENS = 4096, BATCH_LOGIT_FLOATS = 64 << 20, BATCH_MAX = 512 };

struct ablate_runner {
    struct model_cache *models;
    struct model *model;
    struct ablate_prompts prompts;
    struct ablate_values *values;
    struct variants *variants;
    struct ablate_changes *changes;
    struct ablate_features *features;
    bool is_naive, has_vocabulary;
};

void ablate_runner_close(struct ablate_runner **runner)
{
    struct ablate_runner *self = *runner;
    if (!self) return;
    ablate_changes_destroy(&self->changes);
    ablate_features_destroy(&self->features);
    variants_destroy(&self->variants);
    ablate_values_destroy(&self->values);
    ablate_prompts_fini(&self->prompts);
    if (self->model) model_cache_release_model(self->models, self->model);
    free(self);
    *runner = NULL;
}

static status_t open_model(struct ablate_runner *self, const json_t *spec, struct error *err)
{
    struct model_wanted wanted;
    const char *planned;
    status_t status = model_spec_read_needs(spec, &wanted, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK) status = model_cache_check_model(self->models, &wanted, planned, err);
    return status == ST_OK ? model_cache_model(self->models, &wanted, &self->model, err) : status;
}

static status_t open_values(struct ablate_runner *self, const json_t *spec,
                            atomic_uint_fast64_t *progress, struct error *err)
{
    static const char *const names[] = {"overall", "position", "template"};
    const char *mean;
    status_t status = spec_text(spec, "mean", &mean, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ablate_values_params params = {.model = self->model,
                                                    .prompts = &self->prompts,
                                                    .mean = (enum ablate_mean)i,
                                                    .progress = progress};
        if (strcmp(mean, names[i]) == 0) return ablate_values_create(&self->values, &params, err);
    }
    return error_set(err, ST_BAD_INPUT, "mean: \"%s\" is not overall, position or template", mean);
}

static size_t batch_size(const struct ablate_runner *self)
{
    const struct ablate_prompts *p = &self->prompts;
    const size_t by_tokens = BATCH_TOKENS / (p->clean.n * p->n_ctx);
    const size_t by_logits =
        self->has_vocabulary
            ? BATCH_LOGIT_FLOATS / (p->clean.n * model_config(self->model)->n_vocab)
            : BATCH_MAX;
    const size_t n = by_tokens < by_logits ? by_tokens : by_logits;
    return n < 1 ? 1 : n < BATCH_MAX ? n : BATCH_MAX;
}

static status_t open_variants(struct ablate_runner *self, atomic_uint_fast64_t *progress,
                              struct error *err)
{
    const struct ablate_prompts *p = &self->prompts;
    const struct variants_params params = {.model = self->model,
                                           .n_prompts = p->clean.n,
                                           .n_ctx = p->n_ctx,
                                           .n_batch = batch_size(self),
                                           .progress = progress};
    const struct variants_prompts prompts = {
        .tokens = p->clean.tokens,
        .lengths = p->clean.lengths,
        .answers = p->answer_at,
        .columns = p->columns,
        .n_columns = p->n_columns,
        .is_compared = self->has_vocabulary,
    };
    const status_t status = variants_create(&self->variants, &params, err);
    return status == ST_OK ? variants_load(self->variants, &prompts, err) : status;
}

static status_t check_columns(const struct ablate_runner *self, struct error *err)
{
    const struct ablate_prompts *p = &self->prompts;
    const size_t n_vocab = model_config(self->model)->n_vocab;
    const uint32_t largest = p->columns[p->n_columns - 1];
    return largest < n_vocab
               ? ST_OK
               : error_set(err, ST_BAD_INPUT, "answers: id %u of %zu", (unsigned)largest, n_vocab);
}

status_t ablate_runner_open(struct ablate_runner **out, const struct task_environment *environment,
                            const json_t *spec, struct error *err)
{
    struct ablate_runner *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "ablations");
    self->models = environment->models;
    self->is_naive = json_is_true(json_object_get(spec, "naive"));
    self->has_vocabulary = json_is_true(json_object_get(spec, "vocabulary"));
    status_t status = open_model(self, spec, err);
    if (status == ST_OK) status = ablate_prompts_read(&self->prompts, spec, err);
    if (status == ST_OK) status = check_columns(self, err);
    if (status == ST_OK) status = open_values(self, spec, environment->ticks, err);
    if (status == ST_OK) status = open_variants(self, environment->ticks, err);
    const struct ablate_changes_params changes = {self->model, &self->prompts, self->values,
                                                  self->variants};
    if (status == ST_OK) status = ablate_changes_create(&self->changes, &changes, err);
    const struct ablate_features_params features = {self->models, self->model, &self->prompts,
                                                    self->values, self->variants};
    if (status == ST_OK) status = ablate_features_create(&self->features, &features, spec, err);
    if (status == ST_OK)
        *out = self;
    else
        ablate_runner_close(&self);
    return status;
}

/* --- a unit -------------------------------------------------------------------------------- */

struct taking {
    const struct ablate_runner *runner;
    const struct ablate_runs *runs;
    struct ablate_outcome *outcomes; /* [n_variants, n_prompts] */
    size_t n_variants;
};

/* The clean outcome of a prompt, for all variants that were not run on it. */
static void spread(const struct taking *taking, size_t prompt, const struct ablate_outcome *clean)
{
    const size_t n_prompts = taking->runner->prompts.clean.n;
    for (size_t i = 0; i < taking->n_variants; i++)
        if (taking->runs->is_skipped[i * n_prompts + prompt])
            taking->outcomes[i * n_prompts + prompt] = *clean;
}

static struct ablate_outcome outcome_of(const struct ablate_runner *self, size_t prompt,
                                        const float *logits, const struct divergence *whole)
{
    const struct ablate_prompts *p = &self->prompts;
    return whole
               ? ablate_outcome_of_all(&p->answers[prompt], p->columns, p->n_columns, logits, whole)
               : ablate_outcome_of_columns(&p->answers[prompt], p->columns, p->n_columns, logits);
}

static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    const struct taking *taking = context;
    const struct ablate_prompts *p = &taking->runner->prompts;
    const struct divergence *compared = variants_divergences(taking->runner->variants);
    const size_t n = p->n_columns;
    (void)clean;
    const bool is_clean = taking->runs->has_clean && index + 1 == taking->runs->n;
    for (size_t i = 0; i < p->clean.n; i++) {
        const size_t member = taking->runs->members[index * p->clean.n + i];
        const float *row = logits + i * n;
        if (!is_clean && member == ABLATE_NOBODY) continue;
        const struct divergence *whole = compared ? &compared[i] : NULL;
        if (whole ? whole->n_not_finite > 0 : !logits_are_finite(row, n))
            return error_set(err, ST_BAD_INPUT, "variant %zu, prompt %zu: logits are not finite",
                             is_clean ? taking->n_variants : member, i);
        const struct ablate_outcome outcome = outcome_of(taking->runner, i, row, whole);
        if (is_clean)
            spread(taking, i, &outcome);
        else
            taking->outcomes[member * p->clean.n + i] = outcome;
    }
    return ST_OK;
}

static status_t run_unit(struct ablate_runner *self, const struct ablate_unit *unit,
                         struct ablate_result *out, struct error *err)
{
    const struct ablate_runs_params params = {.changes = self->changes,
                                              .features = self->features,
                                              .n_prompts = self->prompts.clean.n,
                                              .is_naive = self->is_naive};
    struct ablate_runs runs;
    struct taking taking = {self, &runs, out->outcomes, unit->n_variants};
    status_t status = ablate_runs_make(&runs, &params, unit, err);
    if (status == ST_OK) {
        status = (self->is_naive ? variants_run_naive : variants_run)(self->variants, runs.variants,
                                                                      runs.n, take, &taking, err);
        out->n_skipped = runs.n_skipped;
        ablate_runs_fini(&runs);
    }
    ablate_changes_forget(self->changes);
    ablate_features_forget(self->features);
    return status;
}

status_t ablate_runner_run(struct ablate_runner *self, const struct ablate_unit *unit,
                           struct ablate_result *out, struct error *err)
{
    const size_t n = unit->n_variants * self->prompts.clean.n;
    struct ablate_result result = {.n_variants = unit->n_variants,
                                   .n_prompts = self->prompts.clean.n,
                                   .outcomes = calloc(n + 1, sizeof *result.outcomes)};
    if (!result.outcomes) return error_set(err, ST_NO_MEMORY, "%zu outcomes", n);
    const status_t status = run_unit(self, unit, &result, err);
    if (status == ST_OK)
        *out = result;
    else
        ablate_result_fini(&result);
    return status;
}
