#include "worker/paper/paper_lane.h"

#include "common/draw.h"
#include "worker/model/attribution.h"
#include "worker/model/forward.h"
#include "worker/model/variants.h"

#include <stdlib.h>

/* As tasks have them (ablate_runner.c, attribute_task.c). */
enum { BATCH_TOKENS = 4096, BATCH_MAX = 512 };
enum { N_ANSWERS = 2 };

struct paper_lane {
    struct paper_lane_params params;
    uint32_t *tokens, *corrupted; /* [n_rows, n_ctx] */
    uint32_t *lengths, *answers;  /* [n_rows] */
    struct forward *forward;
    struct variants *variants;
    struct variant *list; /* [n_variants] */
    struct variant_change *changes;
    size_t n_variants;
    struct attribution *attribution;
    double *nodes, *edges;
};

void paper_lane_close(struct paper_lane **pointer)
{
    struct paper_lane *lane = *pointer;
    if (!lane) return;
    forward_destroy(&lane->forward);
    variants_destroy(&lane->variants);
    attribution_destroy(&lane->attribution);
    void *const arrays[] = {lane->tokens, lane->corrupted, lane->lengths, lane->answers,
                            lane->list,   lane->changes,   lane->nodes,   lane->edges};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) free(arrays[i]);
    free(lane);
    *pointer = NULL;
}

static status_t make_tokens(struct paper_lane *lane, struct error *err)
{
    const struct paper_plan *plan = lane->params.plan;
    const size_t n = plan->n_rows * plan->n_ctx;
    const uint32_t n_vocab = (uint32_t)model_config(lane->params.model)->n_vocab;
    struct draw draw = draw_open(1, 1, 1);
    lane->tokens = calloc(n, sizeof *lane->tokens);
    lane->corrupted = calloc(n, sizeof *lane->corrupted);
    lane->lengths = calloc(plan->n_rows, sizeof *lane->lengths);
    lane->answers = calloc(plan->n_rows, sizeof *lane->answers);
    if (!lane->tokens || !lane->corrupted || !lane->lengths || !lane->answers)
        return error_set(err, ST_NO_MEMORY, "%zu tokens", n);
    for (size_t i = 0; i < n; i++) {
        lane->tokens[i] = draw_below(&draw, n_vocab);
        lane->corrupted[i] = draw_below(&draw, n_vocab);
    }
    for (size_t r = 0; r < plan->n_rows; r++) {
        lane->lengths[r] = (uint32_t)plan->n_ctx;
        lane->answers[r] = lane->lengths[r] - 1;
    }
    return ST_OK;
}

/* --- capture ------------------------------------------------------------------------------- */

static status_t open_capture(struct paper_lane *lane, struct error *err)
{
    const struct forward_params params = {.model = lane->params.model,
                                          .n_rows = lane->params.plan->n_rows,
                                          .n_ctx = lane->params.plan->n_ctx};
    return forward_create(&lane->forward, &params, err);
}

static status_t run_capture(struct paper_lane *lane, size_t *n_tokens, struct error *err)
{
    const struct paper_plan *plan = lane->params.plan;
    const bool stays = true; /* the encoder reads them on the device */
    const struct forward_input input = {
        .tokens = lane->tokens, .row_lengths = lane->lengths, .stays = &stays};
    const size_t n = plan->n_rows * plan->n_ctx;
    struct sparse_rows rows;
    const float *acts;
    const status_t status = forward_run(lane->forward, &input, &plan->hook, 1, &acts, err);
    *n_tokens += n;
    if (status != ST_OK || !lane->params.encoder) return status;
    return encoder_run_device(lane->params.encoder, acts, n, &rows, err);
}

/* --- ablations ----------------------------------------------------------------------------- */

/* Every head and every MLP set to zero. */
static status_t list_nodes(struct paper_lane *lane, struct error *err)
{
    const struct model_config *c = model_config(lane->params.model);
    const size_t n_each = c->n_heads + 1;
    lane->n_variants = c->n_layers * n_each;
    lane->list = calloc(lane->n_variants, sizeof *lane->list);
    lane->changes = calloc(lane->n_variants, sizeof *lane->changes);
    if (!lane->list || !lane->changes)
        return error_set(err, ST_NO_MEMORY, "%zu variants", lane->n_variants);
    for (size_t i = 0; i < lane->n_variants; i++) {
        const size_t head = i % n_each;
        const bool is_head = head < c->n_heads;
        lane->changes[i] =
            (struct variant_change){.hook = {is_head ? HOOK_Z : HOOK_MLP_OUT, i / n_each},
                                    .column = is_head ? head * c->d_head : 0,
                                    .n_columns = is_head ? c->d_head : c->d_model};
        lane->list[i] = (struct variant){.changes = &lane->changes[i], .n_changes = 1};
    }
    return ST_OK;
}

