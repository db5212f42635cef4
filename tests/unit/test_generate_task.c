/* The generate handler on the demo model: continuations and effects against those that transformers
 * gives with the same change (tests/golden/steering), and what must hold besides. */
#include "tests/unit/task_world.h"

#include "common/generate.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct task_world world;

static void set_up(void)
{
    task_world_open(&world, NULL);
    json_t *spec =
        json_pack("{s:s s:s s:s s:s s:i s:s s:[{s:s s:s s:s s:i}]}", "kind", "generate", "model",
                  "config/demo/model", "fingerprint", "", "compute", "f32", "n_ctx", 2048, "bos",
                  "true", "targets", "hook", "blocks.2.hook_resid_pre", "units", "dictionary",
                  "dictionary", "config/demo/sae", "n_slots", 16384);
    cr_assert_eq(task_world_open_task(&world, &generate_task_handler, spec), ST_OK, "%s",
                 world.err.text);
}

static void tear_down(void)
{
    task_world_close(&world);
}

TestSuite(generate_task, .init = set_up, .fini = tear_down, .timeout = 60);

static struct buffer run_bytes(const struct generate_job *job)
{
    struct buffer payload, out;
    buffer_init(&payload, GENERATE_MAX_JOB_BYTES);
    buffer_init(&out, GENERATE_MAX_ANSWER_BYTES);
    error_clear(&world.err);
    cr_assert_eq(generate_job_encode(job, &payload, &world.err), ST_OK, "%s", world.err.text);
    const struct wire_text bytes = {(const char *)payload.bytes, payload.n_bytes};
    cr_assert_eq(task_world_run_unit(&world, bytes, &out), ST_OK, "%s", world.err.text);
    buffer_fini(&payload);
    return out;
}

static struct generate_answer run(const struct generate_job *job)
{
    struct generate_answer answer;
    struct buffer bytes = run_bytes(job);
    cr_assert_eq(generate_answer_decode(bytes.bytes, bytes.n_bytes, &answer, &world.err), ST_OK,
                 "%s", world.err.text);
    buffer_fini(&bytes);
    return answer;
}

static struct generate_job job_of(const char *prompt)
{
    return (struct generate_job){.n_tokens = 6,
                                 .n_samples = 1,
                                 .where = GENERATE_NEW,
                                 .n_interventions = 1,
                                 .interventions = {{0, 1054, INTERVENTION_ADD, 6}},
                                 .n_prompts = 1,
                                 .prompts = {wire_text_of(prompt)}};
}

/* --- against transformers ------------------------------------------------------------------ */

static void expect_tokens(const struct continuation *got, const json_t *want, const char *name)
{
    cr_assert_eq(got->n_tokens, json_array_size(want), "%s", name);
    for (size_t i = 0; i < got->n_tokens; i++)
        cr_expect_eq(got->tokens[i], json_integer_value(json_array_get(want, i)), "%s: token %zu",
                     name, i);
}

static void expect_changes(const struct generate_prompt *got, const json_t *want)
{
    cr_assert_eq(got->n_changes, json_array_size(want));
    for (size_t i = 0; i < got->n_changes; i++) {
        const json_t *change = json_array_get(want, i);
        cr_expect_eq(got->changes[i].token, json_integer_value(json_array_get(change, 0)));
        cr_expect_float_eq(got->changes[i].p_clean, json_number_value(json_array_get(change, 1)),
                           1e-5);
        cr_expect_float_eq(got->changes[i].p_steered, json_number_value(json_array_get(change, 2)),
                           1e-5);
        cr_expect_gt(got->changes[i].n_text, 0);
    }
}

