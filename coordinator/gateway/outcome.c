#include "coordinator/gateway/outcome.h"

#include <stdio.h>
#include <string.h>

int64_t outcome_backoff_ms(unsigned n_sends, double jitter)
{
    const unsigned doublings = n_sends > 1 ? n_sends - 1 : 0;
    const int64_t most = doublings < 20 ? (int64_t)OUTCOME_BACKOFF_BASE_MS << doublings
                                        : (int64_t)OUTCOME_BACKOFF_MAX_MS;
    return (int64_t)(jitter *
                     (double)(most < OUTCOME_BACKOFF_MAX_MS ? most : OUTCOME_BACKOFF_MAX_MS));
}

static void start(struct settlement *out)
{
    *out = (struct settlement){.charge = CHARGE_NONE, .next = NEXT_AGAIN, .retry_after_ms = -1};
    for (size_t i = 0; i < N_RATE_DIMENSIONS; i++) out->remaining[i] = -1;
}

void outcome_unsent(const char *reason, struct settlement *out)
{
    start(out);
    out->charge = CHARGE_UNSENT;
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
}

void outcome_lost(const char *reason, struct settlement *out)
{
    start(out);
    out->charge = CHARGE_UNKNOWN;
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
}

void outcome_not_run(const char *reason, bool is_strike, int64_t delay_ms, struct settlement *out)
{
    start(out);
    out->is_strike = is_strike;
    out->delay_ms = delay_ms;
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
}

/* ---- HTTP statuses ----------------------------------------------------------------------- */

enum verdict {
    VERDICT_AGAIN,   /* the provider's trouble: later, counts against the call */
    VERDICT_LIMITED, /* too fast or overloaded: stop, shrink, later */
    VERDICT_CONFIG,  /* somebody must change something: the call waits */
    VERDICT_FAIL     /* this call will never work */
};

struct status_rule {
    int first, last;
    enum verdict verdict;
    const char *advice;
};

static const struct status_rule status_rules[] = {
    {201, 299, VERDICT_AGAIN, "an answer without a completion"},
    {300, 399, VERDICT_CONFIG, "redirects are not followed: set base_url to the final address"},
    {400, 400, VERDICT_FAIL, "the request was refused; see its message"},
    {401, 401, VERDICT_CONFIG, "check the API key (api_key_env or api_key_file)"},
    {402, 402, VERDICT_CONFIG, "the account has no credit left"},
    {403, 403, VERDICT_CONFIG, "the key may not use this model or endpoint"},
    {404, 404, VERDICT_CONFIG, "check base_url and model"},
    {405, 405, VERDICT_CONFIG, "check base_url"},
    {407, 407, VERDICT_CONFIG, "the proxy wants credentials"},
    {408, 409, VERDICT_AGAIN, "it will be tried again"},
    {413, 413, VERDICT_FAIL, "the prompt is too large for this provider"},
    {425, 425, VERDICT_AGAIN, "it will be tried again"},
    {429, 429, VERDICT_LIMITED, "over the rate limit; lower rpm or tokens per minute if it stays"},
    {400, 499, VERDICT_FAIL, "the request was refused; see its message"},
    {503, 503, VERDICT_AGAIN, "the provider is overloaded or down; it will be tried again"},
    {529, 529, VERDICT_LIMITED, "the provider is overloaded; it will be tried again"},
    {500, 599, VERDICT_AGAIN, "the provider's own fault; it will be tried again"},
};

static const struct status_rule *rule_of(int http_status)
{
    static const struct status_rule odd = {0, 0, VERDICT_AGAIN, "no HTTP status we know"};
    for (size_t i = 0; i < sizeof status_rules / sizeof status_rules[0]; i++)
        if (http_status >= status_rules[i].first && http_status <= status_rules[i].last)
            return &status_rules[i];
    return &odd;
}

static void apply(enum verdict verdict, const struct transfer *transfer, const struct grant *grant,
                  double jitter, struct settlement *out)
{
    out->delay_ms = outcome_backoff_ms(grant->n_sends, jitter);
    switch (verdict) {
    case VERDICT_AGAIN:
        out->is_strike = true;
        out->health = HEALTH_BAD;
        out->retry_after_ms = transfer->headers.retry_after_ms;
        break;
    case VERDICT_LIMITED:
        out->is_limited = true;
        out->retry_after_ms = rate_headers_stop_ms(&transfer->headers);
        if (out->retry_after_ms >= 0) { /* the stop is the wait; a little jitter on top */
            out->delay_ms = out->retry_after_ms + outcome_backoff_ms(1, jitter);
        } else {
            out->retry_after_ms = 1000;
        }
        break;
    case VERDICT_CONFIG:
        out->health = HEALTH_CONFIG;
        out->delay_ms = 0;
        break;
    case VERDICT_FAIL: out->next = NEXT_FAIL; break;
    }
}

