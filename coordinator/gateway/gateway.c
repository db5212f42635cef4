/* The loop: start, connect, wait, drain. See gateway.h and gateway_parts.h. */
#include "coordinator/gateway/gateway.h"

#include "common/file.h"
#include "common/log.h"
#include "coordinator/gateway/gateway_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- building ---------------------------------------------------------------------------- */

struct gateway_provider *gateway_find_provider(struct gateway *gateway, const char *name)
{
    for (size_t p = 0; p < gateway->n_providers; p++)
        if (strcmp(gateway->providers[p].limited.provider->name, name) == 0)
            return &gateway->providers[p];
    return NULL;
}

static status_t add_provider(struct gateway *gateway, const struct provider *provider,
                             struct error *err)
{
    struct error why;
    struct gateway_provider *added = &gateway->providers[gateway->n_providers];
    status_t status =
        limited_provider_init(&added->limited, provider, gateway->config->dollars_per_day, err);
    if (status != ST_OK) return status;
    gateway->n_providers++;
    error_clear(&why);
    added->is_usable = transfer_target_init(&added->target, provider, &why) == ST_OK;
    if (added->is_usable) return ST_OK;
    (void)snprintf(added->last_problem, sizeof added->last_problem, "%.300s", why.text);
    log_event(LOG_WARN, "provider_unusable", LOG_TEXT("provider", provider->name),
              LOG_TEXT("reason", why.text));
    return ST_OK;
}

static status_t add_providers(struct gateway *gateway, struct error *err)
{
    size_t n_usable = 0;
    gateway->providers = calloc(gateway->config->n_providers, sizeof *gateway->providers);
    if (!gateway->providers) return error_set(err, ST_NO_MEMORY, "providers");
    for (size_t i = 0; i < gateway->config->n_providers; i++) {
        const status_t status = add_provider(gateway, &gateway->config->providers[i], err);
        if (status != ST_OK) return status;
        n_usable += gateway->providers[i].is_usable;
    }
    if (n_usable == 0)
        return error_set(err, ST_BAD_INPUT, "no usable provider: %s",
                         gateway->providers[0].last_problem);
    for (size_t i = 0; i < gateway->n_providers; i++) {
        const char *name = gateway->config->providers[i].fallback;
        struct gateway_provider *fallback = name ? gateway_find_provider(gateway, name) : NULL;
        gateway->providers[i].fallback = fallback && fallback->is_usable ? fallback : NULL;
    }
    return ST_OK;
}

static status_t open_journal(struct gateway *gateway, struct error *err)
{
    char *directory = file_join(gateway->options.journal_directory, gateway->options.name);
    if (!directory) return error_set(err, ST_NO_MEMORY, "journal path");
    const status_t status = journal_open(&gateway->journal, directory, gateway->clock, err);
    free(directory);
    if (status == ST_OK)
        (void)snprintf(gateway->identity, sizeof gateway->identity, "%s.%s", gateway->options.name,
                       journal_id(gateway->journal));
    return status;
}

static status_t make_flights(struct gateway *gateway, struct error *err)
{
    gateway->flights = calloc(GATEWAY_FLIGHTS_MAX, sizeof *gateway->flights);
    if (!gateway->flights) return error_set(err, ST_NO_MEMORY, "flights");
    for (size_t i = GATEWAY_FLIGHTS_MAX; i > 0; i--) {
        gateway->flights[i - 1].next_free = gateway->free_flights;
        gateway->free_flights = &gateway->flights[i - 1];
    }
    return ST_OK;
}

static void wake_loop(void *context)
{
    transfer_pool_wake(context);
}

status_t gateway_create(struct gateway **out, const struct provider_config *config,
                        const struct gateway_options *options, const struct clock *clock,
                        struct error *err)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (!gateway) return error_set(err, ST_NO_MEMORY, "gateway");
    gateway->config = config;
    gateway->options = *options;
    gateway->clock = clock;
    gateway->started_unix_ms = clock_unix_ms(clock);
    gateway->random_state =
        hash_mix64((uint64_t)clock_monotonic_ns(clock) ^ (uint64_t)getpid() << 40);
    status_t status = ST_OK;
    if (!call_name_is_valid(options->name))
        status = error_set(err, ST_BAD_INPUT, "gateway name '%.80s' is not valid", options->name);
    if (status == ST_OK) status = open_journal(gateway, err);
    if (status == ST_OK) status = add_providers(gateway, err);
    if (status == ST_OK) status = make_flights(gateway, err);
    if (status == ST_OK)
        status = transfer_pool_create(&gateway->pool, GATEWAY_FLIGHTS_MAX, clock, err);
    if (status == ST_OK)
        status = bell_start(&gateway->bell, options->redis_url, wake_loop, gateway->pool, err);
    if (status != ST_OK) {
        gateway_destroy(&gateway);
        return status;
    }
    *out = gateway;
    return ST_OK;
}