static void check_generation(const json_t *spec)
{
    struct generate_job job = job_of(json_string_value(json_object_get(spec, "prompt")));
    const char *where = json_string_value(json_object_get(spec, "where"));
    const json_t *list = json_object_get(spec, "interventions");
    const double kl = json_number_value(json_object_get(spec, "kl"));
    job.n_tokens = (uint32_t)json_array_size(json_object_get(spec, "clean"));
    for (unsigned i = 0; i < GENERATE_N_WHERE; i++)
        if (strcmp(where, generate_where_name((enum generate_where)i)) == 0)
            job.where = (enum generate_where)i;
    job.n_interventions = json_array_size(list);
    for (size_t i = 0; i < job.n_interventions; i++) {
        const json_t *one = json_array_get(list, i);
        const bool is_set = strcmp(json_string_value(json_array_get(one, 1)), "set") == 0;
        job.interventions[i] =
            (struct intervention){0, (uint32_t)json_integer_value(json_array_get(one, 0)),
                                  is_set ? INTERVENTION_SET : INTERVENTION_ADD,
                                  json_number_value(json_array_get(one, 2))};
    }
    struct generate_answer answer = run(&job);
    cr_assert_str_eq(answer.error, "");
    const struct generate_prompt *prompt = &answer.prompts[0];
    cr_expect_eq(prompt->n_tokens,
                 (size_t)json_integer_value(json_object_get(spec, "n_prompt_tokens")));
    cr_expect(fabs(answer.kl - kl) <= 1e-4 * kl, "%s: KL %.9g, not %.9g", where, answer.kl, kl);
    expect_tokens(&prompt->samples[0].clean, json_object_get(spec, "clean"), where);
    expect_tokens(&prompt->samples[0].steered, json_object_get(spec, "steered"), where);
    expect_changes(prompt, json_object_get(spec, "changes"));
    generate_answer_fini(&answer);
}

Test(generate_task, continues_as_transformers_does)
{
    json_t *root = json_load_file("tests/golden/steering/cases.json", 0, NULL);
    const json_t *generations = json_object_get(root, "generations");
    cr_assert_geq(json_array_size(generations), 4);
    for (size_t i = 0; i < json_array_size(generations); i++)
        if (json_is_true(json_object_get(json_array_get(generations, i), "has_bos")))
            check_generation(json_array_get(generations, i));
    json_decref(root);
}

/* --- what must hold besides ---------------------------------------------------------------- */

static bool is_same(const struct continuation *a, const struct continuation *b)
{
    return a->n_tokens == b->n_tokens && a->n_text == b->n_text &&
           memcmp(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens) == 0 &&
           memcmp(a->text, b->text, a->n_text) == 0;
}

Test(generate_task, no_change_is_a_kl_of_exactly_0)
{
    struct generate_job job = job_of("The old man sat down by the");
    job.interventions[0].value = 0;
    struct generate_answer answer = run(&job);
    cr_expect_eq(answer.kl, 0.0);
    cr_expect_eq(answer.prompts[0].n_changes, 0);
    cr_expect(is_same(&answer.prompts[0].samples[0].clean, &answer.prompts[0].samples[0].steered));
    generate_answer_fini(&answer);
}

/* Samples do not depend on which prompts are beside them, nor on the shape of the batch: the
 * prompt's number, seed and sample name the draws. */
Test(generate_task, a_sample_depends_on_neither_neighbours_nor_shape)
{
    struct generate_job job = job_of("The old man sat down by the");
    job.temperature = 1;
    job.n_samples = 3;
    job.seed = 77;
    struct generate_answer alone = run(&job);
    job.n_prompts = 3;
    job.prompts[1] = wire_text_of("She said");
    job.prompts[2] = wire_text_of(
        "A far longer prompt, which needs another shape of the batch than the first one does, and "
        "so moves the rows of all the others, without changing what is drawn for them.");
    struct generate_answer together = run(&job);
    cr_assert_eq(together.n_prompts, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct generate_sample *a = &alone.prompts[0].samples[i],
                                     *b = &together.prompts[0].samples[i];
        cr_expect(is_same(&a->clean, &b->clean), "sample %zu", i);
        cr_expect(is_same(&a->steered, &b->steered), "sample %zu", i);
    }
    cr_expect_eq(alone.prompts[0].kl, together.prompts[0].kl);
    cr_expect_not(is_same(&alone.prompts[0].samples[0].clean, &alone.prompts[0].samples[1].clean),
                  "samples differ");
    generate_answer_fini(&alone);
    generate_answer_fini(&together);
}

Test(generate_task, the_seed_decides_and_nothing_else)
{
    struct generate_job job = job_of("Once upon a time");
    job.temperature = 1.2;
    job.n_tokens = 12;
    job.seed = 1;
    struct buffer first = run_bytes(&job), again = run_bytes(&job);
    job.seed = 2;
    struct buffer other = run_bytes(&job);
    cr_assert_eq(first.n_bytes, again.n_bytes);
    cr_expect_eq(memcmp(first.bytes, again.bytes, first.n_bytes), 0, "the same bytes");
    cr_expect(first.n_bytes != other.n_bytes ||
              memcmp(first.bytes, other.bytes, first.n_bytes) != 0);
    buffer_fini(&first);
    buffer_fini(&again);
    buffer_fini(&other);
}

