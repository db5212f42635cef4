/* What comes back when workers die, fall silent, get stuck or leave, and when the coordinator
 * itself starts again. */
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct dispatcher_world world;
static struct error err;

static void set_up(void)
{
    dispatcher_world_start(&world);
    error_clear(&err);
}

static void tear_down(void)
{
    dispatcher_world_stop(&world);
}

TestSuite(dispatcher_loss, .init = set_up, .fini = tear_down, .timeout = 60);

static size_t count(const struct task *task, enum unit_state state)
{
    return unit_table_count(task->units, state);
}

static size_t n_workers(void)
{
    return worker_table_count(dispatcher_workers(world.dispatcher));
}

static void end(struct task *task)
{
    cr_assert_eq(dispatcher_end_task(world.dispatcher, task, &err), ST_OK, "%s", err.text);
    task_destroy(&task);
}

Test(dispatcher_loss, a_closed_connection_returns_the_units_at_once)
{
    struct fake_worker first, second;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 2, NULL, 1);
    fake_worker_start(&world, &first, "first");
    cr_assert(fake_worker_await(&world, &first, WIRE_LEASE));
    cr_assert(fake_worker_await(&world, &first, WIRE_LEASE));
    fake_worker_stop(&first);
    dispatcher_world_settle(&world);
    cr_expect_eq(n_workers(), 0);
    cr_expect_eq(count(task, UNIT_READY), 2);
    fake_worker_start(&world, &second, "second");
    cr_expect(fake_worker_await(&world, &second, WIRE_LEASE));
    cr_expect_eq(dispatcher_counts(world.dispatcher)->n_workers_lost, 1);
    fake_worker_stop(&second);
    end(task);
}

Test(dispatcher_loss, a_worker_that_leaves_is_not_blamed)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    const struct wire_message bye = {.type = WIRE_BYE};
    for (int i = 0; i < 3; i++) {
        fake_worker_start(&world, &worker, "w");
        cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
        fake_worker_beat(&worker, 1, 0);
        fake_worker_say(&worker, &bye);
        dispatcher_world_settle(&world);
        fake_worker_stop(&worker);
    }
    cr_expect_eq(count(task, UNIT_READY), 1);
    cr_expect_eq(task->n_errors, 0);
    end(task);
}

/* The killer sits in a lease of many units: the first death makes all of them suspect, the second
 * names it. Nobody else dies. */
Test(dispatcher_loss, a_unit_that_kills_twice_is_quarantined_and_no_other)
{
    enum { KILLER = 5, N = 8 };
    struct task *task = dispatcher_world_task(&world, "s-1/t", N, NULL, N);
    int n_deaths = 0;
    while (count(task, UNIT_DEAD) == 0 && n_deaths < 5) {
        struct fake_worker worker;
        fake_worker_start(&world, &worker, "w");
        while (count(task, UNIT_DEAD) == 0 && fake_worker_await(&world, &worker, WIRE_LEASE)) {
            fake_worker_beat(&worker, 1, worker.low);
            if (worker.low <= KILLER && KILLER < worker.high) break;
            cr_assert_eq(fake_worker_store(&world, &worker, worker.low, worker.high), ST_OK);
            fake_worker_say_settled(&worker, worker.low, worker.high, 0.1);
        }
        dispatcher_world_settle(&world);
        fake_worker_stop(&worker);
        n_deaths++;
        dispatcher_world_settle(&world);
    }
    cr_expect_eq(n_deaths, 2);
    cr_expect_eq(unit_table_state(task->units, KILLER), UNIT_DEAD);
    cr_expect_eq(count(task, UNIT_DEAD), 1);
    end(task);
}

Test(dispatcher_loss, silence_is_loss_and_a_beat_is_not_silence)
{
    struct fake_worker silent, beating;
    fake_worker_start(&world, &silent, "silent");
    fake_worker_start(&world, &beating, "beating");
    dispatcher_world_pass(&world, 100);
    for (int i = 0; i < 6; i++) {
        fake_worker_beat(&beating, 1, 0);
        dispatcher_world_settle(&world);
        dispatcher_world_pass(&world, 500);
    }
    cr_assert_eq(n_workers(), 1);
    cr_expect_str_eq(worker_table_at(dispatcher_workers(world.dispatcher), 0)->name, "beating");
    fake_worker_stop(&silent);
    fake_worker_stop(&beating);
}