void gateway_destroy(struct gateway **gateway)
{
    struct gateway *g = *gateway;
    if (!g) return;
    bell_stop(&g->bell); /* before the pool that it wakes */
    transfer_pool_destroy(&g->pool);
    for (size_t i = 0; g->flights && i < GATEWAY_FLIGHTS_MAX; i++) {
        if (g->flights[i].body != g->flights[i].grant.body) free(g->flights[i].body);
        grant_fini(&g->flights[i].grant);
    }
    gateway_batch_forget_all(g);
    for (size_t i = 0; i < g->n_unsettled; i++) settle_args_fini(&g->unsettled[i].args);
    for (size_t p = 0; p < g->n_providers; p++) {
        transfer_target_fini(&g->providers[p].target);
        limited_provider_fini(&g->providers[p].limited);
    }
    store_close(&g->store);
    journal_close(&g->journal);
    free(g->unsettled);
    free(g->flights);
    free(g->providers);
    free(g);
    *gateway = NULL;
}

/* ---- Redis -------------------------------------------------------------------------------- */

static void note_away(struct gateway *gateway, const struct error *why)
{
    gateway->is_connected = false;
    gateway->reconnect_delay_ms =
        gateway->reconnect_delay_ms ? gateway->reconnect_delay_ms * 2 : 50;
    if (gateway->reconnect_delay_ms > GATEWAY_RECONNECT_MAX_MS)
        gateway->reconnect_delay_ms = GATEWAY_RECONNECT_MAX_MS;
    gateway->reconnect_ms = clock_monotonic_ms(gateway->clock) + gateway->reconnect_delay_ms;
    if (!gateway->is_away_logged)
        log_event(LOG_ERROR, "redis_away", LOG_TEXT("error", why->text),
                  LOG_TEXT("effect", "nothing is sent until it is back"));
    gateway->is_away_logged = true;
}

static status_t open_store(struct gateway *gateway, struct error *err)
{
    if (gateway->store) return store_connect(gateway->store, err);
    status_t status =
        store_open(&gateway->store, gateway->options.redis_url, GATEWAY_REDIS_TIMEOUT_MS, err);
    if (status == ST_OK)
        status = limiter_init(&gateway->limiter, gateway->store, gateway->identity, err);
    if (status != ST_OK) store_close(&gateway->store);
    return status;
}

/* A provider that a person had to repair (key, URL) is tried again at once after a restart. */
static status_t retry_config_breakers(struct gateway *gateway, struct error *err)
{
    status_t status = ST_OK;
    for (size_t p = 0; status == ST_OK && p < gateway->n_providers; p++) {
        redisReply *reply = NULL;
        const char *name = gateway->providers[p].limited.provider->name;
        status =
            store_run(gateway->store, &reply, err, "HGET interp:limit:{%s} breaker_kind", name);
        if (status != ST_OK) break;
        const bool is_config = reply->str && strcmp(reply->str, "config") == 0;
        freeReplyObject(reply);
        if (is_config)
            status = store_run(gateway->store, NULL, err,
                               "HSET interp:limit:{%s} breaker_until 0 breaker_backoff 0", name);
    }
    return status;
}

static status_t connect_store(struct gateway *gateway, struct error *err)
{
    const bool is_start = gateway->run_id[0] == '\0';
    status_t status = open_store(gateway, err);
    if (status == ST_OK) status = gateway_recover(gateway, err);
    if (status == ST_OK && is_start) status = retry_config_breakers(gateway, err);
    if (status != ST_OK) return status;
    gateway->is_connected = true;
    gateway->reconnect_delay_ms = 0;
    gateway->n_reconnects += !is_start;
    if (gateway->is_away_logged)
        log_event(LOG_INFO, "redis_back", LOG_NUMBER("unsettled", gateway->n_unsettled));
    gateway->is_away_logged = false;
    for (size_t p = 0; p < gateway->n_providers; p++) gateway->providers[p].next_reserve_ms = 0;
    return ST_OK;
}

