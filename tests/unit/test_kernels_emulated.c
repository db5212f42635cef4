/* Every operation of the CUDA backend, on the host emulator in each of its modes, against the CPU:
 * at shapes 1, 31, 257 and a real one. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t WIDTHS[] = {1, 31, 257, 768};
enum { N_WIDTHS = sizeof WIDTHS / sizeof WIDTHS[0], N_ROWS = 5 };

/* Criterion copies parameters to the test's process. */
static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

static void check_norm(struct emulated *e, enum norm_kind kind, size_t d, bool has_weight)
{
    struct pair x = pair_of(e, N_ROWS * d, 3), w = pair_of(e, d, 1), b = pair_of(e, d, 1);
    struct norm_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct norm_params){.kind = kind,
                                    .x = x.on[i],
                                    .weight = has_weight ? w.on[i] : NULL,
                                    .bias = has_weight && kind == NORM_LAYER ? b.on[i] : NULL,
                                    .y = x.on[i],
                                    .eps = 1e-5f,
                                    .n_rows = N_ROWS,
                                    .d = d};
    ON_BOTH(e, norm, p[side]);
    pair_expect_same(e, &x, 3e-6, "norm");
    pair_free(e, &x);
    pair_free(e, &w);
    pair_free(e, &b);
}

ParameterizedTestParameters(kernels_emulated, norms_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, norms_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < N_WIDTHS; i++) {
        check_norm(&e, NORM_RMS, WIDTHS[i], true);
        if (WIDTHS[i] == 1) continue; /* nothing is left of one value without its mean */
        check_norm(&e, NORM_LAYER, WIDTHS[i], true);
        check_norm(&e, NORM_LAYER, WIDTHS[i], false);
    }
    emulated_close(&e);
}

static void check_add(struct emulated *e, size_t d, bool has_b, bool has_bias)
{
    struct pair a = pair_of(e, N_ROWS * (d + 3), 1), b = pair_of(e, N_ROWS * d, 1);
    struct pair bias = pair_of(e, d, 1), out = pair_of(e, N_ROWS * (d + 1), 1);
    struct add_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct add_params){.a = a.on[i],
                                   .b = has_b ? b.on[i] : NULL,
                                   .bias = has_bias ? bias.on[i] : NULL,
                                   .out = out.on[i],
                                   .n_rows = N_ROWS,
                                   .d = d,
                                   .ld_a = d + 3,
                                   .ld_out = d + 1};
    ON_BOTH(e, add, p[side]);
    pair_expect_same(e, &out, 0, "add");
    pair_free(e, &a);
    pair_free(e, &b);
    pair_free(e, &bias);
    pair_free(e, &out);
}

static void check_activation(struct emulated *e, enum activation kind, size_t d, bool is_gated)
{
    struct pair pre = pair_of(e, N_ROWS * 2 * d, 9), bias = pair_of(e, 2 * d, 1);
    struct pair out = pair_of(e, N_ROWS * d, 1);
    struct activate_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct activate_params){.kind = kind,
                                        .pre = pre.on[i],
                                        .bias = bias.on[i],
                                        .up = is_gated ? pre.on[i] + d : NULL,
                                        .up_bias = is_gated ? bias.on[i] + d : NULL,
                                        .out = out.on[i],
                                        .n_rows = N_ROWS,
                                        .d = d,
                                        .ld_pre = 2 * d,
                                        .ld_out = d};
    ON_BOTH(e, activate, p[side]);
    pair_expect_same(e, &out, 1e-6, "activate");
    pair_free(e, &pre);
    pair_free(e, &bias);
    pair_free(e, &out);
}

ParameterizedTestParameters(kernels_emulated, sums_and_activations_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, sums_and_activations_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < N_WIDTHS; i++) {
        check_add(&e, WIDTHS[i], true, true);
        check_add(&e, WIDTHS[i], true, false);
        check_add(&e, WIDTHS[i], false, true);
        check_add(&e, WIDTHS[i], false, false);
        for (unsigned kind = 0; kind < ACTIVATION_N; kind++)
            check_activation(&e, (enum activation)kind, WIDTHS[i], kind % 2);
    }
    emulated_close(&e);
}

static void check_embed(struct emulated *e, size_t d, bool has_tokens, bool has_positions)
{
    enum { VOCABULARY = 50, CONTEXT = 7, ROWS = 3 * CONTEXT };
    struct pair tokens = pair_of(e, VOCABULARY * d, 1), positions = pair_of(e, CONTEXT * d, 1);
    struct pair out = pair_of(e, ROWS * d, 1);
    uint32_t ids[ROWS];
    struct embed_params p[2];
    for (size_t i = 0; i < ROWS; i++) ids[i] = emulated_random() % VOCABULARY;
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct embed_params){.tokens = ids,
                                     .token_table = has_tokens ? tokens.on[i] : NULL,
                                     .position_table = has_positions ? positions.on[i] : NULL,
                                     .out = out.on[i],
                                     .n_rows = ROWS,
                                     .n_ctx = CONTEXT,
                                     .d_model = d};
    ON_BOTH(e, embed, p[side]);
    memset(ids, 0, sizeof ids); /* the caller may: the call took what it needs */
    pair_expect_same(e, &out, 0, "embed");
    pair_free(e, &tokens);
    pair_free(e, &positions);
    pair_free(e, &out);
}

