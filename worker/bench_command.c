#include "worker/bench_command.h"

#include "common/clock.h"
#include "kernels/cpu/vector.h"
#include "worker/arguments.h"
#include "worker/bench_clock.h"
#include "worker/bench_synthetic.h"
#include "worker/model/encoder.h"
#include "worker/model/forward.h"
#include "worker/model/safetensors.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { DEFAULT_ROWS = 8, DEFAULT_CTX = 128, MAKE_LAYERS = 12, MAKE_TOKENS = 4096, TOP_K = 20 };

struct options {
    const char *make, *model, *dictionary, *activations, *hook, *what;
    struct argument_list computes, screens;
    struct argument_list threads;
    size_t n_rows, n_ctx, n_windows;
    double seconds, norm_scaling_factor;
};

struct bench {
    struct options options;
    struct backend *backend;
    struct model *model;
    struct dictionary *dictionary;
    struct hook_point hook;
    size_t n_tokens; /* of one batch */
    uint32_t *tokens, *lengths;
    float *acts; /* [n_acts, d_in]: what the encoder is fed */
    size_t n_acts;
    double peak_flops; /* multiply-adds in registers, one core */
};

static const char SUMMARY[] =
    "Measure forward pass and encode on this machine; prints JSON lines.";

static status_t read_options(struct options *o, int argc, char **argv, bool *is_help,
                             struct error *err)
{
    const struct argument table[] = {
        {.name = "--make", .value = "DIR",
         .help = "write DIR/model and DIR/dictionary (synthetic) and stop", .text = &o->make},
        {.name = "--model", .value = "DIR", .help = "HF directory", .text = &o->model},
        {.name = "--dictionary", .value = "DIR", .help = "SAELens directory",
         .text = &o->dictionary},
        {.name = "--activations", .value = "FILE",
         .help = "encode its x [tokens, d_in], not the model's", .text = &o->activations},
        {.name = "--norm-scaling-factor", .value = "X", .help = "of the dictionary",
         .number = &o->norm_scaling_factor},
        {.name = "--hook", .value = "NAME",
         .help = "where the forward pass stops (the dictionary's hook, or the last layer's end)",
         .text = &o->hook},
        {.name = "--what", .value = "WHAT", .help = "forward, encode or all (default)",
         .text = &o->what},
        {.name = "--compute", .value = "NAME", .help = "f32, bf16x3, bf16", .list = &o->computes},
        {.name = "--screen", .value = "NAME", .help = "auto, int8, bf16, f32, none",
         .list = &o->screens},
        {.name = "--threads", .value = "N", .help = "1 and 2 by default", .list = &o->threads},
        {.name = "--rows", .value = "N", .help = "rows of a batch (8)", .count = &o->n_rows},
        {.name = "--ctx", .value = "N", .help = "tokens of a row (128)", .count = &o->n_ctx},
        {.name = "--seconds", .value = "S", .help = "of one window (1)", .number = &o->seconds},
        {.name = "--windows", .value = "N", .help = "windows of each figure (3)",
         .count = &o->n_windows},
    };
    const size_t n = sizeof table / sizeof table[0];
    *o = (struct options){
        .n_rows = DEFAULT_ROWS, .n_ctx = DEFAULT_CTX, .n_windows = 3, .seconds = 1};
    const status_t status = arguments_parse(table, n, argc, argv, is_help, err);
    if (*is_help) arguments_print_help("bench", SUMMARY, table, n);
    if (status != ST_OK || *is_help) return status;
    if (!o->make && !o->model && !o->activations)
        return error_set(err, ST_BAD_INPUT, "give --model or --activations (or --make)");
    if (o->activations && !o->dictionary)
        return error_set(err, ST_BAD_INPUT, "--activations needs --dictionary");
    return ST_OK;
}

static void default_list(struct argument_list *list, const char *first, const char *second,
                         const char *third)
{
    const char *const all[] = {first, second, third};
    for (size_t i = 0; !list->n_items && i < 3 && all[i]; i++) list->items[i] = all[i];
    for (size_t i = 0; !list->n_items && i < 3; i++) {
        if (i == 2 || !all[i + 1]) list->n_items = i + 1;
    }
}

static bool is_wanted(const struct options *o, const char *what)
{
    return !o->what || strcmp(o->what, "all") == 0 || strcmp(o->what, what) == 0;
}

