/* Run the same work on N threads for a while and say how fast it went. Each thread gets its own
 * state; all start together; a thread stops at the first whole step after the deadline. */
#ifndef WORKER_BENCH_CLOCK_H
#define WORKER_BENCH_CLOCK_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

enum { BENCH_MAX_THREADS = 64, BENCH_MAX_WINDOWS = 64 };

struct bench_work {
    /* One step on state[thread]; adds the tokens it did to *n_tokens. */
    status_t (*step)(void *state, size_t *n_tokens, struct error *err);
    void *state[BENCH_MAX_THREADS];
    size_t n_threads;
    double seconds;   /* of each window, at least one step */
    size_t n_windows; /* 1..BENCH_MAX_WINDOWS */
};

struct bench_rate {
    double best, median; /* tokens a second over the windows, all threads together */
    double per_cpu_best, per_cpu_median; /* tokens a second of processor time of one thread: what
                                          * a busy machine distorts least */
};

/* Processor time of the calling thread. */
int64_t bench_thread_cpu_ns(void);

MUST_CHECK status_t bench_measure(const struct bench_work *work, struct bench_rate *out,
                                  struct error *err);

#endif
