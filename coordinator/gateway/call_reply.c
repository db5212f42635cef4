/* Reading a stored reply. See call.h. */
#include "coordinator/gateway/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const fields[] = {"state",         "content",    "logprobs",   "reason",
                                     "finish_reason", "tokens_in",  "tokens_out", "microdollars",
                                     "is_estimated",  "latency_ms", "served_by",  "model"};
enum {
    FIELD_STATE,
    FIELD_CONTENT,
    FIELD_LOGPROBS,
    FIELD_REASON,
    FIELD_FINISH,
    FIELD_IN,
    FIELD_OUT,
    FIELD_COST,
    FIELD_ESTIMATED,
    FIELD_LATENCY,
    FIELD_SERVED_BY,
    FIELD_MODEL,
    N_FIELDS
};

status_t call_queue_read(struct store *store, const char *id, struct error *err)
{
    return store_queue(store, err, "HMGET interp:call:%s %s %s %s %s %s %s %s %s %s %s %s %s", id,
                       fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6],
                       fields[7], fields[8], fields[9], fields[10], fields[11]);
}

static enum call_state state_of(const char *word)
{
    if (!word) return CALL_UNKNOWN;
    if (strcmp(word, "done") == 0) return CALL_DONE;
    if (strcmp(word, "failed") == 0) return CALL_FAILED;
    return CALL_PENDING;
}

static uint64_t number_of(const redisReply *reply)
{
    return reply->str ? strtoull(reply->str, NULL, 10) : 0;
}

static void text_of(const redisReply *reply, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", reply->str ? reply->str : "");
}

/* Copy of a string reply with a NUL behind it; NULL for nil (and without memory: *failed). */
static char *copy_of(const redisReply *reply, size_t *n_bytes, bool *failed)
{
    if (!reply->str) return NULL;
    char *copy = malloc(reply->len + 1);
    if (!copy) {
        *failed = true;
        return NULL;
    }
    memcpy(copy, reply->str, reply->len);
    copy[reply->len] = '\0';
    if (n_bytes) *n_bytes = reply->len;
    return copy;
}

status_t call_reply_parse(const redisReply *reply, struct call_reply *out, struct error *err)
{
    bool failed = false;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != N_FIELDS)
        return error_set(err, ST_CORRUPT, "stored reply: unexpected answer of Redis");
    struct redisReply *const *f = reply->element;
    struct call_reply parsed = {
        .state = state_of(f[FIELD_STATE]->str),
        .tokens_in = number_of(f[FIELD_IN]),
        .tokens_out = number_of(f[FIELD_OUT]),
        .microdollars = (int64_t)number_of(f[FIELD_COST]),
        .is_estimated = number_of(f[FIELD_ESTIMATED]) != 0,
        .latency_ms = number_of(f[FIELD_LATENCY]),
    };
    text_of(f[FIELD_FINISH], parsed.finish_reason, sizeof parsed.finish_reason);
    text_of(f[FIELD_SERVED_BY], parsed.served_by, sizeof parsed.served_by);
    text_of(f[FIELD_MODEL], parsed.model, sizeof parsed.model);
    parsed.content = copy_of(f[FIELD_CONTENT], &parsed.n_content_bytes, &failed);
    parsed.logprobs = copy_of(f[FIELD_LOGPROBS], NULL, &failed);
    parsed.reason = copy_of(f[FIELD_REASON], NULL, &failed);
    if (failed) {
        call_reply_fini(&parsed);
        return error_set(err, ST_NO_MEMORY, "stored reply");
    }
    *out = parsed;
    return ST_OK;
}

status_t call_reply_read(struct store *store, const char *id, struct call_reply *out,
                         struct error *err)
{
    redisReply *reply = NULL;
    status_t status =
        store_run(store, &reply, err, "HMGET interp:call:%s %s %s %s %s %s %s %s %s %s %s %s %s",
                  id, fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6],
                  fields[7], fields[8], fields[9], fields[10], fields[11]);
    if (status != ST_OK) return error_wrap(err, "reply of call %.16s", id);
    status = call_reply_parse(reply, out, err);
    freeReplyObject(reply);
    return status;
}

void call_reply_fini(struct call_reply *reply)
{
    free(reply->content);
    free(reply->logprobs);
    free(reply->reason);
    *reply = (struct call_reply){.content = NULL};
}
