/* A sweep over all nodes (every head and MLP set to zero, one at a time) as circuits need it: in
 * batches, in batches that change the last position alone, and by whole passes. A step is every
 * N_STEPS-th node, so that each has nodes of all layers. The effect is that on the difference of
 * the first two answers. */
#include "worker/bench.h"
#include "worker/bench_clock.h"
#include "worker/model/variants.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH_TOKENS = 4096, N_ANSWERS = 2, N_STEPS = 3, N_NAIVE = 4 };
enum sweep_way { SWEEP_BATCHED, SWEEP_LATE, SWEEP_NAIVE, SWEEP_N_WAYS };

struct ablate_lane {
    struct variants *variants;
    struct variant *list;
    struct variant_change *changes;
    size_t n, n_tokens; /* variants, tokens of the prompts */
    size_t at, step;    /* variants of one step: a share of the sweep, or a few whole passes */
    size_t begin;       /* of the step under way */
    enum sweep_way way;
    size_t n_prompts;
    size_t *nodes;      /* [n]: which node a variant is */
    uint8_t *last_rows; /* [n_prompts * n_ctx]: the last position of each prompt */
    double *effects;    /* [n]: of each node, mean over prompts; NAN: not got to */
};

static status_t note_effect(void *context, size_t index, const float *logits, const float *clean,
                            struct error *err)
{
    const struct ablate_lane *lane = context;
    double *effect = &lane->effects[lane->nodes[(lane->begin + index) % lane->n]];
    (void)err;
    *effect = 0;
    for (size_t p = 0; p < lane->n_prompts; p++) {
        const float *ablated = logits + p * N_ANSWERS, *as_is = clean + p * N_ANSWERS;
        *effect +=
            fabs((double)ablated[0] - (double)ablated[1] - ((double)as_is[0] - (double)as_is[1])) /
            (double)lane->n_prompts;
    }
    return ST_OK;
}

static status_t ablate_step(void *state, size_t *n_tokens, struct error *err)
{
    struct ablate_lane *lane = state;
    const size_t n = lane->n - lane->at < lane->step ? lane->n - lane->at : lane->step;
    const struct variant *list = lane->list + lane->at;
    lane->begin = lane->at;
    lane->at = (lane->at + n) % lane->n;
    *n_tokens += n * lane->n_tokens;
    return (lane->way == SWEEP_NAIVE ? variants_run_naive : variants_run)(lane->variants, list, n,
                                                                          note_effect, lane, err);
}

static status_t list_nodes(struct ablate_lane *lane, const struct model_config *c,
                           struct error *err)
{
    lane->n = c->n_layers * (c->n_heads + 1);
    lane->list = calloc(lane->n, sizeof *lane->list);
    lane->changes = calloc(lane->n, sizeof *lane->changes);
    lane->effects = calloc(lane->n, sizeof *lane->effects);
    lane->nodes = calloc(lane->n, sizeof *lane->nodes);
    if (!lane->list || !lane->changes || !lane->effects || !lane->nodes)
        return error_set(err, ST_NO_MEMORY, "%zu nodes", lane->n);
    size_t n_listed = 0;
    for (size_t first = 0; first < N_STEPS; first++)
        for (size_t node = first; node < lane->n; node += N_STEPS) lane->nodes[n_listed++] = node;
    for (size_t i = 0; i < lane->n; i++) {
        const size_t layer = lane->nodes[i] / (c->n_heads + 1);
        const size_t head = lane->nodes[i] % (c->n_heads + 1);
        const bool is_head = head < c->n_heads;
        lane->effects[i] = NAN;
        lane->changes[i] =
            (struct variant_change){.hook = {is_head ? HOOK_Z : HOOK_MLP_OUT, layer},
                                    .column = is_head ? head * c->d_head : 0,
                                    .n_columns = is_head ? c->d_head : c->d_model,
                                    .is_row = lane->way == SWEEP_LATE ? lane->last_rows : NULL};
        lane->list[i] = (struct variant){.changes = &lane->changes[i], .n_changes = 1};
    }
    return ST_OK;
}

static void close_lane(struct ablate_lane *lane)
{
    variants_destroy(&lane->variants);
    free(lane->list);
    free(lane->nodes);
    free(lane->last_rows);
    free(lane->changes);
    free(lane->effects);
}