Test(generate_task, the_strength_is_found)
{
    static const double targets[] = {0.1, 0.5, 2.0};
    double before = 0;
    for (size_t i = 0; i < 3; i++) {
        struct generate_job job = job_of("The old man sat down by the");
        job.n_prompts = 2;
        job.prompts[1] = wire_text_of("She said that it was not");
        job.target_kl = targets[i];
        job.interventions[0].value = 1;
        struct generate_answer answer = run(&job);
        cr_assert_str_eq(answer.error, "");
        cr_expect(fabs(answer.kl - targets[i]) <= 0.1 * targets[i], "KL %g for %g", answer.kl,
                  targets[i]);
        cr_expect_float_eq(answer.kl, (answer.prompts[0].kl + answer.prompts[1].kl) / 2, 1e-12);
        cr_expect_gt(answer.strength, before);
        before = answer.strength;
        /* and it is what that strength gives when it is given */
        job.target_kl = 0;
        job.interventions[0].value = answer.strength;
        struct generate_answer given = run(&job);
        cr_expect_float_eq(given.kl, answer.kl, 1e-3 * answer.kl);
        generate_answer_fini(&given);
        generate_answer_fini(&answer);
    }
}

/* Under the last token nothing changes what a greater target would ask for. */
Test(generate_task, a_feature_without_the_effect_says_so)
{
    struct generate_job job = job_of("The old man sat down by the");
    job.target_kl = 90;
    struct generate_answer answer = run(&job);
    cr_expect(strstr(answer.error, "no effect: the mean KL is"), "%s", answer.error);
    cr_expect_eq(answer.n_prompts, 0);
    generate_answer_fini(&answer);
}

Test(generate_task, a_prompt_that_cannot_be_run_does_not_take_others_along)
{
    char endless[4096];
    struct generate_job job = job_of("The old man");
    memset(endless, '\0', sizeof endless);
    for (size_t i = 0; i + 4 < sizeof endless; i += 4) memcpy(endless + i, "cat ", 4);
    job.n_prompts = 4;
    job.prompts[1] = wire_text_of("");
    job.prompts[2] = wire_text_of(endless);
    job.prompts[3] = (struct wire_text){endless, 4 * 124};
    struct generate_answer answer = run(&job);
    cr_assert_eq(answer.n_prompts, 4);
    cr_expect_eq(answer.prompts[0].n_samples, 1);
    cr_expect(strstr(answer.prompts[1].error, "empty"), "%s", answer.prompts[1].error);
    cr_expect(strstr(answer.prompts[2].error, "context of 128 tokens"), "%s",
              answer.prompts[2].error);
    cr_expect(strstr(answer.prompts[3].error, "the context is 128"), "%s", answer.prompts[3].error);
    cr_expect_eq(answer.kl, answer.prompts[0].kl, "the mean is over those that ran");
    generate_answer_fini(&answer);
}

Test(generate_task, what_cannot_be_done_is_an_answer)
{
    struct generate_job job = job_of("The old man");
    job.interventions[0].slot = 16384;
    struct generate_answer answer = run(&job);
    cr_expect(strstr(answer.error, "slot 16384 of 16384"), "%s", answer.error);
    generate_answer_fini(&answer);
}

/* With LAST only the prompt's last token is changed: the second new token is drawn from a context
 * in which nothing else was, so an ablation at ALL differs from one at LAST. */
Test(generate_task, where_decides_which_tokens_change)
{
    struct generate_answer answers[GENERATE_N_WHERE];
    for (unsigned i = 0; i < GENERATE_N_WHERE; i++) {
        struct generate_job job = job_of("The old man sat down by the");
        job.where = (enum generate_where)i;
        job.n_tokens = 10;
        job.interventions[0].value = 30;
        answers[i] = run(&job);
        cr_assert_str_eq(answers[i].error, "");
    }
    cr_expect_neq(answers[GENERATE_ALL].kl, answers[GENERATE_LAST].kl);
    cr_expect_eq(answers[GENERATE_NEW].kl, answers[GENERATE_LAST].kl, "the prompt is the same");
    cr_expect_not(is_same(&answers[GENERATE_NEW].prompts[0].samples[0].steered,
                          &answers[GENERATE_LAST].prompts[0].samples[0].steered));
    for (unsigned i = 0; i < GENERATE_N_WHERE; i++) generate_answer_fini(&answers[i]);
}