/* The machine slept: nobody could be heard, so nobody was silent. */
Test(dispatcher_loss, a_gap_in_our_own_time_loses_nobody)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    fake_worker_beat(&worker, 1, 0);
    dispatcher_world_settle(&world);
    world.now_ms += 3600 * 1000;
    dispatcher_world_settle(&world);
    cr_expect_eq(n_workers(), 1);
    cr_expect_eq(count(task, UNIT_LEASED), 1);
    fake_worker_stop(&worker);
    end(task);
}

/* --- stuck --------------------------------------------------------------------------------- */

static void beat_for(struct fake_worker *worker, int64_t ms, uint64_t ticks)
{
    for (int64_t passed = 0; passed < ms; passed += 500) {
        fake_worker_beat(worker, ticks, worker->low);
        dispatcher_world_settle(&world);
        dispatcher_world_pass(&world, 500);
    }
}

Test(dispatcher_loss, a_stuck_worker_loses_the_leases_that_wait_behind_too)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 3, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_assert_eq(fake_worker_store(&world, &worker, 0, 1), ST_OK);
    fake_worker_say_settled(&worker, 0, 1, 0.05); /* measured: 2 s without a tick are too long */
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    struct fake_worker running = worker;
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    running.in = worker.in;
    cr_assert_eq(count(task, UNIT_LEASED), 2);
    beat_for(&running, 3000, 7);
    cr_expect_eq(count(task, UNIT_READY), 2);
    cr_expect_eq(lease_table_count(dispatcher_leases(world.dispatcher)), 0);
    cr_expect_eq(gateway_world_number(&world.redis, "SCARD interp:{s-1/t}:revoked"), 2);
    cr_expect(fake_worker_await(&world, &worker, WIRE_REVOKE));
    cr_expect_not(fake_worker_await(&world, &worker, WIRE_LEASE), "stuck: nothing more");
    fake_worker_beat(&running, 8, 0); /* it moves again */
    cr_expect(fake_worker_await(&world, &worker, WIRE_LEASE));
    fake_worker_stop(&worker);
    end(task);
}

/* Another worker measured the task; this one opens the model first, which has no ticks. */
Test(dispatcher_loss, opening_a_model_is_not_being_stuck)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 2, NULL, 1);
    task->seconds_per_unit = 0.05;
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    struct fake_worker running = worker;
    beat_for(&running, 20000, 0);
    cr_expect_eq(dispatcher_counts(world.dispatcher)->n_leases_expired, 0);
    cr_expect_eq(count(task, UNIT_LEASED), 2);
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher_loss, a_lease_that_an_idle_worker_does_not_know_goes_back)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    worker.lease = 0;
    beat_for(&worker, 7000, 1);
    cr_expect_geq(dispatcher_counts(world.dispatcher)->n_leases_granted, 2);
    fake_worker_stop(&worker);
    end(task);
}

/* --- a slow tail --------------------------------------------------------------------------- */

Test(dispatcher_loss, a_late_lease_is_copied_to_an_idle_worker_and_the_first_result_wins)
{
    struct fake_worker slow, idle;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    task->seconds_per_unit = 0.1;
    fake_worker_start(&world, &slow, "slow");
    cr_assert(fake_worker_await(&world, &slow, WIRE_LEASE));
    fake_worker_start(&world, &idle, "idle");
    for (int i = 0; i < 3; i++) {
        fake_worker_beat(&slow, (uint64_t)i, 0);
        fake_worker_beat(&idle, (uint64_t)i, 0);
        dispatcher_world_settle(&world);
        dispatcher_world_pass(&world, 500);
    }
    cr_assert(fake_worker_await(&world, &idle, WIRE_LEASE));
    cr_expect_eq(dispatcher_counts(world.dispatcher)->n_speculative, 1);
    cr_expect_eq(fake_worker_store(&world, &idle, 0, 1), ST_OK);
    cr_expect_eq(fake_worker_store(&world, &slow, 0, 1), ST_OK, "no fence: a duplicate");
    fake_worker_say_settled(&idle, 0, 1, 0.1);
    fake_worker_say_settled(&slow, 0, 1, 2);
    dispatcher_world_settle(&world);
    cr_expect(unit_table_is_complete(task->units));
    cr_expect_eq(lease_table_count(dispatcher_leases(world.dispatcher)), 0);
    fake_worker_stop(&slow);
    fake_worker_stop(&idle);
    end(task);
}

