/* Open sessions and what they wait for: calls go out through the store, probes through the pool;
 * announcements and answers come back, are looked up (call_index.h) and handed in. Asking is
 * idempotent, so a restarted coordinator simply asks again and finds what is stored. */
#include "coordinator/sweep/label_scoring_parts.h"
#include "coordinator/sweep/paid_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANNOUNCEMENTS_AT_ONCE = 64,
    CALLS_AT_ONCE = 512, /* submitted in one pipeline */
    CHECK_EVERY_MS = 1000,
    CHECK_AGAIN_MS = 30000, /* the stream of announcements is capped: never wait for ever */
    SESSIONS_CHECKED = 64   /* at a step */
};

static struct store *store_of(const struct label_scoring *scoring)
{
    return scoring->run->sweep->context->store;
}

static int64_t now_ms(const struct label_scoring *scoring)
{
    return clock_monotonic_ms(scoring->run->sweep->context->clock);
}

/* --- from and to the jobs ------------------------------------------------------------------ */

static void make_ready(struct label_scoring *scoring, struct open_session *open)
{
    open->place = OPEN_READY;
    label_open_push(&scoring->ready, open);
    scoring->n_ready++;
}

/* All asks of a stage are awaited from the moment it is entered; those of a stage that is asked
 * for again are awaited already. */
static status_t await_calls(struct label_scoring *scoring, struct open_session *open,
                            struct error *err)
{
    status_t status = ST_OK;
    if (!scoring->waiters) status = call_index_create(&scoring->waiters, err);
    for (size_t i = 0; i < open->n_calls && status == ST_OK; i++)
        status = call_index_add(scoring->waiters, open->ids[open->call_asks[i]],
                                (struct call_waiter){open, open->call_asks[i]}, err);
    open->is_awaited = status == ST_OK;
    return status;
}

status_t label_calls_take(struct label_scoring *scoring, struct open_session *open,
                          struct error *err)
{
    if (open->session.stage == SESSION_DONE) {
        if (open->session.intervention)
            label_intervene_take(scoring, open);
        else if (open->session.is_foreign)
            label_scoring_take_foreign(scoring, open);
        else
            label_scoring_take(scoring, open->index, open->result);
        label_open_drop(scoring, open);
        return ST_OK;
    }
    open->place = OPEN_ASKING;
    label_open_push(&scoring->asking, open);
    return open->is_awaited ? ST_OK : await_calls(scoring, open, err);
}

/* --- asking -------------------------------------------------------------------------------- */

static status_t queue_calls(struct label_scoring *scoring, struct open_session *open,
                            struct error *err)
{
    const struct sweep *sweep = scoring->run->sweep;
    status_t status = ST_OK;
    for (size_t i = 0; i < open->n_calls && status == ST_OK; i++)
        status = call_queue_submit(sweep->context->calls, &open->calls[i], sweep->id,
                                   sweep->spec->priority, "", err);
    return status;
}

static status_t ask_probe(struct label_scoring *scoring, struct open_session *open, uint32_t ask,
                          struct error *err)
{
    const struct experiment *experiment = label_session_probe(&open->session, ask);
    const struct slot_name name = label_slot_name(scoring, open->index);
    const struct probe_request request = {name.target, name.slot, experiment->text,
                                          experiment->n_bytes};
    char id[HASH_HEX_SIZE];
    const status_t status = probe_pool_ask(scoring->probes, &request, id, err);
    if (status != ST_OK) return status;
    if (!call_id_parse(id, open->ids[ask])) return error_set(err, ST_INTERNAL, "probe id %s", id);
    return call_index_add(scoring->waiters, open->ids[ask], (struct call_waiter){open, ask}, err);
}

/* From the first probe that was not asked on; ST_BUSY when the pool is full. */
static status_t ask_probes(struct label_scoring *scoring, struct open_session *open,
                           struct error *err)
{
    const struct label_session *session = &open->session;
    status_t status = ST_OK;
    while (open->n_probes_asked < session->n_asks && status == ST_OK) {
        const uint32_t ask = (uint32_t)open->n_probes_asked;
        if (session->asks[ask].kind == ASK_PROBE) status = ask_probe(scoring, open, ask, err);
        if (session->asks[ask].kind == ASK_GENERATE)
            status = label_intervene_ask(scoring, open, ask, err);
        if (status == ST_OK) open->n_probes_asked++;
    }
    return status;
}

