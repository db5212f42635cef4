/* Results on their way into a real Redis. */
#include "worker/link/result_batch.h"

#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct gateway_world world;
static struct result_batch batch;
static _Atomic uint64_t ticks;
static atomic_bool stop;
static struct error err;

static void set_up(void)
{
    char url[96];
    (void)signal(SIGPIPE, SIG_IGN);
    gateway_world_start(&world);
    (void)snprintf(url, sizeof url, "unix:%s/redis.sock", world.directory);
    cr_assert_eq(result_batch_init(&batch, url, &err), ST_OK, "%s", err.text);
    gateway_world_run(&world, "SET interp:{s/t}:open 1");
}

static void tear_down(void)
{
    result_batch_fini(&batch);
    gateway_world_stop(&world);
}

TestSuite(result_batch, .init = set_up, .fini = tear_down, .timeout = 60);

static void add(uint64_t unit, const char *bytes)
{
    cr_assert_eq(buffer_append_text(result_batch_room(&batch), bytes, &err), ST_OK);
    result_batch_add(&batch, unit, 1000);
}

static uint64_t n_stored, n_duplicate;

static status_t flush(uint64_t lease, uint64_t epoch)
{
    const struct result_batch_target target = {"s/t", lease, epoch, &stop, &ticks};
    error_clear(&err);
    return result_batch_flush(&batch, &target, &n_stored, &n_duplicate, &err);
}

Test(result_batch, stores_each_result_under_its_unit)
{
    redisReply *reply;
    add(3, "three");
    add(9, "");
    add(4, "four");
    cr_assert_eq(flush(1, 1), ST_OK, "%s", err.text);
    cr_expect_eq(n_stored, 3);
    cr_expect_eq(n_duplicate, 0);
    cr_assert_eq(store_run(world.store, &reply, &err, "HMGET interp:{s/t}:done 3 9 4"), ST_OK);
    cr_expect_str_eq(reply->element[0]->str, "three");
    cr_expect_str_eq(reply->element[1]->str, "");
    cr_expect_str_eq(reply->element[2]->str, "four");
    freeReplyObject(reply);
}

Test(result_batch, the_first_writer_wins)
{
    add(1, "first");
    cr_assert_eq(flush(1, 1), ST_OK);
    add(1, "second");
    add(2, "new");
    cr_assert_eq(flush(2, 1), ST_OK);
    cr_expect_eq(n_stored, 1);
    cr_expect_eq(n_duplicate, 1);
}

Test(result_batch, is_empty_afterwards_whatever_happened)
{
    add(1, "x");
    gateway_world_run(&world, "SADD interp:{s/t}:revoked 7");
    cr_expect_eq(flush(7, 1), ST_CONFLICT);
    cr_expect(strstr(err.text, "revoked"), "%s", err.text);
    cr_expect_eq(batch.n_units, 0);
    cr_expect_eq(result_batch_room(&batch)->n_bytes, 0);
    gateway_world_run(&world, "DEL interp:{s/t}:open");
    add(2, "x");
    cr_expect_eq(flush(8, 1), ST_CONFLICT);
    cr_expect(strstr(err.text, "closed"), "%s", err.text);
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:{s/t}:done"), 0);
}

Test(result_batch, is_due_when_many_large_or_old)
{
    cr_expect_not(result_batch_is_due(&batch, 1 << 30), "nothing waits");
    add(0, "x");
    cr_expect_not(result_batch_is_due(&batch, 1000 + RESULT_BATCH_MAX_MS - 1));
    cr_expect(result_batch_is_due(&batch, 1000 + RESULT_BATCH_MAX_MS));
    for (uint64_t i = 1; i < RESULT_BATCH_MAX_UNITS - 1; i++) add(i, "x");
    cr_expect_not(result_batch_is_due(&batch, 1000));
    add(RESULT_BATCH_MAX_UNITS, "x");
    cr_expect(result_batch_is_due(&batch, 1000));
    cr_assert_eq(flush(1, 1), ST_OK, "%s", err.text);
    cr_expect_eq(n_stored, RESULT_BATCH_MAX_UNITS);
}

Test(result_batch, a_cut_connection_is_tried_again_and_shown_as_progress)
{
    add(5, "five");
    gateway_world_run(&world, "CLIENT KILL TYPE normal SKIPME yes");
    cr_assert_eq(flush(1, 1), ST_OK, "%s", err.text);
    cr_expect_eq(n_stored, 1);
    cr_expect_gt(atomic_load(&ticks), 0);
}

Test(result_batch, gives_up_a_store_that_is_away_when_told_to_stop)
{
    add(5, "five");
    atomic_store(&stop, true);
    (void)kill((pid_t)world.pid, SIGKILL);
    cr_expect_eq(flush(1, 1), ST_UNREACHABLE);
    cr_expect_eq(batch.n_units, 0);
}
