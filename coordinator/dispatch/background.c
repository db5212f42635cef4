#include "coordinator/dispatch/background.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { THREADS_MAX = 64 };
static const char jobs_address[] = "inproc://background-jobs";
static const char results_address[] = "inproc://background-results";

struct background {
    void *zmq_context;
    void *jobs;    /* PUSH, loop */
    void *results; /* PULL, loop */
    int results_fd;
    size_t n_pending;
    size_t n_threads;
    atomic_bool is_stopping;
    pthread_t threads[THREADS_MAX];
};

static void *open_socket(void *context, int type, const char *address, bool binds)
{
    const int unlimited = 0;
    void *socket = zmq_socket(context, type);
    if (!socket) return NULL;
    if (zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited) == 0 &&
        zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) == 0 &&
        (binds ? zmq_bind(socket, address) : zmq_connect(socket, address)) == 0)
        return socket;
    (void)zmq_close(socket);
    return NULL;
}

static struct background_job *receive(void *socket, int flags)
{
    struct background_job *job = NULL;
    int n;
    do n = zmq_recv(socket, &job, sizeof job, flags);
    while (n < 0 && errno == EINTR);
    return n == (int)sizeof job ? job : NULL;
}

static void *work(void *context)
{
    struct background *self = context;
    void *jobs = open_socket(self->zmq_context, ZMQ_PULL, jobs_address, false);
    void *results = open_socket(self->zmq_context, ZMQ_PUSH, results_address, false);
    struct background_job *job;
    while (jobs && results && (job = receive(jobs, 0))) {
        job->status = atomic_load(&self->is_stopping) ? ST_CANCELLED : job->run(job, &job->error);
        (void)zmq_send(results, &job, sizeof job, 0);
    }
    if (jobs) (void)zmq_close(jobs);
    if (results) (void)zmq_close(results);
    return NULL;
}

status_t background_create(struct background **out, void *zmq_context, size_t n_threads,
                           struct error *err)
{
    struct background *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "background threads");
    self->zmq_context = zmq_context;
    self->jobs = open_socket(zmq_context, ZMQ_PUSH, jobs_address, true);
    self->results = open_socket(zmq_context, ZMQ_PULL, results_address, true);
    size_t size = sizeof self->results_fd;
    bool ok = self->jobs && self->results &&
              zmq_getsockopt(self->results, ZMQ_FD, &self->results_fd, &size) == 0;
    while (ok && self->n_threads < n_threads && self->n_threads < THREADS_MAX) {
        ok = pthread_create(&self->threads[self->n_threads], NULL, work, self) == 0;
        if (ok) self->n_threads++;
    }
    if (!ok) {
        background_destroy(&self);
        return error_set(err, ST_INTERNAL, "background threads: %s", strerror(errno));
    }
    *out = self;
    return ST_OK;
}

void background_destroy(struct background **background)
{
    struct background *self = *background;
    if (!self) return;
    atomic_store(&self->is_stopping, true);
    struct background_job *const stop = NULL;
    for (size_t i = 0; i < self->n_threads; i++) (void)zmq_send(self->jobs, &stop, sizeof stop, 0);
    for (size_t i = 0; i < self->n_threads; i++) (void)pthread_join(self->threads[i], NULL);
    if (self->results) (void)background_collect(self);
    if (self->jobs) (void)zmq_close(self->jobs);
    if (self->results) (void)zmq_close(self->results);
    free(self);
    *background = NULL;
}

status_t background_submit(struct background *background, struct background_job *job,
                           struct error *err)
{
    job->status = ST_OK;
    error_clear(&job->error);
    if (zmq_send(background->jobs, &job, sizeof job, ZMQ_DONTWAIT) < 0)
        return error_set(err, ST_IO, "background queue: %s", zmq_strerror(errno));
    background->n_pending++;
    return ST_OK;
}

static void finish(struct background *background, struct background_job *job)
{
    background->n_pending--;
    const status_t status = job->status;
    const struct error error = job->error; /* done() frees the job */
    job->done(job, status, &error);
}

size_t background_collect(struct background *background)
{
    struct background_job *job;
    size_t n = 0;
    for (; (job = receive(background->results, ZMQ_DONTWAIT)); n++) finish(background, job);
    return n;
}

size_t background_wait(struct background *background)
{
    struct background_job *job =
        background->n_pending ? receive(background->results, 0) : NULL;
    if (!job) return 0;
    finish(background, job);
    return 1 + background_collect(background);
}

size_t background_n_pending(const struct background *background)
{
    return background->n_pending;
}

int background_fd(const struct background *background)
{
    return background->results_fd;
}
