/* The logit lens against TransformerLens (tests/golden/make_logit_lens.py), and on its own
 * terms. */
#include "tests/unit/any_backend.h"
#include "worker/model/logit_lens.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

struct bench {
    struct backend *backend;
    struct model *model;
    struct logit_lens *lens;
    struct hook_point hook;
    size_t width, n_vocab;
};

static void open_model(struct bench *bench, const char *name)
{
    char path[128];
    struct error err = {.status = ST_OK};
    (void)snprintf(path, sizeof path, "tests/golden/models/%s", name);
    *bench = (struct bench){.lens = NULL};
    cr_assert_eq(any_backend_open(&bench->backend, NULL), ST_OK);
    const struct model_params params = {
        .directory = path, .backend = bench->backend, .compute = COMPUTE_BF16};
    cr_assert_eq(model_open(&bench->model, &params, &err), ST_OK, "%s", err.text);
    bench->n_vocab = model_config(bench->model)->n_vocab;
}

static void open_lens(struct bench *bench, const char *hook)
{
    struct error err = {.status = ST_OK};
    const struct model_config *config = model_config(bench->model);
    cr_assert_eq(hook_point_parse(hook, config, &bench->hook, &err), ST_OK, "%s", err.text);
    bench->width = hook_point_width(bench->hook, config);
    cr_assert_eq(logit_lens_create(&bench->lens, bench->model, bench->hook, &err), ST_OK, "%s",
                 err.text);
}

static void close_bench(struct bench *bench)
{
    logit_lens_destroy(&bench->lens);
    model_close(&bench->model);
    backend_close(&bench->backend);
}

static void read_rows(const json_t *rows, size_t width, float *out)
{
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r);
        cr_assert_eq(json_array_size(row), width);
        for (size_t i = 0; i < width; i++)
            out[r * width + i] = (float)json_number_value(json_array_get(row, i));
    }
}

/* Largest difference to the golden logits, as a share of the largest logit. */
static double difference(struct bench *bench, const json_t *made)
{
    const json_t *wanted = json_object_get(made, "logits");
    const size_t n = json_array_size(wanted);
    float *directions = calloc(n * bench->width, sizeof *directions);
    float *want = calloc(n * bench->n_vocab, sizeof *want);
    float *got = calloc(n * bench->n_vocab, sizeof *got);
    double worst = 0, largest = 0;
    read_rows(json_object_get(made, "directions"), bench->width, directions);
    read_rows(wanted, bench->n_vocab, want);
    cr_assert_eq(logit_lens_run(bench->lens, directions, n, got, NULL), ST_OK);
    for (size_t i = 0; i < n * bench->n_vocab; i++) {
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    free(directions);
    free(want);
    free(got);
    return worst / largest;
}

Test(logit_lens, is_that_of_transformer_lens)
{
    static const char *const models[] = {"gpt2-tied", "gpt2-untied-gelu", "llama-gqa-tied",
                                         "llama-mha-untied"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct bench bench;
        char path[128];
        open_model(&bench, models[m]);
        (void)snprintf(path, sizeof path, "tests/golden/logit_lens/%s.json", models[m]);
        json_t *cases = json_load_file(path, 0, NULL);
        cr_assert_eq(json_array_size(cases), 3, "%s", path);
        for (size_t i = 0; i < 3; i++) {
            const json_t *made = json_array_get(cases, i);
            const char *hook = json_string_value(json_object_get(made, "hook"));
            open_lens(&bench, hook);
            const double worst = difference(&bench, made);
            cr_expect_leq(worst, 1e-5, "%s %s: %g", models[m], hook, worst);
            logit_lens_destroy(&bench.lens);
        }
        json_decref(cases);
        close_bench(&bench);
    }
}

Test(logit_lens, a_direction_gives_the_same_bytes_whatever_stands_beside_it)
{
    struct bench bench;
    open_model(&bench, "gpt2-tied");
    open_lens(&bench, "blocks.0.hook_resid_pre");
    const size_t n = 40, at = 17;
    float *many = calloc(n * bench.width, sizeof *many);
    float *alone = calloc(bench.n_vocab, sizeof *alone);
    float *beside = calloc(n * bench.n_vocab, sizeof *beside);
    for (size_t i = 0; i < n * bench.width; i++)
        many[i] = (float)((i * 7919) % 997) / 500.0f - 1.0f;
    cr_assert_eq(logit_lens_run(bench.lens, many, n, beside, NULL), ST_OK);
    cr_assert_eq(logit_lens_run(bench.lens, many + at * bench.width, 1, alone, NULL), ST_OK);
    cr_expect_arr_eq(alone, beside + at * bench.n_vocab, bench.n_vocab * sizeof *alone);
    free(many);
    free(alone);
    free(beside);
    close_bench(&bench);
}

Test(logit_lens, says_where_there_is_nothing_to_read)
{
    struct bench bench;
    struct error err = {.status = ST_OK};
    struct hook_point hook;
    struct logit_lens *lens = NULL;
    open_model(&bench, "gpt2-tied");
    cr_assert_eq(hook_point_parse("blocks.0.attn.hook_q", model_config(bench.model), &hook, NULL),
                 ST_OK);
    cr_expect_eq(logit_lens_create(&lens, bench.model, hook, &err), ST_UNSUPPORTED);
    cr_expect_str_eq(err.text, "logit lens: it does not write to the residual stream linearly");
    cr_expect_null(lens);
    for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
        const char *why = logit_lens_refusal((enum hook_kind)kind);
        cr_expect(!why || why[0], "%u", kind);
    }
    close_bench(&bench);
}
