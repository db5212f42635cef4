/* Reserve -> journal -> send, and answer -> journal -> settle. See gateway_parts.h. */
#include "common/log.h"
#include "coordinator/gateway/gateway_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- outcomes ---------------------------------------------------------------------------- */

status_t gateway_add_unsettled(struct gateway *gateway, struct settle_args *args,
                               struct gateway_provider *serving, uint64_t send_segment,
                               uint64_t reply_segment, struct error *err)
{
    if (gateway->n_unsettled == gateway->unsettled_capacity) {
        const size_t capacity = gateway->unsettled_capacity ? gateway->unsettled_capacity * 2 : 64;
        void *grown = realloc(gateway->unsettled, capacity * sizeof *gateway->unsettled);
        if (!grown) {
            settle_args_fini(args);
            return error_set(err, ST_NO_MEMORY, "outcomes of calls");
        }
        gateway->unsettled = grown;
        gateway->unsettled_capacity = capacity;
    }
    gateway->unsettled[gateway->n_unsettled++] = (struct unsettled){
        .args = *args, .serving = serving, .segments = {send_segment, reply_segment}};
    *args = (struct settle_args){.texts = {NULL}};
    return ST_OK;
}

double gateway_next_jitter(struct gateway *gateway)
{
    gateway->random_state = hash_mix64(gateway->random_state);
    return (double)(gateway->random_state >> 11) * 0x1p-53;
}

struct flight *gateway_take_flight(struct gateway *gateway)
{
    struct flight *flight = gateway->free_flights;
    gateway->free_flights = flight->next_free;
    *flight = (struct flight){.is_used = true};
    gateway->n_flights++;
    return flight;
}

void gateway_free_flight(struct gateway *gateway, struct flight *flight)
{
    if (flight->body != flight->grant.body) free(flight->body);
    grant_fini(&flight->grant);
    *flight = (struct flight){.next_free = gateway->free_flights};
    gateway->free_flights = flight;
    gateway->n_flights--;
}

void gateway_end_send(struct gateway *gateway, const struct grant *grant,
                      struct gateway_provider *serving, const struct settlement *outcome,
                      uint64_t send_segment, bool was_sent)
{
    struct error err;
    struct settle_args args;
    uint64_t segment = 0;
    error_clear(&err);
    status_t status =
        settlement_encode(outcome, &gateway->limiter, grant, &serving->limited, &args, &err);
    if (status == ST_OK && was_sent) {
        const char *const fields[] = {args.texts[0], args.texts[1], args.texts[2],
                                      args.texts[3], args.texts[4], args.texts[5]};
        status = journal_append(gateway->journal, JOURNAL_REPLY, SETTLE_N_ARGS, fields,
                                args.n_bytes, &segment, &err);
        if (status != ST_OK) settle_args_fini(&args);
    }
    if (status == ST_OK)
        status = gateway_add_unsettled(gateway, &args, serving, send_segment, segment, &err);
    /* not written down: as after a crash, the lease runs out and the call counts as uncertain */
    if (status != ST_OK)
        log_event(LOG_ERROR, "outcome_lost", LOG_TEXT("call", grant->id),
                  LOG_TEXT("error", err.text));
}

static void end_flight(struct gateway *gateway, struct flight *flight,
                       const struct settlement *outcome, bool was_sent)
{
    gateway_end_send(gateway, &flight->grant, flight->serving, outcome, flight->segment, was_sent);
    gateway_free_flight(gateway, flight);
}

/* A request of one call ended. */
static void judge_answer(struct gateway *gateway, struct flight *flight,
                         const struct transfer *transfer)
{
    struct settlement outcome;
    struct gateway_provider *serving = flight->serving;
    outcome_judge(transfer, &flight->grant, serving->limited.provider, gateway_next_jitter(gateway),
                  &outcome);
    transfer_target_redact(&serving->target, outcome.reason);
    gateway_count_outcome(serving, &outcome);
    gateway_log_outcome(gateway, serving, &flight->grant, &outcome);
    end_flight(gateway, flight, &outcome, true);
    completion_fini(&outcome.completion);
}

void gateway_collect_answers(struct gateway *gateway)
{
    struct transfer *transfer;
    while ((transfer = transfer_next_ended(gateway->pool))) {
        struct flight *flight = transfer->context;
        if (flight->batch)
            gateway_batch_answered(gateway, flight, transfer);
        else
            judge_answer(gateway, flight, transfer);
        transfer_release(gateway->pool, transfer);
    }
}

