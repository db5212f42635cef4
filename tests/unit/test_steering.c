/* Interventions against what transformers and SAELens compute with the same change
 * (tests/golden/steering, made by make_steering.py), and what must hold besides. */
#include "worker/tasks/steering.h"

#include "tests/unit/any_backend.h"
#include "worker/model/safetensors.h"
#include "worker/tasks/logits.h"
#include "worker/tasks/model_cache.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char GOLDEN[] = "tests/golden";
enum { MOST_TOKENS = 128, PATH_SIZE = 512 };
static const double TOLERANCE = 1e-4; /* of the largest value, as in test_forward.c */

static struct backend *backend;
static struct model_cache *models;
static struct error err;

static void set_up(void)
{
    error_clear(&err);
    cr_assert_eq(any_backend_open(&backend, &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_create(&models, backend, &err), ST_OK);
}

static void tear_down(void)
{
    model_cache_destroy(&models);
    backend_close(&backend);
}

TestSuite(steering, .init = set_up, .fini = tear_down, .timeout = 60);

/* A golden model with one target, and its golden tokens. */
struct fixture {
    struct subject subject;
    struct forward *forward;
    uint32_t tokens[MOST_TOKENS], lengths[2];
    size_t n_ctx, n_vocab;
};

static void read_tokens(struct fixture *f, const char *model)
{
    char path[PATH_SIZE], line[1 << 12];
    (void)snprintf(path, sizeof path, "%s/models/%s/tokens.jsonl", GOLDEN, model);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    for (size_t row = 0; row < 2 && fgets(line, sizeof line, file); row++) {
        json_t *root = json_loads(line, 0, NULL);
        const json_t *tokens = json_object_get(root, "tokens");
        f->n_ctx = json_array_size(tokens);
        cr_assert(2 * f->n_ctx <= MOST_TOKENS);
        for (size_t t = 0; t < f->n_ctx; t++)
            f->tokens[row * f->n_ctx + t] = (uint32_t)json_integer_value(json_array_get(tokens, t));
        f->lengths[row] = (uint32_t)f->n_ctx;
        json_decref(root);
    }
    (void)fclose(file);
}

static void open_fixture(struct fixture *f, const json_t *spec)
{
    char path[PATH_SIZE];
    const char *model = json_string_value(json_object_get(spec, "model"));
    const char *dictionary = json_string_value(json_object_get(spec, "dictionary"));
    *f = (struct fixture){0};
    (void)snprintf(path, sizeof path, "%s/models/%s", GOLDEN, model);
    const struct model_wanted wanted = {.directory = path};
    cr_assert_eq(model_cache_model(models, &wanted, &f->subject.model, &err), ST_OK, "%s",
                 err.text);
    f->n_vocab = model_config(f->subject.model)->n_vocab;
    read_tokens(f, model);
    json_t *target = json_deep_copy(spec);
    if (dictionary) {
        (void)snprintf(path, sizeof path, "%s/dictionaries/%s", GOLDEN, dictionary);
        (void)json_object_set_new(target, "dictionary", json_string(path));
    }
    cr_assert_eq(
        capture_target_open(&f->subject.targets[0], models, f->subject.model, target, &err), ST_OK,
        "%s", err.text);
    f->subject.n_targets = 1;
    json_decref(target);
    const struct forward_params params = {
        .model = f->subject.model, .n_rows = 2, .n_ctx = f->n_ctx, .row_block = 32};
    cr_assert_eq(forward_create(&f->forward, &params, &err), ST_OK, "%s", err.text);
}

static void close_fixture(struct fixture *f)
{
    forward_destroy(&f->forward);
    capture_target_close(&f->subject.targets[0]);
    model_cache_release_model(models, f->subject.model);
}

/* Logits [2, n_ctx, n_vocab] as new memory; steering NULL: clean. */
static float *run(const struct fixture *f, const struct steering *steering)
{
    static const struct hook_point hook = {.kind = HOOK_LOGITS};
    const float *logits;
    const size_t n = 2 * f->n_ctx * f->n_vocab;
    struct forward_input input = {.tokens = f->tokens, .row_lengths = f->lengths};
    if (steering) input.edits = steering_edits(steering, &input.n_edits);
    cr_assert_eq(forward_run(f->forward, &input, &hook, 1, &logits, &err), ST_OK, "%s", err.text);
    float *copy = malloc(n * sizeof *copy);
    cr_assert(copy);
    memcpy(copy, logits, n * sizeof *copy);
    return copy;
}

static size_t read_interventions(const json_t *spec, struct intervention *out)
{
    const json_t *list = json_object_get(spec, "interventions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const bool is_set = strcmp(json_string_value(json_array_get(one, 1)), "set") == 0;
        out[i] = (struct intervention){.slot = (uint32_t)json_integer_value(json_array_get(one, 0)),
                                       .kind = is_set ? INTERVENTION_SET : INTERVENTION_ADD,
                                       .value = json_number_value(json_array_get(one, 2))};
    }
    return json_array_size(list);
}

static double mean_kl(const struct fixture *f, struct steering_span span, const float *clean,
                      const float *steered)
{
    double sum = 0;
    for (size_t r = 0; r < 2; r++)
        for (size_t t = span.begin; t < span.end; t++) {
            const size_t at = (r * f->n_ctx + t) * f->n_vocab;
            sum += logits_kl(clean + at, steered + at, f->n_vocab);
        }
    return sum / (2.0 * (span.end - span.begin));
}

static double relative_error(const float *got, const struct tensor_view *want)
{
    const size_t n = tensor_n_values(want);
    float *values = malloc(n * sizeof *values);
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

static void check_case(const json_t *spec, const struct safetensors *expected)
{
    struct fixture f;
    struct steering *steering;
    struct intervention interventions[GENERATE_MAX_INTERVENTIONS];
    const char *name = json_string_value(json_object_get(spec, "name"));
    const uint32_t begin = (uint32_t)json_integer_value(json_object_get(spec, "begin")),
                   end = (uint32_t)json_integer_value(json_object_get(spec, "end"));
    const struct steering_span spans[] = {{begin, end}, {begin, end}};
    const double kl = json_number_value(json_object_get(spec, "kl"));
    open_fixture(&f, spec);
    const size_t n = read_interventions(spec, interventions);
    cr_assert_eq(steering_create(&steering, &f.subject, interventions, n, &err), ST_OK, "%s: %s",
                 name, err.text);
    steering_set_spans(steering, spans);
    float *clean = run(&f, NULL), *steered = run(&f, steering);
    const double error = relative_error(steered, safetensors_find(expected, name));
    cr_expect(error <= TOLERANCE, "%s: relative error %.2e", name, error);
    const double got = mean_kl(&f, spans[0], clean, steered);
    cr_expect(fabs(got - kl) <= TOLERANCE * fmax(1, kl), "%s: KL %.8f, not %.8f", name, got, kl);
    free(clean);
    free(steered);
    steering_destroy(&steering);
    close_fixture(&f);
}

Test(steering, matches_transformers_and_saelens)
{
    char path[PATH_SIZE];
    struct safetensors *expected;
    (void)snprintf(path, sizeof path, "%s/steering/cases.json", GOLDEN);
    json_t *root = json_load_file(path, 0, NULL);
    const json_t *edits = json_object_get(root, "edits");
    cr_assert_gt(json_array_size(edits), 30);
    (void)snprintf(path, sizeof path, "%s/steering/expected.safetensors", GOLDEN);
    cr_assert_eq(safetensors_open(&expected, path, &err), ST_OK, "%s", err.text);
    for (size_t i = 0; i < json_array_size(edits); i++)
        check_case(json_array_get(edits, i), expected);
    safetensors_close(&expected);
    json_decref(root);
}

static json_t *standard_spec(void)
{
    return json_pack("{s:s s:s s:s s:s}", "model", "gpt2-bare-names", "hook",
                     "blocks.1.hook_resid_pre", "units", "dictionary", "dictionary", "standard");
}

Test(steering, what_changes_nothing_leaves_every_bit)
{
    struct fixture f;
    struct steering *steering;
    json_t *spec = standard_spec();
    open_fixture(&f, spec);
    const struct intervention none = {.slot = 5, .kind = INTERVENTION_ADD, .value = 0};
    const struct steering_span all[] = {{0, (uint32_t)f.n_ctx}, {0, (uint32_t)f.n_ctx}};
    const struct steering_span nowhere[] = {{3, 3}, {0, 0}};
    cr_assert_eq(steering_create(&steering, &f.subject, &none, 1, &err), ST_OK, "%s", err.text);
    const size_t n_bytes = 2 * f.n_ctx * f.n_vocab * sizeof(float);
    float *clean = run(&f, NULL);
    steering_set_spans(steering, all);
    float *steered = run(&f, steering);
    cr_expect_eq(memcmp(clean, steered, n_bytes), 0, "nothing added");
    free(steered);
    steering_set_value(steering, 3);
    steering_set_spans(steering, nowhere);
    steered = run(&f, steering);
    cr_expect_eq(memcmp(clean, steered, n_bytes), 0, "no token changed");
    free(steered);
    free(clean);
    steering_destroy(&steering);
    close_fixture(&f);
    json_decref(spec);
}

Test(steering, only_the_rows_of_a_span_change)
{
    struct fixture f;
    struct steering *steering;
    json_t *spec = standard_spec();
    open_fixture(&f, spec);
    const struct intervention one = {.slot = 5, .kind = INTERVENTION_ADD, .value = 4};
    const struct steering_span second[] = {{0, 0}, {4, 9}};
    cr_assert_eq(steering_create(&steering, &f.subject, &one, 1, &err), ST_OK, "%s", err.text);
    steering_set_spans(steering, second);
    float *clean = run(&f, NULL), *steered = run(&f, steering);
    const size_t row = f.n_ctx * f.n_vocab, begin = row + 4 * f.n_vocab;
    cr_expect_eq(memcmp(clean, steered, begin * sizeof *clean), 0);
    cr_expect_neq(memcmp(clean + begin, steered + begin, f.n_vocab * sizeof *clean), 0);
    free(clean);
    free(steered);
    steering_destroy(&steering);
    close_fixture(&f);
    json_decref(spec);
}

Test(steering, what_cannot_be_steered_is_refused_by_name)
{
    static const struct {
        const char *hook, *units, *want;
        struct intervention one;
    } cases[] = {
        {"blocks.0.attn.hook_z",
         "heads",
         "ablated, not steered",
         {.slot = 1, .kind = INTERVENTION_ADD, .value = 2}},
        {"blocks.0.attn.hook_z",
         "heads",
         "ablated, not steered",
         {.slot = 1, .kind = INTERVENTION_SET, .value = 2}},
        {"blocks.0.hook_resid_pre",
         "residual",
         "slot 999999",
         {.slot = 999999, .kind = INTERVENTION_SET}},
        {"blocks.0.hook_resid_pre",
         "residual",
         "target 1 of 1",
         {.target = 1, .kind = INTERVENTION_SET}},
        {"blocks.0.ln1.hook_normalized",
         "residual",
         "hook_normalized cannot be steered",
         {.slot = 1, .kind = INTERVENTION_SET}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct steering *steering = NULL;
        json_t *spec = json_pack("{s:s s:s s:s}", "model", "gpt2-tied", "hook", cases[i].hook,
                                 "units", cases[i].units);
        open_fixture(&f, spec);
        error_clear(&err);
        cr_expect_eq(steering_create(&steering, &f.subject, &cases[i].one, 1, &err), ST_BAD_INPUT);
        cr_expect(strstr(err.text, cases[i].want), "%s", err.text);
        close_fixture(&f);
        json_decref(spec);
    }
}
