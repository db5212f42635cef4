/* Which windows of a unit hold a token type, and how often the unit has it: finds near misses. */
#ifndef WORKER_TASKS_CAPTURE_TOKEN_INDEX_H
#define WORKER_TASKS_CAPTURE_TOKEN_INDEX_H

#include "common/capture_unit.h"
#include "worker/tasks/capture_windows.h"

#include <stdint.h>

/* One token type: its windows are window[first .. first + n_windows), ascending. */
struct capture_token {
    uint32_t token;
    uint32_t first, n_windows;
    uint32_t n_occurrences; /* in all segments */
};

/* Embedded; zero it before the first build. */
struct capture_token_index {
    struct capture_token *item; /* [n], by token */
    uint32_t *window;           /* place in capture_windows */
    uint64_t *sorting;          /* [capacity], scratch */
    uint32_t n, capacity;
};

/* Index the tokens of the cut unit, reusing memory. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t capture_token_index_build(struct capture_token_index *index,
                                              const struct capture_unit *unit,
                                              const struct capture_windows *windows,
                                              struct error *err);
void capture_token_index_fini(struct capture_token_index *index);

/* The entry of a token type, NULL if the unit does not have it. */
const struct capture_token *capture_token_index_find(const struct capture_token_index *index,
                                                     uint32_t token);

#endif
