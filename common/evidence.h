/* Evidence: what a capture keeps of a corpus for every slot of a target, and nothing more.
 *
 * A *target* is a dictionary or a set of dense units read at one hook point; its *slots*
 * [0, n_slots) are the features to label (a signed unit has two slots). A *unit* is the fixed
 * block of rows that the plan cut; a worker returns one *partial* per (unit, target), and the
 * coordinator merges partials into one *state* per (target, split). What is kept per slot is a
 * pure function of the set of merged units: sums, counts and bottom-k sets under total orders,
 * so every order and grouping of the merges gives identical bytes.
 *
 * This header holds the words that all parts share; the parts are
 *   evidence_key.h, evidence_bins.h   sampling keys; bins of values and positions
 *   evidence_sum.h, evidence_cuts.h   sums of values; what can enter a slot (all four: kernels'
 *                                     too, host_device.h)
 *   evidence_counts.h                 a compact histogram
 *   evidence_record.h                 one slot's contribution, as bytes and back
 *   evidence_message.h                header, table of windows, records: a partial or a block
 *   evidence_select.h                 which firing windows are kept
 *   evidence_state.h                  the merged state;  evidence_block.h  its stored form
 *   evidence_thresholds.h             what can still survive, sent back to the workers
 *   evidence_frozen.h                 thresholds and hard tokens, frozen after the explain split
 *   evidence_view.h, evidence_pick.h  reading one slot
 * Byte layouts are in EVIDENCE.md. No threads inside: an object belongs to one thread. */
#ifndef COMMON_EVIDENCE_H
#define COMMON_EVIDENCE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum evidence_split {
    EVIDENCE_EXPLAIN = 0,
    EVIDENCE_VALIDATE = 1,
    EVIDENCE_TEST = 2,
    EVIDENCE_OOD = 3,
    EVIDENCE_N_SPLITS = 4
};

/* "explain", "validate", "test", "ood"; NULL for anything else. */
const char *evidence_split_name(enum evidence_split split);

enum {
    EVIDENCE_HARD_TOKENS = 4, /* hard tokens per slot */
    EVIDENCE_NEIGHBOURS = 8,  /* nearest other slots per slot */
    EVIDENCE_MAX_SLOTS = 1 << 20,
    EVIDENCE_MAX_DOCUMENTS = 1 << 30,
    EVIDENCE_MAX_WINDOW_TOKENS = 1024,
    EVIDENCE_MAX_TOP_K = 256,
    EVIDENCE_MAX_BIN_K = 64,
    EVIDENCE_MAX_SILENT_K = 1024,
    EVIDENCE_MAX_DOC_K = 256,
    EVIDENCE_MAX_UNIT_TOKENS = 1 << 20,
    EVIDENCE_MAX_PARTIAL_BYTES = 64 << 20 /* of an encoded partial, before compression */
};
#define EVIDENCE_NO_TOKEN UINT32_MAX
#define EVIDENCE_NO_SLOT UINT32_MAX

/* How much is kept per slot. Part of the identity of evidence: states and partials with other
 * limits do not merge. */
struct evidence_limits {
    uint32_t top_k;             /* windows of largest maximum */
    uint32_t bin_k;             /* windows of smallest key per half-octave bin of the maximum */
    uint32_t silent_k;          /* windows without firing, of smallest key */
    uint32_t near_miss_k;       /* the same, holding one of the slot's hard tokens */
    uint32_t neighbour_k;       /* the same, in which a neighbour of the slot fires strongly */
    uint32_t doc_k;             /* documents with firing are counted exactly below this */
    uint32_t window_tokens;     /* length of a window */
    uint32_t min_window_tokens; /* shorter windows (a segment's tail) count, but are not kept */
    uint32_t counts_positions;  /* 1: firing tokens are counted by position in the row */
};

/* The defaults of a split: 20 top, 6 per bin, 32 documents, 32-token windows of at least 8;
 * 20 silent, no near misses and no neighbours' windows in explain, 40, 40 and 24 elsewhere;
 * positions in validate, where every slot's fire threshold is known. */
struct evidence_limits evidence_limits_default(enum evidence_split split);

/* ST_BAD_INPUT names the limit that is out of range (EVIDENCE_MAX_*; window_tokens and
 * min_window_tokens >= 1, the second at most the first). */
MUST_CHECK status_t evidence_limits_check(const struct evidence_limits *limits, struct error *err);

/* What must agree before evidence may be merged. */
struct evidence_identity {
    uint64_t target_key; /* number of (model, hook point, dictionary or units); by the plan */
    uint64_t frozen_key; /* evidence_frozen_key() of what was frozen; 0: nothing yet */
    uint32_t n_slots;
    enum evidence_split split;
    struct evidence_limits limits;
};

bool evidence_identity_equal(const struct evidence_identity *a, const struct evidence_identity *b);

/* Limits, n_slots and split in range; ST_BAD_INPUT names what is not. */
MUST_CHECK status_t evidence_identity_check(const struct evidence_identity *identity,
                                            struct error *err);

/* The corpus' documents by index; keys are hash_name64(document id). Borrowed; may grow at the
 * end when a sweep is extended, but an index never changes its meaning. */
struct evidence_documents {
    const uint64_t *key; /* [n_documents] */
    size_t n_documents;
};

/* A window: where it lies in its document. */
struct evidence_window {
    uint32_t document_index;
    uint32_t document_offset; /* of the first token, in tokens */
    uint16_t n_tokens;
};

#endif
