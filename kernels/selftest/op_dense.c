/* Cases of the forward operations. Sizes: a few odd numbers before a plugin is used, where one
 * wrong row or column shows; a real width (768) for the CPU; enough to keep a device busy. */
#include "kernels/selftest/op_trial.h"

#include <stdio.h>
#include <stdlib.h>

OP_RUN(matmul)
OP_RUN(embed)
OP_RUN(norm)
OP_RUN(add)
OP_RUN(activate)
OP_RUN(rotate)
OP_RUN(attend)
OP_RUN(head_norms)

struct copy_params {
    float *to;
    const float *from;
    size_t n;
};

static status_t run_copy(const struct op_side *side, const void *params, struct error *err)
{
    const struct copy_params *p = params;
    return side->backend->ops->copy(side->exec, p->to, p->from, p->n * sizeof(float), err);
}

/* Up, across and down again; more than one pinned buffer where there is time for it. */
void op_case_copy(struct op_trial *t)
{
    const size_t n = op_pick(t, 1001, 700001, 700001, 16 << 20);
    const struct op_array from = op_floats(t, n, 0, 1), to = op_floats(t, n, 0, 1);
    const struct copy_params params[OP_SIDES] = {{to.on[0], from.on[0], n},
                                                 {to.on[1], from.on[1], n}};
    struct op_call call = {.variant = "up, across, down",
                           .run = run_copy,
                           .params = {&params[0], &params[1]},
                           .out = {to},
                           .n_bytes = 8.0 * (double)n};
    (void)snprintf(call.shape, sizeof call.shape, "%zu", n);
    op_check(t, &call);
}

struct product_shape {
    size_t n_in, n_out, n_rows;
    bool is_transposed;
};

static void check_product(struct op_trial *t, const struct product_shape *s, enum compute compute)
{
    /* rows apart where that is cheap: oneDNN is slow with them, and no model has them */
    const size_t gap = op_pick(t, 4, 4, 0, 0), ld_x = s->n_in + gap, ld_y = s->n_out + 2 * gap;
    float *weights = op_host_floats(t, s->n_in * s->n_out, 0, 1);
    const struct op_array x = op_floats(t, s->n_rows * ld_x, 0, 1),
                          y = op_floats(t, s->n_rows * ld_y, 0, 1);
    const struct pack_params pack = {.n_in = s->n_in,
                                     .n_out = s->n_out,
                                     .weights = weights,
                                     .is_transposed = s->is_transposed,
                                     .compute = compute};
    struct packed *packed[OP_SIDES] = {NULL, NULL};
    struct matmul_params p[OP_SIDES];
    struct op_call call = {.variant = s->is_transposed ? "[out, in]" : "[in, out]",
                           .compute = compute,
                           .run = run_matmul,
                           .params = {&p[0], &p[1]},
                           .out = {y}};
    (void)snprintf(call.shape, sizeof call.shape, "%zux%zu->%zu", s->n_rows, s->n_in, s->n_out);
    for (size_t i = 0; i < OP_SIDES && t->status == ST_OK; i++) {
        struct backend *b = t->sides[i].backend;
        t->status = b->ops->packed_create(&packed[i], b, &pack, t->err);
        p[i] = (struct matmul_params){.weights = packed[i],
                                      .x = x.on[i],
                                      .y = y.on[i],
                                      .ld_x = ld_x,
                                      .ld_y = ld_y,
                                      .n_rows = s->n_rows};
    }
    const struct accounted_product product = {.n_in = s->n_in,
                                              .n_out = s->n_out,
                                              .n_rows = s->n_rows,
                                              .row_block = t->row_block,
                                              .compute = compute};
    OP_COST(&call, matmul, &product);
    op_check(t, &call);
    for (size_t i = 0; i < OP_SIDES; i++)
        if (packed[i]) t->sides[i].backend->ops->packed_destroy(packed[i]);
    free(weights);
}

