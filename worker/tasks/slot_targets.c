#include "worker/tasks/slot_targets.h"

#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

static status_t open_model(struct slot_targets *targets, const json_t *spec, struct error *err)
{
    struct model_wanted wanted;
    const char *planned;
    status_t status = model_spec_read_compute(spec, &wanted, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK) status = model_cache_check_model(targets->models, &wanted, planned, err);
    if (status == ST_OK) status = model_cache_model(targets->models, &wanted, &targets->model, err);
    return status;
}

status_t slot_targets_open(struct slot_targets *out, struct model_cache *models, const json_t *spec,
                           struct error *err)
{
    const json_t *array;
    out->models = models;
    status_t status = open_model(out, spec, err);
    if (status == ST_OK) status = spec_array(spec, "targets", &array, err);
    if (status == ST_OK && json_array_size(array) > DESCRIBE_MAX_TARGETS)
        status = error_set(err, ST_TOO_LARGE, "%zu targets", json_array_size(array));
    for (size_t i = 0; status == ST_OK && i < json_array_size(array); i++) {
        status =
            capture_target_open(&out->item[i], models, out->model, json_array_get(array, i), err);
        if (status == ST_OK) out->n = i + 1;
    }
    return status;
}

void slot_targets_close(struct slot_targets *targets)
{
    for (size_t i = 0; i < targets->n; i++) capture_target_close(&targets->item[i]);
    if (targets->model) model_cache_release_model(targets->models, targets->model);
    *targets = (struct slot_targets){0};
}
