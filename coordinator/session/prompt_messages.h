/* The two messages of a call, and what they cost before anybody has counted their tokens. */
#ifndef COORDINATOR_SESSION_PROMPT_MESSAGES_H
#define COORDINATOR_SESSION_PROMPT_MESSAGES_H

#include "common/buffer.h"

#include <stddef.h>

enum { PROMPT_MAX_MESSAGE_BYTES = 4 << 20, PROMPT_BYTES_PER_TOKEN = 4 };

struct prompt_messages {
    struct buffer system; /* may be empty */
    struct buffer user;
};

static inline void prompt_messages_init(struct prompt_messages *messages)
{
    buffer_init(&messages->system, PROMPT_MAX_MESSAGE_BYTES);
    buffer_init(&messages->user, PROMPT_MAX_MESSAGE_BYTES);
}

static inline void prompt_messages_fini(struct prompt_messages *messages)
{
    buffer_fini(&messages->system);
    buffer_fini(&messages->user);
}

/* Bytes / 4, rounded up: right within a third for English; the ledger corrects it by measured
 * ratios and settles by the provider's own count. */
static inline size_t prompt_tokens_of_bytes(size_t n_bytes)
{
    return n_bytes / PROMPT_BYTES_PER_TOKEN + (n_bytes % PROMPT_BYTES_PER_TOKEN != 0);
}

static inline size_t prompt_messages_tokens(const struct prompt_messages *messages)
{
    return prompt_tokens_of_bytes(messages->system.n_bytes + messages->user.n_bytes);
}

#endif