bool gateway_sync_journal(struct gateway *gateway)
{
    struct error err;
    error_clear(&err);
    const bool was_ill = gateway->is_journal_ill;
    gateway->is_journal_ill = journal_sync(gateway->journal, &err) != ST_OK;
    if (gateway->is_journal_ill && !was_ill)
        log_event(LOG_ERROR, "journal_failed", LOG_TEXT("error", err.text),
                  LOG_TEXT("effect", "nothing is sent or settled until it works"));
    if (was_ill && !gateway->is_journal_ill)
        log_event(LOG_INFO, "journal_works", LOG_TEXT("effect", "sending again"));
    return !gateway->is_journal_ill;
}

/* ---- settle ------------------------------------------------------------------------------ */

struct settle_batch {
    struct gateway *gateway;
    char refusal[200]; /* the first error text of Redis, "" if none */
};

static void on_settled(void *context, size_t index, const redisReply *reply)
{
    struct settle_batch *batch = context;
    struct unsettled *item = &batch->gateway->unsettled[index];
    item->is_settled = reply->type != REDIS_REPLY_ERROR;
    if (!item->is_settled && !batch->refusal[0])
        (void)snprintf(batch->refusal, sizeof batch->refusal, "%s", reply->str);
}

/* Drop the settled ones among the first n; the providers may have room again. */
static void drop_settled(struct gateway *gateway, size_t n)
{
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    size_t n_kept = 0;
    for (size_t i = 0; i < gateway->n_unsettled; i++) {
        struct unsettled *item = &gateway->unsettled[i];
        if (i >= n || !item->is_settled) {
            gateway->unsettled[n_kept++] = *item;
            continue;
        }
        for (int s = 0; s < 2; s++)
            if (item->segments[s]) journal_release(gateway->journal, item->segments[s]);
        if (strcmp(item->serving->waits_for, "rpm") != 0)
            for (size_t p = 0; p < gateway->n_providers; p++)
                if (&gateway->providers[p] == item->serving ||
                    gateway->providers[p].fallback == item->serving)
                    gateway->providers[p].next_reserve_ms = now_ms;
        settle_args_fini(&item->args);
    }
    gateway->n_unsettled = n_kept;
}

static status_t settle_batch(struct gateway *gateway, size_t n, struct error *err)
{
    struct settle_batch batch = {.gateway = gateway};
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < n; i++) {
        const struct settle_args *args = &gateway->unsettled[i].args;
        const char *const texts[] = {args->texts[0], args->texts[1], args->texts[2],
                                     args->texts[3], args->texts[4], args->texts[5]};
        status = store_queue_script(gateway->store, &gateway->limiter.settle, 0, SETTLE_N_ARGS,
                                    texts, args->n_bytes, err);
    }
    if (status == ST_OK) {
        struct error refusal;
        error_clear(&refusal);
        status = store_drain(gateway->store, on_settled, &batch, &refusal);
        if (status == ST_INTERNAL || status == ST_CONFLICT)
            status = ST_OK; /* single refusals: kept, see below */
        else if (status != ST_OK)
            (void)error_set(err, status, "%s", refusal.text);
    }
    drop_settled(gateway, n);
    if (batch.refusal[0]) {
        log_event(LOG_ERROR, "settle_refused", LOG_TEXT("error", batch.refusal));
        gateway->settle_not_before_ms = clock_monotonic_ms(gateway->clock) + 1000;
    }
    return status;
}

status_t gateway_settle(struct gateway *gateway, struct error *err)
{
    status_t status = ST_OK;
    if (gateway->is_journal_ill) return ST_OK; /* what is not durable is not told */
    while (status == ST_OK && gateway->n_unsettled > 0 &&
           clock_monotonic_ms(gateway->clock) >= gateway->settle_not_before_ms)
        status = settle_batch(gateway,
                              gateway->n_unsettled < GATEWAY_SETTLE_BATCH ? gateway->n_unsettled
                                                                          : GATEWAY_SETTLE_BATCH,
                              err);
    return status;
}

/* ---- reserve and send -------------------------------------------------------------------- */

/* The body for another model: the fallback's name in place of the first provider's. */
static char *body_for(const struct grant *grant, const struct provider *serving, const char *queue)
{
    if (strcmp(serving->name, queue) == 0) return grant->body;
    json_t *body = json_loadb(grant->body, grant->n_body_bytes, JSON_ALLOW_NUL, NULL);
    char *text = NULL;
    if (body && json_object_set_new(body, "model", json_string(serving->model)) == 0)
        text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(body);
    return text;
}

