/* What the host's part of a capture costs: from a unit's rows of firing features to the bytes of
 * its partial, and to these compressed. A sweep is played: every unit's partial is merged, and
 * thresholds come back every fourth unit, as a coordinator sends them. Units of 8 x 1,024 tokens,
 * each row a document, 16,384 features of which at most 49 fire on a token; two shapes of which:
 *
 *   even      every feature as often as any other (about 24 times a unit)
 *   skewed    a feature's frequency falls as its number to the power -2/3: some fire on every
 *             token, half of them 13 times a unit or less
 *
 * Each sweep is played from rows, and from what a device makes of them (the self-test's plain
 * digest, which is not part of the time). */
#include "common/evidence_key.h"
#include "common/evidence_state.h"
#include "common/evidence_zstd.h"
#include "kernels/selftest/reference_digest.h"
#include "worker/bench.h"
#include "worker/bench_clock.h"
#include "worker/tasks/capture_accumulator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_ROWS = 8,
    ROW_TOKENS = 1024,
    N_TOKENS = N_ROWS * ROW_TOKENS,
    N_SLOTS = 16384,
    FIRING = 49, /* of a token, at most */
    N_VOCAB = 50257,
    N_LAST = 10,   /* units that a figure is the median of */
    FEEDBACK = 4,  /* units between thresholds */
    N_WITHOUT = 10 /* units before the first thresholds arrive */
};

struct bench_shape {
    const char *name;
    double power; /* feature = n_slots x^power, x uniform */
    struct evidence_limits limits;
};

struct bench_sweep {
    struct bench_shape shape;
    struct evidence_identity identity;
    size_t n_units;
    bool is_digested;
    uint64_t thresholds_number;
    size_t n_down; /* bytes that a device would send of the last unit */
    uint64_t seed;
    uint32_t *tokens; /* [N_TOKENS] */
    struct capture_segment segments[N_ROWS];
    struct sparse_rows rows; /* of N_TOKENS */
    uint64_t *document_keys; /* [n_units * N_ROWS] */
    struct evidence_documents documents;
    struct capture_accumulator *accumulator;
    struct evidence_state *state;
    struct evidence_thresholds *thresholds;
    struct buffer partial, packed;
    double (*seconds)[2]; /* [n_units]: to the partial, to the compressed partial */
};

static uint64_t random_bits(struct bench_sweep *sweep)
{
    return hash_mix64(sweep->seed++);
}

static double uniform(struct bench_sweep *sweep)
{
    return (double)(random_bits(sweep) >> 11) * 0x1p-53;
}

/* One feature of each of FIRING equal shares of the line, so that they ascend; most values are
 * small. */
static void fill_token(struct bench_sweep *sweep, size_t token)
{
    struct sparse_rows *rows = &sweep->rows;
    size_t at = rows->row_start[token];
    for (uint32_t i = 0; i < FIRING; i++) {
        const double x = (i + uniform(sweep)) / FIRING;
        const uint32_t slot = (uint32_t)(N_SLOTS * pow(x, sweep->shape.power));
        if (at > rows->row_start[token] && rows->feature[at - 1] >= slot) continue;
        rows->feature[at] = slot;
        rows->value[at++] = (float)(16 * uniform(sweep) * uniform(sweep) + 0.01);
    }
    rows->row_start[token + 1] = at;
}

static struct capture_unit fill_unit(struct bench_sweep *sweep, size_t unit_index)
{
    for (uint32_t i = 0; i < N_ROWS; i++) {
        const uint32_t document = (uint32_t)(unit_index * N_ROWS + i);
        sweep->segments[i] =
            (struct capture_segment){.row = i,
                                     .length = ROW_TOKENS,
                                     .document_index = document,
                                     .document_key = sweep->document_keys[document]};
    }
    for (size_t i = 0; i < N_TOKENS; i++) {
        sweep->tokens[i] = (uint32_t)(random_bits(sweep) % N_VOCAB);
        fill_token(sweep, i);
    }
    return (struct capture_unit){.unit_number = unit_index,
                                 .split = sweep->identity.split,
                                 .n_rows = N_ROWS,
                                 .row_tokens = ROW_TOKENS,
                                 .n_segments = N_ROWS,
                                 .tokens = sweep->tokens,
                                 .segments = sweep->segments};
}

