/* Every adjoint of the CUDA backend, on the host emulator in each of its modes, against the CPU: at
 * shapes 1, 31, 257 and a real one. The CPU's are held against their formulas in
 * test_kernels_backward.c. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

/* Columns, rows. */
static const size_t WIDTHS[][2] = {{1, 257}, {31, 1}, {257, 31}, {768, 5}};
enum { N_WIDTHS = sizeof WIDTHS / sizeof WIDTHS[0] };

/* Criterion copies parameters to the test's process. */
static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

static void free_pairs(struct emulated *e, struct pair *const *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) pair_free(e, pairs[i]);
}
#define FREE_PAIRS(e, ...)                                                                         \
    free_pairs(e, (struct pair *const[]){__VA_ARGS__},                                             \
               sizeof((struct pair *const[]){__VA_ARGS__}) / sizeof(struct pair *))

/* --- norms --------------------------------------------------------------------------------- */

static void check_norm(struct emulated *e, enum norm_kind kind, const size_t width[2],
                       bool has_weight, bool is_in_place)
{
    const size_t d = width[0], n = width[1];
    struct pair x = pair_of(e, n * d, 3), w = pair_of(e, d, 1), d_y = pair_of(e, n * d, 1),
                d_x = pair_of(e, n * d, 1);
    struct norm_backward_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct norm_backward_params){.forward = {.kind = kind,
                                                         .x = x.on[i],
                                                         .weight = has_weight ? w.on[i] : NULL,
                                                         .eps = 1e-2f,
                                                         .n_rows = n,
                                                         .d = d},
                                             .d_y = d_y.on[i],
                                             .d_x = is_in_place ? d_y.on[i] : d_x.on[i]};
    ON_BOTH(e, norm_backward, p[side]);
    pair_expect_same(e, is_in_place ? &d_y : &d_x, 5e-6, "norm backward");
    FREE_PAIRS(e, &x, &w, &d_y, &d_x);
}

ParameterizedTestParameters(kernels_emulated_backward, norms_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_backward, norms_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < N_WIDTHS; i++) {
        check_norm(&e, NORM_RMS, WIDTHS[i], true, false);
        check_norm(&e, NORM_RMS, WIDTHS[i], false, true);
        if (WIDTHS[i][0] == 1) continue; /* nothing is left of one value without its mean */
        check_norm(&e, NORM_LAYER, WIDTHS[i], true, true);
        check_norm(&e, NORM_LAYER, WIDTHS[i], false, false);
    }
    emulated_close(&e);
}

/* --- nonlinearities ------------------------------------------------------------------------ */

static void check_activation(struct emulated *e, enum activation kind, const size_t width[2],
                             bool is_gated, bool has_bias)
{
    const size_t d = width[0], n = width[1];
    struct pair pre = pair_of(e, n * 2 * d, 9), bias = pair_of(e, 2 * d, 1);
    struct pair d_out = pair_of(e, n * (d + 1), 1), slopes = pair_of(e, n * 2 * d, 1);
    struct activate_backward_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct activate_backward_params){
            .forward = {.kind = kind,
                        .pre = pre.on[i],
                        .bias = has_bias ? bias.on[i] : NULL,
                        .up = is_gated ? pre.on[i] + d : NULL,
                        .up_bias = is_gated && has_bias ? bias.on[i] + d : NULL,
                        .n_rows = n,
                        .d = d,
                        .ld_pre = 2 * d},
            .d_out = d_out.on[i],
            .d_pre = slopes.on[i],
            .d_up = is_gated ? slopes.on[i] + d : NULL,
            .ld_d_out = d + 1,
            .ld_d = 2 * d};
    ON_BOTH(e, activate_backward, p[side]);
    pair_expect_same(e, &slopes, 1e-6, "activate backward");
    FREE_PAIRS(e, &pre, &bias, &d_out, &slopes);
}

ParameterizedTestParameters(kernels_emulated_backward, activations_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_backward, activations_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < N_WIDTHS; i++)
        for (unsigned kind = 0; kind < ACTIVATION_N; kind++) {
            check_activation(&e, (enum activation)kind, WIDTHS[i], false, true);
            check_activation(&e, (enum activation)kind, WIDTHS[i], true, true);
            check_activation(&e, (enum activation)kind, WIDTHS[i], kind % 2 == 0, false);
        }
    emulated_close(&e);
}