Test(dispatcher_loss, the_original_dies_and_its_copy_keeps_the_units)
{
    struct fake_worker slow, idle;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    task->seconds_per_unit = 0.1;
    fake_worker_start(&world, &slow, "slow");
    cr_assert(fake_worker_await(&world, &slow, WIRE_LEASE));
    fake_worker_start(&world, &idle, "idle");
    dispatcher_world_pass(&world, 1500);
    cr_assert(fake_worker_await(&world, &idle, WIRE_LEASE));
    const struct wire_message bye = {.type = WIRE_BYE};
    fake_worker_say(&slow, &bye);
    dispatcher_world_settle(&world);
    cr_expect_eq(count(task, UNIT_LEASED), 1);
    fake_worker_stop(&slow);
    fake_worker_stop(&idle);
    end(task);
}

/* --- another coordinator ------------------------------------------------------------------- */

static void lease_and_restart(struct fake_worker *worker, struct task **dead)
{
    *dead = dispatcher_world_task(&world, "s-1/t", 4, NULL, 4);
    (*dead)->seconds_per_unit = 0.5;
    fake_worker_start(&world, worker, "w");
    cr_assert(fake_worker_await(&world, worker, WIRE_LEASE));
    dispatcher_world_restart(&world);
}

Test(dispatcher_loss, a_restarted_coordinator_adopts_what_still_runs)
{
    struct fake_worker worker;
    struct task *dead;
    lease_and_restart(&worker, &dead);
    const uint64_t low = worker.low, high = worker.high, lease = worker.lease;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 4);
    cr_assert_eq(fake_worker_store(&world, &worker, low, low + 1), ST_OK); /* told to nobody */
    fake_worker_reconnect(&world, &worker, high - low - 1 ? high - low - 1 : 1);
    dispatcher_world_settle(&world);
    cr_expect_eq(dispatcher_counts(world.dispatcher)->n_leases_adopted, 1);
    cr_assert_not_null(lease_table_find(dispatcher_leases(world.dispatcher), lease));
    cr_expect_eq(unit_table_state(task->units, low), UNIT_DONE, "the store was asked");
    cr_expect_eq(fake_worker_store(&world, &worker, low, high), ST_OK, "the old epoch counts");
    fake_worker_stop(&worker);
    end(task);
    task_destroy(&dead);
}

Test(dispatcher_loss, what_was_brought_along_waits_for_its_task)
{
    struct fake_worker worker;
    struct task *dead;
    lease_and_restart(&worker, &dead);
    const uint64_t lease = worker.lease;
    fake_worker_reconnect(&world, &worker, worker.high - worker.low);
    dispatcher_world_settle(&world);
    cr_expect_eq(lease_table_count(dispatcher_leases(world.dispatcher)), 0);
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 4);
    cr_expect_not_null(lease_table_find(dispatcher_leases(world.dispatcher), lease));
    cr_expect_eq(unit_table_state(task->units, 0), UNIT_LEASED);
    fake_worker_stop(&worker);
    dispatcher_world_settle(&world);
    cr_expect_eq(count(task, UNIT_READY), 4, "and goes back when its worker dies");
    end(task);
    task_destroy(&dead);
}

Test(dispatcher_loss, a_broken_connection_is_no_lost_work)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 2, NULL, 2);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    const uint64_t lease = worker.lease;
    fake_worker_reconnect(&world, &worker, worker.high - worker.low);
    dispatcher_world_settle(&world);
    cr_expect_eq(n_workers(), 1);
    cr_expect_not_null(lease_table_find(dispatcher_leases(world.dispatcher), lease));
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher_loss, a_lease_that_cannot_be_is_refused_or_revoked)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 4);
    world.share.is_paused = true;
    fake_worker_start(&world, &worker, "w");
    worker.lease = 77;
    memcpy(worker.task, "s-1/t", 6);
    worker.low = 2;
    worker.high = 9; /* the task has 4 units */
    fake_worker_say_held(&worker, 1);
    cr_expect(fake_worker_await(&world, &worker, WIRE_REVOKE));
    worker.high = 2; /* nothing */
    fake_worker_say_held(&worker, 1);
    cr_expect(fake_worker_await(&world, &worker, WIRE_REFUSED));
    cr_expect_eq(lease_table_count(dispatcher_leases(world.dispatcher)), 0);
    cr_expect_eq(count(task, UNIT_READY), 4);
    fake_worker_stop(&worker);
    end(task);
}
