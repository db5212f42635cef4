/* A batch after its creation: looked for if that was not acknowledged, followed until it ends, its
 * result files read; and what the journal says about batches of a former life. See batch.h. */
#include "common/log.h"
#include "coordinator/gateway/gateway_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOKS = 3,           /* so often the list is read before a batch counts as not there */
    TROUBLES_MAX = 20,   /* requests about a batch that fail in a row before it counts as lost */
    CANCEL_SECONDS = 900 /* that a cancelled batch may take to end */
};

static const struct provider *provider_of(const struct batch *batch)
{
    return batch->provider->limited.provider;
}

static void wait_for_poll(struct gateway *gateway, struct batch *batch)
{
    gateway_batch_wait(gateway, batch, provider_of(batch)->batch_poll_seconds);
}

static double age_seconds(const struct gateway *gateway, const struct batch *batch)
{
    return (double)(clock_unix_ms(gateway->clock) - batch->opened_unix_ms) / 1000;
}

/* Nobody can say what became of its calls. */
static void give_up(struct gateway *gateway, struct batch *batch, const char *why)
{
    struct settlement outcome;
    char reason[200];
    (void)snprintf(reason, sizeof reason, "batch %.80s: %.80s",
                   batch->batch_id[0] ? batch->batch_id : batch->tag, why);
    log_event(LOG_ERROR, "batch_lost", LOG_TEXT("provider", provider_of(batch)->name),
              LOG_TEXT("reason", reason), LOG_NUMBER("uncertain_calls", batch->n_open));
    outcome_lost(reason, &outcome);
    gateway_batch_settle_all(gateway, batch, &outcome, true);
}

/* A request about a batch failed: once more later, but not for ever. */
static void note_trouble(struct gateway *gateway, struct batch *batch,
                         const struct transfer *transfer)
{
    char message[COMPLETION_ERROR_MAX], code[64], why[300];
    completion_error_text(transfer->body, transfer->n_body_bytes, message, code);
    (void)snprintf(why, sizeof why, "HTTP %d %s%s", transfer->http_status,
                   transfer->end == TRANSFER_ANSWERED ? message : transfer->problem,
                   transfer->end == TRANSFER_TOO_LARGE ? " (too large)" : "");
    transfer_target_redact(&batch->provider->target, why);
    if (batch->n_troubles++ == 0)
        log_event(LOG_WARN, "batch_trouble", LOG_TEXT("batch", batch->batch_id),
                  LOG_TEXT("provider", provider_of(batch)->name), LOG_TEXT("problem", why));
    const bool is_hopeless =
        transfer->end == TRANSFER_TOO_LARGE ||
        (transfer->http_status >= 400 && transfer->http_status < 500 &&
         transfer->http_status != 429 && transfer->http_status != 408 && batch->n_troubles >= 3);
    if (is_hopeless || batch->n_troubles >= TROUBLES_MAX)
        give_up(gateway, batch, why);
    else
        wait_for_poll(gateway, batch);
}

static bool is_good(const struct transfer *transfer)
{
    return transfer->end == TRANSFER_ANSWERED && transfer->http_status == 200;
}

/* ---- looking ----------------------------------------------------------------------------- */

void gateway_batch_look(struct gateway *gateway, struct batch *batch)
{
    char path[BATCH_NAME_SIZE + 40];
    (void)snprintf(path, sizeof path, "/batches?limit=100%s%s",
                   batch->look_after[0] ? "&after=" : "", batch->look_after);
    const struct transfer_request request = {.path = path};
    gateway_batch_request(gateway, batch, &request);
}

static void found(struct gateway *gateway, struct batch *batch, const struct batch_report *report)
{
    (void)snprintf(batch->batch_id, sizeof batch->batch_id, "%s", report->id);
    batch->stage = BATCH_RUNNING;
    batch->provider->stats.sent += batch->n_open;
    log_event(LOG_INFO, "batch_found", LOG_TEXT("batch", batch->batch_id),
              LOG_NUMBER("calls", batch->n_open));
    (void)gateway_batch_record(gateway, batch);
    gateway_batch_wait(gateway, batch, 0);
}

void gateway_batch_looked(struct gateway *gateway, struct batch *batch,
                          const struct transfer *transfer)
{
    struct batch_report report;
    struct error err;
    bool is_found = false;
    error_clear(&err);
    if (!is_good(transfer) ||
        batch_list_find(transfer->body, transfer->n_body_bytes, batch->tag, &report, &is_found,
                        batch->look_after, &err) != ST_OK) {
        note_trouble(gateway, batch, transfer);
        return;
    }
    batch->n_troubles = 0;
    if (is_found) {
        found(gateway, batch, &report);
    } else if (batch->look_after[0]) {
        batch->next_ms = 0; /* the next page */
    } else if (++batch->n_looks < LOOKS) {
        wait_for_poll(gateway, batch);
    } else {
        give_up(gateway, batch, "its creation was not acknowledged, and it is not in the list");
    }
}

/* ---- following --------------------------------------------------------------------------- */

