/* The pools of a label sweep, of probes and of generations: what the workers are told, and what
 * names the answers. */
#include "common/version.h"
#include "coordinator/sweep/generate_pool.h"
#include "coordinator/sweep/label_run.h"
#include "coordinator/sweep/probe_pool.h"

#include <stdlib.h>

enum { IDENTITY_MAX_BYTES = 4096 };

/* Everything that activations depend on beside target, slot and text; targets have their keys. */
static status_t write_identity(const struct label_run *run, struct buffer *out, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    return buffer_printf(out, err, "%s|%s|%s|%u|%u|%d", version_text(),
                         run->description.fingerprint, sweep_compute_name(spec->compute),
                         (unsigned)spec->rows_per_unit, (unsigned)spec->corpus.context_tokens,
                         (int)spec->corpus.bos);
}

static status_t create(struct probe_pool **out, const struct label_run *run, const char *spec_json,
                       const char *identity, struct error *err)
{
    const size_t n = run->sweep->spec->n_targets;
    const struct sweep_context *context = run->sweep->context;
    struct probe_pool_target *targets = calloc(n, sizeof *targets);
    if (!targets) return error_set(err, ST_NO_MEMORY, "%zu targets", n);
    for (size_t i = 0; i < n; i++)
        targets[i] = (struct probe_pool_target){run->targets[i].key, run->targets[i].n_slots};
    const struct probe_pool_params params = {.dispatcher = context->dispatcher,
                                             .store = context->store,
                                             .clock = context->clock,
                                             .sweep_id = run->sweep->id,
                                             .share = &run->sweep->share,
                                             .spec_json = spec_json,
                                             .identity = identity,
                                             .targets = targets,
                                             .n_targets = n,
                                             .is_pinned = true};
    const status_t status = probe_pool_create(out, &params, err);
    free(targets);
    return status;
}

status_t probe_pool_create_for_run(struct probe_pool **out, const struct label_run *run,
                                   struct error *err)
{
    struct buffer identity;
    buffer_init(&identity, IDENTITY_MAX_BYTES);
    char *spec_json = label_spec_json(run, TASK_PROBE);
    status_t status = spec_json ? ST_OK : error_set(err, ST_NO_MEMORY, "task spec");
    if (status == ST_OK) status = write_identity(run, &identity, err);
    if (status == ST_OK) status = create(out, run, spec_json, buffer_text(&identity), err);
    free(spec_json);
    buffer_fini(&identity);
    return status;
}

/* A job names its target by number. */
static status_t add_targets(const struct label_run *run, struct buffer *out, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < run->sweep->spec->n_targets && status == ST_OK; i++)
        status = buffer_printf(out, err, "|%016llx", (unsigned long long)run->targets[i].key);
    return status;
}

static status_t create_generations(struct generate_pool **out, const struct label_run *run,
                                   const char *spec_json, const char *identity, struct error *err)
{
    const struct sweep_context *context = run->sweep->context;
    const struct generate_pool_params params = {.dispatcher = context->dispatcher,
                                                .store = context->store,
                                                .sweep_id = run->sweep->id,
                                                .share = &run->sweep->share,
                                                .spec_json = spec_json,
                                                .identity = identity,
                                                .is_pinned = true};
    return generate_pool_create(out, &params, err);
}

status_t generate_pool_create_for_run(struct generate_pool **out, const struct label_run *run,
                                      struct error *err)
{
    struct buffer identity;
    buffer_init(&identity, IDENTITY_MAX_BYTES);
    char *spec_json = label_spec_json(run, TASK_GENERATE);
    status_t status = spec_json ? ST_OK : error_set(err, ST_NO_MEMORY, "task spec");
    if (status == ST_OK) status = write_identity(run, &identity, err);
    if (status == ST_OK) status = add_targets(run, &identity, err);
    if (status == ST_OK)
        status = create_generations(out, run, spec_json, buffer_text(&identity), err);
    free(spec_json);
    buffer_fini(&identity);
    return status;
}

/* --- probes from outside ------------------------------------------------------------------- */

/* The place of the feature among those that were captured; false if it was not. */
static bool find_slot(const struct label_target *target, uint64_t feature, size_t *slot)
{
    const uint64_t n_signs = target->is_signed ? 2 : 1;
    for (size_t i = 0; i < target->captured.n; i++)
        if (target->captured.features[i] == feature / n_signs) {
            *slot = i * n_signs + (size_t)(feature % n_signs);
            return true;
        }
    return false;
}

void label_engine_probe_facts(const struct sweep *sweep, size_t target, uint64_t feature,
                              struct label_probe_facts *out)
{
    const struct label_run *run = sweep->engine;
    size_t slot;
    *out = (struct label_probe_facts){.model_fingerprint = "", .dictionary_fingerprint = ""};
    if (!run || run->phase == LABEL_DESCRIBE) return;
    out->model_fingerprint = run->description.fingerprint;
    out->dictionary_fingerprint = run->description.targets[target].fingerprint;
    out->n_features = run->description.targets[target].n_features;
    if (run->phase < LABEL_SCORE || !find_slot(&run->targets[target], feature, &slot)) return;
    out->has_threshold = true;
    out->fire_threshold = run->targets[target].frozen.fire_threshold[slot];
}
