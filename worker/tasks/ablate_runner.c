#include "worker/tasks/ablate_runner.h"

#include "worker/model/variants.h"
#include "worker/tasks/ablate_changes.h"
#include "worker/tasks/ablate_outcome.h"
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
    bool is_naive, has_vocabulary;
};

void ablate_runner_close(struct ablate_runner **runner)
{
    struct ablate_runner *self = *runner;
    if (!self) return;
    ablate_changes_destroy(&self->changes);
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
    status_t status = model_spec_read_compute(spec, &wanted, err);
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
        .columns = self->has_vocabulary ? NULL : p->columns,
        .n_columns = self->has_vocabulary ? 0 : p->n_columns,
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
    if (status == ST_OK)
        *out = self;
    else
        ablate_runner_close(&self);
    return status;
}

/* --- a unit -------------------------------------------------------------------------------- */

struct taking {
    const struct ablate_runner *runner;
    struct ablate_outcome *outcomes;
};

static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    const struct taking *taking = context;
    const struct ablate_prompts *p = &taking->runner->prompts;
    const size_t n = taking->runner->has_vocabulary ? model_config(taking->runner->model)->n_vocab
                                                    : p->n_columns;
    for (size_t i = 0; i < p->clean.n; i++) {
        const float *row = logits + i * n;
        if (!logits_are_finite(row, n))
            return error_set(err, ST_BAD_INPUT, "variant %zu, prompt %zu: logits are not finite",
                             index, i);
        taking->outcomes[index * p->clean.n + i] =
            taking->runner->has_vocabulary
                ? ablate_outcome_of_all(&p->answers[i], n, row, clean + i * n)
                : ablate_outcome_of_columns(&p->answers[i], p->columns, n, row);
    }
    return ST_OK;
}

/* The variants of a unit. */
struct ablate_list {
    struct variant *variants;       /* [n] */
    struct variant_change *changes; /* of all of them, as many as the unit has */
    struct variant_edge *edges;     /* likewise */
    size_t n_changes, n_edges;
};

/* An edge that is alone is followed in the clean pass; several make a graph, and so they do where
 * whole passes are to check the others. */
static status_t make_variant(struct ablate_runner *self, const struct ablate_change *from, size_t n,
                             struct ablate_list *list, struct variant *out, struct error *err)
{
    status_t status = ST_OK;
    *out = (struct variant){.changes = list->changes + list->n_changes,
                            .edges = list->edges + list->n_edges};
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const bool is_edge = from[i].sender.n_columns && (n > 1 || self->is_naive);
        status = is_edge
                     ? ablate_changes_make_edge(self->changes, &from[i],
                                                &list->edges[list->n_edges + out->n_edges], err)
                     : ablate_changes_make(self->changes, &from[i],
                                           &list->changes[list->n_changes + out->n_changes], err);
        out->n_edges += is_edge;
        out->n_changes += !is_edge;
    }
    list->n_changes += out->n_changes;
    list->n_edges += out->n_edges;
    return status;
}

static status_t make_variants(struct ablate_runner *self, const struct ablate_unit *unit,
                              struct ablate_list *list, struct error *err)
{
    status_t status = ST_OK;
    size_t low = 0;
    for (size_t i = 0; i < unit->n_variants && status == ST_OK; i++) {
        status = make_variant(self, unit->changes + low, unit->ends[i] - low, list,
                              &list->variants[i], err);
        if (status != ST_OK) (void)error_wrap(err, "variant %zu", i);
        low = unit->ends[i];
    }
    return status;
}

static status_t run_list(struct ablate_runner *self, const struct ablate_unit *unit,
                         struct ablate_outcome *outcomes, struct error *err)
{
    const size_t n_changes = unit->n_variants ? unit->ends[unit->n_variants - 1] : 0;
    struct ablate_list list = {.variants = calloc(unit->n_variants + 1, sizeof *list.variants),
                               .changes = calloc(n_changes + 1, sizeof *list.changes),
                               .edges = calloc(n_changes + 1, sizeof *list.edges)};
    struct taking taking = {self, outcomes};
    status_t status = list.variants && list.changes && list.edges
                          ? make_variants(self, unit, &list, err)
                          : error_set(err, ST_NO_MEMORY, "%zu changes", n_changes);
    if (status == ST_OK)
        status = (self->is_naive ? variants_run_naive : variants_run)(
            self->variants, list.variants, unit->n_variants, take, &taking, err);
    ablate_changes_forget(self->changes);
    free(list.variants);
    free(list.changes);
    free(list.edges);
    return status;
}

status_t ablate_runner_run(struct ablate_runner *self, const struct ablate_unit *unit,
                           struct ablate_result *out, struct error *err)
{
    const size_t n = unit->n_variants * self->prompts.clean.n;
    struct ablate_outcome *outcomes = calloc(n + 1, sizeof *outcomes);
    if (!outcomes) return error_set(err, ST_NO_MEMORY, "%zu outcomes", n);
    const status_t status = run_list(self, unit, outcomes, err);
    if (status == ST_OK)
        *out = (struct ablate_result){unit->n_variants, self->prompts.clean.n, outcomes};
    else
        free(outcomes);
    return status;
}
