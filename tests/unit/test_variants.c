/* Batched runs of variants against whole passes, on the golden models of both families. */
#include "worker/model/variants.h"

#include "tests/unit/any_backend.h"
#include "worker/model/variants_parts.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 3, N_CTX = 9, N_ROWS = N_PROMPTS * N_CTX, N_ANSWERS = 4, MOST = 64 };
enum { WIDTH_MAX = 4096 };

struct world {
    struct backend *backend;
    struct model *model;
    const struct model_config *config;
    struct variants *variants;
    struct error err;
};

static struct world world;
static float values[N_ROWS * WIDTH_MAX]; /* what changes set: noise */
static uint8_t late_rows[N_ROWS];        /* positions from the fifth on */

static void open_model(const char *name)
{
    char path[256];
    world = (struct world){.backend = NULL};
    (void)snprintf(path, sizeof path, "tests/golden/models/%s", name);
    cr_assert_eq(any_backend_open(&world.backend, &world.err), ST_OK, "%s", world.err.text);
    const struct model_params params = {.directory = path, .backend = world.backend};
    cr_assert_eq(model_open(&world.model, &params, &world.err), ST_OK, "%s", world.err.text);
    world.config = model_config(world.model);
    uint32_t state = 7;
    for (size_t i = 0; i < N_ROWS * WIDTH_MAX; i++) {
        state = state * 1664525U + 1013904223U;
        values[i] = (float)(state >> 8) * 0x1p-24F - 0.5F;
    }
    for (size_t r = 0; r < N_ROWS; r++) late_rows[r] = r % N_CTX >= 4;
}

/* Prompts of different lengths; the answer is not always at the end. */
static status_t load(size_t n_columns, uint32_t first_token)
{
    uint32_t tokens[N_ROWS], columns[N_ANSWERS];
    const uint32_t lengths[N_PROMPTS] = {9, 6, 8}, answers[N_PROMPTS] = {8, 5, 6};
    const uint32_t n_vocab = (uint32_t)world.config->n_vocab;
    for (size_t r = 0; r < N_ROWS; r++) tokens[r] = (uint32_t)(r * 37 + 11) % n_vocab;
    tokens[0] = first_token;
    for (uint32_t i = 0; i < N_ANSWERS; i++) columns[i] = (i * 13 + 2) % n_vocab;
    const struct variants_prompts prompts = {.tokens = tokens,
                                             .lengths = lengths,
                                             .answers = answers,
                                             .columns = n_columns ? columns : NULL,
                                             .n_columns = n_columns};
    return variants_load(world.variants, &prompts, &world.err);
}

static void open_variants(size_t n_batch, size_t n_columns)
{
    const struct variants_params params = {
        .model = world.model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .n_batch = n_batch};
    cr_assert_eq(variants_create(&world.variants, &params, &world.err), ST_OK, "%s",
                 world.err.text);
    cr_assert_eq(load(n_columns, 5), ST_OK, "%s", world.err.text);
}

static void close_all(void)
{
    variants_destroy(&world.variants);
    model_close(&world.model);
    backend_close(&world.backend);
}

/* A variant for every place that can be changed, in every layer, and some with several. */
static size_t make_variants(struct variant_change *changes, struct variant *list)
{
    static const enum hook_kind kinds[] = {
        HOOK_RESID_PRE, HOOK_Q,         HOOK_K,        HOOK_V,       HOOK_Z,
        HOOK_ATTN_OUT,  HOOK_RESID_MID, HOOK_MLP_POST, HOOK_MLP_OUT, HOOK_RESID_POST};
    size_t n = 0;
    for (size_t layer = 0; layer < world.config->n_layers && layer < 2; layer++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++, n++) {
            const struct hook_point hook = {kinds[k], layer};
            const size_t width = hook_point_width(hook, world.config);
            changes[n] = (struct variant_change){.hook = hook,
                                                 .column = width / 4,
                                                 .n_columns = width / 2,
                                                 .is_added = n % 4 && k % 3 == 1,
                                                 .values = n % 4 ? values : NULL,
                                                 .ld = n % 2 ? WIDTH_MAX : 0,
                                                 .is_row = n % 3 ? late_rows : NULL};
            list[n] = (struct variant){.changes = &changes[n], .n_changes = 1};
        }
    const size_t n_single = n;
    for (size_t low = 0; low + 5 <= n_single; low += 3)
        list[n++] = (struct variant){.changes = &changes[low],
                                     .n_changes = 5}; /* across kinds and layers */
    list[n++] = (struct variant){.n_changes = 0};
    return n;
}