/* Move its record to the newest segment, so that older ones can go. */
static void refresh_record(struct gateway *gateway, struct batch *batch)
{
    if (batch->segment != journal_last_segment(gateway->journal))
        (void)gateway_batch_record(gateway, batch);
}

void gateway_batch_poll(struct gateway *gateway, struct batch *batch)
{
    char path[BATCH_NAME_SIZE + 32];
    refresh_record(gateway, batch);
    const double late = age_seconds(gateway, batch) - provider_of(batch)->batch_timeout_seconds;
    if (late > CANCEL_SECONDS) {
        give_up(gateway, batch, "it did not end although it was cancelled");
        return;
    }
    const bool is_cancel = late > 0 && !batch->is_cancelled;
    if (is_cancel)
        log_event(LOG_WARN, "batch_cancelled", LOG_TEXT("batch", batch->batch_id),
                  LOG_TEXT("reason", "batch_timeout_seconds are over"));
    batch->is_cancelled = batch->is_cancelled || is_cancel;
    (void)snprintf(path, sizeof path, "/batches/%s%s", batch->batch_id, is_cancel ? "/cancel" : "");
    const struct transfer_request request = {.path = path, .body = is_cancel ? "" : NULL};
    gateway_batch_request(gateway, batch, &request);
}

static void on_refused(struct gateway *gateway, struct batch *batch)
{
    struct settlement outcome;
    char reason[300];
    const struct batch_report *report = &batch->report;
    const bool is_queue_full = strstr(report->problem_code, "token_limit") != NULL;
    (void)snprintf(reason, sizeof reason, "provider %.64s: batch %.60s failed: %.120s",
                   provider_of(batch)->name, batch->batch_id,
                   report->problem[0] ? report->problem : "no reason given");
    log_event(LOG_WARN, "batch_refused", LOG_TEXT("batch", batch->batch_id),
              LOG_TEXT("problem", report->problem));
    outcome_not_run(reason, !is_queue_full, is_queue_full ? 60000 : 1000, &outcome);
    outcome.is_limited = is_queue_full;
    outcome.retry_after_ms = is_queue_full ? 60000 : -1;
    outcome.health = is_queue_full ? HEALTH_SILENT : HEALTH_BAD;
    gateway_batch_settle_all(gateway, batch, &outcome, true);
}

void gateway_batch_polled(struct gateway *gateway, struct batch *batch,
                          const struct transfer *transfer)
{
    struct batch_report report;
    struct error err;
    error_clear(&err);
    if (!is_good(transfer) ||
        batch_report_parse(transfer->body, transfer->n_body_bytes, &report, &err) != ST_OK) {
        note_trouble(gateway, batch, transfer);
        return;
    }
    batch->n_troubles = 0;
    batch->report = report;
    if (report.state == BATCH_PENDING) {
        wait_for_poll(gateway, batch);
    } else if (report.state == BATCH_REFUSED) {
        on_refused(gateway, batch);
    } else {
        log_event(LOG_INFO, "batch_ended", LOG_TEXT("batch", batch->batch_id),
                  LOG_NUMBER("completed", report.n_completed),
                  LOG_NUMBER("failed", report.n_failed));
        batch->stage = BATCH_FETCHING;
        batch->next_ms = 0;
    }
}

/* ---- results ----------------------------------------------------------------------------- */

struct reading {
    struct gateway *gateway;
    struct batch *batch;
};

static void judge_line(struct gateway *gateway, struct batch *batch, struct batch_member *member,
                       const struct batch_line *line, struct settlement *outcome)
{
    char reason[320];
    struct transfer transfer = {.end = TRANSFER_ANSWERED,
                                .http_status = line->http_status,
                                .body = line->body,
                                .n_body_bytes = line->n_body_bytes,
                                .latency_ms = (int64_t)(1000 * age_seconds(gateway, batch))};
    if (line->http_status) {
        rate_headers_init(&transfer.headers);
        outcome_judge(&transfer, &member->grant, provider_of(batch), gateway_next_jitter(gateway),
                      outcome);
        return;
    }
    (void)snprintf(reason, sizeof reason, "provider %s: in batch %.60s: %s: %.100s",
                   provider_of(batch)->name, batch->batch_id,
                   line->error_code[0] ? line->error_code : "not run", line->error_message);
    outcome_not_run(reason, true, 0, outcome);
}

static void on_line(void *context, const struct batch_line *line)
{
    const struct reading *reading = context;
    struct settlement outcome;
    struct batch_member *member = batch_find(reading->batch, line->id, line->attempt);
    if (!member || member->is_settled) return;
    judge_line(reading->gateway, reading->batch, member, line, &outcome);
    transfer_target_redact(&reading->batch->provider->target, outcome.reason);
    gateway_batch_settle(reading->gateway, reading->batch, member, &outcome, true);
    completion_fini(&outcome.completion);
}

