/* The shared limit and budget: reserve before a send, settle after it. Both are one Lua script.
 *
 * limiter_reserve() takes calls off a provider's queue that requests, tokens, concurrency, breaker
 * and budgets allow together, fairly between sweeps; every grant must be settled. If Redis does
 * not answer, nothing is granted. Belongs to the gateway's loop thread. */
#ifndef COORDINATOR_GATEWAY_LIMITER_H
#define COORDINATOR_GATEWAY_LIMITER_H

#include "common/error.h"
#include "common/hash.h"
#include "common/store.h"
#include "coordinator/gateway/call.h"
#include "coordinator/gateway/provider_config.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { LIMITER_GRANTS_MAX = 32, LIMITER_IDENTITY_MAX = 128 };

/* A provider and its limits as the scripts take them. */
struct limited_provider {
    const struct provider *provider; /* borrowed */
    json_t *limits;                  /* owned */
    char *limits_text;               /* the same, dumped; owned */
};

/* Our bucket is a little slower and shallower than the provider's: a grant and its arrival there
 * are up to LIMITER_JITTER_SECONDS apart, by different amounts. */
#define LIMITER_RATE_SHARE 0.99
#define LIMITER_JITTER_SECONDS 0.5

MUST_CHECK status_t limited_provider_init(struct limited_provider *out,
                                          const struct provider *provider, double dollars_per_day,
                                          struct error *err);
void limited_provider_fini(struct limited_provider *provider);

struct limiter {
    struct store *store; /* borrowed */
    struct store_script reserve;
    struct store_script settle;
    char identity[LIMITER_IDENTITY_MAX]; /* of this gateway and its journal */
};

/* Errors: store errors. */
MUST_CHECK status_t limiter_init(struct limiter *limiter, struct store *store, const char *identity,
                                 struct error *err);

/* Leave to send one call once. */
struct grant {
    char id[HASH_HEX_SIZE];
    uint64_t attempt; /* unique over all calls and gateways */
    char sweep_id[CALL_NAME_MAX + 1];
    uint64_t tokens_in;  /* reserved */
    uint64_t tokens_out; /* most that the reply may have: max_tokens */
    int64_t microdollars;
    unsigned n_strikes; /* failures that count so far */
    unsigned n_sends;   /* this one included */
    char *body;         /* owned */
    size_t n_body_bytes;
};
void grant_fini(struct grant *grant);

struct reserve_result {
    struct grant grants[LIMITER_GRANTS_MAX]; /* [n_grants], owned by the caller */
    size_t n_grants;
    int64_t wait_ms; /* nothing more before; -1: until the doorbell rings; 0: ask again */
    char reason[16]; /* what is waited for: "rpm", "budget", "breaker", "idle", ... */
};

/* Up to n_most (<= LIMITER_GRANTS_MAX) calls of the queue of `queue`, to be sent to `serving` (the
 * same, or its fallback). Errors: store errors; then what was granted is unknown and is released
 * by gateway_recover(). */
MUST_CHECK status_t limiter_reserve(struct limiter *limiter, const char *queue,
                                    const struct limited_provider *serving, size_t n_most,
                                    struct reserve_result *out, struct error *err);

/* Reservations that Redis believes this gateway to hold with a provider. */
struct held_reservation {
    char id[HASH_HEX_SIZE];
    uint64_t attempt;
    char sweep_id[CALL_NAME_MAX + 1];
};
MUST_CHECK status_t limiter_read_held(struct limiter *limiter, const char *provider,
                                      struct held_reservation **out, size_t *n_out,
                                      struct error *err);

#endif