/* Best of some 1 ms bursts: what one core could do at most. */
static double measure_peak(void)
{
    const struct vector_kernels *kernels = vector_kernels_of(cpu_isa_detect(CPU_ISA_AVX512));
    const size_t n_rounds = 200000;
    double best = 0;
    volatile float sink = 0;
    for (int i = 0; i < 40; i++) {
        const int64_t begin = clock_monotonic_ns(clock_system());
        sink = sink + kernels->fma_burst(n_rounds);
        const double ns = (double)(clock_monotonic_ns(clock_system()) - begin);
        const double flops = (double)n_rounds * (double)kernels->fma_round_flops / ns * 1e9;
        best = flops > best ? flops : best;
    }
    return best;
}

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

static void print_line(json_t *line)
{
    (void)json_dumpf(line, stdout, JSON_COMPACT);
    (void)putchar('\n');
    (void)fflush(stdout);
    json_decref(line);
}

static size_t peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

/* --- forward ------------------------------------------------------------------------------ */

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

static status_t parse_threads(const char *text, size_t *out, struct error *err)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    if (*end || !n || n > BENCH_MAX_THREADS)
        return error_set(err, ST_BAD_INPUT, "--threads '%s' is not 1..%d", text,
                         BENCH_MAX_THREADS);
    *out = n;
    return ST_OK;
}

static status_t report_forward(struct bench *b, const char *threads, struct error *err)
{
    size_t n_threads = 0;
    struct bench_rate rate = {.best = 0};
    char hook[HOOK_NAME_SIZE];
    status_t status = parse_threads(threads, &n_threads, err);
    if (status == ST_OK) status = measure_forward(b, n_threads, &rate, err);
    if (status != ST_OK) return status;
    const double flops = forward_flops(model_config(b->model), b->hook, b->options.n_ctx);
    print_line(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "what",
                         "forward", "compute", compute_name(model_compute(b->model)), "hook",
                         hook_point_name(b->hook, hook), "threads", (json_int_t)n_threads, "rows",
                         (json_int_t)b->options.n_rows, "ctx", (json_int_t)b->options.n_ctx,
                         "tokens_per_s", rate.best, "tokens_per_s_median", rate.median,
                         "tokens_per_cpu_s", rate.per_cpu_best, "tokens_per_cpu_s_median",
                         rate.per_cpu_median, "gflops_per_cpu", rate.per_cpu_best * flops / 1e9,
                         "share_of_fma_peak", rate.per_cpu_best * flops / b->peak_flops,
                         "peak_memory_bytes", (json_int_t)peak_bytes()));
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

static status_t bench_forward(struct bench *b, struct error *err)
{
    const struct options *o = &b->options;
    status_t status = ST_OK;
    for (size_t i = 0; i < o->computes.n_items && status == ST_OK; i++) {
        enum compute compute = COMPUTE_F32;
        status = compute_parse(o->computes.items[i], &compute, err);
        model_close(&b->model);
        if (status == ST_OK) status = model_open(&b->model, o->model, b->backend, compute, err);
        if (status == ST_OK) status = default_hook(b, err);
        if (status == ST_OK && !b->tokens) status = make_tokens(b, err);
        if (status == ST_OK && !b->acts && b->dictionary) status = keep_activations(b, err);
        for (size_t t = 0; t < o->threads.n_items && status == ST_OK && is_wanted(o, "forward");
             t++)
            status = report_forward(b, o->threads.items[t], err);
    }
    return status;
}

/* --- encode ------------------------------------------------------------------------------- */

struct encode_lane {
    const struct bench *bench;
    struct encoder *encoder;
    float *top;    /* [n_features, TOP_K], NULL: encode alone */
    float *lowest; /* [n_features] the least of the top */
};

/* Insert into a feature's top if it beats the least of them. */
static void offer_top(struct encode_lane *lane, uint32_t feature, float value)
{
    float *top = lane->top + (size_t)feature * TOP_K;
    size_t least = 0;
    for (size_t i = 1; i < TOP_K; i++) least = top[i] < top[least] ? i : least;
    top[least] = value;
    for (size_t i = 0; i < TOP_K; i++) least = top[i] < top[least] ? i : least;
    lane->lowest[feature] = top[least];
}

static status_t encode_step(void *state, size_t *n_tokens, struct error *err)
{
    struct encode_lane *lane = state;
    const struct bench *b = lane->bench;
    struct sparse_rows rows;
    const status_t status = encoder_run(lane->encoder, b->acts, b->n_acts, &rows, err);
    if (status != ST_OK) return status;
    *n_tokens += b->n_acts;
    const size_t n = rows.row_start[rows.n_rows];
    for (size_t i = 0; lane->top && i < n; i++) {
        if (rows.value[i] > lane->lowest[rows.feature[i]])
            offer_top(lane, rows.feature[i], rows.value[i]);
    }
    return ST_OK;
}

