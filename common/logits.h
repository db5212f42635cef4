/* What `logits` tasks carry: which slots of a target, and which tokens each promotes and suppresses
 * most (worker/model/logit_lens.h).
 *
 *   unit    u32 target, u32 n_slots, u32 slot x n_slots                     little-endian
 *   answer  u32 n_slots, u32 n_top, u32 n_reason, bytes x n_reason,
 *           then of each slot n_top promoted and n_top suppressed entries: u32 token, f32 value
 *
 * Promoted falls, suppressed rises from the lowest; equal values by token id. An answer with a
 * reason has no slots: the target's features write no direction. Pure; any thread. */
#ifndef COMMON_LOGITS_H
#define COMMON_LOGITS_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    LOGITS_MAX_SLOTS = 4096, /* of a unit */
    LOGITS_MAX_TOP = 64,
    LOGITS_REASON_SIZE = 128,
    LOGITS_MAX_BYTES = 8 * 1024 * 1024
};

struct logits_unit {
    uint32_t target, n_slots;
    uint32_t slots[LOGITS_MAX_SLOTS];
};

struct logits_entry {
    uint32_t token;
    float value;
};

struct logits_answer {
    uint32_t n_slots, n_top;
    char reason[LOGITS_REASON_SIZE]; /* "" where there are slots */
    struct logits_entry *entries;    /* [n_slots, 2, n_top]: promoted, suppressed; owned */
};

MUST_CHECK status_t logits_unit_encode(const struct logits_unit *unit, struct buffer *out,
                                       struct error *err);
/* Untrusted bytes. Errors: ST_CORRUPT; *out untouched. */
MUST_CHECK status_t logits_unit_decode(const void *bytes, size_t n_bytes, struct logits_unit *out,
                                       struct error *err);

/* Room for the entries. The caller passes *out to logits_answer_fini(). Errors: ST_TOO_LARGE,
 * ST_NO_MEMORY. */
MUST_CHECK status_t logits_answer_init(struct logits_answer *out, uint32_t n_slots, uint32_t n_top,
                                       struct error *err);
void logits_answer_fini(struct logits_answer *answer); /* fine on zeroes or twice */
MUST_CHECK status_t logits_answer_encode(const struct logits_answer *answer, struct buffer *out,
                                         struct error *err);
/* Untrusted bytes. Values are finite. Errors: ST_CORRUPT, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t logits_answer_decode(const void *bytes, size_t n_bytes,
                                         struct logits_answer *out, struct error *err);

#endif
