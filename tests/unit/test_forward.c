/* The forward pass against what transformers computes: every hook point in the golden files of
 * tests/golden/models (made by tests/golden/make_models.py), and what must hold besides. */
#include "common/file.h"
#include "worker/model/forward.h"
#include "worker/model/safetensors.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MODELS[] = "tests/golden/models";
enum { MOST_TOKENS = 4096, PATH_SIZE = 512 };
static const double TOLERANCE = 1e-4; /* of the largest value of the tensor */

struct batch {
    uint32_t tokens[MOST_TOKENS];
    uint32_t lengths[64];
    size_t n_rows, n_ctx;
};

static void read_batch(const char *model, struct batch *batch)
{
    char path[PATH_SIZE], line[1 << 16];
    (void)snprintf(path, sizeof path, "%s/%s/tokens.jsonl", MODELS, model);
    FILE *file = fopen(path, "r");
    cr_assert(file, "open %s", path);
    *batch = (struct batch){0};
    while (fgets(line, sizeof line, file)) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *tokens = json_object_get(row, "tokens");
        batch->n_ctx = json_array_size(tokens);
        cr_assert(batch->n_ctx && (batch->n_rows + 1) * batch->n_ctx <= MOST_TOKENS);
        for (size_t t = 0; t < batch->n_ctx; t++)
            batch->tokens[batch->n_rows * batch->n_ctx + t] =
                (uint32_t)json_integer_value(json_array_get(tokens, t));
        batch->lengths[batch->n_rows++] = (uint32_t)batch->n_ctx;
        json_decref(row);
    }
    (void)fclose(file);
    cr_assert(batch->n_rows);
}

struct fixture {
    struct backend *backend;
    struct model *model;
    struct forward *forward;
    struct batch batch;
    struct error err;
};

static void open_model(struct fixture *f, const char *name, enum compute compute)
{
    char path[PATH_SIZE];
    *f = (struct fixture){.backend = NULL};
    (void)snprintf(path, sizeof path, "%s/%s", MODELS, name);
    cr_assert_eq(backend_open_cpu(&f->backend, &f->err), ST_OK, "%s", f->err.text);
    const struct model_params params = {
        .directory = path, .backend = f->backend, .compute = compute};
    cr_assert_eq(model_open(&f->model, &params, &f->err), ST_OK, "%s", f->err.text);
    read_batch(name, &f->batch);
}

static void open_forward(struct fixture *f, size_t n_rows, size_t n_ctx)
{
    const struct forward_params params = {.model = f->model, .n_rows = n_rows, .n_ctx = n_ctx};
    cr_assert_eq(forward_create(&f->forward, &params, &f->err), ST_OK, "%s", f->err.text);
}

static void close_all(struct fixture *f)
{
    forward_destroy(&f->forward);
    model_close(&f->model);
    backend_close(&f->backend);
}

static void run(struct fixture *f, const uint32_t *tokens, const uint32_t *lengths,
                const struct hook_point *hooks, size_t n_hooks, const float **out)
{
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    cr_assert_eq(forward_run(f->forward, &input, hooks, n_hooks, out, &f->err), ST_OK, "%s",
                 f->err.text);
}

/* Largest difference as a share of the largest expected value. */
static double relative_error(const float *got, const struct tensor_view *want)
{
    const size_t n = tensor_n_values(want);
    float *values = malloc(n * sizeof *values);
    struct error err = {0};
    double worst = 0, largest = 0;
    cr_assert(values);
    cr_assert_eq(tensor_to_f32(want, values, n, &err), ST_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, isfinite(got[i]) ? fabs((double)got[i] - (double)values[i]) : 1e30);
        largest = fmax(largest, fabs((double)values[i]));
    }
    free(values);
    return worst / largest;
}

