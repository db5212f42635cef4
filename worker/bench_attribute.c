/* Attribution of all nodes, and of all edges, beside setting every node to zero exactly. A device
 * that has no room for all prompts at once gets them in as many batches as it takes, and the line
 * says how many there are in one. */
#include "worker/bench.h"
#include "worker/bench_clock.h"
#include "worker/model/attribution.h"

#include <stdio.h>
#include <stdlib.h>

enum { IG_STEPS = 5 };

struct attribute_lane {
    const struct bench *bench;
    struct attribution *attribution;
    uint32_t *corrupted, *answers;
    double *nodes, *edges;
    enum attribute_method method;
};

/* Of a logit difference: what it costs does not depend on the metric. */
static status_t slope(void *context, size_t prompt, const float *logits, const float *clean,
                      float *out, struct error *err)
{
    (void)context;
    (void)prompt;
    (void)logits;
    (void)clean;
    (void)err;
    out[1] = 1;
    out[2] = -1;
    return ST_OK;
}

/* n of the prompts, as many as are taken at once. */
static status_t run_batch(struct attribute_lane *lane, size_t first, size_t n, struct error *err)
{
    const struct bench *b = lane->bench;
    const size_t n_ctx = b->options.n_ctx;
    const struct attribution_prompts prompts = {.n = n,
                                                .clean = b->tokens + first * n_ctx,
                                                .corrupted = lane->corrupted + first * n_ctx,
                                                .lengths = b->lengths + first,
                                                .answers = lane->answers + first};
    const struct attribution_request request = {
        .n_steps = lane->method == ATTRIBUTE_EAP_IG ? IG_STEPS : 0,
        .slope = slope,
        .nodes = lane->nodes,
        .edges = lane->method == ATTRIBUTE_ATP ? NULL : lane->edges};
    return attribution_run(lane->attribution, &prompts, &request, err);
}

static status_t attribute_step(void *state, size_t *n_tokens, struct error *err)
{
    struct attribute_lane *lane = state;
    const size_t n_all = lane->bench->options.n_rows;
    const size_t n_batch = attribution_n_prompts(lane->attribution);
    status_t status = ST_OK;
    for (size_t first = 0; first < n_all && status == ST_OK; first += n_batch)
        status = run_batch(lane, first, n_all - first < n_batch ? n_all - first : n_batch, err);
    *n_tokens += lane->bench->n_tokens;
    return status;
}

static void close_lane(struct attribute_lane *lane)
{
    attribution_destroy(&lane->attribution);
    free(lane->corrupted);
    free(lane->answers);
    free(lane->nodes);
    free(lane->edges);
}

static status_t open_lane(struct attribute_lane *lane, const struct bench *b, struct error *err)
{
    const struct attribute_shape shape = attribution_shape(model_config(b->model));
    const struct attribution_params params = {.model = b->model,
                                              .n_prompts = b->options.n_rows,
                                              .n_ctx = b->options.n_ctx,
                                              .has_edges = lane->method != ATTRIBUTE_ATP};
    lane->bench = b;
    lane->corrupted = calloc(b->n_tokens, sizeof *lane->corrupted);
    lane->answers = calloc(b->options.n_rows, sizeof *lane->answers);
    lane->nodes = calloc(attribute_n_nodes(&shape), sizeof *lane->nodes);
    lane->edges = calloc(attribute_n_edges(&shape), sizeof *lane->edges);
    if (!lane->corrupted || !lane->answers || !lane->nodes || !lane->edges)
        return error_set(err, ST_NO_MEMORY, "attributions");
    for (size_t i = 0; i < b->n_tokens; i++) lane->corrupted[i] = b->tokens[(i + 1) % b->n_tokens];
    for (size_t i = 0; i < b->options.n_rows; i++) lane->answers[i] = b->lengths[i] - 1;
    return attribution_create(&lane->attribution, &params, err);
}

/* n_batch: prompts that the last thread to come takes at once. */
static status_t measure(const struct bench *b, size_t n_threads, enum attribute_method method,
                        struct bench_rate *rate, size_t *n_batch, struct error *err)
{
    struct attribute_lane lanes[BENCH_MAX_THREADS] = {{.bench = NULL}};
    struct bench_work work = {.step = attribute_step,
                              .n_threads = n_threads,
                              .seconds = b->options.seconds,
                              .n_windows = b->options.n_windows};
    status_t status = ST_OK;
    for (size_t i = 0; i < n_threads && status == ST_OK; i++) {
        work.state[i] = &lanes[i];
        lanes[i].method = method;
        status = open_lane(&lanes[i], b, err);
        if (status == ST_OK) *n_batch = attribution_n_prompts(lanes[i].attribution);
    }
    if (status == ST_OK) status = bench_measure(&work, rate, err);
    for (size_t i = 0; i < n_threads; i++) close_lane(&lanes[i]);
    return status;
}

/* exact_cpu_s: of one sweep over all heads and MLPs on the same prompts, in batches. */
static status_t report(const struct bench *b, size_t n_threads, enum attribute_method method,
                       double exact_cpu_s, struct error *err)
{
    const struct attribute_shape shape = attribution_shape(model_config(b->model));
    const bool has_edges = method != ATTRIBUTE_ATP;
    struct bench_rate rate = {.best = 0};
    size_t n_batch = 0;
    const status_t status = measure(b, n_threads, method, &rate, &n_batch, err);
    if (status != ST_OK) return status;
    if (n_batch < b->options.n_rows)
        (void)fprintf(stderr,
                      "interp-worker bench: attribute: the device has room for %zu of %zu "
                      "prompts at once\n",
                      n_batch, b->options.n_rows);
    const double cpu_s = (double)b->n_tokens / rate.per_cpu_best;
    bench_print_line(json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "what", "attribute",
        "method", attribute_method_name(method), "compute", compute_name(model_compute(b->model)),
        "threads", (json_int_t)n_threads, "prompts", (json_int_t)b->options.n_rows,
        "prompts_at_once", (json_int_t)n_batch, "ctx", (json_int_t)b->options.n_ctx, "nodes",
        (json_int_t)attribute_n_nodes(&shape), "edges",
        (json_int_t)(has_edges ? attribute_n_edges(&shape) : 0), "cpu_s", cpu_s,
        "exact_nodes_cpu_s", exact_cpu_s, "exact_nodes_over_it", exact_cpu_s / cpu_s));
    return ST_OK;
}

static status_t report_all(struct bench *b, size_t n_threads, struct error *err)
{
    const struct model_config *c = model_config(b->model);
    struct bench_rate exact = {.best = 0};
    status_t status = bench_measure_ablate(b, n_threads, &exact, err);
    const double n_variants = (double)(c->n_layers * (c->n_heads + 1));
    for (unsigned method = 0; method < ATTRIBUTE_N_METHODS && status == ST_OK; method++)
        status = report(b, n_threads, (enum attribute_method)method,
                        n_variants * (double)b->n_tokens / exact.per_cpu_best, err);
    return status;
}

status_t bench_attribute(struct bench *b, struct error *err)
{
    return bench_each_threads(b, report_all, err);
}