/* A flight for a grant, with its send record in the journal's buffer. Takes the grant. */
static struct flight *prepare_flight(struct gateway *gateway, struct grant *grant,
                                     struct gateway_provider *serving, const char *queue)
{
    char attempt[24], tokens_in[24], tokens_out[24], cost[24], when[24];
    struct flight *flight = gateway_take_flight(gateway); /* there is one: n_most counted them */
    const struct provider *provider = serving->limited.provider;
    flight->grant = *grant;
    flight->serving = serving;
    flight->body = body_for(&flight->grant, provider, queue);
    (void)snprintf(attempt, sizeof attempt, "%llu", (unsigned long long)grant->attempt);
    (void)snprintf(tokens_in, sizeof tokens_in, "%llu", (unsigned long long)grant->tokens_in);
    (void)snprintf(tokens_out, sizeof tokens_out, "%llu", (unsigned long long)grant->tokens_out);
    (void)snprintf(cost, sizeof cost, "%lld", (long long)grant->microdollars);
    (void)snprintf(when, sizeof when, "%lld", (long long)clock_unix_ms(gateway->clock));
    const char *const fields[] = {provider->name, flight->grant.id, attempt, grant->sweep_id,
                                  tokens_in,      tokens_out,       cost,    when};
    size_t n_bytes[JOURNAL_FIELDS_MAX];
    for (size_t i = 0; i < JOURNAL_FIELDS_MAX; i++) n_bytes[i] = strlen(fields[i]);
    if (!flight->body || journal_append(gateway->journal, JOURNAL_SEND, JOURNAL_FIELDS_MAX, fields,
                                        n_bytes, &flight->segment, NULL) != ST_OK)
        flight->segment = 0;
    return flight;
}

static void give_back(struct gateway *gateway, struct flight *flight, const char *reason)
{
    struct settlement outcome;
    outcome_unsent(reason, &outcome);
    /* a reply record, since the send record may be on the disk */
    end_flight(gateway, flight, &outcome, flight->segment != 0);
}

static void launch(struct gateway *gateway, struct flight *flight)
{
    struct error err;
    error_clear(&err);
    if (transfer_start(gateway->pool, &flight->serving->target, flight->body, strlen(flight->body),
                       flight, &err) == ST_OK)
        flight->serving->stats.sent++;
    else
        give_back(gateway, flight, err.text);
}

static size_t n_free_flights(const struct gateway *gateway)
{
    const size_t n_free = GATEWAY_FLIGHTS_MAX - gateway->n_flights;
    return n_free < LIMITER_GRANTS_MAX ? n_free : LIMITER_GRANTS_MAX;
}

/* Reserve from one queue at one server; flights are appended to `list`. */
static status_t take_from(struct gateway *gateway, struct gateway_provider *queue,
                          struct gateway_provider *serving, struct flight **list, size_t *n_list,
                          struct error *err)
{
    struct reserve_result result;
    const size_t n_most = n_free_flights(gateway);
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    const status_t status = limiter_reserve(&gateway->limiter, queue->limited.provider->name,
                                            &serving->limited, n_most, &result, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < result.n_grants; i++)
        list[(*n_list)++] =
            prepare_flight(gateway, &result.grants[i], serving, queue->limited.provider->name);
    const int64_t wait_ms = result.wait_ms < 0 ? GATEWAY_IDLE_MS : result.wait_ms;
    queue->next_reserve_ms = now_ms + (wait_ms < GATEWAY_IDLE_MS ? wait_ms : GATEWAY_IDLE_MS);
    (void)snprintf(queue->waits_for, sizeof queue->waits_for, "%s", result.reason);
    return ST_OK;
}

static status_t take_for(struct gateway *gateway, struct gateway_provider *queue,
                         struct flight **list, size_t *n_list, struct error *err)
{
    status_t status = queue->limited.provider->batch
                          ? gateway_batch_collect(gateway, queue, err)
                          : take_from(gateway, queue, queue, list, n_list, err);
    if (status == ST_OK && queue->fallback && strcmp(queue->waits_for, "breaker") == 0 &&
        n_free_flights(gateway) > 0)
        status = take_from(gateway, queue, queue->fallback, list, n_list, err);
    return status;
}

status_t gateway_send_granted(struct gateway *gateway, struct error *err)
{
    status_t status = ST_OK;
    struct flight *list[2 * LIMITER_GRANTS_MAX];
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    if (gateway->is_journal_ill || now_ms < gateway->reserve_not_before_ms) return ST_OK;
    for (size_t p = 0; status == ST_OK && p < gateway->n_providers; p++) {
        struct gateway_provider *queue = &gateway->providers[p];
        size_t n_list = 0;
        if (!queue->is_usable || now_ms < queue->next_reserve_ms) continue;
        if (n_free_flights(gateway) == 0) break;
        status = take_for(gateway, queue, list, &n_list, err);
        const bool is_durable = n_list == 0 || gateway_sync_journal(gateway);
        for (size_t i = 0; i < n_list; i++) {
            if (!is_durable || list[i]->segment == 0)
                give_back(gateway, list[i], "it could not be journaled");
            else
                launch(gateway, list[i]);
        }
    }
    return status;
}
