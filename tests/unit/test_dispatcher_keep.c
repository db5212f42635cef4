/* Results that their owner keeps elsewhere: marks in the store, tasks that hold their results. */
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct dispatcher_world world;
static struct error err;
static unsigned n_calls[8]; /* of the engine, by unit */

static void set_up(void)
{
    dispatcher_world_start(&world);
    error_clear(&err);
}

static void tear_down(void)
{
    dispatcher_world_stop(&world);
}

TestSuite(dispatcher_keep, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t take_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                            struct error *why)
{
    (void)task;
    n_calls[unit]++;
    return n_bytes && memcmp(bytes, "r", 1) == 0 ? ST_OK : error_set(why, ST_CORRUPT, "no result");
}
static const struct task_ops reading_ops = {.result = take_result};

/* A task whose results 0 to 3 are in the store, of 8. */
static struct task *half_done(void)
{
    struct fake_worker worker = {.task = "s-1/t", .lease = 1, .epoch = 1};
    gateway_world_run(&world.redis, "SET interp:{s-1/t}:open 1");
    cr_assert_eq(fake_worker_store(&world, &worker, 0, 4), ST_OK);
    return dispatcher_world_task(&world, "s-1/t", 8, &reading_ops, 8);
}

static void end(struct task *task)
{
    cr_assert_eq(dispatcher_end_task(world.dispatcher, task, &err), ST_OK, "%s", err.text);
    task_destroy(&task);
}

Test(dispatcher_keep, a_kept_result_leaves_a_mark_and_its_unit_stays_settled)
{
    static const size_t kept[] = {1, 3, 6};
    struct fake_worker late = {.task = "s-1/t", .lease = 2, .epoch = 1};
    struct task *task = half_done();
    dispatcher_world_settle(&world);
    cr_assert_eq(dispatcher_keep_results(world.dispatcher, task, kept, 3, &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(gateway_world_number(&world.redis, "HSTRLEN interp:{s-1/t}:done 1"), 4);
    cr_expect_eq(gateway_world_number(&world.redis, "HEXISTS interp:{s-1/t}:done 6"), 0,
                 "what is not settled is not marked");
    cr_assert_eq(fake_worker_store(&world, &late, 1, 2), ST_OK);
    cr_expect_eq(gateway_world_number(&world.redis, "HSTRLEN interp:{s-1/t}:done 1"), 4,
                 "the first writer has won");
    cr_expect_eq(unit_table_count(task->units, UNIT_DONE), 4);
    end(task);
}

Test(dispatcher_keep, any_number_of_results_at_once)
{
    enum { N = 5000 };
    static size_t units[N];
    struct task *task = dispatcher_world_task(&world, "s-1/t", N, NULL, 8);
    gateway_world_run(&world.redis, "HSET interp:{s-1/t}:done 0 r 2047 r 2048 r 4999 r 5000 r");
    for (size_t i = 0; i < N; i++) units[i] = i;
    cr_assert_eq(dispatcher_keep_results(world.dispatcher, task, units, N, &err), ST_OK, "%s",
                 err.text);
    static const char *const marked[] = {"0", "2047", "2048", "4999"};
    for (size_t i = 0; i < 4; i++) {
        char command[80];
        (void)snprintf(command, sizeof command, "HSTRLEN interp:{s-1/t}:done %s", marked[i]);
        cr_expect_eq(gateway_world_number(&world.redis, command), 4, "unit %s", marked[i]);
    }
    cr_expect_eq(gateway_world_number(&world.redis, "HSTRLEN interp:{s-1/t}:done 5000"), 1);
    end(task);
}

/* The keeper's file is gone: nobody's failure, and the unit is computed again. */
Test(dispatcher_keep, a_mark_that_nobody_keeps_is_a_unit_to_be_done_again)
{
    struct fake_worker worker;
    gateway_world_run(&world.redis, "HSET interp:{s-1/t}:done 0 " TASK_RESULT_MARK);
    struct task *task = half_done();
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    dispatcher_world_settle(&world);
    cr_expect_eq(n_calls[0], 0);
    cr_expect_eq(n_calls[1], 1);
    cr_expect_eq(task->n_errors, 0);
    cr_expect_eq(task->n_lost_marks, 1);
    cr_expect_eq(gateway_world_number(&world.redis, "HEXISTS interp:{s-1/t}:done 0"), 0);
    while (!unit_table_is_complete(task->units)) {
        cr_assert_eq(fake_worker_store(&world, &worker, worker.low, worker.high), ST_OK);
        fake_worker_say_settled(&worker, worker.low, worker.high, 0.1);
        if (!fake_worker_await(&world, &worker, WIRE_LEASE)) break;
    }
    cr_expect(unit_table_is_complete(task->units));
    cr_expect_eq(n_calls[0], 1);
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher_keep, while_a_task_holds_its_results_others_are_read)
{
    struct fake_worker other = {.task = "s-2/t", .lease = 1, .epoch = 1};
    struct task *holding = half_done();
    holding->holds_results = true;
    gateway_world_run(&world.redis, "SET interp:{s-2/t}:open 1");
    cr_assert_eq(fake_worker_store(&world, &other, 4, 6), ST_OK);
    struct task *task = dispatcher_world_task(&world, "s-2/t", 8, &reading_ops, 8);
    dispatcher_world_settle(&world);
    cr_expect_eq(holding->n_read, 0);
    cr_expect_eq(task->n_read, 2);
    holding->holds_results = false;
    dispatcher_world_settle(&world);
    cr_expect_eq(holding->n_read, 4);
    for (size_t unit = 0; unit < 6; unit++) cr_expect_eq(n_calls[unit], 1, "unit %zu", unit);
    end(holding);
    end(task);
}

/* A coordinator that was deposed and does not know it. */
Test(dispatcher_keep, a_deposed_leader_marks_nothing)
{
    static const size_t kept[] = {0};
    struct task *task = half_done();
    dispatcher_world_settle(&world);
    gateway_world_run(&world.redis, "SET interp:leader somebody-else");
    cr_expect_eq(dispatcher_keep_results(world.dispatcher, task, kept, 1, &err), ST_CONFLICT);
    gateway_world_run(&world.redis, "DEL interp:leader"); /* and that one is gone by now */
    gateway_world_run(&world.redis, "INCR interp:epoch");
    cr_expect_eq(dispatcher_keep_results(world.dispatcher, task, kept, 1, &err), ST_CONFLICT);
    cr_expect_eq(gateway_world_number(&world.redis, "HSTRLEN interp:{s-1/t}:done 0"), 2);
    error_clear(&err);
    cr_expect_eq(dispatcher_end_task(world.dispatcher, task, &err), ST_CONFLICT, "nor removes");
    cr_expect_eq(gateway_world_number(&world.redis, "EXISTS interp:{s-1/t}:done"), 1);
    task_destroy(&task);
}
