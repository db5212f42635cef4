#include "coordinator/session/experiments.h"
#include "coordinator/session/prompt_reply_experiments.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct adversarial_rule RULE = {0.055, EXPERIMENT_LEAST_ADVERSARIAL};

/* n texts of a kind, the first n_right of them as predicted. */
static void add(struct experiments *list, enum experiment_kind kind, size_t n, size_t n_right)
{
    for (size_t i = 0; i < n; i++) {
        char text[32];
        const int n_bytes = snprintf(text, sizeof text, "%d-%zu", (int)kind, i);
        cr_assert_eq(experiments_add(list, kind, text, (size_t)n_bytes, NULL), ST_OK);
        list->list[list->n - 1].truth = experiment_kind_predicts_firing(kind) == (i < n_right)
                                            ? EXPERIMENT_FIRED
                                            : EXPERIMENT_STAYED_SILENT;
    }
}

Test(experiments, binomial_tail_is_that_of_fair_coins)
{
    static const struct {
        size_t n, n_right;
        double want;
    } cases[] = {{10, 8, 56.0 / 1024},        {10, 7, 176.0 / 1024},       {10, 0, 1.0},
                 {20, 15, 21700.0 / 1048576}, {20, 14, 60460.0 / 1048576}, {0, 0, 1.0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_float_eq(binomial_upper_tail(cases[i].n, cases[i].n_right), cases[i].want, 1e-12,
                           "case %zu", i);
}

Test(experiments, eight_of_ten_pass_and_seven_do_not)
{
    static const struct {
        size_t n_each, right_fires, right_silent;
        bool has_passed;
    } cases[] = {{5, 4, 4, true},  {5, 5, 3, true},   {5, 4, 3, false},
                 {10, 8, 7, true}, {10, 7, 7, false}, {4, 4, 4, false} /* too few texts */};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct experiments list = {0};
        add(&list, EXPERIMENT_HARD_FIRES, cases[i].n_each, cases[i].right_fires);
        add(&list, EXPERIMENT_HARD_SILENT, cases[i].n_each, cases[i].right_silent);
        const struct adversarial_result result = experiments_adversarial(&list, &RULE);
        cr_expect_eq(result.n, 2 * cases[i].n_each);
        cr_expect_eq(result.has_passed, cases[i].has_passed, "case %zu: p %g", i, result.p);
        experiments_fini(&list);
    }
}

Test(experiments, plain_and_unbalanced_texts_prove_nothing)
{
    struct experiments list = {0};
    add(&list, EXPERIMENT_FIRES, 20, 20);
    add(&list, EXPERIMENT_SILENT, 20, 20);
    add(&list, EXPERIMENT_HARD_SILENT, 40, 40); /* a feature that is silent is silent on them all */
    struct adversarial_result result = experiments_adversarial(&list, &RULE);
    cr_expect(result.n == 0 && !result.has_passed, "nothing is said to fire");
    add(&list, EXPERIMENT_HARD_FIRES, 40, 0);
    result = experiments_adversarial(&list, &RULE);
    cr_expect(result.n == 80 && result.n_right == 40, "a model that is always silent: by chance");
    cr_expect(!result.has_passed);
    experiments_fini(&list);
}

Test(experiments, unknown_and_failed_truths_are_wrong)
{
    struct experiments list = {0};
    add(&list, EXPERIMENT_HARD_FIRES, 5, 5);
    add(&list, EXPERIMENT_HARD_SILENT, 5, 5);
    for (size_t i = 0; i < 3; i++) list.list[4 + i].truth = EXPERIMENT_FAILED;
    list.list[9].truth = EXPERIMENT_UNKNOWN;
    cr_expect_eq(experiments_n_right(&list, EXPERIMENT_N_KINDS), 6);
    cr_expect_eq(experiments_n_right(&list, EXPERIMENT_HARD_FIRES), 4);
    cr_expect(!experiments_adversarial(&list, &RULE).has_passed);
    experiments_fini(&list);
}

/* --- replies ------------------------------------------------------------------------------- */

static status_t parse(const char *reply, const struct session_rounds *earlier,
                      struct experiments *out)
{
    *out = (struct experiments){0};
    return prompt_reply_experiments(reply, strlen(reply), 2, earlier, out, NULL);
}

Test(reply_experiments, four_lists_are_read_in_order)
{
    struct experiments list;
    cr_assert_eq(
        parse("so: {\"hard_silent\": [\"d\"], \"fires\": [\"a\", \"b\"], \"silent\": [\"c\"]}",
              NULL, &list),
        ST_OK);
    static const char *const want[] = {"a", "b", "c", "d"};
    static const enum experiment_kind kinds[] = {EXPERIMENT_FIRES, EXPERIMENT_FIRES,
                                                 EXPERIMENT_SILENT, EXPERIMENT_HARD_SILENT};
    cr_assert_eq(list.n, 4);
    for (size_t i = 0; i < 4; i++) {
        cr_expect_str_eq(list.list[i].text, want[i]);
        cr_expect_eq(list.list[i].kind, kinds[i]);
        cr_expect_eq(list.list[i].truth, EXPERIMENT_UNKNOWN);
    }
    experiments_fini(&list);
}

Test(reply_experiments, texts_become_one_plain_line)
{
    struct experiments list;
    cr_assert_eq(parse("{\"fires\": [\" a <<b>>\\u0001\\n\\u202e c >>\", \"<<>>\", \"\\u001b\"]}",
                       NULL, &list),
                 ST_OK);
    cr_assert_eq(list.n, 1);
    cr_expect_str_eq(list.list[0].text, "a b c");
    cr_expect_eq(list.n_dropped, 2);
    experiments_fini(&list);
}

Test(reply_experiments, the_sign_of_a_line_break_is_one_in_the_text_that_the_model_reads)
{
    struct experiments list;
    cr_assert_eq(parse("{\"fires\": [\"one\\u21b5two \\u21b5\\u21b5\", \"\\u21b5\"],"
                       " \"silent\": [\"\\u21b6\"]}",
                       NULL, &list),
                 ST_OK);
    cr_assert_eq(list.n, 3);
    cr_expect_str_eq(list.list[0].text, "one\ntwo \n\n");
    cr_expect_eq(list.list[0].n_bytes, 10);
    cr_expect_str_eq(list.list[1].text, "\n");
    cr_expect_str_eq(list.list[2].text, "\u21b6");
    experiments_fini(&list);
}

Test(reply_experiments, repeats_and_more_than_wanted_are_dropped_and_counted)
{
    struct session_rounds rounds = {0};
    struct session_round *round;
    struct experiments list;
    cr_assert_eq(session_rounds_add(&rounds, &round, NULL), ST_OK);
    cr_assert_eq(experiments_add(&round->experiments, EXPERIMENT_FIRES, "old", 3, NULL), ST_OK);
    cr_assert_eq(parse("{\"fires\": [\"old\", \"x\", \"x\", 7, null, [], \"y\", \"z\", \"w\"],"
                       " \"hard_fires\": [\"x\"]}",
                       &rounds, &list),
                 ST_OK);
    cr_assert_eq(list.n, 2);
    cr_expect_str_eq(list.list[0].text, "x");
    cr_expect_str_eq(list.list[1].text, "y");
    cr_expect_eq(list.n_dropped, 8);
    experiments_fini(&list);
    session_rounds_fini(&rounds);
}

Test(reply_experiments, replies_without_experiments_are_refused)
{
    static const char *const replies[] = {"",
                                          "Sure, here are some texts.",
                                          "{\"fires\": [\"half",
                                          "{\"label\": \"x\"}",
                                          "[\"a\"]",
                                          "{\"fires\": \"a\"}",
                                          "{\"fires\": []}",
                                          "{\"fires\": [\"\"], \"silent\": [{}]}",
                                          "{\"fires\": [\"a\"], \"silent\": 3}",
                                          "\xFF\xFE"};
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct experiments list;
        cr_expect_eq(parse(replies[i], NULL, &list), ST_BAD_INPUT, "%s", replies[i]);
        experiments_fini(&list);
    }
}
