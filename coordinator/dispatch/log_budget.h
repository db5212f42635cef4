/* Log lines that strangers can cause, rate-limited: a handful in ten seconds, the rest counted.
 * Each belongs to one thread. */
#ifndef COORDINATOR_DISPATCH_LOG_BUDGET_H
#define COORDINATOR_DISPATCH_LOG_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_BUDGET_LINES = 10, LOG_BUDGET_MS = 10000 };

struct log_budget { /* zeroed: fresh */
    int64_t since_ms;
    unsigned n_lines;
    uint64_t n_dropped;
};

/* May a line be written now? Then *n_dropped is how many were not since the last one. */
bool log_budget_take(struct log_budget *budget, int64_t now_ms, uint64_t *n_dropped);

#endif
