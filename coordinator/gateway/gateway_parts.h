/* Inside the gateway: the loop's state and its parts. Included by gateway*.c alone; everything
 * belongs to the loop thread.
 *
 *   gateway.c          the loop: start, connect, wait, drain
 *   gateway_send.c     reserve -> journal -> send; answer -> journal -> settle
 *   gateway_batch.c    calls of batch providers: collect, upload, create
 *   gateway_results.c  the same: follow a batch, read its results; what a former life left of it
 *   gateway_recover.c  what the journal and Redis say about calls of a former life
 *   gateway_report.c   counters, heartbeat, log lines about providers */
#ifndef COORDINATOR_GATEWAY_GATEWAY_PARTS_H
#define COORDINATOR_GATEWAY_GATEWAY_PARTS_H

#include "coordinator/gateway/batch.h"
#include "coordinator/gateway/bell.h"
#include "coordinator/gateway/gateway.h"
#include "coordinator/gateway/journal.h"
#include "coordinator/gateway/limiter.h"
#include "coordinator/gateway/outcome.h"
#include "coordinator/gateway/settlement.h"
#include "coordinator/gateway/transfer.h"

#include <stdbool.h>

enum {
    GATEWAY_FLIGHTS_MAX = 1024,
    GATEWAY_HEARTBEAT_MS = 1000,
    GATEWAY_HEARTBEAT_TTL_SECONDS = 5,
    GATEWAY_IDLE_MS = 1000, /* reserve is tried this often without a ring */
    GATEWAY_SETTLE_BATCH = 64,
    GATEWAY_REDIS_TIMEOUT_MS = 5000,
    GATEWAY_RECONNECT_MAX_MS = 1000,
    GATEWAY_REPLAY_PAUSE_MS = 1500, /* after Redis restarted: every gateway replays first */
    GATEWAY_LATENCY_BUCKETS = 12,
    GATEWAY_BATCHES_MAX = 64 /* unfinished ones of all providers */
};

struct provider_stats {
    uint64_t sent, replies, retries, failed, n_429, n_5xx, broken, unsent;
    uint64_t tokens_in, tokens_out;
    uint64_t latency_ms[GATEWAY_LATENCY_BUCKETS]; /* counts, not cumulative; of replies */
    uint64_t latency_total_ms;
};

struct gateway_provider {
    struct limited_provider limited;
    struct transfer_target target;
    struct gateway_provider *fallback; /* NULL if none is usable */
    struct batch *collecting;          /* one of gateway.batches, NULL if there is none */
    bool is_usable;
    int64_t next_reserve_ms; /* monotonic */
    char waits_for[16];      /* why nothing was granted last: "rpm", ... */
    struct provider_stats stats;
    char last_problem[320]; /* as logged last */
    int64_t last_problem_ms;
    int64_t problem_seen_ms;
};

/* One request in flight: of one call, or of a batch. */
struct flight {
    struct batch *batch; /* NULL: of a call */
    struct grant grant;
    struct gateway_provider *serving;
    char *body;       /* what is sent; grant.body, or a copy with the fallback's model */
    uint64_t segment; /* of its send record */
    struct flight *next_free;
    bool is_used;
};

/* An outcome on its way to Redis. */
struct unsettled {
    struct settle_args args;
    struct gateway_provider *serving;
    uint64_t segments[2]; /* of the send and the reply record; 0: none */
    bool is_settled;
};

struct gateway {
    const struct provider_config *config;
    struct gateway_options options;
    const struct clock *clock;
    struct store *store; /* NULL before the first connection */
    struct limiter limiter;
    char identity[LIMITER_IDENTITY_MAX];
    struct journal *journal;
    struct transfer_pool *pool;
    struct bell *bell;
    struct gateway_provider *providers; /* [n_providers], as in the config */
    size_t n_providers;

    struct flight *flights; /* [GATEWAY_FLIGHTS_MAX] */
    struct flight *free_flights;
    size_t n_flights;
    struct unsettled *unsettled; /* [n_unsettled], oldest first */
    size_t n_unsettled, unsettled_capacity;
    struct batch *batches; /* list */
    size_t n_batches;
    uint64_t n_batches_begun; /* in this life: part of a tag */
    bool has_adopted;         /* batches of a former life are known; before, none is touched */

    bool is_connected; /* Redis answers */
    bool is_away_logged;
    char run_id[48];      /* of the Redis that we talked to last, "" before */
    int64_t reconnect_ms; /* monotonic: not before */
    int64_t reconnect_delay_ms;
    int64_t reserve_not_before_ms; /* pause after a replay */
    bool is_journal_ill;           /* the disk refuses: nothing is sent or settled */
    int64_t settle_not_before_ms;  /* Redis refused a settlement: not before */

    bool is_draining;
    int64_t drain_deadline_ms;
    int64_t heartbeat_ms;
    int64_t started_unix_ms;
    uint64_t n_reconnects;
    uint64_t random_state;
};