/* All hook points of one golden model in one run. */
static void check_model(const char *name, enum compute compute, double tolerance)
{
    struct fixture f;
    struct safetensors *expected = NULL;
    char path[PATH_SIZE];
    struct hook_point hooks[FORWARD_MAX_HOOKS];
    const float *acts[FORWARD_MAX_HOOKS];
    open_model(&f, name, compute);
    open_forward(&f, f.batch.n_rows, f.batch.n_ctx);
    (void)snprintf(path, sizeof path, "%s/%s/expected.safetensors", MODELS, name);
    cr_assert_eq(safetensors_open(&expected, path, &f.err), ST_OK, "%s", f.err.text);
    const size_t n = safetensors_count(expected);
    cr_assert(n > 10 && n <= FORWARD_MAX_HOOKS);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(hook_point_parse(safetensors_at(expected, i)->name, model_config(f.model),
                                      &hooks[i], &f.err),
                     ST_OK, "%s", f.err.text);
    run(&f, f.batch.tokens, f.batch.lengths, hooks, n, acts);
    for (size_t i = 0; i < n; i++) {
        const struct tensor_view *want = safetensors_at(expected, i);
        cr_assert_eq(tensor_n_values(want), f.batch.n_rows * f.batch.n_ctx *
                                                hook_point_width(hooks[i], model_config(f.model)));
        const double error = relative_error(acts[i], want);
        cr_expect(error <= tolerance, "%s, %s, %s: relative error %.2e", name,
                  compute_name(compute), want->name, error);
    }
    safetensors_close(&expected);
    close_all(&f);
}

/* Every directory of golden models; at least eight of them. */
static void check_models(enum compute compute, double tolerance)
{
    DIR *dir = opendir(MODELS);
    const struct dirent *entry;
    size_t n = 0;
    cr_assert(dir, "%s", MODELS);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        check_model(entry->d_name, compute, tolerance);
        n++;
    }
    (void)closedir(dir);
    cr_expect(n >= 8, "%zu golden models", n);
}

Test(forward, matches_transformers_at_every_hook_point)
{
    check_models(COMPUTE_F32, TOLERANCE);
}

Test(forward, matches_transformers_in_bf16x3)
{
    check_models(COMPUTE_BF16X3, TOLERANCE);
}

Test(forward, is_near_transformers_in_bf16)
{
    check_models(COMPUTE_BF16, 0.1);
}

Test(forward, a_row_does_not_depend_on_its_batch)
{
    struct fixture f;
    const struct hook_point hook = {.kind = HOOK_LOGITS};
    const float *acts;
    uint32_t tokens[3 * 32] = {0}, lengths[3];
    open_model(&f, "llama-gqa-tied", COMPUTE_F32);
    const size_t n_ctx = f.batch.n_ctx, width = model_config(f.model)->n_vocab;
    cr_assert(n_ctx <= 32);
    open_forward(&f, 3, n_ctx);
    memcpy(tokens, f.batch.tokens, 2 * n_ctx * sizeof *tokens);
    lengths[0] = lengths[1] = (uint32_t)n_ctx;
    lengths[2] = 0;
    run(&f, tokens, lengths, &hook, 1, &acts);
    float *first = malloc(n_ctx * width * sizeof *first);
    cr_assert(first);
    memcpy(first, acts, n_ctx * width * sizeof *first);
    /* The same row, last in the batch and cut short, beside other rows. */
    memcpy(tokens + 2 * n_ctx, f.batch.tokens, n_ctx * sizeof *tokens);
    memset(tokens, 0, 2 * n_ctx * sizeof *tokens);
    lengths[2] = (uint32_t)n_ctx - 5;
    run(&f, tokens, lengths, &hook, 1, &acts);
    cr_expect_eq(memcmp(first, acts + 2 * n_ctx * width, lengths[2] * width * sizeof *first), 0);
    free(first);
    close_all(&f);
}

Test(forward, resumes_from_a_residual_stream)
{
    struct fixture f;
    const struct hook_point hooks[] = {{HOOK_RESID_PRE, 1}, {HOOK_LOGITS, 0}};
    const float *acts[2];
    open_model(&f, "llama-gqa-tied", COMPUTE_F32);
    open_forward(&f, f.batch.n_rows, f.batch.n_ctx);
    const size_t n_tokens = f.batch.n_rows * f.batch.n_ctx;
    const size_t n_residual = n_tokens * model_config(f.model)->d_model;
    const size_t n_logits = n_tokens * model_config(f.model)->n_vocab;
    float *residual = malloc(n_residual * sizeof *residual);
    float *logits = malloc(n_logits * sizeof *logits);
    cr_assert(residual && logits);
    run(&f, f.batch.tokens, f.batch.lengths, hooks, 2, acts);
    memcpy(residual, acts[0], n_residual * sizeof *residual);
    memcpy(logits, acts[1], n_logits * sizeof *logits);
    const struct forward_input resumed = {
        .row_lengths = f.batch.lengths, .first_layer = 1, .residual = residual};
    cr_assert_eq(forward_run(f.forward, &resumed, hooks + 1, 1, acts, &f.err), ST_OK);
    cr_expect_eq(memcmp(logits, acts[0], n_logits * sizeof *logits), 0);
    cr_expect_eq(
        forward_run(f.forward, &resumed, &(struct hook_point){HOOK_RESID_PRE, 0}, 1, acts, &f.err),
        ST_BAD_INPUT);
    free(residual);
    free(logits);
    close_all(&f);
}

