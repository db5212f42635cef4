#include "worker/bench.h"
#include "worker/bench_clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Multiply-adds of one token on the way to the hook, doubled; attention's own products by the
 * mean length of a causal row. */
static double forward_flops(const struct model_config *c, struct hook_point hook, size_t n_ctx)
{
    const double d = (double)c->d_model, d_q = (double)(c->n_heads * c->d_head);
    const double d_kv = (double)(c->n_kv_heads * c->d_head), mlp = (double)c->d_mlp;
    const double n_mlp = c->family->tensors.mlp_gate ? 3 : 2;
    const double layer = 2 * (d * (d_q + 2 * d_kv) + d_q * d + n_mlp * d * mlp) +
                         2 * 2 * d_q * (double)(n_ctx + 1) / 2;
    double n_layers = (double)c->n_layers;
    if (hook_kind_has_layer(hook.kind))
        n_layers = (double)hook.layer + (hook.kind == HOOK_RESID_PRE ? 0 : 1);
    const double head = hook.kind == HOOK_LOGITS ? 2 * d * (double)c->n_vocab : 0;
    return n_layers * layer + head;
}

static size_t peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

struct forward_lane {
    const struct bench *bench;
    struct forward *forward;
};

static status_t forward_step(void *state, size_t *n_tokens, struct error *err)
{
    const struct forward_lane *lane = state;
    const struct bench *b = lane->bench;
    const struct forward_input input = {.tokens = b->tokens, .row_lengths = b->lengths};
    const float *acts;
    *n_tokens += b->n_tokens;
    return forward_run(lane->forward, &input, &b->hook, 1, &acts, err);
}

static status_t measure_forward(struct bench *b, size_t n_threads, struct bench_rate *rate,
                                struct error *err)
{
    struct forward_lane lanes[BENCH_MAX_THREADS] = {{NULL, NULL}};
    struct bench_work work = {.step = forward_step,
                              .n_threads = n_threads,
                              .seconds = b->options.seconds,
                              .n_windows = b->options.n_windows};
    const struct forward_params params = {
        .model = b->model, .n_rows = b->options.n_rows, .n_ctx = b->options.n_ctx};
    status_t status = ST_OK;
    for (size_t i = 0; i < n_threads && status == ST_OK; i++) {
        lanes[i].bench = b;
        work.state[i] = &lanes[i];
        status = forward_create(&lanes[i].forward, &params, err);
    }
    if (status == ST_OK) status = bench_measure(&work, rate, err);
    for (size_t i = 0; i < n_threads; i++) forward_destroy(&lanes[i].forward);
    return status;
}

static status_t report_forward(struct bench *b, const char *threads, struct error *err)
{
    size_t n_threads = 0;
    struct bench_rate rate = {.best = 0};
    char hook[HOOK_NAME_SIZE];
    status_t status = bench_parse_threads(threads, &n_threads, err);
    if (status == ST_OK) status = measure_forward(b, n_threads, &rate, err);
    if (status != ST_OK) return status;
    const double flops = forward_flops(model_config(b->model), b->hook, b->options.n_ctx);
    bench_print_line(json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "what", "forward",
        "compute", compute_name(model_compute(b->model)), "hook", hook_point_name(b->hook, hook),
        "threads", (json_int_t)n_threads, "rows", (json_int_t)b->options.n_rows, "ctx",
        (json_int_t)b->options.n_ctx, "tokens_per_s", rate.best, "tokens_per_s_median", rate.median,
        "tokens_per_cpu_s", rate.per_cpu_best, "tokens_per_cpu_s_median", rate.per_cpu_median,
        "gflops_per_cpu", rate.per_cpu_best * flops / 1e9, "share_of_fma_peak",
        rate.per_cpu_best * flops / b->peak_flops, "peak_memory_bytes", (json_int_t)peak_bytes()));
    return ST_OK;
}

static status_t default_hook(struct bench *b, struct error *err)
{
    const struct model_config *c = model_config(b->model);
    const char *name = b->options.hook;
    b->hook = (struct hook_point){HOOK_RESID_POST, c->n_layers - 1};
    if (!name && b->dictionary) name = dictionary_config(b->dictionary)->hook_name;
    return name && *name ? hook_point_parse(name, c, &b->hook, err) : ST_OK;
}

