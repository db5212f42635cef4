/* Budgets, ledgers, uncertain sends and the state of providers, as Redis holds them. */
#include "coordinator/gateway/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNCERTAIN_MAX = 1000000, SCAN_COUNT = 1000 };

status_t call_set_budget(struct store *store, const char *sweep_id, int64_t budget_microdollars,
                         double weight, struct error *err)
{
    if (!call_name_is_valid(sweep_id))
        return error_set(err, ST_BAD_INPUT, "sweep id '%.80s' is not valid", sweep_id);
    if (!(weight > 0 && weight <= 1e6))
        return error_set(err, ST_BAD_INPUT, "weight %g: more than 0, at most 1e6", weight);
    status_t status = store_queue(store, err, "HSET interp:ledger:%s weight %f", sweep_id, weight);
    if (status == ST_OK && budget_microdollars >= 0)
        status = store_queue(store, err, "HSET interp:ledger:%s budget_microdollars %lld", sweep_id,
                             (long long)budget_microdollars);
    if (status == ST_OK && budget_microdollars < 0)
        status = store_queue(store, err, "HDEL interp:ledger:%s budget_microdollars", sweep_id);
    if (status == ST_OK) /* found anew if it still is */
        status = store_queue(store, err, "HDEL interp:ledger:%s exhausted", sweep_id);
    if (status == ST_OK)
        status = store_queue(store, err, "XADD interp:doorbell MAXLEN 1 * sweep %s", sweep_id);
    if (status == ST_OK) status = store_drain(store, NULL, NULL, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "budget of sweep %s", sweep_id);
}

status_t call_set_paused(struct store *store, const char *sweep_id, bool is_paused,
                         struct error *err)
{
    if (!call_name_is_valid(sweep_id))
        return error_set(err, ST_BAD_INPUT, "sweep id '%.80s' is not valid", sweep_id);
    status_t status = is_paused
                          ? store_queue(store, err, "HSET interp:ledger:%s paused 1", sweep_id)
                          : store_queue(store, err, "HDEL interp:ledger:%s paused", sweep_id);
    if (status == ST_OK)
        status = store_queue(store, err, "XADD interp:doorbell MAXLEN 1 * sweep %s", sweep_id);
    const status_t drained = store_drain(store, NULL, NULL, err);
    return status == ST_OK ? drained : status;
}

static int64_t field_number(const redisReply *reply, size_t i, int64_t absent)
{
    const char *text = reply->element[i]->str;
    return text ? strtoll(text, NULL, 10) : absent;
}

status_t call_ledger_read(struct store *store, const char *sweep_id, struct call_ledger *out,
                          struct error *err)
{
    redisReply *reply = NULL;
    const status_t status = store_run(
        store, &reply, err,
        "HMGET interp:ledger:%s budget_microdollars reserved_microdollars spent_microdollars "
        "uncertain_microdollars tokens_in tokens_out calls cached failed uncertain_calls "
        "estimated_calls exhausted",
        sweep_id);
    if (status != ST_OK) return error_wrap(err, "ledger of sweep %s", sweep_id);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 12) {
        freeReplyObject(reply);
        return error_set(err, ST_CORRUPT, "ledger of sweep %s: unexpected answer", sweep_id);
    }
    *out = (struct call_ledger){
        .budget_microdollars = field_number(reply, 0, -1),
        .reserved_microdollars = field_number(reply, 1, 0),
        .spent_microdollars = field_number(reply, 2, 0),
        .uncertain_microdollars = field_number(reply, 3, 0),
        .tokens_in = (uint64_t)field_number(reply, 4, 0),
        .tokens_out = (uint64_t)field_number(reply, 5, 0),
        .calls = (uint64_t)field_number(reply, 6, 0),
        .cached = (uint64_t)field_number(reply, 7, 0),
        .failed = (uint64_t)field_number(reply, 8, 0),
        .uncertain_calls = (uint64_t)field_number(reply, 9, 0),
        .estimated_calls = (uint64_t)field_number(reply, 10, 0),
        .is_exhausted = field_number(reply, 11, 0) != 0,
    };
    freeReplyObject(reply);
    return ST_OK;
}

/* Field "<call id>#<attempt>" with a JSON value; false if it is not one of ours. */
static bool parse_uncertain(const char *field, const char *value, struct call_uncertain *out)
{
    const char *mark = strchr(field, '#');
    json_t *record = json_loads(value, 0, NULL);
    const char *sweep = json_string_value(json_object_get(record, "sweep"));
    const char *provider = json_string_value(json_object_get(record, "provider"));
    const char *reason = json_string_value(json_object_get(record, "reason"));
    const char *state = json_string_value(json_object_get(record, "state"));
    const bool is_whole = mark && mark - field == HASH_HEX_SIZE - 1 && sweep && provider && state;
    if (is_whole) {
        *out = (struct call_uncertain){
            .attempt = strtoull(mark + 1, NULL, 10),
            .microdollars = (int64_t)json_number_value(json_object_get(record, "microdollars")),
            .unix_ms = (int64_t)json_number_value(json_object_get(record, "unix_ms")),
            .is_settled = strcmp(state, "settled") == 0,
        };
        (void)snprintf(out->id, sizeof out->id, "%.*s", HASH_HEX_SIZE - 1, field);
        (void)snprintf(out->sweep_id, sizeof out->sweep_id, "%s", sweep);
        (void)snprintf(out->provider, sizeof out->provider, "%s", provider);
        (void)snprintf(out->reason, sizeof out->reason, "%s", reason ? reason : "");
    }
    json_decref(record);
    return is_whole;
}

