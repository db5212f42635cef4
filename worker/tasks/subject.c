#include "worker/tasks/subject.h"

#include "common/hash.h"
#include "worker/model/fingerprint.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

static status_t open_model(struct subject *self, const json_t *spec, bool is_context_exact,
                           struct error *err)
{
    struct model_wanted wanted;
    const char *planned;
    uint64_t n_ctx = 0;
    status_t status = model_spec_read_needs(spec, &wanted, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK) status = model_cache_check_model(self->models, &wanted, planned, err);
    if (status == ST_OK) status = spec_count(spec, "n_ctx", 2, PROBE_MAX_TOKENS, &n_ctx, err);
    if (status == ST_OK) status = model_cache_model(self->models, &wanted, &self->model, err);
    if (status != ST_OK) return status;
    const size_t n_positions = model_config(self->model)->n_positions;
    self->n_ctx = (size_t)n_ctx;
    if (self->n_ctx <= n_positions) return ST_OK;
    if (is_context_exact)
        return error_set(err, ST_BAD_INPUT, "context %llu is over the model's %zu positions",
                         (unsigned long long)n_ctx, n_positions);
    self->n_ctx = n_positions;
    return ST_OK;
}

static status_t open_texts(struct subject *self, const json_t *spec, struct error *err)
{
    struct probe_texts_params params = {.n_vocab = model_config(self->model)->n_vocab,
                                        .n_ctx = self->n_ctx,
                                        .with_pieces =
                                            json_is_true(json_object_get(spec, "with_pieces"))};
    status_t status = spec_text(spec, "model", &params.directory, err);
    if (status == ST_OK) status = spec_text(spec, "bos", &params.bos, err);
    return status == ST_OK ? probe_texts_open(&self->texts, &params, err) : status;
}

static status_t open_targets(struct subject *self, const json_t *spec, struct error *err)
{
    const json_t *targets;
    status_t status = spec_array(spec, "targets", &targets, err);
    if (status == ST_OK && json_array_size(targets) > SUBJECT_MAX_TARGETS)
        status = error_set(err, ST_TOO_LARGE, "%zu targets", json_array_size(targets));
    for (size_t i = 0; status == ST_OK && i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        uint64_t n_slots = 0;
        status = capture_target_open(&self->targets[i], self->models, self->model, target, err);
        if (status != ST_OK) break;
        self->n_targets = i + 1;
        status = spec_count(target, "n_slots", 1, UINT32_MAX, &n_slots, err);
        if (status == ST_OK && n_slots != capture_target_n_slots(self->targets[i]))
            status = error_set(
                err, ST_CONFLICT, "the coordinator counts %llu slots, this worker %u",
                (unsigned long long)n_slots, (unsigned)capture_target_n_slots(self->targets[i]));
    }
    return status;
}

status_t subject_open(struct subject *out, struct model_cache *models, const json_t *spec,
                      bool is_context_exact, struct error *err)
{
    *out = (struct subject){.models = models};
    status_t status = open_model(out, spec, is_context_exact, err);
    if (status == ST_OK) status = open_texts(out, spec, err);
    if (status == ST_OK) status = open_targets(out, spec, err);
    if (status != ST_OK) subject_close(out);
    return status;
}

void subject_close(struct subject *subject)
{
    for (size_t i = 0; i < subject->n_targets; i++) capture_target_close(&subject->targets[i]);
    probe_texts_close(&subject->texts);
    if (subject->model) model_cache_release_model(subject->models, subject->model);
    *subject = (struct subject){0};
}

status_t subject_stamp(const json_t *spec, uint64_t *out, struct error *err)
{
    const char *directory;
    const json_t *targets = json_object_get(spec, "targets");
    status_t status = spec_text(spec, "model", &directory, err);
    if (status == ST_OK) status = fingerprint_stamp(directory, out, err);
    for (size_t i = 0; i < json_array_size(targets) && status == ST_OK; i++) {
        uint64_t stamp;
        directory = json_string_value(json_object_get(json_array_get(targets, i), "dictionary"));
        if (!directory) continue;
        status = fingerprint_stamp(directory, &stamp, err);
        if (status == ST_OK) *out = hash_mix64(*out ^ stamp);
    }
    return status;
}
