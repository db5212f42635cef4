#include "worker/paper/paper_count.h"

#include "worker/paper/paper_lane.h"

static status_t open_model(struct model **out, const struct paper_plan *plan,
                           struct backend *backend, struct error *err)
{
    const struct memory_needs needs = {.n_ctx = plan->n_ctx,
                                       .n_rows = plan->work == WORK_CAPTURE ? plan->n_rows : 0};
    const struct model_params params = {.directory = plan->config->family->name,
                                        .shape = plan->config,
                                        .backend = backend,
                                        .compute = plan->compute,
                                        .needs = &needs};
    return model_open(out, &params, err);
}

status_t paper_count(const struct paper_plan *plan, const struct device_peaks *peaks,
                     struct paper_counted *out, struct error *err)
{
    struct paper_lane_params params = {.plan = plan};
    struct backend *backend = NULL;
    struct paper_lane *lane = NULL;
    *out = (struct paper_counted){.n_tokens = 0};
    status_t status = paper_device_open(&backend, peaks, err);
    if (status != ST_OK) return status;
    status = open_model(&params.model, plan, backend, err);
    if (status == ST_OK) status = paper_lane_open(&lane, &params, err);
    if (status == ST_OK) status = paper_lane_step(lane, &out->n_tokens, err);
    if (status == ST_OK) {
        paper_device_forget(backend);
        out->n_tokens = 0;
        status = paper_lane_step(lane, &out->n_tokens, err);
    }
    if (status == ST_OK) {
        out->counts = *paper_device_counts(backend);
        out->weight_bytes = (double)model_device_bytes(params.model) +
                            (double)model_weights(params.model)->n_shelf_bytes;
        if (plan->work == WORK_CAPTURE) paper_plan_encode(plan, &out->counts.costs);
    }
    paper_lane_close(&lane);
    model_close(&params.model);
    backend_close(&backend);
    return status;
}