/* --- attention ----------------------------------------------------------------------------- */

struct attend_shape {
    size_t n_sequences, n_ctx, n_heads, n_kv_heads, d_head, window;
    float soft_cap;
};

/* Contents of [q | k | v], d_z, and slopes [d_q | d_k | d_v]. */
static void check_attend(struct emulated *e, const struct attend_shape *s)
{
    const size_t n_rows = s->n_sequences * s->n_ctx, d_q = s->n_heads * s->d_head,
                 d_kv = s->n_kv_heads * s->d_head, ld = d_q + 2 * d_kv;
    struct pair qkv = pair_of(e, n_rows * ld, 1), d_z = pair_of(e, n_rows * d_q, 1),
                slopes = pair_of(e, n_rows * ld, 1);
    uint32_t lengths[31];
    struct attend_backward_params p[2];
    cr_assert_leq(s->n_sequences, 31);
    for (size_t i = 0; i < s->n_sequences; i++) /* full, empty, anything */
        lengths[i] = (uint32_t)(i == 0 ? s->n_ctx : i == 1 ? 0 : emulated_random() % s->n_ctx);
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct attend_backward_params){.forward = {.q = qkv.on[i],
                                                           .k = qkv.on[i] + d_q,
                                                           .v = qkv.on[i] + d_q + d_kv,
                                                           .lengths = lengths,
                                                           .n_sequences = s->n_sequences,
                                                           .n_ctx = s->n_ctx,
                                                           .n_heads = s->n_heads,
                                                           .n_kv_heads = s->n_kv_heads,
                                                           .d_head = s->d_head,
                                                           .ld = ld,
                                                           .window = s->window,
                                                           .scale = 0.7f,
                                                           .soft_cap = s->soft_cap},
                                               .d_z = d_z.on[i],
                                               .d_q = slopes.on[i],
                                               .d_k = slopes.on[i] + d_q,
                                               .d_v = slopes.on[i] + d_q + d_kv,
                                               .ld_d = ld};
    ON_BOTH(e, attend_backward, p[side]);
    pair_expect_same(e, &slopes, 1e-5, "attend backward");
    FREE_PAIRS(e, &qkv, &d_z, &slopes);
}

ParameterizedTestParameters(kernels_emulated_backward, attention_matches)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_backward, attention_matches)
{
    static const struct attend_shape ATTENTIONS[] = {
        {1, 1, 1, 1, 1, 0, 0},    {3, 31, 3, 1, 8, 0, 0},      {1, 257, 1, 1, 33, 0, 0},
        {2, 64, 4, 2, 64, 0, 0},  {1, 40, 2, 2, 128, 0, 0},    {1, 33, 1, 1, 256, 0, 0},
        {1, 1, 1, 1, 1, 1, 0.5f}, {3, 31, 3, 1, 8, 7, 0},      {1, 70, 1, 1, 33, 33, 2},
        {3, 64, 4, 2, 64, 0, 1},  {1, 40, 2, 2, 128, 1, 0.7f}, {1, 31, 31, 1, 32, 0, 0},
        {31, 3, 2, 1, 16, 0, 0},  {1, 70, 2, 1, 80, 9, 0},     {1, 33, 2, 1, 96, 0, 3},
        {1, 33, 2, 1, 192, 0, 0}, {1, 33, 2, 1, 256, 17, 50},  {1, 40, 12, 12, 64, 0, 0}};
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof ATTENTIONS / sizeof ATTENTIONS[0]; i++)
        check_attend(&e, &ATTENTIONS[i]);
    emulated_close(&e);
}

/* --- rows ---------------------------------------------------------------------------------- */

/* out: another array, a or b. */
static void check_blend(struct emulated *e, size_t n)
{
    struct pair a = pair_of(e, n, 1), b = pair_of(e, n, 1), other = pair_of(e, n, 1);
    const struct pair *const out[] = {&other, &a, &b};
    for (size_t k = 0; k < 3; k++) {
        struct blend_params p[2];
        for (size_t i = 0; i < 2; i++)
            p[i] = (struct blend_params){
                .a = a.on[i], .b = b.on[i], .out = out[k]->on[i], .factor = -0.3f, .n = n};
        ON_BOTH(e, blend, p[side]);
        pair_expect_same(e, out[k], 0, "blend");
    }
    FREE_PAIRS(e, &a, &b, &other);
}

