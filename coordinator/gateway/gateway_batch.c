/* Calls of batch providers: collected, uploaded as a file, made a batch. See batch.h for the stages
 * and gateway_results.c for what follows. */
#include "common/log.h"
#include "coordinator/gateway/gateway_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLLECT_ROUNDS = 8, LEAST_WAIT_MS = 200, TROUBLE_DELAY_MS = 5000 };

/* ---- settling ---------------------------------------------------------------------------- */

void gateway_batch_settle(struct gateway *gateway, struct batch *batch, struct batch_member *member,
                          const struct settlement *outcome, bool was_sent)
{
    struct gateway_provider *provider = batch->provider;
    if (member->is_settled) return;
    gateway_count_outcome(provider, outcome);
    gateway_log_outcome(gateway, provider, &member->grant, outcome);
    gateway_end_send(gateway, &member->grant, provider, outcome, 0, was_sent);
    member->is_settled = true; /* it keeps its name: others are found by it */
    batch->n_open--;
}

void gateway_batch_settle_all(struct gateway *gateway, struct batch *batch,
                              const struct settlement *outcome, bool was_sent)
{
    struct settlement each = *outcome;
    for (size_t i = 0; i < batch->n_members; i++) {
        if (batch->members[i].is_settled) continue;
        gateway_batch_settle(gateway, batch, &batch->members[i], &each, was_sent);
        each.health = HEALTH_SILENT;
        each.is_limited = false;
        each.retry_after_ms = -1;
    }
}

bool gateway_batch_record(struct gateway *gateway, struct batch *batch)
{
    struct error err;
    error_clear(&err);
    if (batch_append_record(batch, batch->provider->limited.provider->name, gateway->journal,
                            &err) != ST_OK) {
        log_event(LOG_ERROR, "batch_not_journaled", LOG_TEXT("batch", batch->tag),
                  LOG_TEXT("error", err.text));
        return false;
    }
    return gateway_sync_journal(gateway);
}

/* ---- requests ---------------------------------------------------------------------------- */

void gateway_batch_wait(struct gateway *gateway, struct batch *batch, double seconds)
{
    const int64_t wait_ms = (int64_t)(seconds * 1000);
    batch->next_ms = clock_monotonic_ms(gateway->clock) +
                     (wait_ms > LEAST_WAIT_MS ? wait_ms : (int64_t)LEAST_WAIT_MS);
}

void gateway_batch_request(struct gateway *gateway, struct batch *batch,
                           const struct transfer_request *request)
{
    struct error err;
    error_clear(&err);
    if (gateway->n_flights == GATEWAY_FLIGHTS_MAX) {
        gateway_batch_wait(gateway, batch, 0);
        return;
    }
    struct flight *flight = gateway_take_flight(gateway);
    flight->batch = batch;
    flight->serving = batch->provider;
    if (transfer_start_request(gateway->pool, &batch->provider->target, request, flight, &err) ==
        ST_OK) {
        batch->flight = flight;
        return;
    }
    log_event(LOG_WARN, "batch_request_failed", LOG_TEXT("batch", batch->tag),
              LOG_TEXT("error", err.text));
    gateway_free_flight(gateway, flight);
    gateway_batch_wait(gateway, batch, batch->provider->limited.provider->batch_poll_seconds);
}

/* Nothing was asked for: the calls go back, and a provider that refuses is left alone for a while
 * (its breaker; a fallback then answers). */
static void give_back(struct gateway *gateway, struct batch *batch, const struct transfer *transfer,
                      const char *what)
{
    struct settlement outcome;
    char reason[sizeof outcome.reason];
    const struct grant none = {.n_sends = 1};
    const bool was_created = batch->stage != BATCH_COLLECTING && batch->stage != BATCH_UPLOADING;
    if (transfer) {
        outcome_judge(transfer, &none, batch->provider->limited.provider,
                      gateway_next_jitter(gateway), &outcome);
        completion_fini(&outcome.completion);
        if (outcome.next == NEXT_FAIL) outcome.health = HEALTH_CONFIG;
        if (outcome.delay_ms < TROUBLE_DELAY_MS) outcome.delay_ms = TROUBLE_DELAY_MS;
        (void)snprintf(reason, sizeof reason, "%.240s (%s of a batch)", outcome.reason, what);
    } else {
        outcome_unsent("", &outcome);
        (void)snprintf(reason, sizeof reason, "%s", what);
    }
    transfer_target_redact(&batch->provider->target, reason);
    (void)snprintf(outcome.reason, sizeof outcome.reason, "%s", reason);
    outcome.charge = CHARGE_UNSENT;
    outcome.next = NEXT_AGAIN;
    gateway_batch_settle_all(gateway, batch, &outcome, was_created);
}

