/* Every operation of the CUDA backend, on the host emulator in each of its modes, against the CPU:
 * at shapes 1, 31, 257 and a real one. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one check per operation: a case's numbers are what the operation's table below says -- */
struct op_case {
    size_t shape[5];
    unsigned kind;  /* of the operation's enum, or flags */
    float soft_cap; /* of attend */
};

/* shape: width, rows; kind: a norm_kind, + 2 with weights */
static void check_norm(struct emulated *e, const struct op_case *c)
{
    const size_t d = c->shape[0], n = c->shape[1];
    const enum norm_kind kind = (enum norm_kind)(c->kind % 2);
    const bool has_weight = c->kind >= 2;
    struct pair x = pair_of(e, n * d, 3), w = pair_of(e, d, 1), b = pair_of(e, d, 1);
    struct norm_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct norm_params){.kind = kind,
                                    .x = x.on[i],
                                    .weight = has_weight ? w.on[i] : NULL,
                                    .bias = has_weight && kind == NORM_LAYER ? b.on[i] : NULL,
                                    .y = x.on[i],
                                    .eps = 1e-5f,
                                    .n_rows = n,
                                    .d = d};
    ON_BOTH(e, norm, p[side]);
    pair_expect_same(e, &x, 3e-6, "norm");
    pair_free(e, &x);
    pair_free(e, &w);
    pair_free(e, &b);
}

/* shape: width, rows; kind: 1 with b, + 2 with a bias */
static void check_add(struct emulated *e, const struct op_case *c)
{
    const size_t d = c->shape[0], n = c->shape[1];
    struct pair a = pair_of(e, n * (d + 3), 1), b = pair_of(e, n * d, 1);
    struct pair bias = pair_of(e, d, 1), out = pair_of(e, n * (d + 1), 1);
    struct add_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct add_params){.a = a.on[i],
                                   .b = c->kind & 1u ? b.on[i] : NULL,
                                   .bias = c->kind & 2u ? bias.on[i] : NULL,
                                   .out = out.on[i],
                                   .n_rows = n,
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

/* shape: width, rows; kind: an activation, + ACTIVATION_N gated (SwiGLU, GeGLU of both kinds),
 * + 2 ACTIVATION_N without biases */
static void check_activation(struct emulated *e, const struct op_case *c)
{
    const size_t d = c->shape[0], n = c->shape[1];
    const bool is_gated = c->kind / ACTIVATION_N % 2 == 1, has_bias = c->kind < 2 * ACTIVATION_N;
    struct pair pre = pair_of(e, n * 2 * d, 9), bias = pair_of(e, 2 * d, 1);
    struct pair out = pair_of(e, n * d, 1);
    struct activate_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct activate_params){.kind = (enum activation)(c->kind % ACTIVATION_N),
                                        .pre = pre.on[i],
                                        .bias = has_bias ? bias.on[i] : NULL,
                                        .up = is_gated ? pre.on[i] + d : NULL,
                                        .up_bias = is_gated && has_bias ? bias.on[i] + d : NULL,
                                        .out = out.on[i],
                                        .n_rows = n,
                                        .d = d,
                                        .ld_pre = 2 * d,
                                        .ld_out = d};
    ON_BOTH(e, activate, p[side]);
    pair_expect_same(e, &out, 1e-6, "activate");
    pair_free(e, &pre);
    pair_free(e, &bias);
    pair_free(e, &out);
}

/* shape: width, rows; kind: 1 tokens, + 2 positions */
static void check_embed(struct emulated *e, const struct op_case *c)
{
    enum { VOCABULARY = 50, CONTEXT = 7, MOST_ROWS = 257 };
    const size_t d = c->shape[0], n = c->shape[1];
    struct pair tokens = pair_of(e, VOCABULARY * d, 1), positions = pair_of(e, CONTEXT * d, 1);
    struct pair out = pair_of(e, n * d, 1);
    uint32_t ids[MOST_ROWS];
    struct embed_params p[2];
    cr_assert_leq(n, MOST_ROWS);
    for (size_t i = 0; i < n; i++) ids[i] = emulated_random() % VOCABULARY;
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct embed_params){.tokens = ids,
                                     .token_table = c->kind & 1u ? tokens.on[i] : NULL,
                                     .position_table = c->kind & 2u ? positions.on[i] : NULL,
                                     .out = out.on[i],
                                     .n_rows = n,
                                     .n_ctx = CONTEXT,
                                     .d_model = d};
    ON_BOTH(e, embed, p[side]);
    memset(ids, 0, sizeof ids); /* the caller may: the call took what it needs */
    pair_expect_same(e, &out, 0, "embed");
    pair_free(e, &tokens);
    pair_free(e, &positions);
    pair_free(e, &out);
}