static void judge_refusal(const struct transfer *transfer, const struct grant *grant,
                          const struct provider *provider, double jitter, struct settlement *out)
{
    char message[COMPLETION_ERROR_MAX], code[64];
    const struct status_rule *rule = rule_of(transfer->http_status);
    completion_error_text(transfer->body, transfer->n_body_bytes, message, code);
    const bool is_unpaid = strcmp(code, "insufficient_quota") == 0;
    apply(is_unpaid ? VERDICT_CONFIG : rule->verdict, transfer, grant, jitter, out);
    (void)snprintf(out->reason, sizeof out->reason, "provider %s: HTTP %d: %s%s%s", provider->name,
                   transfer->http_status,
                   is_unpaid ? "the account has no credit left" : rule->advice,
                   message[0] ? ": " : "", message);
}

/* ---- a 200 ------------------------------------------------------------------------------- */

static void judge_completion(const struct transfer *transfer, const struct grant *grant,
                             const struct provider *provider, double jitter, struct settlement *out)
{
    struct error why;
    const struct completion_bounds bounds = {grant->n_body_bytes, grant->tokens_in,
                                             grant->tokens_out};
    error_clear(&why);
    const status_t status =
        completion_parse(transfer->body, transfer->n_body_bytes, &bounds, &out->completion, &why);
    if (status == ST_OK) {
        out->charge = CHARGE_USAGE;
        out->next = NEXT_DONE;
        out->health = HEALTH_OK;
        out->microdollars =
            provider_microdollars(provider, out->completion.tokens_in, out->completion.tokens_out);
        return;
    }
    /* a web page or an error in place of an answer is not charged; half an answer may be */
    out->charge =
        status == ST_UNSUPPORTED || status == ST_UNREACHABLE ? CHARGE_NONE : CHARGE_UNKNOWN;
    apply(VERDICT_AGAIN, transfer, grant, jitter, out);
    (void)snprintf(out->reason, sizeof out->reason, "provider %s: HTTP 200: %.200s%s",
                   provider->name, why.text,
                   status == ST_UNSUPPORTED ? "; check base_url, or a proxy in between" : "");
}

/* ---- no answer --------------------------------------------------------------------------- */

static void judge_silence(const struct transfer *transfer, const struct grant *grant,
                          const struct provider *provider, double jitter, struct settlement *out)
{
    const char *advice = "it will be tried again";
    apply(VERDICT_AGAIN, transfer, grant, jitter, out);
    switch (transfer->end) {
    case TRANSFER_UNSENT:
        out->charge = CHARGE_UNSENT;
        advice = "not reachable; check base_url and the network";
        break;
    case TRANSFER_REFUSED:
        apply(VERDICT_CONFIG, transfer, grant, jitter, out);
        out->charge = CHARGE_UNSENT;
        out->is_strike = false;
        advice = "check base_url and the certificate";
        break;
    case TRANSFER_TOO_LARGE:
        out->charge = CHARGE_UNKNOWN;
        out->health = HEALTH_SILENT;
        out->next = NEXT_FAIL;
        advice = "the answer is larger than any reply may be";
        break;
    case TRANSFER_ANSWERED:
    case TRANSFER_BROKEN: out->charge = CHARGE_UNKNOWN; break;
    }
    (void)snprintf(out->reason, sizeof out->reason, "provider %s: %.120s: %s", provider->name,
                   transfer->problem, advice);
}

void outcome_judge(const struct transfer *transfer, const struct grant *grant,
                   const struct provider *provider, double jitter, struct settlement *out)
{
    start(out);
    out->http_status = transfer->http_status;
    out->latency_ms = transfer->latency_ms;
    for (size_t i = 0; i < N_RATE_DIMENSIONS; i++)
        out->remaining[i] = rate_headers_remaining(&transfer->headers, (enum rate_dimension)i);
    if (transfer->end == TRANSFER_ANSWERED && transfer->http_status == 200)
        judge_completion(transfer, grant, provider, jitter, out);
    else if (transfer->end == TRANSFER_ANSWERED ||
             (transfer->http_status >= 300 && transfer->end != TRANSFER_TOO_LARGE))
        judge_refusal(transfer, grant, provider, jitter, out);
    else
        judge_silence(transfer, grant, provider, jitter, out);
    for (char *c = out->reason; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e) *c = '?';
}