/* ---- collecting -------------------------------------------------------------------------- */

static struct batch *open_batch(struct gateway *gateway, struct gateway_provider *queue)
{
    char tag[BATCH_TAG_SIZE];
    if (queue->collecting || gateway->n_batches == GATEWAY_BATCHES_MAX) return queue->collecting;
    const int64_t now_unix_ms = clock_unix_ms(gateway->clock);
    (void)snprintf(tag, sizeof tag, "%.16s.%" PRId64 ".%" PRIu64, journal_id(gateway->journal),
                   now_unix_ms, ++gateway->n_batches_begun);
    struct batch *batch = batch_create(queue, tag, now_unix_ms);
    if (!batch) return NULL;
    batch->next = gateway->batches;
    gateway->batches = batch;
    gateway->n_batches++;
    queue->collecting = batch;
    return batch;
}

/* Whether the open batch takes one more call, of `grant` or of any size (NULL). Attempts only fall
 * when a Redis lost its last second. */
static bool has_room(const struct batch *batch, const struct grant *grant)
{
    const struct provider *provider = batch->provider->limited.provider;
    if (batch->n_members == 0) return true;
    if (batch->n_members >= provider->batch_max_calls) return false;
    if (!grant) return batch->n_file_bytes < provider->batch_max_bytes;
    return batch->n_file_bytes + grant->n_body_bytes + BATCH_LINE_OVERHEAD <=
               provider->batch_max_bytes &&
           grant->attempt > batch->members[batch->n_members - 1].grant.attempt;
}

/* The batch being collected is closed: its next step is due. */
static void close_batch(struct gateway_provider *queue)
{
    if (queue->collecting) queue->collecting->next_ms = 0;
    queue->collecting = NULL;
}

static void take_grant(struct gateway *gateway, struct gateway_provider *queue, struct grant *grant)
{
    struct settlement outcome;
    struct batch *batch = open_batch(gateway, queue);
    if (batch && !has_room(batch, grant)) {
        close_batch(queue);
        batch = open_batch(gateway, queue);
    }
    if (batch && batch->n_members == 0) { /* it waits from its first call on */
        batch->opened_unix_ms = clock_unix_ms(gateway->clock);
        gateway_batch_wait(gateway, batch, queue->limited.provider->batch_wait_seconds);
    }
    if (batch && batch_add(batch, grant, NULL) == ST_OK) return;
    outcome_unsent("no room for another batch", &outcome);
    gateway_end_send(gateway, grant, queue, &outcome, 0, false);
    grant_fini(grant);
}

static size_t n_wanted(const struct batch *batch)
{
    const size_t n = batch->provider->limited.provider->batch_max_calls - batch->n_members;
    return n < LIMITER_GRANTS_MAX ? n : (size_t)LIMITER_GRANTS_MAX;
}

status_t gateway_batch_collect(struct gateway *gateway, struct gateway_provider *queue,
                               struct error *err)
{
    struct reserve_result result;
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    queue->next_reserve_ms = now_ms + GATEWAY_IDLE_MS;
    for (size_t round = 0; round < COLLECT_ROUNDS; round++) {
        struct batch *batch = open_batch(gateway, queue);
        if (!batch) return ST_OK; /* as many as may be are on their way */
        const status_t status = limiter_reserve(&gateway->limiter, queue->limited.provider->name,
                                                &queue->limited, n_wanted(batch), &result, err);
        if (status != ST_OK) return status;
        for (size_t i = 0; i < result.n_grants; i++) take_grant(gateway, queue, &result.grants[i]);
        const int64_t wait_ms = result.wait_ms < 0 ? GATEWAY_IDLE_MS : result.wait_ms;
        queue->next_reserve_ms = now_ms + (wait_ms < GATEWAY_IDLE_MS ? wait_ms : GATEWAY_IDLE_MS);
        (void)snprintf(queue->waits_for, sizeof queue->waits_for, "%s", result.reason);
        if (queue->collecting && !has_room(queue->collecting, NULL)) close_batch(queue);
        if (wait_ms > 0) break;
    }
    return ST_OK;
}

