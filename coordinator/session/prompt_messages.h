/* The two messages of a call, and what they cost before anybody has counted their tokens. */
#ifndef COORDINATOR_SESSION_PROMPT_MESSAGES_H
#define COORDINATOR_SESSION_PROMPT_MESSAGES_H

#include "common/buffer.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

enum { PROMPT_MAX_MESSAGE_BYTES = 4 << 20 };

struct prompt_messages {
    struct buffer system; /* may be empty */
    struct buffer user;
    bool is_cut; /* something was left out to keep below max_prompt_tokens */
};

static inline void prompt_messages_init(struct prompt_messages *messages)
{
    buffer_init(&messages->system, PROMPT_MAX_MESSAGE_BYTES);
    buffer_init(&messages->user, PROMPT_MAX_MESSAGE_BYTES);
    messages->is_cut = false;
}

static inline void prompt_messages_fini(struct prompt_messages *messages)
{
    buffer_fini(&messages->system);
    buffer_fini(&messages->user);
}

/* Before anybody has counted them, rounded up. tokens_per_byte: as measured; 0: a quarter, which is
 * right within a third for English. The ledger settles by the provider's own count. */
static inline size_t prompt_messages_tokens(const struct prompt_messages *messages,
                                            double tokens_per_byte)
{
    const double n_bytes = (double)(messages->system.n_bytes + messages->user.n_bytes);
    return (size_t)ceil(n_bytes * (tokens_per_byte > 0 ? tokens_per_byte : 0.25));
}

#endif
