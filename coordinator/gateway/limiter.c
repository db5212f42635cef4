#include "coordinator/gateway/limiter.h"

#include "coordinator/gateway/call_script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char embed_coordinator_gateway_reserve_lua[];
extern const char embed_coordinator_gateway_settle_lua[];

enum { GRANT_FIELDS = 9, BATCHED_CALLS_MAX = 1000000 };

status_t limited_provider_init(struct limited_provider *out, const struct provider *provider,
                               double dollars_per_day, struct error *err)
{
    const double rate = LIMITER_RATE_SHARE, burst = provider->burst_seconds;
    const double margin = fmin(LIMITER_JITTER_SECONDS, burst / 4);
    *out = (struct limited_provider){.provider = provider};
    out->limits = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:i, s:b, s:b, s:b, s:f, s:f, s:f, s:f}", "rpm",
        rate * (double)provider->rpm, "itpm", rate * (double)provider->itpm, "otpm",
        rate * (double)provider->otpm, "tpm", rate * (double)provider->tpm, "burst_seconds",
        burst - margin, "max_in_flight",
        provider->batch ? BATCHED_CALLS_MAX : (int)provider->max_in_flight, "adaptive",
        provider_is_adaptive(provider), "p90_output", provider->reserve_output == RESERVE_P90,
        "is_batch", provider->batch, "enqueued_tokens", (double)provider->batch_enqueued_tokens,
        "microdollars_in", (double)provider_price_in(provider), "microdollars_out",
        (double)provider_price_out(provider), "day_microdollars", round(dollars_per_day * 1e6));
    out->limits_text = out->limits ? json_dumps(out->limits, JSON_COMPACT) : NULL;
    if (out->limits_text) return ST_OK;
    limited_provider_fini(out);
    return error_set(err, ST_NO_MEMORY, "limits of provider %s", provider->name);
}

void limited_provider_fini(struct limited_provider *provider)
{
    json_decref(provider->limits);
    free(provider->limits_text);
    *provider = (struct limited_provider){.limits = NULL};
}

status_t limiter_init(struct limiter *limiter, struct store *store, const char *identity,
                      struct error *err)
{
    *limiter = (struct limiter){.store = store};
    (void)snprintf(limiter->identity, sizeof limiter->identity, "%s", identity);
    limiter->reserve = call_script("reserve", embed_coordinator_gateway_reserve_lua);
    limiter->settle = call_script("settle", embed_coordinator_gateway_settle_lua);
    const status_t status = store_register_script(store, &limiter->reserve, err);
    return status == ST_OK ? store_register_script(store, &limiter->settle, err) : status;
}

void grant_fini(struct grant *grant)
{
    free(grant->body);
    *grant = (struct grant){.body = NULL};
}

static uint64_t field_number(const redisReply *grant, size_t i)
{
    return strtoull(grant->element[i]->str, NULL, 10);
}

static status_t parse_grant(const redisReply *reply, struct grant *out, struct error *err)
{
    bool is_whole = reply->type == REDIS_REPLY_ARRAY && reply->elements == GRANT_FIELDS;
    for (size_t i = 0; is_whole && i < GRANT_FIELDS; i++)
        is_whole = reply->element[i]->type == REDIS_REPLY_STRING;
    if (!is_whole || reply->element[0]->len != HASH_HEX_SIZE - 1)
        return error_set(err, ST_INTERNAL, "reserve script: malformed grant");
    *out = (struct grant){
        .attempt = field_number(reply, 1),
        .tokens_in = field_number(reply, 3),
        .tokens_out = field_number(reply, 4),
        .microdollars = (int64_t)field_number(reply, 5),
        .n_strikes = (unsigned)field_number(reply, 6),
        .n_sends = (unsigned)field_number(reply, 7),
        .n_body_bytes = reply->element[8]->len,
    };
    (void)snprintf(out->id, sizeof out->id, "%s", reply->element[0]->str);
    (void)snprintf(out->sweep_id, sizeof out->sweep_id, "%s", reply->element[2]->str);
    out->body = malloc(out->n_body_bytes + 1);
    if (!out->body) return error_set(err, ST_NO_MEMORY, "body of call %.16s", out->id);
    memcpy(out->body, reply->element[8]->str, out->n_body_bytes + 1);
    return ST_OK;
}

