/* Cases of the adjoints and of what attribution does with them. */
#include "kernels/selftest/op_trial.h"

#include <stdio.h>

OP_RUN(norm_backward)
OP_RUN(activate_backward)
OP_RUN(attend_backward)
OP_RUN(blend)
OP_RUN(group_dots)
OP_RUN(contract)

static size_t rows_of(const struct op_trial *t)
{
    return op_pick(t, 5, 9, 257, 4096);
}

static size_t width_of(const struct op_trial *t)
{
    return op_pick(t, 37, 257, 768, 4096);
}

static void name_shape(struct op_call *call, size_t n_rows, size_t d)
{
    (void)snprintf(call->shape, sizeof call->shape, "%zux%zu", n_rows, d);
}

void op_case_norm_backward(struct op_trial *t)
{
    const size_t n = rows_of(t), d = width_of(t);
    const struct op_array x = op_floats(t, n * d, 0.5f, 2), d_y = op_floats(t, n * d, 0, 1),
                          weight = op_floats(t, d, 1, 0.5f), d_x = op_floats(t, n * d, 0, 1);
    for (int form = 0; form < 2; form++) {
        struct norm_backward_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES; i++)
            p[i] = (struct norm_backward_params){.forward = {.kind = form ? NORM_RMS : NORM_LAYER,
                                                             .x = x.on[i],
                                                             .weight = weight.on[i],
                                                             .eps = 1e-5f,
                                                             .n_rows = n,
                                                             .d = d},
                                                 .d_y = d_y.on[i],
                                                 .d_x = d_x.on[i]};
        struct op_call call = {.variant = form ? "rms" : "layer",
                               .run = run_norm_backward,
                               .params = {&p[0], &p[1]},
                               .out = {d_x}};
        name_shape(&call, n, d);
        OP_COST(&call, norm_backward, &p[0]);
        op_check(t, &call);
    }
}

void op_case_activate_backward(struct op_trial *t)
{
    static const char *const KINDS[ACTIVATION_N] = {"gelu tanh", "gelu erf", "silu", "relu"};
    const size_t n = rows_of(t), d = width_of(t);
    const struct op_array pre = op_floats(t, n * 2 * d, 0, 6), d_out = op_floats(t, n * d, 0, 1),
                          d_pre = op_floats(t, n * 2 * d, 0, 1);
    for (unsigned form = 0; form < 2 * ACTIVATION_N; form++) {
        const bool is_gated = form >= ACTIVATION_N;
        char variant[OP_TEXT_SIZE];
        struct activate_backward_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES && t->status == ST_OK; i++)
            p[i] = (struct activate_backward_params){
                .forward = {.kind = (enum activation)(form % ACTIVATION_N),
                            .pre = pre.on[i],
                            .up = is_gated ? pre.on[i] + d : NULL,
                            .n_rows = n,
                            .d = d,
                            .ld_pre = 2 * d},
                .d_out = d_out.on[i],
                .d_pre = d_pre.on[i],
                .d_up = is_gated ? d_pre.on[i] + d : NULL,
                .ld_d_out = d,
                .ld_d = 2 * d};
        (void)snprintf(variant, sizeof variant, "%s%s", KINDS[form % ACTIVATION_N],
                       is_gated ? ", gated" : "");
        struct op_call call = {.variant = variant,
                               .run = run_activate_backward,
                               .params = {&p[0], &p[1]},
                               .out = {d_pre}};
        name_shape(&call, n, d);
        OP_COST(&call, activate_backward, &p[0]);
        op_check(t, &call);
    }
}