void op_case_matmul(struct op_trial *t)
{
    const struct product_shape shape = {.n_in = op_pick(t, 31, 257, 768, 4096),
                                        .n_out = op_pick(t, 33, 96, 768, 4096),
                                        .n_rows = t->row_block * op_pick(t, 1, 2, 2, 8)};
    struct product_shape turned = shape;
    turned.is_transposed = true;
    for (unsigned compute = 0; compute < COMPUTE_N; compute++)
        check_product(t, &shape, (enum compute)compute);
    check_product(t, &turned, COMPUTE_F32);
    check_product(t, &turned, COMPUTE_BF16);
}

/* "256x768" */
static void name_shape(struct op_call *call, size_t n_rows, size_t d)
{
    (void)snprintf(call->shape, sizeof call->shape, "%zux%zu", n_rows, d);
}

static size_t rows_of(const struct op_trial *t)
{
    return op_pick(t, 5, 9, 257, 4096);
}

static size_t width_of(const struct op_trial *t)
{
    return op_pick(t, 37, 257, 768, 4096);
}

void op_case_embed(struct op_trial *t)
{
    enum { N_VOCAB = 97, N_CTX = 7 };
    const size_t n = rows_of(t), d = width_of(t);
    const struct op_array tokens_table = op_floats(t, N_VOCAB * d, 0, 1),
                          positions = op_floats(t, N_CTX * d, 0, 1),
                          out = op_floats(t, n * d, 0, 1);
    uint32_t *tokens = calloc(n, sizeof *tokens);
    if (!tokens && t->status == ST_OK) t->status = error_set(t->err, ST_NO_MEMORY, "%zu tokens", n);
    for (size_t i = 0; tokens && i < n; i++) tokens[i] = op_below(t, N_VOCAB);
    for (int form = 0; form < 3; form++) {
        static const char *const FORMS[] = {"tokens and positions", "tokens", "positions"};
        struct embed_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES; i++)
            p[i] = (struct embed_params){.tokens = tokens,
                                         .token_table = form == 2 ? NULL : tokens_table.on[i],
                                         .position_table = form == 1 ? NULL : positions.on[i],
                                         .out = out.on[i],
                                         .n_rows = n,
                                         .n_ctx = N_CTX,
                                         .d_model = d};
        struct op_call call = {
            .variant = FORMS[form], .run = run_embed, .params = {&p[0], &p[1]}, .out = {out}};
        name_shape(&call, n, d);
        OP_COST(&call, embed, &p[0]);
        op_check(t, &call);
    }
    free(tokens);
}

void op_case_norm(struct op_trial *t)
{
    const size_t n = rows_of(t), d = width_of(t);
    const struct op_array x = op_floats(t, n * d, 0.5f, 2), y = op_floats(t, n * d, 0, 1),
                          weight = op_floats(t, d, 1, 0.5f), bias = op_floats(t, d, 0, 1);
    for (int form = 0; form < 3; form++) {
        static const char *const FORMS[] = {"layer", "layer, bare", "rms"};
        struct norm_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES; i++)
            p[i] = (struct norm_params){.kind = form == 2 ? NORM_RMS : NORM_LAYER,
                                        .x = x.on[i],
                                        .weight = form == 1 ? NULL : weight.on[i],
                                        .bias = form == 0 ? bias.on[i] : NULL,
                                        .y = y.on[i],
                                        .eps = 1e-5f,
                                        .n_rows = n,
                                        .d = d};
        struct op_call call = {
            .variant = FORMS[form], .run = run_norm, .params = {&p[0], &p[1]}, .out = {y}};
        name_shape(&call, n, d);
        OP_COST(&call, norm, &p[0]);
        op_check(t, &call);
    }
}

/* Recorded and replayed, where the backend can. */
static status_t run_add_again(const struct op_side *side, const void *params, struct error *err)
{
    const struct backend_ops *ops = side->backend->ops;
    const uint32_t lengths[] = {1};
    struct recording *recording = NULL;
    if (!ops->replay) return ops->add(side->exec, params, err);
    status_t status = ops->record_begin(side->exec, lengths, 1, err);
    if (status != ST_OK) return status;
    status = ops->add(side->exec, params, err);
    if (status == ST_OK)
        status = ops->record_end(side->exec, &recording, err);
    else
        (void)ops->record_end(side->exec, NULL, NULL);
    if (status == ST_OK) status = ops->replay(recording, lengths, 1, err);
    ops->recording_destroy(recording);
    return status;
}

