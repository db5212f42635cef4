/* What the chosen slots of one target write: the tokens that each promotes and suppresses most, as
 * the task `logits` found them (common/logits.h). Filled by the loop thread while that phase runs,
 * read by anybody afterwards. */
#ifndef COORDINATOR_SWEEP_LABEL_OUTPUTS_H
#define COORDINATOR_SWEEP_LABEL_OUTPUTS_H

#include "common/logits.h"

struct label_target;

struct label_outputs {
    uint32_t *slots; /* [n_slots] chosen, ascending; owned */
    size_t n_slots;
    uint32_t n_top;
    struct logits_entry *entries;    /* [n_slots, 2, n_top]: promoted, suppressed; owned */
    char reason[LOGITS_REASON_SIZE]; /* why nothing can be said of this target; "" if it can */
};

/* The slots of a target's chosen features. The caller passes *out to label_outputs_fini().
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t label_outputs_init(struct label_outputs *out, const struct label_target *target,
                                       struct error *err);
void label_outputs_fini(struct label_outputs *outputs); /* fine on zeroes or twice */

/* Take the answer about slots[first, first + n). Tokens are below n_vocab. Errors: ST_CORRUPT (it
 * is not about that many slots, or says otherwise than an earlier one), ST_NO_MEMORY. */
MUST_CHECK status_t label_outputs_put(struct label_outputs *outputs, size_t first, size_t n,
                                      const struct logits_answer *answer, uint64_t n_vocab,
                                      struct error *err);

/* All of it as bytes, once every slot was put: u32 slots, u32 n_top, u32 length of the reason, the
 * reason, then u32 token and f32 value of every entry. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t label_outputs_encode(const struct label_outputs *outputs, struct buffer *out,
                                         struct error *err);
/* Into outputs that were initialised and hold nothing. Errors: ST_CORRUPT (other slots than
 * these, a token that the model has not, bytes that do not fit), ST_NO_MEMORY; nothing is put
 * then. */
MUST_CHECK status_t label_outputs_decode(struct label_outputs *outputs, const void *bytes,
                                         size_t n_bytes, uint64_t n_vocab, struct error *err);

/* [2, n_top] entries of a slot: promoted, then suppressed; NULL if there are none. */
const struct logits_entry *label_outputs_find(const struct label_outputs *outputs, uint32_t slot);

#endif