static void check_rotate(struct emulated *e, size_t n_heads, size_t d_head)
{
    enum { CONTEXT = 3, ROWS = 7 };
    const size_t ld = n_heads * d_head + 5;
    struct pair x = pair_of(e, ROWS * ld, 1), cos = pair_of(e, CONTEXT * d_head / 2, 1),
                sin = pair_of(e, CONTEXT * d_head / 2, 1);
    struct rotate_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct rotate_params){.x = x.on[i],
                                      .cos = cos.on[i],
                                      .sin = sin.on[i],
                                      .n_rows = ROWS,
                                      .n_ctx = CONTEXT,
                                      .n_heads = n_heads,
                                      .d_head = d_head,
                                      .ld = ld};
    ON_BOTH(e, rotate, p[side]);
    pair_expect_same(e, &x, 0, "rotate");
    pair_free(e, &x);
    pair_free(e, &cos);
    pair_free(e, &sin);
}

ParameterizedTestParameters(kernels_emulated, embedding_and_rotation_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, embedding_and_rotation_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < N_WIDTHS; i++) {
        check_embed(&e, WIDTHS[i], true, true);
        check_embed(&e, WIDTHS[i], true, false);
        check_embed(&e, WIDTHS[i], false, true);
    }
    check_rotate(&e, 1, 2);
    check_rotate(&e, 31, 10);
    check_rotate(&e, 12, 64);
    emulated_close(&e);
}

struct attend_shape {
    size_t n_sequences, n_ctx, n_heads, n_kv_heads, d_head;
};

static void check_attend(struct emulated *e, const struct attend_shape *s)
{
    const size_t n_rows = s->n_sequences * s->n_ctx, d_q = s->n_heads * s->d_head,
                 d_kv = s->n_kv_heads * s->d_head, ld = d_q + 2 * d_kv;
    struct pair qkv = pair_of(e, n_rows * ld, 1), z = pair_of(e, n_rows * d_q, 1);
    uint32_t lengths[8];
    struct attend_params p[2];
    cr_assert_leq(s->n_sequences, 8);
    for (size_t i = 0; i < s->n_sequences; i++) /* full, empty, anything */
        lengths[i] = (uint32_t)(i == 0 ? s->n_ctx : i == 1 ? 0 : emulated_random() % s->n_ctx);
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct attend_params){.q = qkv.on[i],
                                      .k = qkv.on[i] + d_q,
                                      .v = qkv.on[i] + d_q + d_kv,
                                      .z = z.on[i],
                                      .lengths = lengths,
                                      .n_sequences = s->n_sequences,
                                      .n_ctx = s->n_ctx,
                                      .n_heads = s->n_heads,
                                      .n_kv_heads = s->n_kv_heads,
                                      .d_head = s->d_head,
                                      .ld = ld,
                                      .scale = 0.7f};
    ON_BOTH(e, attend, p[side]);
    pair_expect_same(e, &z, 3e-6, "attend");
    pair_free(e, &qkv);
    pair_free(e, &z);
}

ParameterizedTestParameters(kernels_emulated, attention_matches)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, attention_matches)
{
    static const struct attend_shape SHAPES[] = {{1, 1, 1, 1, 1},    {3, 31, 3, 1, 8},
                                                 {1, 257, 1, 1, 33}, {2, 64, 4, 2, 64},
                                                 {1, 40, 2, 2, 128}, {1, 33, 1, 1, 256}};
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) check_attend(&e, &SHAPES[i]);
    emulated_close(&e);
}

static void check_head_norms(struct emulated *e, size_t n_rows, size_t n_heads, size_t d)
{
    struct pair z = pair_of(e, n_rows * n_heads * d, 1), factors = pair_of(e, n_heads * d * d, 1);
    struct pair out = pair_of(e, n_rows * n_heads, 1);
    struct head_norms_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct head_norms_params){.z = z.on[i],
                                          .factors = factors.on[i],
                                          .out = out.on[i],
                                          .n_rows = n_rows,
                                          .n_heads = n_heads,
                                          .d_head = d};
    ON_BOTH(e, head_norms, p[side]);
    pair_expect_same(e, &out, 1e-6, "head norms");
    pair_free(e, &z);
    pair_free(e, &factors);
    pair_free(e, &out);
}

ParameterizedTestParameters(kernels_emulated, head_norms_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, head_norms_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    check_head_norms(&e, 1, 1, 1);
    check_head_norms(&e, 3, 31, 8);
    check_head_norms(&e, 2, 2, 257);
    check_head_norms(&e, 7, 12, 64);
    emulated_close(&e);
}

