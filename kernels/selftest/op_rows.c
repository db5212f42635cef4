/* Cases of the operations that name rows by number. */
#include "kernels/selftest/op_trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

OP_RUN(edit)
OP_RUN(diverge)

enum { SET, ZERO, ADD, SUM, N_EDITS, N_TERMS = 3 };

/* What ablations and steering do: rows set to other rows, one row set to 0, a direction added, rows
 * set to a sum of others. */
static void make_edits(float *from, uint32_t n, uint32_t d, struct edit *out, const float **terms)
{
    const uint32_t third = n / 3;
    out[SET] =
        (struct edit){.from = from, .n_rows = third, .column = 1, .n_columns = d - 1, .ld_from = d};
    out[ZERO] = (struct edit){.row = third, .n_rows = 1, .n_columns = d};
    out[ADD] = (struct edit){.from = from,
                             .row = third + 1,
                             .n_rows = n - 2 * third - 1,
                             .n_columns = d,
                             .is_added = 1,
                             .factor = -0.37f};
    out[SUM] = (struct edit){
        .row = n - third, .n_rows = third, .n_columns = d, .ld_from = d, .n_terms = N_TERMS};
    for (size_t i = 0; i < N_TERMS; i++) terms[i] = from + (N_TERMS - i) * d;
}

void op_case_edit(struct op_trial *t)
{
    const size_t n = op_pick(t, 9, 31, 257, 4096), d = op_pick(t, 37, 257, 768, 4096), ld = d + 3;
    const struct op_array x = op_floats(t, n * ld, 0, 1), from = op_floats(t, n * d, 0, 1);
    const float *terms[OP_SIDES][N_TERMS];
    struct edit edits[OP_SIDES][N_EDITS];
    struct edit_params p[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES && t->status == ST_OK; i++) {
        make_edits(from.on[i], (uint32_t)n, (uint32_t)d, edits[i], terms[i]);
        p[i] = (struct edit_params){.x = x.on[i],
                                    .n_rows = n,
                                    .ld = ld,
                                    .edits = edits[i],
                                    .n_edits = N_EDITS,
                                    .terms = terms[i],
                                    .n_terms = N_TERMS};
    }
    struct op_call call = {
        .variant = "set, zero, add, sum", .run = run_edit, .params = {&p[0], &p[1]}, .out = {x}};
    (void)snprintf(call.shape, sizeof call.shape, "%zux%zu", n, d);
    if (t->status == ST_OK) OP_COST(&call, edit, &p[0]);
    op_check(t, &call);
}

/* Weights of both sides and the parameters; results are doubles, logits are not. */
struct comparison {
    struct packed *packed[OP_SIDES];
    struct diverge_params p[OP_SIDES];
    struct row_pair *pairs; /* [n_pairs] */
    size_t n_pairs;
};
enum { N_COLUMNS = 3 };
static const uint32_t COLUMNS[N_COLUMNS] = {32, 0, 5};

/* Every row against row 0, and the last one against itself. */
static void make_pairs(struct op_trial *t, struct comparison *c)
{
    c->pairs = calloc(c->n_pairs, sizeof *c->pairs);
    if (!c->pairs && t->status == ST_OK)
        t->status = error_set(t->err, ST_NO_MEMORY, "%zu pairs", c->n_pairs);
    for (size_t i = 0; c->pairs && i < c->n_pairs; i++)
        c->pairs[i] = (struct row_pair){.q = (uint32_t)i};
    if (c->pairs) c->pairs[c->n_pairs - 1].p = (uint32_t)c->n_pairs - 1;
}

static void make_comparison(struct op_trial *t, struct comparison *c,
                            const struct pack_params *pack, const struct op_array *x,
                            const struct op_array *out)
{
    make_pairs(t, c);
    for (size_t i = 0; i < OP_SIDES && t->status == ST_OK; i++) {
        struct backend *b = t->sides[i].backend;
        t->status = b->ops->packed_create(&c->packed[i], b, pack, t->err);
        c->p[i] = (struct diverge_params){.weights = c->packed[i],
                                          .x = x->on[i],
                                          .ld_x = pack->n_in,
                                          .n_rows = t->row_block,
                                          .pairs = c->pairs,
                                          .columns = COLUMNS,
                                          .n_pairs = c->n_pairs,
                                          .n_columns = N_COLUMNS,
                                          .out = (struct divergence *)(void *)out[0].on[i],
                                          .logits = out[1].on[i]};
    }
}

/* Logits so far apart that KL is of the order of what stands beside it. The case's results are
 * checked twice: as doubles, and the asked logits. */
static void check_diverge(struct op_trial *t, enum compute compute, bool is_transposed)
{
    struct comparison c = {.n_pairs = t->row_block - 1};
    const size_t n_in = op_pick(t, 31, 65, 768, 768), n_out = op_pick(t, 33, 2100, 2100, 20000);
    float *weights = op_host_floats(t, n_in * n_out, 0, 1);
    const struct op_array x = op_floats(t, t->row_block * n_in, 0, 15 / sqrtf((float)n_in));
    const struct op_array out[] = {op_floats(t, 8 * c.n_pairs, 0, 0),
                                   op_floats(t, N_COLUMNS * c.n_pairs, 0, 0)};
    const struct pack_params pack = {.n_in = n_in,
                                     .n_out = n_out,
                                     .weights = weights,
                                     .is_transposed = is_transposed,
                                     .compute = compute};
    const struct accounted_divergence counted = {
        {n_in, n_out, t->row_block, t->row_block, compute}, c.n_pairs, N_COLUMNS, c.n_pairs};
    struct op_call call = {.variant = is_transposed ? "[out, in]" : "[in, out]",
                           .compute = compute,
                           .run = run_diverge,
                           .params = {&c.p[0], &c.p[1]},
                           .out = {out[0]},
                           .is_double = true};
    make_comparison(t, &c, &pack, &x, out);
    (void)snprintf(call.shape, sizeof call.shape, "%zu of %zux%zu", c.n_pairs, n_in, n_out);
    OP_COST(&call, diverge, &counted);
    op_check(t, &call);
    call.variant = is_transposed ? "logits, [out, in]" : "logits, [in, out]";
    call.out[0] = out[1];
    call.is_double = false;
    op_check(t, &call);
    for (size_t i = 0; i < OP_SIDES; i++)
        if (c.packed[i]) t->sides[i].backend->ops->packed_destroy(c.packed[i]);
    free(c.pairs);
    free(weights);
}

void op_case_diverge(struct op_trial *t)
{
    for (unsigned compute = 0; compute < COMPUTE_N; compute++)
        check_diverge(t, (enum compute)compute, false);
    check_diverge(t, COMPUTE_F32, true);
}
