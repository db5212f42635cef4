/* The tally of an encoder against a plain selection from its rows: counts and largest values of
 * every feature, the same bits on the CPU and on the CUDA backend, in every mode of the host
 * emulator. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_RUNS = 2 };

struct setup {
    size_t n_in, n_features, n_tokens, k, topk;
    enum screen screen;
    bool has_ties; /* tokens repeat, so do their values */
};

struct fixture {
    struct emulated *e;
    const struct setup *setup;
    struct pair x;
    struct sparse *sparse[2];
    struct sparse_encoder *encoder[2]; /* the CPU's, the emulated device's */
};

static float *random_floats(size_t n, float scale, float shift)
{
    float *out = malloc(n * sizeof *out);
    cr_assert(out);
    for (size_t i = 0; i < n; i++)
        out[i] = ((float)emulated_random() * 0x1p-31f - 1) * scale + shift;
    return out;
}

/* About one pair in six fires. */
static void open_fixture(struct fixture *f, struct emulated *e, const struct setup *s)
{
    float *weights = random_floats(s->n_in * s->n_features, 1, 0);
    float *bias = random_floats(s->n_features, 0.1f, -0.33f * sqrtf((float)s->n_in));
    const size_t n_x = s->n_tokens * s->n_in;
    *f = (struct fixture){.e = e, .setup = s, .x = pair_of(e, n_x, 1)};
    for (size_t t = 0; s->has_ties && t < s->n_tokens; t++)
        memcpy(f->x.on[0] + t * s->n_in, f->x.on[0] + t % 3 * s->n_in, s->n_in * sizeof *bias);
    cr_assert_eq(
        e->emu->ops->upload(e->emu_exec, f->x.on[1], f->x.on[0], n_x * sizeof *bias, &e->err),
        ST_OK);
    const struct sparse_params params = {.n_in = s->n_in,
                                         .n_features = s->n_features,
                                         .weights = weights,
                                         .bias = bias,
                                         .k = s->topk};
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? e->emu : e->cpu;
        cr_assert_eq(b->ops->sparse_create(&f->sparse[i], b, &params, &e->err), ST_OK);
        const struct sparse_encoder_params of = {
            .sparse = f->sparse[i], .screen = i ? s->screen : SCREEN_NONE, .tally_k = s->k};
        cr_assert_eq(b->ops->sparse_encoder_create(&f->encoder[i], i ? e->emu_exec : e->cpu_exec,
                                                   &of, &e->err),
                     ST_OK, "%s", e->err.text);
    }
    free(weights);
    free(bias);
}

static void close_fixture(struct fixture *f)
{
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? f->e->emu : f->e->cpu;
        b->ops->sparse_encoder_destroy(f->encoder[i]);
        b->ops->sparse_destroy(f->sparse[i]);
    }
    pair_free(f->e, &f->x);
}

/* Values [n_features, n_seen] of all runs, in the order of their tokens. */
struct seen {
    float *value;
    size_t n, room;
};

/* Tokens first .. first + n once more on both sides; the CPU's rows go to `seen`. */
static void run(struct fixture *f, size_t first, size_t n, struct seen *seen)
{
    struct sparse_rows rows[2];
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? f->e->emu : f->e->cpu;
        cr_assert_eq(b->ops->sparse_encode(f->encoder[i], f->x.on[i] + first * f->setup->n_in, n,
                                           &rows[i], &f->e->err),
                     ST_OK, "%s: %s", f->e->mode, f->e->err.text);
    }
    for (size_t t = 0; t < n; t++, seen->n++)
        for (size_t i = rows[0].row_start[t]; i < rows[0].row_start[t + 1]; i++)
            seen->value[rows[0].feature[i] * seen->room + seen->n] = rows[0].value[i];
}

/* The next one in order: the largest value left, of equal ones the earliest. Takes it away. */
static uint64_t take_largest(float *value, size_t n)
{
    size_t best = 0;
    uint32_t bits;
    for (size_t t = 1; t < n; t++) best = value[t] > value[best] ? t : best;
    if (value[best] == 0) return 0;
    memcpy(&bits, &value[best], sizeof bits);
    value[best] = 0;
    return (uint64_t)bits << 32 | (UINT32_MAX - best);
}

