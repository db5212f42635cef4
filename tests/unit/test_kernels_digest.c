/* The digest of a unit on the CUDA backend against a plain selection from the CPU's rows: sums,
 * bins, windows and their values, the same bits in every mode of the host emulator. */
#include "common/evidence_bins.h"
#include "kernels/selftest/reference_digest.h"
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct setup {
    size_t n_in, n_features, n_tokens;
    uint32_t window_tokens, top_k, bin_k;
    bool has_cuts, has_ties; /* ties: tokens repeat, so do their values */
};

struct fixture {
    struct emulated *e;
    const struct setup *setup;
    struct pair x;
    struct sparse *sparse[2];
    struct sparse_encoder *encoder[2]; /* the CPU's, the emulated device's */
    struct digest_window *windows;
    struct digest_cut *cut;
    uint8_t *limits;
    struct digest_cuts cuts;
    struct digest_params params; /* the device's */
};

static float *random_floats(size_t n, float scale, float shift)
{
    float *out = malloc(n * sizeof *out);
    cr_assert(out);
    for (size_t i = 0; i < n; i++)
        out[i] = ((float)emulated_random() * 0x1p-31f - 1) * scale + shift;
    return out;
}

/* Every pair fires where bias is large. */
static void open_encoders(struct fixture *f, float bias_shift)
{
    const struct setup *s = f->setup;
    struct emulated *e = f->e;
    float *weights = random_floats(s->n_in * s->n_features, 1, 0);
    float *bias = random_floats(s->n_features, 0.1f, bias_shift);
    const size_t n_x = s->n_tokens * s->n_in;
    f->x = pair_of(e, n_x, 1);
    for (size_t t = 0; s->has_ties && t < s->n_tokens; t++)
        memcpy(f->x.on[0] + t * s->n_in, f->x.on[0] + t % 3 * s->n_in, s->n_in * sizeof *bias);
    cr_assert_eq(
        e->emu->ops->upload(e->emu_exec, f->x.on[1], f->x.on[0], n_x * sizeof *bias, &e->err),
        ST_OK);
    const struct sparse_params params = {
        .n_in = s->n_in, .n_features = s->n_features, .weights = weights, .bias = bias};
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? e->emu : e->cpu;
        cr_assert_eq(b->ops->sparse_create(&f->sparse[i], b, &params, &e->err), ST_OK);
        const struct sparse_encoder_params of = {.sparse = f->sparse[i], .screen = SCREEN_AUTO};
        cr_assert_eq(b->ops->sparse_encoder_create(&f->encoder[i], i ? e->emu_exec : e->cpu_exec,
                                                   &of, &e->err),
                     ST_OK, "%s", e->err.text);
    }
    free(weights);
    free(bias);
}

/* Windows of the tokens behind every 50th, which is in none, in another order than they lie in. */
static void cut_windows(struct fixture *f)
{
    const struct setup *s = f->setup;
    size_t n = 0;
    f->windows = malloc((s->n_tokens + 1) * sizeof *f->windows);
    cr_assert(f->windows);
    for (size_t t = s->n_tokens > 1; t < s->n_tokens;) {
        const size_t to_gap = 50 - t % 50, left = s->n_tokens - t;
        const size_t most = to_gap < left ? to_gap : left;
        const size_t n_tokens = most < s->window_tokens ? most : s->window_tokens;
        f->windows[n++] =
            (struct digest_window){.number = (uint64_t)emulated_random() << 32 | emulated_random(),
                                   .first_token = (uint32_t)t,
                                   .n_tokens = (uint16_t)n_tokens,
                                   .may_be_kept = 2 * n_tokens > s->window_tokens};
        t += n_tokens + (n_tokens == to_gap);
    }
    for (size_t i = 0; i + 1 < n; i += 2) {
        const struct digest_window other = f->windows[i];
        f->windows[i] = f->windows[n - 1 - i / 2];
        f->windows[n - 1 - i / 2] = other;
    }
    f->params.windows = f->windows;
    f->params.n_windows = n;
    f->params.room_windows = n + 2;
}

/* Some features without, some with a top, some with limits of some bins. */
static void make_cuts(struct fixture *f)
{
    const size_t n = f->setup->n_features;
    f->cut = calloc(n, sizeof *f->cut);
    f->limits = malloc(n * EVIDENCE_RESERVOIR_BINS);
    cr_assert(f->cut && f->limits);
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 3) continue;
        const float top = 1.0f + (float)(emulated_random() % 64) / 8;
        f->cut[i] = (struct digest_cut){.top_bits = evidence_float_bits(top),
                                        .first_limit = (uint32_t)f->cuts.n_limits,
                                        .first_bin = (uint16_t)(28 + i % 5),
                                        .n_bins = (uint16_t)(i % 4 ? 5 : 0)};
        for (size_t j = 0; j < f->cut[i].n_bins; j++)
            f->limits[f->cuts.n_limits++] = (uint8_t)(emulated_random() % 32 + 224);
    }
    f->cuts.cut = f->cut;
    f->cuts.limits = f->limits;
    f->cuts.number = emulated_random() + UINT64_C(1);
    f->params.cuts = &f->cuts;
}