static status_t open_lane(struct ablate_lane *lane, const struct bench *b, struct error *err)
{
    const size_t n_batch = BATCH_TOKENS / b->n_tokens;
    const struct variants_params params = {.model = b->model,
                                           .n_prompts = b->options.n_rows,
                                           .n_ctx = b->options.n_ctx,
                                           .n_batch = n_batch ? n_batch : 1};
    uint32_t *answers = calloc(b->options.n_rows, sizeof *answers);
    const uint32_t columns[N_ANSWERS] = {1, 2};
    lane->last_rows = calloc(b->options.n_rows * b->options.n_ctx, sizeof *lane->last_rows);
    if (!answers || !lane->last_rows) {
        free(answers);
        return error_set(err, ST_NO_MEMORY, "answers");
    }
    for (size_t i = 0; i < b->options.n_rows; i++) {
        answers[i] = b->lengths[i] - 1;
        lane->last_rows[i * b->options.n_ctx + answers[i]] = 1;
    }
    const struct variants_prompts prompts = {.tokens = b->tokens,
                                             .lengths = b->lengths,
                                             .answers = answers,
                                             .columns = columns,
                                             .n_columns = N_ANSWERS};
    lane->n_tokens = b->n_tokens;
    lane->n_prompts = b->options.n_rows;
    status_t status = list_nodes(lane, model_config(b->model), err);
    if (status == ST_OK) status = variants_create(&lane->variants, &params, err);
    if (status == ST_OK) status = variants_load(lane->variants, &prompts, err);
    free(answers);
    return status;
}

/* effects: a new list, those of the first lane; NULL: not wanted. */
static status_t measure(struct bench *b, size_t n_threads, enum sweep_way way,
                        struct bench_rate *rate, json_t **effects, struct error *err)
{
    struct ablate_lane lanes[BENCH_MAX_THREADS] = {{.variants = NULL}};
    struct bench_work work = {.step = ablate_step,
                              .n_threads = n_threads,
                              .seconds = b->options.seconds,
                              .n_windows = b->options.n_windows};
    status_t status = ST_OK;
    for (size_t i = 0; i < n_threads && status == ST_OK; i++) {
        work.state[i] = &lanes[i];
        lanes[i].way = way;
        status = open_lane(&lanes[i], b, err);
        lanes[i].step = way == SWEEP_NAIVE ? N_NAIVE : (lanes[i].n + N_STEPS - 1) / N_STEPS;
    }
    if (status == ST_OK) status = bench_measure(&work, rate, err);
    if (effects) *effects = json_array();
    for (size_t i = 0; effects && lanes[0].effects && i < lanes[0].n; i++)
        (void)json_array_append_new(
            *effects, isnan(lanes[0].effects[i]) ? json_null() : json_real(lanes[0].effects[i]));
    for (size_t i = 0; i < n_threads; i++) close_lane(&lanes[i]);
    return status;
}

status_t bench_measure_ablate(struct bench *b, size_t n_threads, struct bench_rate *rate,
                              struct error *err)
{
    return measure(b, n_threads, SWEEP_BATCHED, rate, NULL, err);
}

static status_t report(struct bench *b, size_t n_threads, struct error *err)
{
    struct bench_rate rates[SWEEP_N_WAYS] = {{.best = 0}};
    json_t *effects = NULL;
    status_t status = ST_OK;
    for (unsigned way = 0; way < SWEEP_N_WAYS && status == ST_OK; way++)
        status = measure(b, n_threads, (enum sweep_way)way, &rates[way],
                         way == SWEEP_BATCHED ? &effects : NULL, err);
    if (status != ST_OK) {
        json_decref(effects);
        return status;
    }
    const struct bench_rate *fast = &rates[SWEEP_BATCHED], *late = &rates[SWEEP_LATE],
                            *naive = &rates[SWEEP_NAIVE];
    bench_print_line(json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "what", "ablate", "compute",
        compute_name(model_compute(b->model)), "threads", (json_int_t)n_threads, "prompts",
        (json_int_t)b->options.n_rows, "ctx", (json_int_t)b->options.n_ctx,
        "variant_tokens_per_cpu_s", fast->per_cpu_best, "variant_tokens_per_cpu_s_median",
        fast->per_cpu_median, "late_variant_tokens_per_cpu_s", late->per_cpu_best,
        "naive_variant_tokens_per_cpu_s", naive->per_cpu_best, "over_naive",
        fast->per_cpu_best / naive->per_cpu_best, "effects", effects));
    return ST_OK;
}

status_t bench_ablate(struct bench *b, struct error *err)
{
    return bench_each_threads(b, report, err);
}
