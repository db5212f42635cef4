/* Sessions that wait for language models: their calls go out through the store, announcements
 * come back, replies are read in one pipeline and handed to the sessions. Submitting is
 * idempotent, so a restarted coordinator simply asks again and finds what is stored. */
#include "coordinator/sweep/label_scoring_parts.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANNOUNCEMENTS_AT_ONCE = 64,
    CHECK_EVERY_MS = 1000,
    ASK_AGAIN_EVERY_MS = 30000 /* the stream of announcements is capped: never wait for ever */
};

static struct store *store_of(const struct label_scoring *scoring)
{
    return scoring->run->sweep->context->store;
}

static int64_t now_ms(const struct label_scoring *scoring)
{
    return clock_monotonic_ms(scoring->run->sweep->context->clock);
}

/* --- asking -------------------------------------------------------------------------------- */

static status_t queue_call(struct label_scoring *scoring, struct open_session *open,
                           size_t call_index, struct error *err)
{
    const struct sweep *sweep = scoring->run->sweep;
    const struct session_provider *provider;
    json_t *body = NULL;
    struct call call = {0};
    status_t status = label_session_body(&open->session, call_index, &body, &provider, err);
    if (status == ST_OK) status = call_prepare(&call, provider->name, body, err);
    if (status == ST_OK) {
        memcpy(open->ids[call_index], call.id, sizeof call.id);
        status = call_queue_submit(sweep->context->calls, &call, sweep->id, sweep->spec->priority,
                                   "", err);
    }
    call_fini(&call);
    json_decref(body);
    return status;
}

/* Submit the open calls of the session's present stage. */
static status_t ask(struct label_scoring *scoring, struct open_session *open, struct error *err)
{
    const size_t n = open->session.n_calls;
    if (open->n_ids != n || open->session.n_answered == 0) {
        char(*ids)[HASH_HEX_SIZE] = calloc(n + 1, sizeof *ids);
        if (!ids) return error_set(err, ST_NO_MEMORY, "%zu calls", n);
        free(open->ids);
        open->ids = ids;
        open->n_ids = n;
    }
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        if (!open->session.calls[i].is_answered) status = queue_call(scoring, open, i, err);
    const status_t drained = store_drain(store_of(scoring), NULL, NULL, err);
    if (status == ST_OK) status = drained;
    open->must_ask = status != ST_OK;
    return status;
}

/* Where announcements are read from is fixed before the first call is out. */
static status_t ask_all(struct label_scoring *scoring, bool must_only, struct error *err)
{
    status_t status = ST_OK;
    if (!scoring->has_cursor) status = call_cursor_now(store_of(scoring), scoring->cursor, err);
    scoring->has_cursor = status == ST_OK;
    for (size_t p = 0; p < scoring->n_open && status == ST_OK; p++)
        if (scoring->open[p]->must_ask || !must_only) status = ask(scoring, scoring->open[p], err);
    return status;
}

status_t label_calls_add(struct label_scoring *scoring, struct label_session *session, size_t index,
                         struct error *err)
{
    if (scoring->n_open == scoring->open_capacity) {
        const size_t capacity = scoring->open_capacity ? 2 * scoring->open_capacity : 64;
        struct open_session **grown = realloc(scoring->open, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu sessions", capacity);
        scoring->open = grown;
        scoring->open_capacity = capacity;
    }
    struct open_session *open = calloc(1, sizeof *open);
    if (!open) return error_set(err, ST_NO_MEMORY, "session");
    open->session = *session;
    open->index = index;
    open->must_ask = true;
    *session = (struct label_session){0};
    scoring->open[scoring->n_open++] = open;
    return ST_OK;
}

static void drop(struct label_scoring *scoring, size_t position)
{
    struct open_session *open = scoring->open[position];
    label_session_fini(&open->session);
    free(open->ids);
    free(open);
    scoring->open[position] = scoring->open[--scoring->n_open];
}

void label_calls_fini(struct label_scoring *scoring)
{
    while (scoring->n_open) drop(scoring, scoring->n_open - 1);
    free(scoring->open);
    scoring->open = NULL;
}

/* --- hearing ------------------------------------------------------------------------------- */

static status_t finish(struct label_scoring *scoring, size_t position, struct error *err)
{
    struct open_session *open = scoring->open[position];
    status_t status = ST_OK;
    if (open->session.is_foreign) {
        label_scoring_take_foreign(scoring, &open->session);
    } else {
        struct slot_result result = {0};
        status = label_result_make(scoring, &open->session, open->index, &result, err);
        if (status == ST_OK) label_scoring_take(scoring, open->index, &result);
    }
    drop(scoring, position);
    return status;
}

/* The ids were those of the stage before; the new calls get theirs when they go out. */
static void await_new_calls(struct open_session *open)
{
    open->n_ids = 0;
    open->must_ask = true;
}

/* Hand one reply to every open call of that id; a session may end or ask anew. */
static status_t deliver(struct label_scoring *scoring, const char *id,
                        const struct call_reply *reply, struct error *err)
{
    const bool is_done = reply->state == CALL_DONE;
    status_t status = ST_OK;
    for (size_t p = scoring->n_open; p-- > 0 && status == ST_OK;) {
        struct open_session *open = scoring->open[p];
        const enum session_stage stage = open->session.stage;
        for (size_t i = 0; i < open->n_ids && open->session.stage == stage && status == ST_OK;
             i++) {
            if (open->session.calls[i].is_answered || strcmp(open->ids[i], id) != 0) continue;
            status = label_session_answer(&open->session, i, is_done ? reply->content : NULL,
                                          is_done ? reply->n_content_bytes : 0, err);
        }
        if (status != ST_OK) break;
        if (open->session.stage == SESSION_DONE)
            status = finish(scoring, p, err);
        else if (open->session.stage != stage)
            await_new_calls(open);
    }
    return status;
}

static bool is_awaited(const struct label_scoring *scoring, const char *id)
{
    for (size_t p = 0; p < scoring->n_open; p++)
        for (size_t i = 0; i < scoring->open[p]->n_ids; i++)
            if (!scoring->open[p]->session.calls[i].is_answered &&
                strcmp(scoring->open[p]->ids[i], id) == 0)
                return true;
    return false;
}

struct reading {
    struct call_reply replies[ANNOUNCEMENTS_AT_ONCE];
    status_t status;
    struct error error;
};

static void take_reply(void *context, size_t index, const redisReply *reply)
{
    struct reading *reading = context;
    const status_t status = call_reply_parse(reply, &reading->replies[index], &reading->error);
    if (status != ST_OK && reading->status == ST_OK) reading->status = status;
}

static status_t read_and_deliver(struct label_scoring *scoring,
                                 const struct call_announcement *heard, size_t n, struct error *err)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading) return error_set(err, ST_NO_MEMORY, "replies");
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = call_queue_read(store_of(scoring), heard[i].id, err);
    const status_t drained = store_drain(store_of(scoring), take_reply, reading, err);
    if (status == ST_OK) status = drained;
    if (status == ST_OK && reading->status != ST_OK)
        status = error_set(err, reading->status, "%s", reading->error.text);
    for (size_t i = 0; i < n; i++) {
        const enum call_state state = reading->replies[i].state;
        if (status == ST_OK && (state == CALL_DONE || state == CALL_FAILED))
            status = deliver(scoring, heard[i].id, &reading->replies[i], err);
        call_reply_fini(&reading->replies[i]);
    }
    free(reading);
    return status;
}

