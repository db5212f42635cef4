/* The dispatcher against workers that speak the wire: grants, results, fences. What happens when
 * workers or coordinators die is in test_dispatcher_loss.c. */
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

TestSuite(dispatcher, .init = set_up, .fini = tear_down, .timeout = 60);

static size_t count(const struct task *task, enum unit_state state)
{
    return unit_table_count(task->units, state);
}

static void end(struct task *task)
{
    cr_assert_eq(dispatcher_end_task(world.dispatcher, task, &err), ST_OK, "%s", err.text);
    task_destroy(&task);
}

Test(dispatcher, sends_the_spec_once_and_then_leases)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/noop", 10, NULL, 2);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_hear(&world, &worker));
    cr_expect_eq(worker.in.wire.type, WIRE_SPEC);
    cr_expect_eq(zmq_msg_size(&worker.in.bulk), strlen("{\"kind\":\"noop\"}"));
    cr_assert(fake_worker_hear(&world, &worker));
    cr_expect_eq(worker.in.wire.type, WIRE_LEASE);
    cr_expect_str_eq(worker.task, "s-1/noop");
    cr_expect_eq(worker.low, 0);
    cr_expect_eq(worker.high, 2);
    cr_assert(fake_worker_hear(&world, &worker), "one lease in reserve");
    cr_expect_eq(worker.in.wire.type, WIRE_LEASE);
    cr_expect_not(fake_worker_hear(&world, &worker), "credit is one per thread and one more");
    cr_expect_eq(count(task, UNIT_LEASED), 4);
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, settled_units_are_done_and_make_room_for_the_next_lease)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/noop", 6, NULL, 2);
    fake_worker_start(&world, &worker, "w");
    for (int i = 0; i < 3; i++) {
        cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
        cr_assert_eq(fake_worker_store(&world, &worker, worker.low, worker.high), ST_OK);
        fake_worker_say_settled(&worker, worker.low, worker.high, 0.001);
    }
    while (!unit_table_is_complete(task->units) && fake_worker_hear(&world, &worker))
        if (worker.in.wire.type == WIRE_LEASE) {
            cr_assert_eq(fake_worker_store(&world, &worker, worker.low, worker.high), ST_OK);
            fake_worker_say_settled(&worker, worker.low, worker.high, 0.001);
        }
    cr_expect(unit_table_is_complete(task->units));
    cr_expect_eq(lease_table_count(dispatcher_leases(world.dispatcher)), 0);
    cr_expect_eq(dispatcher_counts(world.dispatcher)->n_units_settled, 6);
    fake_worker_stop(&worker);
    end(task);
    cr_expect_eq(dispatcher_world_n_keys(&world), 2, "no key is left but who leads");
}

/* --- results ------------------------------------------------------------------------------- */

static struct {
    int n_calls[16];
    int n_refusals; /* the first so many results are refused */
} engine;

static status_t take_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                            struct error *why)
{
    char want[24];
    (void)task;
    engine.n_calls[unit]++;
    (void)snprintf(want, sizeof want, "r%zu", unit);
    cr_expect_eq(n_bytes, strlen(want));
    cr_expect_arr_eq(bytes, want, n_bytes);
    if (engine.n_refusals-- > 0) return error_set(why, ST_CORRUPT, "not readable");
    return ST_OK;
}
static const struct task_ops reading_ops = {.result = take_result};

Test(dispatcher, hands_each_result_over_once_however_often_it_is_announced)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, &reading_ops, 4);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_assert_eq(fake_worker_store(&world, &worker, worker.low, worker.high), ST_OK);
    for (int i = 0; i < 3; i++) fake_worker_say_settled(&worker, worker.low, worker.high, 0.1);
    dispatcher_world_settle(&world);
    for (uint64_t unit = worker.low; unit < worker.high; unit++)
        cr_expect_eq(engine.n_calls[unit], 1);
    cr_expect_eq(task->n_read, worker.high - worker.low);
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, a_result_that_is_not_in_the_store_is_a_failed_attempt)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, &reading_ops, 1);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    fake_worker_say_settled(&worker, 0, 1, 0.1); /* it lies */
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE), "handed out again");
    cr_expect_eq(engine.n_calls[0], 0);
    cr_expect_eq(task->n_errors, 1);
    cr_expect_str_eq(task->errors[0].text, "the result is missing");
    fake_worker_stop(&worker);
    end(task);
}

