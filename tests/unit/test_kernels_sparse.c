/* The sparse encode against a plain loop over every pair: equal bit for bit, whatever the screen,
 * the instruction set, the architecture and the shape. */
#include "kernels/backend.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/sparse.h"
#include "kernels/cpu/vector.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { PLAIN, JUMPRELU, TOPK, TOPK_SCALED, GATED, N_KINDS };
static const char *const KIND_NAMES[N_KINDS] = {"plain", "jumprelu", "topk", "topk scaled",
                                                "gated"};

struct problem {
    struct sparse_params params;
    size_t n_tokens;
    float *x; /* [n_tokens, n_in] */
    float *memory;
};

static uint64_t random_state;

static float uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(random_state >> 40) / (double)(1 << 24)) * 2 - 1;
}

static float normal(void)
{
    return (uniform() + uniform() + uniform() + uniform()) * 0.87f;
}

static float *fill_normal(float *out, size_t n, float scale, float shift)
{
    for (size_t i = 0; i < n; i++) out[i] = normal() * scale + shift;
    return out;
}

static struct problem make_problem(enum kind kind, size_t n_in, size_t n_features, size_t n_tokens)
{
    const size_t n_weights = n_in * n_features, n_x = n_in * n_tokens;
    struct problem p = {.n_tokens = n_tokens};
    random_state = n_in * 31 + n_features * 7 + n_tokens + (size_t)kind;
    p.memory = malloc((n_weights + 5 * n_features + n_x) * sizeof *p.memory);
    cr_assert(p.memory);
    float *weights = p.memory, *vectors = weights + n_weights;
    p.x = fill_normal(vectors + 5 * n_features, n_x, 1, 0.2f);
    const float spread = sqrtf((float)n_in);
    p.params = (struct sparse_params){.n_in = n_in, .n_features = n_features};
    p.params.weights = fill_normal(weights, n_weights, 1, 0);
    p.params.bias = fill_normal(vectors, n_features, 0.2f * spread, -1.2f * spread);
    float *scale = fill_normal(vectors + n_features, n_features, 0.2f, 1);
    float *floor = fill_normal(vectors + 2 * n_features, n_features, 0.5f, 0.5f);
    float *magnitude = fill_normal(vectors + 3 * n_features, n_features, 0.3f, 1);
    float *mag_bias = fill_normal(vectors + 4 * n_features, n_features, 2, 0);
    if (kind == JUMPRELU) p.params.floor = floor;
    if (kind == TOPK || kind == TOPK_SCALED) p.params.k = n_features < 7 ? 1 : 7;
    if (kind == TOPK_SCALED) p.params.scale = scale;
    if (kind == GATED) {
        p.params.mag_scale = magnitude;
        p.params.mag_bias = mag_bias;
    }
    return p;
}

/* backend.h, "sparse encode", word for word. */
static float exact_dot(const float *x, const float *w, size_t n)
{
    float lanes[16] = {0};
    for (size_t i = 0; i < n; i++) lanes[i % 16] = fmaf(x[i], w[i], lanes[i % 16]);
    for (size_t half = 8; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
    }
    return lanes[0];
}

static float oracle_value(const struct sparse_params *p, size_t f, const float *x)
{
    const float dot = exact_dot(x, p->weights + f * p->n_in, p->n_in);
    float pre = dot + p->bias[f];
    if (p->scale) pre *= p->scale[f];
    if (pre <= 0 || (p->floor && pre <= p->floor[f])) return 0;
    if (!p->mag_scale) return pre;
    volatile float product = dot * p->mag_scale[f]; /* rounded before the sum */
    const float value = product + p->mag_bias[f];
    return value > 0 ? value : 0;
}

/* values [n_features] of one token; all but the k largest zeroed (lower feature wins a tie). */
static void oracle_row(const struct sparse_params *p, const float *x, float *values)
{
    for (size_t f = 0; f < p->n_features; f++) values[f] = oracle_value(p, f, x);
    if (!p->k) return;
    unsigned char *is_kept = calloc(p->n_features, 1);
    cr_assert(is_kept);
    for (size_t round = 0; round < p->k; round++) {
        size_t best = p->n_features;
        for (size_t f = 0; f < p->n_features; f++) {
            if (!is_kept[f] && values[f] > (best < p->n_features ? values[best] : 0)) best = f;
        }
        if (best < p->n_features) is_kept[best] = 1;
    }
    for (size_t f = 0; f < p->n_features; f++) values[f] = is_kept[f] ? values[f] : 0;
    free(is_kept);
}

