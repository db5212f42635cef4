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