/* What no result file speaks of. */
static void finish(struct gateway *gateway, struct batch *batch)
{
    struct settlement outcome;
    if (batch->n_open == 0) return;
    if (batch->report.state == BATCH_COMPLETED) {
        give_up(gateway, batch, "it is completed, and its files do not tell of every call");
        return;
    }
    outcome_not_run("its batch ended before it was run", true, 0, &outcome);
    gateway_batch_settle_all(gateway, batch, &outcome, true);
}

void gateway_batch_fetch(struct gateway *gateway, struct batch *batch)
{
    char path[BATCH_NAME_SIZE + 32];
    const struct batch_report *report = &batch->report;
    batch->has_output = batch->has_output || !report->output_file[0];
    batch->has_errors = batch->has_errors || !report->error_file[0];
    if (batch->has_output && batch->has_errors) {
        finish(gateway, batch);
        return;
    }
    (void)snprintf(path, sizeof path, "/files/%s/content",
                   batch->has_output ? report->error_file : report->output_file);
    const struct transfer_request request = {.path = path, .max_answer_bytes = BATCH_RESULT_MAX};
    gateway_batch_request(gateway, batch, &request);
}

void gateway_batch_fetched(struct gateway *gateway, struct batch *batch,
                           const struct transfer *transfer)
{
    struct reading reading = {gateway, batch};
    if (!is_good(transfer)) {
        note_trouble(gateway, batch, transfer);
        return;
    }
    batch->n_troubles = 0;
    const size_t n_unread =
        batch_lines_read(transfer->body, transfer->n_body_bytes, on_line, &reading);
    if (n_unread)
        log_event(LOG_WARN, "batch_lines_unread", LOG_TEXT("batch", batch->batch_id),
                  LOG_NUMBER("lines", n_unread));
    *(batch->has_output ? &batch->has_errors : &batch->has_output) = true;
    batch->next_ms = 0;
}

/* ---- a former life ----------------------------------------------------------------------- */

void gateway_batch_forget_all(struct gateway *gateway)
{
    while (gateway->batches) {
        struct batch *batch = gateway->batches;
        gateway->batches = batch->next;
        batch_destroy(&batch);
    }
    gateway->n_batches = 0;
}

void gateway_batch_begin_replay(struct gateway *gateway)
{
    if (!gateway->has_adopted) gateway_batch_forget_all(gateway); /* of a replay cut short */
}

void gateway_batch_note_record(struct gateway *gateway, const struct journal_record *record)
{
    char name[CALL_NAME_MAX + 1];
    struct batch *batch = NULL, **at = &gateway->batches;
    if (gateway->has_adopted || !batch_read_record(record, name, &batch)) return;
    batch->provider = gateway_find_provider(gateway, name);
    while (*at && strcmp((*at)->tag, batch->tag) != 0) at = &(*at)->next;
    if (*at) { /* the newer record holds */
        struct batch *older = *at;
        *at = older->next;
        batch_destroy(&older);
        gateway->n_batches--;
    }
    batch->next = gateway->batches;
    gateway->batches = batch;
    gateway->n_batches++;
}

void gateway_batch_note_reply(struct gateway *gateway, const char *id, uint64_t attempt)
{
    if (gateway->has_adopted) return;
    for (struct batch *batch = gateway->batches; batch; batch = batch->next) {
        struct batch_member *member = batch_find(batch, id, attempt);
        if (!member || member->is_settled) continue;
        member->is_settled = true;
        batch->n_open--;
    }
}

bool gateway_batch_holds(const struct gateway *gateway, const char *id, uint64_t attempt)
{
    for (const struct batch *batch = gateway->batches; batch; batch = batch->next) {
        const struct batch_member *member = batch_find(batch, id, attempt);
        if (member && !member->is_settled) return true;
    }
    return false;
}

/* True if it is to be followed. */
static bool take_up(struct gateway *gateway, struct batch *batch)
{
    struct settlement outcome;
    if (!batch->provider) {
        log_event(LOG_WARN, "batch_without_provider", LOG_TEXT("batch", batch->tag),
                  LOG_TEXT("effect", "its calls count as uncertain when their lease is over"));
        return false;
    }
    if (batch->n_open && batch->stage == BATCH_UPLOADING) {
        outcome_unsent("its batch was not asked for before a crash", &outcome);
        gateway_batch_settle_all(gateway, batch, &outcome, false);
    }
    if (batch->n_open == 0) return false;
    log_event(LOG_INFO, "batch_taken_up", LOG_TEXT("batch", batch->tag),
              LOG_NUMBER("calls", batch->n_open));
    (void)gateway_batch_record(gateway, batch); /* its old segment may go at any time */
    return true;
}

void gateway_batch_adopt(struct gateway *gateway)
{
    struct batch *list = gateway->batches, *next;
    if (gateway->has_adopted) return;
    gateway->has_adopted = true;
    gateway->batches = NULL;
    gateway->n_batches = 0;
    for (struct batch *batch = list; batch; batch = next) {
        next = batch->next;
        if (take_up(gateway, batch)) {
            batch->next = gateway->batches;
            gateway->batches = batch;
            gateway->n_batches++;
        } else {
            batch_destroy(&batch);
        }
    }
}