/* shape: heads, head size, rows; kind: 1 interleaved */
static void check_rotate(struct emulated *e, const struct op_case *c)
{
    enum { CONTEXT = 3 };
    const size_t n_heads = c->shape[0], d_head = c->shape[1], n = c->shape[2],
                 ld = n_heads * d_head + 5;
    struct pair x = pair_of(e, n * ld, 1), cos = pair_of(e, CONTEXT * d_head / 2, 1),
                sin = pair_of(e, CONTEXT * d_head / 2, 1);
    struct rotate_params p[2];
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct rotate_params){.x = x.on[i],
                                      .cos = cos.on[i],
                                      .sin = sin.on[i],
                                      .n_rows = n,
                                      .n_ctx = CONTEXT,
                                      .n_heads = n_heads,
                                      .d_head = d_head,
                                      .ld = ld,
                                      .is_interleaved = c->kind == 1};
    ON_BOTH(e, rotate, p[side]);
    pair_expect_same(e, &x, 0, "rotate");
    pair_free(e, &x);
    pair_free(e, &cos);
    pair_free(e, &sin);
}

/* shape: sequences, context, heads, key/value heads, head size; kind: window */
static void check_attend(struct emulated *e, const struct op_case *c)
{
    const size_t n_sequences = c->shape[0], n_ctx = c->shape[1], n_heads = c->shape[2],
                 n_kv_heads = c->shape[3], d_head = c->shape[4];
    const size_t n_rows = n_sequences * n_ctx, d_q = n_heads * d_head, d_kv = n_kv_heads * d_head,
                 ld = d_q + 2 * d_kv;
    struct pair qkv = pair_of(e, n_rows * ld, 1), z = pair_of(e, n_rows * d_q, 1);
    uint32_t lengths[31];
    struct attend_params p[2];
    cr_assert_leq(n_sequences, 31);
    for (size_t i = 0; i < n_sequences; i++) /* full, empty, anything */
        lengths[i] = (uint32_t)(i == 0 ? n_ctx : i == 1 ? 0 : emulated_random() % n_ctx);
    for (size_t i = 0; i < 2; i++)
        p[i] = (struct attend_params){.q = qkv.on[i],
                                      .k = qkv.on[i] + d_q,
                                      .v = qkv.on[i] + d_q + d_kv,
                                      .z = z.on[i],
                                      .lengths = lengths,
                                      .n_sequences = n_sequences,
                                      .n_ctx = n_ctx,
                                      .n_heads = n_heads,
                                      .n_kv_heads = n_kv_heads,
                                      .d_head = d_head,
                                      .ld = ld,
                                      .window = c->kind,
                                      .scale = 0.7f,
                                      .soft_cap = c->soft_cap};
    ON_BOTH(e, attend, p[side]);
    pair_expect_same(e, &z, 3e-6, "attend");
    pair_free(e, &qkv);
    pair_free(e, &z);
}

