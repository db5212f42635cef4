/* One slot's contribution to the evidence, as bytes and back. The same record serves a worker's
 * partial and a stored block; windows and documents are indices into the message's table
 * (evidence_table.h), always strictly ascending, so that equal contributions give equal bytes.
 * Layout: EVIDENCE.md. */
#ifndef COMMON_EVIDENCE_RECORD_H
#define COMMON_EVIDENCE_RECORD_H

#include "common/buffer.h"
#include "common/evidence.h"
#include "common/evidence_bins.h"
#include "common/evidence_bytes.h"
#include "common/evidence_select.h"
#include "common/evidence_sum.h"

#include <stddef.h>
#include <stdint.h>

/* Populated bins, ascending, counts > 0. */
struct evidence_bin_counts {
    uint32_t n;
    uint16_t bin[EVIDENCE_VALUE_BINS];
    uint32_t count[EVIDENCE_VALUE_BINS];
};

struct evidence_firing_ref {
    uint32_t window;        /* index in the table */
    uint32_t first;         /* of its activations in position[] and value[] */
    uint16_t n_activations; /* >= 1 */
    float max_value;        /* largest of its values; not in the bytes */
};

/* About 80 kB: keep one and reuse it. */
struct evidence_record {
    uint32_t slot; /* absolute */
    uint32_t n_firing_tokens;
    uint64_t sum_fixed; /* sum of values > 0 in units of 2^-20, saturating at UINT64_MAX */
    float max_value;
    struct evidence_bin_counts values;    /* tokens > 0 by value bin */
    struct evidence_bin_counts windows;   /* firing windows by reservoir bin */
    struct evidence_bin_counts positions; /* firing tokens by position bucket */
    uint32_t n_firing_on_hard[EVIDENCE_HARD_TOKENS];
    uint32_t n_hard_tokens[EVIDENCE_HARD_TOKENS];
    uint32_t n_documents, n_firing, n_silent, n_near_miss, n_neighbour;
    uint32_t document[EVIDENCE_MAX_DOC_K]; /* indices in the table */
    struct evidence_firing_ref firing[EVIDENCE_MAX_FIRING];
    uint32_t silent[EVIDENCE_MAX_SILENT_K];
    uint32_t near_miss[EVIDENCE_MAX_SILENT_K];
    uint32_t neighbour[EVIDENCE_MAX_SILENT_K];
    size_t n_activations, cap_activations;
    uint16_t *position; /* [n_activations], owned, in the order of firing[] */
    float *value;       /* [n_activations], owned */
};

MUST_CHECK status_t evidence_record_create(struct evidence_record **out, struct error *err);
void evidence_record_destroy(struct evidence_record **record); /* NULL-safe */
/* Empty it for `slot`, keeping its memory. */
void evidence_record_reset(struct evidence_record *record, uint32_t slot);
/* Room for n more activations behind n_activations. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t evidence_record_reserve(struct evidence_record *record, size_t n,
                                            struct error *err);
/* Nothing in it: not worth writing. */
bool evidence_record_is_empty(const struct evidence_record *record);

/* Append the record to `out`, `slot_gap` slots after the last one written. Errors:
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_record_encode(const struct evidence_record *record, uint32_t slot_gap,
                                           struct buffer *out, struct error *err);

/* What a decoded record may hold. */
struct evidence_record_bounds {
    struct evidence_limits limits;
    uint32_t n_tokens; /* no count of tokens exceeds it */
    uint32_t end_slot; /* slot < end_slot */
    uint32_t n_documents;
    uint32_t n_windows;
    const struct evidence_window *windows; /* [n_windows] of the table */
};

/* Read the next record, whose slot is at least *next_slot, and advance *next_slot. Errors:
 * ST_CORRUPT, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_record_decode(struct evidence_cursor *cursor,
                                           const struct evidence_record_bounds *bounds,
                                           uint32_t *next_slot, struct evidence_record *record,
                                           struct error *err);

#endif
