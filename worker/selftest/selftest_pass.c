#include "worker/selftest/selftest_pass.h"

#include "common/clock.h"
#include "common/draw.h"
#include "worker/model/variants.h"

#include <stdlib.h>
#include <string.h>

void selftest_pass_fini(struct selftest_pass *pass)
{
    free(pass->stream);
    free(pass->logits);
    free(pass->effects);
    *pass = (struct selftest_pass){0};
}

size_t selftest_pass_length(size_t row)
{
    return row ? PASS_CTX - PASS_SHORTER : PASS_CTX;
}

struct prompts {
    uint32_t tokens[PASS_TOKENS], lengths[PASS_ROWS], answers[PASS_ROWS];
};

static struct prompts make_prompts(size_t n_vocab)
{
    struct prompts p;
    struct draw draw = draw_open(1, 1, 1);
    for (size_t i = 0; i < PASS_TOKENS; i++) p.tokens[i] = draw_below(&draw, (uint32_t)n_vocab);
    for (size_t r = 0; r < PASS_ROWS; r++) {
        p.lengths[r] = (uint32_t)selftest_pass_length(r);
        p.answers[r] = p.lengths[r] - 1;
    }
    return p;
}

/* Memory for n floats, and a copy of `from` in it unless that is NULL. */
static status_t keep(float **out, const float *from, size_t n, struct error *err)
{
    *out = calloc(n, sizeof **out);
    if (!*out) return error_set(err, ST_NO_MEMORY, "%zu floats", n);
    if (from) memcpy(*out, from, n * sizeof **out);
    return ST_OK;
}

static double seconds_since(int64_t begin_ns)
{
    return (double)(clock_monotonic_ns(clock_system()) - begin_ns) * 1e-9;
}

static status_t run_forward(struct selftest_pass *out, struct model *model,
                            const struct prompts *prompts, struct error *err)
{
    const struct forward_params params = {.model = model, .n_rows = PASS_ROWS, .n_ctx = PASS_CTX};
    const struct forward_input input = {.tokens = prompts->tokens, .row_lengths = prompts->lengths};
    const struct hook_point hooks[] = {{HOOK_RESID_POST, model_config(model)->n_layers - 1},
                                       {HOOK_LOGITS, 0}};
    const float *acts[2];
    struct forward *forward = NULL;
    status_t status = forward_create(&forward, &params, err);
    if (status == ST_OK) status = forward_run(forward, &input, hooks, 2, acts, err);
    if (status == ST_OK) status = keep(&out->stream, acts[0], PASS_TOKENS * out->d_model, err);
    if (status == ST_OK) status = keep(&out->logits, acts[1], PASS_TOKENS * out->n_vocab, err);
    const int64_t begin = clock_monotonic_ns(clock_system());
    if (status == ST_OK) status = forward_run(forward, &input, hooks, 1, acts, err);
    out->seconds = seconds_since(begin);
    forward_destroy(&forward);
    return status;
}

/* The running top list of a feature takes a token in. */
static void take_token(struct selftest_pass *out, uint32_t feature, uint32_t token, float value)
{
    float *values = out->top_values[feature];
    uint32_t *tokens = out->top_tokens[feature];
    size_t at = PASS_TOP;
    while (at > 0 && value > values[at - 1]) at--;
    for (size_t i = PASS_TOP - 1; i > at; i--) {
        values[i] = values[i - 1];
        tokens[i] = tokens[i - 1];
    }
    if (at == PASS_TOP) return;
    values[at] = value;
    tokens[at] = token;
}

static void take_rows(struct selftest_pass *out, const struct sparse_rows *rows)
{
    for (size_t t = 0; t < rows->n_rows; t++) {
        if (t % PASS_CTX >= selftest_pass_length(t / PASS_CTX)) continue; /* padding */
        for (size_t i = rows->row_start[t]; i < rows->row_start[t + 1]; i++)
            take_token(out, rows->feature[i], (uint32_t)t, rows->value[i]);
    }
}

/* What is open while the stream is encoded. */
struct encode {
    struct backend *backend;
    struct exec *exec;
    struct sparse *sparse;
    struct sparse_encoder *encoder;
    void *x;
};

static status_t run_encode(struct encode *e, const struct selftest_pass *pass,
                           const struct sparse_params *params, struct sparse_rows *rows,
                           struct error *err)
{
    const struct backend_ops *ops = e->backend->ops;
    const struct exec_params exec = {.row_block = 16};
    const size_t n_bytes = PASS_TOKENS * pass->d_model * sizeof(float);
    status_t status = ops->exec_create(&e->exec, e->backend, &exec, err);
    if (status == ST_OK) status = ops->sparse_create(&e->sparse, e->backend, params, err);
    const struct sparse_encoder_params encoder = {.sparse = e->sparse, .screen = SCREEN_AUTO};
    if (status == ST_OK) status = ops->sparse_encoder_create(&e->encoder, e->exec, &encoder, err);
    if (status == ST_OK) status = ops->alloc(e->backend, n_bytes, &e->x, err);
    if (status == ST_OK) status = ops->upload(e->exec, e->x, pass->stream, n_bytes, err);
    return status == ST_OK ? ops->sparse_encode(e->encoder, e->x, PASS_TOKENS, rows, err) : status;
}