/* Every entry of the oracle, in order, and nothing else. Returns the number of entries. */
static size_t expect_equal(const struct problem *p, const struct sparse_rows *rows,
                           const char *what)
{
    float *values = malloc(p->params.n_features * sizeof *values);
    cr_assert(values);
    cr_assert_eq(rows->n_rows, p->n_tokens);
    size_t at = 0;
    for (size_t t = 0; t < p->n_tokens; t++) {
        oracle_row(&p->params, p->x + t * p->params.n_in, values);
        cr_assert_eq(rows->row_start[t], at, "%s: token %zu starts at %zu, not %zu", what, t,
                     rows->row_start[t], at);
        for (size_t f = 0; f < p->params.n_features; f++) {
            if (values[f] == 0) continue;
            cr_assert(at < rows->row_start[t + 1] && rows->feature[at] == f,
                      "%s: token %zu lacks feature %zu", what, t, f);
            cr_assert_eq(memcmp(&rows->value[at], &values[f], sizeof values[f]), 0,
                         "%s: token %zu feature %zu: %.9g, not %.9g", what, t, f,
                         (double)rows->value[at], (double)values[f]);
            at++;
        }
    }
    cr_assert_eq(rows->row_start[p->n_tokens], at, "%s", what);
    free(values);
    return at;
}

struct encoder {
    struct memory_ledger ledger;
    struct sparse *sparse;
    struct matmul_cache *matmul;
    struct sparse_encoder *encoder;
    struct error err;
};

static const uint32_t SELECTED[] = {0, 5, 31, 32, 70, 71, 2099, 70};
enum { N_SELECTED = sizeof SELECTED / sizeof SELECTED[0] };

static void open_selecting(struct encoder *e, const struct sparse_params *params, enum cpu_isa isa,
                           enum screen screen, bool select)
{
    const struct vector_kernels *kernels = vector_kernels_of(isa);
    *e = (struct encoder){.sparse = NULL};
    const struct sparse_machine machine = {kernels, &e->ledger,
                                           isa == CPU_ISA_AVX512 && cpu_has_vnni()};
    cr_assert_eq(sparse_weights_create(&e->sparse, params, &machine, &e->err), ST_OK, "%s",
                 e->err.text);
    const struct sparse_encoder_params encoder = {.sparse = e->sparse,
                                                  .screen = screen,
                                                  .features = select ? SELECTED : NULL,
                                                  .n_selected = N_SELECTED};
    cr_assert_eq(matmul_cache_create(&e->matmul, 64, kernels, &e->err), ST_OK);
    cr_assert_eq(sparse_encoder_open(&e->encoder, &encoder, e->matmul, 64, kernels, &e->err), ST_OK,
                 "%s", e->err.text);
}

static void open_encoder(struct encoder *e, const struct sparse_params *params, enum cpu_isa isa,
                         enum screen screen)
{
    open_selecting(e, params, isa, screen, false);
}

static void close_encoder(struct encoder *e)
{
    sparse_encoder_close(e->encoder);
    matmul_cache_destroy(e->matmul);
    sparse_weights_destroy(e->sparse);
}

static size_t check_problem(const struct problem *p, enum cpu_isa isa, enum screen screen,
                            const char *what)
{
    struct encoder e;
    struct sparse_rows rows;
    open_encoder(&e, &p->params, isa, screen);
    cr_assert_eq(sparse_encoder_run(e.encoder, p->x, p->n_tokens, &rows, &e.err), ST_OK, "%s: %s",
                 what, e.err.text);
    const size_t n_fired = expect_equal(p, &rows, what);
    cr_expect_eq(sparse_encoder_stats(e.encoder).n_fired, n_fired);
    cr_expect(sparse_encoder_stats(e.encoder).n_candidates >= n_fired);
    close_encoder(&e);
    return n_fired;
}

static bool can_screen(enum cpu_isa isa, enum screen screen)
{
    if (cpu_isa_detect(isa) != isa) return false;
    if (screen == SCREEN_BF16) return isa == CPU_ISA_AVX512;
    return screen != SCREEN_INT8 || (isa == CPU_ISA_AVX512 && cpu_has_vnni());
}