static status_t allocate(struct bench_sweep *sweep, struct error *err)
{
    struct sparse_rows *rows = &sweep->rows;
    const size_t n_documents = sweep->n_units * N_ROWS;
    sweep->tokens = malloc(N_TOKENS * sizeof *sweep->tokens);
    sweep->document_keys = malloc(n_documents * sizeof *sweep->document_keys);
    sweep->seconds = malloc(sweep->n_units * sizeof *sweep->seconds);
    rows->row_start = calloc(N_TOKENS + 1, sizeof *rows->row_start);
    rows->feature = malloc(sizeof *rows->feature * N_TOKENS * FIRING);
    rows->value = malloc(sizeof *rows->value * N_TOKENS * FIRING);
    rows->n_rows = N_TOKENS;
    if (!sweep->tokens || !sweep->document_keys || !sweep->seconds || !rows->row_start ||
        !rows->feature || !rows->value)
        return error_set(err, ST_NO_MEMORY, "activations of %d tokens", N_TOKENS);
    for (size_t i = 0; i < n_documents; i++) sweep->document_keys[i] = hash_mix64(i);
    sweep->documents = (struct evidence_documents){sweep->document_keys, n_documents};
    return ST_OK;
}

static void close_sweep(struct bench_sweep *sweep)
{
    evidence_thresholds_destroy(&sweep->thresholds);
    evidence_state_destroy(&sweep->state);
    capture_accumulator_destroy(&sweep->accumulator);
    buffer_fini(&sweep->partial);
    buffer_fini(&sweep->packed);
    free(sweep->rows.row_start);
    free(sweep->rows.feature);
    free(sweep->rows.value);
    free(sweep->document_keys);
    free(sweep->tokens);
    free(sweep->seconds);
}

static status_t open_sweep(struct bench_sweep *sweep, struct error *err)
{
    sweep->identity = (struct evidence_identity){.target_key = 1,
                                                 .n_slots = N_SLOTS,
                                                 .split = EVIDENCE_EXPLAIN,
                                                 .limits = sweep->shape.limits};
    buffer_init(&sweep->partial, EVIDENCE_MAX_PARTIAL_BYTES);
    buffer_init(&sweep->packed, (size_t)EVIDENCE_MAX_PARTIAL_BYTES * 2);
    status_t status = allocate(sweep, err);
    const struct evidence_state_params params = {
        .identity = sweep->identity, .n_slots = N_SLOTS, .documents = &sweep->documents};
    if (status == ST_OK) status = evidence_state_create(&sweep->state, &params, err);
    if (status == ST_OK)
        status = capture_accumulator_create(&sweep->accumulator, &sweep->identity, NULL, err);
    return status;
}

static status_t feed_back(struct bench_sweep *sweep, struct error *err)
{
    evidence_thresholds_destroy(&sweep->thresholds);
    sweep->thresholds_number++;
    return evidence_thresholds_create(&sweep->thresholds, sweep->state, err);
}

/* What the accumulator does with the rows of a target. */
static status_t take_rows(struct bench_sweep *sweep, int64_t *not_timed_ns, struct error *err)
{
    const struct sparse_rows *rows = &sweep->rows;
    *not_timed_ns = 0;
    sweep->n_down = rows->row_start[N_TOKENS] * (sizeof *rows->feature + sizeof *rows->value);
    status_t status = capture_accumulator_add(sweep->accumulator, rows, err);
    return status == ST_OK ? capture_accumulator_finish(sweep->accumulator, &sweep->partial, err)
                           : status;
}

static size_t digest_bytes(const struct reference_digest *reference)
{
    const struct digest *digest = &reference->digest;
    return digest->n_slots * sizeof *digest->slots +
           digest->n_slots * digest->n_active_words * sizeof *digest->active +
           reference->n_words * sizeof *digest->words +
           reference->n_pairs * (sizeof *digest->positions + sizeof *digest->values);
}

/* What it does with their digest. */
static status_t take_digest(struct bench_sweep *sweep, int64_t *not_timed_ns, struct error *err)
{
    struct reference_digest reference = {.slots = NULL};
    struct digest_params params;
    status_t status =
        capture_accumulator_ask_digest(sweep->accumulator, sweep->thresholds_number, &params, err);
    const int64_t begin_ns = bench_thread_cpu_ns();
    if (status == ST_OK)
        status = reference_digest_init(&reference, &sweep->rows, N_SLOTS, &params, err);
    *not_timed_ns = bench_thread_cpu_ns() - begin_ns;
    sweep->n_down = digest_bytes(&reference);
    if (status == ST_OK)
        status = capture_accumulator_take_digest(sweep->accumulator, &reference.digest, err);
    if (status == ST_OK)
        status = capture_accumulator_finish(sweep->accumulator, &sweep->partial, err);
    reference_digest_fini(&reference);
    return status;
}

