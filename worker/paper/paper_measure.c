#include "worker/paper/paper_measure.h"

#include "worker/bench_clock.h"
#include "worker/model/encoder.h"
#include "worker/model/model.h"
#include "worker/paper/paper_lane.h"

struct opened {
    struct model *model;
    struct dictionary *dictionary; /* NULL: no encode */
    struct encoder *encoder;
    struct paper_lane *lane;
};

/* Every activation that was counted is in the tally. */
static status_t check_tally(const struct opened *o, struct error *err)
{
    const uint64_t n_fired = encoder_stats(o->encoder).n_fired;
    struct sparse_tally tally;
    uint64_t n = 0;
    const status_t status = encoder_tally(o->encoder, &tally, err);
    for (size_t f = 0; status == ST_OK && f < tally.n_features; f++) n += tally.n_fired[f];
    if (status != ST_OK || n == n_fired) return status;
    return error_set(err, ST_INTERNAL, "%llu activations fired, the tally has %llu",
                     (unsigned long long)n_fired, (unsigned long long)n);
}

static status_t open_dictionary(struct opened *o, const struct paper_measure *m,
                                struct paper_plan *plan, struct error *err)
{
    const struct dictionary_params params = {.directory = m->dictionary, .backend = m->backend};
    status_t status = dictionary_open(&o->dictionary, &params, err);
    if (status != ST_OK) return status;
    const struct dictionary_config *c = dictionary_config(o->dictionary);
    const size_t width = hook_point_width(plan->hook, plan->config);
    if (c->d_in != width)
        return error_set(err, ST_BAD_INPUT, "dictionary %s is for %zu columns, the hook has %zu",
                         m->dictionary, c->d_in, width);
    plan->n_features = c->n_features;
    plan->k = c->k;
    const struct encoder_params encoder = {
        .dictionary = o->dictionary, .screen = SCREEN_AUTO, .tally_k = plan->tally_k};
    return encoder_create(&o->encoder, &encoder, err);
}

static status_t open_all(struct opened *o, const struct paper_measure *m, struct paper_plan *plan,
                         struct error *err)
{
    const bool is_capture = plan->work == WORK_CAPTURE;
    const bool has_encode = is_capture && m->dictionary;
    struct memory_needs needs = {.n_ctx = plan->n_ctx, .n_rows = is_capture ? plan->n_rows : 0};
    const struct model_params model = {
        .directory = m->model, .backend = m->backend, .compute = plan->compute, .needs = &needs};
    status_t status = has_encode ? memory_needs_add(&needs, m->dictionary, 0, err) : ST_OK;
    needs.targets[0].tally_k = plan->tally_k;
    if (status == ST_OK) status = model_open(&o->model, &model, err);
    plan->n_features = plan->k = 0;
    if (status == ST_OK && has_encode) status = open_dictionary(o, m, plan, err);
    const struct paper_lane_params lane = {plan, o->model, o->encoder};
    return status == ST_OK ? paper_lane_open(&o->lane, &lane, err) : status;
}

static void close_all(struct opened *o)
{
    paper_lane_close(&o->lane);
    encoder_destroy(&o->encoder);
    dictionary_close(&o->dictionary);
    model_close(&o->model);
}

status_t paper_measure_run(const struct paper_measure *m, struct paper_plan *plan,
                           double *tokens_per_s, struct error *err)
{
    struct opened opened = {.model = NULL};
    struct bench_rate rate = {.best = 0};
    status_t status = open_all(&opened, m, plan, err);
    if (status == ST_OK) {
        const struct bench_work work = {.step = paper_lane_step,
                                        .state = {opened.lane},
                                        .n_threads = 1,
                                        .seconds = m->seconds,
                                        .n_windows = m->n_windows};
        status = bench_measure(&work, &rate, err);
    }
    if (status == ST_OK && opened.encoder) {
        const struct sparse_stats stats = encoder_stats(opened.encoder);
        plan->candidates_per_token = (double)stats.n_candidates / (double)stats.n_tokens;
        plan->fired_per_token = (double)stats.n_fired / (double)stats.n_tokens;
        status = check_tally(&opened, err);
    }
    *tokens_per_s = rate.best;
    close_all(&opened);
    return status;
}
