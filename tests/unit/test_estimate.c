#include "coordinator/plan/estimate.h"

#include "coordinator/session/window_clusters.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct sweep_spec label_spec(void)
{
    return (struct sweep_spec){
        .kind = SWEEP_KIND_LABEL,
        .corpus = {.context_tokens = 128, .window_tokens = 32},
        .rows_per_unit = 16,
        .scores = SWEEP_SCORE_DETECTION | SWEEP_SCORE_FUZZING,
        .scoring = {.n_firing = 20, .n_silent = 20, .windows_per_prompt = 10, .null_pairs = 1000},
        .budget_dollars = 10.0};
}

static const struct estimate_provider cheap = {.is_used = true,
                                               .dollars_per_million_input = 0.15,
                                               .dollars_per_million_output = 0.6,
                                               .requests_per_minute = 500};

Test(estimate, corpus_tokens_are_guessed_from_bytes_and_exact_when_known)
{
    struct sweep_spec spec = label_spec();
    struct estimate_input input = {.spec = &spec, .n_text_bytes = 4000000, .n_documents = 1000};
    struct estimate estimate;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.n_tokens, 1000000);
    cr_expect_not(estimate.is_tokens_exact);
    cr_expect_eq(estimate.n_tokenize_batches, 16);
    cr_expect_eq(estimate.n_units, (7875 + 500 + 15) / 16, "1e6 / 127 rows, half a row a document");
    input.n_tokens = 1234567;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.n_tokens, 1234567);
    cr_expect(estimate.is_tokens_exact);
}

Test(estimate, a_plan_makes_the_units_exact_and_the_time_follows)
{
    struct sweep_spec spec = label_spec();
    const struct capture_plan_stats stats = {.n_tokens = {100, 20, 30, 50},
                                             .n_units = {5, 2, 3, 1}};
    const struct estimate_input input = {.spec = &spec,
                                         .plan_stats = &stats,
                                         .capture_tokens_per_second = 11 * 16 * 128 / 10.0,
                                         .n_workers = 2};
    struct estimate estimate;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.n_tokens, 200);
    cr_expect_eq(estimate.n_units, 11);
    cr_expect(estimate.is_units_exact);
    cr_expect_float_eq(estimate.capture_hours, 5.0 / 3600.0, 1e-12);
}

Test(estimate, calls_are_counted_as_the_scores_define_them)
{
    struct sweep_spec spec = label_spec();
    struct estimate_input input = {
        .spec = &spec, .n_features = 16384, .explainer = cheap, .judge = cheap};
    struct estimate estimate;
    estimate_make(&input, &estimate);
    /* 20 firing, 20 random and 20 hard windows in prompts of 10: 6 prompts of detection; fuzzing
     * asks about 10 firing ones once more: 7 */
    cr_expect_eq(estimate.calls_per_feature, 1 + 6 + 7);
    cr_expect_eq(estimate.explain.n_calls, 16384);
    cr_expect_eq(estimate.judge.n_calls, 16384 * 13);
    cr_expect_eq(estimate.null_pairs.n_calls, 1000 * 13);
    /* a window: 32 * 1.25 + 6 = 46 tokens */
    cr_expect_eq(estimate.explain.n_tokens_in, UINT64_C(16384) * (620 + 40 * 46));
    cr_expect_eq(estimate.judge.n_tokens_in, UINT64_C(16384) * (13 * 600 + 130 * 46));
    cr_expect_eq(estimate.judge.n_tokens_out, UINT64_C(16384) * (13 * 12 + 130 * 4));
    const double want = (double)estimate.explain.n_tokens_in / 1e6 * 0.15 +
                        (double)estimate.explain.n_tokens_out / 1e6 * 0.6;
    cr_expect_float_eq(estimate.explain.dollars, want, 1e-9);
    cr_expect_float_eq(estimate.judge.hours, 16384.0 * 13 / 500 / 60, 1e-9);
    cr_expect_float_eq((double)estimate.null_pairs.n_calls / (double)estimate.judge.n_calls, 0.06,
                       0.005, "statistics.md: about 6 per cent of a full sweep's judge calls");
    cr_expect(estimate.is_over_budget);
}