Test(forward, ticks_once_a_layer_and_stops_at_the_last_hook)
{
    struct fixture f;
    atomic_uint_fast64_t ticks = 0;
    const float *acts;
    open_model(&f, "gpt2-bare-names", COMPUTE_F32);
    const struct forward_params params = {
        .model = f.model, .n_rows = f.batch.n_rows, .n_ctx = f.batch.n_ctx, .progress = &ticks};
    cr_assert_eq(forward_create(&f.forward, &params, &f.err), ST_OK);
    run(&f, f.batch.tokens, f.batch.lengths, &(struct hook_point){HOOK_RESID_PRE, 2}, 1, &acts);
    cr_expect_eq(atomic_load(&ticks), 2);
    run(&f, f.batch.tokens, f.batch.lengths, &(struct hook_point){HOOK_LOGITS, 0}, 1, &acts);
    cr_expect_eq(atomic_load(&ticks), 5);
    close_all(&f);
}

Test(forward, head_norms_are_the_norms_of_the_heads_outputs)
{
    static const char *const NAMES[] = {"gpt2-bare-names", "llama-head-dim"};
    for (size_t m = 0; m < 2; m++) {
        struct fixture f;
        const struct hook_point hooks[] = {{HOOK_Z, 1}};
        const float *z;
        float *w;
        open_model(&f, NAMES[m], COMPUTE_F32);
        open_forward(&f, f.batch.n_rows, f.batch.n_ctx);
        const struct model_config *c = model_config(f.model);
        const size_t n_tokens = f.batch.n_rows * f.batch.n_ctx;
        float *norms = malloc(n_tokens * c->n_heads * sizeof *norms);
        run(&f, f.batch.tokens, f.batch.lengths, hooks, 1, &z);
        cr_assert_eq(forward_head_norms(f.forward, 1, z, n_tokens, norms, &f.err), ST_OK);
        struct safetensors *checkpoint;
        cr_assert_eq(safetensors_open(&checkpoint, model_directory(f.model), &f.err), ST_OK);
        const struct weights_source source = {
            .checkpoint = checkpoint, .config = c, .backend = f.backend, .compute = COMPUTE_F32};
        cr_assert_eq(weights_read_attn_out(&w, &source, 1, &f.err), ST_OK, "%s", f.err.text);
        for (size_t i = 0; i < n_tokens * c->n_heads; i++) {
            double total = 0;
            for (size_t j = 0; j < c->d_model; j++) {
                double sum = 0;
                for (size_t k = 0; k < c->d_head; k++)
                    sum += (double)z[i * c->d_head + k] *
                           (double)w[(i % c->n_heads * c->d_head + k) * c->d_model + j];
                total += sum * sum;
            }
            cr_assert(fabs(sqrt(total) - (double)norms[i]) <= 1e-5 * sqrt(total),
                      "%s %zu: %g, not %g", NAMES[m], i, (double)norms[i], sqrt(total));
        }
        safetensors_close(&checkpoint);
        free(w);
        free(norms);
        close_all(&f);
    }
}

Test(forward, refuses_tokens_outside_the_vocabulary_and_long_rows)
{
    struct fixture f;
    const struct hook_point hook = {HOOK_RESID_POST, 0};
    const float *acts;
    open_model(&f, "gpt2-tied", COMPUTE_F32);
    open_forward(&f, 1, 4);
    const uint32_t tokens[4] = {1, 2, 131, 0};
    struct forward_input input = {.tokens = tokens, .row_lengths = &(const uint32_t){4}};
    cr_expect_eq(forward_run(f.forward, &input, &hook, 1, &acts, &f.err), ST_BAD_INPUT);
    cr_expect(strstr(f.err.text, "token 2: id 131 of 131"), "%s", f.err.text);
    error_clear(&f.err);
    input.row_lengths = &(const uint32_t){2};
    cr_expect_eq(forward_run(f.forward, &input, &hook, 1, &acts, &f.err), ST_OK);
    input.row_lengths = &(const uint32_t){5};
    cr_expect_eq(forward_run(f.forward, &input, &hook, 1, &acts, &f.err), ST_BAD_INPUT);
    cr_expect_str_eq(f.err.text, "row 0 has 5 tokens, the batch 4");
    close_all(&f);
}