/* shape: rows, heads, head size */
static void check_head_norms(struct emulated *e, const struct op_case *c)
{
    const size_t n_rows = c->shape[0], n_heads = c->shape[1], d = c->shape[2];
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

/* As a share of the largest value. Below AVX-512 the CPU sums stretches of 256 in a chain: the
 * emulator's chain of 768 f32 sums is up to 1.4e-6 from the exact value, those up to 0.6e-6, and
 * they differ by up to 1.3e-6 (numpy, 20 draws). bf16x3 is f32 there (kernels/README.md), so what
 * three products leave out shows: up to 3 2^-18 of each term, for the product of the low parts and
 * for their rounding. */
static double product_tolerance(const struct emulated *e, enum compute compute)
{
    static const double TOLERANCE[COMPUTE_N] = {[COMPUTE_F32] = 1e-6,
                                                [COMPUTE_BF16X3] = 3e-6,
                                                [COMPUTE_BF16] = 1e-6,
                                                [COMPUTE_TF32] = 1e-3 /* the CPU's are f32 */};
    static const double OF_CHAINS[COMPUTE_N] = {
        [COMPUTE_F32] = 1e-6, [COMPUTE_BF16X3] = 3 * 0x1p-18};
    static const double OF_DEVICES[COMPUTE_N] = {1e-5, 3e-5, 3e-5, 2e-3}; /* the self-test's */
    if (strcmp(e->mode, "device") == 0) return OF_DEVICES[compute];
    const bool has_chains = !strstr(e->cpu->ops->describe(e->cpu), "avx512");
    return TOLERANCE[compute] + (has_chains ? OF_CHAINS[compute] : 0);
}

/* shape: columns in, columns out, rows; kind: a compute, + COMPUTE_N transposed */
static void check_matmul(struct emulated *e, const struct op_case *c)
{
    const size_t n_in = c->shape[0], n_out = c->shape[1], n = c->shape[2];
    const enum compute compute = (enum compute)(c->kind % COMPUTE_N);
    struct pair x = pair_of(e, n * (n_in + 2), 1), y = pair_of(e, n * (n_out + 3), 1);
    struct pair weights = pair_of(e, n_in * n_out, 1);
    struct packed *packed[2];
    struct matmul_params p[2];
    char what[80];
    const struct pack_params pack = {.n_in = n_in,
                                     .n_out = n_out,
                                     .weights = weights.on[0],
                                     .is_transposed = c->kind >= COMPUTE_N,
                                     .compute = compute};
    for (size_t i = 0; i < 2; i++) {
        struct backend *backend = i ? e->emu : e->cpu;
        cr_assert_eq(backend->ops->packed_create(&packed[i], backend, &pack, &e->err), ST_OK);
        p[i] = (struct matmul_params){.weights = packed[i],
                                      .x = x.on[i],
                                      .y = y.on[i],
                                      .ld_x = n_in + 2,
                                      .ld_y = n_out + 3,
                                      .n_rows = n};
    }
    ON_BOTH(e, matmul, p[side]);
    (void)snprintf(what, sizeof what, "%s product %zu -> %zu", compute_name(compute), n_in, n_out);
    pair_expect_same(e, &y, product_tolerance(e, compute), what);
    for (size_t i = 0; i < 2; i++) (i ? e->emu : e->cpu)->ops->packed_destroy(packed[i]);
    pair_free(e, &x);
    pair_free(e, &y);
    pair_free(e, &weights);
}

/* shape: width, rows; kind: a prepare_kind, + 3 centred, + 6 with a bias */
static void check_prepare(struct emulated *e, const struct op_case *c)
{
    const size_t d = c->shape[0], n = c->shape[1];
    struct pair x = pair_of(e, n * d, 3), bias = pair_of(e, d, 1), out = pair_of(e, n * d, 1);
    struct pair scales = pair_of(e, n, 1);
    for (size_t in_place = 0; in_place < 2; in_place++) {
        struct prepare_params p[2];
        for (size_t i = 0; i < 2; i++)
            p[i] = (struct prepare_params){.x = x.on[i],
                                           .bias = c->kind >= 6 ? bias.on[i] : NULL,
                                           .out = in_place ? x.on[i] : out.on[i],
                                           .n_rows = n,
                                           .d = d,
                                           .kind = (enum prepare_kind)(c->kind % 3),
                                           .is_centred = c->kind / 3 % 2 == 1,
                                           .scales = scales.on[i]};
        ON_BOTH(e, prepare, p[side]);
        pair_expect_same(e, in_place ? &x : &out, 0, "prepare");
        pair_expect_same(e, &scales, 0, "what undoes the norm");
    }
    pair_free(e, &x);
    pair_free(e, &bias);
    pair_free(e, &out);
    pair_free(e, &scales);
}

/* shape: floats */
static void check_copy(struct emulated *e, const struct op_case *c)
{
    struct pair from = pair_of(e, c->shape[0], 1), to = pair_of(e, c->shape[0], 1);
    for (size_t i = 0; i < 2; i++) {
        struct backend *backend = i ? e->emu : e->cpu;
        cr_assert_eq(backend->ops->copy(i ? e->emu_exec : e->cpu_exec, to.on[i], from.on[i],
                                        to.n * sizeof(float), &e->err),
                     ST_OK, "%s: %s", e->mode, e->err.text);
    }
    pair_expect_same(e, &to, 0, "copy");
    pair_free(e, &from);
    pair_free(e, &to);
}

/* --- the table: operation x shape (1, 31, 257 and a real one) x kind -- */
static const size_t LENGTHS[][5] = {{1}, {31}, {257}, {768}, {0}};
static const size_t WIDTHS[][5] = {{1, 257}, {31, 1}, {257, 31}, {768, 5}, {0}};
static const size_t HEADS[][5] = {{1, 2, 1},    {31, 10, 31}, {3, 256, 7},
                                  {5, 32, 257}, {12, 64, 7},  {0}};
static const size_t HEAD_NORMS[][5] = {{1, 1, 1},    {31, 31, 8}, {2, 2, 257},
                                       {257, 3, 31}, {7, 12, 64}, {0}};
static const size_t PRODUCTS[][5] = {{1, 1, 32}, {31, 257, 32}, {257, 31, 32}, {768, 96, 32}, {0}};

static const struct op {
    void (*check)(struct emulated *e, const struct op_case *c);
    const size_t (*shapes)[5]; /* ended by a 0 */
    unsigned n_kinds;
} OPS[] = {{check_norm, WIDTHS, 4},
           {check_add, WIDTHS, 4},
           {check_copy, LENGTHS, 1},
           {check_activation, WIDTHS, 4 * ACTIVATION_N},
           {check_embed, WIDTHS, 4},
           {check_rotate, HEADS, 2},
           {check_head_norms, HEAD_NORMS, 1},
           {check_prepare, WIDTHS, 12},
           {check_matmul, PRODUCTS, 2 * COMPUTE_N}};

/* Embedding from no table is refused; of one value nothing is left without its mean. */
static bool is_meaningless(const struct op *op, const struct op_case *c)
{
    return (op->check == check_embed && c->kind == 0) ||
           (op->check == check_norm && c->shape[0] == 1 && c->kind % 2 == NORM_LAYER) ||
           (op->check == check_prepare && c->shape[0] == 1 && c->kind % 6 != PREPARE_NONE);
}

/* Attention has more to it than a width: heads of every size class, groups, windows, caps. */
static const struct op_case ATTENTIONS[] = {
    {{1, 1, 1, 1, 1}, 0, 0},      {{3, 31, 3, 1, 8}, 0, 0},     {{1, 257, 1, 1, 33}, 0, 0},
    {{2, 64, 4, 2, 64}, 0, 0},    {{1, 40, 2, 2, 128}, 0, 0},   {{1, 33, 1, 1, 256}, 0, 0},
    {{1, 9, 6, 3, 32}, 0, 0},     {{1, 70, 2, 1, 80}, 0, 0},    {{1, 33, 2, 1, 96}, 0, 0},
    {{1, 1, 1, 1, 1}, 1, 0.5f},   {{3, 31, 3, 1, 8}, 1, 0},     {{1, 257, 1, 1, 33}, 31, 0},
    {{1, 257, 1, 1, 5}, 100, 2},  {{3, 64, 4, 2, 64}, 0, 1},    {{1, 40, 2, 2, 128}, 8, 0.7f},
    {{1, 33, 1, 1, 256}, 32, 30}, {{1, 70, 2, 1, 80}, 1000, 0}, {{1, 130, 1, 1, 64}, 33, 0},
    {{31, 3, 2, 1, 16}, 0, 0},    {{1, 31, 31, 1, 32}, 0, 0},   {{1, 40, 4, 2, 192}, 0, 0},
    {{1, 40, 2, 1, 256}, 17, 50}, {{1, 64, 12, 12, 64}, 0, 0},  {{1, 31, 31, 31, 5}, 7, 9}};

/* Criterion copies parameters to the test's process. */
static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTestParameters(kernels_emulated, every_operation_matches)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, every_operation_matches)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof OPS / sizeof OPS[0]; i++) {
        for (const size_t(*shape)[5] = OPS[i].shapes; (*shape)[0]; shape++) {
            for (unsigned kind = 0; kind < OPS[i].n_kinds; kind++) {
                struct op_case c = {.kind = kind};
                memcpy(c.shape, *shape, sizeof c.shape);
                if (!is_meaningless(&OPS[i], &c)) OPS[i].check(&e, &c);
            }
        }
    }
    emulated_close(&e);
}

