/* A submission under a client key that has made a sweep: is it that sweep's? A client that did not
 * hear the answer sends the same file again and is told the sweep it made. Another file under the
 * same key is a mistake, and whoever sent it would wait for results of something else.
 *
 * Compared are the keys that a user sets, but for the budget, which may be set anew while a sweep
 * runs; and by content the files that a sweep brings, where they can still be read. Loop
 * thread only. */
#ifndef COORDINATOR_SWEEP_REPEATED_H
#define COORDINATOR_SWEEP_REPEATED_H

#include "coordinator/sweep/sweep.h"

/* Errors: ST_CONFLICT, with the key or file that differs; ST_NO_MEMORY. */
MUST_CHECK status_t repeated_check(const struct sweep_spec *spec, const struct sweep *made,
                                   struct error *err);

#endif
