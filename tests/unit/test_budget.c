/* What a sweep may spend. */
#include "coordinator/plan/budget.h"

#include <criterion/criterion.h>
#include <string.h>

Test(budget, is_never_more_than_was_said)
{
    static const struct {
        double dollars;
        int64_t want;
    } cases[] = {{0.0, 0},  {10.0, 10000000}, {0.1, 100000},        {0.29, 290000},
                 {1e-6, 1}, {0.0000019, 1},   {1e6, 1000000000000}, {0.000001, 1},
                 {1e-7, 0}, {2.675, 2675000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(budget_microdollars(cases[i].dollars), cases[i].want, "%g dollars: %lld",
                     cases[i].dollars, (long long)budget_microdollars(cases[i].dollars));
}

Test(budget, of_nothing_is_said_in_words)
{
    char words[BUDGET_WORDS_SIZE];
    cr_expect_str_eq(budget_words(0.004, words), "0.004 dollars at most, then it pauses");
    cr_expect_str_eq(budget_words(10000, words), "10000 dollars at most, then it pauses");
    cr_expect(strstr(budget_words(0, words), "0 dollars: nothing may be spent") == words, "%s",
              words);
    cr_expect(strstr(budget_words(1e-7, words), "nothing may be spent"), "%s", words);
}
