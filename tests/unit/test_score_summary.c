#include "coordinator/session/score_summary.h"

#include <criterion/criterion.h>

enum { N = 40 };

/* A judge that is right on the first n_right of every ten. */
static void judge(struct judgement *out, size_t n_right)
{
    for (size_t i = 0; i < N; i++) {
        const bool fires = i < N / 2, is_right = i % 10 < n_right;
        out[i] = (struct judgement){.document_key = i,
                                    .truth = fires ? WINDOW_FIRING : WINDOW_SILENT_RANDOM,
                                    .answer = fires == is_right ? ANSWER_FIRES : ANSWER_SILENT};
    }
}

static const struct bootstrap_params PARAMS = {2000, 0.95, 1, 2};

Test(score_summary, interval_holds_the_score_and_has_the_binomial_width)
{
    struct judgement judgements[N];
    struct score_summary summary;
    judge(judgements, 8);
    cr_assert_eq(score_summarise(judgements, N, NEGATIVES_RANDOM, &PARAMS, &summary, NULL), ST_OK);
    cr_expect_float_eq(summary.balanced_accuracy.value, 0.8, 1e-12);
    cr_expect_eq(summary.n_documents, N);
    cr_expect(summary.interval.low < 0.8 && summary.interval.high > 0.8);
    /* sd of the mean of 40 answers of 0.8: 0.063, so 3.92 sd = 0.248 */
    cr_expect_float_eq(summary.interval.high - summary.interval.low, 0.248, 0.04);
    cr_expect(!summary.auroc.is_defined, "no probabilities");
}

Test(score_summary, without_a_class_nothing_is_defined)
{
    struct judgement judgements[N];
    struct score_summary summary;
    judge(judgements, 8);
    cr_assert_eq(score_summarise(judgements, N, NEGATIVES_HARD, &PARAMS, &summary, NULL), ST_OK);
    cr_expect(!summary.balanced_accuracy.is_defined && !summary.interval.is_defined &&
              !summary.f1.is_defined);
    cr_expect_eq(summary.counts.n_true_firing, 16);
    cr_assert_eq(score_summarise(NULL, 0, NEGATIVES_HARD, &PARAMS, &summary, NULL), ST_OK);
    cr_expect(!summary.balanced_accuracy.is_defined);
}

Test(score_summary, comparison_is_paired)
{
    struct judgement good[N], poor[N];
    struct score_comparison compared;
    judge(good, 9);
    judge(poor, 5); /* wrong wherever good is wrong, and on more */
    cr_assert_eq(score_compare(good, N, poor, N, NEGATIVES_RANDOM, &PARAMS, &compared, NULL),
                 ST_OK);
    cr_expect_float_eq(compared.difference.value, 0.4, 1e-12);
    cr_expect(compared.is_better && compared.interval.low > 0.2 && compared.interval.high < 0.6);
    cr_assert_eq(score_compare(poor, N, good, N, NEGATIVES_RANDOM, &PARAMS, &compared, NULL),
                 ST_OK);
    cr_expect(!compared.is_better && compared.interval.high < 0);
    cr_assert_eq(score_compare(good, N, good, N, NEGATIVES_RANDOM, &PARAMS, &compared, NULL),
                 ST_OK);
    cr_expect(!compared.is_better, "a label does not beat itself");
    cr_expect(compared.interval.low == 0.0 && compared.interval.high == 0.0,
              "the same documents on both sides");
}
