/* What the heads of a model look at (common/head_scores.h), for readers of a circuit: as JSON, as
 * notes of a drawing, as lines of a report.
 *
 * Told are the shares of attention: S over the tokens that could attend so, 1 where every one does
 * wholly. A head is in a circuit because ablating it changes the metric, never for what it looks
 * at: the report names heads that look like members and are none.
 *
 * Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_HEAD_REPORT_H
#define COORDINATOR_CIRCUIT_HEAD_REPORT_H

#include "common/head_scores.h"
#include "coordinator/circuit/circuit_dot.h"

#include <jansson.h>

enum { HEAD_REPORT_MAX_OTHERS = 10 }; /* heads outside the circuit that a text names */

/* The sequences that the scores are of: [BOS] r1 .. rk r1 .. rk, random words, each once a copy. */
struct head_sequences {
    uint32_t n, n_words;
    uint64_t seed;
};

/* {"sequences": {"n", "n_words", "seed"}, "n_queries": {pattern: n},
 *  "heads": [{"component": "L0H3", pattern: {"attention", "mul", "abs"} (or null)}...]}; the caller
 * owns it. NULL without memory. */
json_t *head_report_json(const struct head_scores *scores, const struct head_sequences *sequences);

/* {pattern: share (or null)} of one component; null where it is no head. NULL without memory. */
json_t *head_report_shares(const struct head_scores *scores, const struct component *component);

/* Notes of a drawing: what each head attends to most, as "induction 0.93"; none where that is below
 * a tenth. They borrow `scores`. */
struct circuit_notes head_report_notes(const struct head_scores *scores);

/* Append the table of a circuit's heads, then of those outside it that attend as much as half to
 * one pattern. Errors: ST_TOO_LARGE, ST_NO_MEMORY; then nothing is appended. */
MUST_CHECK status_t head_report_text(const struct head_scores *scores,
                                     const struct head_sequences *sequences,
                                     const struct circuit *circuit, struct buffer *out,
                                     struct error *err);

#endif