ParameterizedTestParameters(kernels_emulated, attention_matches)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated, attention_matches)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof ATTENTIONS / sizeof ATTENTIONS[0]; i++)
        check_attend(&e, &ATTENTIONS[i]);
    emulated_close(&e);
}

ParameterizedTestParameters(kernels_emulated, products_match_in_blocks_of_any_size)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated,
                  products_match_in_blocks_of_any_size)
{
    static const size_t ROW_BLOCKS[] = {1, 31, 257, 256};
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof ROW_BLOCKS / sizeof ROW_BLOCKS[0]; i++) {
        struct emulated blocks = e;
        const struct exec_params params = {.row_block = ROW_BLOCKS[i]};
        cr_assert_eq(e.cpu->ops->exec_create(&blocks.cpu_exec, e.cpu, &params, &e.err), ST_OK);
        cr_assert_eq(e.emu->ops->exec_create(&blocks.emu_exec, e.emu, &params, &e.err), ST_OK);
        for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
            const struct op_case c = {.shape = {33, 40, 2 * ROW_BLOCKS[i]}, .kind = compute};
            check_matmul(&blocks, &c);
        }
        e.cpu->ops->exec_destroy(blocks.cpu_exec);
        e.emu->ops->exec_destroy(blocks.emu_exec);
    }
    emulated_close(&e);
}