Test(estimate, several_meanings_are_an_upper_bound_beside_the_sum)
{
    struct sweep_spec spec = label_spec();
    struct estimate_input input = {
        .spec = &spec, .n_features = 100, .explainer = cheap, .judge = cheap};
    struct estimate estimate;
    struct buffer text;
    cr_expect_eq((int)ESTIMATE_MOST_MEANINGS, (int)WINDOW_CLUSTERS_MAX);
    estimate_make(&input, &estimate);
    /* a label, and 60 windows in prompts of 10, four times a feature */
    cr_expect_eq(estimate.meanings.n_calls, 100 * 4 * (1 + 6));
    cr_expect_eq(estimate.n_calls, 100 * 14 + estimate.null_pairs.n_calls, "they are in no sum");
    cr_expect_gt(estimate.meanings.dollars, 0.0);
    buffer_init(&text, 1 << 16);
    cr_assert_eq(estimate_print(&estimate, 10.0, &text, NULL), ST_OK);
    cr_expect_not_null(strstr(buffer_text(&text), "more        2,800 calls ("), "%s",
                       buffer_text(&text));
    buffer_fini(&text);
    spec.mode = SWEEP_MODE_SCORE_ONLY;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.meanings.n_calls, 100 * 4 * 6, "labels are brought");
}

Test(estimate, a_simulation_is_a_call_per_window_and_further_judges_see_test_windows)
{
    struct sweep_spec spec = label_spec();
    struct estimate_input input = {.spec = &spec, .n_features = 1000, .judge = cheap};
    struct estimate plain, estimate;
    estimate_make(&input, &plain);
    spec.scores |= SWEEP_SCORE_SIMULATION;
    spec.scoring.n_simulated = 5;
    input.more_judges[0] = input.more_judges[1] = cheap;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.judge.n_calls, plain.judge.n_calls + 1000 * 10);
    cr_expect_eq(estimate.null_pairs.n_calls, plain.null_pairs.n_calls + 1000 * 10);
    cr_expect_eq(estimate.judge.n_tokens_in - plain.judge.n_tokens_in,
                 UINT64_C(10000) * (170 + 2 * 46));
    cr_expect_eq(estimate.judge.n_tokens_out - plain.judge.n_tokens_out, UINT64_C(10000) * 46 * 14);
    cr_expect_eq(estimate.agreement.n_calls, 2 * plain.judge.n_calls, "no simulation, no null");
    cr_expect_float_eq(estimate.agreement.dollars, 2 * plain.judge.dollars, 1e-9);
    cr_expect_float_eq(estimate.agreement.hours, plain.judge.hours, 1e-9, "side by side");
    cr_expect_eq(estimate.n_calls,
                 estimate.judge.n_calls + estimate.null_pairs.n_calls + estimate.agreement.n_calls);
    input.judge.has_logprobs = true;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.judge.n_tokens_out - plain.judge.n_tokens_out, UINT64_C(10000) * 46 * 5);
}

Test(estimate, an_intervention_is_a_call_a_prompt_of_the_judge_alone)
{
    struct sweep_spec spec = label_spec();
    struct estimate_input input = {.spec = &spec, .n_features = 1000, .judge = cheap};
    struct estimate plain, estimate;
    estimate_make(&input, &plain);
    spec.scores |= SWEEP_SCORE_INTERVENTION;
    spec.scoring.intervention_prompts = 10;
    spec.scoring.intervention_tokens = 24;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.judge.n_calls, plain.judge.n_calls + 1000 * 10);
    cr_expect_eq(estimate.judge.n_tokens_in - plain.judge.n_tokens_in,
                 UINT64_C(10000) * (320 + 46 + 2 * 24));
    cr_expect_eq(estimate.judge.n_tokens_out - plain.judge.n_tokens_out, UINT64_C(10000) * 12);
    cr_expect_eq(estimate.null_pairs.n_calls, plain.null_pairs.n_calls, "chance is known");
}

