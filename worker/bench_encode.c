#include "worker/bench.h"
#include "worker/bench_clock.h"
#include "worker/model/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { EQUALITY_TOKENS = 1024, TOP_K = 20 };

struct encode_lane {
    const struct bench *bench;
    struct encoder *encoder;
};

static status_t encode_step(void *state, size_t *n_tokens, struct error *err)
{
    struct encode_lane *lane = state;
    const struct bench *b = lane->bench;
    struct sparse_rows rows;
    const status_t status = encoder_run(lane->encoder, b->acts, b->n_acts, &rows, err);
    if (status != ST_OK) return status;
    *n_tokens += b->n_acts;
    return ST_OK;
}

static status_t lane_init(struct encode_lane *lane, const struct bench *b, enum screen screen,
                          bool has_top, struct error *err)
{
    const struct encoder_params params = {
        .dictionary = b->dictionary, .screen = screen, .tally_k = has_top ? TOP_K : 0};
    lane->bench = b;
    return encoder_create(&lane->encoder, &params, err);
}

static status_t measure_encode(struct bench *b, enum screen screen, bool has_top, size_t n_threads,
                               struct bench_rate *rate, struct sparse_stats *stats,
                               struct error *err)
{
    struct encode_lane lanes[BENCH_MAX_THREADS] = {{.bench = NULL}};
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
    for (size_t i = 0; i < n_threads; i++) encoder_destroy(&lanes[i].encoder);
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
static status_t check_equal(struct bench *b, enum screen screen, bool *is_equal, struct error *err)
{
    struct encode_lane screened = {.bench = NULL}, dense = {.bench = NULL};
    struct sparse_rows got, want;
    const size_t n = b->n_acts < EQUALITY_TOKENS ? b->n_acts : EQUALITY_TOKENS;
    status_t status = lane_init(&screened, b, screen, false, err);
    if (status == ST_OK) status = lane_init(&dense, b, SCREEN_NONE, false, err);
    if (status == ST_OK) status = encoder_run(screened.encoder, b->acts, n, &got, err);
    if (status == ST_OK) status = encoder_run(dense.encoder, b->acts, n, &want, err);
    if (status == ST_OK) *is_equal = rows_equal(&got, &want);
    encoder_destroy(&screened.encoder);
    encoder_destroy(&dense.encoder);
    return status;
}

static status_t report_encode(struct bench *b, enum screen screen, bool has_top, size_t n_threads,
                              struct error *err)
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
    bench_print_line(json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:f}", "what",
        has_top ? "encode+top20" : "encode", "screen", screen_name(screen), "screen_in_use",
        screen_name(stats.screen), "threads", (json_int_t)n_threads, "d_in", (json_int_t)c->d_in,
        "n_features", (json_int_t)c->n_features, "tokens_per_s", rate.best, "tokens_per_s_median",
        rate.median, "tokens_per_cpu_s", rate.per_cpu_best, "tokens_per_cpu_s_median",
        rate.per_cpu_median, "candidate_share", (double)stats.n_candidates / n_pairs,
        "fired_per_token", (double)stats.n_fired / (double)stats.n_tokens, "equal_to_dense",
        is_equal, "dense_flops_share_of_fma_peak", rate.per_cpu_best * flops / b->peak_flops));
    return ST_OK;
}

status_t bench_read_activations(struct bench *b, struct error *err)
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

status_t bench_encode(struct bench *b, struct error *err)
{
    const struct bench_options *o = &b->options;
    status_t status = ST_OK;
    for (size_t i = 0; i < o->screens.n_items && status == ST_OK; i++) {
        enum screen screen = SCREEN_AUTO;
        status = screen_parse(o->screens.items[i], &screen, err);
        for (size_t t = 0; t < o->threads.n_items && status == ST_OK; t++) {
            size_t n_threads = 0;
            status = bench_parse_threads(o->threads.items[t], &n_threads, err);
            if (status == ST_OK) status = report_encode(b, screen, false, n_threads, err);
            if (status == ST_OK) status = report_encode(b, screen, true, n_threads, err);
        }
    }
    return status;
}
