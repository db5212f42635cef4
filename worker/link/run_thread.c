#include "worker/link/run_thread.h"

#include "common/clock.h"
#include "common/hand_over.h"
#include "common/hash.h"
#include "common/log.h"
#include "worker/link/job.h"
#include "worker/link/result_batch.h"
#include "worker/tasks/model_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IDLE_LOOK_MS = 20 };

struct run_thread {
    struct run_thread_params params;
    pthread_t thread;
    void *jobs, *reports; /* sockets, used by the thread alone */
    struct result_batch batch;
    bool has_store;
    /* the task that is open: consecutive leases of one task reuse its model and buffers */
    const struct task_handler *handler;
    void *task;
    char task_id[TASK_ID_SIZE];
    uint64_t spec_hash; /* a sweep that was retried may come with another spec */
    int64_t unsettled_since_ns;
    bool is_leaving; /* the device is of no use: nothing more is run */
    /* how often less was taken for the task that last found the device full */
    char full_task_id[TASK_ID_SIZE];
    unsigned n_less;
};

static int64_t now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

static void send_report(struct run_thread *self, const struct report *report)
{
    struct report *copy = malloc(sizeof *copy);
    if (!copy) { /* the coordinator will miss it and run the unit again */
        log_event(LOG_ERROR, "report_lost", LOG_TEXT("error", "out of memory"));
        return;
    }
    *copy = *report;
    copy->thread_index = self->params.thread_index;
    hand_over(copy);
    if (zmq_send(self->reports, &copy, sizeof copy, 0) < 0) free(copy);
}

static void close_task(struct run_thread *self)
{
    if (self->task) self->handler->close(self->task);
    self->task = NULL;
    self->task_id[0] = '\0';
}

/* A sweep's probes and generations come as many small tasks of one spec, one after another: opened
 * once. */
static bool is_for(const struct run_thread *self, const struct job *job)
{
    const enum task_kind kind = self->handler->kind;
    return kind == TASK_PROBE || kind == TASK_GENERATE || strcmp(self->task_id, job->task) == 0;
}

static status_t open_task(struct run_thread *self, const struct job *job, struct error *err)
{
    const uint64_t spec_hash = hash_name64(job->spec_json, strlen(job->spec_json));
    if (self->task && self->spec_hash == spec_hash && is_for(self, job)) return ST_OK;
    close_task(self);
    self->spec_hash = spec_hash;
    json_error_t where;
    json_t *spec = json_loads(job->spec_json, JSON_REJECT_DUPLICATES, &where);
    if (!spec) return error_set(err, ST_PROTOCOL, "task spec: %s", where.text);
    const char *kind = json_string_value(json_object_get(spec, "kind"));
    status_t status = kind ? task_handler_find(kind, &self->handler, err)
                           : error_set(err, ST_PROTOCOL, "task spec without a kind");
    if (status == ST_OK)
        status = self->handler->open(&self->task, &self->params.environment, spec, err);
    if (status == ST_OK) (void)snprintf(self->task_id, sizeof self->task_id, "%s", job->task);
    json_decref(spec);
    return status;
}

/* Redis being away is no failure of the units: it is waited for. */
static status_t open_store(struct run_thread *self, struct error *err)
{
    const struct timespec pause = {0, 200 * 1000000};
    status_t status = ST_OK;
    for (bool said = false; !self->has_store; said = true) {
        struct error problem = {0};
        status = result_batch_init(&self->batch, self->params.store_url, &problem);
        self->has_store = status == ST_OK;
        if (status == ST_OK) break;
        if (status != ST_UNREACHABLE || atomic_load(self->params.stop))
            return error_set(err, status, "%s", problem.text);
        if (!said) log_event(LOG_WARN, "store_away", LOG_TEXT("error", problem.text));
        atomic_fetch_add(self->params.environment.ticks, 1);
        (void)nanosleep(&pause, NULL);
    }
    return status;
}

/* Ascending units as [low, high) ranges. */
static void to_ranges(const uint64_t *units, size_t n_units, struct wire_ranges *out)
{
    out->n = 0;
    for (size_t i = 0; i < n_units; i++) {
        if (out->n && out->high[out->n - 1] == units[i]) {
            out->high[out->n - 1]++;
            continue;
        }
        out->low[out->n] = units[i];
        out->high[out->n++] = units[i] + 1;
    }
}

static void fail_unit(struct run_thread *self, struct job *job, uint64_t unit,
                      const struct error *err)
{
    const struct report report = {.kind = REPORT_FAILED, .job = job, .unit = unit, .error = *err};
    send_report(self, &report);
}

