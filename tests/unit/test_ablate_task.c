/* The ablate handler on the demo model: what must hold of any model. Known circuits, with values
 * computed by numpy: test_known_circuits.c. */
#include "tests/unit/task_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N_PROMPTS = 3, D_MODEL = 128, D_HEAD = 32, N_LAYERS = 4 };

static struct task_world world;

static void set_up(void)
{
    task_world_open(&world, NULL);
}

static void tear_down(void)
{
    task_world_close(&world);
}

TestSuite(ablate_task, .init = set_up, .fini = tear_down, .timeout = 60);

/* Three pairs that differ at their second token; the third is shorter. */
static json_t *make_spec(const char *mean)
{
    json_t *prompts = json_array(), *reference = json_array(), *late = json_array();
    for (int i = 0; i < N_PROMPTS; i++) {
        json_t *clean = json_array(), *corrupted = json_array();
        const int n = i == 2 ? 6 : 8;
        for (int t = 0; t < n; t++) {
            (void)json_array_append_new(clean, json_integer(300 + 7 * i + 31 * t));
            (void)json_array_append_new(corrupted,
                                        json_integer(300 + 7 * i + (t == 1 ? 5 : 31 * t)));
        }
        (void)json_array_append_new(
            reference, json_pack("{s:O, s:i}", "tokens", corrupted, "template", i == 2));
        (void)json_array_append_new(
            prompts, json_pack("{s:o, s:o, s:i, s:[i], s:[i,i], s:i}", "clean", clean, "corrupted",
                               corrupted, "answer_at", n - 1, "answers", 400 + i, "distractors",
                               500, 501 + i, "template", i == 2));
        (void)json_array_append_new(late, json_pack("[i,i]", n - 2, n - 1));
    }
    return json_pack("{s:s s:s s:s s:s s:i s:s s:b s:o s:o s:[o]}", "kind", "ablate", "model",
                     "config/demo/model", "fingerprint", "", "compute", "f32", "n_ctx", 8, "mean",
                     mean, "vocabulary", 1, "prompts", prompts, "reference", reference, "positions",
                     late);
}

static struct ablate_result run(json_t *spec, const struct ablate_unit *unit)
{
    struct ablate_result result = {0};
    cr_assert_eq(task_world_ablate(&world, spec, unit, &result), ST_OK, "%s", world.err.text);
    cr_assert_eq(result.n_variants, unit->n_variants);
    cr_assert_eq(result.n_prompts, N_PROMPTS);
    return result;
}

static struct ablate_change head(uint32_t layer, uint32_t index, enum ablate_value value)
{
    return (struct ablate_change){.at = {ABLATE_Z, layer, index * D_HEAD, D_HEAD}, .value = value};
}

/* The clean run; the stream resampled before the first layer; a head under each value. */
static struct ablate_result run_five(json_t *spec)
{
    uint32_t ends[] = {0, 1, 2, 3, 4};
    struct ablate_change changes[] = {
        {.at = {ABLATE_RESID_PRE, 0, 0, D_MODEL}, .value = ABLATE_RESAMPLE},
        head(1, 2, ABLATE_ZERO),
        head(1, 2, ABLATE_MEAN),
        head(1, 2, ABLATE_RESAMPLE)};
    const struct ablate_unit unit = {5, ends, changes};
    return run(spec, &unit);
}

Test(ablate_task, the_stream_resampled_at_the_start_is_the_corrupted_run)
{
    struct ablate_result result = run_five(make_spec("overall"));
    json_t *swapped = make_spec("overall");
    json_t *prompts = json_object_get(swapped, "prompts");
    for (size_t i = 0; i < N_PROMPTS; i++) {
        json_t *item = json_array_get(prompts, i);
        (void)json_object_set(item, "clean", json_object_get(item, "corrupted"));
    }
    struct ablate_result other = run_five(swapped);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        const struct ablate_outcome *got = &result.outcomes[N_PROMPTS + i],
                                    *want = &other.outcomes[i];
        cr_expect_eq(got->answer_logit, want->answer_logit);
        cr_expect_eq(got->distractor_probability, want->distractor_probability);
        cr_expect_eq(result.outcomes[i].kl, 0, "the clean run beside itself");
        cr_expect_gt(got->kl, 0);
    }
    ablate_result_fini(&result);
    ablate_result_fini(&other);
}

Test(ablate_task, whole_passes_agree)
{
    json_t *naive = make_spec("template");
    (void)json_object_set_new(naive, "naive", json_true());
    struct ablate_result fast = run_five(make_spec("template")), slow = run_five(naive);
    for (size_t i = 0; i < 5 * N_PROMPTS; i++) {
        cr_expect_float_eq(fast.outcomes[i].answer_logit, slow.outcomes[i].answer_logit, 1e-5);
        cr_expect_float_eq(fast.outcomes[i].kl, slow.outcomes[i].kl, 1e-6);
    }
    ablate_result_fini(&fast);
    ablate_result_fini(&slow);
}