/* All screens and instruction sets of this machine. */
static void check_everywhere(enum kind kind, size_t n_in, size_t n_features, size_t n_tokens)
{
    struct problem p = make_problem(kind, n_in, n_features, n_tokens);
    for (unsigned isa = 0; isa < CPU_ISA_N; isa++) {
        for (unsigned screen = 0; screen < SCREEN_N; screen++) {
            char what[128];
            if (!can_screen((enum cpu_isa)isa, (enum screen)screen)) continue;
            (void)snprintf(what, sizeof what, "%s %zux%zu, %zu tokens, %s, screen %s",
                           KIND_NAMES[kind], n_in, n_features, n_tokens,
                           vector_kernels_of((enum cpu_isa)isa)->name,
                           screen_name((enum screen)screen));
            (void)check_problem(&p, (enum cpu_isa)isa, (enum screen)screen, what);
        }
    }
    free(p.memory);
}

Test(kernels_sparse, equals_the_dense_oracle_at_odd_shapes)
{
    static const size_t SHAPES[][3] = {{1, 1, 1},     {3, 31, 5},    {31, 257, 31},
                                       {257, 100, 7}, {64, 2100, 3}, {20, 33, 600}};
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++)
            check_everywhere((enum kind)kind, SHAPES[i][0], SHAPES[i][1], SHAPES[i][2]);
    }
}

Test(kernels_sparse, equals_the_dense_oracle_at_a_real_shape)
{
    struct problem p = make_problem(JUMPRELU, 768, 4096, 40);
    for (unsigned screen = 0; screen < SCREEN_N; screen++) {
        if (!can_screen(cpu_isa_detect(CPU_ISA_AVX512), (enum screen)screen)) continue;
        const size_t n = check_problem(&p, cpu_isa_detect(CPU_ISA_AVX512), (enum screen)screen,
                                       screen_name((enum screen)screen));
        cr_expect(n > 100 && n < 40 * 4096 / 4, "%zu fired: not a sparse problem", n);
    }
    free(p.memory);
}

Test(kernels_sparse, screens_drop_most_silent_pairs)
{
    struct problem p = make_problem(PLAIN, 256, 2048, 64);
    static const enum screen SCREENS[] = {SCREEN_INT8, SCREEN_BF16, SCREEN_F32};
    static const double MOST[] = {3, 1.3, 1.05}; /* candidates per firing pair */
    for (size_t i = 0; i < 3; i++) {
        struct encoder e;
        struct sparse_rows rows;
        const enum cpu_isa isa = cpu_isa_detect(CPU_ISA_AVX512);
        if (!can_screen(isa, SCREENS[i])) continue;
        open_encoder(&e, &p.params, isa, SCREENS[i]);
        cr_assert_eq(sparse_encoder_run(e.encoder, p.x, p.n_tokens, &rows, &e.err), ST_OK);
        const struct sparse_stats stats = sparse_encoder_stats(e.encoder);
        cr_expect((double)stats.n_candidates < MOST[i] * (double)stats.n_fired,
                  "%s: %zu candidates for %zu", screen_name(SCREENS[i]), (size_t)stats.n_candidates,
                  (size_t)stats.n_fired);
        close_encoder(&e);
    }
    free(p.memory);
}

/* One huge column in every row, rows of zeros, of denormals and of huge values: the rounding of
 * the screens is then at its worst. */
Test(kernels_sparse, stays_exact_on_hostile_activations)
{
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        struct problem p = make_problem((enum kind)kind, 48, 300, 90);
        for (size_t t = 0; t < p.n_tokens; t++) {
            float *row = p.x + t * 48;
            row[5] *= 300;
            if (t % 5 == 1) memset(row, 0, 48 * sizeof *row);
            for (size_t i = 0; t % 5 == 2 && i < 48; i++) row[i] *= 1e-42f;
            for (size_t i = 0; t % 5 == 3 && i < 48; i++) row[i] *= 1e25f;
            for (size_t i = 0; t % 5 == 4 && i < 48; i++) row[i] = i % 2 ? -row[0] : row[0];
        }
        for (unsigned screen = 0; screen < SCREEN_N; screen++) {
            const enum cpu_isa isa = cpu_isa_detect(CPU_ISA_AVX512);
            if (can_screen(isa, (enum screen)screen))
                (void)check_problem(&p, isa, (enum screen)screen, KIND_NAMES[kind]);
        }
        free(p.memory);
    }
}

/* Every pair fires by a hair, in few dimensions, where the bound of the screens is nearly tight:
 * a slack that is too small loses some of them. */
