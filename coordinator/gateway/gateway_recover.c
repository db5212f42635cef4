/* What the journal and Redis say about calls of a former life. See gateway_parts.h.
 *
 * Redis knows which reservations this gateway (name and journal) holds. For each:
 *   in flight now, or its outcome is queued   nothing to do
 *   reply in the journal                      settled again by the replay (idempotent)
 *   in a batch that the journal knows         the batch is followed (batch.h)
 *   send in the journal, no reply             its fate is unknown: uncertain, sent once more
 *   not in the journal                        it never went out: given back */
#include "common/log.h"
#include "coordinator/gateway/gateway_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sent {
    char id[HASH_HEX_SIZE];
    uint64_t attempt;
};

struct replay {
    struct gateway *gateway;
    struct sent *sent; /* [n_sent], every send record */
    size_t n_sent, capacity;
    size_t n_replies;
};

static status_t note_send(struct replay *replay, const struct journal_record *record,
                          struct error *err)
{
    if (record->n_fields != JOURNAL_FIELDS_MAX || record->n_bytes[1] != HASH_HEX_SIZE - 1)
        return ST_OK; /* of another version: the lease will settle it */
    if (replay->n_sent == replay->capacity) {
        const size_t capacity = replay->capacity ? replay->capacity * 2 : 256;
        void *grown = realloc(replay->sent, capacity * sizeof *replay->sent);
        if (!grown) return error_set(err, ST_NO_MEMORY, "journal replay");
        replay->sent = grown;
        replay->capacity = capacity;
    }
    struct sent *sent = &replay->sent[replay->n_sent++];
    (void)snprintf(sent->id, sizeof sent->id, "%s", record->fields[1]);
    sent->attempt = strtoull(record->fields[2], NULL, 10);
    return ST_OK;
}

static status_t settle_again(struct replay *replay, const struct journal_record *record,
                             struct error *err)
{
    struct gateway *gateway = replay->gateway;
    redisReply *reply = NULL;
    struct error refusal;
    if (record->n_fields != SETTLE_N_ARGS) return ST_OK;
    gateway_batch_note_reply(gateway, record->fields[1], strtoull(record->fields[2], NULL, 10));
    error_clear(&refusal);
    const status_t status =
        store_run_script(gateway->store, &reply, &gateway->limiter.settle, 0, SETTLE_N_ARGS,
                         record->fields, record->n_bytes, &refusal);
    if (status == ST_OK) {
        freeReplyObject(reply);
        replay->n_replies++;
        return ST_OK;
    }
    if (status == ST_UNREACHABLE) return error_set(err, status, "%s", refusal.text);
    log_event(LOG_ERROR, "replay_refused", LOG_TEXT("call", record->fields[1]),
              LOG_TEXT("error", refusal.text));
    return ST_OK;
}

static status_t visit(void *context, const struct journal_record *record, struct error *err)
{
    struct replay *replay = context;
    switch (record->kind) {
    case JOURNAL_SEND: return note_send(replay, record, err);
    case JOURNAL_REPLY: return settle_again(replay, record, err);
    case JOURNAL_BATCH: gateway_batch_note_record(replay->gateway, record); return ST_OK;
    }
    return ST_OK;
}

static bool is_in_hand(const struct gateway *gateway, const struct held_reservation *held)
{
    char attempt[24];
    (void)snprintf(attempt, sizeof attempt, "%llu", (unsigned long long)held->attempt);
    for (size_t i = 0; i < GATEWAY_FLIGHTS_MAX; i++)
        if (gateway->flights[i].is_used && gateway->flights[i].grant.attempt == held->attempt)
            return true;
    for (size_t i = 0; i < gateway->n_unsettled; i++)
        if (strcmp(gateway->unsettled[i].args.texts[2], attempt) == 0 &&
            strcmp(gateway->unsettled[i].args.texts[1], held->id) == 0)
            return true;
    return gateway_batch_holds(gateway, held->id, held->attempt);
}

