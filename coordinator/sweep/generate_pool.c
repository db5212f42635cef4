#include "coordinator/sweep/generate_pool.h"

#include "coordinator/sweep/probe_asks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = SWEEP_ID_SIZE + 32, NAME_DIGITS = 16, LOOKUPS_AT_ONCE = 64 };

enum running_state {
    RUNNING_NEW,    /* its name is not in the store */
    RUNNING_NAMED,  /* the dispatcher has not got it */
    RUNNING_QUEUED, /* no answer yet */
    RUNNING_ANSWERED,
    RUNNING_TOLD /* its keys remain */
};

/* A job as a task of one unit. */
struct running {
    enum running_state state;
    struct probe_ask *ask; /* borrowed; its text is the job; NULL once told */
    struct task *task;     /* owned */
    struct buffer answer;  /* encoded */
    bool is_dead, is_stored;
};

struct generate_pool {
    struct dispatcher *dispatcher;
    struct store *store;
    struct fair_share *share;
    char sweep_id[SWEEP_ID_SIZE];
    char *spec_json; /* owned */
    char identity[HASH_HEX_SIZE];
    char answers_key[KEY_SIZE], tasks_key[KEY_SIZE];
    bool is_pinned;
    struct probe_asks asks;
    struct probe_queue lookups, waiting;
    struct running *running[GENERATE_POOL_MAX_TASKS]; /* [n_running], each owned, oldest first */
    size_t n_running;
    struct generate_pool_counts counts;
};

static void make_keys(const char *sweep_id, char answers[KEY_SIZE], char tasks[KEY_SIZE])
{
    (void)snprintf(answers, KEY_SIZE, "interp:generations:%s", sweep_id);
    (void)snprintf(tasks, KEY_SIZE, "interp:generate_tasks:%s", sweep_id);
}

status_t generate_pool_create(struct generate_pool **out, const struct generate_pool_params *params,
                              struct error *err)
{
    const size_t n_id = strlen(params->sweep_id);
    if (n_id >= SWEEP_ID_SIZE)
        return error_set(err, ST_BAD_INPUT, "generations of sweep %s", params->sweep_id);
    struct generate_pool *pool = calloc(1, sizeof *pool);
    if (pool) pool->spec_json = strdup(params->spec_json);
    if (!pool || !pool->spec_json) {
        free(pool);
        return error_set(err, ST_NO_MEMORY, "generations");
    }
    pool->dispatcher = params->dispatcher;
    pool->store = params->store;
    pool->share = params->share;
    pool->is_pinned = params->is_pinned;
    memcpy(pool->sweep_id, params->sweep_id, n_id + 1);
    (void)hash_sha256_hex(params->identity, strlen(params->identity), pool->identity);
    make_keys(pool->sweep_id, pool->answers_key, pool->tasks_key);
    *out = pool;
    return ST_OK;
}

static void running_destroy(struct running *self)
{
    task_destroy(&self->task);
    buffer_fini(&self->answer);
    free(self);
}

void generate_pool_destroy(struct generate_pool **pool)
{
    struct generate_pool *self = *pool;
    if (!self) return;
    for (size_t i = 0; i < self->n_running; i++) {
        dispatcher_forget_task(self->dispatcher, self->running[i]->task);
        running_destroy(self->running[i]);
    }
    probe_asks_fini(&self->asks);
    free(self->spec_json);
    free(self);
    *pool = NULL;
}

struct generate_pool_counts generate_pool_counts(const struct generate_pool *pool)
{
    return pool->counts;
}

size_t generate_pool_n_open(const struct generate_pool *pool)
{
    return pool->asks.n;
}

void generate_pool_retry(struct generate_pool *pool)
{
    for (size_t i = 0; i < pool->n_running; i++)
        (void)dispatcher_retry_dead(pool->dispatcher, pool->running[i]->task);
}

/* --- asking -------------------------------------------------------------------------------- */

static status_t name_job(const struct generate_pool *pool, const struct buffer *job,
                         char id[HASH_HEX_SIZE], struct error *err)
{
    struct hash_stream *stream = NULL;
    status_t status = hash_stream_create(&stream, err);
    if (status == ST_OK) status = hash_stream_add(stream, "generate|", 9, err);
    if (status == ST_OK)
        status = hash_stream_add(stream, pool->identity, strlen(pool->identity), err);
    if (status == ST_OK) status = hash_stream_add(stream, job->bytes, job->n_bytes, err);
    if (status == ST_OK) status = hash_stream_hex(stream, id, err);
    hash_stream_destroy(&stream);
    return status;
}

