/* Features of dictionaries, and what they do not explain, ablated through the ablate handler,
 * against transformers and SAELens (tests/golden/feature_ablations.json), and against whole
 * passes. */
#include "tests/unit/task_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_VARIANTS = 32, MOST_CHANGES = 128, N_CTX = 9, ANSWER_AT = 8 };

static struct task_world world;
static json_t *golden;

static void set_up(void)
{
    task_world_open(&world, NULL);
    golden = json_load_file("tests/golden/feature_ablations.json", 0, NULL);
    cr_assert(golden);
}

static void tear_down(void)
{
    json_decref(golden);
    task_world_close(&world);
}

TestSuite(feature_ablations, .init = set_up, .fini = tear_down, .timeout = 120);

/* --- the task ------------------------------------------------------------------------------ */

static json_t *dictionary_spec(const json_t *item)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/golden/dictionaries/%s",
                   json_string_value(json_object_get(item, "name")));
    json_t *spec = json_pack("{s:O s:s s:s}", "hook", json_object_get(item, "hook"), "units",
                             "dictionary", "dictionary", path);
    json_t *factor = json_object_get(item, "norm_scaling_factor");
    if (factor) (void)json_object_set(spec, "norm_scaling_factor", factor);
    return spec;
}

static json_t *make_spec(const json_t *item, bool is_naive, bool has_vocabulary)
{
    char path[256];
    json_t *prompts = json_array(), *reference = json_array();
    const json_t *clean = json_object_get(item, "clean");
    const json_t *corrupted = json_object_get(item, "corrupted");
    const json_t *others = json_object_get(item, "reference");
    for (size_t i = 0; i < json_array_size(clean); i++)
        (void)json_array_append_new(
            prompts, json_pack("{s:O s:O s:i s:[O] s:[O]}", "clean", json_array_get(clean, i),
                               "corrupted", json_array_get(corrupted, i), "answer_at", ANSWER_AT,
                               "answers", json_object_get(golden, "answer"), "distractors",
                               json_object_get(golden, "distractor")));
    for (size_t i = 0; i < json_array_size(others); i++)
        (void)json_array_append_new(reference,
                                    json_pack("{s:O}", "tokens", json_array_get(others, i)));
    (void)snprintf(path, sizeof path, "tests/golden/models/%s",
                   json_string_value(json_object_get(item, "model")));
    return json_pack("{s:s s:s s:s s:s s:i s:s s:b s:b s:o s:o s:[O] s:[o]}", "kind", "ablate",
                     "model", path, "fingerprint", "", "compute", "f32", "n_ctx", N_CTX, "mean",
                     "position", "naive", is_naive, "vocabulary", has_vocabulary, "prompts",
                     prompts, "reference", reference, "positions",
                     json_object_get(golden, "positions"), "dictionaries", dictionary_spec(item));
}

static struct ablate_result run(json_t *spec, const struct ablate_unit *unit)
{
    struct ablate_result result = {0};
    cr_assert_eq(task_world_ablate(&world, spec, unit, &result), ST_OK, "%s", world.err.text);
    cr_assert_eq(result.n_variants, unit->n_variants);
    return result;
}

/* --- variants ------------------------------------------------------------------------------ */

static uint32_t ends[MOST_VARIANTS];
static struct ablate_change changes[MOST_CHANGES];

static enum ablate_value value_of(const json_t *name)
{
    static const char *const names[] = {"zero", "mean", "resample"};
    size_t i = 0;
    while (strcmp(names[i], json_string_value(name)) != 0) i++;
    return (enum ablate_value)i;
}

static uint32_t add_upstream(uint32_t end)
{
    const json_t *columns = json_object_get(golden, "upstream");
    const uint32_t low = (uint32_t)json_integer_value(json_array_get(columns, 0));
    const uint32_t high = (uint32_t)json_integer_value(json_array_get(columns, 1));
    changes[end] = (struct ablate_change){.at = {ABLATE_RESID_PRE, 0, low, high - low}};
    return end + 1;
}

/* The records of a case as a unit. */
static struct ablate_unit unit_of(const json_t *item)
{
    const json_t *records = json_object_get(item, "records");
    struct ablate_unit unit = {json_array_size(records), ends, changes};
    uint32_t end = 0;
    for (size_t i = 0; i < unit.n_variants; i++) {
        const json_t *record = json_array_get(records, i);
        const json_t *list = json_object_get(record, "changes");
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *change = json_array_get(list, k), *feature = json_array_get(change, 0);
            const uint32_t column =
                json_is_null(feature) ? 0 : (uint32_t)json_integer_value(feature);
            changes[end++] = (struct ablate_change){
                .at = {json_is_null(feature) ? ABLATE_ERROR : ABLATE_FEATURE, 0, column, 1},
                .value = value_of(json_array_get(change, 1)),
                .positions = json_is_true(json_array_get(change, 2))};
        }
        if (json_is_true(json_object_get(record, "upstream"))) end = add_upstream(end);
        ends[i] = end;
    }
    return unit;
}

static double golden_logit(const json_t *record, size_t prompt, size_t which)
{
    return json_number_value(
        json_array_get(json_array_get(json_object_get(record, "logits"), prompt), which));
}

