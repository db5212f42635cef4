#include "coordinator/session/draw.h"
#include "coordinator/session/support.h"

#include <criterion/criterion.h>

enum { N_NULL = 1000 };

static struct null_model null_around_chance(void)
{
    static double scores[N_NULL];
    struct draw draw = {3};
    struct null_model null;
    for (size_t i = 0; i < N_NULL; i++) scores[i] = 0.4 + 0.2 * (draw_below(&draw, 1001) / 1000.0);
    cr_assert_eq(null_model_init(&null, scores, N_NULL, NULL), ST_OK);
    return null;
}

static struct support_claim claim(enum feature_status status, double score)
{
    return (struct support_claim){.status = status, .score = {true, score}};
}

Test(support, verdict_is_the_first_thing_that_is_missing)
{
    struct null_model null = null_around_chance();
    const struct support_thresholds thresholds = support_thresholds_default();
    struct support_claim claims[9];
    static const enum support_verdict want[9] = {
        SUPPORT_SUPPORTED, SUPPORT_SUPPORTED,   SUPPORT_STATUS,
        SUPPORT_STATUS,    SUPPORT_NO_SCORE,    SUPPORT_Z,
        SUPPORT_ROUNDS,    SUPPORT_ADVERSARIAL, SUPPORT_SUPPORTED};
    struct support got[9];
    claims[0] = claim(FEATURE_OPEN, 0.95);
    claims[1] = claim(FEATURE_TOKEN, 0.95);
    claims[2] = claim(FEATURE_INSUFFICIENT, 0.95);
    claims[3] = claim(FEATURE_POSITION, 0.95);
    claims[4] = (struct support_claim){.status = FEATURE_OPEN};
    claims[5] = claim(FEATURE_OPEN, 0.6);
    for (size_t i = 6; i < 9; i++) {
        claims[i] = claim(FEATURE_OPEN, 0.95);
        claims[i].is_agentic = true;
        claims[i].had_enough_rounds = i > 6;
        claims[i].passed_adversarial = i > 7;
    }
    cr_assert_eq(support_decide(claims, 9, &null, &thresholds, got, NULL), ST_OK);
    for (size_t i = 0; i < 9; i++)
        cr_expect_eq(got[i].verdict, want[i], "claim %zu: %s", i,
                     support_verdict_text(got[i].verdict));
    cr_expect(got[0].z.is_defined && got[0].z.value > 7 && got[0].p.value < 0.001);
    cr_expect(!got[4].z.is_defined && !got[4].p.is_defined);
    null_model_fini(&null);
}

Test(support, constant_judge_supports_nothing)
{
    static const double same[] = {0.5, 0.5, 0.5, 0.5};
    struct null_model null;
    const struct support_thresholds thresholds = support_thresholds_default();
    struct support_claim claims[3] = {claim(FEATURE_OPEN, 0.5), claim(FEATURE_TOKEN, 1.0),
                                      claim(FEATURE_DEAD, 0.5)};
    struct support got[3];
    cr_assert_eq(null_model_init(&null, same, 4, NULL), ST_OK);
    cr_assert_eq(support_decide(claims, 3, &null, &thresholds, got, NULL), ST_OK);
    cr_expect_str_eq(support_verdict_text(got[0].verdict), "unsupported: judge is constant");
    cr_expect_eq(got[1].verdict, SUPPORT_JUDGE_CONSTANT);
    cr_expect_eq(got[2].verdict, SUPPORT_STATUS);
    null_model_fini(&null);
    cr_assert_eq(null_model_init(&null, same, 0, NULL), ST_OK);
    cr_assert_eq(support_decide(claims, 3, &null, &thresholds, got, NULL), ST_OK);
    cr_expect_eq(got[1].verdict, SUPPORT_NO_NULL);
    null_model_fini(&null);
}

