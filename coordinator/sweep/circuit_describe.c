/* Phase `describe`: a worker tells what the model is. */
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>
#include <string.h>

static status_t take_dictionaries(struct circuit_run *run, const struct description *description,
                                  struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    struct circuit_dictionaries *out = &run->dictionaries;
    if (description->n_targets != spec->n_dictionaries)
        return error_set(err, ST_CORRUPT, "%zu dictionaries were described, not %zu",
                         description->n_targets, spec->n_dictionaries);
    for (size_t i = 0; i < spec->n_dictionaries; i++) {
        const struct describe_target *target = &description->targets[i];
        (void)circuit_hook_read(spec->dictionaries[i].hook, &out->places[i]); /* the intake did */
        out->n_features[i] = target->n_features;
        memcpy(out->fingerprints[i], target->fingerprint, sizeof out->fingerprints[i]);
    }
    return ST_OK;
}

static status_t take_description(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                                 struct error *err)
{
    (void)unit;
    struct circuit_run *run = task->owner;
    struct description description;
    status_t status = description_decode(bytes, n_bytes, &description, err);
    if (status != ST_OK) return status;
    status = take_dictionaries(run, &description, err);
    memcpy(run->fingerprint, description.fingerprint, sizeof run->fingerprint);
    run->n_vocab = (uint32_t)description.n_vocab;
    run->shape = (struct model_shape){.n_layers = (uint32_t)description.n_layers,
                                      .n_heads = (uint32_t)description.n_heads,
                                      .n_kv_heads = (uint32_t)description.n_kv_heads,
                                      .d_mlp = (uint32_t)description.d_mlp,
                                      .d_model = (uint32_t)description.d_model,
                                      .d_head = (uint32_t)description.d_head};
    description_fini(&description);
    return status;
}

static const struct task_ops describe_ops = {.result = take_description};

static status_t describe_begin(struct circuit_run *run, struct error *err)
{
    char *spec = circuit_describe_spec(run);
    if (!spec) return error_set(err, ST_NO_MEMORY, "task spec");
    const struct sweep_task_params params = {.phase = CIRCUIT_FIRST_TASK,
                                             .kind = TASK_DESCRIBE,
                                             .n_units = 1,
                                             .spec_json = spec,
                                             .ops = &describe_ops,
                                             .owner = run,
                                             .is_new = sweep_take_new_task(run->sweep)};
    const status_t status = sweep_task_begin(&run->work, &params, err);
    free(spec);
    return status;
}

static status_t describe_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    status_t status = sweep_task_poll(&run->work, is_over, err);
    if (status != ST_OK || !*is_over) return status;
    status = circuit_agent_described(run, err);
    return status == ST_OK ? sweep_task_end(&run->work, err) : status;
}

const struct circuit_phase_ops circuit_describe_phase = {
    .name = CIRCUIT_FIRST_TASK, .begin = describe_begin, .poll = describe_poll};