/* First writer wins: were it left there, no later attempt could ever replace it. */
Test(dispatcher, a_result_that_cannot_be_read_leaves_the_store_and_is_computed_again)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, &reading_ops, 1);
    engine.n_refusals = 1;
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_assert_eq(fake_worker_store(&world, &worker, 0, 1), ST_OK);
    fake_worker_say_settled(&worker, 0, 1, 0.1);
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE), "handed out again");
    cr_expect_eq(gateway_world_number(&world.redis, "HLEN interp:{s-1/t}:done"), 0);
    cr_assert_eq(fake_worker_store(&world, &worker, 0, 1), ST_OK);
    fake_worker_say_settled(&worker, 0, 1, 0.1);
    dispatcher_world_settle(&world);
    cr_expect(unit_table_is_complete(task->units));
    cr_expect_eq(task->n_read, 1);
    cr_expect_eq(engine.n_calls[0], 2);
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, results_of_an_earlier_life_are_read_and_not_computed_again)
{
    struct fake_worker worker = {.task = "s-1/t", .lease = 1, .epoch = 1};
    gateway_world_run(&world.redis, "SET interp:{s-1/t}:open 1");
    cr_assert_eq(fake_worker_store(&world, &worker, 0, 12), ST_OK);
    struct task *task = dispatcher_world_task(&world, "s-1/t", 13, &reading_ops, 16);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_expect_eq(worker.low, 12, "only what is not in the store is handed out");
    dispatcher_world_settle(&world);
    cr_expect_eq(task->n_read, 12);
    cr_expect_eq(count(task, UNIT_DONE), 12);
    fake_worker_stop(&worker);
    end(task);
}

/* --- failures ------------------------------------------------------------------------------ */

static void say_failed(struct fake_worker *worker, uint64_t unit)
{
    const struct wire_message failed = {.type = WIRE_FAILED,
                                        .lease = worker->lease,
                                        .task = wire_text_of(worker->task),
                                        .unit = unit,
                                        .status = ST_BAD_INPUT,
                                        .text = wire_text_of("no good")};
    fake_worker_say(worker, &failed);
}

Test(dispatcher, a_unit_that_fails_three_times_is_dead_and_its_errors_are_kept)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    for (int i = 0; i < 3; i++) {
        cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE), "attempt %d", i);
        say_failed(&worker, 0);
    }
    cr_expect_not(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_expect_eq(count(task, UNIT_DEAD), 1);
    cr_expect_eq(task->n_errors, 3);
    cr_expect_str_eq(task->errors[2].text, "no good");
    cr_expect_str_eq(task->errors[2].worker, "w");
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, failures_of_a_lease_that_was_taken_away_do_not_count)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    worker.lease += 1u << 16; /* the serial before this one, or after: not ours */
    for (int i = 0; i < 5; i++) say_failed(&worker, 0);
    dispatcher_world_settle(&world);
    cr_expect_eq(task->n_errors, 0);
    cr_expect_eq(count(task, UNIT_LEASED), 1);
    fake_worker_stop(&worker);
    end(task);
}

static status_t no_payload(struct task *task, size_t unit, struct buffer *out, struct error *why)
{
    (void)task;
    (void)unit;
    (void)out;
    return error_set(why, ST_CORRUPT, "the plan is broken");
}

