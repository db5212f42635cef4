#include "coordinator/cli/compare_pairs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void add(struct compare_rows *rows, int feature, const char *label, double score,
                bool is_supported, const char *dictionary)
{
    struct error err = {0};
    json_t *record =
        json_pack("{s:i, s:s, s:s?, s:b, s:{s:s, s:s, s:s}, s:{s:{s:{s:f}}}}", "feature", feature,
                  "status", feature % 2 ? "token" : "open", "label", label, "supported",
                  (int)is_supported, "target", "model", "m", "hook_point", "h", "dictionary",
                  dictionary, "scores", "detection", "random", "balanced_accuracy", score);
    cr_assert_not_null(record);
    cr_assert_eq(compare_rows_add(rows, record, 0, &err), ST_OK, "%s", err.text);
    json_decref(record);
}

/* n_lost features are supported by the first alone, n_gained by the second alone. */
static struct compare_summary summary_of(int n_both, int n_lost, int n_gained, double difference)
{
    struct compare_rows first = {0}, second = {0};
    struct compare_pairs pairs;
    struct compare_summary summary;
    struct error err = {0};
    const int n = n_both + n_lost + n_gained;
    for (int i = 0; i < n; i++) {
        add(&first, i, "a", 0.5, i < n_both + n_lost, "d");
        add(&second, i, i < n_both ? "a" : "b", 0.5 + difference,
            i < n_both || i >= n_both + n_lost, "d");
    }
    cr_assert_eq(compare_pairs_make(&pairs, &first, &second, &err), ST_OK, "%s", err.text);
    cr_assert_eq(compare_summarise(&pairs, COMPARE_ALL_STATUSES, 0, &summary, &err), ST_OK);
    compare_pairs_fini(&pairs);
    compare_rows_fini(&first);
    compare_rows_fini(&second);
    return summary;
}

/* Closed form: 2 (C(n,0) + ... + C(n,few)) / 2^n. */
Test(cli_compare, mcnemar_is_exact_and_two_sided)
{
    static const struct {
        int n_lost, n_gained;
        double p;
    } cases[] = {{0, 0, 1}, {0, 5, 2.0 / 32}, {1, 8, 2 * 10.0 / 512}, {8, 1, 2 * 10.0 / 512},
                 {3, 3, 1}, {2, 3, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct compare_summary summary =
            summary_of(4, cases[i].n_lost, cases[i].n_gained, 0.25);
        cr_expect_float_eq(summary.mcnemar_p, cases[i].p, 1e-12, "case %zu: %g", i,
                           summary.mcnemar_p);
        cr_expect(summary.n_both == 4 && summary.n_lost == (size_t)cases[i].n_lost &&
                  summary.n_gained == (size_t)cases[i].n_gained);
        cr_expect_eq(summary.n_changed, (size_t)(cases[i].n_lost + cases[i].n_gained));
    }
}

Test(cli_compare, equal_differences_have_an_interval_without_width)
{
    const struct compare_summary summary = summary_of(3, 2, 2, 0.25);
    cr_expect_eq(summary.scores[0].n, 7);
    cr_expect_float_eq(summary.scores[0].mean, 0.25, 1e-12);
    cr_expect(summary.scores[0].interval.is_defined);
    cr_expect_float_eq(summary.scores[0].interval.low, 0.25, 1e-12);
    cr_expect_float_eq(summary.scores[0].interval.high, 0.25, 1e-12);
    cr_expect_eq(summary.scores[2].n, 0, "fuzzing was not measured");
    const struct compare_summary one = summary_of(1, 0, 0, 0.25);
    cr_expect_not(one.scores[0].interval.is_defined, "one feature has no interval");
}

Test(cli_compare, pairs_are_of_the_same_feature_and_the_rest_is_counted)
{
    struct compare_rows first = {0}, second = {0};
    struct compare_pairs pairs;
    struct compare_summary open;
    struct error err = {0};
    add(&first, 1, "a", 0.5, false, "d");
    add(&first, 2, "b", 0.6, false, "d");
    add(&first, 4, NULL, 0.7, false, "d");
    add(&second, 2, "b", 0.9, true, "d");
    add(&second, 4, "new", 0.7, false, "d");
    add(&second, 5, "e", 0.7, false, "d");
    cr_assert_eq(compare_pairs_make(&pairs, &first, &second, &err), ST_OK, "%s", err.text);
    cr_expect(pairs.n == 2 && pairs.n_only_first == 1 && pairs.n_only_second == 1);
    cr_expect_not(compare_pair_changed(&pairs.list[0]));
    cr_expect(compare_pair_changed(&pairs.list[1]), "a label where there was none");
    cr_expect_float_eq(compare_pair_difference(&pairs.list[0], 0), 0.3, 1e-12);
    cr_assert_eq(compare_summarise(&pairs, 1000, 0, &open, &err), ST_OK);
    cr_expect_eq(open.n, 0, "no feature has that status");
    compare_pairs_fini(&pairs);
    compare_rows_fini(&first);
    compare_rows_fini(&second);
}

Test(cli_compare, another_dictionary_and_nothing_in_common_are_refused)
{
    struct compare_rows first = {0}, other = {0}, apart = {0};
    struct compare_pairs pairs;
    struct error err = {0};
    add(&first, 1, "a", 0.5, false, "d");
    add(&other, 1, "a", 0.5, false, "another");
    add(&apart, 2, "a", 0.5, false, "d");
    cr_expect_eq(compare_pairs_make(&pairs, &first, &other, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "target 0 has the dictionary d in one and another in the other"),
              "%s", err.text);
    err = (struct error){0};
    cr_expect_eq(compare_pairs_make(&pairs, &first, &apart, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "no feature in common"), "%s", err.text);
    compare_rows_fini(&first);
    compare_rows_fini(&other);
    compare_rows_fini(&apart);
}
