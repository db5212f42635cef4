#include "worker/bench_clock.h"

#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct lane {
    const struct bench_work *work;
    void *state;
    int64_t window_ns, begin_ns, end_ns, cpu_ns;
    size_t n_tokens;
    pthread_barrier_t *start;
    status_t status;
    struct error err;
};

int64_t bench_thread_cpu_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *lane_run(void *context)
{
    struct lane *lane = context;
    const struct clock *clock = clock_system();
    (void)pthread_barrier_wait(lane->start);
    lane->begin_ns = clock_monotonic_ns(clock);
    const int64_t cpu_begin_ns = bench_thread_cpu_ns();
    do {
        lane->status = lane->work->step(lane->state, &lane->n_tokens, &lane->err);
        lane->end_ns = clock_monotonic_ns(clock);
    } while (lane->status == ST_OK && lane->end_ns - lane->begin_ns < lane->window_ns);
    lane->cpu_ns = bench_thread_cpu_ns() - cpu_begin_ns;
    return NULL;
}

/* One window; the rate is the sum of the threads' own rates. */
static status_t measure_window(const struct bench_work *work, double *rate, double *per_cpu,
                               struct error *err)
{
    struct lane lanes[BENCH_MAX_THREADS];
    pthread_t threads[BENCH_MAX_THREADS];
    pthread_barrier_t start;
    if (pthread_barrier_init(&start, NULL, (unsigned)work->n_threads) != 0)
        return error_set(err, ST_NO_MEMORY, "barrier");
    for (size_t i = 0; i < work->n_threads; i++) {
        lanes[i] = (struct lane){.work = work,
                                 .state = work->state[i],
                                 .window_ns = (int64_t)(work->seconds * 1e9),
                                 .start = &start};
        /* The barrier waits for all: a thread that cannot start ends the program's use. */
        if (pthread_create(&threads[i], NULL, lane_run, &lanes[i]) != 0) abort();
    }
    double n_tokens = 0, cpu_ns = 0;
    *rate = 0;
    for (size_t i = 0; i < work->n_threads; i++) {
        (void)pthread_join(threads[i], NULL);
        *rate += (double)lanes[i].n_tokens / ((double)(lanes[i].end_ns - lanes[i].begin_ns) * 1e-9);
        n_tokens += (double)lanes[i].n_tokens;
        cpu_ns += (double)lanes[i].cpu_ns;
    }
    *per_cpu = cpu_ns > 0 ? n_tokens / (cpu_ns * 1e-9) : 0;
    (void)pthread_barrier_destroy(&start);
    for (size_t i = 0; i < work->n_threads; i++) {
        if (lanes[i].status != ST_OK)
            return error_set(err, lanes[i].status, "%s", lanes[i].err.text);
    }
    return ST_OK;
}

static int by_value(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

status_t bench_measure(const struct bench_work *work, struct bench_rate *out, struct error *err)
{
    double rates[BENCH_MAX_WINDOWS], per_cpu[BENCH_MAX_WINDOWS];
    status_t status = ST_OK;
    if (!work->n_threads || work->n_threads > BENCH_MAX_THREADS || !work->n_windows ||
        work->n_windows > BENCH_MAX_WINDOWS)
        return error_set(err, ST_BAD_INPUT, "%zu windows on %zu threads", work->n_windows,
                         work->n_threads);
    for (size_t i = 0; i < work->n_windows && status == ST_OK; i++)
        status = measure_window(work, &rates[i], &per_cpu[i], err);
    if (status != ST_OK) return status;
    qsort(rates, work->n_windows, sizeof *rates, by_value);
    qsort(per_cpu, work->n_windows, sizeof *per_cpu, by_value);
    out->per_cpu_best = per_cpu[work->n_windows - 1];
    out->per_cpu_median = per_cpu[work->n_windows / 2];
    out->best = rates[work->n_windows - 1];
    out->median = rates[work->n_windows / 2];
    return ST_OK;
}
