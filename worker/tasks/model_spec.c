#include "worker/tasks/model_spec.h"

#include "worker/tasks/spec.h"

status_t model_spec_read(const json_t *spec, struct model_wanted *out, struct error *err)
{
    *out = (struct model_wanted){.compute = COMPUTE_F32};
    status_t status = spec_text(spec, "model", &out->directory, err);
    if (status == ST_OK && json_object_get(spec, "shuffle_seed"))
        status = spec_key64(spec, "shuffle_seed", &out->shuffle_seed, err);
    return status;
}

status_t model_spec_read_compute(const json_t *spec, struct model_wanted *out, struct error *err)
{
    const char *compute;
    status_t status = model_spec_read(spec, out, err);
    if (status == ST_OK) status = spec_text(spec, "compute", &compute, err);
    return status == ST_OK ? compute_parse(compute, &out->compute, err) : status;
}

static void read_targets(const json_t *list, struct memory_needs *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *target = json_array_get(list, i);
        const char *directory = json_string_value(json_object_get(target, "dictionary"));
        const double factor = json_number_value(json_object_get(target, "norm_scaling_factor"));
        if (directory && !*directory) directory = NULL;
        if (memory_needs_add(out, directory, factor, NULL) != ST_OK) return;
    }
}

status_t model_spec_read_needs(const json_t *spec, struct model_wanted *out, struct error *err)
{
    const status_t status = model_spec_read_compute(spec, out, err);
    const json_int_t n_ctx = json_integer_value(json_object_get(spec, "n_ctx"));
    const json_int_t n_rows = json_integer_value(json_object_get(spec, "n_rows"));
    if (status != ST_OK) return status;
    if (n_ctx > 0) out->needs.n_ctx = (size_t)n_ctx;
    if (n_rows > 0) out->needs.n_rows = (size_t)n_rows;
    read_targets(json_object_get(spec, "targets"), &out->needs);
    read_targets(json_object_get(spec, "dictionaries"), &out->needs);
    return ST_OK;
}