static void lane_fini(struct encode_lane *lane)
{
    encoder_destroy(&lane->encoder);
    free(lane->top);
    free(lane->lowest);
}

static status_t lane_init(struct encode_lane *lane, const struct bench *b, enum screen screen,
                          bool has_top, struct error *err)
{
    const size_t n = dictionary_config(b->dictionary)->n_features;
    const struct encoder_params params = {.dictionary = b->dictionary, .screen = screen};
    lane->bench = b;
    if (has_top) {
        lane->top = calloc(n * TOP_K, sizeof *lane->top);
        lane->lowest = calloc(n, sizeof *lane->lowest);
        if (!lane->top || !lane->lowest) return error_set(err, ST_NO_MEMORY, "top %d", TOP_K);
    }
    return encoder_create(&lane->encoder, &params, err);
}

static status_t measure_encode(struct bench *b, enum screen screen, bool has_top,
                               size_t n_threads, struct bench_rate *rate,
                               struct sparse_stats *stats, struct error *err)
{
    struct encode_lane lanes[BENCH_MAX_THREADS] = {{NULL, NULL, NULL, NULL}};
    struct bench_work work = {.step = encode_step,
                              .n_threads = n_threads,
                              .seconds = b->options.seconds,
                              .n_windows = b->options.n_windows};
    status_t status = ST_OK;
    for (size_t i = 0; i < n_threads && status == ST_OK; i++) {
        work.state[i] = &lanes[i];
        status = lane_init(&lanes[i], b, screen, has_top, err);
    }
    if (status == ST_OK) status = bench_measure(&work, rate, err);
    if (status == ST_OK) *stats = encoder_stats(lanes[0].encoder);
    for (size_t i = 0; i < n_threads; i++) lane_fini(&lanes[i]);
    return status;
}

static bool rows_equal(const struct sparse_rows *a, const struct sparse_rows *b)
{
    if (a->n_rows != b->n_rows ||
        memcmp(a->row_start, b->row_start, (a->n_rows + 1) * sizeof *a->row_start) != 0)
        return false;
    const size_t n = a->row_start[a->n_rows];
    return memcmp(a->feature, b->feature, n * sizeof *a->feature) == 0 &&
           memcmp(a->value, b->value, n * sizeof *a->value) == 0;
}

/* Are the screened rows those of the dense product in the same fixed order, bit for bit? */
static status_t check_equal(struct bench *b, enum screen screen, bool *is_equal,
                            struct error *err)
{
    struct encode_lane screened = {NULL, NULL, NULL, NULL}, dense = {NULL, NULL, NULL, NULL};
    struct sparse_rows got, want;
    const size_t n = b->n_acts < 1024 ? b->n_acts : 1024;
    status_t status = lane_init(&screened, b, screen, false, err);
    if (status == ST_OK) status = lane_init(&dense, b, SCREEN_NONE, false, err);
    if (status == ST_OK) status = encoder_run(screened.encoder, b->acts, n, &got, err);
    if (status == ST_OK) status = encoder_run(dense.encoder, b->acts, n, &want, err);
    if (status == ST_OK) *is_equal = rows_equal(&got, &want);
    lane_fini(&screened);
    lane_fini(&dense);
    return status;
}

static status_t report_encode(struct bench *b, enum screen screen, bool has_top,
                              size_t n_threads, struct error *err)
{
    const struct dictionary_config *c = dictionary_config(b->dictionary);
    struct bench_rate rate = {.best = 0};
    struct sparse_stats stats = {.n_tokens = 0};
    bool is_equal = false;
    status_t status = measure_encode(b, screen, has_top, n_threads, &rate, &stats, err);
    if (status == ST_OK) status = check_equal(b, screen, &is_equal, err);
    if (status != ST_OK) return status;
    const double n_pairs = (double)stats.n_tokens * (double)c->n_features;
    const double flops = 2.0 * (double)c->d_in * (double)c->n_features;
    print_line(json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:f}", "what",
        has_top ? "encode+top20" : "encode", "screen", screen_name(screen), "screen_in_use",
        screen_name(stats.screen), "threads", (json_int_t)n_threads, "d_in",
        (json_int_t)c->d_in, "n_features", (json_int_t)c->n_features, "tokens_per_s", rate.best,
        "tokens_per_s_median", rate.median, "tokens_per_cpu_s", rate.per_cpu_best,
        "tokens_per_cpu_s_median", rate.per_cpu_median, "candidate_share",
        (double)stats.n_candidates / n_pairs, "fired_per_token",
        (double)stats.n_fired / (double)stats.n_tokens, "equal_to_dense", is_equal,
        "dense_flops_share_of_fma_peak",
        rate.per_cpu_best * flops / b->peak_flops));
    return ST_OK;
}