static status_t hear(struct label_scoring *scoring, size_t *n_heard, struct error *err)
{
    struct call_announcement all[ANNOUNCEMENTS_AT_ONCE], mine[ANNOUNCEMENTS_AT_ONCE];
    size_t n_mine = 0;
    status_t status = call_announcements(store_of(scoring), scoring->cursor, -1, all,
                                         ANNOUNCEMENTS_AT_ONCE, n_heard, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < *n_heard; i++)
        if (is_awaited(scoring, all[i].id)) mine[n_mine++] = all[i];
    return n_mine ? read_and_deliver(scoring, mine, n_mine, err) : ST_OK;
}

/* --- money and providers ------------------------------------------------------------------- */

static status_t check_provider(struct label_scoring *scoring,
                               const struct session_provider *provider, struct error *err)
{
    struct call_provider_state state;
    if (!provider->name) return ST_OK;
    const status_t status =
        call_provider_state_read(store_of(scoring), provider->name, &state, err);
    if (status == ST_OK && state.is_open)
        (void)snprintf(scoring->problem, sizeof scoring->problem, "%.*s", SWEEP_REASON_SIZE - 1,
                       state.reason[0] ? state.reason : provider->name);
    return status;
}

/* Why calls do not move, if they do not, in scoring->problem. */
static status_t find_problem(struct label_scoring *scoring, struct error *err)
{
    const struct sweep *sweep = scoring->run->sweep;
    struct call_ledger ledger;
    scoring->problem[0] = '\0';
    status_t status = call_ledger_read(store_of(scoring), sweep->id, &ledger, err);
    if (status == ST_OK) status = check_provider(scoring, &scoring->rules.explainer, err);
    if (status == ST_OK) status = check_provider(scoring, &scoring->rules.judge, err);
    if (status == ST_OK && ledger.is_exhausted)
        (void)snprintf(
            scoring->problem, sizeof scoring->problem, "budget spent: %.6f of %.6f dollars",
            (double)ledger.spent_microdollars * 1e-6, (double)ledger.budget_microdollars * 1e-6);
    return status;
}

/* A provider that refuses and a spent budget pause the sweep. */
static status_t check(struct label_scoring *scoring, struct error *err)
{
    struct sweep *sweep = scoring->run->sweep;
    const status_t status = find_problem(scoring, err);
    if (status == ST_OK && scoring->problem[0])
        (void)snprintf(sweep->wants_pause, sizeof sweep->wants_pause, "%s", scoring->problem);
    return status;
}

status_t label_calls_recheck(struct label_scoring *scoring, bool *may_go_on, struct error *err)
{
    const status_t status = find_problem(scoring, err);
    *may_go_on = status == ST_OK && !scoring->problem[0];
    return status;
}

status_t label_calls_step(struct label_scoring *scoring, struct error *err)
{
    if (scoring->n_open == 0) return ST_OK;
    size_t n_heard = 0;
    status_t status = ask_all(scoring, true, err);
    if (status != ST_OK) return status;
    do status = hear(scoring, &n_heard, err);
    while (status == ST_OK && n_heard == ANNOUNCEMENTS_AT_ONCE);
    if (status == ST_OK) status = ask_all(scoring, true, err); /* sessions that went on */
    if (status == ST_UNREACHABLE) scoring->next_ask_ms = 1;    /* what was heard may be lost */
    if (status == ST_OK && now_ms(scoring) >= scoring->next_check_ms) {
        scoring->next_check_ms = now_ms(scoring) + CHECK_EVERY_MS;
        status = check(scoring, err);
    }
    if (status == ST_OK && now_ms(scoring) >= scoring->next_ask_ms) {
        if (scoring->next_ask_ms) status = ask_all(scoring, false, err);
        scoring->next_ask_ms = now_ms(scoring) + ASK_AGAIN_EVERY_MS;
    }
    return status;
}
