/* Counters, heartbeat, log lines about providers. See gateway_parts.h. */
#include "common/log.h"
#include "coordinator/gateway/gateway_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PROBLEM_EVERY_MS = 30000, /* the same trouble is logged again after this */
    PROBLEM_APART_MS = 1000,  /* other trouble of the same provider after this */
    PROBLEM_OVER_MS = 5000,   /* replies without trouble for so long: it works again */
    FIELD_SIZE = 64
};

/* Upper bounds of the latency histogram, in ms; the last bucket has none. */
static const int64_t bucket_ms[GATEWAY_LATENCY_BUCKETS] = {
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 20000, 40000, 80000, INT64_MAX};

void gateway_count_outcome(struct gateway_provider *serving, const struct settlement *outcome)
{
    struct provider_stats *stats = &serving->stats;
    stats->n_429 += outcome->http_status == 429 || outcome->http_status == 529;
    stats->n_5xx += outcome->http_status >= 500 && outcome->http_status != 529;
    stats->broken += outcome->charge == CHARGE_UNKNOWN;
    stats->unsent += outcome->charge == CHARGE_UNSENT;
    stats->retries += outcome->next == NEXT_AGAIN;
    stats->failed += outcome->next == NEXT_FAIL;
    if (outcome->next != NEXT_DONE) return;
    size_t bucket = 0;
    while (outcome->latency_ms > bucket_ms[bucket]) bucket++;
    stats->replies++;
    stats->latency_ms[bucket]++;
    stats->latency_total_ms += (uint64_t)outcome->latency_ms;
    stats->tokens_in += outcome->completion.tokens_in;
    stats->tokens_out += outcome->completion.tokens_out;
}

/* Failed calls are logged one by one, troubles of a provider once when they change and then every
 * half minute: 16,384 refused calls are one line. */
void gateway_log_outcome(struct gateway *gateway, struct gateway_provider *serving,
                         const struct grant *grant, const struct settlement *outcome)
{
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    if (outcome->next == NEXT_DONE) {
        if (!serving->last_problem[0] || now_ms - serving->problem_seen_ms < PROBLEM_OVER_MS)
            return;
        log_event(LOG_INFO, "provider_works",
                  LOG_TEXT("provider", serving->limited.provider->name));
        serving->last_problem[0] = '\0';
        return;
    }
    serving->problem_seen_ms = now_ms;
    if (outcome->next == NEXT_FAIL)
        log_event(LOG_WARN, "call_failed", LOG_TEXT("call", grant->id),
                  LOG_TEXT("sweep", grant->sweep_id), LOG_TEXT("reason", outcome->reason));
    const bool is_same = strcmp(serving->last_problem, outcome->reason) == 0;
    if (serving->last_problem[0] &&
        now_ms - serving->last_problem_ms < (is_same ? PROBLEM_EVERY_MS : PROBLEM_APART_MS))
        return;
    (void)snprintf(serving->last_problem, sizeof serving->last_problem, "%s", outcome->reason);
    serving->last_problem_ms = now_ms;
    if (outcome->next == NEXT_AGAIN)
        log_event(LOG_WARN, "provider_trouble",
                  LOG_TEXT("provider", serving->limited.provider->name),
                  LOG_TEXT("reason", outcome->reason));
}

/* ---- heartbeat --------------------------------------------------------------------------- */

static status_t put_number(struct gateway *gateway, const char *field, uint64_t value,
                           struct error *err)
{
    return store_queue(gateway->store, err, "HSET interp:gateway:%s %s %llu", gateway->options.name,
                       field, (unsigned long long)value);
}

static status_t put_provider_number(struct gateway *gateway, const char *provider,
                                    const char *field, uint64_t value, struct error *err)
{
    char name[CALL_NAME_MAX + FIELD_SIZE + 2];
    (void)snprintf(name, sizeof name, "%s:%s", provider, field);
    return put_number(gateway, name, value, err);
}

