/* Variants whose whole distributions are compared with the clean ones: batched runs against whole
 * passes, and against the rows themselves. */
#include "kernels/divergence.h"
#include "tests/unit/any_backend.h"
#include "worker/model/variants.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 3, N_CTX = 9, N_VARIANTS = 5, N_COLUMNS = 2, N_VOCAB_MOST = 512 };
enum { N_ROWS = N_PROMPTS * N_CTX, WIDTH_MOST = 1024 };

static struct backend *backend;
static struct model *model;
static struct error err;
static float values[N_ROWS * WIDTH_MOST];
static const uint32_t lengths[] = {9, 6, 8}, answers[] = {8, 5, 6}, columns[] = {3, 40};

struct taken {
    struct variants *variants;
    size_t n_columns;
    struct divergence divergences[N_VARIANTS][N_PROMPTS];
    float logits[N_VARIANTS][N_PROMPTS * N_VOCAB_MOST];
    float clean[N_PROMPTS * N_VOCAB_MOST];
};

static void set_up(void)
{
    const char path[] = "tests/golden/models/gpt2-tied";
    uint32_t state = 7;
    cr_assert_eq(any_backend_open(&backend, &err), ST_OK, "%s", err.text);
    const struct model_params params = {.directory = path, .backend = backend};
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        state = state * 1664525U + 1013904223U;
        values[i] = (float)(state >> 8) * 0x1p-24F - 0.5F;
    }
}

static void tear_down(void)
{
    model_close(&model);
    backend_close(&backend);
}

TestSuite(variants_compared, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *problem)
{
    struct taken *taken = context;
    const struct divergence *divergences = variants_divergences(taken->variants);
    const size_t n_bytes = N_PROMPTS * taken->n_columns * sizeof *logits;
    (void)problem;
    memcpy(taken->logits[index], logits, n_bytes);
    memcpy(taken->clean, clean, n_bytes);
    cr_expect_eq(divergences != NULL, taken->n_columns == N_COLUMNS);
    if (divergences)
        memcpy(taken->divergences[index], divergences, N_PROMPTS * sizeof *divergences);
    return ST_OK;
}

typedef status_t run_fn(struct variants *variants, const struct variant *list, size_t n,
                        variants_take_fn *take_one, void *context, struct error *problem);

/* Heads, neurons, the stream of a middle layer, the output of the last MLP; and nothing. */
static struct taken *run(size_t n_batch, bool is_compared, run_fn *run_all)
{
    static const struct hook_point hooks[N_VARIANTS] = {
        {HOOK_Z, 0}, {HOOK_MLP_POST, 1}, {HOOK_RESID_PRE, 1}, {HOOK_MLP_OUT, 1}, {HOOK_Z, 1}};
    struct variant_change changes[N_VARIANTS];
    struct variant list[N_VARIANTS];
    uint32_t tokens[N_ROWS];
    struct taken *taken = calloc(1, sizeof *taken);
    cr_assert(taken);
    cr_assert_leq(model_config(model)->n_vocab, N_VOCAB_MOST);
    for (uint32_t r = 0; r < N_ROWS; r++) tokens[r] = (r * 37 + 11) % 97;
    for (size_t i = 0; i < N_VARIANTS; i++) {
        changes[i] = (struct variant_change){
            .hook = hooks[i], .n_columns = 8, .values = values, .ld = WIDTH_MOST};
        list[i] = (struct variant){.changes = &changes[i], .n_changes = i + 1 < N_VARIANTS};
    }
    const struct variants_params batch = {
        .model = model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .n_batch = n_batch};
    const struct variants_prompts prompts = {.tokens = tokens,
                                             .lengths = lengths,
                                             .answers = answers,
                                             .columns = is_compared ? columns : NULL,
                                             .n_columns = is_compared ? N_COLUMNS : 0,
                                             .is_compared = is_compared};
    cr_assert_eq(variants_create(&taken->variants, &batch, &err), ST_OK, "%s", err.text);
    cr_assert_eq(variants_load(taken->variants, &prompts, &err), ST_OK, "%s", err.text);
    taken->n_columns = is_compared ? (size_t)N_COLUMNS : model_config(model)->n_vocab;
    cr_assert_eq(run_all(taken->variants, list, N_VARIANTS, take, taken, &err), ST_OK, "%s",
                 err.text);
    variants_destroy(&taken->variants);
    return taken;
}

