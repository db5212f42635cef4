#include "coordinator/session/session_rounds.h"
#include "coordinator/session/session_stages.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct rounds_rule RULE = {
    .min = 3, .max = 5, .target_accuracy = 0.9, .adversarial = {0.055, 10}};

/* One tested round per accuracy; negative: not defined, above 1: the round has no label. */
static struct session_rounds rounds_of(const double *accuracies, size_t n)
{
    struct session_rounds rounds = {0};
    for (size_t i = 0; i < n; i++) {
        struct session_round *round;
        cr_assert_eq(session_rounds_add(&rounds, &round, NULL), ST_OK);
        round->is_tested = round->has_label = accuracies[i] <= 1.0;
        round->accuracy = (struct score_value){accuracies[i] >= 0.0 && accuracies[i] <= 1.0,
                                               accuracies[i] >= 0.0 ? accuracies[i] : 0.0};
        round->adversarial.has_passed = true;
    }
    return rounds;
}

Test(session_rounds, best_is_the_first_of_the_largest_scores)
{
    static const struct {
        double accuracies[5];
        size_t n, best;
    } cases[] = {{{0.5, 0.7, 0.7}, 3, 1},   {{0.9, 0.7, 0.8}, 3, 0},  {{-1, -1, -1}, 3, 0},
                 {{-1, 0.2, -1}, 3, 1},     {{2, 2, 0.4, 0.5}, 4, 3}, {{2, 2}, 2, SESSION_NO_ROUND},
                 {{0}, 0, SESSION_NO_ROUND}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session_rounds rounds = rounds_of(cases[i].accuracies, cases[i].n);
        cr_expect_eq(session_rounds_best(&rounds), cases[i].best, "case %zu", i);
        session_rounds_fini(&rounds);
    }
}

Test(session_rounds, settled_needs_rounds_target_and_adversarial_texts)
{
    static const struct {
        double accuracies[4];
        size_t n;
        bool failed_adversarial; /* of the best */
        bool is_settled;
    } cases[] = {
        {{0.95, 0.6, 0.6}, 3, false, true},  {{0.95, 0.6}, 2, false, false},
        {{0.95, 0.6, 2}, 3, false, false}, /* a round without a label is none */
        {{0.89, 0.6, 0.6}, 3, false, false}, {{0.90, 0.6, 0.6}, 3, false, true},
        {{0.95, 0.6, 0.6}, 3, true, false},  {{0.6, 0.6, 0.6, 0.9}, 4, false, true},
        {{2, 2, 2}, 3, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session_rounds rounds = rounds_of(cases[i].accuracies, cases[i].n);
        const size_t best = session_rounds_best(&rounds);
        if (cases[i].failed_adversarial) rounds.list[best].adversarial.has_passed = false;
        cr_expect_eq(session_rounds_are_settled(&rounds, &RULE), cases[i].is_settled, "case %zu",
                     i);
        session_rounds_fini(&rounds);
    }
}

Test(session_rounds, first_and_last_are_those_that_were_tested)
{
    struct session_rounds rounds = rounds_of((const double[]){2, 0.5, 0.6, 2}, 4);
    cr_expect_eq(session_rounds_first(&rounds), 1);
    cr_expect_eq(session_rounds_last(&rounds), 2);
    cr_expect_eq(session_rounds_n_tested(&rounds), 2);
    session_rounds_fini(&rounds);
    cr_expect_eq(session_rounds_first(&rounds), SESSION_NO_ROUND);
    cr_expect_eq(session_rounds_last(&rounds), SESSION_NO_ROUND);
}

Test(session_rounds, there_is_an_end_to_them)
{
    struct session_rounds rounds = {0};
    struct session_round *round;
    for (size_t i = 0; i < SESSION_MAX_ROUNDS; i++)
        cr_assert_eq(session_rounds_add(&rounds, &round, NULL), ST_OK);
    cr_expect_eq(session_rounds_add(&rounds, &round, NULL), ST_TOO_LARGE);
    session_rounds_fini(&rounds);
}

/* --- stages -------------------------------------------------------------------------------- */

Test(session_stages, moves_are_those_of_the_drawing)
{
    static const char *const moves[SESSION_N_MODES][SESSION_N_STAGES] = {
        /* from open, hypothesise, design, experiment, validate, test, distinguish, meanings, done:
         * first letters, done as o and distinguish as i */
        [SESSION_SINGLE_PASS] = {"h t o", "t o", "", "", "", "i o", "m", "o", ""},
        [SESSION_AGENTIC] = {"h t o", "h d t o", "e v", "v", "h t", "i o", "m", "o", ""},
        [SESSION_SCORE_ONLY] = {"t o", "", "", "", "", "i o", "m", "o", ""}};
    static const char letters[] = "?hdevtimo"; /* of the stage moved to; nothing moves to open */
    for (unsigned mode = 0; mode < SESSION_N_MODES; mode++)
        for (unsigned from = 0; from < SESSION_N_STAGES; from++)
            for (unsigned to = 0; to < SESSION_N_STAGES; to++) {
                const bool want = strchr(moves[mode][from], letters[to]) != NULL;
                cr_expect_eq(session_stage_may_move((enum session_mode)mode,
                                                    (enum session_stage)from,
                                                    (enum session_stage)to),
                             want, "%s: %s to %s", session_mode_name((enum session_mode)mode),
                             session_stage_name((enum session_stage)from),
                             session_stage_name((enum session_stage)to));
            }
    cr_expect(!session_stage_may_move(SESSION_AGENTIC, (enum session_stage)SESSION_N_STAGES,
                                      SESSION_DONE));
}
