#include "coordinator/session/session_outlook.h"

#include "coordinator/session/score_summary.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct rounds_rule RULE = {.min = 3,
                                        .max = 5,
                                        .target_accuracy = 0.9,
                                        .adversarial = {0.055, 10},
                                        .patience = 2,
                                        .floor = 0.74};

/* A tested round: accuracy in the middle of its interval. */
struct shape {
    double low, high;
    bool has_failed; /* its adversarial texts */
};

static struct session_rounds rounds_of(const struct shape *shapes, size_t n)
{
    struct session_rounds rounds = {0};
    for (size_t i = 0; i < n; i++) {
        struct session_round *round;
        cr_assert_eq(session_rounds_add(&rounds, &round, NULL), ST_OK);
        round->is_tested = round->has_label = true;
        (void)snprintf(round->label.text, sizeof round->label.text, "label %zu", i);
        round->accuracy = (struct score_value){true, (shapes[i].low + shapes[i].high) / 2};
        round->interval = (struct interval){true, shapes[i].low, shapes[i].high, 0};
        round->adversarial.has_passed = !shapes[i].has_failed;
    }
    return rounds;
}

#define NONE                                                                                       \
    {                                                                                              \
        0.4, 0.6, true                                                                             \
    }
Test(session_outlook, settled_clear_and_hopeless_ones_stop_and_contested_ones_go_on)
{
    static const struct {
        const char *name;
        struct shape shapes[4];
        size_t n;
        double lead; /* lower end of the best round's lead; above 1: there is no rival */
        enum session_outlook want;
    } cases[] = {
        {"too few rounds", {NONE, NONE}, 2, 2, OUTLOOK_EARLY},
        {"settled", {{0.85, 1.0, false}, NONE, NONE}, 3, 0.2, OUTLOOK_SETTLED},
        {"hopeless", {NONE, NONE, NONE}, 3, 2, OUTLOOK_HOPELESS},
        {"hopeless, whatever leads", {NONE, NONE, NONE}, 3, -0.1, OUTLOOK_HOPELESS},
        {"the last may rise", {NONE, NONE, {0.5, 0.8, true}}, 3, 2, OUTLOOK_CONTESTED},
        {"one hopeless round",
         {{0.5, 0.8, true}, {0.5, 0.8, true}, NONE},
         3,
         0.1,
         OUTLOOK_CONTESTED},
        {"straddles the target", {{0.8, 0.93, false}, NONE, NONE}, 3, 0.2, OUTLOOK_CONTESTED},
        {"reaches it, not passed", {{0.95, 1.0, true}, NONE, NONE}, 3, 0.2, OUTLOOK_CONTESTED},
        {"short of it, not passed", {{0.7, 0.85, true}, NONE, NONE}, 3, 0.2, OUTLOOK_CONTESTED},
        {"short of it, lead in noise", {{0.7, 0.85, false}, NONE, NONE}, 3, 0.0, OUTLOOK_CONTESTED},
        {"short of it, clear", {{0.7, 0.85, false}, NONE, NONE}, 3, 0.1, OUTLOOK_DECIDED},
        {"the same label always", {{0.7, 0.85, false}, NONE, NONE}, 3, 2, OUTLOOK_DECIDED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session_rounds rounds = rounds_of(cases[i].shapes, cases[i].n);
        rounds.has_rival = cases[i].lead <= 1;
        rounds.lead = (struct interval){rounds.has_rival, cases[i].lead, 1.0, 0};
        const enum session_outlook got = session_outlook(&rounds, &RULE);
        cr_expect_eq(got, cases[i].want, "%s: %s", cases[i].name, session_outlook_name(got));
        cr_expect_eq(session_outlook_goes_on(got), got <= OUTLOOK_CONTESTED);
        session_rounds_fini(&rounds);
    }
}

Test(session_outlook, without_patience_only_settled_ones_stop)
{
    static const struct shape hopeless[] = {NONE, NONE, NONE},
                              good[] = {{0.9, 1, false}, NONE, NONE};
    struct rounds_rule rule = RULE;
    rule.patience = 0;
    struct session_rounds bad = rounds_of(hopeless, 3), right = rounds_of(good, 3), none = {0};
    cr_expect_eq(session_outlook(&bad, &rule), OUTLOOK_CONTESTED);
    cr_expect_eq(session_outlook(&right, &rule), OUTLOOK_SETTLED);
    cr_expect_eq(session_outlook(&none, &rule), OUTLOOK_EARLY);
    session_rounds_fini(&bad);
    session_rounds_fini(&right);
}

Test(session_outlook, an_undefined_interval_decides_nothing)
{
    static const struct shape shapes[] = {NONE, NONE, NONE};
    struct session_rounds rounds = rounds_of(shapes, 3);
    for (size_t i = 0; i < 3; i++) rounds.list[i].interval.is_defined = false;
    cr_expect_eq(session_outlook(&rounds, &RULE), OUTLOOK_CONTESTED);
    session_rounds_fini(&rounds);
}

/* 3 sd of a coin's balanced accuracy over 20 firing and 20 silent windows. */
Test(session_outlook, the_floor_is_what_a_coin_does_not_reach)
{
    cr_expect_float_eq(session_outlook_floor(20, 20, 3.0), 0.5 + 3 * sqrt(0.25 / 40), 1e-12);
    cr_expect_float_eq(session_outlook_floor(1, 1, 3.0), 1.0, 1e-12, "never above 1");
    cr_expect_float_eq(session_outlook_floor(0, 20, 3.0), 0.0, 1e-12, "nothing is hopeless");
}

enum { N_DOCUMENTS = 12, N_WINDOWS = 2 * N_DOCUMENTS };

/* A firing and a silent window a document; the first `n_right` documents are judged rightly. */
static void judge(struct judgement *out, size_t n_right)
{
    for (size_t i = 0; i < N_WINDOWS; i++) {
        const bool fires = i % 2 == 0, is_right = i / 2 < n_right;
        out[i] = (struct judgement){.document_key = i / 2,
                                    .truth = fires ? WINDOW_FIRING : WINDOW_SILENT_RANDOM,
                                    .answer = fires == is_right ? ANSWER_FIRES : ANSWER_SILENT};
    }
}

static void test_round(struct session_rounds *rounds, const char *label, size_t n_right)
{
    const struct bootstrap_params params = {200, 0.95, 7, 11};
    struct judgement judgements[N_WINDOWS];
    struct session_round *round;
    struct error err = {0};
    cr_assert_eq(session_rounds_add(rounds, &round, NULL), ST_OK);
    judge(judgements, n_right);
    (void)snprintf(round->label.text, sizeof round->label.text, "%s", label);
    round->is_tested = true;
    const struct confusion counts = score_count(judgements, N_WINDOWS, NEGATIVES_RANDOM);
    round->accuracy = score_balanced_accuracy(&counts);
    cr_assert_eq(session_outlook_measure(rounds, judgements, N_WINDOWS, &params, &err), ST_OK, "%s",
                 err.text);
}

/* The same numbers as scores of the same windows have (score_summary.h). */
Test(session_outlook, measures_the_round_and_the_lead_over_another_label)
{
    const struct bootstrap_params params = {200, 0.95, 7, 11};
    struct judgement mine[N_WINDOWS], rival[N_WINDOWS];
    struct score_summary summary;
    struct score_comparison comparison;
    struct session_rounds rounds = {0};
    test_round(&rounds, "a", 10);
    cr_expect_not(rounds.has_rival, "one label");
    test_round(&rounds, "a", 4);
    cr_expect_not(rounds.has_rival, "the same label again is none");
    test_round(&rounds, "b", 7);
    cr_assert(rounds.has_rival && rounds.lead.is_defined);
    judge(mine, 10);
    judge(rival, 7);
    cr_assert_eq(score_compare(mine, N_WINDOWS, rival, N_WINDOWS, NEGATIVES_RANDOM, &params,
                               &comparison, NULL),
                 ST_OK);
    cr_expect(rounds.lead.low == comparison.interval.low &&
              rounds.lead.high == comparison.interval.high);
    cr_assert_eq(score_summarise(rival, N_WINDOWS, NEGATIVES_RANDOM, &params, &summary, NULL),
                 ST_OK);
    cr_expect(rounds.list[2].interval.low == summary.interval.low &&
              rounds.list[2].interval.high == summary.interval.high);
    cr_expect(summary.interval.low < 7.0 / 12 && summary.interval.high > 7.0 / 12);
    session_rounds_fini(&rounds);
}

Test(session_outlook, other_windows_than_before_are_refused)
{
    const struct bootstrap_params params = {200, 0.95, 7, 11};
    struct judgement judgements[N_WINDOWS];
    struct session_rounds rounds = {0};
    struct error err = {0};
    test_round(&rounds, "a", 10);
    test_round(&rounds, "b", 9);
    judge(judgements, 9);
    cr_expect_eq(session_outlook_measure(&rounds, judgements, N_WINDOWS - 2, &params, &err),
                 ST_INTERNAL);
    session_rounds_fini(&rounds);
}