struct taken {
    float logits[MOST][N_PROMPTS * 512];
    float clean[MOST][N_PROMPTS * 512];
    size_t n_each, n;
};

static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    struct taken *taken = context;
    (void)err;
    cr_assert_lt(index, MOST);
    memcpy(taken->logits[index], logits, taken->n_each * sizeof *logits);
    memcpy(taken->clean[index], clean, taken->n_each * sizeof *clean);
    taken->n++;
    return ST_OK;
}

static struct taken *run(const struct variant *list, size_t n, size_t n_columns, bool is_naive)
{
    struct taken *taken = calloc(1, sizeof *taken);
    cr_assert(taken);
    taken->n_each = N_PROMPTS * n_columns;
    cr_assert_leq(n_columns, 512);
    const status_t status =
        is_naive ? variants_run_naive(world.variants, list, n, take, taken, &world.err)
                 : variants_run(world.variants, list, n, take, taken, &world.err);
    cr_assert_eq(status, ST_OK, "%s", world.err.text);
    cr_assert_eq(taken->n, n);
    return taken;
}

static void check_model(const char *name, size_t n_columns)
{
    struct variant_change changes[MOST];
    struct variant list[MOST];
    open_model(name);
    const size_t n_each = n_columns ? n_columns : world.config->n_vocab;
    open_variants(4, n_columns);
    const size_t n = make_variants(changes, list);
    struct taken *naive = run(list, n, n_each, true), *fast = run(list, n, n_each, false);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < N_PROMPTS * n_each; k++) {
            largest = fmax(largest, fabs((double)naive->logits[i][k]));
            worst = fmax(worst, fabs((double)naive->logits[i][k] - (double)fast->logits[i][k]));
        }
    /* The same products row by row, hence the same bits; one of fewer columns may sum otherwise. */
    const double tolerance = n_columns ? 1e-5 : 0;
    cr_expect(worst <= tolerance * largest, "%s: %g of %g", name, worst, largest);
    for (size_t i = 0; i + 1 < n; i++)
        cr_expect(memcmp(fast->logits[i], fast->clean[i], n_each * N_PROMPTS * 4) != 0,
                  "%s: variant %zu changes nothing", name, i);
    cr_expect_arr_eq(fast->logits[n - 1], fast->clean[n - 1], n_each * N_PROMPTS * 4);
    free(naive);
    free(fast);
    close_all();
}

Test(variants, agree_with_whole_passes_on_gpt2)
{
    check_model("gpt2-tied", N_ANSWERS);
}

Test(variants, agree_with_whole_passes_on_llama)
{
    check_model("llama-gqa-tied", N_ANSWERS);
}

Test(variants, agree_over_the_whole_vocabulary)
{
    check_model("gpt2-tied", 0);
}

Test(variants, have_the_same_bits_in_any_batch)
{
    struct variant_change changes[MOST];
    struct variant list[MOST];
    open_model("llama-gqa-tied");
    struct taken *want = NULL;
    for (size_t n_batch = 1; n_batch <= 40; n_batch += 13) {
        open_variants(n_batch, N_ANSWERS);
        const size_t n = make_variants(changes, list);
        struct taken *got = run(list, n, N_ANSWERS, false);
        for (size_t i = 0; want && i < n; i++)
            cr_expect_arr_eq(got->logits[i], want->logits[i], N_ANSWERS * N_PROMPTS * 4,
                             "variant %zu in batches of %zu", i, n_batch);
        free(want);
        want = got;
        variants_destroy(&world.variants);
    }
    free(want);
    close_all();
}