Test(kernels_sparse, keeps_pairs_that_fire_by_a_hair)
{
    for (size_t n_in = 2; n_in <= 8; n_in += 3) {
        struct problem p = make_problem(PLAIN, n_in, 4000, 1);
        float *bias = p.memory + n_in * 4000;
        for (size_t f = 0; f < 4000; f++) {
            const float dot = exact_dot(p.x, p.params.weights + f * n_in, n_in);
            bias[f] = -dot + fabsf(dot) * 1e-6f;
        }
        for (unsigned screen = 0; screen < SCREEN_N; screen++) {
            const enum cpu_isa isa = cpu_isa_detect(CPU_ISA_AVX512);
            if (!can_screen(isa, (enum screen)screen)) continue;
            const size_t n =
                check_problem(&p, isa, (enum screen)screen, screen_name((enum screen)screen));
            cr_expect(n > 3900, "%zu fired", n);
        }
        free(p.memory);
    }
}

Test(kernels_sparse, topk_ties_go_to_the_lower_feature)
{
    struct problem p = make_problem(TOPK, 16, 500, 9);
    float *weights = p.memory;
    /* Every feature three times over: the k-th best value has equals above and below. */
    for (size_t f = 0; f < 498; f += 3) {
        for (size_t copy = 1; copy < 3; copy++)
            memcpy(weights + (f + copy) * 16, weights + f * 16, 16 * sizeof *weights);
    }
    float *bias = weights + 16 * 500;
    for (size_t f = 0; f < 500; f++) bias[f] = 0;
    for (unsigned screen = 0; screen < SCREEN_N; screen++) {
        const enum cpu_isa isa = cpu_isa_detect(CPU_ISA_AVX512);
        if (can_screen(isa, (enum screen)screen))
            (void)check_problem(&p, isa, (enum screen)screen, screen_name((enum screen)screen));
    }
    free(p.memory);
}

Test(kernels_sparse, auto_leaves_a_screen_that_lets_too_much_through)
{
    struct problem p = make_problem(PLAIN, 32, 64, 5000);
    float *bias = p.memory + 32 * 64;
    struct encoder e;
    struct sparse_rows rows;
    for (size_t f = 0; f < 64; f++) bias[f] = 100; /* everything fires */
    open_encoder(&e, &p.params, cpu_isa_detect(CPU_ISA_AVX512), SCREEN_AUTO);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sparse_encoder_run(e.encoder, p.x, p.n_tokens, &rows, &e.err), ST_OK);
    cr_expect_eq(sparse_encoder_stats(e.encoder).screen, SCREEN_NONE, "%s",
                 screen_name(sparse_encoder_stats(e.encoder).screen));
    (void)expect_equal(&p, &rows, "auto");
    close_encoder(&e);
    free(p.memory);
}

static bool is_selected(uint32_t feature)
{
    for (size_t i = 0; i < N_SELECTED; i++) {
        if (SELECTED[i] == feature) return true;
    }
    return false;
}

/* The selected features' entries of `all`, in order. */
static void expect_selection(const struct sparse_rows *all, const struct sparse_rows *some)
{
    size_t at = 0;
    for (size_t t = 0; t < all->n_rows; t++) {
        cr_assert_eq(some->row_start[t], at);
        for (size_t i = all->row_start[t]; i < all->row_start[t + 1]; i++) {
            if (!is_selected(all->feature[i])) continue;
            cr_assert(some->feature[at] == all->feature[i] && some->value[at] == all->value[i]);
            at++;
        }
    }
    cr_expect_eq(some->row_start[all->n_rows], at);
    cr_expect(at > 0);
}

Test(kernels_sparse, a_selection_is_what_the_whole_has_of_it)
{
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        struct problem p = make_problem((enum kind)kind, 40, 2100, 300);
        for (unsigned screen = 0; screen < SCREEN_N; screen++) {
            struct encoder all, some;
            struct sparse_rows all_rows, some_rows;
            const enum cpu_isa isa = cpu_isa_detect(CPU_ISA_AVX512);
            if (!can_screen(isa, (enum screen)screen)) continue;
            open_encoder(&all, &p.params, isa, (enum screen)screen);
            open_selecting(&some, &p.params, isa, (enum screen)screen, true);
            cr_assert_eq(sparse_encoder_run(all.encoder, p.x, 300, &all_rows, &all.err), ST_OK);
            cr_assert_eq(sparse_encoder_run(some.encoder, p.x, 300, &some_rows, &some.err), ST_OK);
            expect_selection(&all_rows, &some_rows);
            close_encoder(&all);
            close_encoder(&some);
        }
        free(p.memory);
    }
}

