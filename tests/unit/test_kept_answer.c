/* Numbers that workers answered: asked once, kept, found again; on a real dispatcher and Redis. */
#include "coordinator/sweep/kept_answer.h"

#include "common/file.h"
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 5 };

static struct dispatcher_world world;
static struct sweep_context context;
static struct sweep_spec spec;
static struct sweep sweep;
static struct sweep_task work;
static struct fake_worker worker;
static struct error err;
static size_t n_leased; /* units that the worker was asked for */
static bool has_seen[N];

static void set_up(void)
{
    char path[128];
    dispatcher_world_start(&world);
    context = (struct sweep_context){.dispatcher = world.dispatcher,
                                     .store = world.store,
                                     .data_directory = world.redis.directory};
    sweep =
        (struct sweep){.id = "c-1", .spec = &spec, .share = {.weight = 1.0}, .context = &context};
    work = (struct sweep_task){.sweep = &sweep};
    (void)snprintf(path, sizeof path, "%s/sweeps/c-1", world.redis.directory);
    cr_assert_eq(file_make_directories(path, NULL), ST_OK);
    fake_worker_start(&world, &worker, "w");
}

static void tear_down(void)
{
    fake_worker_stop(&worker);
    sweep_task_leave(&work);
    dispatcher_world_stop(&world);
}

TestSuite(kept_answer, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t take(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                     struct error *e)
{
    (void)task;
    (void)bytes;
    has_seen[unit] = n_bytes > 0;
    return unit < N ? ST_OK : error_set(e, ST_CORRUPT, "unit %zu", unit);
}

static const struct task_ops ops = {.result = take};
static const double numbers[N] = {0.1, -0.0, 1e-310, -12345.678901234567, 1.0 / 3.0};

static status_t gather(void *asked, double *out, struct error *e)
{
    (void)asked;
    for (size_t i = 0; i < N; i++)
        if (!has_seen[i]) return error_set(e, ST_INTERNAL, "unit %zu has no result", i);
    memcpy(out, numbers, sizeof numbers);
    return ST_OK;
}

/* Begin to ask what `asked` says. */
static void begin(struct kept_answer *answer, const char *asked)
{
    struct buffer all;
    const struct sweep_task_params task = {.phase = "measure",
                                           .kind = TASK_NOOP,
                                           .n_units = N,
                                           .spec_json = "{\"kind\":\"noop\"}",
                                           .ops = &ops,
                                           .max_units_per_lease = 2};
    const struct kept_answer_params params = {&work, N, &all, &task};
    buffer_init(&all, 1000);
    cr_assert_eq(buffer_append_text(&all, asked, NULL), ST_OK);
    error_clear(&err);
    n_leased = 0;
    memset(has_seen, 0, sizeof has_seen);
    cr_assert_eq(kept_answer_begin(answer, &params, &err), ST_OK, "%s", err.text);
    buffer_fini(&all);
}

static void work_on_lease(void)
{
    if (worker.in.wire.type != WIRE_LEASE) return;
    n_leased += (size_t)(worker.high - worker.low);
    cr_assert_eq(fake_worker_store(&world, &worker, worker.low, worker.high), ST_OK);
    fake_worker_say_settled(&worker, worker.low, worker.high, 0.001);
}

/* Until the numbers are here, which they must be soon. */
static void finish(struct kept_answer *answer)
{
    bool is_over = false;
    for (int i = 0; i < 50 && !is_over; i++) {
        cr_assert_eq(kept_answer_poll(answer, gather, NULL, &is_over, &err), ST_OK, "%s", err.text);
        if (!is_over && fake_worker_hear(&world, &worker)) work_on_lease();
    }
    cr_assert(is_over);
    cr_expect(answer->is_here);
    cr_expect_eq(memcmp(answer->numbers, numbers, sizeof numbers), 0, "to the bit");
    cr_expect_null(work.task, "the task is ended");
}

static void ask(const char *asked, size_t n_wanted, const char *what)
{
    struct kept_answer answer;
    begin(&answer, asked);
    cr_expect_eq(answer.was_kept, n_wanted == 0, "%s", what);
    finish(&answer);
    cr_expect_eq(n_leased, n_wanted, "%s: %zu units", what, n_leased);
    kept_answer_fini(&answer);
    kept_answer_fini(&answer);
}

Test(kept_answer, is_asked_once_and_found_again)
{
    cr_expect_not(kept_answer_exists(&sweep, "measure"));
    ask("a question", N, "new");
    cr_expect(kept_answer_exists(&sweep, "measure"));
    cr_expect_not(kept_answer_exists(&sweep, "other"));
    ask("a question", 0, "the same again");
    ask("another question", N, "of the same name");
    ask("another question", 0, "which is the one that is kept");
    cr_expect_eq(dispatcher_world_n_keys(&world), 2, "no key is left but who leads");
}

Test(kept_answer, that_is_damaged_is_asked_again)
{
    static const char *const damages[] = {"", "icmeas1", "something else that is no answer at all"};
    char *path = sweep_path(&sweep, "measured-measure.bin"), *bytes;
    size_t n_bytes;
    ask("a question", N, "new");
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        cr_assert_eq(file_write_atomic(path, damages[i], strlen(damages[i]), NULL), ST_OK);
        ask("a question", N, damages[i]);
    }
    cr_assert_eq(file_read(path, 10000, &bytes, &n_bytes, NULL), ST_OK);
    cr_assert_eq(file_write_atomic(path, bytes, n_bytes - 1, NULL), ST_OK);
    ask("a question", N, "a number that is cut");
    free(bytes);
    free(path);
}

/* The coordinator died behind the file, before it forgot what the store has of the task. */
Test(kept_answer, that_is_on_disk_forgets_what_the_store_has)
{
    struct kept_answer answer;
    ask("a question", N, "new");
    gateway_world_run(&world.redis, "SET interp:{c-1/measure}:open 1");
    begin(&answer, "a question");
    cr_expect_null(work.task, "nothing is asked");
    finish(&answer);
    cr_expect_eq(gateway_world_number(&world.redis, "EXISTS interp:{c-1/measure}:open"), 0);
    kept_answer_fini(&answer);
}
