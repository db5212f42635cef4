/* The probe pool on a real dispatcher and a real Redis, with a worker that speaks the wire and
 * answers with the text's bytes as tokens and the slot as the activation of each. */
#include "coordinator/sweep/probe_pool.h"
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { N_SLOTS = 1000, LONG_ENOUGH_MS = 100 };

static struct dispatcher_world world;
static struct error err;
static struct probe_pool *pool;
static struct fake_worker worker;
static long long n_keys_before;

/* What was told. */
static struct {
    size_t n;
    char id[HASH_HEX_SIZE]; /* of the last */
    char error[PROBE_ERROR_SIZE];
    size_t n_tokens;
    float activation;
    const char *ask_again; /* asked by the next telling */
    uint32_t slot;         /* of ask_again */
} told;

static void open_pool(void)
{
    static const struct probe_pool_target targets[] = {{7, N_SLOTS}, {8, 10}};
    const struct probe_pool_params params = {.dispatcher = world.dispatcher,
                                             .store = world.store,
                                             .clock = &world.clock,
                                             .sweep_id = "s-1",
                                             .share = &world.share,
                                             .spec_json = "{\"kind\":\"probe\"}",
                                             .identity = "a model",
                                             .targets = targets,
                                             .n_targets = 2};
    cr_assert_eq(probe_pool_create(&pool, &params, &err), ST_OK, "%s", err.text);
}

static void set_up(void)
{
    dispatcher_world_start(&world);
    n_keys_before = dispatcher_world_n_keys(&world);
    open_pool();
}

static void tear_down(void)
{
    probe_pool_destroy(&pool);
    fake_worker_stop(&worker);
    dispatcher_world_stop(&world);
}