/* ---- uploading and creating -------------------------------------------------------------- */

static status_t build_form(struct batch *batch, struct error *err)
{
    batch->request.n_bytes = 0;
    status_t status = batch_form_begin(&batch->request, err);
    for (size_t i = 0; status == ST_OK && i < batch->n_members; i++) {
        struct grant *grant = &batch->members[i].grant;
        status = batch_form_add(&batch->request, grant->id, grant->attempt, grant->body,
                                grant->n_body_bytes, err);
        free(grant->body);
        grant->body = NULL;
    }
    return status == ST_OK ? batch_form_end(&batch->request, err) : status;
}

static void upload(struct gateway *gateway, struct batch *batch)
{
    struct error err;
    error_clear(&err);
    if (batch->provider->collecting == batch) batch->provider->collecting = NULL;
    if (gateway->is_draining) {
        give_back(gateway, batch, NULL, "the gateway ended before its batch was sent");
        return;
    }
    if (batch->stage == BATCH_COLLECTING && build_form(batch, &err) != ST_OK) {
        give_back(gateway, batch, NULL, err.text);
        return;
    }
    batch->stage = BATCH_UPLOADING;
    if (!gateway_batch_record(gateway, batch)) {
        gateway_batch_wait(gateway, batch, 1); /* the disk refuses */
        return;
    }
    const struct transfer_request request = {.path = "/files",
                                             .body = (const char *)batch->request.bytes,
                                             .n_body_bytes = batch->request.n_bytes,
                                             .is_form = true};
    gateway_batch_request(gateway, batch, &request);
}

static bool is_good(const struct transfer *transfer)
{
    return transfer->end == TRANSFER_ANSWERED && transfer->http_status >= 200 &&
           transfer->http_status <= 201;
}

static void create(struct gateway *gateway, struct batch *batch)
{
    char *body = batch_create_body(batch->file_id, batch->tag);
    batch->request.n_bytes = 0;
    const bool is_built = body && buffer_append_text(&batch->request, body, NULL) == ST_OK;
    free(body);
    if (!is_built || gateway->is_draining) {
        give_back(gateway, batch, NULL, "uploaded, and the batch was not asked for");
        return;
    }
    batch->stage = BATCH_CREATING;
    if (!gateway_batch_record(gateway, batch)) {
        batch->stage = BATCH_UPLOADING;
        give_back(gateway, batch, NULL, "its batch could not be journaled");
        return;
    }
    const struct transfer_request request = {.path = "/batches",
                                             .body = (const char *)batch->request.bytes,
                                             .n_body_bytes = batch->request.n_bytes};
    gateway_batch_request(gateway, batch, &request);
    /* not begun: nothing went out. Looking for it finds nothing, which is worse than knowing */
    if (!batch->flight) give_back(gateway, batch, NULL, "its batch could not be asked for");
}

static void on_uploaded(struct gateway *gateway, struct batch *batch,
                        const struct transfer *transfer)
{
    struct error err;
    error_clear(&err);
    buffer_fini(&batch->request);
    if (is_good(transfer) &&
        batch_file_id_parse(transfer->body, transfer->n_body_bytes, batch->file_id, &err) == ST_OK)
        create(gateway, batch);
    else
        give_back(gateway, batch, transfer, "upload");
}