static status_t put_latency(struct gateway *gateway, const struct gateway_provider *provider,
                            struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < GATEWAY_LATENCY_BUCKETS; i++) {
        char field[FIELD_SIZE];
        if (bucket_ms[i] == INT64_MAX)
            (void)snprintf(field, sizeof field, "latency_le_inf");
        else
            (void)snprintf(field, sizeof field, "latency_le_%" PRId64, bucket_ms[i]);
        status = put_provider_number(gateway, provider->limited.provider->name, field,
                                     provider->stats.latency_ms[i], err);
    }
    return status;
}

/* Can this gateway ask the provider? A name of each kind for all gateways, gone with the last of
 * them: coordinators tell a provider that nobody can ask from one that nobody asks. */
static status_t put_reach(struct gateway *gateway, const struct gateway_provider *provider,
                          struct error *err)
{
    const char *name = provider->limited.provider->name, *mine = gateway->options.name;
    if (provider->is_usable) {
        const status_t status =
            store_queue(gateway->store, err, "HDEL interp:gateway:%s %s:unusable", mine, name);
        return status == ST_OK ? store_queue(gateway->store, err, "SET interp:served:{%s} %s EX %d",
                                             name, mine, GATEWAY_HEARTBEAT_TTL_SECONDS)
                               : status;
    }
    const status_t status =
        store_queue(gateway->store, err, "HSET interp:gateway:%s %s:unusable %s", mine, name,
                    provider->last_problem);
    return status == ST_OK
               ? store_queue(gateway->store, err, "SET interp:unserved:{%s} %s EX %d", name,
                             provider->last_problem, GATEWAY_HEARTBEAT_TTL_SECONDS)
               : status;
}

static status_t put_provider(struct gateway *gateway, const struct gateway_provider *provider,
                             struct error *err)
{
    const struct provider_stats *s = &provider->stats;
    const char *name = provider->limited.provider->name;
    const struct {
        const char *field;
        uint64_t value;
    } numbers[] = {{"sent", s->sent},
                   {"replies", s->replies},
                   {"retries", s->retries},
                   {"failed", s->failed},
                   {"429", s->n_429},
                   {"5xx", s->n_5xx},
                   {"broken", s->broken},
                   {"unsent", s->unsent},
                   {"tokens_in", s->tokens_in},
                   {"tokens_out", s->tokens_out},
                   {"latency_ms_total", s->latency_total_ms}};
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < sizeof numbers / sizeof numbers[0]; i++)
        status = put_provider_number(gateway, name, numbers[i].field, numbers[i].value, err);
    if (status == ST_OK) status = put_latency(gateway, provider, err);
    if (status == ST_OK) status = put_reach(gateway, provider, err);
    if (status == ST_OK)
        status = store_queue(gateway->store, err, "HSET interp:gateway:%s %s:waits_for %s",
                             gateway->options.name, name, provider->waits_for);
    return status;
}

status_t gateway_write_heartbeat(struct gateway *gateway, struct error *err)
{
    status_t status =
        put_number(gateway, "heartbeat_unix_ms", (uint64_t)clock_unix_ms(gateway->clock), err);
    if (status == ST_OK)
        status = put_number(gateway, "started_unix_ms", (uint64_t)gateway->started_unix_ms, err);
    if (status == ST_OK) status = put_number(gateway, "pid", (uint64_t)getpid(), err);
    if (status == ST_OK) status = put_number(gateway, "in_flight", gateway->n_flights, err);
    if (status == ST_OK) status = put_number(gateway, "unsettled", gateway->n_unsettled, err);
    if (status == ST_OK) status = put_number(gateway, "batches", gateway->n_batches, err);
    if (status == ST_OK) status = put_number(gateway, "reconnects", gateway->n_reconnects, err);
    if (status == ST_OK)
        status = put_number(gateway, "journal_bytes", journal_n_bytes(gateway->journal), err);
    for (size_t p = 0; status == ST_OK && p < gateway->n_providers; p++)
        status = put_provider(gateway, &gateway->providers[p], err);
    if (status == ST_OK)
        status = store_queue(gateway->store, err, "EXPIRE interp:gateway:%s %d",
                             gateway->options.name, GATEWAY_HEARTBEAT_TTL_SECONDS);
    if (status == ST_OK) status = store_drain(gateway->store, NULL, NULL, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "heartbeat");
}