static size_t expect_tallies(const struct fixture *f, const struct seen *seen)
{
    const size_t n_features = f->setup->n_features, k = f->setup->k;
    struct sparse_tally tally[2];
    size_t n_all = 0;
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? f->e->emu : f->e->cpu;
        cr_assert_eq(b->ops->sparse_tally(f->encoder[i], &tally[i], &f->e->err), ST_OK, "%s",
                     f->e->err.text);
        cr_assert(tally[i].n_features == n_features && tally[i].k == k);
    }
    for (size_t feature = 0; feature < n_features; feature++) {
        float *value = seen->value + feature * seen->room;
        uint64_t n = 0;
        for (size_t t = 0; t < seen->n; t++) n += value[t] > 0;
        n_all += n;
        for (size_t i = 0; i < 2; i++)
            cr_assert_eq(tally[i].n_fired[feature], n, "%s, side %zu: feature %zu fires %zu times",
                         f->e->mode, i, feature, (size_t)tally[i].n_fired[feature]);
        for (size_t j = 0; j < k; j++) {
            const uint64_t key = take_largest(value, seen->n);
            for (size_t i = 0; i < 2; i++)
                cr_assert_eq(tally[i].top[feature * k + j], key, "%s, side %zu: feature %zu at %zu",
                             f->e->mode, i, feature, j);
        }
    }
    return n_all;
}

/* All tokens, then the second half of them again. Returns how many activations there were. */
static size_t check_setup(struct emulated *e, const struct setup *s)
{
    struct fixture f;
    const size_t half = s->n_tokens / 2;
    struct seen seen = {.room = N_RUNS * s->n_tokens};
    open_fixture(&f, e, s);
    seen.value = calloc(s->n_features * seen.room, sizeof *seen.value);
    cr_assert(seen.value);
    run(&f, 0, s->n_tokens, &seen);
    if (half) run(&f, half, s->n_tokens - half, &seen);
    const size_t n = expect_tallies(&f, &seen);
    free(seen.value);
    close_fixture(&f);
    return n;
}

static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTestParameters(kernels_tally, is_the_selection_from_all_rows)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_tally, is_the_selection_from_all_rows)
{
    static const struct setup SETUPS[] = {
        {1, 1, 1, 1, 0, SCREEN_NONE, false},     {3, 31, 5, 1, 0, SCREEN_BF16, false},
        {31, 31, 31, 3, 0, SCREEN_F32, false},   {31, 257, 31, 20, 0, SCREEN_AUTO, false},
        {31, 257, 31, 5, 7, SCREEN_BF16, false}, {16, 31, 257, 20, 0, SCREEN_BF16, false},
        {16, 31, 257, 4, 0, SCREEN_BF16, true},
    };
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof SETUPS / sizeof SETUPS[0]; i++) (void)check_setup(&e, &SETUPS[i]);
    emulated_close(&e);
}

Test(kernels_tally, is_exact_at_a_real_shape)
{
    static const struct setup REAL = {768, 2048, 24, 20, 0, SCREEN_BF16, false};
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[2], 16);
    cr_expect(check_setup(&e, &REAL) > 1000);
    emulated_close(&e);
}

/* More tokens than a block has threads for, all after the same few keys, in a random order. */
Test(kernels_tally, equal_values_keep_their_earliest_tokens)
{
    static const struct setup TIES = {2, 3, 1300, 16, 0, SCREEN_NONE, true};
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[3], 16);
    cr_expect(check_setup(&e, &TIES) > 100);
    emulated_close(&e);
}

Test(kernels_tally, is_refused_where_none_is_kept_or_too_many_are_asked_for)
{
    static const struct setup NONE = {4, 8, 2, 0, 0, SCREEN_AUTO, false};
    struct emulated e;
    struct fixture f;
    struct sparse_tally tally;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    open_fixture(&f, &e, &NONE);
    for (size_t i = 0; i < 2; i++) {
        const struct backend_ops *ops = (i ? e.emu : e.cpu)->ops;
        struct exec *exec = i ? e.emu_exec : e.cpu_exec;
        struct sparse_encoder *encoder = NULL;
        const struct sparse_encoder_params of = {.sparse = f.sparse[i],
                                                 .tally_k = SPARSE_MAX_TALLY + 1};
        error_clear(&e.err);
        cr_expect_eq(ops->sparse_tally(f.encoder[i], &tally, &e.err), ST_BAD_INPUT);
        cr_expect_str_eq(e.err.text, "the encoder keeps no tally");
        error_clear(&e.err);
        cr_expect_eq(ops->sparse_encoder_create(&encoder, exec, &of, &e.err), ST_TOO_LARGE);
        cr_expect_str_eq(e.err.text, "tally of 257 values, at most 256");
        cr_expect_null(encoder);
    }
    close_fixture(&f);
    emulated_close(&e);
}