static void on_created(struct gateway *gateway, struct batch *batch,
                       const struct transfer *transfer)
{
    struct batch_report report;
    struct error err;
    error_clear(&err);
    const bool is_refused = transfer->end == TRANSFER_UNSENT || transfer->end == TRANSFER_REFUSED ||
                            (transfer->end == TRANSFER_ANSWERED && transfer->http_status >= 300 &&
                             transfer->http_status < 500);
    if (is_refused) {
        give_back(gateway, batch, transfer, "creation");
        return;
    }
    if (is_good(transfer) &&
        batch_report_parse(transfer->body, transfer->n_body_bytes, &report, &err) == ST_OK) {
        (void)snprintf(batch->batch_id, sizeof batch->batch_id, "%s", report.id);
        batch->stage = BATCH_RUNNING;
        batch->provider->stats.sent += batch->n_open;
        log_event(LOG_INFO, "batch_created", LOG_TEXT("batch", batch->batch_id),
                  LOG_TEXT("provider", batch->provider->limited.provider->name),
                  LOG_NUMBER("calls", batch->n_open));
        (void)gateway_batch_record(gateway, batch); /* else it will be found by its tag */
        gateway_batch_wait(gateway, batch, batch->provider->limited.provider->batch_poll_seconds);
        return;
    }
    log_event(LOG_WARN, "batch_not_acknowledged", LOG_TEXT("batch", batch->tag),
              LOG_NUMBER("http_status", transfer->http_status),
              LOG_TEXT("effect", "it is looked for in the list of batches"));
    batch->stage = BATCH_LOOKING;
    gateway_batch_wait(gateway, batch, 1);
}

/* ---- the loop ---------------------------------------------------------------------------- */

static void remove_batch(struct gateway *gateway, struct batch *batch)
{
    struct batch **at = &gateway->batches;
    while (*at != batch) at = &(*at)->next;
    *at = batch->next;
    gateway->n_batches--;
    if (batch->provider->collecting == batch) batch->provider->collecting = NULL;
    if (batch->segment) journal_release(gateway->journal, batch->segment);
    batch_destroy(&batch);
}

void gateway_batch_answered(struct gateway *gateway, struct flight *flight,
                            const struct transfer *transfer)
{
    struct batch *batch = flight->batch;
    batch->flight = NULL;
    gateway_free_flight(gateway, flight);
    switch (batch->stage) {
    case BATCH_COLLECTING: break;
    case BATCH_UPLOADING: on_uploaded(gateway, batch, transfer); break;
    case BATCH_CREATING: on_created(gateway, batch, transfer); break;
    case BATCH_LOOKING: gateway_batch_looked(gateway, batch, transfer); break;
    case BATCH_RUNNING: gateway_batch_polled(gateway, batch, transfer); break;
    case BATCH_FETCHING: gateway_batch_fetched(gateway, batch, transfer); break;
    }
    if (batch->n_open == 0) remove_batch(gateway, batch);
}

static void step(struct gateway *gateway, struct batch *batch)
{
    switch (batch->stage) {
    case BATCH_COLLECTING:
    case BATCH_UPLOADING: upload(gateway, batch); break;
    case BATCH_CREATING: break; /* waits for its answer */
    case BATCH_LOOKING: gateway_batch_look(gateway, batch); break;
    case BATCH_RUNNING: gateway_batch_poll(gateway, batch); break;
    case BATCH_FETCHING: gateway_batch_fetch(gateway, batch); break;
    }
}

/* An empty batch waits for its first call; what was collected is sent while Redis answers. */
static bool is_due(const struct gateway *gateway, const struct batch *batch, int64_t now_ms)
{
    if (batch->flight || !batch->provider->is_usable) return false;
    if (batch->stage != BATCH_COLLECTING) return !gateway->is_draining && now_ms >= batch->next_ms;
    if (gateway->is_draining) return true;
    return batch->n_members > 0 && gateway->is_connected && !gateway->is_journal_ill &&
           now_ms >= batch->next_ms;
}

void gateway_batch_step(struct gateway *gateway)
{
    const int64_t now_ms = clock_monotonic_ms(gateway->clock);
    struct batch *next;
    if (!gateway->has_adopted) return;
    for (struct batch *batch = gateway->batches; batch; batch = next) {
        next = batch->next;
        if (is_due(gateway, batch, now_ms)) step(gateway, batch);
        if (batch->n_open == 0 && !batch->flight && batch != batch->provider->collecting)
            remove_batch(gateway, batch);
    }
}

int64_t gateway_batch_next_ms(const struct gateway *gateway)
{
    int64_t next_ms = INT64_MAX;
    if (!gateway->has_adopted || gateway->is_draining) return next_ms;
    for (const struct batch *batch = gateway->batches; batch; batch = batch->next)
        if (!batch->flight && batch->provider->is_usable && batch->n_open > 0 &&
            (batch->stage != BATCH_COLLECTING ||
             (gateway->is_connected && !gateway->is_journal_ill)) &&
            batch->next_ms < next_ms)
            next_ms = batch->next_ms;
    return next_ms;
}
