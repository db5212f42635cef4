/* The pool of background threads: every job is done() exactly once, on the caller's thread. */
#include "coordinator/dispatch/background.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

struct counting_job {
    struct background_job job; /* first */
    atomic_bool has_run;
    int n_done;
    status_t status;
    pthread_t done_by;
    sem_t *wait_for; /* before run() returns; NULL: nothing */
    sem_t *announce; /* posted when run() begins; NULL: nobody cares */
};

static status_t job_run(struct background_job *job, struct error *err)
{
    struct counting_job *self = (struct counting_job *)job;
    atomic_store(&self->has_run, true);
    if (self->announce) (void)sem_post(self->announce);
    if (self->wait_for) (void)sem_wait(self->wait_for);
    return self->status == ST_OK ? ST_OK : error_set(err, self->status, "as told");
}

static void job_done(struct background_job *job, status_t status, const struct error *err)
{
    struct counting_job *self = (struct counting_job *)job;
    self->n_done++;
    self->done_by = pthread_self();
    if (status != ST_CANCELLED) cr_expect_eq(status, self->status);
    if (status != ST_OK && status != ST_CANCELLED) cr_expect_str_eq(err->text, "as told");
    self->status = status;
}

static struct counting_job make_job(void)
{
    return (struct counting_job){.job = {.run = job_run, .done = job_done}};
}

static struct background *make_pool(size_t n_threads)
{
    struct background *pool = NULL;
    struct error err = {0};
    cr_assert_eq(background_create(&pool, n_threads, &err), ST_OK, "%s", err.text);
    return pool;
}

TestSuite(background, .timeout = 30);

Test(background, runs_every_job_once_and_finishes_it_on_the_callers_thread)
{
    enum { N = 500 };
    static struct counting_job jobs[N];
    struct background *pool = make_pool(3);
    for (size_t i = 0; i < N; i++) {
        jobs[i] = make_job();
        jobs[i].status = i % 7 ? ST_OK : ST_IO;
        background_submit(pool, &jobs[i].job);
    }
    while (background_n_pending(pool)) (void)background_wait(pool);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(jobs[i].n_done, 1);
        cr_assert(pthread_equal(jobs[i].done_by, pthread_self()));
    }
    background_destroy(&pool);
    cr_expect_null(pool);
}

/* With jobs dealt out in turn, the second short job would wait behind the long one. */
Test(background, short_jobs_pass_a_long_one)
{
    sem_t release;
    struct background *pool = make_pool(2);
    struct counting_job long_job = make_job(), short_jobs[4];
    cr_assert_eq(sem_init(&release, 0, 0), 0);
    long_job.wait_for = &release;
    background_submit(pool, &long_job.job);
    for (size_t i = 0; i < 4; i++) {
        short_jobs[i] = make_job();
        background_submit(pool, &short_jobs[i].job);
    }
    while (background_n_pending(pool) > 1) (void)background_wait(pool);
    cr_expect_eq(long_job.n_done, 0);
    cr_expect_eq(sem_post(&release), 0);
    (void)background_wait(pool);
    cr_expect_eq(long_job.n_done, 1);
    background_destroy(&pool);
}

Test(background, the_descriptor_is_readable_while_results_wait)
{
    struct background *pool = make_pool(1);
    struct counting_job job = make_job();
    struct pollfd item = {.fd = background_fd(pool), .events = POLLIN};
    cr_expect_eq(poll(&item, 1, 0), 0);
    background_submit(pool, &job.job);
    cr_expect_eq(poll(&item, 1, 10000), 1);
    cr_expect_eq(background_collect(pool), 1);
    cr_expect_eq(poll(&item, 1, 0), 0);
    background_destroy(&pool);
}

Test(background, destroying_it_cancels_what_waits_and_waits_for_what_runs)
{
    sem_t release, begun;
    struct background *pool = make_pool(1);
    struct counting_job running = make_job(), waiting = make_job();
    cr_assert_eq(sem_init(&release, 0, 0), 0);
    cr_assert_eq(sem_init(&begun, 0, 0), 0);
    running.wait_for = &release;
    running.announce = &begun;
    background_submit(pool, &running.job);
    background_submit(pool, &waiting.job);
    cr_assert_eq(sem_wait(&begun), 0);
    cr_assert_eq(sem_post(&release), 0);
    background_destroy(&pool);
    cr_expect_eq(running.n_done, 1);
    cr_expect_eq(running.status, ST_OK);
    cr_expect_eq(waiting.n_done, 1, "never lost, run or not");
}

/* A start that fails right after the pool was made: destroying it must not wait for ever. */
Test(background, can_be_destroyed_at_once)
{
    for (int i = 0; i < 200; i++) {
        struct background *pool = make_pool(4);
        background_destroy(&pool);
    }
}

Test(background, waiting_for_nothing_returns_at_once)
{
    struct background *pool = make_pool(1);
    cr_expect_eq(background_wait(pool), 0);
    cr_expect_eq(background_collect(pool), 0);
    background_destroy(&pool);
    background_destroy(&pool);
}