static status_t add_ask(struct generate_pool *pool, const struct buffer *job, const char *id,
                        struct error *err)
{
    struct probe_ask *ask;
    if (pool->asks.n >= GENERATE_POOL_MAX_OPEN)
        return error_set(err, ST_BUSY, "%d generations are open", GENERATE_POOL_MAX_OPEN);
    const status_t status =
        probe_asks_add(&pool->asks, id, (const char *)job->bytes, job->n_bytes, &ask, err);
    if (status == ST_OK) probe_queue_push(&pool->lookups, ask);
    return status;
}

status_t generate_pool_ask(struct generate_pool *pool, const struct generate_job *job,
                           char id[HASH_HEX_SIZE], struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, GENERATE_MAX_JOB_BYTES);
    status_t status = generate_job_encode(job, &bytes, err);
    if (status == ST_OK) status = name_job(pool, &bytes, id, err);
    if (status == ST_OK && !probe_asks_find(&pool->asks, id))
        status = add_ask(pool, &bytes, id, err);
    buffer_fini(&bytes);
    return status;
}

/* --- telling ------------------------------------------------------------------------------- */

struct teller {
    generate_pool_answer_fn *on_answer;
    void *context;
};

static status_t tell(struct generate_pool *pool, struct probe_ask *ask,
                     const struct generate_answer *answer, const struct teller *teller,
                     struct error *err)
{
    char id[HASH_HEX_SIZE];
    memcpy(id, ask->id, sizeof id);
    probe_asks_drop(&pool->asks, ask); /* first: on_answer may ask again */
    return teller->on_answer(teller->context, id, answer, err);
}

/* --- answers that are in the store already ------------------------------------------------- */

struct lookup {
    size_t n;
    struct probe_ask *asks[LOOKUPS_AT_ONCE];
    struct generate_answer answers[LOOKUPS_AT_ONCE];
    bool is_stored[LOOKUPS_AT_ONCE], is_unreadable[LOOKUPS_AT_ONCE];
};

static void take_stored(void *context, size_t index, const redisReply *reply)
{
    struct lookup *lookup = context;
    if (reply->type != REDIS_REPLY_STRING) return;
    lookup->is_stored[index] =
        generate_answer_decode(reply->str, reply->len, &lookup->answers[index], NULL) == ST_OK;
    lookup->is_unreadable[index] = !lookup->is_stored[index];
}

/* What nobody can read is removed, and computed again: the first writer wins. */
static status_t read_stored(struct generate_pool *pool, struct lookup *lookup, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < lookup->n && status == ST_OK; i++)
        status =
            store_queue(pool->store, err, "HGET %s %s", pool->answers_key, lookup->asks[i]->id);
    const status_t drained = store_drain(pool->store, take_stored, lookup, err);
    if (status == ST_OK) status = drained;
    for (size_t i = 0; i < lookup->n && status == ST_OK; i++)
        if (lookup->is_unreadable[i])
            status = store_run(pool->store, NULL, err, "HDEL %s %s", pool->answers_key,
                               lookup->asks[i]->id);
    return status;
}

/* What is not told goes where it belongs: back, if the store is away. */
static status_t settle(struct generate_pool *pool, struct lookup *lookup, status_t status,
                       const struct teller *teller, struct error *err)
{
    const bool was_read = status == ST_OK;
    for (size_t i = 0; i < lookup->n; i++) {
        struct probe_ask *ask = lookup->asks[i];
        if (was_read && lookup->is_stored[i] && status == ST_OK) {
            pool->counts.n_stored++;
            status = tell(pool, ask, &lookup->answers[i], teller, err);
        } else if (was_read && !lookup->is_stored[i]) {
            ask->state = ASK_WAITING;
            probe_queue_push(&pool->waiting, ask);
        } else {
            probe_queue_push(&pool->lookups, ask);
        }
        generate_answer_fini(&lookup->answers[i]);
    }
    return status;
}

static status_t look_up(struct generate_pool *pool, const struct teller *teller, struct error *err)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup) return error_set(err, ST_NO_MEMORY, "generations");
    status_t status = ST_OK;
    while (pool->lookups.n && status == ST_OK) {
        *lookup = (struct lookup){0};
        while (lookup->n < LOOKUPS_AT_ONCE && pool->lookups.n)
            lookup->asks[lookup->n++] = probe_queue_pop(&pool->lookups);
        status = read_stored(pool, lookup, err);
        status = settle(pool, lookup, status, teller, err);
    }
    free(lookup);
    return status;
}

