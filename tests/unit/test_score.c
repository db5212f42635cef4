/* Numbers that are not obvious come from tests/golden/statistics/make_statistics.py. */
#include "coordinator/session/draw.h"
#include "coordinator/session/score.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t put(struct judgement *out, size_t n, size_t how_many, enum window_kind truth,
                  enum judge_answer answer)
{
    for (size_t i = 0; i < how_many; i++)
        out[n + i] = (struct judgement){.document_key = n + i, .truth = truth, .answer = answer};
    return n + how_many;
}

/* 18 of 20 firing, 15 of 20 random and 10 of 20 hard ones right; two firing and one random fail. */
static size_t sample(struct judgement *out)
{
    size_t n = put(out, 0, 18, WINDOW_FIRING, ANSWER_FIRES);
    n = put(out, n, 2, WINDOW_FIRING, ANSWER_FAILED);
    n = put(out, n, 15, WINDOW_SILENT_RANDOM, ANSWER_SILENT);
    n = put(out, n, 4, WINDOW_SILENT_RANDOM, ANSWER_FIRES);
    n = put(out, n, 1, WINDOW_SILENT_RANDOM, ANSWER_FAILED);
    n = put(out, n, 10, WINDOW_SILENT_HARD, ANSWER_SILENT);
    return put(out, n, 10, WINDOW_SILENT_HARD, ANSWER_FIRES);
}

Test(score, failed_answers_are_wrong_and_counted_apart)
{
    struct judgement judgements[64];
    const size_t n = sample(judgements);
    const struct confusion random = score_count(judgements, n, NEGATIVES_RANDOM);
    cr_expect_eq(random.n_true_firing, 18);
    cr_expect_eq(random.n_missed, 2);
    cr_expect_eq(random.n_failed_firing, 2);
    cr_expect_eq(random.n_false_alarm, 5);
    cr_expect_eq(random.n_failed_silent, 1);
    cr_expect_float_eq(score_balanced_accuracy(&random).value, 0.825, 1e-12);
    cr_expect_float_eq(score_f1(&random).value, 0.8372093023255814, 1e-12);
    cr_expect_float_eq(score_precision(&random).value, 18.0 / 23.0, 1e-12);
    cr_expect_float_eq(score_recall(&random).value, 0.9, 1e-12);
}

Test(score, random_and_hard_negatives_are_never_pooled)
{
    struct judgement judgements[64];
    const size_t n = sample(judgements);
    const struct confusion hard = score_count(judgements, n, NEGATIVES_HARD);
    cr_expect_eq(hard.n_true_silent + hard.n_false_alarm, 20);
    cr_expect_float_eq(score_balanced_accuracy(&hard).value, (0.9 + 0.5) / 2, 1e-12);
}

Test(score, windows_of_neighbours_are_hard_and_counted_apart)
{
    static const struct judgement judgements[] = {
        {.truth = WINDOW_FIRING, .answer = ANSWER_FIRES},
        {.truth = WINDOW_SILENT_RANDOM, .answer = ANSWER_SILENT},
        {.truth = WINDOW_SILENT_HARD, .answer = ANSWER_FIRES},
        {.truth = WINDOW_SILENT_NEIGHBOUR, .answer = ANSWER_SILENT},
        {.truth = WINDOW_SILENT_NEIGHBOUR, .answer = ANSWER_FIRES},
        {.truth = WINDOW_SILENT_NEIGHBOUR, .answer = ANSWER_FAILED}};
    const struct confusion hard = score_count(judgements, 6, NEGATIVES_HARD);
    cr_expect_eq(hard.n_true_silent, 1);
    cr_expect_eq(hard.n_false_alarm, 3);
    const struct kind_counts of = score_count_kind(judgements, 6, WINDOW_SILENT_NEIGHBOUR);
    cr_expect_eq(of.n_true_silent, 1);
    cr_expect_eq(of.n_false_alarm, 2, "no answer is a wrong one");
    const struct confusion random = score_count(judgements, 6, NEGATIVES_RANDOM);
    cr_expect_eq(random.n_true_silent + random.n_false_alarm, 1);
}

