/* The user's probes on a real dispatcher and a real Redis; the worker answers every text with one
 * token whose activation is the length of the text. */
#include "coordinator/sweep/probe_desk.h"
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct dispatcher_world world;
static struct error err;
static struct probe_desk *desk;
static struct fake_worker worker;
static const struct probe_answer *answers; /* of the last ask */

static void open_desk(void)
{
    cr_assert_eq(probe_desk_create(&desk, world.dispatcher, world.store, &world.clock, &err),
                 ST_OK);
}

static void set_up(void)
{
    dispatcher_world_start(&world);
    open_desk();
}

static void tear_down(void)
{
    probe_desk_destroy(&desk);
    fake_worker_stop(&worker);
    dispatcher_world_stop(&world);
}

TestSuite(probe_desk, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t ask_texts(const struct wire_text *texts, size_t n)
{
    const struct probe_desk_request request = {
        .spec_json = "{\"kind\":\"probe\"}", .n_slots = 1, .texts = texts, .n_texts = n};
    error_clear(&err);
    return probe_desk_ask(desk, &request, &answers, &err);
}

static status_t ask(const char *text)
{
    const struct wire_text one = wire_text_of(text);
    return ask_texts(&one, 1);
}

/* Some rounds of the coordinator's loop. */
static void go_on(void)
{
    for (int i = 0; i < 4; i++) {
        world.now_ms += 50;
        error_clear(&err);
        cr_assert_eq(probe_desk_step(desk, &err), ST_OK, "%s", err.text);
        dispatcher_world_settle(&world);
    }
}

static void answer_unit(struct wire_text payload)
{
    static struct probe_unit unit;
    static uint32_t tokens[PROBE_MAX_PER_UNIT];
    static float values[PROBE_MAX_PER_UNIT];
    struct probe_answer made[PROBE_MAX_PER_UNIT];
    struct buffer out;
    buffer_init(&out, PROBE_MAX_RESULT_BYTES);
    cr_assert_eq(probe_unit_decode(payload.bytes, payload.n_bytes, &unit, &err), ST_OK);
    for (size_t i = 0; i < unit.n_probes; i++) {
        values[i] = (float)unit.probes[i].text.n_bytes;
        made[i] =
            (struct probe_answer){.n_tokens = 1, .tokens = &tokens[i], .activations = &values[i]};
    }
    cr_assert_eq(probe_result_encode(made, unit.n_probes, &out, &err), ST_OK);
    cr_assert_eq(fake_worker_store_bytes(&world, &worker, 0, out.bytes, out.n_bytes), ST_OK);
    buffer_fini(&out);
}

/* How many leases there were. */
static int work(void)
{
    int n = 0;
    if (!worker.socket) fake_worker_start(&world, &worker, "w");
    while (fake_worker_await(&world, &worker, WIRE_LEASE)) {
        struct wire_parts parts;
        cr_assert_eq(wire_parts_decode(zmq_msg_data(&worker.in.bulk), zmq_msg_size(&worker.in.bulk),
                                       &parts, &err),
                     ST_OK);
        answer_unit(wire_part(&parts, 1));
        fake_worker_say_settled(&worker, 0, 1, 0.001);
        n++;
    }
    return n;
}

static long long redis(const char *command)
{
    return gateway_world_number(&world.redis, command);
}

Test(probe_desk, a_request_is_pending_until_the_worker_has_answered)
{
    cr_assert_eq(ask("four"), ST_OK);
    cr_expect_null(answers);
    go_on();
    cr_expect_eq(redis("SCARD interp:user_probes"), 1);
    cr_assert_eq(ask("four"), ST_OK);
    cr_expect_null(answers);
    cr_expect_eq(work(), 1);
    go_on();
    cr_expect_eq(redis("EXISTS interp:user_probes"), 0, "its keys are gone before it is told");
    cr_assert_eq(ask("four"), ST_OK, "%s", err.text);
    cr_assert_not_null(answers);
    cr_expect_eq(probe_answer_max(&answers[0]), 4);
}

Test(probe_desk, what_was_told_is_forgotten)
{
    cr_assert_eq(ask("four"), ST_OK);
    go_on();
    cr_expect_eq(work(), 1);
    go_on();
    cr_assert_eq(ask("four"), ST_OK);
    cr_assert_not_null(answers);
    go_on();
    cr_assert_eq(ask("four"), ST_OK);
    cr_expect_null(answers, "it is asked anew: the model may be another one by now");
    go_on();
    cr_expect_eq(work(), 1);
}

Test(probe_desk, texts_have_their_answers_in_order_and_equal_ones_the_same)
{
    const struct wire_text texts[] = {{"aaa", 3}, {"b", 1}, {"aaa", 3}};
    cr_assert_eq(ask_texts(texts, 3), ST_OK);
    go_on();
    cr_expect_eq(work(), 1);
    go_on();
    cr_assert_eq(ask_texts(texts, 3), ST_OK);
    cr_assert_not_null(answers);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(probe_answer_max(&answers[i]), (float)texts[i].n_bytes);
}

Test(probe_desk, what_the_workers_give_up_is_an_error_once)
{
    cr_assert_eq(ask("poison"), ST_OK);
    go_on();
    fake_worker_start(&world, &worker, "w");
    for (int i = 0; i < 3; i++) {
        cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
        const struct wire_message failed = {.type = WIRE_FAILED,
                                            .lease = worker.lease,
                                            .task = wire_text_of(worker.task),
                                            .status = ST_NOT_FOUND,
                                            .text = wire_text_of("no such directory")};
        fake_worker_say(&worker, &failed);
        dispatcher_world_settle(&world);
    }
    go_on();
    cr_expect_eq(ask("poison"), ST_INTERNAL);
    cr_expect_str_eq(err.text, "the probe failed on the workers: no such directory");
    go_on();
    cr_expect_eq(redis("EXISTS interp:user_probes"), 0);
    cr_assert_eq(ask("poison"), ST_OK, "tried again");
    cr_expect_null(answers);
}

Test(probe_desk, nobody_waits_for_ever)
{
    const long long n_before = dispatcher_world_n_keys(&world);
    cr_assert_eq(ask("left alone"), ST_OK);
    go_on();
    cr_expect_gt(dispatcher_world_n_keys(&world), n_before);
    world.now_ms += PROBE_DESK_ABANDON_MS;
    go_on();
    cr_expect_eq(dispatcher_world_n_keys(&world), n_before);
    cr_expect_null(task_queue_at(dispatcher_queue(world.dispatcher), 0));
}

Test(probe_desk, what_an_earlier_life_left_is_removed)
{
    cr_assert_eq(ask("in flight"), ST_OK);
    go_on();
    cr_expect_eq(redis("SCARD interp:user_probes"), 1);
    probe_desk_destroy(&desk);
    dispatcher_world_restart(&world);
    const long long n_before = dispatcher_world_n_keys(&world);
    cr_assert_geq(n_before, 3);
    open_desk();
    go_on();
    cr_expect_eq(redis("EXISTS interp:user_probes"), 0);
    cr_expect_leq(dispatcher_world_n_keys(&world), n_before - 3, "name, record and task");
}

Test(probe_desk, the_same_request_after_a_restart_is_answered)
{
    cr_assert_eq(ask("patient"), ST_OK);
    go_on();
    probe_desk_destroy(&desk);
    dispatcher_world_restart(&world);
    open_desk();
    cr_assert_eq(ask("patient"), ST_OK);
    go_on();
    cr_expect_eq(work(), 1);
    go_on();
    cr_assert_eq(ask("patient"), ST_OK);
    cr_assert_not_null(answers);
    cr_expect_eq(probe_answer_max(&answers[0]), 7);
}

Test(probe_desk, too_many_requests_are_told_to_come_back)
{
    char text[16];
    for (int i = 0; i < PROBE_DESK_MAX_REQUESTS; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        cr_assert_eq(ask(text), ST_OK);
    }
    cr_expect_eq(ask("one more"), ST_BUSY);
    cr_expect_eq(ask("3"), ST_OK, "that one is under way");
}

Test(probe_desk, texts_are_bounded)
{
    static char text[PROBE_MAX_TEXT_BYTES + 1];
    static struct wire_text texts[PROBE_MAX_PER_UNIT + 1];
    const struct wire_text long_one = {text, sizeof text};
    cr_expect_eq(ask_texts(texts, 0), ST_BAD_INPUT);
    cr_expect_eq(ask_texts(texts, PROBE_MAX_PER_UNIT + 1), ST_BAD_INPUT);
    cr_expect_eq(ask_texts(&long_one, 1), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "text 1 has 16385 bytes, at most 16384");
}

Test(probe_desk, the_store_away_loses_nothing)
{
    cr_assert_eq(ask("four"), ST_OK);
    cr_assert_eq(kill((pid_t)world.redis.pid, SIGSTOP), 0);
    cr_expect_eq(probe_desk_step(desk, &err), ST_UNREACHABLE);
    cr_assert_eq(kill((pid_t)world.redis.pid, SIGCONT), 0);
    go_on();
    cr_expect_eq(work(), 1);
    go_on();
    cr_assert_eq(ask("four"), ST_OK);
    cr_expect_not_null(answers);
}