/* --- tasks --------------------------------------------------------------------------------- */

static status_t running_payload(struct task *task, size_t unit, struct buffer *out,
                                struct error *err)
{
    const struct running *self = task->owner;
    (void)unit;
    return self->ask ? buffer_append(out, self->ask->text, self->ask->n_bytes, err) : ST_OK;
}

/* What cannot be read is a failed attempt of the worker's. */
static status_t running_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                               struct error *err)
{
    struct running *self = task->owner;
    struct generate_answer answer;
    (void)unit;
    if (self->state != RUNNING_QUEUED) return ST_OK; /* dead, and alive again too late */
    status_t status = generate_answer_decode(bytes, n_bytes, &answer, err);
    if (status != ST_OK) return status;
    generate_answer_fini(&answer);
    status = buffer_append(&self->answer, bytes, n_bytes, err);
    if (status == ST_OK) self->state = RUNNING_ANSWERED;
    return status;
}

static const struct task_ops running_ops = {.payload = running_payload, .result = running_result};

static status_t start(struct generate_pool *pool, struct error *err)
{
    char id[TASK_ID_SIZE];
    struct running *self = calloc(1, sizeof *self);
    struct probe_ask *ask = pool->waiting.first;
    if (!self) return error_set(err, ST_NO_MEMORY, "a generation");
    buffer_init(&self->answer, GENERATE_MAX_ANSWER_BYTES);
    (void)snprintf(id, sizeof id, "%s/generate-%.*s", pool->sweep_id, NAME_DIGITS, ask->id);
    const struct task_params params = {.id = id,
                                       .kind = TASK_GENERATE,
                                       .n_units = 1,
                                       .spec_json = pool->spec_json,
                                       .ops = &running_ops,
                                       .owner = self,
                                       .share = pool->share,
                                       .is_pinned = pool->is_pinned,
                                       .keeps_dead = true,
                                       .max_units_per_lease = 1};
    const status_t status = task_create(&self->task, &params, err);
    if (status != ST_OK) {
        running_destroy(self);
        return status;
    }
    self->ask = probe_queue_pop(&pool->waiting);
    self->ask->state = ASK_RUNNING;
    pool->running[pool->n_running++] = self;
    return ST_OK;
}

static status_t start_some(struct generate_pool *pool, struct error *err)
{
    status_t status = ST_OK;
    while (pool->waiting.n && pool->n_running < GENERATE_POOL_MAX_TASKS && status == ST_OK)
        status = start(pool, err);
    return status;
}

static status_t name_task(struct generate_pool *pool, struct running *self, struct error *err)
{
    const status_t status =
        store_run(pool->store, NULL, err, "SADD %s %s", pool->tasks_key, self->task->id);
    if (status == ST_OK) self->state = RUNNING_NAMED;
    return status;
}

static status_t queue_task(struct generate_pool *pool, struct running *self, struct error *err)
{
    self->state = RUNNING_QUEUED; /* results that are there are handed in at once */
    const status_t status = dispatcher_add_task(pool->dispatcher, self->task, err);
    if (status != ST_OK) self->state = RUNNING_NAMED;
    return status;
}

/* A task that is given up, or can never run, is answered with the reason. */
static status_t take_dead(struct running *self, struct error *err)
{
    const struct task *task = self->task;
    const bool is_broken = task->failure.status != ST_OK;
    if (!is_broken && unit_table_state(task->units, 0) != UNIT_DEAD) return ST_OK;
    const size_t n = task->n_errors < TASK_ERRORS_KEPT ? task->n_errors : TASK_ERRORS_KEPT;
    const char *why = n ? task->errors[n - 1].text : "no error was kept";
    struct generate_answer answer = generate_answer_of_error(is_broken ? task->failure.text : why);
    const status_t status = generate_answer_encode(&answer, &self->answer, err);
    if (status == ST_OK) self->state = RUNNING_ANSWERED;
    self->is_dead = status == ST_OK;
    return status;
}