static void expect_close(const struct taken *got, const struct taken *want, double tolerance)
{
    for (size_t i = 0; i < N_VARIANTS; i++)
        for (size_t p = 0; p < N_PROMPTS; p++) {
            const struct divergence *a = &got->divergences[i][p], *b = &want->divergences[i][p];
            cr_expect(fabs(a->kl - b->kl) <= tolerance * (1e-3 + b->kl),
                      "%zu, %zu: %.17g, not %.17g", i, p, a->kl, b->kl);
            cr_expect(fabs(a->largest - b->largest) <= tolerance * fabs(b->largest));
            cr_expect(fabs(a->sum - b->sum) <= tolerance * b->sum);
        }
}

/* Where rows lie on the host, what is compared is what is handed out otherwise. */
Test(variants_compared, give_the_divergence_of_the_rows)
{
    const size_t n_vocab = model_config(model)->n_vocab;
    struct taken *rows = run(3, false, variants_run), *got = run(3, true, variants_run);
    for (size_t i = 0; i < N_VARIANTS; i++)
        for (size_t p = 0; p < N_PROMPTS; p++) {
            const float *row = rows->logits[i] + p * n_vocab;
            rows->divergences[i][p] = divergence_of_rows(rows->clean + p * n_vocab, row, n_vocab);
            for (size_t c = 0; c < N_COLUMNS; c++)
                cr_expect_float_eq((double)got->logits[i][p * N_COLUMNS + c],
                                   (double)row[columns[c]], 1e-6);
        }
    expect_close(got, rows, 1e-6);
    if (backend->ops->memory_is_host)
        cr_expect_eq(memcmp(got->divergences, rows->divergences, sizeof got->divergences), 0);
    free(rows);
    free(got);
}

Test(variants_compared, agree_with_whole_passes)
{
    struct taken *naive = run(3, true, variants_run_naive), *fast = run(3, true, variants_run);
    expect_close(fast, naive, 1e-5);
    free(naive);
    free(fast);
}

Test(variants_compared, have_the_same_bits_in_any_batch)
{
    struct taken *want = run(1, true, variants_run);
    for (size_t n_batch = 2; n_batch <= N_VARIANTS; n_batch += 3) {
        struct taken *got = run(n_batch, true, variants_run);
        cr_expect_eq(memcmp(got->divergences, want->divergences, sizeof got->divergences), 0,
                     "batches of %zu", n_batch);
        free(got);
    }
    free(want);
}

Test(variants_compared, have_kl_0_where_nothing_changes_and_more_elsewhere)
{
    struct taken *fast = run(N_VARIANTS, true, variants_run);
    for (size_t p = 0; p < N_PROMPTS; p++) {
        for (size_t i = 0; i + 1 < N_VARIANTS; i++)
            cr_expect_gt(fast->divergences[i][p].kl, 0, "variant %zu", i);
        cr_expect_eq(fast->divergences[N_VARIANTS - 1][p].kl, 0);
    }
    free(fast);
}

Test(variants_compared, need_columns)
{
    struct variants *variants;
    uint32_t tokens[N_ROWS] = {0};
    const struct variants_params batch = {
        .model = model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .n_batch = 1};
    const struct variants_prompts prompts = {
        .tokens = tokens, .lengths = lengths, .answers = answers, .is_compared = true};
    cr_assert_eq(variants_create(&variants, &batch, &err), ST_OK, "%s", err.text);
    cr_expect_eq(variants_load(variants, &prompts, &err), ST_BAD_INPUT);
    variants_destroy(&variants);
}