static void check_case(const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    const json_t *records = json_object_get(item, "records");
    const struct ablate_unit unit = unit_of(item);
    struct ablate_result result = run(make_spec(item, false, false), &unit);
    double largest = 0;
    for (size_t i = 0; i < result.n_prompts; i++)
        for (size_t k = 0; k < 2; k++)
            largest = fmax(largest, fabs(golden_logit(json_array_get(records, 0), i, k)));
    for (size_t v = 0; v < unit.n_variants; v++)
        for (size_t i = 0; i < result.n_prompts; i++) {
            const struct ablate_outcome *o = &result.outcomes[v * result.n_prompts + i];
            const json_t *record = json_array_get(records, v);
            const double worst = fmax(fabs(o->answer_logit - golden_logit(record, i, 0)),
                                      fabs(o->distractor_logit - golden_logit(record, i, 1)));
            cr_expect(worst <= 1e-4 * fmax(largest, 1), "%s, record %zu, prompt %zu: %g of %g",
                      name, v, i, worst, largest);
        }
    ablate_result_fini(&result);
}

Test(feature_ablations, are_those_of_saelens)
{
    const json_t *cases = json_object_get(golden, "cases");
    cr_assert_geq(json_array_size(cases), 15);
    for (size_t i = 0; i < json_array_size(cases); i++) check_case(json_array_get(cases, i));
}

/* The same bits as whole passes that skip nothing and share nothing. */
Test(feature_ablations, are_those_of_whole_passes)
{
    const json_t *cases = json_object_get(golden, "cases");
    for (size_t i = 0; i < json_array_size(cases); i += 3) {
        const json_t *item = json_array_get(cases, i);
        const struct ablate_unit unit = unit_of(item);
        struct ablate_result fast = run(make_spec(item, false, true), &unit);
        struct ablate_result naive = run(make_spec(item, true, true), &unit);
        cr_expect_eq(naive.n_skipped, 0);
        cr_expect_arr_eq(fast.outcomes, naive.outcomes,
                         fast.n_variants * fast.n_prompts * sizeof *fast.outcomes, "%s",
                         json_string_value(json_object_get(item, "name")));
        ablate_result_fini(&fast);
        ablate_result_fini(&naive);
    }
}

/* Zero of a feature that is silent on a prompt is the clean run, and is not run. */
Test(feature_ablations, of_silent_features_are_skipped_and_exactly_clean)
{
    const json_t *cases = json_object_get(golden, "cases");
    size_t n_all = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *item = json_array_get(cases, i), *silent = json_object_get(item, "silent");
        const uint32_t own_ends[] = {0, 1, 2, 3};
        struct ablate_change own[3];
        size_t n_silent = 0;
        for (size_t k = 0; k < 3; k++) {
            const json_t *one = json_array_get(silent, k);
            own[k] = (struct ablate_change){
                .at = {ABLATE_FEATURE, 0, (uint32_t)json_integer_value(json_array_get(one, 0)), 1}};
            n_silent += json_array_size(json_array_get(one, 1));
        }
        memcpy(ends, own_ends, sizeof own_ends);
        const struct ablate_unit unit = {4, ends, own};
        struct ablate_result result = run(make_spec(item, false, true), &unit);
        cr_expect_eq(result.n_skipped, n_silent, "%s: %zu of %zu",
                     json_string_value(json_object_get(item, "name")), (size_t)result.n_skipped,
                     n_silent);
        for (size_t k = 0; k < 3; k++) {
            const json_t *where = json_array_get(json_array_get(silent, k), 1);
            for (size_t s = 0; s < json_array_size(where); s++) {
                const size_t p = (size_t)json_integer_value(json_array_get(where, s));
                cr_expect_arr_eq(&result.outcomes[(k + 1) * result.n_prompts + p],
                                 &result.outcomes[p], sizeof *result.outcomes);
            }
        }
        n_all += n_silent;
        ablate_result_fini(&result);
    }
    cr_expect_gt(n_all, 0);
}

static void refuse(json_t *spec, struct ablate_change change, const char *why)
{
    uint32_t own_ends[] = {1};
    const struct ablate_unit unit = {1, own_ends, &change};
    struct ablate_result result;
    cr_expect_neq(task_world_ablate(&world, spec, &unit, &result), ST_OK, "%s", why);
    cr_expect(strstr(world.err.text, why), "%s", world.err.text);
}

Test(feature_ablations, that_do_not_exist_are_refused_by_name)
{
    const json_t *item = json_array_get(json_object_get(golden, "cases"), 0);
    const struct ablate_change first = {.at = {ABLATE_FEATURE, 0, 0, 1}};
    struct ablate_change change = first;
    change.at.layer = 1;
    refuse(make_spec(item, false, false), change, "dictionary 1 of 1");
    change = first;
    change.at.column = 1 << 20;
    refuse(make_spec(item, false, false), change, "feature 1048576 of");
    change = first;
    change.positions = 2;
    refuse(make_spec(item, false, false), change, "positions 2 of 1");
    change = first;
    change.sender = (struct ablate_site){ABLATE_Z, 0, 0, 4};
    refuse(make_spec(item, false, false), change, "receives nothing");
    change = first;
    change.value = ABLATE_MEAN;
    json_t *spec = make_spec(item, false, false);
    (void)json_object_set_new(spec, "reference", json_array());
    refuse(spec, change, "no reference prompts");
    spec = make_spec(item, false, false);
    json_t *dictionary = json_array_get(json_object_get(spec, "dictionaries"), 0);
    (void)json_object_set_new(dictionary, "hook", json_string("blocks.0.hook_resid_post"));
    refuse(spec, first, "was trained on");
}
