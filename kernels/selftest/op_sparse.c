/* The sparse encode of each type of dictionary: the rows must be the oracle's, bit for bit. */
#include "kernels/selftest/op_trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { PLAIN, JUMPRELU, TOPK, GATED, SELECTED, N_KINDS };
enum { N_SELECTED = 50 };

/* A dictionary's arrays on the host, all in `floats`. */
struct problem {
    enum kind kind;
    struct sparse_params params;
    float *weights, *vectors;
    uint32_t features[N_SELECTED]; /* those of SELECTED */
    size_t n_tokens;
};

/* Biases so far below 0 that about one pair in twenty fires. */
static void make_problem(struct op_trial *t, enum kind kind, struct problem *out)
{
    const size_t n_in = op_pick(t, 35, 65, 768, 2048), n = op_pick(t, 70, 300, 1024, 16384);
    const float deviation = sqrtf((float)n_in) / 3; /* of the product of two uniform vectors */
    *out = (struct problem){.kind = kind,
                            .n_tokens = op_pick(t, 3, 9, 33, 2048),
                            .weights = op_host_floats(t, n * n_in, 0, 1),
                            .vectors = op_host_floats(t, 4 * n, 1, 0.5f)};
    for (size_t i = 0; i < N_SELECTED; i++) out->features[i] = (uint32_t)(i * n / N_SELECTED);
    if (t->status != ST_OK) return;
    float *bias = out->vectors, *mag_bias = bias + n;
    for (size_t f = 0; f < n; f++) {
        bias[f] *= -1.6f * deviation;
        mag_bias[f] -= 1;
    }
    out->params = (struct sparse_params){
        .n_in = n_in, .n_features = n, .weights = out->weights, .bias = bias};
    if (kind == JUMPRELU) out->params.floor = bias + 2 * n;
    if (kind == TOPK) {
        out->params.k = 5;
        out->params.scale = bias + 3 * n;
    }
    if (kind == GATED) {
        out->params.mag_scale = bias + 2 * n;
        out->params.mag_bias = mag_bias;
    }
}

/* One side's encoder, the rows of its last run, and the tally of all. */
struct encoding {
    const struct op_side *side;
    struct sparse *sparse;
    struct sparse_encoder *encoder;
    const float *x;
    size_t n_tokens, tally_k;
    struct sparse_rows rows;
    struct sparse_tally tally;
};

static status_t encode(void *context, struct error *err)
{
    struct encoding *e = context;
    return e->side->backend->ops->sparse_encode(e->encoder, e->x, e->n_tokens, &e->rows, err);
}

static status_t open_encoding(struct encoding *e, const struct problem *p, struct error *err)
{
    const struct backend_ops *ops = e->side->backend->ops;
    status_t status = ops->sparse_create(&e->sparse, e->side->backend, &p->params, err);
    const struct sparse_encoder_params params = {.sparse = e->sparse,
                                                 .screen = SCREEN_AUTO,
                                                 .features =
                                                     p->kind == SELECTED ? p->features : NULL,
                                                 .n_selected = p->kind == SELECTED ? N_SELECTED : 0,
                                                 .tally_k = e->tally_k};
    if (status == ST_OK)
        status = ops->sparse_encoder_create(&e->encoder, e->side->exec, &params, err);
    return status == ST_OK ? encode(e, err) : status;
}

static void close_encoding(struct encoding *e)
{
    const struct backend_ops *ops = e->side->backend->ops;
    if (e->encoder) ops->sparse_encoder_destroy(e->encoder);
    if (e->sparse) ops->sparse_destroy(e->sparse);
}

/* Bit for bit. */
static bool is_same(float a, float b)
{
    uint32_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    return bits[0] == bits[1];
}

