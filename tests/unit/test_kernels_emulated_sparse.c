/* The sparse encode of the CUDA backend, on the host emulator in each of its modes, against the
 * CPU's: the same rows, bit for bit, whatever the screen, the architecture and the shape. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { PLAIN, JUMPRELU, TOPK, TOPK_SCALED, GATED, N_KINDS };
static const char *const KIND_NAMES[N_KINDS] = {"plain", "jumprelu", "topk", "topk scaled",
                                                "gated"};
static const enum screen SCREENS[] = {SCREEN_AUTO, SCREEN_BF16, SCREEN_F32, SCREEN_NONE};
enum { N_SCREENS = sizeof SCREENS / sizeof SCREENS[0] };

static float normal(void)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) sum += (float)emulated_random() * 0x1p-31f - 1;
    return sum * 0.87f;
}

struct problem {
    struct sparse_params params;
    float *weights, *vectors, *x; /* vectors: five of n_features */
    size_t n_tokens;
};

static float *fill(size_t n, float scale, float shift)
{
    float *out = malloc(n * sizeof *out);
    cr_assert(out);
    for (size_t i = 0; i < n; i++) out[i] = normal() * scale + shift;
    return out;
}

static struct problem make_problem(enum kind kind, size_t n_in, size_t n_features, size_t n_tokens)
{
    const float spread = sqrtf((float)n_in);
    struct problem p = {.weights = fill(n_in * n_features, 1, 0),
                        .vectors = fill(5 * n_features, 0.3f, 1),
                        .x = fill(n_in * n_tokens, 1, 0.2f),
                        .n_tokens = n_tokens};
    float *bias = p.vectors, *scale = bias + n_features, *mag_bias = bias + 2 * n_features;
    for (size_t f = 0; f < n_features; f++) {
        bias[f] = (bias[f] - 2.3f) * spread;
        mag_bias[f] = normal() * 2;
    }
    p.params = (struct sparse_params){
        .n_in = n_in, .n_features = n_features, .weights = p.weights, .bias = bias};
    if (kind == JUMPRELU) p.params.floor = bias + 3 * n_features;
    if (kind == TOPK || kind == TOPK_SCALED) p.params.k = n_features < 7 ? 1 : 7;
    if (kind == TOPK_SCALED) p.params.scale = scale;
    if (kind == GATED) {
        p.params.mag_scale = bias + 4 * n_features;
        p.params.mag_bias = mag_bias;
    }
    return p;
}

static void free_problem(struct problem *p)
{
    free(p->weights);
    free(p->vectors);
    free(p->x);
}

struct encoding {
    struct sparse *sparse[2];
    struct sparse_encoder *encoder[2];
    struct pair x;
};

static void open_encoding(struct emulated *e, struct encoding *c, const struct problem *p,
                          enum screen screen, const uint32_t *features, size_t n_selected)
{
    const size_t n_x = p->n_tokens * p->params.n_in;
    c->x = pair_of(e, n_x, 1);
    memcpy(c->x.on[0], p->x, n_x * sizeof *p->x);
    cr_assert_eq(e->emu->ops->upload(e->emu_exec, c->x.on[1], p->x, n_x * sizeof *p->x, &e->err),
                 ST_OK);
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? e->emu : e->cpu;
        cr_assert_eq(b->ops->sparse_create(&c->sparse[i], b, &p->params, &e->err), ST_OK, "%s",
                     e->err.text);
        const struct sparse_encoder_params params = {.sparse = c->sparse[i],
                                                     .screen = i ? screen : SCREEN_NONE,
                                                     .features = features,
                                                     .n_selected = n_selected};
        cr_assert_eq(b->ops->sparse_encoder_create(&c->encoder[i], i ? e->emu_exec : e->cpu_exec,
                                                   &params, &e->err),
                     ST_OK, "%s", e->err.text);
    }
}

static void close_encoding(struct emulated *e, struct encoding *c)
{
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? e->emu : e->cpu;
        b->ops->sparse_encoder_destroy(c->encoder[i]);
        b->ops->sparse_destroy(c->sparse[i]);
    }
    pair_free(e, &c->x);
}