Test(dispatcher, a_payload_that_cannot_be_made_ends_its_task_and_no_other)
{
    static const struct task_ops broken_ops = {.payload = no_payload};
    struct fake_worker worker;
    struct task *broken = dispatcher_world_task(&world, "s-1/broken", 5, &broken_ops, 1);
    struct task *good = dispatcher_world_task(&world, "s-2/good", 1, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_expect_str_eq(worker.task, "s-2/good");
    dispatcher_world_settle(&world); /* and no step fails */
    cr_expect_str_eq(broken->failure.text, "the plan is broken");
    cr_expect_eq(count(broken, UNIT_READY), 5);
    fake_worker_stop(&worker);
    end(broken);
    end(good);
}

/* --- fences -------------------------------------------------------------------------------- */

Test(dispatcher, the_store_refuses_what_the_fence_shuts_out)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 4);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_expect_eq(fake_worker_store(&world, &worker, 0, 1), ST_OK);
    char revoke[96];
    (void)snprintf(revoke, sizeof revoke, "SADD interp:{s-1/t}:revoked %llu",
                   (unsigned long long)worker.lease);
    gateway_world_run(&world.redis, revoke);
    cr_expect_eq(fake_worker_store(&world, &worker, 1, 2), ST_CONFLICT, "a revoked lease");
    worker.lease++;
    cr_expect_eq(fake_worker_store(&world, &worker, 1, 2), ST_OK);
    gateway_world_run(&world.redis, "SET interp:{s-1/t}:open 2");
    cr_expect_eq(fake_worker_store(&world, &worker, 2, 3), ST_CONFLICT, "an older epoch");
    end(task);
    cr_expect_eq(fake_worker_store(&world, &worker, 2, 3), ST_CONFLICT, "a closed task");
    cr_expect_eq(gateway_world_number(&world.redis, "EXISTS interp:{s-1/t}:closed"), 1);
    cr_expect_eq(dispatcher_world_n_keys(&world), 2, "but who leads");
    fake_worker_stop(&worker);
}

/* Nothing is wrong then, and whoever reads the worker's log must see that. */
Test(dispatcher, a_result_that_comes_too_late_is_told_who_closed_the_task_and_why)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_assert_eq(fake_worker_store(&world, &worker, 0, 1), ST_OK);
    fake_worker_say_settled(&worker, 0, 1, 0.1);
    dispatcher_world_settle(&world);
    end(task); /* while a copy of the lease runs on */
    cr_expect_eq(fake_worker_store(&world, &worker, 0, 1), ST_CONFLICT);
    cr_expect(strstr(world.refusal, "FENCED task is closed: every unit has its result, since 20") &&
                  strstr(world.refusal, "Z (coordinator of epoch "),
              "%s", world.refusal);
    task = dispatcher_world_task(&world, "s-2/t", 2, NULL, 1);
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    dispatcher_forget_task(world.dispatcher, task); /* as a sweep that is cancelled does */
    cr_assert_eq(dispatcher_forget_keys(world.dispatcher, "s-2/t", "its sweep was cancelled", &err),
                 ST_OK);
    task_destroy(&task);
    cr_expect_eq(fake_worker_store(&world, &worker, 0, 1), ST_CONFLICT);
    cr_expect(strstr(world.refusal, "closed: its sweep was cancelled, since 20"), "%s",
              world.refusal);
    gateway_world_run(&world.redis, "DEL interp:{s-2/t}:closed");
    cr_expect_eq(fake_worker_store(&world, &worker, 0, 1), ST_CONFLICT);
    cr_expect(strstr(world.refusal, "closed: the store does not know it (any more)"), "%s",
              world.refusal);
    fake_worker_stop(&worker);
}

Test(dispatcher, a_refused_result_is_nobodys_failure)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    for (int i = 0; i < 5; i++) {
        cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE), "attempt %d", i);
        const struct wire_message failed = {.type = WIRE_FAILED,
                                            .lease = worker.lease,
                                            .task = wire_text_of(worker.task),
                                            .status = ST_CONFLICT,
                                            .text = wire_text_of("FENCED")};
        fake_worker_say(&worker, &failed);
    }
    dispatcher_world_settle(&world);
    cr_expect_eq(count(task, UNIT_DEAD), 0);
    cr_expect_eq(task->n_errors, 0);
    fake_worker_stop(&worker);
    end(task);
}

