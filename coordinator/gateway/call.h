/* Paid calls, as the coordinator sees them: ask for a reply, hear that it is there, read it.
 *
 *   call_prepare()        body -> canonical text and call id (no Redis)
 *   call_queue_submit()   one command of the store's pipeline; idempotent, so after a restart
 *                         the coordinator simply submits what it still waits for
 *   call_announcements()  ids of calls that are done or failed, in the order they became so
 *   call_queue_read()     the reply itself; call_reply_parse() turns it into a struct
 *
 * A call is content-addressed: its id is the SHA-256 of provider, model and canonical body, so a
 * reply that is stored is never paid for again, by any sweep. What a sweep may spend is in its
 * ledger; a call that does not fit waits, and the ledger says `exhausted`. Replies and ledger
 * outlive the sweep; call_forget_sweep() removes everything else. Keys and states: README.md.
 *
 * Everything here belongs to the thread that owns the store. */
#ifndef COORDINATOR_GATEWAY_CALL_H
#define COORDINATOR_GATEWAY_CALL_H

#include "common/error.h"
#include "common/hash.h"
#include "common/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CALL_BODY_MAX = 1 << 20,   /* bytes of a canonical body */
    CALL_OUTPUT_MAX = 1 << 20, /* tokens that max_tokens may ask for */
    CALL_NAME_MAX = 64,        /* bytes of a provider's, sweep's or tag's name */
    CALL_PRIORITY_MAX = 9      /* 0 is the least; 5 is usual */
};

/* ---- asking ------------------------------------------------------------------------------ */

/* A body made canonical: what is sent, and what the id names. */
struct call {
    char id[HASH_HEX_SIZE];
    char provider[CALL_NAME_MAX + 1];
    char *body; /* JSON, compact, sorted keys; owned */
    size_t n_body_bytes;
    uint64_t max_tokens; /* most output tokens, from the body */
};

/* `body` is a chat-completions request (borrowed): "model" (text), "messages" (not empty) and
 * "max_tokens" or "max_completion_tokens" (1..CALL_OUTPUT_MAX) are required; "stream" and
 * "n" > 1 are refused. On ST_OK the caller owns *out (call_fini). Errors: ST_BAD_INPUT,
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t call_prepare(struct call *out, const char *provider, const json_t *body,
                                 struct error *err);
/* The same from JSON text; a body without "model" gets the provider's. */
struct provider;
MUST_CHECK status_t call_prepare_text(struct call *out, const struct provider *provider,
                                      const char *body, size_t n_bytes, struct error *err);
void call_fini(struct call *call);

/* Names of providers, sweeps and tags: 1..CALL_NAME_MAX of [A-Za-z0-9_.-]. */
bool call_name_is_valid(const char *name);

struct call_client; /* the scripts, registered with one store */

/* `store` is borrowed and must outlive the client. */
MUST_CHECK status_t call_client_create(struct call_client **out, struct store *store,
                                       struct error *err);
void call_client_destroy(struct call_client **client); /* NULL-safe */

/* Queue a submit into the store's pipeline. `tag` is for people (may be ""). The reply, handed
 * to store_drain's function, is a status text for call_submit_outcome(). */
MUST_CHECK status_t call_queue_submit(struct call_client *client, const struct call *call,
                                      const char *sweep_id, unsigned priority, const char *tag,
                                      struct error *err);

enum call_submit_outcome {
    CALL_SUBMIT_QUEUED, /* will be sent */
    CALL_SUBMIT_JOINED, /* was queued or in flight already: nothing happens twice */
    CALL_SUBMIT_STORED, /* the reply is there and was announced again, at no cost */
    CALL_SUBMIT_FAILED, /* had failed for this sweep before: announced again */
    CALL_SUBMIT_ERROR   /* Redis refused */
};
enum call_submit_outcome call_submit_outcome(const redisReply *reply);

/* ---- hearing ----------------------------------------------------------------------------- */

enum { CALL_CURSOR_SIZE = 48 };
struct call_announcement {
    char id[HASH_HEX_SIZE];
    bool is_failed; /* else the reply is stored */
};

/* Where announcements stand now. Take it before the first submit, so that none is missed. */
MUST_CHECK status_t call_cursor_now(struct store *store, char cursor[CALL_CURSOR_SIZE],
                                    struct error *err);

/* Up to `cap` announcements behind `cursor`, which moves on. block_ms < 0 does not wait; else
 * waits up to block_ms for the first (keep it under the store's timeout). An id may be announced
 * more than once, and ids that nobody here asked for appear. */
MUST_CHECK status_t call_announcements(struct store *store, char cursor[CALL_CURSOR_SIZE],
                                       int block_ms, struct call_announcement *out, size_t cap,
                                       size_t *n_out, struct error *err);

/* ---- reading ----------------------------------------------------------------------------- */

enum call_state {
    CALL_UNKNOWN, /* not in Redis */
    CALL_PENDING, /* queued, waiting to be sent again, or in flight */
    CALL_DONE,
    CALL_FAILED
};

