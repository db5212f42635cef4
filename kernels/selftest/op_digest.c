/* The digest of a unit: what a plain selection from the oracle's rows gives, bit for bit. */
#include "kernels/selftest/op_trial.h"
#include "kernels/selftest/reference_digest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW_TOKENS = 4, TOP_K = 3, BIN_K = 1 };

/* A dictionary of which about one pair in twenty fires, and a unit of windows. */
struct problem {
    struct sparse_params params;
    float *weights, *bias;
    struct digest_window *windows;
    size_t n_windows, n_tokens;
};

static void make_problem(struct op_trial *t, struct problem *p)
{
    const size_t n_in = op_pick(t, 35, 65, 768, 2048), n = op_pick(t, 70, 300, 1024, 16384);
    *p = (struct problem){.n_tokens = op_pick(t, 30, 90, 128, 2048),
                          .weights = op_host_floats(t, n * n_in, 0, 1),
                          .bias = op_host_floats(t, n, -0.53f * sqrtf((float)n_in), 0.1f)};
    p->n_windows = (p->n_tokens + WINDOW_TOKENS - 1) / WINDOW_TOKENS;
    p->windows = malloc(p->n_windows * sizeof *p->windows);
    p->params = (struct sparse_params){
        .n_in = n_in, .n_features = n, .weights = p->weights, .bias = p->bias};
    if (t->status == ST_OK && !p->windows)
        t->status = error_set(t->err, ST_NO_MEMORY, "self-test of a digest");
    for (size_t w = 0; w < p->n_windows && p->windows; w++) {
        const size_t first = w * WINDOW_TOKENS, left = p->n_tokens - first;
        p->windows[p->n_windows - 1 - w] = (struct digest_window){
            .number = (uint64_t)op_below(t, UINT32_MAX) << 32 | op_below(t, UINT32_MAX),
            .first_token = (uint32_t)first,
            .n_tokens = (uint16_t)(left < WINDOW_TOKENS ? left : WINDOW_TOKENS),
            .may_be_kept = left >= WINDOW_TOKENS};
    }
}

static void free_problem(struct problem *p)
{
    free(p->weights);
    free(p->bias);
    free(p->windows);
}

/* One side's encoder and what is asked of it. */
struct side {
    const struct op_side *on;
    struct sparse *sparse;
    struct sparse_encoder *encoder;
    struct digest_params params;
    struct digest digest;
};

static status_t open_side(struct side *s, const struct problem *p, struct error *err)
{
    const struct backend_ops *ops = s->on->backend->ops;
    const status_t status = ops->sparse_create(&s->sparse, s->on->backend, &p->params, err);
    const struct sparse_encoder_params of = {.sparse = s->sparse, .screen = SCREEN_AUTO};
    return status == ST_OK ? ops->sparse_encoder_create(&s->encoder, s->on->exec, &of, err)
                           : status;
}

static void close_side(struct side *s)
{
    const struct backend_ops *ops = s->on->backend->ops;
    if (s->encoder) ops->sparse_encoder_destroy(s->encoder);
    if (s->sparse) ops->sparse_destroy(s->sparse);
}

static status_t run_digest(void *context, struct error *err)
{
    struct side *s = context;
    return s->on->backend->ops->sparse_digest(s->encoder, &s->params, &s->digest, err);
}

/* The oracle's rows, then what they make. */
static status_t run_oracle(struct side *s, const struct problem *p, struct reference_digest *out,
                           struct error *err)
{
    struct sparse_rows rows;
    status_t status = open_side(s, p, err);
    if (status == ST_OK)
        status =
            s->on->backend->ops->sparse_encode(s->encoder, s->params.x, p->n_tokens, &rows, err);
    if (status == ST_OK)
        status = reference_digest_init(out, &rows, p->params.n_features, &s->params, err);
    if (status == ST_OK && !out->n_pairs)
        status = error_set(err, ST_INTERNAL, "self-test: nothing is kept");
    return status;
}

static void test_digest(struct op_trial *t, struct side *tested, const struct problem *p,
                        const struct reference_digest *reference, struct op_row *row)
{
    struct error err = {0};
    status_t status = open_side(tested, p, &err);
    if (status == ST_OK) status = run_digest(tested, &err);
    if (status != ST_OK)
        (void)snprintf(row->why, sizeof row->why, "%.*s", OP_WHY_SIZE - 1, err.text);
    else if (!reference_digest_differs(reference, &tested->digest, row->why, sizeof row->why))
        row->seconds = op_time(t, run_digest, tested);
    op_note(t, row);
}

void op_case_sparse_digest(struct op_trial *t)
{
    struct problem p;
    struct reference_digest reference = {.slots = NULL};
    struct op_row row = {.compute = COMPUTE_F32};
    struct side sides[OP_SIDES];
    make_problem(t, &p);
    const struct op_array x = op_floats(t, p.n_tokens * p.params.n_in, 0, 1);
    for (size_t i = 0; i < OP_SIDES; i++)
        sides[i] = (struct side){.on = &t->sides[i],
                                 .params = {.x = x.on[i],
                                            .n_tokens = p.n_tokens,
                                            .windows = p.windows,
                                            .n_windows = p.n_windows,
                                            .room_windows = p.n_windows,
                                            .top_k = TOP_K,
                                            .bin_k = BIN_K}};
    (void)snprintf(row.variant, sizeof row.variant, "top %d, %d a bin", TOP_K, BIN_K);
    (void)snprintf(row.shape, sizeof row.shape, "%zux%zu->%zu", p.n_tokens, p.params.n_in,
                   p.params.n_features);
    if (t->status == ST_OK) t->status = run_oracle(&sides[OP_ORACLE], &p, &reference, t->err);
    if (t->status == ST_OK) test_digest(t, &sides[OP_TESTED], &p, &reference, &row);
    for (size_t i = 0; i < OP_SIDES; i++) close_side(&sides[i]);
    reference_digest_fini(&reference);
    free_problem(&p);
}
