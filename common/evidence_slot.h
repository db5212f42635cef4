/* The merged evidence of one slot, and how a record joins it. Inner part of evidence_state: its
 * users read through evidence_view.
 *
 * The kept firing windows are one list, ordered as evidence_select.h says: its first top_k are
 * the top windows, and the bin_k of smallest key in a bin its reservoir. The activations of all
 * its windows lie in one pool, in no order; when it is full, those of dropped windows are left
 * out of a new one. */
#ifndef COMMON_EVIDENCE_SLOT_H
#define COMMON_EVIDENCE_SLOT_H

#include "common/evidence.h"
#include "common/evidence_counts.h"
#include "common/evidence_message.h"
#include "common/evidence_select.h"

#include <stddef.h>
#include <stdint.h>

/* A sample of windows without firing, by (key, document). */
struct evidence_sample {
    uint64_t *key;                  /* [n], owned */
    struct evidence_window *window; /* [n], owned */
    uint64_t limit;                 /* largest key that can enter */
    uint16_t n;
};

struct evidence_slot {
    uint64_t sum_fixed;
    uint32_t n_firing_tokens;
    float max_value;
    uint32_t n_firing_on_hard[EVIDENCE_HARD_TOKENS];
    uint32_t n_hard_tokens[EVIDENCE_HARD_TOKENS];
    struct evidence_counts values, windows, positions;
    struct evidence_firing *firing; /* [n_firing], owned */
    float *value;                   /* [pool_capacity], owned: the pool */
    uint16_t *position;             /* [pool_capacity], behind the values */
    uint32_t *document;             /* [n_documents] of smallest document number, ascending */
    uint64_t document_limit;        /* largest document number that can enter */
    struct evidence_sample silent, near_miss, neighbour;
    uint32_t n_pool, pool_capacity; /* n_pool includes what dropped windows left */
    uint16_t n_firing, firing_capacity, n_documents;
};

/* Everything a record's merge needs beside the slot: shared by all slots of a message. */
struct evidence_merge {
    const struct evidence_limits *limits;
    const struct evidence_documents *documents;
    const struct evidence_table *table;
    uint64_t *window_number;   /* [table->n_windows] */
    uint64_t *document_number; /* [table->n_documents] */
};

/* Take the numbers for the message's table, checking that its documents are known and
 * the same. Errors: ST_CORRUPT, ST_NO_MEMORY; call fini either way. */
MUST_CHECK status_t evidence_merge_init(struct evidence_merge *merge,
                                        const struct evidence_documents *documents,
                                        const struct evidence_message *message, struct error *err);
void evidence_merge_fini(struct evidence_merge *merge);

void evidence_slot_init(struct evidence_slot *slot);
void evidence_slot_fini(struct evidence_slot *slot);
static inline struct evidence_window evidence_firing_window(const struct evidence_firing *firing)
{
    return (struct evidence_window){firing->document_index, firing->document_offset,
                                    firing->n_tokens};
}
bool evidence_slot_is_empty(const struct evidence_slot *slot);
size_t evidence_slot_memory_bytes(const struct evidence_slot *slot);

/* Join a decoded record (of the message that `merge` was made for). Counts must have been
 * checked not to pass 32 bits. Errors: ST_NO_MEMORY, the slot then holds part of the record. */
MUST_CHECK status_t evidence_slot_merge(struct evidence_slot *slot,
                                        const struct evidence_record *record,
                                        const struct evidence_merge *merge, struct error *err);

#endif