/* Returns how many pairs fire. */
static size_t expect_same(struct emulated *e, struct encoding *c, size_t n_tokens, const char *what)
{
    struct sparse_rows rows[2];
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = i ? e->emu : e->cpu;
        cr_assert_eq(b->ops->sparse_encode(c->encoder[i], c->x.on[i], n_tokens, &rows[i], &e->err),
                     ST_OK, "%s, %s: %s", e->mode, what, e->err.text);
    }
    const size_t n = rows[0].row_start[n_tokens];
    cr_assert_eq(rows[1].n_rows, n_tokens);
    for (size_t t = 0; t <= n_tokens; t++)
        cr_assert_eq(rows[1].row_start[t], rows[0].row_start[t], "%s, %s: row %zu at %zu, not %zu",
                     e->mode, what, t, rows[1].row_start[t], rows[0].row_start[t]);
    for (size_t i = 0; i < n; i++)
        cr_assert(rows[0].feature[i] == rows[1].feature[i] &&
                      memcmp(&rows[0].value[i], &rows[1].value[i], sizeof(float)) == 0,
                  "%s, %s: entry %zu is %u %.9g, not %u %.9g", e->mode, what, i, rows[1].feature[i],
                  (double)rows[1].value[i], rows[0].feature[i], (double)rows[0].value[i]);
    return n;
}

/* One encoder of a problem, opened, run over its first n_tokens, and closed. Returns how many pairs
 * fire; *stats are the emulated side's. */
struct run {
    enum screen screen;
    const uint32_t *features; /* [n_selected], NULL: all */
    size_t n_selected, n_tokens;
};

static size_t run_once(struct emulated *e, const struct problem *p, const struct run *run,
                       const char *what, struct sparse_stats *stats)
{
    struct encoding c;
    open_encoding(e, &c, p, run->screen, run->features, run->n_selected);
    const size_t n = expect_same(e, &c, run->n_tokens, what);
    *stats = e->emu->ops->sparse_stats(c.encoder[1]);
    close_encoding(e, &c);
    return n;
}

static size_t check_problem(struct emulated *e, const struct problem *p, enum screen screen,
                            const char *what)
{
    const struct run run = {.screen = screen, .n_tokens = p->n_tokens};
    struct sparse_stats stats;
    char name[96];
    (void)snprintf(name, sizeof name, "%s %zux%zu screen %s", what, p->params.n_in,
                   p->params.n_features, screen_name(screen));
    const size_t n = run_once(e, p, &run, name, &stats);
    cr_expect_eq(stats.n_fired, n);
    cr_expect(stats.n_candidates >= n);
    return n;
}

static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTestParameters(kernels_emulated_sparse, equals_the_cpu_at_odd_shapes)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_sparse, equals_the_cpu_at_odd_shapes)
{
    static const size_t SHAPES[][3] = {{1, 1, 1}, {3, 31, 257}, {31, 257, 31}, {257, 100, 7}};
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) {
            struct problem p =
                make_problem((enum kind)kind, SHAPES[i][0], SHAPES[i][1], SHAPES[i][2]);
            for (size_t s = 0; s < N_SCREENS; s++)
                (void)check_problem(&e, &p, SCREENS[s], KIND_NAMES[kind]);
            free_problem(&p);
        }
    }
    emulated_close(&e);
}

Test(kernels_emulated_sparse, equals_the_cpu_at_a_real_shape)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        struct problem p = make_problem((enum kind)kind, 768, 2048, 24);
        const size_t n = check_problem(&e, &p, SCREEN_BF16, KIND_NAMES[kind]);
        cr_expect(n > 100 && n < 24 * 2048 / 4, "%zu fire", n);
        free_problem(&p);
    }
    emulated_close(&e);
}

/* More tokens than a block: rows of several blocks in one run, twice with one encoder. */
Test(kernels_emulated_sparse, blocks_follow_one_another)
{
    struct emulated e;
    struct encoding c;
    emulated_open(&e, &EMULATED_MODES[5], 16);
    struct problem p = make_problem(PLAIN, 20, 33, 2600);
    open_encoding(&e, &c, &p, SCREEN_AUTO, NULL, 0);
    (void)expect_same(&e, &c, 2600, "three blocks");
    (void)expect_same(&e, &c, 1100, "two blocks");
    close_encoding(&e, &c);
    free_problem(&p);
    emulated_close(&e);
}

/* Nearly every pair fires, more than a pass has room for (256 a token): tokens are cut into passes,
 * a token's row never is, and what fires is all there. */