/* A mean that dwarfs everything else: int8 alone drowns in it, centred it does not. */
Test(kernels_sparse, auto_takes_a_large_mean_out_and_stays_exact)
{
    struct problem p = make_problem(PLAIN, 64, 300, 3000);
    float *bias = p.memory + 64 * 300;
    float mean[64];
    for (size_t i = 0; i < 64; i++) mean[i] = i % 16 == 3 ? 500 : 5;
    for (size_t i = 0; i < p.n_tokens * 64; i++) p.x[i] += mean[i % 64];
    for (size_t f = 0; f < 300; f++) bias[f] -= exact_dot(mean, p.params.weights + f * 64, 64) + 8;
    struct encoder e;
    struct sparse_rows rows;
    open_encoder(&e, &p.params, cpu_isa_detect(CPU_ISA_AVX512), SCREEN_AUTO);
    cr_assert_eq(sparse_encoder_run(e.encoder, p.x, p.n_tokens, &rows, &e.err), ST_OK);
    (void)expect_equal(&p, &rows, "first run");
    const struct sparse_stats first = sparse_encoder_stats(e.encoder);
    cr_assert_eq(sparse_encoder_run(e.encoder, p.x, p.n_tokens, &rows, &e.err), ST_OK);
    const size_t n_fired = expect_equal(&p, &rows, "second run");
    const struct sparse_stats both = sparse_encoder_stats(e.encoder);
    const uint64_t n_second = both.n_candidates - first.n_candidates;
    if (can_screen(cpu_isa_detect(CPU_ISA_AVX512), SCREEN_INT8)) {
        cr_expect_eq(both.screen, SCREEN_INT8, "%s", screen_name(both.screen));
        cr_expect(first.n_candidates > 3 * n_second && n_second < 4 * n_fired,
                  "%zu candidates, then %zu; %zu fire", (size_t)first.n_candidates,
                  (size_t)n_second, n_fired);
    }
    close_encoder(&e);
    free(p.memory);
}

Test(kernels_sparse, names_the_token_that_is_not_finite)
{
    static const float BAD[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct problem p = make_problem(PLAIN, 40, 64, 9);
        struct encoder e;
        struct sparse_rows rows;
        p.x[7 * 40 + 39] = BAD[i];
        open_encoder(&e, &p.params, cpu_isa_detect(CPU_ISA_AVX512), SCREEN_AUTO);
        cr_expect_eq(sparse_encoder_run(e.encoder, p.x, p.n_tokens, &rows, &e.err), ST_BAD_INPUT);
        cr_expect(strstr(e.err.text, "token 7"), "%s", e.err.text);
        close_encoder(&e);
        free(p.memory);
    }
}

Test(kernels_sparse, refuses_a_screen_that_the_instruction_set_lacks)
{
    struct problem p = make_problem(PLAIN, 4, 40, 1);
    static const enum screen SCREENS[] = {SCREEN_INT8, SCREEN_BF16};
    for (size_t i = 0; i < 2; i++) {
        const struct vector_kernels *kernels = vector_kernels_of(CPU_ISA_PLAIN);
        struct encoder e;
        open_encoder(&e, &p.params, CPU_ISA_PLAIN, SCREEN_AUTO);
        struct sparse_encoder *encoder = NULL;
        const struct sparse_encoder_params params = {.sparse = e.sparse, .screen = SCREENS[i]};
        cr_expect_eq(sparse_encoder_open(&encoder, &params, e.matmul, 64, kernels, &e.err),
                     ST_UNSUPPORTED);
        cr_expect(strstr(e.err.text, screen_name(SCREENS[i])), "%s", e.err.text);
        cr_expect_null(encoder);
        close_encoder(&e);
    }
    free(p.memory);
}

Test(kernels_sparse, refuses_parameters_that_contradict)
{
    struct problem p = make_problem(PLAIN, 4, 8, 1);
    struct sparse *sparse = NULL;
    struct error err = {0};
    struct memory_ledger ledger = {0};
    const struct sparse_machine machine = {vector_kernels_of(CPU_ISA_PLAIN), &ledger, false};
    p.params.k = 9;
    cr_expect_eq(sparse_weights_create(&sparse, &p.params, &machine, &err), ST_BAD_INPUT);
    p.params.k = 2;
    p.params.floor = p.params.bias;
    cr_expect_eq(sparse_weights_create(&sparse, &p.params, &machine, NULL), ST_BAD_INPUT);
    p.params.floor = NULL;
    p.params.scale = (const float[8]){-1};
    cr_expect_eq(sparse_weights_create(&sparse, &p.params, &machine, NULL), ST_BAD_INPUT);
    p.params.n_in = 0;
    cr_expect_eq(sparse_weights_create(&sparse, &p.params, &machine, NULL), ST_TOO_LARGE);
    cr_expect_null(sparse);
    free(p.memory);
}
