/* Where a search did not look, in words and numbers. */
#include "coordinator/circuit/search_limits.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct circuit_search_result whole = {
    .n_variants = 900, .pairs = {{.n = 45, .n_tested = 45}, {.n = 1, .n_tested = 1}}};

static const char *text_of(const struct circuit_search_result *found, struct buffer *out)
{
    buffer_init(out, 1 << 16);
    cr_assert_eq(search_limits_text(found, out, NULL), ST_OK);
    return out->n_bytes ? buffer_text(out) : "";
}

/* Sentence `index`, or "". */
static void expect_sentence(const struct circuit_search_result *found, size_t index,
                            const char *want)
{
    json_t *limits = search_limits_json(found);
    struct buffer text;
    const char *got = json_string_value(json_array_get(limits, index));
    cr_expect_str_eq(got ? got : "", want);
    cr_expect(strstr(text_of(found, &text), want), "the report has it too");
    buffer_fini(&text);
    json_decref(limits);
}

Test(search_limits, nothing_is_said_where_all_was_looked_at)
{
    struct buffer text;
    json_t *limits = search_limits_json(&whole);
    cr_expect(json_is_array(limits) && json_array_size(limits) == 0);
    json_decref(limits);
    cr_expect_str_eq(text_of(&whole, &text), "");
    buffer_fini(&text);
}

Test(search_limits, each_bound_is_a_sentence)
{
    struct circuit_search_result found = whole;
    found.is_truncated = true;
    expect_sentence(&found, 0,
                    "the search ended at max_variants, after 900: what comes behind them was not "
                    "measured");
    found.is_truncated = false;
    found.pairs.others = (struct pair_count){.n = 1035, .n_tested = 496};
    expect_sentence(&found, 0,
                    "496 of 1035 pairs of components that nothing else had found were tested, "
                    "those of the largest effects");
    found.pairs.chosen = (struct pair_count){.n = 600, .n_tested = 500};
    expect_sentence(&found, 1,
                    "500 of 600 pairs of members were tested for being one class, those of the "
                    "largest effects");
}

Test(search_limits, pairs_are_numbers)
{
    struct circuit_search_result found = whole;
    json_t *pairs = search_pairs_json(&found);
    const json_t *others = json_object_get(pairs, "others");
    cr_expect_eq(json_integer_value(json_object_get(others, "n_tested")), 45);
    cr_expect_eq(json_integer_value(json_object_get(others, "n")), 45);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(pairs, "chosen"), "n")), 1);
    json_decref(pairs);
    found.pairs = (struct node_search_pairs){.others = {0}};
    pairs = search_pairs_json(&found);
    cr_expect(json_is_null(pairs), "no search, or one of single components");
    json_decref(pairs);
}