Test(kernels_emulated_sparse, more_candidates_than_a_pass_holds_take_another_pass)
{
    enum { N_TOKENS = 1024, N_FEATURES = 300 };
    struct emulated e;
    struct encoding c;
    emulated_open(&e, &EMULATED_MODES[5], 16);
    struct problem p = make_problem(PLAIN, 2, N_FEATURES, N_TOKENS);
    for (size_t f = 0; f < N_FEATURES; f++) p.vectors[f] = f % 20 == 0 ? -100 : 10;
    const struct sparse_cost cost = e.emu->ops->sparse_estimate(e.emu, 2, N_FEATURES, 0);
    const size_t n_free = e.emu->ops->memory(e.emu).n_free;
    open_encoding(&e, &c, &p, SCREEN_NONE, NULL, 0);
    const size_t n = expect_same(&e, &c, N_TOKENS, "two passes");
    const size_t n_taken = n_free - e.emu->ops->memory(e.emu).n_free - c.x.n * sizeof(float);
    cr_expect(n_taken <= cost.n_weights + cost.n_encoder, "%zu bytes, planned %zu and %zu", n_taken,
              cost.n_weights, cost.n_encoder);
    cr_expect(n > (size_t)N_TOKENS * 256, "%zu fire", n);
    cr_expect_eq(e.emu->ops->sparse_stats(c.encoder[1]).n_candidates, N_TOKENS * N_FEATURES);
    close_encoding(&e, &c);
    free_problem(&p);
    emulated_close(&e);
}

/* Tokens on which nothing fires, first, last, in between, and alone in a run. */
Test(kernels_emulated_sparse, silent_tokens_are_empty_rows)
{
    struct emulated e;
    struct encoding c;
    emulated_open(&e, &EMULATED_MODES[2], 16);
    struct problem p = make_problem(PLAIN, 31, 257, 31);
    for (size_t t = 0; t < 31; t += 3) memset(p.x + t * 31, 0, 31 * sizeof *p.x);
    for (size_t s = 0; s < N_SCREENS; s++) {
        open_encoding(&e, &c, &p, SCREENS[s], NULL, 0);
        cr_expect(expect_same(&e, &c, 31, "every third is silent") > 0);
        cr_expect_eq(expect_same(&e, &c, 1, "a silent token"), 0);
        close_encoding(&e, &c);
    }
    free_problem(&p);
    emulated_close(&e);
}

/* One huge column, rows of zeros, of denormals, of huge values: the screen's rounding at its
 * worst. */
Test(kernels_emulated_sparse, stays_exact_on_hostile_activations)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[1], 16);
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        struct problem p = make_problem((enum kind)kind, 48, 300, 20);
        for (size_t t = 0; t < p.n_tokens; t++) {
            float *row = p.x + t * 48;
            row[5] *= 300;
            for (size_t i = 0; t % 5 == 1 && i < 48; i++) row[i] = 0;
            for (size_t i = 0; t % 5 == 2 && i < 48; i++) row[i] *= 1e-42f;
            for (size_t i = 0; t % 5 == 3 && i < 48; i++) row[i] *= 1e25f;
        }
        for (size_t s = 0; s < N_SCREENS; s++)
            (void)check_problem(&e, &p, SCREENS[s], KIND_NAMES[kind]);
        free_problem(&p);
    }
    emulated_close(&e);
}

/* Every pair fires by a hair where the bound is nearly tight: too small a slack loses some. */
Test(kernels_emulated_sparse, keeps_pairs_that_fire_by_a_hair)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    for (size_t n_in = 2; n_in <= 8; n_in += 3) {
        struct problem p = make_problem(PLAIN, n_in, 3000, 1);
        for (size_t f = 0; f < 3000; f++) {
            float dot = 0; /* n_in is under the 16 lanes: lane j holds product j */
            float lanes[16] = {0};
            for (size_t i = 0; i < n_in; i++) lanes[i] = p.x[i] * p.weights[f * n_in + i];
            for (size_t half = 8; half > 0; half /= 2)
                for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
            dot = lanes[0];
            p.vectors[f] = -dot + fabsf(dot) * 1e-6f;
        }
        for (size_t s = 0; s < N_SCREENS; s++) {
            const size_t n = check_problem(&e, &p, SCREENS[s], "by a hair");
            cr_expect(n > 2900, "%zu fire", n);
        }
        free_problem(&p);
    }
    emulated_close(&e);
}

Test(kernels_emulated_sparse, topk_ties_go_to_the_lower_feature)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[2], 16);
    struct problem p = make_problem(TOPK, 16, 300, 9);
    for (size_t f = 0; f < 300; f++) { /* every feature three times over */
        memcpy(p.weights + f * 16, p.weights + f / 3 * 3 * 16, 16 * sizeof *p.weights);
        p.vectors[f] = 0;
    }
    for (size_t s = 0; s < N_SCREENS; s++) (void)check_problem(&e, &p, SCREENS[s], "ties");
    free_problem(&p);
    emulated_close(&e);
}

Test(kernels_emulated_sparse, a_selection_is_what_the_cpu_selects)
{
    static const uint32_t SELECTED[] = {0, 5, 31, 32, 70, 71, 199, 70};
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        const struct run run = {SCREEN_BF16, SELECTED, sizeof SELECTED / sizeof SELECTED[0], 60};
        struct problem p = make_problem((enum kind)kind, 40, 200, 60);
        struct sparse_stats stats;
        cr_expect(run_once(&e, &p, &run, KIND_NAMES[kind], &stats) > 0);
        free_problem(&p);
    }
    emulated_close(&e);
}