/* With a residual stream given no token is read, but attention reads the lengths all the same. */
Test(forward, refuses_long_rows_of_a_residual_stream_before_anything_runs)
{
    struct fixture f;
    const struct hook_point hook = {HOOK_RESID_POST, 1};
    const float *acts;
    atomic_uint_fast64_t ticks = 0;
    open_model(&f, "gpt2-tied", COMPUTE_F32);
    const struct forward_params params = {
        .model = f.model, .n_rows = 1, .n_ctx = 4, .progress = &ticks};
    cr_assert_eq(forward_create(&f.forward, &params, &f.err), ST_OK);
    float *residual = calloc(4 * model_config(f.model)->d_model, sizeof *residual);
    struct forward_input input = {
        .row_lengths = &(const uint32_t){5}, .first_layer = 1, .residual = residual};
    cr_expect_eq(forward_run(f.forward, &input, &hook, 1, &acts, &f.err), ST_BAD_INPUT);
    cr_expect_str_eq(f.err.text, "row 0 has 5 tokens, the batch 4");
    cr_expect_eq(atomic_load(&ticks), 0);
    free(residual);
    close_all(&f);
}

/* --- edits --------------------------------------------------------------------------------- */

/* Adds `by` to a column of every row's token 3, or sets it. */
struct column_edit {
    size_t column;
    float by;
    bool is_set;
    size_t n_calls;
};

static status_t edit_column(void *context, const struct forward_values *values, struct error *err)
{
    struct column_edit *edit = context;
    (void)err;
    edit->n_calls++;
    for (size_t r = 0; r < values->n_rows; r++) {
        float *x = values->values + (r * values->n_ctx + 3) * values->ld + edit->column;
        *x = edit->is_set ? edit->by : *x + edit->by;
    }
    return ST_OK;
}

static float *run_edited(struct fixture *f, const struct forward_edit *edits, size_t n_edits,
                         struct hook_point hook)
{
    const struct forward_input input = {.tokens = f->batch.tokens,
                                        .row_lengths = f->batch.lengths,
                                        .edits = edits,
                                        .n_edits = n_edits};
    const float *acts;
    const size_t n = f->batch.n_rows * f->batch.n_ctx *
                     hook_point_width(hook, model_config(f->model)) * sizeof(float);
    cr_assert_eq(forward_run(f->forward, &input, &hook, 1, &acts, &f->err), ST_OK, "%s",
                 f->err.text);
    float *copy = malloc(n);
    cr_assert(copy);
    memcpy(copy, acts, n);
    return copy;
}

/* Every hook point that can be edited: hooks see the value that was set, nothing else of the hook
 * point changes, and the logits do. */
Test(forward, an_edit_is_seen_by_hooks_and_by_the_rest_of_the_pass)
{
    static const char *const NAMES[] = {"gpt2-tied", "llama-gqa-tied", "llama-biases"};
    for (size_t m = 0; m < 3; m++)
        for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
            struct fixture f;
            struct column_edit column = {.column = 5, .by = 7.5f, .is_set = true};
            if (!forward_can_edit((enum hook_kind)kind)) continue;
            const struct hook_point hook = {(enum hook_kind)kind, 1}, out = {HOOK_LOGITS, 0};
            const struct forward_edit edit = {hook, edit_column, &column, NULL};
            open_model(&f, NAMES[m], COMPUTE_F32);
            open_forward(&f, f.batch.n_rows, f.batch.n_ctx);
            const size_t width = hook_point_width(hook, model_config(f.model)), at = 3 * width + 5;
            float *clean = run_edited(&f, NULL, 0, hook), *edited = run_edited(&f, &edit, 1, hook);
            cr_expect_eq(edited[at], 7.5f, "%s, kind %u: %g", NAMES[m], kind, (double)edited[at]);
            cr_expect_eq(column.n_calls, 1);
            cr_expect_eq(memcmp(clean, edited, at * sizeof *clean), 0);
            cr_expect_eq(memcmp(clean + at + 1, edited + at + 1, width * sizeof *clean), 0);
            free(clean);
            free(edited);
            clean = run_edited(&f, NULL, 0, out);
            edited = run_edited(&f, &edit, 1, out);
            cr_expect_neq(memcmp(clean, edited,
                                 f.batch.n_ctx * model_config(f.model)->n_vocab * sizeof *clean),
                          0, "%s, kind %u", NAMES[m], kind);
            free(clean);
            free(edited);
            close_all(&f);
        }
}

