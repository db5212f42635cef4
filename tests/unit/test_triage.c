#include "coordinator/session/triage.h"

#include <criterion/criterion.h>

static const struct triage_input OPEN = {.n_tokens = 100000,
                                         .n_firing_tokens = 500,
                                         .n_test_documents = 40,
                                         .position_f1 = 0.2,
                                         .token_f1 = 0.4};

Test(triage, first_status_that_holds_wins)
{
    const struct triage_thresholds thresholds = triage_thresholds_default();
    static const struct {
        const char *name;
        struct triage_input input;
        enum feature_status want;
    } cases[] = {
        {"nothing special", {100000, 500, 40, 0.2, 0.4}, FEATURE_OPEN},
        {"never fired", {100000, 0, 0, 0, 0}, FEATURE_DEAD},
        {"no tokens at all", {0, 0, 0, 0, 0}, FEATURE_DEAD},
        {"19 test documents", {100000, 500, 19, 0.2, 0.4}, FEATURE_INSUFFICIENT},
        {"20 test documents", {100000, 500, 20, 0.2, 0.4}, FEATURE_OPEN},
        {"half of the tokens is not dense", {1000, 500, 40, 0.2, 0.4}, FEATURE_OPEN},
        {"more than half is", {1000, 501, 40, 0.2, 0.4}, FEATURE_DENSE},
        {"position", {100000, 500, 40, 0.9, 0.4}, FEATURE_POSITION},
        {"token", {100000, 500, 40, 0.89, 0.9}, FEATURE_TOKEN},
        {"position before token", {100000, 500, 40, 0.95, 1.0}, FEATURE_POSITION},
        {"dense before position", {1000, 900, 40, 0.95, 1.0}, FEATURE_DENSE},
        {"insufficient before every claim", {1000, 900, 3, 0.95, 1.0}, FEATURE_INSUFFICIENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(triage(&cases[i].input, &thresholds), cases[i].want, "%s: %s", cases[i].name,
                     feature_status_name(triage(&cases[i].input, &thresholds)));
}

Test(triage, thresholds_decide)
{
    struct triage_thresholds thresholds = triage_thresholds_default();
    thresholds.min_test_documents = 41;
    cr_expect_eq(triage(&OPEN, &thresholds), FEATURE_INSUFFICIENT);
    thresholds = triage_thresholds_default();
    thresholds.token_f1 = 0.4;
    cr_expect_eq(triage(&OPEN, &thresholds), FEATURE_TOKEN);
    thresholds.dense_share = 1.5;
    struct error err = {0};
    cr_expect_eq(triage_thresholds_check(&thresholds, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "triage: dense_share is 1.5, not a share of 0 to 1");
}

Test(triage, names_make_the_round_trip_and_only_open_and_token_can_be_supported)
{
    static const bool supported[] = {false, false, false, false, true, true};
    static const bool scored[] = {false, false, true, true, true, true};
    for (unsigned i = 0; i < FEATURE_N_STATUSES; i++) {
        enum feature_status back = FEATURE_DEAD;
        cr_assert(feature_status_parse(feature_status_name((enum feature_status)i), &back));
        cr_expect_eq(back, i);
        cr_expect_eq(feature_status_can_be_supported((enum feature_status)i), supported[i]);
        cr_expect_eq(feature_status_claims_score((enum feature_status)i), scored[i]);
    }
    enum feature_status untouched = FEATURE_TOKEN;
    cr_expect(!feature_status_parse("labelled", &untouched));
    cr_expect_eq(untouched, FEATURE_TOKEN);
}