static status_t parse_result(const redisReply *reply, struct reserve_result *out, struct error *err)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 || !reply->element[0]->str ||
        !reply->element[1]->str || reply->elements - 2 > LIMITER_GRANTS_MAX)
        return error_set(err, ST_INTERNAL, "reserve script: malformed answer");
    out->wait_ms = strtoll(reply->element[0]->str, NULL, 10);
    (void)snprintf(out->reason, sizeof out->reason, "%s", reply->element[1]->str);
    for (size_t i = 2; i < reply->elements; i++) {
        const status_t status = parse_grant(reply->element[i], &out->grants[out->n_grants], err);
        if (status != ST_OK) return status;
        out->n_grants++;
    }
    return ST_OK;
}

status_t limiter_reserve(struct limiter *limiter, const char *queue,
                         const struct limited_provider *serving, size_t n_most,
                         struct reserve_result *out, struct error *err)
{
    char most_text[24], lease_text[24];
    redisReply *reply = NULL;
    const unsigned long long lease_ms = 1000ull * provider_lease_seconds(serving->provider);
    (void)snprintf(most_text, sizeof most_text, "%zu",
                   n_most < LIMITER_GRANTS_MAX ? n_most : (size_t)LIMITER_GRANTS_MAX);
    (void)snprintf(lease_text, sizeof lease_text, "%llu", lease_ms);
    const char *const args[] = {queue,      serving->provider->name, limiter->identity, most_text,
                                lease_text, serving->limits_text};
    out->n_grants = 0;
    status_t status =
        store_run_script(limiter->store, &reply, &limiter->reserve, 0, 6, args, NULL, err);
    if (status == ST_OK) {
        status = parse_result(reply, out, err);
        freeReplyObject(reply);
    }
    if (status == ST_OK) return ST_OK;
    for (size_t i = 0; i < out->n_grants; i++) grant_fini(&out->grants[i]);
    out->n_grants = 0;
    return error_wrap(err, "reserve for provider %s", serving->provider->name);
}

static bool parse_held(const char *field, const char *value, const char *identity,
                       struct held_reservation *out)
{
    const char *mark = strchr(field, '#');
    json_t *record = json_loads(value, 0, NULL);
    const char *gateway = json_string_value(json_object_get(record, "gateway"));
    const char *sweep = json_string_value(json_array_get(json_object_get(record, "accounts"), 0));
    const bool is_ours = mark && mark - field == HASH_HEX_SIZE - 1 && gateway && sweep &&
                         strcmp(gateway, identity) == 0;
    if (is_ours) {
        *out = (struct held_reservation){.attempt = strtoull(mark + 1, NULL, 10)};
        (void)snprintf(out->id, sizeof out->id, "%.*s", HASH_HEX_SIZE - 1, field);
        (void)snprintf(out->sweep_id, sizeof out->sweep_id, "%s", sweep);
    }
    json_decref(record);
    return is_ours;
}

status_t limiter_read_held(struct limiter *limiter, const char *provider,
                           struct held_reservation **out, size_t *n_out, struct error *err)
{
    redisReply *reply = NULL;
    const status_t status =
        store_run(limiter->store, &reply, err, "HGETALL interp:reservation:{%s}", provider);
    if (status != ST_OK) return error_wrap(err, "reservations with provider %s", provider);
    struct held_reservation *held = calloc(reply->elements / 2 + 1, sizeof *held);
    if (!held) {
        freeReplyObject(reply);
        return error_set(err, ST_NO_MEMORY, "reservations with provider %s", provider);
    }
    *n_out = 0;
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (parse_held(reply->element[i]->str, reply->element[i + 1]->str, limiter->identity,
                       &held[*n_out]))
            (*n_out)++;
    freeReplyObject(reply);
    *out = held;
    return ST_OK;
}