/* gateway_send.c */
/* Take what the limiter grants, journal it, send it. Redis errors are returned. */
MUST_CHECK status_t gateway_send_granted(struct gateway *gateway, struct error *err);
/* Judge ended requests and journal the outcomes. */
void gateway_collect_answers(struct gateway *gateway);
/* Tell Redis about journaled outcomes. Redis errors are returned; the rest stays queued. */
MUST_CHECK status_t gateway_settle(struct gateway *gateway, struct error *err);
/* Queue an outcome; takes `args`. Errors: ST_NO_MEMORY (args freed). */
MUST_CHECK status_t gateway_add_unsettled(struct gateway *gateway, struct settle_args *args,
                                          struct gateway_provider *serving, uint64_t send_segment,
                                          uint64_t reply_segment, struct error *err);
/* Make the journal durable; keeps and logs whether the disk takes it. */
bool gateway_sync_journal(struct gateway *gateway);

/* A free flight, marked used; there must be one. Given back with gateway_free_flight(). */
struct flight *gateway_take_flight(struct gateway *gateway);
void gateway_free_flight(struct gateway *gateway, struct flight *flight);
/* Write the outcome of a send to the journal (if it was sent) and queue it for Redis. */
void gateway_end_send(struct gateway *gateway, const struct grant *grant,
                      struct gateway_provider *serving, const struct settlement *outcome,
                      uint64_t send_segment, bool was_sent);
double gateway_next_jitter(struct gateway *gateway);

/* gateway_batch.c */
/* Take what the limiter grants into the provider's batch. Redis errors are returned. */
MUST_CHECK status_t gateway_batch_collect(struct gateway *gateway, struct gateway_provider *queue,
                                          struct error *err);
/* Do what is due for every batch, and when the next thing will be (monotonic ms). */
void gateway_batch_step(struct gateway *gateway);
int64_t gateway_batch_next_ms(const struct gateway *gateway);
/* A request of a batch ended. Takes the flight. */
void gateway_batch_answered(struct gateway *gateway, struct flight *flight,
                            const struct transfer *transfer);
/* Begin its next request; on failure it is tried again later. */
void gateway_batch_request(struct gateway *gateway, struct batch *batch,
                           const struct transfer_request *request);
/* Settle every open call with `outcome`; what it says about the provider is said once. */
void gateway_batch_settle_all(struct gateway *gateway, struct batch *batch,
                              const struct settlement *outcome, bool was_sent);
void gateway_batch_settle(struct gateway *gateway, struct batch *batch, struct batch_member *member,
                          const struct settlement *outcome, bool was_sent);
/* Append its record and make it durable. */
bool gateway_batch_record(struct gateway *gateway, struct batch *batch);
/* The next step after so many seconds, at least a fifth of one. */
void gateway_batch_wait(struct gateway *gateway, struct batch *batch, double seconds);

/* gateway_results.c */
void gateway_batch_look(struct gateway *gateway, struct batch *batch);
void gateway_batch_looked(struct gateway *gateway, struct batch *batch,
                          const struct transfer *transfer);
void gateway_batch_poll(struct gateway *gateway, struct batch *batch);
void gateway_batch_polled(struct gateway *gateway, struct batch *batch,
                          const struct transfer *transfer);
void gateway_batch_fetch(struct gateway *gateway, struct batch *batch);
void gateway_batch_fetched(struct gateway *gateway, struct batch *batch,
                           const struct transfer *transfer);
/* Replay of the journal at a start: a record of a batch; a settled call; then follow those that
 * are not over. Once batches were adopted, a replay (Redis restarted) changes nothing here. */
void gateway_batch_begin_replay(struct gateway *gateway);
void gateway_batch_note_record(struct gateway *gateway, const struct journal_record *record);
void gateway_batch_note_reply(struct gateway *gateway, const char *id, uint64_t attempt);
void gateway_batch_adopt(struct gateway *gateway);
bool gateway_batch_holds(const struct gateway *gateway, const char *id, uint64_t attempt);
void gateway_batch_forget_all(struct gateway *gateway);

/* gateway_recover.c */
/* After (re)connecting: replay the journal if this is a start or Redis restarted, then settle
 * whatever Redis believes us to hold and we do not. */
MUST_CHECK status_t gateway_recover(struct gateway *gateway, struct error *err);

/* gateway_report.c */
void gateway_count_outcome(struct gateway_provider *serving, const struct settlement *outcome);
void gateway_log_outcome(struct gateway *gateway, struct gateway_provider *serving,
                         const struct grant *grant, const struct settlement *outcome);
MUST_CHECK status_t gateway_write_heartbeat(struct gateway *gateway, struct error *err);

struct gateway_provider *gateway_find_provider(struct gateway *gateway, const char *name);

#endif