/* ---- the loop ----------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How long the loop may sleep. */
static int wait_ms(const struct gateway *gateway)
{
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    int64_t at_ms = now_ms + 200;
    if (!gateway->is_connected) {
        at_ms = earlier(at_ms, gateway->reconnect_ms);
    } else {
        at_ms = earlier(at_ms, gateway->heartbeat_ms);
        if (gateway->n_unsettled) at_ms = earlier(at_ms, gateway->settle_not_before_ms);
        for (size_t p = 0; !gateway->is_draining && p < gateway->n_providers; p++)
            if (gateway->providers[p].is_usable && gateway->n_flights < GATEWAY_FLIGHTS_MAX)
                at_ms = earlier(at_ms, gateway->providers[p].next_reserve_ms);
        if (gateway->reserve_not_before_ms > now_ms)
            at_ms = earlier(now_ms + 50, gateway->reserve_not_before_ms);
    }
    at_ms = earlier(at_ms, gateway_batch_next_ms(gateway));
    if (gateway->is_journal_ill) at_ms = now_ms + 200;
    return at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
}

static void start_drain(struct gateway *gateway)
{
    gateway->is_draining = true;
    gateway->drain_deadline_ms =
        clock_monotonic_ms(gateway->clock) + 1000 * (int64_t)gateway->options.drain_seconds;
    log_event(LOG_INFO, "draining", LOG_NUMBER("in_flight", gateway->n_flights));
}

static status_t run_transfers(struct gateway *gateway, struct error *err)
{
    struct curl_waitfd signal = {.fd = gateway->options.signal_fd, .events = CURL_WAIT_POLLIN};
    const unsigned n_fds = gateway->options.signal_fd >= 0 && !gateway->is_draining ? 1 : 0;
    const status_t status = transfer_pool_run(gateway->pool, wait_ms(gateway), &signal, n_fds, err);
    if (status == ST_OK && n_fds && signal.revents) start_drain(gateway);
    return status;
}

/* Everything that needs Redis, in the order that shortens the time a reply is only ours. */
static status_t talk_to_redis(struct gateway *gateway, struct error *err)
{
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    status_t status = ST_OK;
    if (!gateway->is_connected) {
        if (now_ms < gateway->reconnect_ms) return ST_OK;
        status = connect_store(gateway, err);
    }
    if (status == ST_OK && !gateway->is_journal_ill) status = gateway_settle(gateway, err);
    if (status == ST_OK && !gateway->is_draining) status = gateway_send_granted(gateway, err);
    if (status == ST_OK && now_ms >= gateway->heartbeat_ms) {
        gateway->heartbeat_ms = now_ms + GATEWAY_HEARTBEAT_MS;
        if (gateway->n_unsettled == 0) journal_trim(gateway->journal);
        status = gateway_write_heartbeat(gateway, err);
    }
    return status;
}

static bool is_over(const struct gateway *gateway)
{
    if (!gateway->is_draining) return false;
    if (gateway->n_flights == 0 && gateway->n_unsettled == 0) return true;
    return clock_monotonic_ms(gateway->clock) >= gateway->drain_deadline_ms;
}

static status_t run_once(struct gateway *gateway, struct error *err)
{
    struct error redis;
    const status_t status = run_transfers(gateway, err);
    if (status != ST_OK) return status;
    gateway_collect_answers(gateway);
    gateway_batch_step(gateway);
    (void)gateway_sync_journal(gateway);
    if (bell_has_rung(gateway->bell))
        for (size_t p = 0; p < gateway->n_providers; p++) gateway->providers[p].next_reserve_ms = 0;
    error_clear(&redis);
    if (talk_to_redis(gateway, &redis) != ST_OK) note_away(gateway, &redis);
    return ST_OK;
}

status_t gateway_run(struct gateway *gateway, struct error *err)
{
    status_t status = ST_OK;
    while (status == ST_OK && !is_over(gateway)) status = run_once(gateway, err);
    if (status != ST_OK) return status;
    if (gateway->is_connected && store_run(gateway->store, NULL, NULL, "DEL interp:gateway:%s",
                                           gateway->options.name) != ST_OK)
        gateway->is_connected = false; /* the heartbeat expires by itself */
    if (gateway->n_flights || gateway->n_unsettled)
        return error_set(err, ST_TIMEOUT,
                         "stopped with %zu calls in flight and %zu replies not told to Redis; the "
                         "journal in %s/%s has them",
                         gateway->n_flights, gateway->n_unsettled,
                         gateway->options.journal_directory, gateway->options.name);
    return ST_OK;
}