/* Says in row->why where two encodings part, if they do. */
static void compare_rows(const struct encoding *tested_side, const struct encoding *oracle_side,
                         struct op_row *row)
{
    const struct sparse_rows *tested = &tested_side->rows, *oracle = &oracle_side->rows;
    if (tested->n_rows != oracle->n_rows) {
        (void)snprintf(row->why, sizeof row->why, "%zu rows, not %zu", tested->n_rows,
                       oracle->n_rows);
        return;
    }
    for (size_t r = 0; r < oracle->n_rows; r++) {
        const size_t n = oracle->row_start[r + 1] - oracle->row_start[r];
        const size_t got = tested->row_start[r + 1] - tested->row_start[r];
        const size_t at = oracle->row_start[r];
        if (got != n || tested->row_start[r] != at) {
            (void)snprintf(row->why, sizeof row->why, "row %zu has %zu features, not %zu", r, got,
                           n);
            return;
        }
        for (size_t i = at; i < at + n; i++) {
            if (tested->feature[i] == oracle->feature[i] &&
                is_same(tested->value[i], oracle->value[i]))
                continue;
            (void)snprintf(row->why, sizeof row->why, "row %zu has feature %u %.9g, not %u %.9g", r,
                           (unsigned)tested->feature[i], (double)tested->value[i],
                           (unsigned)oracle->feature[i], (double)oracle->value[i]);
            return;
        }
    }
}

/* What is done on each side, and how what came of it is compared. */
struct comparison {
    status_t (*run)(struct encoding *e, const struct problem *p, struct error *err);
    void (*compare)(const struct encoding *tested, const struct encoding *oracle,
                    struct op_row *row);
};

/* Both sides, the tested one's time, and a row of the report. An error of the oracle ends the
 * trial. */
static void check(struct op_trial *t, const struct problem *p, size_t tally_k,
                  const struct comparison *c, struct op_row *row)
{
    struct error err = {0};
    const struct op_array x = op_floats(t, p->n_tokens * p->params.n_in, 0, 1);
    struct encoding e[OP_SIDES];
    for (size_t i = 0; i < OP_SIDES; i++)
        e[i] = (struct encoding){
            .side = &t->sides[i], .x = x.on[i], .n_tokens = p->n_tokens, .tally_k = tally_k};
    if (t->status == ST_OK) t->status = c->run(&e[OP_ORACLE], p, t->err);
    if (t->status == ST_OK && !e[OP_ORACLE].rows.row_start[p->n_tokens])
        t->status = error_set(t->err, ST_INTERNAL, "self-test: nothing fires");
    if (t->status == ST_OK) {
        if (c->run(&e[OP_TESTED], p, &err) == ST_OK) {
            c->compare(&e[OP_TESTED], &e[OP_ORACLE], row);
            row->seconds = op_time(t, encode, &e[OP_TESTED]);
        } else {
            (void)snprintf(row->why, sizeof row->why, "%.*s", OP_WHY_SIZE - 1, err.text);
        }
        op_note(t, row);
    }
    for (size_t i = 0; i < OP_SIDES; i++) close_encoding(&e[i]);
}

static void free_problem(struct problem *p)
{
    free(p->weights);
    free(p->vectors);
}

static void check_problem(struct op_trial *t, enum kind kind)
{
    static const char *const KINDS[N_KINDS] = {"plain", "jumprelu", "topk, scaled", "gated",
                                               "50 features"};
    static const struct comparison ROWS = {open_encoding, compare_rows};
    struct problem p;
    struct op_row row = {.compute = COMPUTE_F32};
    make_problem(t, kind, &p);
    (void)snprintf(row.variant, sizeof row.variant, "%s", KINDS[kind]);
    (void)snprintf(row.shape, sizeof row.shape, "%zux%zu->%zu", p.n_tokens, p.params.n_in,
                   p.params.n_features);
    check(t, &p, 0, &ROWS, &row);
    free_problem(&p);
}

void op_case_sparse_encode(struct op_trial *t)
{
    const bool is_short = t->size == OP_SHORT;
    for (unsigned kind = 0; kind < N_KINDS && t->status == ST_OK; kind++)
        if (!is_short || kind == PLAIN || kind == TOPK) check_problem(t, (enum kind)kind);
}