TestSuite(probe_pool, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t ask(uint32_t slot, const char *text, char id[HASH_HEX_SIZE])
{
    char mine[HASH_HEX_SIZE];
    const struct probe_request request = {0, slot, text, strlen(text)};
    error_clear(&err);
    return probe_pool_ask(pool, &request, id ? id : mine, &err);
}

static status_t on_answer(void *context, const char *id, const struct probe_answer *answer,
                          struct error *why)
{
    (void)context;
    (void)why;
    told.n++;
    (void)snprintf(told.id, sizeof told.id, "%s", id);
    (void)snprintf(told.error, sizeof told.error, "%s", answer->error);
    told.n_tokens = answer->n_tokens;
    told.activation = probe_answer_max(answer);
    const char *again = told.ask_again;
    told.ask_again = NULL;
    if (again) cr_assert_eq(ask(told.slot, again, NULL), ST_OK);
    return ST_OK;
}

static status_t step(void)
{
    error_clear(&err);
    return probe_pool_step(pool, on_answer, NULL, &err);
}

static void step_well(void)
{
    cr_assert_eq(step(), ST_OK, "%s", err.text);
}

/* --- a worker ------------------------------------------------------------------------------ */

static void answer_unit(uint64_t unit, struct wire_text payload)
{
    static struct probe_unit probes;
    static struct probe_answer answers[PROBE_MAX_PER_UNIT];
    static uint32_t tokens[PROBE_MAX_TEXT_BYTES];
    static float activations[PROBE_MAX_PER_UNIT][256];
    struct buffer out;
    buffer_init(&out, PROBE_MAX_RESULT_BYTES);
    cr_assert_eq(probe_unit_decode(payload.bytes, payload.n_bytes, &probes, &err), ST_OK);
    for (size_t i = 0; i < probes.n_probes; i++) {
        const size_t n = probes.probes[i].text.n_bytes;
        cr_assert_lt(n, 256);
        for (size_t t = 0; t < n; t++) activations[i][t] = (float)probes.probes[i].slot;
        answers[i] =
            (struct probe_answer){.n_tokens = n, .tokens = tokens, .activations = activations[i]};
    }
    cr_assert_eq(probe_result_encode(answers, probes.n_probes, &out, &err), ST_OK);
    cr_assert_eq(fake_worker_store_bytes(&world, &worker, unit, out.bytes, out.n_bytes), ST_OK);
    buffer_fini(&out);
}

/* The next lease; false if none comes. */
static bool next_lease(void)
{
    if (!worker.socket) fake_worker_start(&world, &worker, "w");
    return fake_worker_await(&world, &worker, WIRE_LEASE);
}

static void answer_lease(bool is_said)
{
    struct wire_parts parts;
    cr_assert_eq(wire_parts_decode(zmq_msg_data(&worker.in.bulk), zmq_msg_size(&worker.in.bulk),
                                   &parts, &err),
                 ST_OK, "%s", err.text);
    for (uint64_t unit = worker.low; unit < worker.high; unit++)
        answer_unit(unit, wire_part(&parts, (size_t)(unit - worker.low) + 1));
    if (is_said) fake_worker_say_settled(&worker, worker.low, worker.high, 0.001);
}

/* Step and work until nothing more is to be done. */
static void finish(void)
{
    world.now_ms += LONG_ENOUGH_MS;
    for (int i = 0; i < 20 && probe_pool_n_open(pool); i++) {
        step_well();
        while (next_lease()) answer_lease(true);
        dispatcher_world_settle(&world);
        step_well();
        world.now_ms += LONG_ENOUGH_MS;
    }
    cr_assert_eq(probe_pool_n_open(pool), 0);
}

static long long redis(const char *command)
{
    return gateway_world_number(&world.redis, command);
}

/* Keys that are there because of probes. */
static long long n_keys(void)
{
    return dispatcher_world_n_keys(&world) - n_keys_before;
}

/* --- asking -------------------------------------------------------------------------------- */

Test(probe_pool, an_ask_is_answered_by_a_worker_stored_and_told_once)
{
    char id[HASH_HEX_SIZE];
    cr_assert_eq(ask(42, "hello", id), ST_OK, "%s", err.text);
    finish();
    cr_expect_eq(told.n, 1);
    cr_expect_str_eq(told.id, id);
    cr_expect_str_eq(told.error, "");
    cr_expect_eq(told.n_tokens, 5);
    cr_expect_eq(told.activation, 42);
    cr_expect_eq(redis("HLEN interp:probes:s-1"), 1);
    cr_expect_eq(redis("EXISTS interp:probe_tasks:s-1"), 0, "its record is gone");
    cr_expect_eq(n_keys(), 1, "nothing but answers is left");
    step_well();
    cr_expect_eq(told.n, 1);
}

Test(probe_pool, the_name_is_the_content)
{
    char first[HASH_HEX_SIZE], second[HASH_HEX_SIZE];
    cr_assert_eq(ask(1, "a", first), ST_OK);
    cr_assert_eq(ask(1, "a", second), ST_OK);
    cr_expect_str_eq(first, second);
    cr_expect_eq(probe_pool_n_open(pool), 1);
    cr_assert_eq(ask(2, "a", second), ST_OK);
    cr_expect_str_neq(first, second, "another slot");
    cr_assert_eq(ask(1, "a ", second), ST_OK);
    cr_expect_str_neq(first, second, "another text");
    const struct probe_request other = {1, 1, "a", 1};
    cr_assert_eq(probe_pool_ask(pool, &other, second, &err), ST_OK);
    cr_expect_str_neq(first, second, "another target");
    finish();
    cr_expect_eq(told.n, 4);
}

Test(probe_pool, what_was_answered_is_told_again_without_a_worker)
{
    cr_assert_eq(ask(3, "again", NULL), ST_OK);
    finish();
    fake_worker_stop(&worker);
    cr_assert_eq(ask(3, "again", NULL), ST_OK);
    step_well();
    cr_expect_eq(told.n, 2);
    cr_expect_eq(told.activation, 3);
    const struct probe_pool_counts counts = probe_pool_counts(pool);
    cr_expect_eq(counts.n_computed, 1);
    cr_expect_eq(counts.n_stored, 1);
    cr_expect_eq(counts.n_tasks, 1);
}

Test(probe_pool, a_full_unit_goes_at_once_and_less_waits_for_company)
{
    char text[24];
    cr_assert_eq(ask(0, "first", NULL), ST_OK);
    step_well();
    cr_expect_eq(probe_pool_counts(pool).n_tasks, 0, "it waits");
    for (int i = 1; i < PROBE_MAX_PER_UNIT; i++) {
        (void)snprintf(text, sizeof text, "text %d", i);
        cr_assert_eq(ask(0, text, NULL), ST_OK);
    }
    step_well();
    cr_expect_eq(probe_pool_counts(pool).n_tasks, 1, "full");
    cr_assert_eq(ask(0, "late", NULL), ST_OK);
    step_well();
    cr_expect_eq(probe_pool_counts(pool).n_tasks, 1);
    world.now_ms += LONG_ENOUGH_MS;
    step_well();
    cr_expect_eq(probe_pool_counts(pool).n_tasks, 2, "it has waited long enough");
    finish();
    cr_expect_eq(told.n, PROBE_MAX_PER_UNIT + 1);
}

Test(probe_pool, many_asks_are_all_answered)
{
    enum { N = 3000 };
    char text[24];
    for (uint32_t i = 0; i < N; i++) {
        (void)snprintf(text, sizeof text, "%u", (unsigned)i);
        cr_assert_eq(ask(i % N_SLOTS, text, NULL), ST_OK);
    }
    finish();
    cr_expect_eq(told.n, N);
    cr_expect_eq(probe_pool_counts(pool).n_computed, N);
    cr_expect_eq(redis("HLEN interp:probes:s-1"), N);
    cr_expect_eq(n_keys(), 1);
}

Test(probe_pool, who_is_told_may_ask)
{
    told.ask_again = "the next round";
    told.slot = 9;
    cr_assert_eq(ask(8, "the first round", NULL), ST_OK);
    finish();
    cr_expect_eq(told.n, 2);
    cr_expect_eq(told.activation, 9);
}

Test(probe_pool, who_is_told_may_ask_the_same_again)
{
    told.ask_again = "the same";
    told.slot = 8;
    cr_assert_eq(ask(8, "the same", NULL), ST_OK);
    finish();
    cr_expect_eq(told.n, 2);
    cr_expect_eq(probe_pool_counts(pool).n_computed, 1);
}

Test(probe_pool, a_text_that_is_too_long_is_answered_with_an_error)
{
    static char text[PROBE_MAX_TEXT_BYTES + 2];
    memset(text, 'x', sizeof text - 1);
    cr_assert_eq(ask(0, text, NULL), ST_OK);
    step_well();
    cr_expect_eq(told.n, 1);
    cr_expect_str_eq(told.error, "a text of 16385 bytes, at most 16384");
    cr_expect_eq(n_keys(), 0, "that needs no store");
}

Test(probe_pool, targets_and_slots_that_do_not_exist_are_refused)
{
    char id[HASH_HEX_SIZE];
    const struct probe_request target = {2, 0, "x", 1}, slot = {1, 10, "x", 1};
    cr_expect_eq(probe_pool_ask(pool, &target, id, &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(probe_pool_ask(pool, &slot, id, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "slot 10 of 10"), "%s", err.text);
    cr_expect_eq(probe_pool_n_open(pool), 0);
}

Test(probe_pool, a_full_pool_says_so_and_keeps_nothing)
{
    char text[24];
    for (uint32_t i = 0; i < PROBE_POOL_MAX_OPEN; i++) {
        (void)snprintf(text, sizeof text, "%u", (unsigned)i);
        cr_assert_eq(ask(0, text, NULL), ST_OK);
    }
    cr_expect_eq(ask(0, "one more", NULL), ST_BUSY);
    cr_expect_eq(ask(0, "7", NULL), ST_OK, "that one is open");
    cr_expect_eq(probe_pool_n_open(pool), PROBE_POOL_MAX_OPEN);
}

/* --- restarts and losses ------------------------------------------------------------------- */

static void restart(void)
{
    probe_pool_destroy(&pool);
    dispatcher_world_restart(&world);
    open_pool();
}

Test(probe_pool, a_restart_takes_up_the_task_and_what_was_stored_meanwhile)
{
    cr_assert_eq(ask(5, "in flight", NULL), ST_OK);
    step_well();
    world.now_ms += LONG_ENOUGH_MS;
    step_well();
    cr_assert(next_lease());
    answer_lease(false); /* it is in the store, and nobody was told */
    fake_worker_stop(&worker);
    restart();
    cr_assert_eq(ask(5, "in flight", NULL), ST_OK);
    step_well();
    dispatcher_world_settle(&world);
    step_well();
    cr_expect_eq(told.n, 1);
    cr_expect_eq(told.activation, 5);
    cr_expect_eq(n_keys(), 1);
}

Test(probe_pool, a_restart_with_nobody_asking_finishes_what_runs)
{
    cr_assert_eq(ask(5, "in flight", NULL), ST_OK);
    step_well();
    world.now_ms += LONG_ENOUGH_MS;
    step_well();
    restart();
    step_well();
    while (next_lease()) answer_lease(true);
    dispatcher_world_settle(&world);
    step_well();
    cr_expect_eq(told.n, 0, "nobody asked in this life");
    cr_expect_eq(redis("HLEN interp:probes:s-1"), 1);
    cr_expect_eq(redis("EXISTS interp:probe_tasks:s-1"), 0);
    cr_assert_eq(ask(5, "in flight", NULL), ST_OK);
    step_well();
    cr_expect_eq(told.n, 1);
}

Test(probe_pool, a_restart_pays_nothing_for_what_was_answered)
{
    cr_assert_eq(ask(6, "done", NULL), ST_OK);
    finish();
    fake_worker_stop(&worker);
    restart();
    cr_assert_eq(ask(6, "done", NULL), ST_OK);
    step_well();
    cr_expect_eq(told.n, 2);
    cr_expect_eq(probe_pool_counts(pool).n_tasks, 0);
}

Test(probe_pool, a_task_of_other_content_is_discarded)
{
    gateway_world_run(&world.redis,
                      "HSET interp:probe_tasks:s-1 s-1/probe-0123456789abcdef rubbish");
    gateway_world_run(&world.redis, "SET interp:{s-1/probe-0123456789abcdef}:open 1");
    cr_assert_eq(ask(1, "x", NULL), ST_OK);
    finish();
    cr_expect_eq(told.n, 1);
    cr_expect_eq(n_keys(), 1);
}

Test(probe_pool, a_stored_answer_that_nobody_can_read_is_computed_again)
{
    char id[HASH_HEX_SIZE], command[160];
    cr_assert_eq(ask(4, "x", id), ST_OK);
    (void)snprintf(command, sizeof command, "HSET interp:probes:s-1 %s rubbish", id);
    gateway_world_run(&world.redis, command);
    finish();
    cr_expect_eq(told.n, 1);
    cr_expect_eq(told.activation, 4);
    cr_expect_eq(probe_pool_counts(pool).n_computed, 1);
}

Test(probe_pool, the_first_answer_that_was_stored_counts)
{
    char id[HASH_HEX_SIZE];
    uint32_t token = 1;
    float value = 77;
    struct buffer bytes;
    const struct probe_answer first = {.n_tokens = 1, .tokens = &token, .activations = &value};
    buffer_init(&bytes, PROBE_MAX_RESULT_BYTES);
    cr_assert_eq(probe_answer_encode(&first, &bytes, &err), ST_OK);
    cr_assert_eq(ask(4, "x", id), ST_OK);
    step_well(); /* looked up: not there */
    cr_assert_eq(store_run(world.redis.store, NULL, &err, "HSET interp:probes:s-1 %s %b", id,
                           bytes.bytes, bytes.n_bytes),
                 ST_OK);
    finish();
    cr_expect_eq(told.activation, 77);
    buffer_fini(&bytes);
}

Test(probe_pool, redis_away_loses_nothing)
{
    cr_assert_eq(ask(5, "patience", NULL), ST_OK);
    cr_assert_eq(kill((pid_t)world.redis.pid, SIGSTOP), 0);
    cr_expect_eq(step(), ST_UNREACHABLE);
    cr_assert_eq(kill((pid_t)world.redis.pid, SIGCONT), 0);
    step_well();
    world.now_ms += LONG_ENOUGH_MS;
    cr_assert_eq(kill((pid_t)world.redis.pid, SIGSTOP), 0);
    cr_expect_eq(step(), ST_UNREACHABLE, "its record cannot be saved");
    cr_assert_eq(kill((pid_t)world.redis.pid, SIGCONT), 0);
    finish();
    cr_expect_eq(told.n, 1);
    cr_expect_eq(told.activation, 5);
    cr_expect_eq(redis("HLEN interp:probes:s-1"), 1);
    cr_expect_eq(redis("EXISTS interp:probe_tasks:s-1"), 0);
}

/* --- dead units ---------------------------------------------------------------------------- */

static void fail_until_dead(void)
{
    for (int i = 0; i < 3; i++) {
        cr_assert(next_lease());
        const struct wire_message failed = {.type = WIRE_FAILED,
                                            .lease = worker.lease,
                                            .task = wire_text_of(worker.task),
                                            .unit = worker.low,
                                            .status = ST_BAD_INPUT,
                                            .text = wire_text_of("the model is not there")};
        fake_worker_say(&worker, &failed);
        dispatcher_world_settle(&world);
    }
}

Test(probe_pool, a_dead_unit_answers_with_its_error_and_stays_listed)
{
    cr_assert_eq(ask(1, "poison", NULL), ST_OK);
    step_well();
    world.now_ms += LONG_ENOUGH_MS;
    step_well();
    fail_until_dead();
    step_well();
    cr_assert_eq(told.n, 1);
    cr_expect_str_eq(told.error, "the model is not there");
    cr_expect_eq(probe_pool_counts(pool).n_dead, 1);
    cr_assert_eq(ask(1, "fine", NULL), ST_OK);
    finish();
    cr_expect_str_eq(told.error, "", "the next task runs");
    cr_expect_eq(redis("HLEN interp:dead:s-1"), 1, "and the dead one is still listed");
    cr_assert_eq(ask(1, "poison", NULL), ST_OK);
    step_well();
    cr_expect_str_eq(told.error, "the model is not there", "stored like any answer");
}

Test(probe_pool, forgetting_leaves_no_key)
{
    cr_assert_eq(ask(1, "poison", NULL), ST_OK);
    step_well();
    world.now_ms += LONG_ENOUGH_MS;
    step_well();
    fail_until_dead();
    step_well();
    cr_assert_eq(ask(2, "runs", NULL), ST_OK);
    step_well();
    world.now_ms += LONG_ENOUGH_MS;
    step_well();
    cr_expect_gt(n_keys(), 2);
    probe_pool_destroy(&pool);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(probe_pool_forget(world.dispatcher, world.store, "s-1", &err), ST_OK);
    cr_expect_eq(n_keys(), 0);
}