static void check_matmul(struct emulated *e, enum compute compute, size_t n_in, size_t n_out,
                         bool is_transposed)
{
    enum { ROWS = 32 }; /* two blocks */
    struct pair x = pair_of(e, ROWS * (n_in + 2), 1), y = pair_of(e, ROWS * (n_out + 3), 1);
    struct pair weights = pair_of(e, n_in * n_out, 1);
    struct packed *packed[2];
    struct matmul_params p[2];
    char what[80];
    const struct pack_params pack = {.n_in = n_in,
                                     .n_out = n_out,
                                     .weights = weights.on[0],
                                     .is_transposed = is_transposed,
                                     .compute = compute};
    for (size_t i = 0; i < 2; i++) {
        struct backend *backend = i ? e->emu : e->cpu;
        cr_assert_eq(backend->ops->packed_create(&packed[i], backend, &pack, &e->err), ST_OK);
        p[i] = (struct matmul_params){.weights = packed[i],
                                      .x = x.on[i],
                                      .y = y.on[i],
                                      .ld_x = n_in + 2,
                                      .ld_y = n_out + 3,
                                      .n_rows = ROWS};
    }
    ON_BOTH(e, matmul, p[side]);
    (void)snprintf(what, sizeof what, "%s product %zu -> %zu", compute_name(compute), n_in, n_out);
    pair_expect_same(e, &y, compute == COMPUTE_BF16X3 ? 3e-6 : 1e-6, what);
    for (size_t i = 0; i < 2; i++) (i ? e->emu : e->cpu)->ops->packed_destroy(packed[i]);
    pair_free(e, &x);
    pair_free(e, &y);
    pair_free(e, &weights);
}

ParameterizedTestParameters(kernels_emulated, products_match)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, products_match)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
        check_matmul(&e, (enum compute)compute, 1, 1, false);
        check_matmul(&e, (enum compute)compute, 31, 257, false);
        check_matmul(&e, (enum compute)compute, 257, 31, true);
        check_matmul(&e, (enum compute)compute, 768, 96, false);
    }
    emulated_close(&e);
}

Test(kernels_emulated, large_copies_pass_through_the_pinned_buffers)
{
    enum { N = 700001 }; /* 2.8 MB: several buffers full, and a rest */
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[5], 16);
    struct pair from = pair_of(&e, N, 1), to = pair_of(&e, N, 1);
    cr_assert_eq(e.emu->ops->copy(e.emu_exec, to.on[1], from.on[1], N * sizeof(float), &e.err),
                 ST_OK);
    memcpy(to.on[0], from.on[0], N * sizeof(float));
    pair_expect_same(&e, &to, 0, "copies");
    pair_free(&e, &from);
    pair_free(&e, &to);
    emulated_close(&e);
}

Test(kernels_emulated, a_full_device_says_what_it_lacks)
{
    struct emulated e;
    void *memory;
    cr_assert_eq(setenv("INTERP_EMU_MEMORY_MIB", "40", 1), 0);
    emulated_open(&e, &EMULATED_MODES[0], 16);
    cr_expect_eq(e.emu->ops->alloc(e.emu, 64 << 20, &memory, &e.err), ST_NO_MEMORY);
    cr_expect(strstr(e.err.text, "67108864 bytes on the device, 37748736 of 41943040 are free"),
              "%s", e.err.text);
    emulated_close(&e);
}

Test(kernels_plugin, names_what_it_cannot_open)
{
    static const struct {
        const char *name;
        status_t status;
        const char *says;
    } CASES[] = {{"gpu", ST_BAD_INPUT, "backend 'gpu' is not auto, cpu, cuda"},
                 {"cuda:x", ST_BAD_INPUT, "backend 'cuda:x'"},
                 {"cuda:", ST_BAD_INPUT, "backend 'cuda:'"},
                 {"cpu:0", ST_BAD_INPUT, "backend 'cpu:0'"},
                 {"emu:1", ST_BAD_INPUT, "backend emu:1: this machine has 1"},
                 {"cpu:GPU-1", ST_BAD_INPUT, "backend 'cpu:GPU-1'"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct backend *backend = NULL;
        struct error err = {0};
        cr_expect_eq(backend_open(CASES[i].name, &backend, &err), CASES[i].status, "%s",
                     CASES[i].name);
        cr_expect(strstr(err.text, CASES[i].says), "%s: %s", CASES[i].name, err.text);
        cr_expect_null(backend);
    }
}

Test(kernels_plugin, a_missing_library_is_named_and_auto_does_without)
{
    struct backend *backend = NULL;
    struct error err = {0};
    cr_assert_eq(setenv("INTERP_PLUGIN_DIR", "/nonexistent", 1), 0);
    cr_expect_eq(backend_open("cuda", &backend, &err), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "backend cuda: there is no /nonexistent/libinterp_cuda.so");
    error_clear(&err);
    cr_assert_eq(backend_open("auto", &backend, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(backend->ops->name, "cpu");
    backend_close(&backend);
}
