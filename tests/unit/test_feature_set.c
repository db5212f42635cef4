#include "coordinator/plan/feature_set.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_features(const char *text, uint32_t n_features, const uint32_t *want, size_t n)
{
    struct feature_set set = {0};
    struct error err = {.status = ST_OK};
    cr_assert_eq(feature_set_init(&set, text, n_features, 0, 0, &err), ST_OK, "%s", err.text);
    cr_assert_eq(set.n, n, "%s: %zu features", text ? text : "NULL", set.n);
    cr_expect_eq(memcmp(set.features, want, n * sizeof *want), 0, "%s", text ? text : "NULL");
    feature_set_fini(&set);
}

Test(feature_set, lists_are_sorted_and_merged)
{
    const uint32_t all[] = {0, 1, 2, 3};
    const uint32_t some[] = {0, 2, 3, 4, 9};
    expect_features("all", 4, all, 4);
    expect_features(NULL, 4, all, 4);
    expect_features("9, 2-4,3,0", 10, some, 5);
}

Test(feature_set, a_feature_is_found_where_it_is)
{
    struct feature_set set = {0}, none = {0};
    struct error err = {.status = ST_OK};
    cr_assert_eq(feature_set_init(&set, "9,2-4,0", 10, 0, 0, &err), ST_OK, "%s", err.text);
    for (uint32_t feature = 0; feature < 12; feature++) {
        size_t position, want = 0;
        while (want < set.n && set.features[want] != feature) want++;
        cr_expect_eq(feature_set_find(&set, feature, &position), want < set.n, "%u", feature);
        if (want < set.n) cr_expect_eq(position, want, "%u", feature);
        cr_expect_not(feature_set_find(&none, feature, &position));
    }
    feature_set_fini(&set);
}

Test(feature_set, what_does_not_exist_is_named)
{
    struct feature_set set = {0};
    struct error err = {.status = ST_OK};
    cr_expect_eq(feature_set_init(&set, "0-9,100", 100, 0, 0, &err), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "of 100 features (0-99): feature 100 does not exist");
}

Test(feature_set, bad_grammar_is_refused)
{
    static const char *const cases[] = {"",
                                        ",",
                                        "1,",
                                        "1-",
                                        "-1",
                                        "1--2",
                                        "5-2",
                                        "1;2",
                                        "a",
                                        "1048576",
                                        "99999999999999999999",
                                        "1 2",
                                        "all,1"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {.status = ST_OK};
        cr_expect_eq(feature_set_check(cases[i], &err), ST_BAD_INPUT, "'%s'", cases[i]);
    }
}

Test(feature_set, samples_are_seeded_nested_and_of_the_asked_size)
{
    struct feature_set small = {0}, large = {0}, other = {0};
    size_t n_common = 0;
    struct error err = {.status = ST_OK};
    cr_assert_eq(feature_set_init(&small, "all", 16384, 100, 7, &err), ST_OK);
    cr_assert_eq(feature_set_init(&large, "all", 16384, 200, 7, &err), ST_OK);
    cr_assert_eq(feature_set_init(&other, "all", 16384, 100, 8, &err), ST_OK);
    cr_assert_eq(small.n, 100);
    cr_assert_eq(large.n, 200);
    for (size_t i = 0, j = 0; i < large.n; i++)
        if (j < small.n && large.features[i] == small.features[j]) j++, n_common++;
    cr_expect_eq(n_common, 100, "a larger sample contains the smaller");
    cr_expect_neq(memcmp(small.features, other.features, 100 * sizeof *small.features), 0);
    for (size_t i = 1; i < large.n; i++) cr_expect_lt(large.features[i - 1], large.features[i]);
    feature_set_fini(&small);
    feature_set_fini(&large);
    feature_set_fini(&other);
}

Test(feature_set, a_sample_larger_than_the_list_is_the_list)
{
    struct feature_set set = {0};
    struct error err = {.status = ST_OK};
    cr_assert_eq(feature_set_init(&set, "5-7", 100, 50, 1, &err), ST_OK);
    cr_expect_eq(set.n, 3);
    feature_set_fini(&set);
}