struct call_reply {
    enum call_state state;
    char *content; /* message text, NUL-terminated, may hold NULs; NULL unless done */
    size_t n_content_bytes;
    char *logprobs;                    /* JSON text of choices[0].logprobs, NULL if absent */
    char *reason;                      /* why it failed or waits, NULL if nothing is known */
    char finish_reason[32];            /* "stop", "length", ... */
    char served_by[CALL_NAME_MAX + 1]; /* provider that answered: the one asked, or its fallback */
    char model[128];                   /* as that provider names it; both "" unless done */
    uint64_t tokens_in;                /* as booked */
    uint64_t tokens_out;
    int64_t microdollars; /* as booked */
    bool is_estimated;    /* the provider's usage was missing or absurd */
    uint64_t latency_ms;
};

/* Queue the read of one reply into the store's pipeline. */
MUST_CHECK status_t call_queue_read(struct store *store, const char *id, struct error *err);
/* Turn its answer into *out, which the caller owns (call_reply_fini). */
MUST_CHECK status_t call_reply_parse(const redisReply *reply, struct call_reply *out,
                                     struct error *err);
/* Both in one round trip. */
MUST_CHECK status_t call_reply_read(struct store *store, const char *id, struct call_reply *out,
                                    struct error *err);
void call_reply_fini(struct call_reply *reply);

/* ---- money ------------------------------------------------------------------------------- */

/* Budget (microdollars; < 0: none) and fair-share weight (> 0, usually 1) of a sweep. Wakes
 * gateways, so that a raised budget takes effect at once. */
MUST_CHECK status_t call_set_budget(struct store *store, const char *sweep_id,
                                    int64_t budget_microdollars, double weight, struct error *err);

/* Tokens per byte of request body as the provider counted them, mean plus two mean deviations; 0:
 * it has counted none yet. */
MUST_CHECK status_t call_tokens_per_byte(struct store *store, const char *provider, double *out,
                                         struct error *err);

/* While a sweep is paused its queued calls are not sent; those in flight come home. */
MUST_CHECK status_t call_set_paused(struct store *store, const char *sweep_id, bool is_paused,
                                    struct error *err);

struct call_ledger {
    int64_t budget_microdollars; /* -1: none */
    int64_t reserved_microdollars;
    int64_t spent_microdollars;
    int64_t uncertain_microdollars;
    uint64_t tokens_in, tokens_out;
    uint64_t calls;  /* paid for, with known usage */
    uint64_t cached; /* answered by a reply that was there or on its way */
    uint64_t failed;
    uint64_t uncertain_calls; /* sends whose fate is unknown; listed in interp:uncertain */
    uint64_t estimated_calls; /* paid calls whose usage is our estimate */
    bool is_exhausted;        /* the next call does not fit the budget */
};
MUST_CHECK status_t call_ledger_read(struct store *store, const char *sweep_id,
                                     struct call_ledger *out, struct error *err);

/* What one provider cost a sweep. Sums over providers are the ledger's numbers. */
struct call_provider_cost {
    char provider[CALL_NAME_MAX + 1];
    uint64_t calls, tokens_in, tokens_out;
    int64_t spent_microdollars;
};
/* Of every provider that was paid, by name. The caller frees *out. */
MUST_CHECK status_t call_costs_read(struct store *store, const char *sweep_id,
                                    struct call_provider_cost **out, size_t *n_out,
                                    struct error *err);

/* One send whose fate was unknown after a crash, a timeout or a broken answer. */
struct call_uncertain {
    char id[HASH_HEX_SIZE];
    uint64_t attempt;
    char sweep_id[CALL_NAME_MAX + 1];
    char provider[CALL_NAME_MAX + 1];
    int64_t microdollars; /* worst case, booked */
    int64_t unix_ms;
    bool is_settled; /* its usage turned up later and was booked instead */
    char reason[160];
};
/* Every listed send (of one sweep, or all if sweep_id is NULL). The caller frees *out.
 * Errors: ST_TOO_LARGE above 1,000,000 entries, store errors. */
MUST_CHECK status_t call_uncertain_read(struct store *store, const char *sweep_id,
                                        struct call_uncertain **out, size_t *n_out,
                                        struct error *err);

/* ---- ending ------------------------------------------------------------------------------ */

/* Cancel what the sweep still waits for and remove its traces: queue, fairness state, failed
 * calls. Calls in flight come home and are booked. Safe to repeat. */
MUST_CHECK status_t call_forget_sweep(struct call_client *client, const char *sweep_id,
                                      struct error *err);

/* ---- providers' state, for status and dashboard ------------------------------------------ */

struct call_provider_state {
    bool is_open;       /* breaker: nothing is sent */
    char reason[256];   /* why, "" if fine */
    char unserved[256]; /* why no gateway can ask it, as its key that is not there; "": one can, or
                           none runs */
    int64_t stopped_ms; /* told to wait (Retry-After): ms left, else 0 */
    double scale;       /* 1 = full rate, less after 429s */
    uint64_t in_flight;
};
MUST_CHECK status_t call_provider_state_read(struct store *store, const char *provider,
                                             struct call_provider_state *out, struct error *err);

#endif