/* Its asks are out. Answers may have come while it was on its way. */
static void asked(struct label_scoring *scoring, struct open_session *open)
{
    label_open_drop_calls(open);
    open->check_ms = now_ms(scoring) + CHECK_AGAIN_MS;
    open->place = OPEN_WAITING;
    if (!label_session_waits(&open->session)) make_ready(scoring, open);
}

/* Submit the calls of the first ones in the list, in one pipeline; they leave it when the store
 * has them. */
static status_t ask_some(struct label_scoring *scoring, struct error *err)
{
    size_t n_sessions = 0, n_calls = 0;
    status_t status = ST_OK;
    for (struct open_session *open = scoring->asking.first;
         open && n_calls < CALLS_AT_ONCE && status == ST_OK; open = open->next) {
        status = queue_calls(scoring, open, err);
        n_calls += open->n_calls;
        n_sessions++;
    }
    const status_t drained = store_drain(store_of(scoring), NULL, NULL, err);
    if (status == ST_OK) status = drained;
    for (; n_sessions > 0 && status == ST_OK; n_sessions--) {
        status = ask_probes(scoring, scoring->asking.first, err);
        if (status == ST_OK) asked(scoring, label_open_pop(&scoring->asking));
    }
    return status;
}

/* Where announcements are read from is fixed before the first call is out. */
static status_t ask_all(struct label_scoring *scoring, struct error *err)
{
    status_t status = ST_OK;
    struct error busy = {0};
    if (!scoring->asking.first) return ST_OK;
    if (!scoring->has_cursor) status = call_cursor_now(store_of(scoring), scoring->cursor, err);
    scoring->has_cursor = status == ST_OK;
    while (status == ST_OK && scoring->asking.first) status = ask_some(scoring, &busy);
    if (status == ST_BUSY) return ST_OK; /* the pool is full: at the next step */
    return status == ST_OK || !busy.text[0] ? status : error_set(err, status, "%s", busy.text);
}

/* --- hearing ------------------------------------------------------------------------------- */

/* Answered asks of a session that waits: has it got them all? */
static void after_answer(struct label_scoring *scoring, struct open_session *open)
{
    if (open->place == OPEN_WAITING && !label_session_waits(&open->session))
        make_ready(scoring, open);
}

/* Those whose session is with a job are put back: the job asks again, and hears again. */
static status_t put_back(struct label_scoring *scoring, const unsigned char *id,
                         const struct call_waiter *all, size_t n, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = call_index_add(scoring->waiters, id, all[i], err);
    return status;
}

static status_t take_reply_of(struct open_session *open, uint32_t ask,
                              const struct call_reply *reply, struct error *err)
{
    const struct session_reply of = {reply->content, reply->n_content_bytes, reply->logprobs};
    return label_session_answer(&open->session, ask, &of, err);
}

/* Hand one answer to everybody who waits for it. */
static status_t deliver(struct label_scoring *scoring, const unsigned char *id,
                        const struct call_reply *reply, const struct session_probe *probe,
                        struct error *err)
{
    struct call_waiter waiter, later[BLOCK_SESSIONS];
    size_t n_later = 0;
    status_t status = ST_OK;
    while (status == ST_OK && n_later < BLOCK_SESSIONS &&
           call_index_take(scoring->waiters, id, &waiter)) {
        struct open_session *open = waiter.owner;
        if (open->place == OPEN_IN_JOB || open->place == OPEN_READY) {
            later[n_later++] = waiter;
            continue;
        }
        if (probe)
            label_session_probe_answer(&open->session, waiter.ask, probe);
        else
            status = take_reply_of(open, waiter.ask, reply, err);
        after_answer(scoring, open);
    }
    return status == ST_OK ? put_back(scoring, id, later, n_later, err) : status;
}