static void check_group_dots(struct emulated *e, size_t n_rows, size_t n_groups, size_t d)
{
    const size_t ld = n_groups * d + 3;
    struct pair a = pair_of(e, n_rows * ld, 1), b = pair_of(e, n_rows * (ld + 2), 1),
                out = pair_of(e, n_rows * n_groups, 1);
    struct group_dots_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct group_dots_params){.a = a.on[i],
                                          .b = b.on[i],
                                          .out = out.on[i],
                                          .n_rows = n_rows,
                                          .n_groups = n_groups,
                                          .d = d,
                                          .ld_a = ld,
                                          .ld_b = ld + 2};
    ON_BOTH(e, group_dots, p[side]);
    pair_expect_same(e, &out, 2e-6, "group dots");
    FREE_PAIRS(e, &a, &b, &out);
}

ParameterizedTestParameters(kernels_emulated_backward, blends_and_dots_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_backward, blends_and_dots_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < N_WIDTHS; i++) {
        check_blend(&e, WIDTHS[i][0]);
        check_group_dots(&e, WIDTHS[i][1], 1, WIDTHS[i][0]);
        check_group_dots(&e, 5, WIDTHS[i][0], 64);
    }
    emulated_close(&e);
}

struct contract_shape {
    size_t n_a, n_b, n_terms, d;
};

/* Two floats of the pair hold one double; they start at the same small number. */
static void check_contract(struct emulated *e, const struct contract_shape *s)
{
    const size_t n_row = s->n_terms * s->d, ld_out = s->n_b + 1, n_out = s->n_a * ld_out;
    struct pair a = pair_of(e, s->n_a * (n_row + 2), 1), b = pair_of(e, s->n_b * (n_row + 5), 1);
    struct contract_params p[2];
    double *want = malloc(n_out * sizeof *want), *got = malloc(n_out * sizeof *got), largest = 0;
    void *device;
    cr_assert(want && got);
    for (size_t i = 0; i < n_out; i++) want[i] = 0.25 * (double)(emulated_random() % 7);
    cr_assert_eq(e->emu->ops->alloc(e->emu, n_out * sizeof *want, &device, &e->err), ST_OK);
    cr_assert_eq(e->emu->ops->upload(e->emu_exec, device, want, n_out * sizeof *want, &e->err),
                 ST_OK);
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct contract_params){.a = a.on[i],
                                        .b = b.on[i],
                                        .out = i ? device : want,
                                        .n_a = s->n_a,
                                        .n_b = s->n_b,
                                        .n_terms = s->n_terms,
                                        .d = s->d,
                                        .ld_a = n_row + 2,
                                        .ld_b = n_row + 5,
                                        .ld_out = ld_out};
    ON_BOTH(e, contract, p[side]);
    cr_assert_eq(e->emu->ops->download(e->emu_exec, got, device, n_out * sizeof *got, &e->err),
                 ST_OK);
    for (size_t i = 0; i < n_out; i++) largest = want[i] > largest ? want[i] : largest;
    for (size_t i = 0; i < n_out; i++)
        cr_assert(got[i] - want[i] <= 2e-6 * largest && want[i] - got[i] <= 2e-6 * largest,
                  "%s, %zu x %zu: sum %zu is %.9g, not %.9g", e->mode, s->n_a, s->n_b, i, got[i],
                  want[i]);
    e->emu->ops->release(e->emu, device);
    free(want);
    free(got);
    FREE_PAIRS(e, &a, &b);
}

ParameterizedTestParameters(kernels_emulated_backward, contractions_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_backward, contractions_match)
{
    static const struct contract_shape CONTRACTIONS[] = {{1, 1, 1, 1},    {31, 3, 31, 31},
                                                         {3, 257, 2, 31}, {36, 40, 3, 768},
                                                         {33, 1, 40, 7},  {257, 31, 1, 257}};
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof CONTRACTIONS / sizeof CONTRACTIONS[0]; i++)
        check_contract(&e, &CONTRACTIONS[i]);
    emulated_close(&e);
}

Test(kernels_emulated_backward, a_backend_with_all_of_them_says_so)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    cr_expect(backend_supports(e.emu, BACKEND_BACKWARD));
    emulated_close(&e);
}