void op_case_add(struct op_trial *t)
{
    const size_t n = rows_of(t), d = width_of(t), ld = d + 3;
    const struct op_array a = op_floats(t, n * ld, 0, 1), b = op_floats(t, n * d, 0, 1),
                          bias = op_floats(t, d, 0, 1), out = op_floats(t, n * ld, 0, 1);
    for (int form = 0; form < 4; form++) {
        static const char *const FORMS[] = {"rows and bias", "rows", "bias", "replayed"};
        if (form == 3 && !t->sides[OP_TESTED].backend->ops->replay) break;
        struct add_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES; i++)
            p[i] = (struct add_params){.a = a.on[i],
                                       .b = form == 2 ? NULL : b.on[i],
                                       .bias = form == 1 ? NULL : bias.on[i],
                                       .out = out.on[i],
                                       .n_rows = n,
                                       .d = d,
                                       .ld_a = ld,
                                       .ld_out = ld};
        struct op_call call = {.variant = FORMS[form],
                               .run = form == 3 ? run_add_again : run_add,
                               .params = {&p[0], &p[1]},
                               .out = {out}};
        name_shape(&call, n, d);
        OP_COST(&call, add, &p[0]);
        op_check(t, &call);
    }
}

void op_case_activate(struct op_trial *t)
{
    static const char *const KINDS[ACTIVATION_N] = {"gelu tanh", "gelu erf", "silu", "relu"};
    const size_t n = rows_of(t), d = width_of(t), ld = 2 * d + 3;
    const struct op_array pre = op_floats(t, n * ld, 0, 6), bias = op_floats(t, 2 * d, 0, 1),
                          out = op_floats(t, n * d, 0, 1);
    for (unsigned form = 0; form < 2 * ACTIVATION_N; form++) {
        const bool is_gated = form >= ACTIVATION_N;
        char variant[OP_TEXT_SIZE];
        struct activate_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES; i++)
            p[i] = (struct activate_params){.kind = (enum activation)(form % ACTIVATION_N),
                                            .pre = pre.on[i],
                                            .bias = bias.on[i],
                                            .out = out.on[i],
                                            .n_rows = n,
                                            .d = d,
                                            .ld_pre = ld,
                                            .ld_out = d};
        for (size_t i = 0; i < OP_SIDES && is_gated && t->status == ST_OK; i++) {
            p[i].up = pre.on[i] + d;
            p[i].up_bias = bias.on[i] + d;
        }
        (void)snprintf(variant, sizeof variant, "%s%s", KINDS[form % ACTIVATION_N],
                       is_gated ? ", gated" : "");
        struct op_call call = {
            .variant = variant, .run = run_activate, .params = {&p[0], &p[1]}, .out = {out}};
        name_shape(&call, n, d);
        OP_COST(&call, activate, &p[0]);
        op_check(t, &call);
    }
}

void op_case_rotate(struct op_trial *t)
{
    enum { N_CTX = 5 };
    const size_t n = rows_of(t), n_heads = op_pick(t, 3, 5, 12, 32), d = op_pick(t, 6, 10, 64, 128);
    const size_t half = d / 2, ld = n_heads * d + 4;
    const struct op_array cos = op_floats(t, N_CTX * half, 0, 0.7f),
                          sin = op_floats(t, N_CTX * half, 0, 0.7f);
    for (int form = 0; form < 2; form++) {
        const struct op_array x = op_floats(t, n * ld, 0, 1); /* in place, so anew */
        struct rotate_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES; i++)
            p[i] = (struct rotate_params){.x = x.on[i],
                                          .cos = cos.on[i],
                                          .sin = sin.on[i],
                                          .n_rows = n,
                                          .n_ctx = N_CTX,
                                          .n_heads = n_heads,
                                          .d_head = d,
                                          .ld = ld,
                                          .is_interleaved = form == 1};
        struct op_call call = {.variant = form ? "interleaved" : "halves",
                               .run = run_rotate,
                               .params = {&p[0], &p[1]},
                               .out = {x}};
        name_shape(&call, n, n_heads * d);
        OP_COST(&call, rotate, &p[0]);
        op_check(t, &call);
    }
}

