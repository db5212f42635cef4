/* What `budget_dollars` of a sweep means. One rule for every kind of sweep:
 *
 *   left out   10 dollars, the default of the tables in coordinator/intake
 *   a number   so much at most: a call whose worst case does not fit is not sent, the sweep pauses
 *   0          nothing may be spent: it pauses at the first call that costs something. Stored
 *              replies and calls to a provider without prices cost nothing and go on
 *
 * There is no word for "without limit": who wants no limit names a large number. Pure; any
 * thread. */
#ifndef COORDINATOR_PLAN_BUDGET_H
#define COORDINATOR_PLAN_BUDGET_H

#include <stdint.h>

enum { BUDGET_WORDS_SIZE = 128 };

/* As the books count it, never more than was said. `dollars` is 0 to 1e6, as the intake checks. */
int64_t budget_microdollars(double dollars);

/* "0.1 dollars at most, then it pauses", or that nothing may be spent. Returns out. */
char *budget_words(double dollars, char out[BUDGET_WORDS_SIZE]);

#endif
