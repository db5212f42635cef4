/* The inside of a capture accumulator, shared by the files that make up its steps. */
#ifndef WORKER_TASKS_CAPTURE_ACCUMULATOR_PARTS_H
#define WORKER_TASKS_CAPTURE_ACCUMULATOR_PARTS_H

#include "common/evidence_record.h"
#include "common/evidence_select.h"
#include "worker/tasks/capture_accumulator.h"
#include "worker/tasks/capture_sample.h"
#include "worker/tasks/capture_token_index.h"
#include "worker/tasks/capture_windows.h"

/* One value > 0, as grouped by slot. */
struct capture_activation {
    uint32_t window;   /* place in windows.item */
    uint32_t position; /* within the window */
    float value;
};

/* The activations of one slot in one window. */
struct capture_run {
    uint32_t window;
    uint32_t first, n; /* in the grouped activations */
    float max_value;
    bool is_firing; /* maximum above the slot's threshold */
    bool is_kept;
};

struct capture_accumulator {
    struct evidence_identity identity;
    const struct evidence_frozen *frozen;         /* borrowed, may be NULL */
    const struct capture_unit *unit;              /* borrowed from begin to finish */
    const struct evidence_thresholds *thresholds; /* likewise, may be NULL */
    struct capture_windows windows;
    struct capture_token_index tokens; /* built where something is frozen */

    size_t n_added_tokens;
    size_t *token_start; /* [token_capacity + 1], in slot[] and value[] */
    size_t token_capacity;
    uint32_t *slot; /* [activation_capacity], by token */
    float *value;   /* [activation_capacity] */
    size_t activation_capacity;
    struct capture_activation *grouped; /* [activation_capacity], by slot, window, position */
    size_t *slot_start;                 /* [identity.n_slots + 2] */

    /* scratch of one slot, sized for the unit's windows */
    size_t window_capacity;
    struct capture_run *runs;
    bool *is_firing; /* by window */
    bool *is_marked; /* by window */
    struct capture_hits hits;
    struct evidence_firing *firing; /* [EVIDENCE_MAX_FIRING + 1] */
    struct evidence_record *record;
};

/* Group the unit's activations by slot: slot s has grouped[slot_start[s] .. slot_start[s + 1]). */
MUST_CHECK status_t capture_group_by_slot(struct capture_accumulator *accumulator,
                                          struct error *err);

/* Fill accumulator->record with everything about `slot`. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t capture_slot_record(struct capture_accumulator *accumulator, uint32_t slot,
                                        struct error *err);

#endif
