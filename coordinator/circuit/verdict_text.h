/* A verdict for a terminal, at most 80 columns: what was measured under zero (marked
 * off-distribution), mean and resample side by side, the members, and the outcome with every
 * reason and threshold. A cell that is too long goes on below. Undefined is written so ("no search"
 * of a curve that nothing ordered), what was not measured is "-"; control characters in names and
 * roles become '?'. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_VERDICT_TEXT_H
#define COORDINATOR_CIRCUIT_VERDICT_TEXT_H

#include "coordinator/circuit/circuit_verdict.h"

enum { VERDICT_TEXT_COLUMNS = 80, VERDICT_TEXT_MAX_MEMBERS = 40 };

/* Append the report of the circuit that was judged. Members beyond VERDICT_TEXT_MAX_MEMBERS are
 * counted. Errors: ST_TOO_LARGE, ST_NO_MEMORY; then nothing is appended. */
MUST_CHECK status_t verdict_text_write(const struct circuit_verdict *verdict,
                                       const struct circuit *circuit, struct buffer *out,
                                       struct error *err);

#endif
