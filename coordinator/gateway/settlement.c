#include "coordinator/gateway/settlement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const charge_words[] = {"usage", "none", "unsent", "unknown"};
static const char *const next_words[] = {"done", "again", "fail"};
static const char *const health_words[] = {"", "ok", "bad", "config"};
static const char *const remaining_words[N_RATE_DIMENSIONS] = {"r", "i", "o", "t"};

static json_t *remaining_json(const struct settlement *settlement)
{
    json_t *remaining = json_object();
    for (size_t i = 0; remaining && i < N_RATE_DIMENSIONS; i++)
        if (settlement->remaining[i] >= 0 &&
            json_object_set_new(remaining, remaining_words[i],
                                json_integer(settlement->remaining[i])) != 0) {
            json_decref(remaining);
            return NULL;
        }
    return remaining;
}

static json_t *meta_json(const struct settlement *s, const struct limiter *limiter,
                         const struct grant *grant, const struct limited_provider *serving)
{
    const struct provider *provider = serving->provider;
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:s, s:s, s:s, "
        "s:s, s:b, s:b, s:o, s:O}",
        "charge", charge_words[s->charge], "next", next_words[s->next], "health",
        health_words[s->health], "strike", s->is_strike ? 1 : 0, "limited", s->is_limited, "status",
        s->http_status, "retry_after_ms", (json_int_t)s->retry_after_ms, "delay_ms",
        (json_int_t)s->delay_ms, "latency_ms", (json_int_t)s->latency_ms, "tokens_in",
        (json_int_t)s->completion.tokens_in, "tokens_out", (json_int_t)s->completion.tokens_out,
        "microdollars", (json_int_t)s->microdollars, "is_estimated", s->completion.is_estimated,
        "finish_reason", s->completion.finish_reason, "model", s->completion.model, "reason",
        s->reason, "sweep", grant->sweep_id, "gateway", limiter->identity, "refund_unused",
        provider->refund_unused, "count_failures", provider->count_failures, "remaining",
        remaining_json(s), "limits", serving->limits);
}

static char *copy(const char *bytes, size_t n_bytes)
{
    char *out = malloc(n_bytes + 1);
    if (!out) return NULL;
    if (n_bytes) memcpy(out, bytes, n_bytes);
    out[n_bytes] = '\0';
    return out;
}

status_t settlement_encode(const struct settlement *settlement, const struct limiter *limiter,
                           const struct grant *grant, const struct limited_provider *serving,
                           struct settle_args *out, struct error *err)
{
    char attempt_text[24];
    const struct completion *done = &settlement->completion;
    const char *logprobs = done->logprobs ? done->logprobs : "";
    json_t *meta = meta_json(settlement, limiter, grant, serving);
    bool is_whole = meta != NULL;
    (void)snprintf(attempt_text, sizeof attempt_text, "%llu", (unsigned long long)grant->attempt);
    struct settle_args args = {
        .texts = {copy(serving->provider->name, strlen(serving->provider->name)),
                  copy(grant->id, strlen(grant->id)), copy(attempt_text, strlen(attempt_text)),
                  meta ? json_dumps(meta, JSON_COMPACT) : NULL,
                  copy(done->content, done->n_content_bytes), copy(logprobs, strlen(logprobs))}};
    json_decref(meta);
    for (size_t i = 0; i < SETTLE_N_ARGS; i++) {
        is_whole = is_whole && args.texts[i];
        if (args.texts[i]) args.n_bytes[i] = i == 4 ? done->n_content_bytes : strlen(args.texts[i]);
    }
    if (!is_whole) {
        settle_args_fini(&args);
        return error_set(err, ST_NO_MEMORY, "settlement of call %.16s", grant->id);
    }
    *out = args;
    return ST_OK;
}

void settle_args_fini(struct settle_args *args)
{
    for (size_t i = 0; i < SETTLE_N_ARGS; i++) free(args->texts[i]);
    *args = (struct settle_args){.texts = {NULL}};
}