Test(estimate, few_features_have_five_null_pairs_each_and_ood_doubles_the_judging_of_other_modes)
{
    struct sweep_spec spec = label_spec();
    struct estimate_input input = {.spec = &spec, .n_features = 150, .judge = cheap};
    struct estimate estimate;
    spec.scoring.null_pairs = 100;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.null_pairs.n_calls, 750 * 13);
    cr_expect_eq(estimate.explain.n_calls, 0, "the lexical explainer asks nobody");
    spec.n_ood = 2;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.judge.n_calls, 150 * 13, "a single pass is judged on test alone");
    spec.mode = SWEEP_MODE_SCORE_ONLY;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.judge.n_calls, 150 * 26, "all other corpora are one split");
    cr_expect_eq(estimate.null_pairs.n_calls, 750 * 13, "the null stays on test");
    spec.scoring.null_pairs = 0;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.null_pairs.n_calls, 0);
}

Test(estimate, agentic_sweeps_are_counted_with_most_and_with_fewest_rounds)
{
    struct sweep_spec spec = label_spec();
    const struct estimate_input input = {
        .spec = &spec, .n_features = 1000, .explainer = cheap, .judge = cheap};
    struct estimate estimate;
    struct buffer text;
    spec.mode = SWEEP_MODE_AGENTIC;
    spec.rounds = (struct sweep_rounds){.min = 3, .max = 5};
    spec.experiments.per_round = 20;
    estimate_make(&input, &estimate);
    /* a round: label, design, validate 6, explain 2; test 13, first and last label 6 each */
    cr_expect_eq(estimate.calls_per_feature, 5 * (2 + 6 + 2) + 13 + 2 * 6);
    cr_expect_eq(estimate.n_calls_least,
                 1000 * (3 * (2 + 6 + 2) + 13) + estimate.null_pairs.n_calls);
    cr_expect_lt(estimate.dollars_least, estimate.dollars);
    /* every design answers with 20 sentences */
    cr_expect_eq(estimate.explain.n_tokens_out, UINT64_C(1000) * 5 * (120 + 40 + 20 * 25));
    buffer_init(&text, 1 << 16);
    cr_assert_eq(estimate_print(&estimate, 10.0, &text, NULL), ST_OK);
    cr_expect_not_null(strstr(buffer_text(&text), "at least"), "%s", buffer_text(&text));
    buffer_fini(&text);
}

Test(estimate, the_prompt_cap_bounds_the_tokens_of_a_feature)
{
    struct sweep_spec spec = label_spec();
    const struct estimate_input input = {
        .spec = &spec, .n_features = 10, .explainer = cheap, .judge = cheap};
    struct estimate estimate;
    spec.max_prompt_tokens = 6000;
    estimate_make(&input, &estimate);
    cr_expect(estimate.is_prompt_capped);
    cr_expect_leq(estimate.explain.n_tokens_in + estimate.judge.n_tokens_in, 60000);
    cr_expect_geq(estimate.explain.n_tokens_in + estimate.judge.n_tokens_in, 59998);
    spec.max_prompt_tokens = 1000000;
    estimate_make(&input, &estimate);
    cr_expect_not(estimate.is_prompt_capped);
}

Test(estimate, lexical_sweeps_cost_no_calls)
{
    struct sweep_spec spec = label_spec();
    const struct estimate_input input = {.spec = &spec, .n_features = 16384, .n_tokens = 5};
    struct estimate estimate;
    struct buffer text;
    struct error err = {.status = ST_OK};
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.n_calls, 0);
    cr_expect_eq(estimate.dollars, 0.0);
    cr_expect_eq(estimate.meanings.n_calls, 0);
    buffer_init(&text, 1 << 16);
    cr_assert_eq(estimate_print(&estimate, 10.0, &text, &err), ST_OK);
    cr_expect_not_null(strstr(buffer_text(&text), "none (lexical), 16,384 features"));
    buffer_fini(&text);
}