static status_t read_activations(struct bench *b, struct error *err)
{
    struct safetensors *file = NULL;
    const size_t d_in = dictionary_config(b->dictionary)->d_in;
    status_t status = safetensors_open(&file, b->options.activations, err);
    if (status != ST_OK) return status;
    const struct tensor_view *x = safetensors_find(file, "x");
    if (!x || x->n_dims != 2 || x->shape[1] != d_in) {
        status = error_set(err, ST_BAD_INPUT, "%s: no x of shape [tokens, %zu]",
                           b->options.activations, d_in);
        goto done;
    }
    b->acts = malloc(x->shape[0] * d_in * sizeof *b->acts);
    if (!b->acts) {
        status = error_set(err, ST_NO_MEMORY, "%zu activations", x->shape[0]);
        goto done;
    }
    b->n_acts = x->shape[0];
    status = tensor_to_f32(x, b->acts, b->n_acts * d_in, err);
done:
    safetensors_close(&file);
    return status;
}

static status_t bench_encode(struct bench *b, struct error *err)
{
    const struct options *o = &b->options;
    status_t status = ST_OK;
    for (size_t i = 0; i < o->screens.n_items && status == ST_OK; i++) {
        enum screen screen = SCREEN_AUTO;
        status = screen_parse(o->screens.items[i], &screen, err);
        for (size_t t = 0; t < o->threads.n_items && status == ST_OK; t++) {
            size_t n_threads = 0;
            status = parse_threads(o->threads.items[t], &n_threads, err);
            if (status == ST_OK) status = report_encode(b, screen, false, n_threads, err);
            if (status == ST_OK) status = report_encode(b, screen, true, n_threads, err);
        }
    }
    return status;
}

/* --- all ---------------------------------------------------------------------------------- */

static status_t make_files(const char *directory, struct error *err)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/model", directory) >= (int)sizeof path)
        return error_set(err, ST_TOO_LARGE, "%s", directory);
    status_t status = bench_write_model(path, MAKE_LAYERS, err);
    if (status != ST_OK) return status;
    (void)snprintf(path, sizeof path, "%s/dictionary", directory);
    return bench_write_dictionary(path, MAKE_TOKENS, err);
}

static status_t run_all(struct bench *b, struct error *err)
{
    struct options *o = &b->options;
    default_list(&o->computes, "f32", "bf16x3", "bf16");
    default_list(&o->screens, "auto", "none", NULL);
    default_list(&o->threads, "1", "2", NULL);
    status_t status = backend_open_cpu(&b->backend, err);
    if (status != ST_OK) return status;
    b->peak_flops = measure_peak();
    print_line(json_pack("{s:s, s:s, s:f}", "what", "machine", "backend",
                         b->backend->ops->describe(b->backend), "fma_peak_gflops",
                         b->peak_flops / 1e9));
    const struct dictionary_params params = {.directory = o->dictionary,
                                             .backend = b->backend,
                                             .norm_scaling_factor = o->norm_scaling_factor};
    if (o->dictionary) status = dictionary_open(&b->dictionary, &params, err);
    if (status == ST_OK && o->activations) status = read_activations(b, err);
    if (status == ST_OK && o->model) status = bench_forward(b, err);
    if (status == ST_OK && b->acts && is_wanted(o, "encode")) status = bench_encode(b, err);
    return status;
}

int bench_command(int argc, char **argv)
{
    struct bench bench = {.backend = NULL};
    struct error err = {0};
    bool is_help;
    status_t status = read_options(&bench.options, argc, argv, &is_help, &err);
    if (status == ST_OK && !is_help)
        status = bench.options.make ? make_files(bench.options.make, &err) : run_all(&bench, &err);
    free(bench.tokens);
    free(bench.lengths);
    free(bench.acts);
    dictionary_close(&bench.dictionary);
    model_close(&bench.model);
    backend_close(&bench.backend);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker bench: %s\n", err.text);
    return status_exit_code(status);
}