static bool was_sent(const struct replay *replay, const struct held_reservation *held)
{
    for (size_t i = replay->n_sent; i > 0; i--)
        if (replay->sent[i - 1].attempt == held->attempt &&
            strcmp(replay->sent[i - 1].id, held->id) == 0)
            return true;
    return false;
}

static status_t settle_held(struct gateway *gateway, struct gateway_provider *serving,
                            const struct held_reservation *held, bool is_sent, struct error *err)
{
    struct settlement outcome;
    struct settle_args args;
    struct grant grant = {.attempt = held->attempt};
    (void)snprintf(grant.id, sizeof grant.id, "%s", held->id);
    (void)snprintf(grant.sweep_id, sizeof grant.sweep_id, "%s", held->sweep_id);
    if (is_sent)
        outcome_lost("sent before a crash; no reply is known", &outcome);
    else
        outcome_unsent("granted before a crash, never sent", &outcome);
    status_t status =
        settlement_encode(&outcome, &gateway->limiter, &grant, &serving->limited, &args, err);
    if (status == ST_OK) status = gateway_add_unsettled(gateway, &args, serving, 0, 0, err);
    if (status == ST_OK && is_sent)
        log_event(LOG_WARN, "call_uncertain", LOG_TEXT("call", held->id),
                  LOG_NUMBER("attempt", held->attempt), LOG_TEXT("sweep", held->sweep_id));
    return status;
}

static status_t recover_held(struct gateway *gateway, const struct replay *replay,
                             struct gateway_provider *serving, struct error *err)
{
    struct held_reservation *held = NULL;
    size_t n_held = 0;
    status_t status =
        limiter_read_held(&gateway->limiter, serving->limited.provider->name, &held, &n_held, err);
    for (size_t i = 0; status == ST_OK && i < n_held; i++)
        if (!is_in_hand(gateway, &held[i]))
            status = settle_held(gateway, serving, &held[i], was_sent(replay, &held[i]), err);
    free(held);
    return status;
}

/* The id that Redis draws at each start, to see whether it restarted. */
static status_t read_run_id(struct gateway *gateway, char out[48], struct error *err)
{
    redisReply *reply = NULL;
    const status_t status = store_run(gateway->store, &reply, err, "INFO server");
    if (status != ST_OK) return status;
    const char *line = reply->str ? strstr(reply->str, "run_id:") : NULL;
    (void)snprintf(out, 48, "%.40s", line ? line + strlen("run_id:") : "unknown");
    freeReplyObject(reply);
    return ST_OK;
}

status_t gateway_recover(struct gateway *gateway, struct error *err)
{
    const bool is_start = gateway->run_id[0] == '\0';
    struct replay replay = {.gateway = gateway};
    char run_id[48];
    size_t n_torn = 0;
    status_t status = read_run_id(gateway, run_id, err);
    gateway_batch_begin_replay(gateway);
    const bool is_replay = status == ST_OK && strcmp(run_id, gateway->run_id) != 0;
    if (is_replay) status = journal_replay(gateway->journal, visit, &replay, &n_torn, err);
    if (status == ST_OK) gateway_batch_adopt(gateway);
    for (size_t p = 0; status == ST_OK && p < gateway->n_providers; p++)
        status = recover_held(gateway, &replay, &gateway->providers[p], err);
    if (status == ST_OK) status = gateway_settle(gateway, err);
    if (status == ST_OK && is_replay) {
        if (replay.n_sent || replay.n_replies || n_torn)
            log_event(LOG_INFO, "journal_replayed", LOG_NUMBER("sends", replay.n_sent),
                      LOG_NUMBER("replies", replay.n_replies), LOG_NUMBER("torn", n_torn));
        (void)snprintf(gateway->run_id, sizeof gateway->run_id, "%s", run_id);
        if (!is_start)
            gateway->reserve_not_before_ms =
                clock_monotonic_ms(gateway->clock) + GATEWAY_REPLAY_PAUSE_MS;
    }
    free(replay.sent);
    return status;
}