/* Says in row->why where two tallies part, if they do. */
static void compare_tallies(const struct encoding *tested_side, const struct encoding *oracle_side,
                            struct op_row *row)
{
    const struct sparse_tally *tested = &tested_side->tally, *oracle = &oracle_side->tally;
    const size_t k = oracle->k;
    if (tested->n_features != oracle->n_features || tested->k != k) {
        (void)snprintf(row->why, sizeof row->why, "%zu x %zu, not %zu x %zu", tested->n_features,
                       tested->k, oracle->n_features, k);
        return;
    }
    for (size_t f = 0; f < oracle->n_features; f++) {
        if (tested->n_fired[f] != oracle->n_fired[f])
            (void)snprintf(row->why, sizeof row->why, "feature %zu fires %llu times, not %llu", f,
                           (unsigned long long)tested->n_fired[f],
                           (unsigned long long)oracle->n_fired[f]);
        else if (memcmp(tested->top + f * k, oracle->top + f * k, k * sizeof *oracle->top) != 0)
            (void)snprintf(row->why, sizeof row->why, "feature %zu has another top %zu", f, k);
        if (row->why[0]) return;
    }
}

/* Two runs, then what came of them. */
static status_t run_tally(struct encoding *e, const struct problem *p, struct error *err)
{
    status_t status = open_encoding(e, p, err);
    if (status == ST_OK) status = encode(e, err);
    return status == ST_OK ? e->side->backend->ops->sparse_tally(e->encoder, &e->tally, err)
                           : status;
}

static void check_tally(struct op_trial *t, enum kind kind, size_t k)
{
    static const struct comparison TALLIES = {run_tally, compare_tallies};
    struct problem p;
    struct op_row row = {.compute = COMPUTE_F32};
    make_problem(t, kind, &p);
    (void)snprintf(row.variant, sizeof row.variant, "%s, %zu a feature",
                   kind == TOPK ? "topk" : "plain", k);
    (void)snprintf(row.shape, sizeof row.shape, "2x%zux%zu->%zu", p.n_tokens, p.params.n_in,
                   p.params.n_features);
    check(t, &p, k, &TALLIES, &row);
    free_problem(&p);
}

void op_case_sparse_tally(struct op_trial *t)
{
    check_tally(t, PLAIN, 1);
    if (t->status == ST_OK) check_tally(t, TOPK, 20);
}

OP_RUN(prepare)

void op_case_prepare(struct op_trial *t)
{
    static const char *const KINDS[] = {"bias", "layer", "constant norm"};
    const size_t n = op_pick(t, 5, 9, 257, 4096), d = op_pick(t, 37, 257, 768, 4096);
    const struct op_array x = op_floats(t, n * d, 0.5f, 2), bias = op_floats(t, d, 0, 1),
                          out = op_floats(t, n * d, 0, 1), scales = op_floats(t, n, 0, 1);
    for (unsigned form = 0; form < 6; form++) {
        char variant[OP_TEXT_SIZE];
        struct prepare_params p[OP_SIDES];
        for (size_t i = 0; i < OP_SIDES; i++)
            p[i] = (struct prepare_params){.x = x.on[i],
                                           .bias = bias.on[i],
                                           .out = out.on[i],
                                           .n_rows = n,
                                           .d = d,
                                           .kind = (enum prepare_kind)(form % 3),
                                           .is_centred = form >= 3,
                                           .scales = scales.on[i]};
        (void)snprintf(variant, sizeof variant, "%s%s", KINDS[form % 3],
                       form >= 3 ? ", centred" : "");
        struct op_call call = {
            .variant = variant, .run = run_prepare, .params = {&p[0], &p[1]}, .out = {out, scales}};
        (void)snprintf(call.shape, sizeof call.shape, "%zux%zu", n, d);
        op_check(t, &call);
    }
}