/* --- who gets what ------------------------------------------------------------------------- */

Test(dispatcher, a_pinned_task_stays_with_one_instruction_set)
{
    struct fake_worker plain, wide;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 100, NULL, 1);
    task->is_pinned = true;
    fake_worker_start(&world, &plain, "plain");
    cr_assert(fake_worker_await(&world, &plain, WIRE_LEASE));
    fake_worker_start(&world, &wide, "wide");
    fake_worker_hello(&wide, "wide", "avx512", 0);
    (void)fake_worker_await(&world, &wide, WIRE_WELCOME);
    while (fake_worker_hear(&world, &wide)) continue; /* what it got while it was plain */
    fake_worker_stop(&plain);
    dispatcher_world_settle(&world);
    cr_expect_str_eq(task->isa, "plain");
    cr_expect_leq(count(task, UNIT_LEASED), 2, "no more for the other instruction set");
    fake_worker_stop(&wide);
    end(task);
}

/* The kind is with the sweep: its next task, and whoever coordinates next, ask for the same. */
Test(dispatcher, the_pin_is_the_sweeps_and_is_stored_before_the_lease_goes_out)
{
    struct fake_worker plain, wide;
    struct task *task = dispatcher_world_task(&world, "s-1/one", 1, NULL, 1);
    task->is_pinned = true;
    fake_worker_start(&world, &plain, "plain");
    cr_assert(fake_worker_await(&world, &plain, WIRE_LEASE));
    cr_expect_eq(gateway_world_number(&world.redis, "HSTRLEN interp:sweep:s-1 isa"), 5);
    fake_worker_stop(&plain);
    fake_worker_start(&world, &wide, "wide");
    fake_worker_hello(&wide, "wide", "avx512", 0);
    dispatcher_world_settle(&world);
    struct task *next = dispatcher_world_task(&world, "s-1/two", 1, NULL, 1);
    next->is_pinned = true;
    end(task);
    while (fake_worker_hear(&world, &wide)) continue;
    cr_expect_eq(count(next, UNIT_READY), 1, "nothing for another kind");
    end(next);
    world.share.pin = (struct worker_pin){"cpu", "avx512"}; /* as another life reads it */
    struct task *again = dispatcher_world_task(&world, "s-1/three", 1, NULL, 1);
    again->is_pinned = true;
    cr_expect(fake_worker_await(&world, &wide, WIRE_LEASE));
    fake_worker_stop(&wide);
    end(again);
}

Test(dispatcher, a_deposed_leader_pins_nothing_and_says_so)
{
    struct fake_worker worker;
    fake_worker_start(&world, &worker, "w");
    struct task *task = dispatcher_world_task(&world, "s-1/t", 1, NULL, 1);
    task->is_pinned = true;
    gateway_world_run(&world.redis, "SET interp:leader somebody-else");
    cr_expect_eq(dispatcher_grant(world.dispatcher, &err), ST_CONFLICT);
    cr_expect_eq(count(task, UNIT_READY), 1);
    cr_expect_eq(gateway_world_number(&world.redis, "EXISTS interp:sweep:s-1"), 0);
    error_clear(&err);
    cr_expect_eq(leader_keep(&world.leader, &err), ST_CONFLICT, "asked at once");
    gateway_world_run(&world.redis, "DEL interp:leader");
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, a_paused_share_gets_nothing_and_goes_on_where_it_was)
{
    struct fake_worker worker;
    world.share.is_paused = true;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 1);
    fake_worker_start(&world, &worker, "w");
    cr_expect_not(fake_worker_await(&world, &worker, WIRE_LEASE));
    world.share.is_paused = false;
    cr_expect(fake_worker_await(&world, &worker, WIRE_LEASE));
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, a_draining_worker_gets_nothing_more)
{
    struct fake_worker worker;
    fake_worker_start(&world, &worker, "w");
    cr_assert_eq(dispatcher_drain_worker(world.dispatcher, "w", &err), ST_OK);
    cr_assert(fake_worker_await(&world, &worker, WIRE_DRAIN));
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 1);
    cr_expect_not(fake_worker_await(&world, &worker, WIRE_LEASE));
    cr_expect_eq(dispatcher_drain_worker(world.dispatcher, "nobody", &err), ST_NOT_FOUND);
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, an_ended_task_is_revoked_and_late_words_about_it_change_nothing)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, &reading_ops, 4);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    fake_worker_say_settled(&worker, worker.low, worker.high, 0.1);
    end(task);
    cr_expect(fake_worker_await(&world, &worker, WIRE_REVOKE));
    fake_worker_say_settled(&worker, 0, 1, 0.1);
    say_failed(&worker, 0);
    dispatcher_world_settle(&world);
    cr_expect_eq(lease_table_count(dispatcher_leases(world.dispatcher)), 0);
    cr_expect_eq(worker_table_count(dispatcher_workers(world.dispatcher)), 1);
    fake_worker_stop(&worker);
}