Test(ablate_task, answers_alone_are_those_of_the_vocabulary)
{
    json_t *alone = make_spec("position");
    (void)json_object_set_new(alone, "vocabulary", json_false());
    struct ablate_result all = run_five(make_spec("position")), some = run_five(alone);
    for (size_t i = 0; i < 5 * N_PROMPTS; i++) {
        cr_expect_float_eq(all.outcomes[i].answer_logit, some.outcomes[i].answer_logit, 1e-5);
        cr_expect_float_eq(all.outcomes[i].distractor_logit, some.outcomes[i].distractor_logit,
                           1e-5);
        cr_expect(isnan(some.outcomes[i].kl));
        cr_expect_eq(some.outcomes[i].is_correct, all.outcomes[i].is_correct);
        cr_expect(all.outcomes[i].answer_probability > 0 && all.outcomes[i].answer_probability < 1);
    }
    ablate_result_fini(&all);
    ablate_result_fini(&some);
}

/* The third prompt is its template's only one: there the mean is the corrupted run's value. */
Test(ablate_task, a_mean_of_one_prompt_is_that_prompt)
{
    struct ablate_result result = run_five(make_spec("template"));
    const struct ablate_outcome *mean = &result.outcomes[3 * N_PROMPTS],
                                *resample = &result.outcomes[4 * N_PROMPTS];
    cr_expect_eq(mean[2].answer_logit, resample[2].answer_logit);
    cr_expect_neq(mean[0].answer_logit, resample[0].answer_logit);
    ablate_result_fini(&result);
}

Test(ablate_task, positions_choose_where)
{
    uint32_t ends[] = {0, 1, 2};
    struct ablate_change changes[] = {head(1, 2, ABLATE_ZERO), head(1, 2, ABLATE_ZERO)};
    changes[1].positions = 1;
    const struct ablate_unit unit = {3, ends, changes};
    struct ablate_result result = run(make_spec("overall"), &unit);
    for (size_t i = 0; i < N_PROMPTS; i++)
        cr_expect_neq(result.outcomes[N_PROMPTS + i].kl, result.outcomes[2 * N_PROMPTS + i].kl);
    ablate_result_fini(&result);
}

static void refuse(json_t *spec, const struct ablate_change *change, const char *why)
{
    uint32_t ends[] = {1};
    struct ablate_change changes[] = {*change};
    const struct ablate_unit unit = {1, ends, changes};
    struct ablate_result result;
    cr_expect_eq(task_world_ablate(&world, spec, &unit, &result), ST_BAD_INPUT, "%s", why);
    cr_expect(strstr(world.err.text, why), "%s", world.err.text);
}

Test(ablate_task, what_does_not_lie_in_the_model_is_refused_by_name)
{
    struct ablate_change change = head(0, 0, ABLATE_ZERO);
    change.at.layer = N_LAYERS;
    refuse(make_spec("overall"), &change, "layer 4 of 4");
    change = head(0, 4, ABLATE_ZERO);
    refuse(make_spec("overall"), &change, "blocks.0.attn.hook_z");
    change = head(0, 0, ABLATE_ZERO);
    change.positions = 2;
    refuse(make_spec("overall"), &change, "positions 2 of 1");
}

Test(ablate_task, prompts_that_make_no_sense_are_refused_by_name)
{
    const struct ablate_change mean = head(0, 0, ABLATE_MEAN);
    json_t *spec = make_spec("overall");
    (void)json_object_set_new(spec, "reference", json_array());
    refuse(spec, &mean, "no reference prompts");
    spec = make_spec("position");
    (void)json_array_clear(json_object_get(spec, "reference"));
    (void)json_array_append_new(json_object_get(spec, "reference"),
                                json_pack("{s:[i,i]}", "tokens", 1, 2));
    refuse(spec, &mean, "position 2 of prompt 0");
    spec = make_spec("median");
    refuse(spec, &mean, "median");
    spec = make_spec("overall");
    json_t *first = json_array_get(json_object_get(spec, "prompts"), 0);
    (void)json_object_set_new(first, "corrupted", json_pack("[i]", 3));
    refuse(spec, &mean, "prompt 0: 8 tokens clean, 1 corrupted");
    spec = make_spec("overall");
    first = json_array_get(json_object_get(spec, "prompts"), 0);
    (void)json_object_set_new(first, "answers", json_pack("[i]", 9999999));
    refuse(spec, &mean, "9999999");
    spec = make_spec("overall");
    first = json_array_get(json_object_get(spec, "prompts"), 0);
    (void)json_object_set_new(first, "answer_at", json_integer(8));
    refuse(spec, &mean, "answer_at");
}