/* What is added to the output of attention is added to the stream behind it. */
Test(forward, an_edit_behind_attention_is_one_of_the_stream)
{
    struct fixture f;
    struct column_edit column = {.column = 2, .by = 1.25f};
    const struct forward_edit edits[] = {{{HOOK_ATTN_OUT, 0}, edit_column, &column, NULL},
                                         {{HOOK_RESID_MID, 0}, edit_column, &column, NULL}};
    const struct hook_point out = {HOOK_LOGITS, 0};
    open_model(&f, "gpt2-tied", COMPUTE_F32);
    open_forward(&f, f.batch.n_rows, f.batch.n_ctx);
    float *first = run_edited(&f, &edits[0], 1, out), *second = run_edited(&f, &edits[1], 1, out);
    const size_t n = f.batch.n_rows * f.batch.n_ctx * model_config(f.model)->n_vocab;
    for (size_t i = 0; i < n; i++)
        cr_assert_float_eq((double)first[i], (double)second[i], 1e-4, "%zu", i);
    free(first);
    free(second);
    close_all(&f);
}

Test(forward, an_edit_that_cannot_be_made_is_refused)
{
    struct fixture f;
    struct column_edit column = {.column = 2};
    const struct hook_point out = {HOOK_LOGITS, 0};
    static const struct hook_point hooks[] = {
        {HOOK_LN1_NORMALIZED, 0}, {HOOK_MLP_PRE, 0}, {HOOK_LOGITS, 0}, {HOOK_RESID_PRE, 99}};
    const float *acts;
    open_model(&f, "gpt2-tied", COMPUTE_F32);
    open_forward(&f, f.batch.n_rows, f.batch.n_ctx);
    for (size_t i = 0; i < 4; i++) {
        const struct forward_edit edit = {hooks[i], edit_column, &column, NULL};
        const struct forward_input input = {
            .tokens = f.batch.tokens, .row_lengths = f.batch.lengths, .edits = &edit, .n_edits = 1};
        cr_expect_eq(forward_run(f.forward, &input, &out, 1, &acts, &f.err), ST_BAD_INPUT);
    }
    cr_expect_eq(column.n_calls, 0);
    close_all(&f);
}

Test(forward, head_rows_have_the_bits_of_the_whole_batch)
{
    struct fixture f;
    const struct hook_point hooks[] = {{HOOK_LOGITS, 0}, {HOOK_RESID_PRE, 1}};
    const float *acts[2];
    open_model(&f, "llama-gqa-tied", COMPUTE_F32);
    open_forward(&f, f.batch.n_rows, f.batch.n_ctx);
    const size_t n_vocab = model_config(f.model)->n_vocab;
    const uint32_t rows[] = {(uint32_t)f.batch.n_ctx + 4, 0, 7, 7};
    float *all = run_edited(&f, NULL, 0, hooks[0]);
    struct forward_input input = {.tokens = f.batch.tokens,
                                  .row_lengths = f.batch.lengths,
                                  .head_rows = rows,
                                  .n_head_rows = 4};
    cr_assert_eq(forward_run(f.forward, &input, hooks, 2, acts, &f.err), ST_OK, "%s", f.err.text);
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(memcmp(acts[0] + i * n_vocab, all + rows[i] * n_vocab, n_vocab * sizeof *all),
                     0, "row %zu", i);
    const uint32_t beyond = (uint32_t)(f.batch.n_rows * f.batch.n_ctx);
    input.head_rows = &beyond;
    input.n_head_rows = 1;
    cr_expect_eq(forward_run(f.forward, &input, hooks, 1, acts, &f.err), ST_BAD_INPUT);
    free(all);
    close_all(&f);
}
