/* Threads for work that would hold up the loop: reading corpora, planning, scoring, writing.
 *
 * A job is a struct with a `run` function (any thread, touches only what the job owns or what
 * nobody changes meanwhile) and a `done` function (loop thread, takes the result). One queue
 * feeds all threads, so a short job never waits behind a long one while a thread is free (inproc
 * PUSH sockets were tried: they deal jobs out in turn, whoever is busy). The queue is bounded by
 * the callers' own windows.
 * All functions here belong to the loop thread. */
#ifndef COORDINATOR_DISPATCH_BACKGROUND_H
#define COORDINATOR_DISPATCH_BACKGROUND_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

struct background_job {
    /* Do the work; its status and error are kept for done(). */
    status_t (*run)(struct background_job *job, struct error *err);
    /* Take the result and free the job. `status` is what run() returned, or ST_CANCELLED when
     * the pool is being destroyed and run() was never called. */
    void (*done)(struct background_job *job, status_t status, const struct error *err);
    status_t status; /* from here on: the pool's */
    struct error error;
    struct background_job *next;
};

struct background;

MUST_CHECK status_t background_create(struct background **out, size_t n_threads, struct error *err);
/* Waits for the jobs that run; those that wait get done(ST_CANCELLED). NULL-safe. */
void background_destroy(struct background **background);

/* Hand over a job. */
void background_submit(struct background *background, struct background_job *job);
/* Call done() of every finished job; returns how many. */
size_t background_collect(struct background *background);
/* Wait until at least one job is finished, then as background_collect(). Returns at once when
 * none is pending. */
size_t background_wait(struct background *background);
size_t background_n_pending(const struct background *background);
/* Readable when background_collect() may have something to do. */
int background_fd(const struct background *background);

#endif