Test(kernels_emulated_sparse, a_screen_drops_most_silent_pairs_and_auto_leaves_one_that_does_not)
{
    const struct run screened = {.screen = SCREEN_BF16, .n_tokens = 64},
                     automatic = {.screen = SCREEN_AUTO, .n_tokens = 2100};
    struct emulated e;
    struct sparse_stats stats;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    struct problem sparse = make_problem(PLAIN, 256, 512, 64);
    const size_t n = run_once(&e, &sparse, &screened, "sparse", &stats);
    cr_expect((double)stats.n_candidates < 1.3 * (double)n, "%zu candidates for %zu",
              (size_t)stats.n_candidates, n);
    free_problem(&sparse);

    struct problem dense = make_problem(PLAIN, 32, 16, 2100);
    for (size_t f = 0; f < 16; f++) dense.vectors[f] = 100;
    (void)run_once(&e, &dense, &automatic, "dense", &stats);
    cr_expect_eq(stats.screen, SCREEN_NONE);
    free_problem(&dense);
    emulated_close(&e);
}

static void expect_refused(struct emulated *e, const struct problem *p, enum screen screen,
                           const char *says)
{
    struct encoding c;
    struct sparse_rows rows;
    open_encoding(e, &c, p, screen, NULL, 0);
    cr_expect_eq(e->emu->ops->sparse_encode(c.encoder[1], c.x.on[1], p->n_tokens, &rows, &e->err),
                 ST_BAD_INPUT);
    cr_expect(strstr(e->err.text, says), "%s", e->err.text);
    close_encoding(e, &c);
    error_clear(&e->err);
}

Test(kernels_emulated_sparse, names_what_is_not_finite)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    struct problem p = make_problem(PLAIN, 40, 64, 9);
    p.x[7 * 40 + 39] = NAN;
    p.x[8 * 40] = INFINITY;
    expect_refused(&e, &p, SCREEN_AUTO, "activation of token 7 is not finite");
    p.x[7 * 40 + 39] = p.x[8 * 40] = 0;
    for (size_t i = 0; i < 40; i++) {
        p.x[5 * 40 + i] = 3e38f;
        p.weights[9 * 40 + i] = 1;
    }
    expect_refused(&e, &p, SCREEN_BF16, "overflows on token 5");
    free_problem(&p);
    emulated_close(&e);
}

/* "Fires if pre > 0 and pre > floor" says what a value that is no number does: it is silent.
 * Feature 0: inf times a scale of 0; 1: a floor that is NaN; 2 fires. */
Test(kernels_emulated_sparse, what_is_no_number_is_silent)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    struct problem p = make_problem(JUMPRELU, 1, 3, 1);
    float scale[] = {0, 1, 1};
    p.params.scale = scale;
    p.x[0] = 1;
    for (size_t f = 0; f < 3; f++) {
        p.weights[f] = f ? 1 : 3e38f;
        p.vectors[f] = f ? 1 : 3e38f;
        p.vectors[3 * 3 + f] = f == 1 ? NAN : 0.5f;
    }
    for (size_t s = 0; s < N_SCREENS; s++)
        cr_expect_eq(check_problem(&e, &p, SCREENS[s], "no number"), 1);
    free_problem(&p);
    emulated_close(&e);
}

Test(kernels_emulated_sparse, refuses_what_it_lacks)
{
    struct emulated e;
    struct sparse *sparse;
    struct sparse_encoder *encoder = NULL;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    struct problem p = make_problem(PLAIN, 4, 8, 1);
    cr_assert_eq(e.emu->ops->sparse_create(&sparse, e.emu, &p.params, &e.err), ST_OK);
    struct sparse_encoder_params params = {.sparse = sparse, .screen = SCREEN_INT8};
    cr_expect_eq(e.emu->ops->sparse_encoder_create(&encoder, e.emu_exec, &params, &e.err),
                 ST_UNSUPPORTED);
    cr_expect(strstr(e.err.text, "int8"), "%s", e.err.text);
    params = (struct sparse_encoder_params){
        .sparse = sparse, .features = (const uint32_t[]){8}, .n_selected = 1};
    cr_expect_eq(e.emu->ops->sparse_encoder_create(&encoder, e.emu_exec, &params, NULL),
                 ST_NOT_FOUND);
    cr_expect_null(encoder);
    e.emu->ops->sparse_destroy(sparse);
    free_problem(&p);
    emulated_close(&e);
}
