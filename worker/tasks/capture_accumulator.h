/* From the sparse activations of one unit to its evidence partial, for one target.
 *
 *   begin(unit) -> add(tokens' activations) ...  -> finish() -> bytes
 *               -> ask_digest(), take_digest()  ->          the same bytes
 *
 * Bounded: holds the unit's activations (16 bytes each): copied and counted by slot while they
 * are added, then sorted by slot (a counting sort), so that each slot is looked at once, with all
 * of its scratch in the first cache. Only what can enter a slot's top or one of its bins or
 * samples is written. Silent windows are found by a scan of n_slots x n_windows hashes, which is
 * the one vector loop here (kernels/cpu/vector.h). One accumulator per target and thread; it
 * keeps its scratch between units. What it costs: worker/README.md. */
#ifndef WORKER_TASKS_CAPTURE_ACCUMULATOR_H
#define WORKER_TASKS_CAPTURE_ACCUMULATOR_H

#include "common/buffer.h"
#include "common/capture_unit.h"
#include "common/error.h"
#include "common/evidence.h"
#include "common/evidence_frozen.h"
#include "common/evidence_thresholds.h"
#include "kernels/backend.h"
#include "kernels/sparse_rows.h"

#include <stdbool.h>
#include <stddef.h>

struct capture_accumulator; /* opaque */

/* `identity` is copied: target, slots, limits, split and the key of `frozen` (checked).
 * `frozen` is borrowed for the accumulator's life; NULL while nothing is frozen (every value
 * > 0 fires, no hard tokens). Errors: ST_BAD_INPUT, ST_CONFLICT (frozen_key), ST_NO_MEMORY. */
MUST_CHECK status_t capture_accumulator_create(struct capture_accumulator **out,
                                               const struct evidence_identity *identity,
                                               const struct evidence_frozen *frozen,
                                               struct error *err);
void capture_accumulator_destroy(struct capture_accumulator **accumulator); /* NULL-safe */

/* Start a unit (its split must be the identity's), forgetting an unfinished one. `unit` and its
 * arrays are borrowed until finish. `thresholds` (borrowed likewise, may be NULL) says what can
 * still survive; stale ones only cost bytes. Errors: ST_BAD_INPUT, ST_CONFLICT (thresholds of
 * another target or split), ST_NO_MEMORY. */
MUST_CHECK status_t capture_accumulator_begin(struct capture_accumulator *accumulator,
                                              const struct capture_unit *unit,
                                              const struct evidence_thresholds *thresholds,
                                              struct error *err);

/* The activations of the next rows->n_rows tokens of the unit, in the order of unit->tokens
 * (row by row); rows->feature are slots. Values <= 0 are skipped. Copied. Errors: ST_BAD_INPUT
 * (slot out of range or not ascending, NaN or infinity: the unit must begin again; more tokens
 * than the unit has), ST_NO_MEMORY. */
MUST_CHECK status_t capture_accumulator_add(struct capture_accumulator *accumulator,
                                            const struct sparse_rows *rows, struct error *err);

/* Instead of adding rows, where a device makes the digest of a unit (backend.h): true of the unit
 * that has begun if nothing is frozen, no positions are counted and its windows are at most
 * capture_digest_windows(). */
bool capture_accumulator_can_digest(const struct capture_accumulator *accumulator);
/* Windows that a unit of n_tokens has room for: twice as many as uncut documents would have. */
size_t capture_digest_windows(const struct evidence_limits *limits, size_t n_tokens);
/* What to ask for: *out but for x, which the caller fills in; borrowed until the next begin.
 * thresholds_number (not 0 where there are thresholds) stands for what they say: the same number is
 * never given to others. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t capture_accumulator_ask_digest(struct capture_accumulator *accumulator,
                                                   uint64_t thresholds_number,
                                                   struct digest_params *out, struct error *err);
/* The unit's digest, which is borrowed until finish. Errors: ST_BAD_INPUT (it is over, or of other
 * slots). */
MUST_CHECK status_t capture_accumulator_take_digest(struct capture_accumulator *accumulator,
                                                    const struct digest *digest, struct error *err);

/* Append the unit's partial (EVIDENCE.md, not compressed) to `out`, whose cap should be
 * EVIDENCE_MAX_PARTIAL_BYTES. All tokens must have been added, or a digest taken. Errors:
 * ST_BAD_INPUT, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t capture_accumulator_finish(struct capture_accumulator *accumulator,
                                               struct buffer *out, struct error *err);

#endif