/* Tiles of queries and stretches of columns have a block each, and an axis of a grid but the first
 * has room for 65,535 of them. */
Test(kernels_emulated, more_blocks_than_a_short_axis_has_are_launched)
{
    static const uint32_t LENGTH = 1;
    enum { N_BLOCKS = 65536, QUERIES = 32, COLUMNS = 256 };
    const size_t n_ctx = (size_t)N_BLOCKS * QUERIES, d = (size_t)N_BLOCKS * COLUMNS;
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    struct pair q = pair_of(&e, 1, 1), z = pair_of(&e, n_ctx, 1), x = pair_of(&e, d, 1);
    struct attend_params attend[2];
    struct add_params add[2];
    for (size_t i = 0; i < 2; i++) {
        attend[i] = (struct attend_params){.q = q.on[i], /* rows behind the length are not read */
                                           .k = q.on[i],
                                           .v = q.on[i],
                                           .z = z.on[i],
                                           .lengths = &LENGTH,
                                           .n_sequences = 1,
                                           .n_ctx = n_ctx,
                                           .n_heads = 1,
                                           .n_kv_heads = 1,
                                           .d_head = 1,
                                           .ld = 1,
                                           .scale = 1};
        add[i] = (struct add_params){.a = x.on[i],
                                     .b = x.on[i],
                                     .out = x.on[i],
                                     .n_rows = 1,
                                     .d = d,
                                     .ld_a = d,
                                     .ld_out = d};
    }
    ON_BOTH(&e, attend, attend[side]);
    pair_expect_same(&e, &z, 1e-6, "attention of a long context");
    ON_BOTH(&e, add, add[side]);
    pair_expect_same(&e, &x, 0, "sum of wide rows");
    pair_free(&e, &q);
    pair_free(&e, &z);
    pair_free(&e, &x);
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
                 {"emu:1", ST_NOT_FOUND, "backend emu:1: this machine has 1 device, emu:0"},
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
    cr_expect(strstr(err.text, "backend cuda: there is no /nonexistent/libinterp_cuda.so ('make "
                               "cuda' builds it; "),
              "%s", err.text);
    error_clear(&err);
    cr_expect_eq(backend_open("emu", &backend, &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, "/libinterp_emu.so ('make emulator' builds it; "), "%s", err.text);
    error_clear(&err);
    cr_assert_eq(backend_open("auto", &backend, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(backend->ops->name, "cpu");
    backend_close(&backend);
}
