/* The windows of a capture unit: every segment cut at multiples of window_tokens from its start,
 * ordered by (document, offset), with what the accumulator asks of each of them. */
#ifndef WORKER_TASKS_CAPTURE_WINDOWS_H
#define WORKER_TASKS_CAPTURE_WINDOWS_H

#include "common/capture_unit.h"
#include "common/evidence_message.h"
#include "kernels/cpu/vector.h"

#include <stdint.h>

#define CAPTURE_NO_PLACE UINT32_MAX

struct capture_window {
    uint64_t number;         /* evidence_window_number() */
    uint32_t first_token;    /* in unit->tokens */
    uint32_t first_position; /* in its row */
    uint32_t document_place; /* in the table's documents */
    uint32_t table_place;    /* in the table's windows; CAPTURE_NO_PLACE if too short to be kept */
    struct evidence_window window;
};

/* Embedded; zero it before the first cut, fini it at the end. */
struct capture_windows {
    struct capture_window *item; /* [n] */
    uint32_t n, capacity;
    uint64_t *number;          /* [n], those of item[], and 0 up to a whole WINDOW_KEY_BLOCK */
    uint64_t *document_number; /* [table.n_documents], evidence_document_number() */
    uint32_t document_capacity;
    uint64_t documents_check;
    uint32_t n_tokens;                    /* in segments */
    struct evidence_bin_counts positions; /* those by position bucket */
    struct evidence_table table;          /* windows long enough to be kept */
};

/* Cut a checked unit, reusing the memory of the last one. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t capture_windows_cut(struct capture_windows *windows,
                                        const struct capture_unit *unit,
                                        const struct evidence_limits *limits, struct error *err);
void capture_windows_fini(struct capture_windows *windows);

#endif