/* Fenced off is nobody's failure: a copy of a late lease came second, the sweep was cancelled, the
 * lease had been given to another. The text says which. */
static void log_refusal(const struct job *job, status_t status, const struct error *err)
{
    const bool is_fenced = status == ST_CONFLICT;
    log_event(is_fenced ? LOG_INFO : LOG_WARN,
              is_fenced ? "result_not_needed" : "result_batch_refused",
              LOG_TEXT("task_id", job->task), LOG_NUMBER("lease", job->lease),
              LOG_TEXT("error", err->text));
}

static status_t flush(struct run_thread *self, struct job *job, struct error *err)
{
    if (self->batch.n_units == 0) return ST_OK;
    struct report report = {.kind = REPORT_SETTLED, .job = job};
    to_ranges(self->batch.units, self->batch.n_units, &report.ranges);
    const struct result_batch_target target = {.task = job->task,
                                               .lease = job->lease,
                                               .epoch = job->epoch,
                                               .stop = self->params.stop,
                                               .ticks = self->params.environment.ticks};
    const status_t status =
        result_batch_flush(&self->batch, &target, &report.n_stored, &report.n_duplicate, err);
    const int64_t now = now_ns();
    report.seconds = (double)(now - self->unsettled_since_ns) * 1e-9;
    self->unsettled_since_ns = now;
    if (status == ST_OK) {
        send_report(self, &report);
        return ST_OK;
    }
    log_refusal(job, status, err);
    err->status = status;
    for (size_t i = 0; i < report.ranges.n; i++)
        for (uint64_t unit = report.ranges.low[i]; unit < report.ranges.high[i]; unit++)
            fail_unit(self, job, unit, err);
    return status;
}

static bool should_stop(const struct run_thread *self, const struct job *job)
{
    return self->is_leaving || atomic_load(&job->is_revoked) || atomic_load(self->params.stop);
}

static struct backend *backend_of(const struct run_thread *self)
{
    return model_cache_backend(self->params.environment.models);
}

static void leave(struct run_thread *self, struct job *job, const struct error *err)
{
    const struct report report = {.kind = REPORT_LEAVE, .job = job, .error = *err};
    self->is_leaving = true;
    send_report(self, &report);
}

/* A failure that is the device's: lost for good, or too small for the model while another one (the
 * CPU) may be taken. What had been computed on it before is settled by the caller. */
static void judge_device(struct run_thread *self, struct job *job, const struct error *err)
{
    struct backend *backend = backend_of(self);
    struct error why = {0};
    if (self->is_leaving) return;
    if (backend->ops->is_lost(backend)) {
        (void)error_set(&why, ST_INTERNAL, "%s is lost, this worker retires: %s",
                        backend->ops->describe(backend), err->text);
        leave(self, job, &why);
    } else if (err->status == ST_NO_MEMORY && !self->task && self->params.may_leave_device) {
        leave(self, job, err);
    }
}

/* The device was full: take less, by smaller batches, and open the task again. False if there is
 * nothing to give, or what was wrong is something else. *err is then the end of it. */
static bool take_less(struct run_thread *self, struct job *job, unsigned *n_halvings,
                      struct error *err)
{
    if (err->status != ST_NO_MEMORY || should_stop(self, job)) return false;
    struct model_cache *models = self->params.environment.models;
    if (strcmp(self->full_task_id, job->task) != 0) {
        (void)snprintf(self->full_task_id, sizeof self->full_task_id, "%s", job->task);
        self->n_less = 0;
    }
    if (!model_cache_relieve(models, *n_halvings == 0)) {
        if (self->n_less)
            (void)error_wrap(err, "device full after taking less %u times", self->n_less);
        return false;
    }
    ++*n_halvings;
    self->n_less++;
    log_event(LOG_WARN, "batch_halved", LOG_TEXT("task_id", job->task),
              LOG_NUMBER("n_halvings", *n_halvings), LOG_TEXT("error", err->text));
    close_task(self);
    error_clear(err);
    return true;
}

static status_t open_fitting(struct run_thread *self, struct job *job, unsigned *n_halvings,
                             struct error *err)
{
    status_t status = open_task(self, job, err);
    while (status != ST_OK && take_less(self, job, n_halvings, err))
        status = open_task(self, job, err);
    return status;
}