/* What sets a place to the value that it has does exactly nothing. */
Test(variants, of_no_effect_have_the_clean_bits)
{
    static const enum hook_kind kinds[] = {HOOK_Z, HOOK_MLP_OUT, HOOK_RESID_PRE, HOOK_RESID_MID};
    open_model("gpt2-tied");
    open_variants(2, N_ANSWERS);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct hook_point hook = {kinds[k], 1};
        const float *clean;
        cr_assert_eq(variants_clean(world.variants, hook, &clean, &world.err), ST_OK, "%s",
                     world.err.text);
        const size_t width = hook_point_width(hook, world.config);
        const struct variant_change same = {
            .hook = hook, .n_columns = width, .values = clean, .ld = width};
        const struct variant list[] = {{.changes = &same, .n_changes = 1}};
        struct taken *taken = run(list, 1, N_ANSWERS, false);
        cr_expect_arr_eq(taken->logits[0], taken->clean[0], N_ANSWERS * N_PROMPTS * 4, "kind %d",
                         (int)kinds[k]);
        free(taken);
    }
    close_all();
}

/* Where a variant's rows may begin: behind all that is clean, before any answer. */
Test(variants, begin_at_the_first_position_that_they_change)
{
    open_model("llama-gqa-tied");
    open_variants(2, N_ANSWERS);
    uint8_t last[N_ROWS] = {0}, nowhere[N_ROWS] = {0}, ragged[N_ROWS] = {0};
    for (size_t p = 0; p < N_PROMPTS; p++) last[p * N_CTX + N_CTX - 1] = 1;
    ragged[1 * N_CTX + 4] = ragged[2 * N_CTX + 3] = 1;
    const struct variant_change change = {.hook = {HOOK_Z, 0}, .n_columns = 1};
    struct variant_change all = change, late = change, end = change, none = change, from = change,
                          early = change, both = change;
    late.is_row = late_rows;
    end.is_row = last;
    none.is_row = nowhere;
    from.first_position = 5;
    early.first_position = 2;
    both.is_row = ragged;
    both.first_position = 4;
    const struct {
        struct variant_change changes[2];
        size_t n, want;
    } cases[] = {{{all}, 1, 0},         {{late}, 1, 4},      {{end}, 1, 5},  {{none}, 1, 5},
                 {{from}, 1, 5},        {{early}, 1, 0},     {{both}, 1, 4}, {{late, from}, 2, 4},
                 {{from, early}, 2, 0}, {{late, all}, 2, 0}, {{all}, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct variant variant = {.changes = cases[i].changes, .n_changes = cases[i].n};
        cr_expect_eq(variant_first_position(world.variants, &variant), cases[i].want, "case %zu",
                     i);
    }
    const struct variant_hook hook = {.hook = {HOOK_Z, 0}};
    const struct variant hooked = {.changes = &late, .n_changes = 1, .hooks = &hook, .n_hooks = 1};
    cr_expect_eq(variant_first_position(world.variants, &hooked), 0, "hooks may do anything");
    close_all();
}

/* The same rows, said by a mask and by a first position: the bits of a whole pass either way. */
Test(variants, of_late_positions_have_the_bits_of_whole_passes)
{
    static const enum hook_kind kinds[] = {HOOK_RESID_PRE, HOOK_K, HOOK_Z, HOOK_MLP_OUT};
    static const char *const names[] = {"gpt2-tied", "llama-gqa-tied", "llama-head-dim"};
    enum { N_KINDS = sizeof kinds / sizeof kinds[0] };
    for (size_t m = 0; m < sizeof names / sizeof names[0]; m++) {
        struct variant_change changes[2 * N_KINDS];
        struct variant list[2 * N_KINDS];
        open_model(names[m]);
        open_variants(3, 0);
        const size_t n_vocab = world.config->n_vocab;
        for (size_t i = 0; i < 2 * N_KINDS; i++) {
            changes[i] = (struct variant_change){.hook = {kinds[i / 2], 0},
                                                 .n_columns = 8,
                                                 .values = values,
                                                 .ld = WIDTH_MAX,
                                                 .is_row = i % 2 ? late_rows : NULL,
                                                 .first_position = i % 2 ? 0 : 4};
            list[i] = (struct variant){.changes = &changes[i], .n_changes = 1};
        }
        struct taken *naive = run(list, 2 * N_KINDS, n_vocab, true);
        struct taken *fast = run(list, 2 * N_KINDS, n_vocab, false);
        for (size_t i = 0; i < 2 * N_KINDS; i++) {
            const size_t n_bytes = N_PROMPTS * n_vocab * sizeof(float);
            cr_expect_arr_eq(fast->logits[i], naive->logits[i], n_bytes, "%s, %zu", names[m], i);
            cr_expect_arr_eq(fast->logits[i], fast->logits[i ^ 1], n_bytes, "%s, %zu", names[m], i);
            cr_expect(memcmp(fast->logits[i], fast->clean[i], n_bytes) != 0);
        }
        free(naive);
        free(fast);
        close_all();
    }
}

/* Prompts may be loaded again: the values of another batch are what resampling sets. */
Test(variants, set_to_another_batch_give_its_logits)
{
    open_model("gpt2-tied");
    open_variants(2, N_ANSWERS);
    const struct hook_point hook = {HOOK_RESID_PRE, 1};
    const size_t width = hook_point_width(hook, world.config), n = N_ROWS * width;
    const float *clean;
    float *other = malloc(n * sizeof *other);
    cr_assert(other);
    cr_assert_eq(load(N_ANSWERS, 17), ST_OK);
    cr_assert_eq(variants_clean(world.variants, hook, &clean, &world.err), ST_OK);
    memcpy(other, clean, n * sizeof *other);
    const struct variant nothing = {.n_changes = 0};
    struct taken *want = run(&nothing, 1, N_ANSWERS, false);
    cr_assert_eq(load(N_ANSWERS, 5), ST_OK);
    const struct variant_change resample = {
        .hook = hook, .n_columns = width, .values = other, .ld = width};
    const struct variant list[] = {{.changes = &resample, .n_changes = 1}};
    struct taken *got = run(list, 1, N_ANSWERS, false);
    cr_expect_arr_eq(got->logits[0], want->logits[0], N_ANSWERS * N_PROMPTS * 4);
    cr_expect(memcmp(got->logits[0], got->clean[0], N_ANSWERS * 4) != 0);
    free(got);
    free(want);
    free(other);
    close_all();
}

static void refuse(const struct variant_change *change, const char *why)
{
    const struct variant list[] = {{.n_changes = 0}, {.changes = change, .n_changes = 1}};
    struct taken taken = {.n_each = 0};
    error_clear(&world.err);
    cr_expect_eq(variants_run(world.variants, list, 2, take, &taken, &world.err), ST_BAD_INPUT);
    cr_expect(strstr(world.err.text, why), "%s", world.err.text);
    cr_expect_eq(taken.n, 0);
}

Test(variants, that_do_not_lie_in_the_model_are_refused_by_name)
{
    open_model("gpt2-tied");
    open_variants(2, N_ANSWERS);
    const size_t d = world.config->d_model;
    const struct variant_change no_layer = {.hook = {HOOK_Z, 99}, .n_columns = 1};
    const struct variant_change no_edit = {.hook = {HOOK_LOGITS, 0}, .n_columns = 1};
    const struct variant_change too_far = {
        .hook = {HOOK_RESID_MID, 0}, .column = d - 1, .n_columns = 2};
    const struct variant_change nothing = {.hook = {HOOK_RESID_MID, 0}};
    refuse(&no_layer, "blocks.99.attn.hook_z");
    refuse(&no_edit, "logits");
    refuse(&too_far, "columns");
    refuse(&nothing, "columns");
    close_all();
}

Test(variants, refuse_prompts_that_cannot_be)
{
    const uint32_t tokens[2 * 3] = {1, 2, 3, 4, 5, 6}, lengths[] = {3, 2}, answers[] = {2, 1};
    const uint32_t empty[] = {3, 0}, behind[] = {2, 2}, wrong[] = {1, 2, 9999999, 4, 5, 6};
    const struct {
        struct variants_prompts prompts;
        const char *why;
    } cases[] = {
        {{.tokens = tokens, .lengths = empty, .answers = answers}, "prompt 1"},
        {{.tokens = tokens, .lengths = lengths, .answers = behind}, "prompt 1"},
        {{.tokens = wrong, .lengths = lengths, .answers = answers}, "9999999"},
        {{.tokens = tokens,
          .lengths = lengths,
          .answers = answers,
          .columns = wrong,
          .n_columns = 3},
         "answer 2"},
        {{.tokens = tokens, .lengths = lengths, .answers = answers, .columns = wrong},
         "no answers"},
    };
    open_model("gpt2-tied");
    const struct variants_params params = {
        .model = world.model, .n_prompts = 2, .n_ctx = 3, .n_batch = 1};
    cr_assert_eq(variants_create(&world.variants, &params, &world.err), ST_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        error_clear(&world.err);
        cr_expect_eq(variants_load(world.variants, &cases[i].prompts, &world.err), ST_BAD_INPUT);
        cr_expect(strstr(world.err.text, cases[i].why), "%s", world.err.text);
    }
    close_all();
}

/* --- edges --------------------------------------------------------------------------------- */

/* Adds rows [N_ROWS, width] to a stream. */
struct addition {
    const float *rows;
};

static status_t add_rows(void *context, const struct forward_values *at, struct error *err)
{
    const struct addition *addition = context;
    (void)err;
    for (size_t r = 0; r < at->n_rows * at->n_ctx; r++)
        for (size_t i = 0; i < at->width; i++)
            at->values[r * at->ld + i] += addition->rows[r * at->width + i];
    return ST_OK;
}

static void expect_close(const float *got, size_t ld, const float *want, size_t width,
                         const char *what)
{
    double worst = 0, largest = 0;
    for (size_t r = 0; r < N_CTX; r++) /* the first prompt has no padding */
        for (size_t i = 0; i < width; i++) {
            worst = fmax(worst, fabs((double)got[r * ld + i] - (double)want[r * width + i]));
            largest = fmax(largest, fabs((double)want[r * width + i]));
        }
    cr_expect(worst <= 1e-5 * largest, "%s: %g of %g", what, worst, largest);
}

/* The MLP of layer 0, set to noise, as the heads and the MLP of layer 1 see it: that is a pass in
 * which the difference is added to the stream that they read. */
Test(variants, along_an_edge_see_the_sender_alone_changed)
{
    static const enum hook_kind kinds[] = {HOOK_Q, HOOK_K, HOOK_V};
    open_model("llama-gqa-tied");
    open_variants(2, N_ANSWERS);
    const struct model_config *c = world.config;
    const size_t d = c->d_model;
    const struct hook_point sender = {HOOK_MLP_OUT, 0};
    const float *clean, *acts;
    cr_assert_eq(variants_clean(world.variants, sender, &clean, &world.err), ST_OK);
    float *difference = malloc(N_ROWS * d * sizeof *difference);
    cr_assert(difference);
    for (size_t i = 0; i < N_ROWS * d; i++) difference[i] = values[i] - clean[i];
    struct variant_path path = {
        .sender = {.hook = sender, .n_columns = d, .values = values, .ld = d}, .layer = 1};
    const size_t width = variants_path_width(world.variants, PATH_QKV);
    float *qkv = malloc(N_ROWS * width * sizeof *qkv), *mlp = malloc(N_ROWS * d * sizeof *mlp);
    cr_assert(qkv && mlp);
    cr_assert_eq(variants_path(world.variants, &path, qkv, &world.err), ST_OK, "%s",
                 world.err.text);
    path.receiver = PATH_MLP;
    cr_assert_eq(variants_path(world.variants, &path, mlp, &world.err), ST_OK, "%s",
                 world.err.text);

    struct forward *forward;
    const struct forward_params params = {
        .model = world.model, .n_rows = N_PROMPTS, .n_ctx = N_CTX};
    cr_assert_eq(forward_create(&forward, &params, &world.err), ST_OK);
    uint32_t tokens[N_ROWS];
    const uint32_t lengths[N_PROMPTS] = {9, 6, 8};
    for (size_t r = 0; r < N_ROWS; r++) tokens[r] = (uint32_t)((r * 37 + 11) % c->n_vocab);
    tokens[0] = 5;
    struct addition addition = {difference};
    struct forward_edit edit = {{HOOK_RESID_PRE, 1}, add_rows, &addition, NULL};
    const struct forward_input input = {
        .tokens = tokens, .row_lengths = lengths, .edits = &edit, .n_edits = 1};
    size_t column = 0;
    for (size_t k = 0; k < 3; k++) {
        const struct hook_point hook = {kinds[k], 1};
        cr_assert_eq(forward_run(forward, &input, &hook, 1, &acts, &world.err), ST_OK);
        expect_close(qkv + column, width, acts, hook_point_width(hook, c), "q, k, v");
        column += hook_point_width(hook, c);
    }
    const struct hook_point hook = {HOOK_MLP_OUT, 1};
    edit.hook = (struct hook_point){HOOK_RESID_MID, 1};
    cr_assert_eq(forward_run(forward, &input, &hook, 1, &acts, &world.err), ST_OK);
    expect_close(mlp, d, acts, d, "MLP");
    forward_destroy(&forward);
    free(difference);
    free(qkv);
    free(mlp);
    close_all();
}

Test(variants, along_an_edge_from_an_unchanged_sender_carry_nothing)
{
    open_model("gpt2-tied");
    open_variants(2, N_ANSWERS);
    const struct model_config *c = world.config;
    const struct hook_point z = {HOOK_Z, 0};
    const size_t d_z = hook_point_width(z, c), d = c->d_model;
    float *same = malloc(N_ROWS * d_z * sizeof *same), *out = malloc(N_ROWS * d * sizeof *out);
    const float *clean;
    cr_assert(same && out);
    cr_assert_eq(variants_clean(world.variants, z, &clean, &world.err), ST_OK);
    memcpy(same, clean, N_ROWS * d_z * sizeof *same);
    struct variant_path path = {.sender = {.hook = z,
                                           .column = c->d_head,
                                           .n_columns = c->d_head,
                                           .values = same + c->d_head,
                                           .ld = d_z},
                                .receiver = PATH_LOGITS};
    cr_assert_eq(variants_path(world.variants, &path, out, &world.err), ST_OK, "%s",
                 world.err.text);
    for (size_t i = 0; i < N_ROWS * d; i++) cr_assert_eq(out[i], 0);
    path.sender.values = NULL;
    cr_assert_eq(variants_path(world.variants, &path, out, &world.err), ST_OK);
    double sum = 0;
    for (size_t i = 0; i < N_CTX * d; i++) sum += fabs((double)out[i]);
    cr_expect_gt(sum, 0);
    free(same);
    free(out);
    close_all();
}

Test(variants, along_an_edge_that_runs_backwards_are_refused)
{
    open_model("gpt2-tied");
    open_variants(2, N_ANSWERS);
    const size_t d = world.config->d_model;
    const struct variant_path cases[] = {
        {{.hook = {HOOK_MLP_OUT, 1}, .n_columns = d}, PATH_QKV, 1},
        {{.hook = {HOOK_MLP_OUT, 1}, .n_columns = d}, PATH_MLP, 1},
        {{.hook = {HOOK_Z, 1}, .n_columns = d}, PATH_QKV, 1},
        {{.hook = {HOOK_RESID_MID, 0}, .n_columns = d}, PATH_LOGITS, 0},
        {{.hook = {HOOK_Z, 0}, .n_columns = d}, PATH_QKV, 99},
    };
    float *out = malloc(N_ROWS * variants_path_width(world.variants, PATH_QKV) * sizeof *out);
    cr_assert(out);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(variants_path(world.variants, &cases[i], out, &world.err), ST_BAD_INPUT,
                     "case %zu", i);
    free(out);
    close_all();
}
