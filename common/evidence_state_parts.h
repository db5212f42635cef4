/* The inside of a merged state, for the files that read or fill it (state, block, thresholds,
 * view, freeze). Everyone else sees evidence_state.h. */
#ifndef COMMON_EVIDENCE_STATE_PARTS_H
#define COMMON_EVIDENCE_STATE_PARTS_H

#include "common/evidence_slot.h"
#include "common/evidence_state.h"

struct evidence_state {
    struct evidence_state_params params;
    uint64_t n_units;
    uint32_t n_tokens;
    uint32_t position_tokens[EVIDENCE_POSITION_BUCKETS]; /* of n_tokens, if counted */
    struct evidence_slot *slots;                         /* [params.n_slots], owned */
};

/* Merge the records of an open reader into the slots that the state covers: all are decoded
 * once before the first change. Totals are the caller's. */
MUST_CHECK status_t evidence_state_merge_records(struct evidence_state *state,
                                                 struct evidence_reader *reader, struct error *err);

/* The slot of absolute number `slot`, NULL if not covered. */
const struct evidence_slot *evidence_state_slot(const struct evidence_state *state, uint32_t slot);

#endif
