#include "coordinator/dispatch/background.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

/* First in, first out; linked through the jobs, so that adding one cannot fail. */
struct queue {
    struct background_job *first, *last;
};

struct background {
    pthread_mutex_t lock; /* over the queues and is_stopping; never held while a job runs */
    pthread_cond_t has_job, has_result;
    struct queue jobs, results;
    bool is_stopping;
    int wake_fd; /* eventfd: readable while results wait */
    size_t n_pending;
    size_t n_threads;
    pthread_t threads[THREADS_MAX];
};

static void push(struct queue *queue, struct background_job *job)
{
    job->next = NULL;
    if (queue->last)
        queue->last->next = job;
    else
        queue->first = job;
    queue->last = job;
}

static struct background_job *pop(struct queue *queue)
{
    struct background_job *job = queue->first;
    if (!job) return NULL;
    queue->first = job->next;
    if (!queue->first) queue->last = NULL;
    return job;
}

/* The next job; NULL when there is none and none will come. */
static struct background_job *take_job(struct background *self, bool *is_stopping)
{
    (void)pthread_mutex_lock(&self->lock);
    while (!self->jobs.first && !self->is_stopping)
        (void)pthread_cond_wait(&self->has_job, &self->lock);
    struct background_job *job = pop(&self->jobs);
    *is_stopping = self->is_stopping;
    (void)pthread_mutex_unlock(&self->lock);
    return job;
}

static void give_result(struct background *self, struct background_job *job)
{
    const uint64_t one = 1;
    (void)pthread_mutex_lock(&self->lock);
    push(&self->results, job);
    (void)pthread_cond_signal(&self->has_result);
    (void)pthread_mutex_unlock(&self->lock);
    (void)!write(self->wake_fd, &one, sizeof one); /* cannot block before 2^64 - 2 */
}

static void *work(void *context)
{
    struct background *self = context;
    struct background_job *job;
    bool is_stopping;
    while ((job = take_job(self, &is_stopping))) {
        job->status = is_stopping ? ST_CANCELLED : job->run(job, &job->error);
        give_result(self, job);
    }
    return NULL;
}

status_t background_create(struct background **out, size_t n_threads, struct error *err)
{
    struct background *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "background threads");
    (void)pthread_mutex_init(&self->lock, NULL); /* neither fails on Linux without attributes */
    (void)pthread_cond_init(&self->has_job, NULL);
    (void)pthread_cond_init(&self->has_result, NULL);
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int problem = self->wake_fd < 0 ? errno : 0;
    while (!problem && self->n_threads < n_threads && self->n_threads < THREADS_MAX) {
        problem = pthread_create(&self->threads[self->n_threads], NULL, work, self);
        if (!problem) self->n_threads++;
    }
    if (problem) {
        background_destroy(&self);
        return error_set(err, ST_INTERNAL, "background threads: %s", strerror(problem));
    }
    *out = self;
    return ST_OK;
}

void background_destroy(struct background **background)
{
    struct background *self = *background;
    if (!self) return;
    (void)pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    (void)pthread_cond_broadcast(&self->has_job);
    (void)pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < self->n_threads; i++) (void)pthread_join(self->threads[i], NULL);
    (void)background_collect(self);
    if (self->wake_fd >= 0) (void)close(self->wake_fd);
    (void)pthread_cond_destroy(&self->has_result);
    (void)pthread_cond_destroy(&self->has_job);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *background = NULL;
}

void background_submit(struct background *background, struct background_job *job)
{
    job->status = ST_OK;
    error_clear(&job->error);
    background->n_pending++;
    (void)pthread_mutex_lock(&background->lock);
    push(&background->jobs, job);
    (void)pthread_cond_signal(&background->has_job);
    (void)pthread_mutex_unlock(&background->lock);
}

static void finish(struct background *background, struct background_job *job)
{
    background->n_pending--;
    const status_t status = job->status;
    const struct error error = job->error; /* done() frees the job */
    job->done(job, status, &error);
}

static struct background_job *take_result(struct background *self, bool waits)
{
    (void)pthread_mutex_lock(&self->lock);
    while (waits && !self->results.first) (void)pthread_cond_wait(&self->has_result, &self->lock);
    struct background_job *job = pop(&self->results);
    (void)pthread_mutex_unlock(&self->lock);
    return job;
}

size_t background_collect(struct background *background)
{
    uint64_t count;
    struct background_job *job;
    size_t n = 0;
    (void)!read(background->wake_fd, &count, sizeof count); /* before the look: none is missed */
    for (; (job = take_result(background, false)); n++) finish(background, job);
    return n;
}

size_t background_wait(struct background *background)
{
    if (background->n_pending == 0) return 0;
    finish(background, take_result(background, true));
    return 1 + background_collect(background);
}

size_t background_n_pending(const struct background *background)
{
    return background->n_pending;
}

int background_fd(const struct background *background)
{
    return background->wake_fd;
}
