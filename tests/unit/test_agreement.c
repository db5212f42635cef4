/* Kappas against scikit-learn and statsmodels (tests/golden/agreement/make_agreement.py), equal
 * to 1e-9; the interval against all resamples of a small case. */
#include "coordinator/session/agreement.h"
#include "tests/support/session_windows.h"

#include <jansson.h>

static const struct bootstrap_params PARAMS = {2000, 0.95, 17, 4};

static json_t *load_cases(void)
{
    json_t *cases = json_load_file("tests/golden/agreement/cases.json", 0, NULL);
    cr_assert(json_array_size(json_object_get(cases, "cases")) > 0);
    return cases;
}

/* answers [n] of one judge about windows of the given documents. */
static const struct judgement *judge_of(const json_t *answers, const json_t *documents)
{
    const size_t n = json_array_size(answers);
    struct judgement *made = keep_alloc(n, sizeof *made);
    for (size_t i = 0; i < n; i++) {
        made[i].document_key = (uint64_t)json_integer_value(json_array_get(documents, i));
        made[i].answer = (enum judge_answer)json_integer_value(json_array_get(answers, i));
    }
    return made;
}

static void expect_near(struct score_value got, const json_t *item, const char *key)
{
    const double want = json_number_value(json_object_get(item, key));
    cr_expect(got.is_defined);
    cr_expect_float_eq(got.value, want, 1e-9, "%s: %.17g, not %.17g", key, got.value, want);
}

Test(agreement, kappas_are_those_of_scikit_learn_and_statsmodels)
{
    json_t *cases = load_cases();
    const json_t *list = json_object_get(cases, "cases");
    for (size_t c = 0; c < json_array_size(list); c++) {
        const json_t *item = json_array_get(list, c);
        const json_t *answers = json_object_get(item, "answers");
        const json_t *documents = json_object_get(item, "documents");
        const size_t n_judges = json_array_size(answers), n = json_array_size(documents);
        const struct judgement *judges[8];
        struct agreement got;
        for (size_t j = 0; j < n_judges; j++)
            judges[j] = judge_of(json_array_get(answers, j), documents);
        cr_assert_eq(agreement_fleiss(judges, n_judges, n, &PARAMS, &got, NULL), ST_OK);
        expect_near(got.kappa, item, "fleiss");
        cr_expect(got.n_windows + got.n_left_out == n);
        cr_expect_eq((json_int_t)got.n_windows,
                     json_integer_value(json_object_get(item, "n_windows")));
        cr_expect(got.interval.is_defined && got.interval.low < got.kappa.value &&
                  got.interval.high > got.kappa.value);
        /* Cohen's over the windows that all judges answered, as the maker has it */
        struct judgement *first = keep_alloc(n, sizeof *first);
        memcpy(first, judges[0], n * sizeof *first);
        for (size_t j = 2; j < n_judges; j++)
            for (size_t i = 0; i < n; i++)
                if (judges[j][i].answer == ANSWER_FAILED) first[i].answer = ANSWER_FAILED;
        cr_assert_eq(agreement_cohen(first, judges[1], n, &PARAMS, &got, NULL), ST_OK);
        expect_near(got.kappa, item, "cohen");
    }
    json_decref(cases);
}

Test(agreement, interval_is_that_of_all_resamples)
{
    json_t *cases = load_cases();
    const json_t *exact = json_object_get(cases, "exact");
    struct judgement a[32] = {{0}}, b[32] = {{0}};
    size_t n = 0, d, i;
    json_t *document, *answer;
    json_array_foreach(json_object_get(exact, "documents"), d, document)
        json_array_foreach(json_array_get(document, 0), i, answer)
    {
        a[n].document_key = b[n].document_key = d;
        a[n].answer = (enum judge_answer)json_integer_value(answer);
        b[n++].answer =
            (enum judge_answer)json_integer_value(json_array_get(json_array_get(document, 1), i));
    }
    const struct bootstrap_params many = {200000, 0.95, 17, 4};
    struct agreement got;
    cr_assert_eq(agreement_cohen(a, b, n, &many, &got, NULL), ST_OK);
    expect_near(got.kappa, exact, "kappa");
    cr_expect_eq(got.n_documents, 5);
    cr_expect_float_eq(got.interval.low, json_number_value(json_object_get(exact, "low")), 0.006);
    cr_expect_float_eq(got.interval.high, json_number_value(json_object_get(exact, "high")), 0.006);
    json_decref(cases);
}

