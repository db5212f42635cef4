#include "worker/paper/paper_measure.h"

#include "common/draw.h"
#include "worker/bench_clock.h"
#include "worker/model/encoder.h"
#include "worker/model/forward.h"

#include <stdlib.h>

struct lane {
    const struct paper_plan *plan;
    struct model *model;
    struct dictionary *dictionary; /* NULL: no encode */
    struct forward *forward;
    struct encoder *encoder;
    uint32_t *tokens, *lengths;
};

static status_t step(void *state, size_t *n_tokens, struct error *err)
{
    struct lane *lane = state;
    const size_t n = lane->plan->n_rows * lane->plan->n_ctx;
    const bool stays = true; /* the encoder reads them on the device */
    const struct forward_input input = {
        .tokens = lane->tokens, .row_lengths = lane->lengths, .stays = &stays};
    struct sparse_rows rows;
    const float *acts;
    status_t status = forward_run(lane->forward, &input, &lane->plan->hook, 1, &acts, err);
    *n_tokens += n;
    if (status != ST_OK || !lane->encoder) return status;
    return encoder_run_device(lane->encoder, acts, n, &rows, err);
}

/* Every activation that was counted is in the tally. */
static status_t check_tally(const struct lane *lane, struct error *err)
{
    const uint64_t n_fired = encoder_stats(lane->encoder).n_fired;
    struct sparse_tally tally;
    uint64_t n = 0;
    const status_t status = encoder_tally(lane->encoder, &tally, err);
    for (size_t f = 0; status == ST_OK && f < tally.n_features; f++) n += tally.n_fired[f];
    if (status != ST_OK || n == n_fired) return status;
    return error_set(err, ST_INTERNAL, "%llu activations fired, the tally has %llu",
                     (unsigned long long)n_fired, (unsigned long long)n);
}

static status_t make_tokens(struct lane *lane, struct error *err)
{
    const size_t n = lane->plan->n_rows * lane->plan->n_ctx;
    struct draw draw = draw_open(1, 1, 1);
    lane->tokens = calloc(n, sizeof *lane->tokens);
    lane->lengths = calloc(lane->plan->n_rows, sizeof *lane->lengths);
    if (!lane->tokens || !lane->lengths) return error_set(err, ST_NO_MEMORY, "%zu tokens", n);
    for (size_t i = 0; i < n; i++)
        lane->tokens[i] = draw_below(&draw, (uint32_t)model_config(lane->model)->n_vocab);
    for (size_t r = 0; r < lane->plan->n_rows; r++) lane->lengths[r] = (uint32_t)lane->plan->n_ctx;
    return ST_OK;
}

static status_t open_dictionary(struct lane *lane, const struct paper_measure *m,
                                struct paper_plan *plan, struct error *err)
{
    const struct dictionary_params params = {.directory = m->dictionary, .backend = m->backend};
    status_t status = dictionary_open(&lane->dictionary, &params, err);
    if (status != ST_OK) return status;
    const struct dictionary_config *c = dictionary_config(lane->dictionary);
    if (c->d_in != plan->config->d_model)
        return error_set(err, ST_BAD_INPUT, "dictionary %s is for %zu columns, the model has %zu",
                         m->dictionary, c->d_in, plan->config->d_model);
    plan->n_features = c->n_features;
    plan->k = c->k;
    const struct encoder_params encoder = {
        .dictionary = lane->dictionary, .screen = SCREEN_AUTO, .tally_k = plan->tally_k};
    return encoder_create(&lane->encoder, &encoder, err);
}

static status_t open_lane(struct lane *lane, const struct paper_measure *m, struct paper_plan *plan,
                          struct error *err)
{
    struct memory_needs needs = {.n_ctx = plan->n_ctx, .n_rows = plan->n_rows};
    const struct model_params model = {
        .directory = m->model, .backend = m->backend, .compute = plan->compute, .needs = &needs};
    status_t status = m->dictionary ? memory_needs_add(&needs, m->dictionary, 0, err) : ST_OK;
    if (status == ST_OK) status = model_open(&lane->model, &model, err);
    const struct forward_params forward = {
        .model = lane->model, .n_rows = plan->n_rows, .n_ctx = plan->n_ctx};
    if (status == ST_OK) status = forward_create(&lane->forward, &forward, err);
    if (status == ST_OK) status = make_tokens(lane, err);
    plan->n_features = plan->k = 0;
    if (status == ST_OK && m->dictionary) status = open_dictionary(lane, m, plan, err);
    return status;
}

static void close_lane(struct lane *lane)
{
    encoder_destroy(&lane->encoder);
    dictionary_close(&lane->dictionary);
    forward_destroy(&lane->forward);
    model_close(&lane->model);
    free(lane->tokens);
    free(lane->lengths);
}

status_t paper_measure_run(const struct paper_measure *m, struct paper_plan *plan,
                           double *tokens_per_s, struct error *err)
{
    struct lane lane = {.plan = plan};
    struct bench_work work = {.step = step,
                              .state = {&lane},
                              .n_threads = 1,
                              .seconds = m->seconds,
                              .n_windows = m->n_windows};
    struct bench_rate rate = {.best = 0};
    status_t status = open_lane(&lane, m, plan, err);
    if (status == ST_OK) status = bench_measure(&work, &rate, err);
    if (status == ST_OK && lane.encoder) {
        const struct sparse_stats stats = encoder_stats(lane.encoder);
        plan->candidates_per_token = (double)stats.n_candidates / (double)stats.n_tokens;
        plan->fired_per_token = (double)stats.n_fired / (double)stats.n_tokens;
        status = check_tally(&lane, err);
    }
    *tokens_per_s = rate.best;
    close_lane(&lane);
    return status;
}