/* --- messages that break the rules --------------------------------------------------------- */

Test(dispatcher, refuses_strangers_until_they_say_hello_and_units_that_do_not_exist)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 4);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    fake_worker_say_settled(&worker, 3, 5, 0.1);
    cr_assert(fake_worker_await(&world, &worker, WIRE_REFUSED));
    cr_expect_eq(worker.in.wire.status, ST_PROTOCOL);
    const struct wire_message lease = {.type = WIRE_REVOKE, .lease = 1};
    fake_worker_say(&worker, &lease);
    cr_assert(fake_worker_await(&world, &worker, WIRE_REFUSED));
    const struct wire_message bye = {.type = WIRE_BYE};
    fake_worker_say(&worker, &bye);
    fake_worker_beat(&worker, 1, 0);
    cr_assert(fake_worker_await(&world, &worker, WIRE_REFUSED));
    cr_expect_eq(worker.in.wire.status, ST_NOT_FOUND);
    cr_expect_eq(worker_table_count(dispatcher_workers(world.dispatcher)), 0);
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, a_wrong_second_hello_takes_nothing_from_under_the_leases)
{
    struct fake_worker worker;
    struct task *task = dispatcher_world_task(&world, "s-1/t", 4, NULL, 2);
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    fake_worker_hello(&worker, "", "plain", 0);
    cr_assert(fake_worker_await(&world, &worker, WIRE_REFUSED));
    cr_expect_eq(lease_table_count(dispatcher_leases(world.dispatcher)), 0);
    cr_expect_eq(count(task, UNIT_READY), 4);
    dispatcher_world_pass(&world, 500); /* walks leases and their workers */
    fake_worker_stop(&worker);
    end(task);
}

Test(dispatcher, answers_requests_with_results_or_with_the_error)
{
    struct fake_worker client = {.socket = zmq_socket(world.zmq_context, ZMQ_DEALER)};
    transport_message_init(&client.in);
    cr_assert_eq(zmq_connect(client.socket, world.endpoint), 0);
    const struct wire_message echo = {.type = WIRE_REQUEST, .id = 7, .name = wire_text_of("echo")};
    cr_assert_eq(transport_send(client.socket, NULL, &echo, "[1]", 3, &err), ST_OK);
    cr_assert(fake_worker_await(&world, &client, WIRE_ANSWER));
    cr_expect_eq(client.in.wire.id, 7);
    cr_expect_eq(client.in.wire.status, ST_OK);
    cr_expect_eq(zmq_msg_size(&client.in.bulk), 3);
    const struct wire_message other = {
        .type = WIRE_REQUEST, .id = 8, .name = wire_text_of("other")};
    fake_worker_say(&client, &other);
    cr_assert(fake_worker_await(&world, &client, WIRE_ANSWER));
    cr_expect_eq(client.in.wire.status, ST_UNSUPPORTED);
    cr_expect_gt(zmq_msg_size(&client.in.bulk), 0);
    fake_worker_stop(&client);
}