static bool is_awaited(const struct label_scoring *scoring, const char *hex, unsigned char *id)
{
    return call_id_parse(hex, id) && call_index_has(scoring->waiters, id);
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

/* What the store has of ids[n], n <= ANNOUNCEMENTS_AT_ONCE, in one round trip. */
static status_t read_replies(struct label_scoring *scoring, unsigned char (*ids)[CALL_ID_BYTES],
                             size_t n, struct reading *reading, struct error *err)
{
    char hex[HASH_HEX_SIZE];
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        call_id_print(ids[i], hex);
        status = call_queue_read(store_of(scoring), hex, err);
    }
    const status_t drained = store_drain(store_of(scoring), take_reply, reading, err);
    if (status == ST_OK) status = drained;
    if (status == ST_OK && reading->status != ST_OK)
        status = error_set(err, reading->status, "%s", reading->error.text);
    return status;
}

/* Deliver what is there; *n_unknown: calls that the store has never heard of. */
static status_t read_and_deliver(struct label_scoring *scoring, unsigned char (*ids)[CALL_ID_BYTES],
                                 size_t n, size_t *n_unknown, struct error *err)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading) return error_set(err, ST_NO_MEMORY, "replies");
    status_t status = read_replies(scoring, ids, n, reading, err);
    for (size_t i = 0; i < n; i++) {
        const enum call_state state = reading->replies[i].state;
        if (status == ST_OK && (state == CALL_DONE || state == CALL_FAILED))
            status = deliver(scoring, ids[i], &reading->replies[i], NULL, err);
        *n_unknown += state == CALL_UNKNOWN;
        call_reply_fini(&reading->replies[i]);
    }
    free(reading);
    return status;
}

static status_t hear(struct label_scoring *scoring, size_t *n_heard, struct error *err)
{
    struct call_announcement all[ANNOUNCEMENTS_AT_ONCE];
    unsigned char mine[ANNOUNCEMENTS_AT_ONCE][CALL_ID_BYTES];
    size_t n_mine = 0, n_unknown = 0;
    status_t status = call_announcements(store_of(scoring), scoring->cursor, -1, all,
                                         ANNOUNCEMENTS_AT_ONCE, n_heard, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < *n_heard; i++) n_mine += is_awaited(scoring, all[i].id, mine[n_mine]);
    return n_mine ? read_and_deliver(scoring, mine, n_mine, &n_unknown, err) : ST_OK;
}

/* --- probes -------------------------------------------------------------------------------- */

/* The strongest token, where the tokens spell the text. */
static void find_peak(const struct probe_answer *answer, struct session_probe *out)
{
    size_t begin = 0, best = 0;
    for (size_t i = 1; i < answer->n_tokens; i++)
        if (answer->activations[i] > answer->activations[best]) best = i;
    if (!answer->pieces || answer->n_tokens == 0) return;
    for (size_t i = 0; i < best; i++) begin += answer->pieces[i].n_bytes;
    out->peak_begin = (uint32_t)begin;
    out->peak_bytes = (uint32_t)answer->pieces[best].n_bytes;
}

static status_t take_probe(void *context, const char *hex, const struct probe_answer *answer,
                           struct error *err)
{
    struct label_scoring *scoring = context;
    unsigned char id[CALL_ID_BYTES];
    struct call_waiter waiter;
    status_t status = ST_OK;
    if (!call_id_parse(hex, id)) return ST_OK;
    while (status == ST_OK && call_index_take(scoring->waiters, id, &waiter)) {
        struct open_session *open = waiter.owner;
        const struct slot_name name = label_slot_name(scoring, open->index);
        const float threshold = scoring->run->targets[name.target].frozen.fire_threshold[name.slot];
        const float max_value = probe_answer_max(answer);
        struct session_probe probe = {.has_failed = answer->error[0] != '\0',
                                      .fires = max_value > threshold,
                                      .max_value = max_value};
        if (probe.fires) find_peak(answer, &probe);
        label_session_probe_answer(&open->session, waiter.ask, &probe);
        after_answer(scoring, open);
    }
    (void)err;
    return status;
}

static status_t take_generation(void *context, const char *hex,
                                const struct generate_answer *answer, struct error *err)
{
    struct label_scoring *scoring = context;
    unsigned char id[CALL_ID_BYTES];
    struct call_waiter waiter;
    status_t status = ST_OK;
    if (!call_id_parse(hex, id)) return ST_OK;
    while (status == ST_OK && call_index_take(scoring->waiters, id, &waiter)) {
        struct open_session *open = waiter.owner;
        status = label_session_generation_answer(&open->session, waiter.ask, answer, err);
        after_answer(scoring, open);
    }
    return status;
}