static status_t capture(struct selftest_pass *out, struct backend *backend, struct error *err)
{
    const struct backend_ops *ops = backend->ops;
    struct encode e = {.backend = backend};
    struct sparse_rows rows;
    struct draw draw = draw_open(1, 1, 2);
    const size_t n = PASS_FEATURES * (out->d_model + 1);
    float *weights = NULL;
    status_t status = keep(&weights, NULL, n, err);
    for (size_t i = 0; status == ST_OK && i < PASS_FEATURES * out->d_model; i++)
        weights[i] = (float)(draw_next(&draw) >> 40) * 0x1p-23f - 1; /* biases stay 0 */
    const struct sparse_params params = {
        .n_in = out->d_model,
        .n_features = PASS_FEATURES,
        .weights = weights,
        .bias = status == ST_OK ? weights + PASS_FEATURES * out->d_model : NULL};
    if (status == ST_OK) status = run_encode(&e, out, &params, &rows, err);
    if (status == ST_OK) take_rows(out, &rows);
    if (e.encoder) ops->sparse_encoder_destroy(e.encoder);
    if (e.sparse) ops->sparse_destroy(e.sparse);
    if (e.x) ops->release(backend, e.x);
    if (e.exec) ops->exec_destroy(e.exec);
    free(weights);
    return status;
}

/* effects of head `index` */
static status_t take_ablated(void *context, size_t index, const float *logits, const float *clean,
                             struct error *err)
{
    const struct selftest_pass *out = context;
    const size_t n = PASS_ROWS * out->n_vocab;
    (void)err;
    for (size_t i = 0; i < n; i++) out->effects[index * n + i] = clean[i] - logits[i];
    return ST_OK;
}

/* Every head of the first layer in turn, its output set to 0. */
static status_t ablate_heads(struct selftest_pass *out, struct variants *variants, size_t d_head,
                             struct error *err)
{
    struct variant_change changes[PASS_HEADS];
    struct variant list[PASS_HEADS];
    for (size_t h = 0; h < PASS_HEADS; h++) {
        changes[h] =
            (struct variant_change){.hook = {HOOK_Z, 0}, .column = h * d_head, .n_columns = d_head};
        list[h] = (struct variant){.changes = &changes[h], .n_changes = 1};
    }
    const int64_t begin = clock_monotonic_ns(clock_system());
    const status_t status = variants_run(variants, list, PASS_HEADS, take_ablated, out, err);
    out->ablated_seconds = seconds_since(begin);
    return status;
}

static status_t ablate(struct selftest_pass *out, struct model *model,
                       const struct prompts *prompts, struct error *err)
{
    const struct variants_params params = {
        .model = model, .n_prompts = PASS_ROWS, .n_ctx = PASS_CTX, .n_batch = PASS_HEADS};
    const struct variants_prompts load = {
        .tokens = prompts->tokens, .lengths = prompts->lengths, .answers = prompts->answers};
    struct variants *variants = NULL;
    status_t status = keep(&out->effects, NULL, PASS_HEADS * PASS_ROWS * out->n_vocab, err);
    if (status == ST_OK && model_config(model)->n_heads != PASS_HEADS)
        status = error_set(err, ST_INTERNAL, "a known model of other than %d heads", PASS_HEADS);
    if (status == ST_OK) status = variants_create(&variants, &params, err);
    if (status == ST_OK) status = variants_load(variants, &load, err);
    if (status == ST_OK) status = ablate_heads(out, variants, model_config(model)->d_head, err);
    variants_destroy(&variants);
    return status;
}

status_t selftest_pass_run(struct selftest_pass *out, const char *directory,
                           struct backend *backend, enum compute compute, struct error *err)
{
    const struct model_params params = {
        .directory = directory, .backend = backend, .compute = compute};
    struct model *model = NULL;
    *out = (struct selftest_pass){0};
    status_t status = model_open(&model, &params, err);
    if (status != ST_OK) return status;
    out->d_model = model_config(model)->d_model;
    out->n_vocab = model_config(model)->n_vocab;
    const struct prompts prompts = make_prompts(out->n_vocab);
    status = run_forward(out, model, &prompts, err);
    if (status == ST_OK && backend_supports(backend, BACKEND_SPARSE_ENCODE))
        status = capture(out, backend, err);
    if (status == ST_OK) status = ablate(out, model, &prompts, err);
    model_close(&model);
    return status;
}
