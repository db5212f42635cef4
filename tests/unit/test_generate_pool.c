/* Generations on a real dispatcher and a real Redis; the worker answers every job with a KL that is
 * its number of new tokens. */
#include "coordinator/sweep/generate_pool.h"
#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct dispatcher_world world;
static struct error err;
static struct generate_pool *pool;
static struct fake_worker worker;
static int n_told;
static double told_kl;
static char told_error[GENERATE_ERROR_SIZE];

static void open_pool(void)
{
    const struct generate_pool_params params = {.dispatcher = world.dispatcher,
                                                .store = world.store,
                                                .sweep_id = "s",
                                                .share = &world.share,
                                                .spec_json = "{\"kind\":\"generate\"}",
                                                .identity = "model"};
    cr_assert_eq(generate_pool_create(&pool, &params, &err), ST_OK);
}

static void set_up(void)
{
    dispatcher_world_start(&world);
    open_pool();
}

static void tear_down(void)
{
    generate_pool_destroy(&pool);
    fake_worker_stop(&worker);
    dispatcher_world_stop(&world);
}

TestSuite(generate_pool, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t hear(void *context, const char *id, const struct generate_answer *answer,
                     struct error *problem)
{
    (void)context;
    (void)problem;
    cr_expect_eq(strlen(id), 64);
    n_told++;
    told_kl = answer->kl;
    memcpy(told_error, answer->error, sizeof told_error);
    return ST_OK;
}

static void ask(uint32_t n_tokens)
{
    char id[HASH_HEX_SIZE];
    const struct generate_job job = {.n_tokens = n_tokens,
                                     .n_samples = 1,
                                     .n_interventions = 1,
                                     .n_prompts = 1,
                                     .prompts = {wire_text_of("a prompt")}};
    cr_assert_eq(generate_pool_ask(pool, &job, id, &err), ST_OK, "%s", err.text);
}

static void go_on(void)
{
    for (int i = 0; i < 3; i++) {
        world.now_ms += 50;
        error_clear(&err);
        cr_assert_eq(generate_pool_step(pool, hear, NULL, &err), ST_OK, "%s", err.text);
        dispatcher_world_settle(&world);
    }
}

static void answer_job(struct wire_text payload)
{
    struct generate_job job;
    struct buffer out;
    buffer_init(&out, GENERATE_MAX_ANSWER_BYTES);
    cr_assert_eq(generate_job_decode(payload.bytes, payload.n_bytes, &job, &err), ST_OK, "%s",
                 err.text);
    const struct generate_answer answer = {.kl = (double)job.n_tokens};
    cr_assert_eq(generate_answer_encode(&answer, &out, &err), ST_OK);
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
        answer_job(wire_part(&parts, 1));
        fake_worker_say_settled(&worker, 0, 1, 0.001);
        n++;
    }
    return n;
}

static long long redis(const char *command)
{
    return gateway_world_number(&world.redis, command);
}

Test(generate_pool, an_answer_is_stored_and_told_once)
{
    ask(7);
    ask(7);
    go_on();
    cr_expect_eq(redis("SCARD interp:generate_tasks:s"), 1);
    cr_expect_eq(work(), 1, "two asks are one job");
    go_on();
    cr_expect_eq(n_told, 1);
    cr_expect_eq(told_kl, 7);
    cr_expect_eq(generate_pool_n_open(pool), 0);
    cr_expect_eq(redis("HLEN interp:generations:s"), 1);
    cr_expect_eq(redis("EXISTS interp:generate_tasks:s"), 0, "its task left nothing");
}

Test(generate_pool, what_is_stored_is_never_computed_again)
{
    ask(7);
    go_on();
    cr_expect_eq(work(), 1);
    go_on();
    generate_pool_destroy(&pool);
    open_pool();
    ask(7);
    go_on();
    cr_expect_eq(n_told, 2);
    cr_expect_eq(generate_pool_counts(pool).n_stored, 1);
    cr_expect_eq(work(), 0);
}

Test(generate_pool, a_result_that_came_while_nobody_led_counts)
{
    ask(5);
    go_on();
    fake_worker_start(&world, &worker, "w");
    cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
    struct wire_parts parts;
    cr_assert_eq(wire_parts_decode(zmq_msg_data(&worker.in.bulk), zmq_msg_size(&worker.in.bulk),
                                   &parts, &err),
                 ST_OK);
    answer_job(wire_part(&parts, 1));
    generate_pool_destroy(&pool);
    dispatcher_world_restart(&world);
    open_pool();
    ask(5);
    go_on();
    cr_expect_eq(n_told, 1, "the next coordinator finds it under the same task");
    cr_expect_eq(told_kl, 5);
}

Test(generate_pool, what_workers_give_up_is_an_answer)
{
    ask(9);
    go_on();
    fake_worker_start(&world, &worker, "w");
    for (int i = 0; i < 3; i++) {
        cr_assert(fake_worker_await(&world, &worker, WIRE_LEASE));
        const struct wire_message failed = {.type = WIRE_FAILED,
                                            .lease = worker.lease,
                                            .unit = 0,
                                            .status = ST_BAD_INPUT,
                                            .task = wire_text_of(worker.task),
                                            .text = wire_text_of("it hurts")};
        fake_worker_say(&worker, &failed);
        dispatcher_world_settle(&world);
    }
    go_on();
    cr_expect_eq(n_told, 1);
    cr_expect_str_eq(told_error, "it hurts");
    cr_expect_eq(generate_pool_counts(pool).n_dead, 1);
}

Test(generate_pool, forgetting_leaves_nothing)
{
    ask(3);
    go_on();
    cr_expect_eq(work(), 1);
    go_on();
    ask(4);
    go_on();
    generate_pool_destroy(&pool);
    cr_assert_eq(generate_pool_forget(world.dispatcher, world.store, "s", &err), ST_OK);
    cr_expect_eq(redis("EXISTS interp:generations:s interp:generate_tasks:s"), 0);
    cr_assert_eq(generate_pool_forget(world.dispatcher, world.store, "s", &err), ST_OK);
}