/* The null is at fault where not even a score of 1 would pass: too wide, or too few scores. */
Test(support, says_when_no_score_could_pass)
{
    static double wide[N_NULL], few[10];
    const struct support_thresholds thresholds = support_thresholds_default();
    const struct {
        const char *name;
        double *scores;
        size_t n;
        enum support_verdict want;
    } cases[] = {{"a null over all scores", wide, N_NULL, SUPPORT_HOPELESS},
                 {"ten scores: the least p is 1/11", few, 10, SUPPORT_HOPELESS}};
    for (size_t i = 0; i < N_NULL; i++) wide[i] = (double)(i % 11) / 10.0;
    for (size_t i = 0; i < 10; i++) few[i] = 0.5 + (double)(i % 3) / 100.0;
    for (size_t i = 0; i < 2; i++) {
        struct null_model null;
        const struct support_claim claims[2] = {claim(FEATURE_OPEN, 1.0), claim(FEATURE_OPEN, 0.5)};
        struct support got[2];
        cr_assert_eq(null_model_init(&null, cases[i].scores, cases[i].n, NULL), ST_OK);
        cr_assert_eq(support_decide(claims, 2, &null, &thresholds, got, NULL), ST_OK);
        cr_expect_eq(got[0].verdict, cases[i].want, "%s", cases[i].name);
        cr_expect_eq(got[1].verdict, cases[i].want, "%s: the worst label too", cases[i].name);
        null_model_fini(&null);
    }
    cr_expect_str_eq(support_verdict_text(SUPPORT_HOPELESS),
                     "unsupported: no score could pass this null");
}

/* z alone would let a tail of many true nulls through; Benjamini-Hochberg does not. */
Test(support, one_extreme_score_among_many_labels_is_a_false_discovery)
{
    static double scores[N_NULL];
    static struct support_claim claims[500];
    static struct support got[500];
    struct null_model null;
    const struct support_thresholds thresholds = support_thresholds_default();
    for (size_t i = 0; i < N_NULL; i++) scores[i] = i < 990 ? 0.5 + 0.0001 * (double)(i % 3) : 0.9;
    cr_assert_eq(null_model_init(&null, scores, N_NULL, NULL), ST_OK);
    for (size_t i = 0; i < 500; i++) claims[i] = claim(FEATURE_OPEN, i < 5 ? 0.9 : 0.5);
    cr_assert_eq(support_decide(claims, 500, &null, &thresholds, got, NULL), ST_OK);
    cr_expect_gt(got[0].z.value, 3.0);
    cr_expect_eq(got[0].verdict, SUPPORT_FALSE_DISCOVERY);
    null_model_fini(&null);
}

/* A sweep whose labels are all foreign (random judge, permuted control): any supported label in
 * at most 5 % of sweeps. */
Test(support, labels_drawn_from_the_null_are_hardly_ever_supported)
{
    struct draw draw = {8};
    const struct support_thresholds thresholds = support_thresholds_default();
    size_t n_sweeps_with_any = 0;
    for (int sweep = 0; sweep < 300; sweep++) {
        double scores[N_NULL];
        struct support_claim claims[200];
        struct support got[200];
        struct null_model null;
        bool any = false;
        for (size_t i = 0; i < N_NULL + 200; i++) {
            size_t n_right = 0; /* 40 windows judged by a coin */
            for (size_t w = 0; w < 40; w++) n_right += draw_below(&draw, 2);
            const double score = (double)n_right / 40.0;
            if (i < N_NULL)
                scores[i] = score;
            else
                claims[i - N_NULL] = claim(FEATURE_OPEN, score);
        }
        cr_assert_eq(null_model_init(&null, scores, N_NULL, NULL), ST_OK);
        cr_assert_eq(support_decide(claims, 200, &null, &thresholds, got, NULL), ST_OK);
        for (size_t i = 0; i < 200; i++) any |= got[i].verdict == SUPPORT_SUPPORTED;
        n_sweeps_with_any += any;
        null_model_fini(&null);
    }
    cr_expect_leq(n_sweeps_with_any, 15, "%zu of 300", n_sweeps_with_any);
}