Test(estimate, table_and_json_say_the_same)
{
    struct sweep_spec spec = label_spec();
    const struct estimate_input input = {
        .spec = &spec, .n_features = 10, .n_tokens = 99, .explainer = cheap, .judge = cheap};
    struct estimate estimate;
    struct buffer text;
    struct error err = {.status = ST_OK};
    json_t *json;
    estimate_make(&input, &estimate);
    buffer_init(&text, 1 << 16);
    cr_assert_eq(estimate_print(&estimate, 10.0, &text, &err), ST_OK);
    cr_expect_not_null(strstr(buffer_text(&text), "99 tokens in about 1 units"), "%s",
                       buffer_text(&text));
    cr_expect_not_null(strstr(buffer_text(&text), "at most 14 a feature, 10 features"));
    json = estimate_to_json(&estimate);
    cr_assert_not_null(json);
    cr_expect_eq(json_integer_value(json_object_get(json, "calls")), (json_int_t)estimate.n_calls);
    cr_expect_eq(json_real_value(json_object_get(json, "dollars")), estimate.dollars);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(json, "judge"), "calls")), 130);
    json_decref(json);
    buffer_fini(&text);
}

Test(estimate, noop_sweeps_are_their_units)
{
    const struct sweep_spec spec = {.kind = SWEEP_KIND_NOOP, .n_units = 77};
    const struct estimate_input input = {.spec = &spec};
    struct estimate estimate;
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.n_units, 77);
    cr_expect_eq(estimate.n_calls, 0);
}

/* The k-th smallest p of m must be at most q k / m, and none is below 1 / (pairs + 1). */
Test(estimate, says_how_many_labels_a_null_can_support_at_the_least)
{
    static const struct {
        uint64_t n_features;
        uint32_t n_pairs;
        double q;
        uint64_t want;
        const char *text;
    } cases[] = {
        {40, 999, 0.05, 1, ""}, /* 1/1000 <= 0.05/40: alone */
        {50, 999, 0.05, 1, ""}, /* the last that is: 1/1000 = 0.05/50 */
        {51, 999, 0.05, 2, "supports 2 labels or more"},
        {16384, 1000, 0.05, 328, "supports 328 labels or more"},
        {16384, 10, 0.05, 16385, "can support no label"}, /* 1/11 > 0.05, whatever the others do */
        {300, 0, 0.05, 0, ""},                            /* no null: nothing is decided */
        {300, 1000, 0.0, 301, "can support no label"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sweep_spec spec = label_spec();
        struct estimate estimate;
        struct buffer text;
        spec.scoring.null_pairs = cases[i].n_pairs;
        spec.thresholds.fdr_q = cases[i].q;
        const struct estimate_input input = {.spec = &spec, .n_features = cases[i].n_features};
        estimate_make(&input, &estimate);
        cr_expect_eq(estimate.n_supported_least, cases[i].want, "case %zu: %llu", i,
                     (unsigned long long)estimate.n_supported_least);
        buffer_init(&text, 4096);
        cr_assert_eq(estimate_print(&estimate, 10.0, &text, NULL), ST_OK);
        cr_assert_eq(buffer_append(&text, "", 1, NULL), ST_OK);
        const char *printed = (const char *)text.bytes;
        cr_expect(strstr(printed, cases[i].text), "case %zu: %s", i, printed);
        cr_expect_eq(strstr(printed, "null pairs,") || strstr(printed, "warning"),
                     cases[i].want > 1, "case %zu: %s", i, printed);
        buffer_fini(&text);
    }
}