struct uncertain_list {
    struct call_uncertain *items;
    size_t n_items, capacity;
};

static status_t add_page(struct uncertain_list *list, const redisReply *page, const char *sweep_id,
                         struct error *err)
{
    for (size_t i = 0; i + 1 < page->elements; i += 2) {
        struct call_uncertain item;
        if (!parse_uncertain(page->element[i]->str, page->element[i + 1]->str, &item)) continue;
        if (sweep_id && strcmp(sweep_id, item.sweep_id) != 0) continue;
        if (list->n_items == UNCERTAIN_MAX)
            return error_set(err, ST_TOO_LARGE, "more than %d uncertain calls", UNCERTAIN_MAX);
        if (list->n_items == list->capacity) {
            const size_t capacity = list->capacity ? list->capacity * 2 : 64;
            void *grown = realloc(list->items, capacity * sizeof *list->items);
            if (!grown) return error_set(err, ST_NO_MEMORY, "uncertain calls");
            list->items = grown;
            list->capacity = capacity;
        }
        list->items[list->n_items++] = item;
    }
    return ST_OK;
}

status_t call_uncertain_read(struct store *store, const char *sweep_id, struct call_uncertain **out,
                             size_t *n_out, struct error *err)
{
    struct uncertain_list list = {.items = NULL};
    char cursor[32] = "0";
    status_t status;
    do {
        redisReply *reply = NULL;
        status =
            store_run(store, &reply, err, "HSCAN interp:uncertain %s COUNT %d", cursor, SCAN_COUNT);
        if (status != ST_OK) break;
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->str) {
            (void)snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
            status = add_page(&list, reply->element[1], sweep_id, err);
        } else {
            status = error_set(err, ST_CORRUPT, "unexpected answer of Redis");
        }
        freeReplyObject(reply);
    } while (status == ST_OK && strcmp(cursor, "0") != 0);
    if (status != ST_OK) {
        free(list.items);
        return error_wrap(err, "list of uncertain calls");
    }
    *out = list.items;
    *n_out = list.n_items;
    return ST_OK;
}

/* Gateways say what they can ask and what not, and why (gateway_report.c). */
static status_t read_unserved(struct store *store, const char *provider, char out[256],
                              struct error *err)
{
    redisReply *reply = NULL;
    const status_t status = store_run(
        store, &reply, err, "MGET interp:served:{%s} interp:unserved:{%s}", provider, provider);
    out[0] = '\0';
    if (status != ST_OK) return status;
    const bool is_told = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (is_told && !reply->element[0]->str && reply->element[1]->str)
        (void)snprintf(out, 256, "%s", reply->element[1]->str);
    freeReplyObject(reply);
    return is_told ? ST_OK : error_set(err, ST_CORRUPT, "unexpected answer of Redis");
}

status_t call_provider_state_read(struct store *store, const char *provider,
                                  struct call_provider_state *out, struct error *err)
{
    redisReply *limit = NULL, *held = NULL, *now = NULL;
    status_t status = store_run(
        store, &limit, err, "HMGET interp:limit:{%s} breaker breaker_reason stop scale", provider);
    if (status == ST_OK) status = store_run(store, &held, err, "ZCARD interp:held:{%s}", provider);
    if (status == ST_OK) status = store_run(store, &now, err, "TIME");
    if (status == ST_OK && (limit->elements != 4 || now->elements != 2))
        status = error_set(err, ST_CORRUPT, "unexpected answer of Redis");
    if (status == ST_OK) {
        const int64_t now_ms = strtoll(now->element[0]->str, NULL, 10) * 1000;
        const int64_t stop_ms = field_number(limit, 2, 0);
        *out = (struct call_provider_state){
            .is_open = limit->element[0]->str != NULL, /* "half" until a probe came home well */
            .stopped_ms = stop_ms > now_ms ? stop_ms - now_ms : 0,
            .scale = limit->element[3]->str ? strtod(limit->element[3]->str, NULL) : 1,
            .in_flight = held->type == REDIS_REPLY_INTEGER ? (uint64_t)held->integer : 0,
        };
        (void)snprintf(out->reason, sizeof out->reason, "%s",
                       limit->element[1]->str ? limit->element[1]->str : "");
        status = read_unserved(store, provider, out->unserved, err);
    }
    if (limit) freeReplyObject(limit);
    if (held) freeReplyObject(held);
    if (now) freeReplyObject(now);
    return status == ST_OK ? ST_OK : error_wrap(err, "state of provider %s", provider);
}

status_t call_tokens_per_byte(struct store *store, const char *provider, double *out,
                              struct error *err)
{
    redisReply *limit;
    const status_t status =
        store_run(store, &limit, err, "HMGET interp:limit:{%s} ratio ratio_dev", provider);
    if (status != ST_OK) return error_wrap(err, "tokens per byte of provider %s", provider);
    const bool is_known = limit->type == REDIS_REPLY_ARRAY && limit->elements == 2 &&
                          limit->element[0]->str && limit->element[1]->str;
    *out = is_known
               ? strtod(limit->element[0]->str, NULL) + 2 * strtod(limit->element[1]->str, NULL)
               : 0;
    freeReplyObject(limit);
    return ST_OK;
}
