/* Which of a unit's firing windows a slot keeps: the top_k of largest maximum and the bin_k of
 * smallest key in every reservoir bin, all at once. What evidence_insert_firing() keeps of the same
 * windows one by one (test_capture_select.c), for a fraction of its comparisons. */
#ifndef WORKER_TASKS_CAPTURE_SELECT_H
#define WORKER_TASKS_CAPTURE_SELECT_H

#include "common/evidence.h"
#include "worker/tasks/capture_sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A firing window, in the order of (document, offset). */
struct capture_candidate {
    uint64_t key;
    float max_value; /* > 0 */
    uint32_t bin;    /* evidence_reservoir_bin(max_value) */
    uint32_t run;    /* the caller's */
    bool is_kept;    /* the answer */
};

/* Scratch of the caller's; each has room for as many as there are candidates. */
struct capture_select_room {
    struct capture_hits *hits;
    uint32_t *by_bin;
    uint32_t *chosen;
};

void capture_select(const struct capture_select_room *room, const struct evidence_limits *limits,
                    struct capture_candidate *candidates, size_t n);

#endif