static void run_unit(struct run_thread *self, struct job *job, uint64_t unit)
{
    struct error err = {0};
    unsigned n_halvings = 0;
    struct buffer *room = result_batch_room(&self->batch);
    const size_t n_before = room->n_bytes;
    const struct wire_text none = {"", 0};
    const size_t part = (size_t)(unit - job->low) + 1;
    const struct wire_text payload = part < job->parts.n ? wire_part(&job->parts, part) : none;
    const struct wire_text shared = job->parts.n ? wire_part(&job->parts, 0) : none;
    status_t status = self->task ? ST_OK : open_fitting(self, job, &n_halvings, &err);
    if (status == ST_OK) status = self->handler->run(self->task, unit, payload, shared, room, &err);
    atomic_fetch_add(self->params.environment.ticks, 1);
    while (status != ST_OK && take_less(self, job, &n_halvings, &err)) {
        room->n_bytes = n_before;
        status = open_fitting(self, job, &n_halvings, &err);
        if (status == ST_OK)
            status = self->handler->run(self->task, unit, payload, shared, room, &err);
    }
    model_cache_log_unrecorded(self->params.environment.models);
    if (status == ST_OK) {
        result_batch_add(&self->batch, unit, now_ns() / 1000000);
        return;
    }
    room->n_bytes = n_before;
    fail_unit(self, job, unit, &err);
    judge_device(self, job, &err);
}

static void run_job(struct run_thread *self, struct job *job)
{
    struct error err = {0};
    atomic_store(&job->running_unit, job->low);
    status_t status = open_store(self, &err);
    unsigned n_halvings = 0;
    if (status == ST_OK) status = open_fitting(self, job, &n_halvings, &err);
    if (status != ST_OK && self->has_store) judge_device(self, job, &err);
    self->unsettled_since_ns = now_ns(); /* opening is not the units' time */
    for (uint64_t unit = job->low; unit < job->high && !should_stop(self, job); unit++) {
        atomic_store(&job->running_unit, unit);
        if (status != ST_OK) {
            fail_unit(self, job, unit, &err);
            continue;
        }
        run_unit(self, job, unit);
        if (result_batch_is_due(&self->batch, now_ns() / 1000000)) status = flush(self, job, &err);
    }
    if (status == ST_OK) (void)!flush(self, job, &err);
    const struct report done = {.kind = REPORT_DONE, .job = job};
    send_report(self, &done);
}

/* Between leases the task stays open, unless its model is wanted by a thread that may not have it
 * beside this one, or this thread will get no more work. */
static void make_room(struct run_thread *self)
{
    struct model_cache *models = self->params.environment.models;
    if (model_cache_is_awaited(models) || self->params.thread_index >= model_cache_n_seats(models))
        close_task(self);
}

/* A thread without work gives way within IDLE_LOOK_MS. */
static void wait_for_job(struct run_thread *self)
{
    zmq_pollitem_t item = {.socket = self->jobs, .events = ZMQ_POLLIN};
    make_room(self);
    while (self->task && zmq_poll(&item, 1, IDLE_LOOK_MS) == 0) make_room(self);
}

static void *main_loop(void *context)
{
    struct run_thread *self = context;
    for (;;) {
        struct job *job = NULL;
        wait_for_job(self);
        if (zmq_recv(self->jobs, &job, sizeof job, 0) < 0) {
            if (errno == EINTR) continue;
            break;
        }
        if (!job) break;
        take_over(job);
        run_job(self, job);
    }
    close_task(self);
    if (self->has_store) result_batch_fini(&self->batch);
    (void)zmq_close(self->jobs);
    (void)zmq_close(self->reports);
    return NULL;
}

/* Without ZMQ_LINGER: reports that are under way when the thread ends still arrive. */
static void *open_socket(void *zmq_context, int type, const char *address)
{
    void *socket = zmq_socket(zmq_context, type);
    if (!socket) return NULL;
    if (zmq_connect(socket, address) == 0) return socket;
    (void)zmq_close(socket);
    return NULL;
}

status_t run_thread_start(struct run_thread **out, const struct run_thread_params *params,
                          struct error *err)
{
    struct run_thread *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "run thread");
    self->params = *params;
    self->jobs = open_socket(params->zmq_context, ZMQ_PAIR, params->jobs_address);
    self->reports = open_socket(params->zmq_context, ZMQ_PUSH, params->reports_address);
    if (self->jobs && self->reports && pthread_create(&self->thread, NULL, main_loop, self) == 0) {
        *out = self;
        return ST_OK;
    }
    if (self->jobs) (void)zmq_close(self->jobs);
    if (self->reports) (void)zmq_close(self->reports);
    free(self);
    return error_set(err, ST_INTERNAL, "run thread: %s", strerror(errno));
}

void run_thread_join(struct run_thread **thread)
{
    if (!*thread) return;
    (void)pthread_join((*thread)->thread, NULL);
    free(*thread);
    *thread = NULL;
}
