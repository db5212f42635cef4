#include "common/generate.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct error err;
static struct buffer bytes;

static void set_up(void)
{
    error_clear(&err);
    buffer_init(&bytes, GENERATE_MAX_ANSWER_BYTES);
}

static void tear_down(void)
{
    buffer_fini(&bytes);
}

TestSuite(generate, .init = set_up, .fini = tear_down);

static struct generate_job make_job(void)
{
    return (struct generate_job){
        .n_tokens = 20,
        .n_samples = 3,
        .where = GENERATE_NEW,
        .temperature = 0.75,
        .seed = UINT64_MAX,
        .n_interventions = 2,
        .interventions = {{0, 7, INTERVENTION_SET, -1.5}, {3, 9, INTERVENTION_ADD, 1e6}},
        .n_prompts = 2,
        .prompts = {{"caf\xc3\xa9 \0 x", 8}, {"", 0}}};
}

/* One prompt with two samples and a change, one with an error. */
static struct {
    uint32_t tokens[2];
    struct generate_sample samples[2];
    struct generate_change changes[1];
    struct generate_prompt prompts[2];
    struct generate_answer answer;
} made = {.tokens = {4, UINT32_MAX}};

static const struct generate_answer *make_answer(void)
{
    static char text[] = " \xff\0?", word[] = "the";
    const struct continuation none = {.tokens = made.tokens, .text = text};
    made.samples[0].clean =
        (struct continuation){.n_tokens = 2, .tokens = made.tokens, .text = text, .n_text = 4};
    made.samples[0].steered = made.samples[1].clean = made.samples[1].steered = none;
    made.changes[0] = (struct generate_change){77, 0, 1, word, 3};
    made.prompts[0] = (struct generate_prompt){.n_tokens = 5,
                                               .kl = 0.1,
                                               .n_samples = 2,
                                               .n_changes = 1,
                                               .samples = made.samples,
                                               .changes = made.changes};
    made.prompts[1] = (struct generate_prompt){.error = "too long"};
    made.answer = (struct generate_answer){
        .strength = -2.5, .kl = 0.1, .n_prompts = 2, .prompts = made.prompts};
    return &made.answer;
}

Test(generate, a_job_comes_back)
{
    const struct generate_job job = make_job();
    struct generate_job back;
    cr_assert_eq(generate_job_encode(&job, &bytes, &err), ST_OK, "%s", err.text);
    cr_assert_eq(generate_job_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(back.n_tokens, 20);
    cr_expect_eq(back.n_samples, 3);
    cr_expect_eq(back.where, GENERATE_NEW);
    cr_expect_eq(back.temperature, 0.75);
    cr_expect_eq(back.seed, UINT64_MAX);
    cr_assert_eq(back.n_interventions, 2);
    cr_expect_eq(back.interventions[1].target, 3);
    cr_expect_eq(back.interventions[1].slot, 9);
    cr_expect_eq(back.interventions[0].kind, INTERVENTION_SET);
    cr_expect_eq(back.interventions[0].value, -1.5);
    cr_assert_eq(back.n_prompts, 2);
    cr_expect(memcmp(back.prompts[0].bytes, "caf\xc3\xa9 \0 x", 8) == 0);
    cr_expect_eq(back.prompts[1].n_bytes, 0);
}

Test(generate, an_answer_comes_back)
{
    struct generate_answer back;
    cr_assert_eq(generate_answer_encode(make_answer(), &bytes, &err), ST_OK, "%s", err.text);
    cr_assert_eq(generate_answer_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(back.strength, -2.5);
    cr_assert_eq(back.n_prompts, 2);
    const struct generate_prompt *prompt = &back.prompts[0];
    cr_expect_eq(prompt->n_tokens, 5);
    cr_expect_eq(prompt->kl, 0.1);
    cr_assert_eq(prompt->n_samples, 2);
    cr_assert_eq(prompt->samples[0].clean.n_tokens, 2);
    cr_expect_eq(prompt->samples[0].clean.tokens[1], UINT32_MAX);
    cr_expect_eq(prompt->samples[0].clean.n_text, 4);
    cr_expect(memcmp(prompt->samples[0].clean.text, " \xff\0?", 4) == 0);
    cr_expect_eq(prompt->samples[1].steered.n_text, 0);
    cr_assert_eq(prompt->n_changes, 1);
    cr_expect_eq(prompt->changes[0].token, 77);
    cr_expect_eq(prompt->changes[0].p_steered, 1);
    cr_expect_str_eq(back.prompts[1].error, "too long");
    generate_answer_fini(&back);
    back = generate_answer_of_error("nothing");
    bytes.n_bytes = 0;
    cr_assert_eq(generate_answer_encode(&back, &bytes, &err), ST_OK);
    cr_assert_eq(generate_answer_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK);
    cr_expect_str_eq(back.error, "nothing");
    generate_answer_fini(&back);
}

Test(generate, every_truncation_is_refused)
{
    const struct generate_job job = make_job();
    struct generate_job back_job;
    struct generate_answer back = {0};
    cr_assert_eq(generate_job_encode(&job, &bytes, &err), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_expect_neq(generate_job_decode(bytes.bytes, n, &back_job, NULL), ST_OK, "%zu", n);
    bytes.n_bytes = 0;
    cr_assert_eq(generate_answer_encode(make_answer(), &bytes, &err), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_expect_neq(generate_answer_decode(bytes.bytes, n, &back, NULL), ST_OK, "%zu", n);
    cr_expect_null(back.prompts, "untouched");
}

Test(generate, a_number_out_of_range_is_named)
{
    struct generate_job jobs[8];
    static const char *const want[8] = {"257 tokens",   "0 continuations", "temperature nan",
                                        "target KL -1", "0 interventions", "value inf",
                                        "0 prompts",    "are all the same"};
    for (size_t i = 0; i < 8; i++) jobs[i] = make_job();
    jobs[0].n_tokens = 257;
    jobs[1].n_samples = 0;
    jobs[2].temperature = (double)NAN;
    jobs[3].target_kl = -1;
    jobs[4].n_interventions = 0;
    jobs[5].interventions[1].value = HUGE_VAL;
    jobs[6].n_prompts = 0;
    jobs[7].temperature = 0;
    for (size_t i = 0; i < 8; i++) {
        error_clear(&err);
        cr_expect_eq(generate_job_encode(&jobs[i], &bytes, &err), ST_BAD_INPUT);
        cr_expect(strstr(err.text, want[i]), "%s, not %s", err.text, want[i]);
        cr_expect_eq(bytes.n_bytes, 0, "nothing is half-written");
    }
}

Test(generate, a_search_needs_one_feature_that_is_added)
{
    struct generate_job job = make_job();
    job.target_kl = 0.5;
    cr_expect_eq(generate_job_check(&job, &err), ST_BAD_INPUT, "two");
    job.n_interventions = 1;
    cr_expect_eq(generate_job_check(&job, &err), ST_BAD_INPUT, "set");
    job.interventions[0].kind = INTERVENTION_ADD;
    error_clear(&err);
    cr_expect_eq(generate_job_check(&job, &err), ST_OK, "%s", err.text);
}

Test(generate, an_answer_without_sense_is_not_sent)
{
    struct generate_answer answer = *make_answer();
    answer.kl = (double)NAN;
    cr_expect_eq(generate_answer_encode(&answer, &bytes, &err), ST_BAD_INPUT);
    answer = *make_answer();
    made.changes[0].p_clean = 1.5;
    cr_expect_eq(generate_answer_encode(&answer, &bytes, &err), ST_BAD_INPUT);
}
