/* What is fixed before the other splits of a target are captured: from which value on a slot
 * fires, which token types it fires on (its hard tokens: a silent window that holds one is a
 * near miss), both by the merged explain split; and its neighbours by direction, beside from
 * which value on a slot fires strongly (a silent window in which a neighbour does is hard to
 * tell from a firing one). Frozen once, then part of the identity of all evidence captured with
 * it. */
#ifndef COMMON_EVIDENCE_FROZEN_H
#define COMMON_EVIDENCE_FROZEN_H

#include "common/buffer.h"
#include "common/evidence.h"

#include <stddef.h>
#include <stdint.h>

struct evidence_frozen {
    uint32_t n_slots;
    float *fire_threshold;                         /* [n_slots], >= 0; fires where value > it */
    uint32_t (*hard_tokens)[EVIDENCE_HARD_TOKENS]; /* [n_slots], EVIDENCE_NO_TOKEN fills up */
    uint32_t (*neighbours)[EVIDENCE_NEIGHBOURS];   /* [n_slots], nearest first; EVIDENCE_NO_SLOT
                                                      fills up */
    float *strong_value;                           /* [n_slots], >= 0; strong where value > it */
};

/* All thresholds 0, no hard tokens, no neighbours. Errors: ST_BAD_INPUT (n_slots), ST_NO_MEMORY. */
MUST_CHECK status_t evidence_frozen_init(struct evidence_frozen *frozen, uint32_t n_slots,
                                         struct error *err);
void evidence_frozen_fini(struct evidence_frozen *frozen); /* fine after failure or twice */

/* A number of the content, never 0; NULL gives 0. */
uint64_t evidence_frozen_key(const struct evidence_frozen *frozen);

/* Canonical bytes; compress them with evidence_compress() for the wire. */
MUST_CHECK status_t evidence_frozen_encode(const struct evidence_frozen *frozen, struct buffer *out,
                                           struct error *err);
/* Untrusted bytes. On ST_OK the caller owns *out (fini). Errors: ST_PROTOCOL (another version),
 * ST_CORRUPT, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t evidence_frozen_decode(const void *bytes, size_t n_bytes,
                                           struct evidence_frozen *out, struct error *err);

struct evidence_state;

/* Look the tokens of a window up: fill tokens[window->n_tokens]. */
typedef status_t (*evidence_token_lookup)(void *context, const struct evidence_window *window,
                                          uint32_t *tokens, struct error *err);

/* Set frozen->hard_tokens of every slot of `explain`: the up to four token types with most
 * activation mass at the firing positions (value > fire_threshold) of the kept firing windows;
 * ties go to the smaller id. The lookup is called once per kept window and slot. Errors: the
 * lookup's, ST_BAD_INPUT (slot counts differ), ST_NO_MEMORY. */
MUST_CHECK status_t evidence_freeze_hard_tokens(const struct evidence_state *explain,
                                                evidence_token_lookup lookup, void *context,
                                                struct evidence_frozen *frozen, struct error *err);

/* Set frozen->strong_value of every slot of `explain`: the lower edge of the bin that holds the
 * median of its values > 0, so that at least half of them are above it; 0 if there are none.
 * Errors: ST_BAD_INPUT (slot counts differ). */
MUST_CHECK status_t evidence_freeze_strong_values(const struct evidence_state *explain,
                                                  struct evidence_frozen *frozen,
                                                  struct error *err);

/* The value above which a share `tail` (0.01 for the 99th percentile) of all tokens lies in the
 * joint histogram of `slots` (the two signs of a unit, or one head): the edge of a value bin
 * (1/8 octave) whose tail is nearest to it, so that counts above it are exact. `slots` are
 * absolute. 0 if the slots never had a value > 0. */
float evidence_freeze_threshold(const struct evidence_state *explain, const uint32_t *slots,
                                size_t n_slots, double tail);

#endif