/* --- money and providers ------------------------------------------------------------------- */

/* Why calls do not move, if they do not, in scoring->problem. */
static status_t find_problem(struct label_scoring *scoring, struct error *err)
{
    const struct session_rules *rules = &scoring->rules;
    const char *names[2 + SWEEP_MAX_MORE_JUDGES] = {rules->explainer.name, rules->judge.name};
    for (size_t i = 0; i < rules->n_more_judges; i++) names[2 + i] = rules->more_judges[i].name;
    const struct paid_providers providers = {names, 2 + rules->n_more_judges};
    return paid_calls_find_problem(scoring->run->sweep, &providers, scoring->problem, err);
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

/* --- waits that are long ------------------------------------------------------------------- */

/* What became of the calls that one session waits for. Calls that the store does not know (it
 * lost them) are asked again, by a job, which can write their bodies. */
static status_t check_session(struct label_scoring *scoring, struct open_session *open,
                              struct error *err)
{
    const struct label_session *session = &open->session;
    unsigned char ids[ANNOUNCEMENTS_AT_ONCE][CALL_ID_BYTES];
    size_t n = 0, n_unknown = 0;
    for (size_t i = 0; i < session->n_asks && n < ANNOUNCEMENTS_AT_ONCE; i++)
        if (!session->asks[i].is_answered && session_ask_is_call(session->asks[i].kind))
            memcpy(ids[n++], open->ids[i], CALL_ID_BYTES);
    open->check_ms = now_ms(scoring) + CHECK_AGAIN_MS;
    const status_t status = n ? read_and_deliver(scoring, ids, n, &n_unknown, err) : ST_OK;
    if (status == ST_OK && n_unknown && open->place == OPEN_WAITING) make_ready(scoring, open);
    return status;
}

/* A few sessions at every step, so that thousands cost no step much. */
static status_t check_some(struct label_scoring *scoring, struct error *err)
{
    const int64_t now = now_ms(scoring);
    status_t status = ST_OK;
    for (size_t i = 0; i < SESSIONS_CHECKED && i < scoring->n_open && status == ST_OK; i++) {
        if (scoring->next_checked >= scoring->n_open) scoring->next_checked = 0;
        struct open_session *open = scoring->open[scoring->next_checked++];
        if (open->place == OPEN_WAITING && open->check_ms <= now)
            status = check_session(scoring, open, err);
    }
    return status;
}

/* After the store was away what it announced may be lost. */
static void check_all_soon(struct label_scoring *scoring)
{
    for (size_t i = 0; i < scoring->n_open; i++)
        if (scoring->open[i]->place == OPEN_WAITING) scoring->open[i]->check_ms = 0;
}

/* --- the step ------------------------------------------------------------------------------ */

static status_t exchange(struct label_scoring *scoring, struct error *err)
{
    size_t n_heard = 0;
    status_t status = ask_all(scoring, err);
    if (status == ST_OK && scoring->probes)
        status = probe_pool_step(scoring->probes, take_probe, scoring, err);
    if (status == ST_OK && scoring->generations)
        status = generate_pool_step(scoring->generations, take_generation, scoring, err);
    if (!scoring->has_cursor || status != ST_OK) return status;
    do status = hear(scoring, &n_heard, err);
    while (status == ST_OK && n_heard == ANNOUNCEMENTS_AT_ONCE);
    return status == ST_OK ? check_some(scoring, err) : status;
}

status_t label_calls_step(struct label_scoring *scoring, struct error *err)
{
    if (scoring->n_open == 0) return ST_OK;
    status_t status = exchange(scoring, err);
    if (status == ST_UNREACHABLE) check_all_soon(scoring);
    if (status == ST_OK && scoring->waiters && now_ms(scoring) >= scoring->next_check_ms) {
        scoring->next_check_ms = now_ms(scoring) + CHECK_EVERY_MS;
        status = check(scoring, err);
    }
    return status;
}