struct heads_shape {
    const char *name;
    size_t n_sequences, n_ctx, n_heads, n_kv_heads, d_head, window;
    float soft_cap;
};

static void check_attend(struct op_trial *t, const struct heads_shape *s)
{
    const size_t d_q = s->n_heads * s->d_head, d_kv = s->n_kv_heads * s->d_head,
                 ld = d_q + 2 * d_kv + 4, n = s->n_sequences * s->n_ctx;
    const struct op_array qkv = op_floats(t, n * ld, 0, 1), z = op_floats(t, n * d_q, 0, 1);
    uint32_t lengths[4] = {(uint32_t)s->n_ctx, (uint32_t)(s->n_ctx / 2), 0, 1};
    struct attend_params p[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES && t->status == ST_OK; i++)
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
                                      .window = s->window,
                                      .scale = 0.3f,
                                      .soft_cap = s->soft_cap};
    struct op_call call = {
        .variant = s->name, .run = run_attend, .params = {&p[0], &p[1]}, .out = {z}};
    (void)snprintf(call.shape, sizeof call.shape, "%zux%zu, %zu/%zu heads of %zu", s->n_sequences,
                   s->n_ctx, s->n_heads, s->n_kv_heads, s->d_head);
    OP_COST(&call, attend, &p[0]);
    op_check(t, &call);
}

void op_case_attend(struct op_trial *t)
{
    const size_t n_ctx = op_pick(t, 9, 40, 128, 1024);
    struct heads_shape full = {.name = "heads",
                               .n_sequences = op_pick(t, 3, 3, 4, 4),
                               .n_ctx = n_ctx,
                               .n_heads = op_pick(t, 2, 2, 12, 12),
                               .n_kv_heads = op_pick(t, 2, 2, 12, 12),
                               .d_head = op_pick(t, 8, 8, 64, 64)};
    struct heads_shape grouped = full;
    grouped.name = "grouped heads";
    grouped.n_kv_heads = op_pick(t, 1, 1, 4, 4);
    grouped.d_head = op_pick(t, 33, 33, 128, 128);
    check_attend(t, &full);
    check_attend(t, &grouped);
    if (t->size == OP_SHORT) return;
    grouped.name = "wide heads";
    grouped.d_head = 256;
    check_attend(t, &grouped);
    full.name = "window, capped";
    full.window = 7;
    full.soft_cap = 0.5f;
    check_attend(t, &full);
}

void op_case_head_norms(struct op_trial *t)
{
    const size_t n = op_pick(t, 3, 9, 257, 2048), n_heads = op_pick(t, 2, 3, 12, 12),
                 d = op_pick(t, 7, 33, 64, 64);
    const struct op_array z = op_floats(t, n * n_heads * d, 0, 1),
                          factors = op_floats(t, n_heads * d * d, 0, 1),
                          out = op_floats(t, n * n_heads, 0, 1);
    struct head_norms_params p[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES; i++)
        p[i] = (struct head_norms_params){.z = z.on[i],
                                          .factors = factors.on[i],
                                          .out = out.on[i],
                                          .n_rows = n,
                                          .n_heads = n_heads,
                                          .d_head = d};
    struct op_call call = {
        .variant = "", .run = run_head_norms, .params = {&p[0], &p[1]}, .out = {out}};
    (void)snprintf(call.shape, sizeof call.shape, "%zu, %zu heads of %zu", n, n_heads, d);
    OP_COST(&call, head_norms, &p[0]);
    op_check(t, &call);
}