static status_t open_ablate(struct paper_lane *lane, struct error *err)
{
    const struct paper_plan *plan = lane->params.plan;
    const size_t n_fitting = BATCH_TOKENS / (plan->n_rows * plan->n_ctx);
    const size_t n_batch = n_fitting < BATCH_MAX ? n_fitting : BATCH_MAX;
    const struct variants_params params = {.model = lane->params.model,
                                           .n_prompts = plan->n_rows,
                                           .n_ctx = plan->n_ctx,
                                           .n_batch = n_batch ? n_batch : 1};
    const status_t status = list_nodes(lane, err);
    return status == ST_OK ? variants_create(&lane->variants, &params, err) : status;
}

static status_t take_none(void *context, size_t index, const float *logits, const float *clean,
                          struct error *err)
{
    (void)context;
    (void)index;
    (void)logits;
    (void)clean;
    (void)err;
    return ST_OK;
}

static status_t run_ablate(struct paper_lane *lane, size_t *n_tokens, struct error *err)
{
    const struct paper_plan *plan = lane->params.plan;
    const uint32_t columns[N_ANSWERS] = {0, 1};
    const struct variants_prompts prompts = {.tokens = lane->tokens,
                                             .lengths = lane->lengths,
                                             .answers = lane->answers,
                                             .columns = columns,
                                             .n_columns = N_ANSWERS,
                                             .is_compared = true};
    const status_t status = variants_load(lane->variants, &prompts, err);
    *n_tokens += lane->n_variants * plan->n_rows * plan->n_ctx;
    return status == ST_OK
               ? variants_run(lane->variants, lane->list, lane->n_variants, take_none, NULL, err)
               : status;
}

/* --- attribution --------------------------------------------------------------------------- */

static status_t open_attribute(struct paper_lane *lane, struct error *err)
{
    const struct paper_plan *plan = lane->params.plan;
    const struct attribute_shape shape = attribution_shape(model_config(lane->params.model));
    const bool has_edges = plan->work == WORK_EDGES;
    const size_t n_fitting = plan->n_ctx < BATCH_TOKENS ? BATCH_TOKENS / plan->n_ctx : 1;
    const struct attribution_params params = {.model = lane->params.model,
                                              .n_prompts = n_fitting < plan->n_rows ? n_fitting
                                                                                    : plan->n_rows,
                                              .n_ctx = plan->n_ctx,
                                              .has_edges = has_edges};
    lane->nodes = calloc(attribute_n_nodes(&shape), sizeof *lane->nodes);
    lane->edges = has_edges ? calloc(attribute_n_edges(&shape), sizeof *lane->edges) : NULL;
    if (!lane->nodes || (has_edges && !lane->edges))
        return error_set(err, ST_NO_MEMORY, "attributions");
    return attribution_create(&lane->attribution, &params, err);
}

/* Of a logit difference: what it costs does not depend on the metric. */
static status_t slope(void *context, size_t prompt, const float *logits, const float *clean,
                      float *out, struct error *err)
{
    (void)context;
    (void)prompt;
    (void)logits;
    (void)clean;
    (void)err;
    out[0] = 1;
    out[1] = -1;
    return ST_OK;
}

static status_t run_attribute(struct paper_lane *lane, size_t *n_tokens, struct error *err)
{
    const struct paper_plan *plan = lane->params.plan;
    const struct attribution_request request = {
        .slope = slope, .nodes = lane->nodes, .edges = lane->edges};
    const size_t n_batch = attribution_n_prompts(lane->attribution);
    status_t status = ST_OK;
    for (size_t first = 0; first < plan->n_rows && status == ST_OK; first += n_batch) {
        const size_t n_left = plan->n_rows - first;
        const struct attribution_prompts prompts = {.n = n_left < n_batch ? n_left : n_batch,
                                                    .clean = lane->tokens + first * plan->n_ctx,
                                                    .corrupted =
                                                        lane->corrupted + first * plan->n_ctx,
                                                    .lengths = lane->lengths + first,
                                                    .answers = lane->answers + first};
        status = attribution_run(lane->attribution, &prompts, &request, err);
    }
    *n_tokens += plan->n_rows * plan->n_ctx;
    return status;
}

/* ------------------------------------------------------------------------------------------- */

static const struct {
    status_t (*open)(struct paper_lane *lane, struct error *err);
    status_t (*run)(struct paper_lane *lane, size_t *n_tokens, struct error *err);
} WORKS[WORK_N] = {[WORK_CAPTURE] = {open_capture, run_capture},
                   [WORK_ABLATE] = {open_ablate, run_ablate},
                   [WORK_ATTRIBUTE] = {open_attribute, run_attribute},
                   [WORK_EDGES] = {open_attribute, run_attribute}};

status_t paper_lane_open(struct paper_lane **out, const struct paper_lane_params *params,
                         struct error *err)
{
    struct paper_lane *lane = calloc(1, sizeof *lane);
    if (!lane) return error_set(err, ST_NO_MEMORY, "a lane");
    lane->params = *params;
    status_t status = make_tokens(lane, err);
    if (status == ST_OK) status = WORKS[params->plan->work].open(lane, err);
    if (status == ST_OK)
        *out = lane;
    else
        paper_lane_close(&lane);
    return status;
}

status_t paper_lane_step(void *lane, size_t *n_tokens, struct error *err)
{
    struct paper_lane *self = lane;
    return WORKS[self->params.plan->work].run(self, n_tokens, err);
}
