#include "coordinator/dispatch/log_budget.h"

bool log_budget_take(struct log_budget *budget, int64_t now_ms, uint64_t *n_dropped)
{
    if (budget->n_lines == 0 || now_ms - budget->since_ms >= LOG_BUDGET_MS) {
        budget->since_ms = now_ms;
        budget->n_lines = 0;
    }
    if (budget->n_lines == LOG_BUDGET_LINES) {
        budget->n_dropped++;
        return false;
    }
    budget->n_lines++;
    *n_dropped = budget->n_dropped;
    budget->n_dropped = 0;
    return true;
}
