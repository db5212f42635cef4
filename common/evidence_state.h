/* The merged evidence of one (target, split), for all slots or a range of them.
 *
 * What it holds depends on the set of merged units only, never on their order or grouping. The
 * caller sees to it that no unit is merged twice (settlement is first writer wins by unit
 * number); the state counts units. Bounded by the limits: about 4 kB a slot at the defaults.
 * Used by one thread. */
#ifndef COMMON_EVIDENCE_STATE_H
#define COMMON_EVIDENCE_STATE_H

#include "common/evidence.h"

#include <stddef.h>
#include <stdint.h>

struct evidence_state; /* opaque */

struct evidence_state_params {
    struct evidence_identity identity;
    uint32_t first_slot; /* the state covers [first_slot, first_slot + n_slots) of the target */
    uint32_t n_slots;
    const struct evidence_documents *documents; /* borrowed for the state's life */
};

/* An empty state. Errors: ST_BAD_INPUT, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_state_create(struct evidence_state **out,
                                          const struct evidence_state_params *params,
                                          struct error *err);
void evidence_state_destroy(struct evidence_state **state); /* NULL-safe */

/* Merge a worker's partial (untrusted bytes, not compressed). The whole partial is checked
 * before anything changes; slots outside the state's range are passed over. *unit_number (may
 * be NULL) says which unit it was. Errors: ST_PROTOCOL (version), ST_CORRUPT, ST_CONFLICT
 * (another identity), ST_TOO_LARGE (2^32 tokens), state unchanged; ST_NO_MEMORY: the state may
 * hold half of the partial and must be destroyed. */
MUST_CHECK status_t evidence_state_merge_partial(struct evidence_state *state, const void *bytes,
                                                 size_t n_bytes, uint64_t *unit_number,
                                                 struct error *err);

/* Merge another state of the same identity and slot range, over other units. Errors as above. */
MUST_CHECK status_t evidence_state_merge_state(struct evidence_state *state,
                                               const struct evidence_state *other,
                                               struct error *err);

const struct evidence_identity *evidence_state_identity(const struct evidence_state *state);
uint32_t evidence_state_first_slot(const struct evidence_state *state);
uint32_t evidence_state_n_slots(const struct evidence_state *state);
uint64_t evidence_state_n_units(const struct evidence_state *state);
uint64_t evidence_state_n_tokens(const struct evidence_state *state);
/* Heap bytes held, without the allocator's own. */
size_t evidence_state_memory_bytes(const struct evidence_state *state);

/* Which unit, target and split a partial is of, without reading its records: for settling. */
MUST_CHECK status_t evidence_partial_peek(const void *bytes, size_t n_bytes,
                                          struct evidence_identity *identity, uint64_t *unit_number,
                                          struct error *err);

#endif