/* What capture_task.c does with a target. */
static status_t run_unit(struct bench_sweep *sweep, size_t unit_index, struct error *err)
{
    const struct capture_unit unit = fill_unit(sweep, unit_index);
    sweep->partial.n_bytes = sweep->packed.n_bytes = 0;
    int64_t begin_ns = bench_thread_cpu_ns(), not_timed_ns = 0;
    status_t status = capture_accumulator_begin(sweep->accumulator, &unit, sweep->thresholds, err);
    if (status == ST_OK)
        status = (sweep->is_digested ? take_digest : take_rows)(sweep, &not_timed_ns, err);
    begin_ns += not_timed_ns;
    const int64_t made_ns = bench_thread_cpu_ns();
    if (status == ST_OK)
        status =
            evidence_compress(sweep->partial.bytes, sweep->partial.n_bytes, &sweep->packed, err);
    sweep->seconds[unit_index][0] = (double)(made_ns - begin_ns) * 1e-9;
    sweep->seconds[unit_index][1] = (double)(bench_thread_cpu_ns() - begin_ns) * 1e-9;
    return status;
}

static int compare_pairs(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The figures of the last N_LAST units, of which the median by time to the partial. */
static void report(const struct bench_sweep *sweep, size_t n_done)
{
    double last[N_LAST][2];
    const size_t n = n_done < N_LAST ? n_done : N_LAST;
    memcpy(last, sweep->seconds + n_done - n, n * sizeof last[0]);
    qsort(last, n, sizeof last[0], compare_pairs);
    const double *middle = last[n / 2];
    bench_print_line(json_pack(
        "{s:s, s:s, s:s, s:I, s:b, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "what",
        "evidence", "shape", sweep->shape.name, "from", sweep->is_digested ? "digest" : "rows",
        "window_tokens", (json_int_t)sweep->identity.limits.window_tokens, "has_thresholds",
        sweep->thresholds != NULL, "units_done", (json_int_t)n_done, "fired_per_token",
        (double)sweep->rows.row_start[N_TOKENS] / N_TOKENS, "tokens_per_cpu_s",
        N_TOKENS / middle[0], "tokens_per_cpu_s_compressed", N_TOKENS / middle[1], "ms_of_unit",
        middle[0] * 1e3, "ms_of_compression", (middle[1] - middle[0]) * 1e3, "partial_bytes",
        (json_int_t)sweep->partial.n_bytes, "compressed_bytes", (json_int_t)sweep->packed.n_bytes,
        "down_bytes", (json_int_t)sweep->n_down));
}

static bool is_reported(const struct bench_sweep *sweep, size_t n_done)
{
    return n_done == 1 || n_done == N_WITHOUT || n_done == 50 || n_done == sweep->n_units;
}

static status_t play(struct bench_sweep *sweep, struct error *err)
{
    status_t status = open_sweep(sweep, err);
    for (size_t i = 0; i < sweep->n_units && status == ST_OK; i++) {
        status = run_unit(sweep, i, err);
        if (status == ST_OK)
            status = evidence_state_merge_partial(sweep->state, sweep->partial.bytes,
                                                  sweep->partial.n_bytes, NULL, err);
        if (status == ST_OK && is_reported(sweep, i + 1)) report(sweep, i + 1);
        if (status == ST_OK && i + 1 >= N_WITHOUT && (i + 1 - N_WITHOUT) % FEEDBACK == 0)
            status = feed_back(sweep, err);
    }
    close_sweep(sweep);
    return status;
}

status_t bench_evidence(const struct bench *b, struct error *err)
{
    struct evidence_limits wide = evidence_limits_default(EVIDENCE_EXPLAIN);
    wide.window_tokens = 64;
    wide.bin_k = 4;
    const struct bench_shape shapes[] = {
        {"even", 1, wide},
        {"skewed", 3, wide},
        {"skewed, a sweep's defaults", 3, evidence_limits_default(EVIDENCE_EXPLAIN)},
    };
    status_t status = ST_OK;
    for (size_t i = 0; i < 2 * sizeof shapes / sizeof shapes[0] && status == ST_OK; i++) {
        struct bench_sweep sweep = {
            .shape = shapes[i / 2], .n_units = b->options.n_units, .is_digested = i % 2};
        status = play(&sweep, err);
    }
    return status;
}