/* The first one that was stored counts. */
static status_t store_answer(struct generate_pool *pool, struct running *self, struct error *err)
{
    redisReply *reply = NULL;
    if (self->is_stored) return ST_OK;
    status_t status = store_run(pool->store, NULL, err, "HSETNX %s %s %b", pool->answers_key,
                                self->ask->id, self->answer.bytes, self->answer.n_bytes);
    if (status == ST_OK)
        status =
            store_run(pool->store, &reply, err, "HGET %s %s", pool->answers_key, self->ask->id);
    if (status == ST_OK && reply->type == REDIS_REPLY_STRING) {
        self->answer.n_bytes = 0;
        status = buffer_append(&self->answer, reply->str, reply->len, err);
    }
    freeReplyObject(reply);
    self->is_stored = status == ST_OK;
    if (status == ST_OK) pool->counts.n_dead += self->is_dead;
    if (status == ST_OK) pool->counts.n_computed += !self->is_dead;
    return status;
}

static status_t tell_answer(struct generate_pool *pool, struct running *self,
                            const struct teller *teller, struct error *err)
{
    struct generate_answer answer = {0};
    struct probe_ask *ask = self->ask;
    status_t status = store_answer(pool, self, err);
    if (status == ST_OK)
        status = generate_answer_decode(self->answer.bytes, self->answer.n_bytes, &answer, err);
    if (status != ST_OK) return status;
    self->ask = NULL;
    self->state = RUNNING_TOLD;
    status = tell(pool, ask, &answer, teller, err);
    generate_answer_fini(&answer);
    return status;
}

/* The name goes last: a task whose keys are there is found by it. */
static status_t end_task(struct generate_pool *pool, struct running *self, struct error *err)
{
    const status_t status = dispatcher_end_task(pool->dispatcher, self->task, err);
    return status == ST_OK
               ? store_run(pool->store, NULL, err, "SREM %s %s", pool->tasks_key, self->task->id)
               : status;
}

static status_t drive_one(struct generate_pool *pool, struct running *self,
                          const struct teller *teller, bool *is_ended, struct error *err)
{
    status_t status = ST_OK;
    if (self->state == RUNNING_NEW) status = name_task(pool, self, err);
    if (status == ST_OK && self->state == RUNNING_NAMED) status = queue_task(pool, self, err);
    if (status == ST_OK && self->state == RUNNING_QUEUED) status = take_dead(self, err);
    if (status == ST_OK && self->state == RUNNING_ANSWERED)
        status = tell_answer(pool, self, teller, err);
    if (status == ST_OK && self->state == RUNNING_TOLD) {
        status = end_task(pool, self, err);
        *is_ended = status == ST_OK;
    }
    return status;
}

static status_t drive(struct generate_pool *pool, const struct teller *teller, struct error *err)
{
    status_t status = ST_OK;
    size_t n_kept = 0, i = 0;
    for (; i < pool->n_running && status == ST_OK; i++) {
        bool is_ended = false;
        status = drive_one(pool, pool->running[i], teller, &is_ended, err);
        if (is_ended)
            running_destroy(pool->running[i]);
        else
            pool->running[n_kept++] = pool->running[i];
    }
    while (i < pool->n_running) pool->running[n_kept++] = pool->running[i++];
    pool->n_running = n_kept;
    return status;
}

status_t generate_pool_step(struct generate_pool *pool, generate_pool_answer_fn *on_answer,
                            void *context, struct error *err)
{
    const struct teller teller = {on_answer, context};
    status_t status = drive(pool, &teller, err);
    if (status == ST_OK) status = look_up(pool, &teller, err);
    if (status == ST_OK) status = start_some(pool, err);
    return status == ST_OK ? drive(pool, &teller, err) : status;
}

/* --- the end ------------------------------------------------------------------------------- */

status_t generate_pool_forget(struct dispatcher *dispatcher, struct store *store,
                              const char *sweep_id, struct error *err)
{
    static const char why[] = "nobody waits for its answers any more";
    char answers[KEY_SIZE], tasks[KEY_SIZE], any[TASK_ID_SIZE];
    redisReply *names = NULL;
    make_keys(sweep_id, answers, tasks);
    /* the list of dead units goes with a task of the sweep */
    (void)snprintf(any, sizeof any, "%.*s/generate", SWEEP_ID_SIZE, sweep_id);
    status_t status = dispatcher_forget_keys(dispatcher, any, why, err);
    if (status == ST_OK) status = store_run(store, &names, err, "SMEMBERS %s", tasks);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < names->elements && status == ST_OK; i++)
        status = dispatcher_forget_keys(dispatcher, names->element[i]->str, why, err);
    freeReplyObject(names);
    return status == ST_OK ? store_run(store, NULL, err, "UNLINK %s %s", answers, tasks) : status;
}