Test(score, is_undefined_when_a_class_is_empty)
{
    static const struct confusion no_silent = {.n_true_firing = 5},
                                  no_firing = {.n_true_silent = 5};
    const struct confusion *both[] = {&no_silent, &no_firing};
    for (size_t i = 0; i < 2; i++) {
        const struct score_value values[] = {score_balanced_accuracy(both[i]), score_f1(both[i]),
                                             score_precision(both[i]), score_recall(both[i])};
        for (size_t v = 0; v < 4; v++) {
            cr_expect(!values[v].is_defined);
            cr_expect_eq(values[v].value, 0.0, "never NaN");
        }
    }
}

Test(score, constant_judges_get_chance)
{
    static const struct confusion never = {.n_missed = 20, .n_true_silent = 20};
    static const struct confusion always = {.n_true_firing = 20, .n_false_alarm = 40};
    cr_expect_float_eq(score_balanced_accuracy(&never).value, 0.5, 1e-12);
    cr_expect_float_eq(score_balanced_accuracy(&always).value, 0.5, 1e-12);
    cr_expect(score_f1(&never).is_defined && score_f1(&never).value == 0.0);
    cr_expect(!score_precision(&never).is_defined, "nothing was called firing");
}

static const double FIRING[] = {0.9, 0.8, 0.8, 0.4, 0.35};
static const double SILENT[] = {0.8, 0.5, 0.4, 0.3, 0.1, 0.0};

static size_t with_probabilities(struct judgement *out)
{
    for (size_t i = 0; i < 5; i++)
        out[i] = (struct judgement){i, WINDOW_FIRING, ANSWER_FIRES, true, FIRING[i]};
    for (size_t i = 0; i < 6; i++)
        out[5 + i] = (struct judgement){i, WINDOW_SILENT_RANDOM, ANSWER_SILENT, true, SILENT[i]};
    return 11;
}

Test(score, auroc_counts_ties_half_and_failures_last)
{
    struct judgement judgements[16];
    size_t n = with_probabilities(judgements);
    struct score_value value;
    cr_assert_eq(score_auroc(judgements, n, NEGATIVES_RANDOM, &value, NULL), ST_OK);
    cr_expect_float_eq(value.value, 0.7833333333333333, 1e-12);
    judgements[n++] = (struct judgement){.truth = WINDOW_FIRING, .answer = ANSWER_FAILED};
    judgements[n++] = (struct judgement){.truth = WINDOW_SILENT_RANDOM, .answer = ANSWER_FAILED};
    cr_assert_eq(score_auroc(judgements, n, NEGATIVES_RANDOM, &value, NULL), ST_OK);
    cr_expect_float_eq(value.value, 0.5595238095238095, 1e-12);
}

Test(score, auroc_does_not_depend_on_the_order_of_answers)
{
    struct judgement judgements[16], shuffled[16];
    const size_t n = with_probabilities(judgements);
    struct draw draw = {3};
    for (int round = 0; round < 50; round++) {
        uint32_t order[16];
        for (uint32_t i = 0; i < n; i++) order[i] = i;
        draw_shuffle(&draw, order, n);
        for (size_t i = 0; i < n; i++) shuffled[i] = judgements[order[i]];
        struct score_value value;
        cr_assert_eq(score_auroc(shuffled, n, NEGATIVES_RANDOM, &value, NULL), ST_OK);
        cr_assert_eq(value.value, 0.7833333333333333);
    }
}

Test(score, auroc_needs_probabilities_in_range)
{
    struct judgement judgements[16];
    const size_t n = with_probabilities(judgements);
    struct score_value value = {true, 1.0};
    judgements[3].has_probability = false;
    cr_assert_eq(score_auroc(judgements, n, NEGATIVES_RANDOM, &value, NULL), ST_OK);
    cr_expect(!value.is_defined);
    cr_assert_eq(score_auroc(judgements, n, NEGATIVES_HARD, &value, NULL), ST_OK);
    cr_expect(!value.is_defined, "no hard negative");
    struct error err = {0};
    with_probabilities(judgements);
    judgements[2].probability = 0.0 / 0.0;
    cr_expect_eq(score_auroc(judgements, n, NEGATIVES_RANDOM, &value, &err), ST_BAD_INPUT);
}
