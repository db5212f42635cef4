/* Variants that change late positions alone, on the CUDA backend on the host emulator: keys and
 * values of the clean pass on the device, rotated from their position on. Against whole passes
 * there and against the CPU. */
#include "tests/unit/emulated.h"
#include "worker/model/variants.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 2, N_CTX = 8, FIRST = 5, N_KINDS = 4, N_VOCAB_MOST = 512, WIDTH_MOST = 512 };
enum { N_ROWS = N_PROMPTS * N_CTX };

static const enum hook_kind KINDS[N_KINDS] = {HOOK_RESID_PRE, HOOK_K, HOOK_Z, HOOK_MLP_OUT};
static float values[N_ROWS * WIDTH_MOST];

struct taken {
    float logits[N_KINDS][N_PROMPTS * N_VOCAB_MOST];
    size_t n_each;
};

static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    struct taken *taken = context;
    (void)err;
    cr_expect(memcmp(logits, clean, taken->n_each * sizeof *logits) != 0, "%zu changes nothing",
              index);
    memcpy(taken->logits[index], logits, taken->n_each * sizeof *logits);
    return ST_OK;
}

/* Every kind of change from FIRST on, in the first layer, on one backend. */
static void run(struct backend *backend, const char *name, bool is_naive, struct taken *out)
{
    struct variant_change changes[N_KINDS];
    struct variant list[N_KINDS];
    struct variants *variants = NULL;
    struct model *model = NULL;
    struct error err = {0};
    char path[128];
    uint32_t tokens[N_ROWS];
    const uint32_t lengths[] = {8, 7}, answers[] = {7, 6};
    (void)snprintf(path, sizeof path, "tests/golden/models/%s", name);
    const struct model_params params = {.directory = path, .backend = backend};
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    for (uint32_t r = 0; r < N_ROWS; r++) tokens[r] = (r * 37 + 11) % 97;
    const struct variants_params batch = {
        .model = model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .n_batch = N_KINDS};
    const struct variants_prompts prompts = {
        .tokens = tokens, .lengths = lengths, .answers = answers};
    cr_assert_eq(variants_create(&variants, &batch, &err), ST_OK, "%s", err.text);
    cr_assert_eq(variants_load(variants, &prompts, &err), ST_OK, "%s", err.text);
    for (size_t i = 0; i < N_KINDS; i++) {
        changes[i] = (struct variant_change){.hook = {KINDS[i], 0},
                                             .n_columns = 8,
                                             .values = values,
                                             .ld = WIDTH_MOST,
                                             .first_position = FIRST};
        list[i] = (struct variant){.changes = &changes[i], .n_changes = 1};
    }
    out->n_each = N_PROMPTS * model_config(model)->n_vocab;
    cr_assert_leq(model_config(model)->n_vocab, N_VOCAB_MOST);
    cr_assert_eq(
        (is_naive ? variants_run_naive : variants_run)(variants, list, N_KINDS, take, out, &err),
        ST_OK, "%s", err.text);
    variants_destroy(&variants);
    model_close(&model);
}

static void expect_close(const struct taken *got, const struct taken *want, const char *what)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < N_KINDS; i++)
        for (size_t k = 0; k < want->n_each; k++) {
            worst = fmax(worst, fabs((double)got->logits[i][k] - (double)want->logits[i][k]));
            largest = fmax(largest, fabs((double)want->logits[i][k]));
        }
    cr_expect(worst <= 1e-5 * largest, "%s: %g of %g", what, worst, largest);
}

Test(variants_emulated, late_positions_alone_give_what_whole_passes_give, .timeout = 120)
{
    static const char *const names[] = {"gpt2-tied", "llama-gqa-tied"};
    static struct taken on_cpu, late, whole;
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    for (size_t i = 0; i < N_ROWS * WIDTH_MOST; i++)
        values[i] = (float)(emulated_random() >> 8) * 0x1p-24F - 0.5F;
    for (size_t m = 0; m < sizeof names / sizeof names[0]; m++) {
        run(e.cpu, names[m], false, &on_cpu);
        run(e.emu, names[m], false, &late);
        run(e.emu, names[m], true, &whole);
        expect_close(&late, &whole, names[m]);
        expect_close(&late, &on_cpu, names[m]);
    }
    emulated_close(&e);
}