/* n windows of n documents. */
static void fill_judge(struct judgement *judge, const char *answers)
{
    for (size_t i = 0; answers[i]; i++)
        judge[i] = (struct judgement){
            .document_key = i,
            .answer = answers[i] == '?' ? ANSWER_FAILED : (enum judge_answer)(answers[i] - '0')};
}

Test(agreement, is_undefined_when_chance_alone_agrees_always)
{
    static const struct {
        const char *name, *first, *second;
        bool is_defined;
        double kappa;
    } cases[] = {
        {"both always yes", "11111111", "11111111", false, 0.0},
        {"both always no", "00000000", "00000000", false, 0.0},
        {"one always yes", "11111111", "11110000", true, 0.0},
        {"always against each other", "11111111", "00000000", true, 0.0},
        {"the same", "10110001", "10110001", true, 1.0},
        {"opposite", "11110000", "00001111", true, -1.0},
        {"no common window", "1?1?1?1?", "?0?0?0?0", false, 0.0},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct judgement a[8], b[8];
        struct agreement got;
        fill_judge(a, cases[c].first);
        fill_judge(b, cases[c].second);
        cr_assert_eq(agreement_cohen(a, b, 8, &PARAMS, &got, NULL), ST_OK);
        cr_expect_eq(got.kappa.is_defined, cases[c].is_defined, "%s", cases[c].name);
        cr_expect_float_eq(got.kappa.value, cases[c].kappa, 1e-12, "%s", cases[c].name);
        cr_expect(got.kappa.is_defined || !got.interval.is_defined);
        const struct judgement *const judges[3] = {a, b, b};
        cr_assert_eq(agreement_fleiss(judges, 3, 8, &PARAMS, &got, NULL), ST_OK);
        cr_expect(got.kappa.value <= 1.0 && got.kappa.value >= -1.0, "%s", cases[c].name);
        if (c < 2) cr_expect(!got.kappa.is_defined && got.observed.value >= 1.0);
    }
}

Test(agreement, leaves_out_and_counts_what_a_judge_did_not_answer)
{
    struct judgement a[8], b[8];
    struct agreement with_gaps, without;
    fill_judge(a, "1011?001");
    fill_judge(b, "10?10011");
    cr_assert_eq(agreement_cohen(a, b, 8, &PARAMS, &with_gaps, NULL), ST_OK);
    cr_expect(with_gaps.n_windows == 6 && with_gaps.n_left_out == 2);
    fill_judge(a, "101001");
    fill_judge(b, "101011");
    cr_assert_eq(agreement_cohen(a, b, 6, &PARAMS, &without, NULL), ST_OK);
    cr_expect_float_eq(with_gaps.kappa.value, without.kappa.value, 0);
}

Test(agreement, refuses_judges_of_different_windows)
{
    struct judgement a[8], b[8];
    struct agreement got = {.n_windows = 99};
    struct error err = {0};
    fill_judge(a, "10110001");
    fill_judge(b, "10110001");
    b[5].document_key = 77;
    cr_expect_eq(agreement_cohen(a, b, 8, &PARAMS, &got, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "at 5"), "%s", err.text);
    b[5] = a[5];
    b[2].truth = WINDOW_SILENT_HARD;
    cr_expect_eq(agreement_cohen(a, b, 8, &PARAMS, &got, NULL), ST_BAD_INPUT);
    const struct judgement *const one[1] = {a};
    cr_expect_eq(agreement_fleiss(one, 1, 8, &PARAMS, &got, NULL), ST_BAD_INPUT);
    cr_expect_eq(got.n_windows, 99, "untouched");
}