static void open_fixture(struct fixture *f, struct emulated *e, const struct setup *s, float shift)
{
    *f = (struct fixture){.e = e, .setup = s};
    open_encoders(f, shift);
    cut_windows(f);
    if (s->has_cuts) make_cuts(f);
    f->params.x = f->x.on[1];
    f->params.n_tokens = s->n_tokens;
    f->params.top_k = s->top_k;
    f->params.bin_k = s->bin_k;
}

/* About one pair in six fires; of a large dictionary one in thirty. */
static float usual_bias(const struct setup *s)
{
    return (s->n_features < 1000 ? -0.33f : -0.6f) * sqrtf((float)s->n_in);
}

static void close_fixture(struct fixture *f)
{
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? f->e->emu : f->e->cpu;
        b->ops->sparse_encoder_destroy(f->encoder[i]);
        b->ops->sparse_destroy(f->sparse[i]);
    }
    pair_free(f->e, &f->x);
    free(f->windows);
    free(f->cut);
    free(f->limits);
}

/* Returns how many values are kept; *n_all: of how many in windows. */
static size_t expect_digest(struct fixture *f, size_t *n_all)
{
    struct emulated *e = f->e;
    struct sparse_rows rows;
    struct digest digest;
    struct reference_digest reference;
    char why[160] = "";
    cr_assert_eq(
        e->cpu->ops->sparse_encode(f->encoder[0], f->x.on[0], f->setup->n_tokens, &rows, &e->err),
        ST_OK);
    cr_assert_eq(
        reference_digest_init(&reference, &rows, f->setup->n_features, &f->params, &e->err), ST_OK);
    cr_assert_eq(e->emu->ops->sparse_digest(f->encoder[1], &f->params, &digest, &e->err), ST_OK,
                 "%s: %s", e->mode, e->err.text);
    cr_expect_not(reference_digest_differs(&reference, &digest, why, sizeof why),
                  "%s, %zu features, %zu tokens: %s", e->mode, f->setup->n_features,
                  f->setup->n_tokens, why);
    const size_t n_pairs = reference.n_pairs;
    *n_all = rows.row_start[rows.n_rows];
    reference_digest_fini(&reference);
    return n_pairs;
}

static size_t check_setup(struct emulated *e, const struct setup *s, size_t *n_all)
{
    struct fixture f;
    open_fixture(&f, e, s, usual_bias(s));
    const size_t n = expect_digest(&f, n_all);
    close_fixture(&f);
    return n;
}

static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTestParameters(kernels_digest, is_the_selection_from_all_rows)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_digest, is_the_selection_from_all_rows)
{
    static const struct setup SETUPS[] = {
        {1, 1, 1, 1, 1, 1, false, false},      {3, 31, 5, 2, 1, 0, false, false},
        {31, 31, 257, 8, 3, 1, true, false},   {31, 257, 31, 4, 20, 4, false, false},
        {16, 31, 257, 4, 0, 2, false, true},   {16, 31, 257, 3, 5, 0, true, true},
        {16, 257, 100, 1, 4, 1, false, false},
    };
    struct emulated e;
    size_t n_all;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof SETUPS / sizeof SETUPS[0]; i++)
        (void)check_setup(&e, &SETUPS[i], &n_all);
    emulated_close(&e);
}

Test(kernels_digest, is_exact_at_a_real_shape)
{
    static const struct setup REAL = {768, 2048, 96, 8, 2, 1, true, false};
    struct emulated e;
    size_t n_all = 0;
    emulated_open(&e, &EMULATED_MODES[2], 16);
    const size_t n = check_setup(&e, &REAL, &n_all);
    cr_expect(n > 1000 && n < n_all, "%zu of %zu", n, n_all);
    emulated_close(&e);
}

/* More windows than a warp has lanes, of few values again and again: keys decide. */
Test(kernels_digest, equal_maxima_are_kept_by_their_keys)
{
    static const struct setup TIES = {2, 3, 900, 3, 16, 2, false, true};
    struct emulated e;
    size_t n_all = 0;
    emulated_open(&e, &EMULATED_MODES[3], 16);
    const size_t n = check_setup(&e, &TIES, &n_all);
    cr_expect(n > 20 && n < n_all, "%zu of %zu", n, n_all);
    emulated_close(&e);
}