/* Random tokens: a speed does not depend on which. */
static status_t make_tokens(struct bench *b, struct error *err)
{
    uint64_t state = 1;
    b->n_tokens = b->options.n_rows * b->options.n_ctx;
    b->tokens = malloc(b->n_tokens * sizeof *b->tokens);
    b->lengths = malloc(b->options.n_rows * sizeof *b->lengths);
    if (!b->tokens || !b->lengths) return error_set(err, ST_NO_MEMORY, "%zu tokens", b->n_tokens);
    for (size_t i = 0; i < b->n_tokens; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        b->tokens[i] = (uint32_t)((state >> 33) % model_config(b->model)->n_vocab);
    }
    for (size_t i = 0; i < b->options.n_rows; i++) b->lengths[i] = (uint32_t)b->options.n_ctx;
    return ST_OK;
}

/* Keep one batch of activations at the hook, for the encode. */
static status_t keep_activations(struct bench *b, struct error *err)
{
    struct forward *forward = NULL;
    const float *acts;
    const struct forward_params params = {
        .model = b->model, .n_rows = b->options.n_rows, .n_ctx = b->options.n_ctx};
    const struct forward_input input = {.tokens = b->tokens, .row_lengths = b->lengths};
    const size_t n = b->n_tokens * hook_point_width(b->hook, model_config(b->model));
    status_t status = forward_create(&forward, &params, err);
    if (status == ST_OK) status = forward_run(forward, &input, &b->hook, 1, &acts, err);
    if (status == ST_OK) {
        b->acts = malloc(n * sizeof *b->acts);
        if (!b->acts) status = error_set(err, ST_NO_MEMORY, "%zu activations", n);
    }
    if (status == ST_OK) {
        memcpy(b->acts, acts, n * sizeof *b->acts);
        b->n_acts = b->n_tokens;
    }
    forward_destroy(&forward);
    return status;
}

/* As many threads as --threads has at most; what is wrong with it is said when it is measured. */
static struct memory_needs needs_of(const struct bench_options *o)
{
    struct memory_needs needs = {.n_ctx = o->n_ctx};
    size_t n_threads = 1;
    for (size_t i = 0; i < o->threads.n_items; i++)
        if (bench_parse_threads(o->threads.items[i], &n_threads, NULL) == ST_OK &&
            n_threads > needs.n_threads)
            needs.n_threads = n_threads;
    if (!o->what || strcmp(o->what, "attribute") != 0) return needs;
    needs.adjoint = MEMORY_ADJOINT_EDGES;
    needs.n_prompts = o->n_rows;
    return needs;
}

status_t bench_forward(struct bench *b, struct error *err)
{
    const struct bench_options *o = &b->options;
    const struct memory_needs needs = needs_of(o);
    status_t status = ST_OK;
    for (size_t i = 0; i < o->computes.n_items && status == ST_OK; i++) {
        enum compute compute = COMPUTE_F32;
        status = compute_parse(o->computes.items[i], &compute, err);
        model_close(&b->model);
        const struct model_params params = {
            .directory = o->model, .backend = b->backend, .compute = compute, .needs = &needs};
        if (status == ST_OK) status = model_open(&b->model, &params, err);
        if (status == ST_OK) status = default_hook(b, err);
        if (status == ST_OK && !b->tokens) status = make_tokens(b, err);
        if (status == ST_OK && !b->acts && b->dictionary) status = keep_activations(b, err);
        for (size_t t = 0;
             t < o->threads.n_items && status == ST_OK && bench_is_wanted(o, "forward"); t++)
            status = report_forward(b, o->threads.items[t], err);
        if (status == ST_OK && o->what && strcmp(o->what, "ablate") == 0)
            status = bench_ablate(b, err);
        if (status == ST_OK && o->what && strcmp(o->what, "attribute") == 0)
            status = bench_attribute(b, err);
    }
    return status;
}
