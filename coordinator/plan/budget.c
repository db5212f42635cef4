#include "coordinator/plan/budget.h"

#include <stdio.h>

static const double MICRO = 1e6;
static const double SPELLING = 1e-3; /* microdollars: 0.29 * 1e6 is 289999.99999999994 */

int64_t budget_microdollars(double dollars)
{
    return (int64_t)(dollars * MICRO + SPELLING);
}

char *budget_words(double dollars, char out[BUDGET_WORDS_SIZE])
{
    if (budget_microdollars(dollars) > 0)
        (void)snprintf(out, BUDGET_WORDS_SIZE, "%.10g dollars at most, then it pauses", dollars);
    else
        (void)snprintf(out, BUDGET_WORDS_SIZE,
                       "%.10g dollars: nothing may be spent, it pauses at a call that costs "
                       "something",
                       dollars);
    return out;
}