/* A unit may have tokens and no segment. */
Test(kernels_digest, without_windows_is_empty)
{
    static const struct setup SMALL = {16, 31, 20, 8, 4, 1, false, false};
    struct emulated e;
    struct fixture f;
    size_t n_all;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    open_fixture(&f, &e, &SMALL, usual_bias(&SMALL));
    f.params.n_windows = 0;
    cr_expect_eq(expect_digest(&f, &n_all), 0);
    cr_expect_gt(n_all, 0);
    close_fixture(&f);
    emulated_close(&e);
}

/* Cuts of one number are not read twice; nothing is allocated again. */
Test(kernels_digest, steady_units_upload_their_windows_alone_and_allocate_nothing)
{
    static const struct setup STEADY = {16, 257, 100, 8, 4, 1, true, false};
    struct emulated e;
    struct fixture f;
    size_t n_all;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    open_fixture(&f, &e, &STEADY, usual_bias(&STEADY));
    (void)expect_digest(&f, &n_all);
    const uint64_t n_first = emulated_work().n_bytes_up, n_allocations = emulated_allocations();
    (void)expect_digest(&f, &n_all);
    const uint64_t n_second = emulated_work().n_bytes_up - n_first;
    f.cuts.number++;
    (void)expect_digest(&f, &n_all);
    const uint64_t n_third = emulated_work().n_bytes_up - n_first - n_second;
    cr_expect_eq(n_third - n_second,
                 STEADY.n_features * sizeof(struct digest_cut) + f.cuts.n_limits);
    cr_expect_eq(emulated_allocations(), n_allocations);
    close_fixture(&f);
    emulated_close(&e);
}

Test(kernels_digest, of_more_values_than_have_room_says_so_and_the_next_is_right)
{
    static const struct setup DENSE = {4, 300, 20, 8, 4, 1, false, false};
    struct emulated e;
    struct fixture f;
    struct digest digest;
    size_t n_all;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    open_fixture(&f, &e, &DENSE, 100);
    cr_assert_eq(e.emu->ops->sparse_digest(f.encoder[1], &f.params, &digest, &e.err), ST_OK);
    cr_expect(digest.is_over);
    close_fixture(&f);
    open_fixture(&f, &e, &DENSE, usual_bias(&DENSE));
    cr_expect_gt(expect_digest(&f, &n_all), 0);
    close_fixture(&f);
    emulated_close(&e);
}

Test(kernels_digest, takes_the_memory_that_was_estimated)
{
    static const struct setup SETUP = {16, 257, 100, 8, 4, 1, true, false};
    struct emulated e;
    struct fixture f;
    size_t n_all;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    open_fixture(&f, &e, &SETUP, usual_bias(&SETUP));
    struct sparse_rows rows;
    cr_assert_eq(e.emu->ops->sparse_encode(f.encoder[1], f.x.on[1], SETUP.n_tokens, &rows, &e.err),
                 ST_OK);
    const size_t n_before = e.emu->ops->memory(e.emu).n_free;
    (void)expect_digest(&f, &n_all);
    const size_t n_taken = n_before - e.emu->ops->memory(e.emu).n_free;
    const struct digest_shape shape = {SETUP.n_features, SETUP.n_tokens, f.params.room_windows};
    const size_t n_estimated = e.emu->ops->digest_estimate(e.emu, &shape);
    cr_expect(n_taken <= n_estimated && n_taken > n_estimated / 10 * 9, "%zu of %zu", n_taken,
              n_estimated);
    close_fixture(&f);
    emulated_close(&e);
}

Test(kernels_digest, is_refused_for_windows_outside_and_sizes_beyond)
{
    static const struct setup SMALL = {4, 8, 20, 8, 4, 1, false, false};
    struct emulated e;
    struct fixture f;
    struct digest digest;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    open_fixture(&f, &e, &SMALL, 0);
    const struct backend_ops *ops = e.emu->ops;
    f.windows[1].first_token = 19;
    f.windows[1].n_tokens = 2;
    cr_expect_eq(ops->sparse_digest(f.encoder[1], &f.params, &digest, &e.err), ST_BAD_INPUT);
    cr_expect_str_eq(e.err.text, "digest: window 1 is not in 20 tokens");
    f.params.room_windows = DIGEST_MAX_WINDOWS + 1;
    error_clear(&e.err);
    cr_expect_eq(ops->sparse_digest(f.encoder[1], &f.params, &digest, &e.err), ST_TOO_LARGE);
    const struct digest_shape shape = {8, 20, DIGEST_MAX_WINDOWS + 1};
    cr_expect_eq(ops->digest_estimate(e.emu, &shape), 0);
    close_fixture(&f);
    emulated_close(&e);
}
