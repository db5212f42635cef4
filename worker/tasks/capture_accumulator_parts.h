/* The inside of a capture accumulator, shared by the files that make up its steps. */
#ifndef WORKER_TASKS_CAPTURE_ACCUMULATOR_PARTS_H
#define WORKER_TASKS_CAPTURE_ACCUMULATOR_PARTS_H

#include "common/evidence_record.h"
#include "kernels/backend.h"
#include "kernels/cpu/vector.h"
#include "worker/tasks/capture_accumulator.h"
#include "worker/tasks/capture_sample.h"
#include "worker/tasks/capture_select.h"
#include "worker/tasks/capture_tally.h"
#include "worker/tasks/capture_token_index.h"
#include "worker/tasks/capture_windows.h"

/* One value > 0, as grouped by slot. */
struct capture_activation {
    uint32_t place; /* capture_place() */
    float value;
};

/* Window (in windows.item) and position within it, in one number. */
enum { CAPTURE_POSITION_BITS = 10 };
_Static_assert(EVIDENCE_MAX_WINDOW_TOKENS <= 1 << CAPTURE_POSITION_BITS &&
                   EVIDENCE_MAX_UNIT_TOKENS <= 1 << (32 - CAPTURE_POSITION_BITS),
               "a place has 32 bits");

static inline uint32_t capture_place(uint32_t window, uint32_t position)
{
    return window << CAPTURE_POSITION_BITS | position;
}

static inline uint32_t capture_place_window(uint32_t place)
{
    return place >> CAPTURE_POSITION_BITS;
}

static inline uint32_t capture_place_position(uint32_t place)
{
    return place & ((1u << CAPTURE_POSITION_BITS) - 1);
}

/* The activations of one slot in one window: grouped[first .. the next run's first). */
struct capture_run {
    uint32_t window;
    uint32_t first;
    float max_value;
};

/* What is asked of a device, and what it gave. */
struct capture_digest {
    struct digest_window *windows; /* [window_capacity] */
    size_t window_capacity;
    struct digest_cut *cut; /* [identity.n_slots], NULL before the first thresholds */
    uint8_t *limits;        /* [identity.n_slots, EVIDENCE_RESERVOIR_BINS], likewise */
    struct digest_cuts cuts;
    const struct digest *taken; /* borrowed from take to finish; NULL: rows are added */
    const uint32_t *words;      /* of it, the next ones to read */
    const uint16_t *positions;
    const float *values;
};

struct capture_accumulator {
    struct evidence_identity identity;
    const struct evidence_frozen *frozen;         /* borrowed, may be NULL */
    const struct capture_unit *unit;              /* borrowed from begin to finish */
    const struct evidence_thresholds *thresholds; /* likewise, may be NULL */
    const struct vector_kernels *kernels;
    struct capture_windows windows;
    struct capture_token_index tokens; /* built where something is frozen */

    size_t n_added_tokens;
    size_t *token_start; /* [token_capacity + 1], in slot[] and value[] */
    size_t token_capacity;
    uint32_t *slot; /* [activation_capacity], by token */
    float *value;   /* [activation_capacity] */
    size_t activation_capacity;
    struct capture_activation *grouped; /* [activation_capacity], by slot, window, position */
    /* [identity.n_slots]: slot s has grouped[slot_start[s] .. slot_end[s]); while tokens are added,
     * slot_end counts their values */
    uint32_t *slot_start, *slot_end;

    /* scratch of one slot, sized for the unit's windows and one more, in whole blocks */
    size_t window_capacity;
    struct capture_run *runs; /* [n_runs + 1] */
    size_t n_runs;
    bool *is_out;    /* by window: fires, or is too short to be kept */
    bool *is_marked; /* by window */
    uint64_t *key;   /* by window: evidence_key() for the slot */
    uint64_t *below; /* a bit by window: its key is small enough */
    struct capture_hits hits;
    struct capture_candidate *candidates; /* windows that can be kept, in which the slot fires */
    size_t n_candidates;
    uint32_t last_document;    /* last in which the slot fires, in the table; CAPTURE_NO_PLACE */
    uint32_t *by_bin, *chosen; /* of capture_select() */
    struct capture_tally tally;
    struct evidence_record *record;
    struct capture_digest digest;
};

/* Group the unit's activations by slot. Errors: ST_BAD_INPUT (tokens are missing). */
MUST_CHECK status_t capture_group_by_slot(struct capture_accumulator *accumulator,
                                          struct error *err);

/* Fill accumulator->record with everything about `slot`. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t capture_slot_record(struct capture_accumulator *accumulator, uint32_t slot,
                                        struct error *err);

/* The same of the digest that was taken, slot after slot from the first. */
MUST_CHECK status_t capture_slot_digest(struct capture_accumulator *accumulator, uint32_t slot,
                                        struct error *err);
void capture_digest_fini(struct capture_digest *digest); /* safe on zeroed */

/* record->document from hits and last_document. */
void capture_slot_documents(struct capture_accumulator *accumulator);

/* The slot's windows without firing: what capture_slot_record() asks for, after it has computed
 * n_candidates and is_out. Sets accumulator->key. */
void capture_slot_silent(struct capture_accumulator *accumulator, uint32_t slot,
                         const struct evidence_cuts *cuts);
/* Those that hold a hard token, or in which a neighbour fires; something must be frozen. */
void capture_slot_near_misses(struct capture_accumulator *accumulator, uint32_t slot,
                              const struct evidence_cuts *cuts);
void capture_slot_neighbours(struct capture_accumulator *accumulator, uint32_t slot,
                             const struct evidence_cuts *cuts);

#endif
