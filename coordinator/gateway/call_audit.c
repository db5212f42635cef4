#include "coordinator/gateway/call_audit.h"

#include <stdlib.h>
#include <string.h>

/* In the order of HMGET. */
enum {
    STATE,
    SERVED,
    MODEL,
    IN,
    OUT,
    COST,
    SENDS,
    ESTIMATED,
    LATENCY,
    FINISH,
    REASON,
    PAID,
    REPLY
};
enum { N_FIELDS = REPLY + 1 };

status_t call_audit_queue(struct store *store, const char *id, struct error *err)
{
    return store_queue(store, err,
                       "HMGET interp:call:%s state served_by model tokens_in tokens_out "
                       "microdollars sends is_estimated latency_ms finish_reason reason paid_by "
                       "content",
                       id);
}

static const char *state_name(const redisReply *state)
{
    if (!state->str) return "forgotten";
    const bool is_over = strcmp(state->str, "done") == 0 || strcmp(state->str, "failed") == 0;
    return is_over ? state->str : "pending";
}

/* A reply that is no UTF-8 is shown as null: JSON has no other way. */
static json_t *text_of(const redisReply *field)
{
    json_t *text = field->str && field->len ? json_stringn(field->str, field->len) : NULL;
    return text ? text : json_null();
}

static json_t *number_of(const redisReply *field)
{
    return field->str ? json_integer((json_int_t)strtoll(field->str, NULL, 10)) : json_null();
}

status_t call_audit_parse(const redisReply *reply, json_t **out, struct error *err)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != N_FIELDS)
        return error_set(err, ST_CORRUPT, "stored call: unexpected answer of Redis");
    struct redisReply *const *f = reply->element;
    const redisReply *cost = f[COST];
    json_t *dollars =
        cost->str ? json_real((double)strtoll(cost->str, NULL, 10) * 1e-6) : json_null();
    *out = json_pack(
        "{s:s s:o s:o s:o s:o s:o s:o s:b s:o s:o s:o s:o s:o}", "state", state_name(f[STATE]),
        "served_by", text_of(f[SERVED]), "model", text_of(f[MODEL]), "tokens_in", number_of(f[IN]),
        "tokens_out", number_of(f[OUT]), "dollars", dollars, "attempts", number_of(f[SENDS]),
        "is_estimated", f[ESTIMATED]->str && strcmp(f[ESTIMATED]->str, "1") == 0, "latency_ms",
        number_of(f[LATENCY]), "finish_reason", text_of(f[FINISH]), "reason", text_of(f[REASON]),
        "paid_by", text_of(f[PAID]), "reply", text_of(f[REPLY]));
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "stored call");
}