static void check_attend(struct op_trial *t, const char *variant, size_t window, float soft_cap)
{
    const size_t n_sequences = 3, n_ctx = op_pick(t, 9, 33, 128, 512),
                 n_heads = op_pick(t, 2, 2, 12, 12), n_kv_heads = op_pick(t, 1, 1, 4, 4),
                 d = op_pick(t, 8, 8, 64, 64);
    const size_t d_q = n_heads * d, d_kv = n_kv_heads * d, ld = d_q + 2 * d_kv,
                 n = n_sequences * n_ctx;
    const struct op_array qkv = op_floats(t, n * ld, 0, 1), d_z = op_floats(t, n * d_q, 0, 1),
                          d_qkv = op_floats(t, n * ld, 0, 1);
    const uint32_t lengths[] = {(uint32_t)n_ctx, (uint32_t)(n_ctx / 2), 0};
    struct attend_backward_params p[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES && t->status == ST_OK; i++)
        p[i] = (struct attend_backward_params){.forward = {.q = qkv.on[i],
                                                           .k = qkv.on[i] + d_q,
                                                           .v = qkv.on[i] + d_q + d_kv,
                                                           .lengths = lengths,
                                                           .n_sequences = n_sequences,
                                                           .n_ctx = n_ctx,
                                                           .n_heads = n_heads,
                                                           .n_kv_heads = n_kv_heads,
                                                           .d_head = d,
                                                           .ld = ld,
                                                           .window = window,
                                                           .scale = 0.3f,
                                                           .soft_cap = soft_cap},
                                               .d_z = d_z.on[i],
                                               .d_q = d_qkv.on[i],
                                               .d_k = d_qkv.on[i] + d_q,
                                               .d_v = d_qkv.on[i] + d_q + d_kv,
                                               .ld_d = ld};
    struct op_call call = {
        .variant = variant, .run = run_attend_backward, .params = {&p[0], &p[1]}, .out = {d_qkv}};
    (void)snprintf(call.shape, sizeof call.shape, "%zux%zu, %zu/%zu heads of %zu", n_sequences,
                   n_ctx, n_heads, n_kv_heads, d);
    OP_COST(&call, attend_backward, &p[0]);
    op_check(t, &call);
}

void op_case_attend_backward(struct op_trial *t)
{
    check_attend(t, "grouped heads", 0, 0);
    if (t->size != OP_SHORT) check_attend(t, "window, capped", 7, 0.5f);
}

void op_case_blend(struct op_trial *t)
{
    const size_t n = rows_of(t) * width_of(t);
    const struct op_array a = op_floats(t, n, 0, 1), b = op_floats(t, n, 0, 1),
                          out = op_floats(t, n, 0, 1);
    struct blend_params p[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES; i++)
        p[i] = (struct blend_params){
            .a = a.on[i], .b = b.on[i], .out = out.on[i], .factor = 0.37f, .n = n};
    struct op_call call = {.variant = "", .run = run_blend, .params = {&p[0], &p[1]}, .out = {out}};
    (void)snprintf(call.shape, sizeof call.shape, "%zu", n);
    OP_COST(&call, blend, &p[0]);
    op_check(t, &call);
}

void op_case_group_dots(struct op_trial *t)
{
    const size_t n = rows_of(t), n_groups = op_pick(t, 3, 5, 12, 32),
                 d = op_pick(t, 7, 33, 64, 128);
    const size_t ld = n_groups * d + 5;
    const struct op_array a = op_floats(t, n * ld, 0, 1), b = op_floats(t, n * ld, 0, 1),
                          out = op_floats(t, n * n_groups, 0, 1);
    struct group_dots_params p[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES; i++)
        p[i] = (struct group_dots_params){.a = a.on[i],
                                          .b = b.on[i],
                                          .out = out.on[i],
                                          .n_rows = n,
                                          .n_groups = n_groups,
                                          .d = d,
                                          .ld_a = ld,
                                          .ld_b = ld};
    struct op_call call = {
        .variant = "", .run = run_group_dots, .params = {&p[0], &p[1]}, .out = {out}};
    (void)snprintf(call.shape, sizeof call.shape, "%zu, %zu groups of %zu", n, n_groups, d);
    OP_COST(&call, group_dots, &p[0]);
    op_check(t, &call);
}

void op_case_contract(struct op_trial *t)
{
    const size_t n_a = op_pick(t, 3, 5, 33, 157), n_b = op_pick(t, 5, 3, 41, 157),
                 n_terms = op_pick(t, 2, 3, 4, 16), d = op_pick(t, 37, 65, 768, 768);
    const size_t ld = n_terms * d + 2, ld_out = n_b + 2;
    const struct op_array a = op_floats(t, n_a * ld, 0, 1), b = op_floats(t, n_b * ld, 0, 1),
                          out = op_floats(t, 2 * n_a * ld_out, 0, 0); /* doubles; 0 to begin with */
    struct contract_params p[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES; i++)
        p[i] = (struct contract_params){.a = a.on[i],
                                        .b = b.on[i],
                                        .out = (double *)(void *)out.on[i],
                                        .n_a = n_a,
                                        .n_b = n_b,
                                        .n_terms = n_terms,
                                        .d = d,
                                        .ld_a = ld,
                                        .ld_b = ld,
                                        .ld_out = ld_out};
    struct op_call call = {.variant = "",
                           .run = run_contract,
                           .params = {&p[0], &p[1]},
                           .out = {out},
                           .is_double = true};
    (void)snprintf(call.shape, sizeof call.shape, "%zu by %zu, %zu terms of %zu", n_a, n_b, n_terms,
                   d);
    OP_COST(&call, contract, &p[0]);
    op_check(t, &call);
}
