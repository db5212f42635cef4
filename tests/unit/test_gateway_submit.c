/* Submit, join, announce, read, forget: the coordinator's side against a real Redis. */
#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <string.h>

static struct gateway_world world;
static struct reserve_result result;

static void set_up(void)
{
    gateway_world_start(&world);
}

static void tear_down(void)
{
    gateway_world_stop(&world);
}

TestSuite(submit, .init = set_up, .fini = tear_down, .timeout = 60);

static void answer_one(void)
{
    const struct settlement usage = gateway_world_usage(7, 2);
    cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
    cr_assert_str_eq(gateway_world_settle(&world, &result.grants[0], &usage, NULL), "booked");
    grant_fini(&result.grants[0]);
}

static void forget(const char *sweep)
{
    struct error err;
    error_clear(&err);
    cr_assert_eq(call_forget_sweep(world.client, sweep, &err), ST_OK, "%s", err.text);
}

Test(submit, is_idempotent_in_every_state)
{
    char id[HASH_HEX_SIZE];
    cr_expect_eq(gateway_world_submit(&world, "s", 5, "x", id), CALL_SUBMIT_QUEUED);
    cr_expect_eq(gateway_world_submit(&world, "s", 5, "x", id), CALL_SUBMIT_JOINED, "queued");
    cr_assert_eq(gateway_world_reserve(&world, 8, &result), 1, "one entry, not two");
    cr_expect_eq(gateway_world_submit(&world, "s", 5, "x", id), CALL_SUBMIT_JOINED, "in flight");
    cr_expect_eq(gateway_world_submit(&world, "t", 5, "x", id), CALL_SUBMIT_JOINED, "of another");
    const struct settlement usage = gateway_world_usage(7, 2);
    gateway_world_settle(&world, &result.grants[0], &usage, NULL);
    grant_fini(&result.grants[0]);
    cr_expect_eq(gateway_world_submit(&world, "s", 5, "x", id), CALL_SUBMIT_STORED);
    cr_expect_eq(gateway_world_submit(&world, "u", 5, "x", id), CALL_SUBMIT_STORED);
    cr_expect_eq(gateway_world_number(&world, "HGET interp:ledger:t cached"), 1);
    cr_expect_eq(gateway_world_number(&world, "HGET interp:ledger:u cached"), 1);
    cr_expect_eq(gateway_world_number(&world, "HGET interp:ledger:s cached"), -1, "it paid");
    cr_expect_eq(gateway_world_reserve(&world, 8, &result), 0);
}

Test(submit, announcements_come_in_order_behind_the_cursor)
{
    char id[3][HASH_HEX_SIZE], cursor[CALL_CURSOR_SIZE];
    struct call_announcement heard[8];
    struct error err;
    size_t n = 0;
    error_clear(&err);
    cr_assert_eq(call_cursor_now(world.store, cursor, &err), ST_OK);
    cr_expect_str_eq(cursor, "0-0");
    gateway_world_submit(&world, "s", 5, "a", id[0]);
    answer_one();
    gateway_world_submit(&world, "s", 5, "b", id[1]);
    answer_one();
    cr_assert_eq(call_announcements(world.store, cursor, -1, heard, 1, &n, &err), ST_OK);
    cr_assert_eq(n, 1, "as many as there is room for");
    cr_expect_str_eq(heard[0].id, id[0]);
    cr_assert_eq(call_announcements(world.store, cursor, -1, heard, 8, &n, &err), ST_OK);
    cr_assert_eq(n, 1);
    cr_expect_str_eq(heard[0].id, id[1]);
    cr_expect_not(heard[0].is_failed);
    cr_assert_eq(call_announcements(world.store, cursor, 20, heard, 8, &n, &err), ST_OK);
    cr_expect_eq(n, 0, "a wait without news ends");
    char later[CALL_CURSOR_SIZE];
    cr_assert_eq(call_cursor_now(world.store, later, &err), ST_OK);
    cr_expect_str_eq(later, cursor);
}

Test(submit, a_reply_reads_back_byte_by_byte)
{
    char id[HASH_HEX_SIZE], content[] = "a\0b\xc3\xa9", logprobs[] = "{\"content\":[]}";
    struct error err;
    struct call_reply reply;
    struct settlement usage = gateway_world_usage(7, 2);
    usage.completion.content = content;
    usage.completion.n_content_bytes = 5;
    usage.completion.logprobs = logprobs;
    usage.completion.is_estimated = true;
    error_clear(&err);
    gateway_world_submit(&world, "s", 5, "x", id);
    cr_assert_eq(call_reply_read(world.store, id, &reply, &err), ST_OK);
    cr_expect_eq(reply.state, CALL_PENDING);
    cr_expect_str_eq(reply.served_by, "", "nobody yet");
    call_reply_fini(&reply);
    cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
    gateway_world_settle(&world, &result.grants[0], &usage, NULL);
    grant_fini(&result.grants[0]);
    cr_assert_eq(call_reply_read(world.store, id, &reply, &err), ST_OK);
    cr_expect_eq(reply.state, CALL_DONE);
    cr_expect_eq(reply.n_content_bytes, 5);
    cr_expect_eq(memcmp(reply.content, content, 6), 0);
    cr_expect_str_eq(reply.logprobs, logprobs);
    cr_expect_str_eq(reply.finish_reason, "stop");
    cr_expect_str_eq(reply.served_by, "p");
    cr_expect_str_eq(reply.model, "m", "as the provider names it");
    cr_expect(reply.tokens_in == 7 && reply.tokens_out == 2 && reply.microdollars == 9);
    cr_expect(reply.is_estimated);
    call_reply_fini(&reply);
    cr_assert_eq(call_reply_read(world.store, "no such call", &reply, &err), ST_OK);
    cr_expect_eq(reply.state, CALL_UNKNOWN);
    call_reply_fini(&reply);
}

Test(submit, forgetting_a_sweep_leaves_replies_and_ledger)
{
    char id[HASH_HEX_SIZE];
    gateway_world_submit(&world, "s", 5, "done", id);
    answer_one();
    for (char c = 'a'; c <= 'j'; c++) {
        const char text[] = {c, '\0'};
        gateway_world_submit(&world, "s", (unsigned)(c % 3), text, id);
    }
    forget("s");
    forget("s");
    cr_expect_eq(gateway_world_reserve(&world, 32, &result), 0, "nothing is sent any more");
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:calls:s interp:flows:{p} "
                                              "interp:cursor:{p} interp:vtime:{p} "
                                              "interp:joined:{p} interp:held:{p}"),
                 0);
    /* replies, attempts, doorbell, limit, ledger, one call */
    cr_expect_eq(gateway_world_number(&world, "DBSIZE"), 6);
}

Test(submit, forgetting_keeps_what_another_sweep_waits_for)
{
    char shared[HASH_HEX_SIZE], own[HASH_HEX_SIZE];
    gateway_world_submit(&world, "s", 5, "shared", shared);
    gateway_world_submit(&world, "s", 5, "own", own);
    gateway_world_submit(&world, "t", 5, "shared", shared);
    forget("s");
    cr_assert_eq(gateway_world_reserve(&world, 8, &result), 1);
    cr_expect_str_eq(result.grants[0].id, shared);
    cr_expect_str_eq(result.grants[0].sweep_id, "t", "who waits pays");
    grant_fini(&result.grants[0]);
}

Test(submit, a_call_in_flight_comes_home_after_its_sweep_was_forgotten)
{
    char id[HASH_HEX_SIZE], fate[16];
    struct settlement failure;
    const struct settlement usage = gateway_world_usage(7, 2);
    gateway_world_submit(&world, "s", 5, "good", id);
    gateway_world_submit(&world, "s", 5, "bad", id);
    cr_assert_eq(gateway_world_reserve(&world, 8, &result), 2);
    forget("s");
    gateway_world_settle(&world, &result.grants[0], &usage, fate);
    cr_expect_str_eq(fate, "done", "it is paid for, so it is kept");
    outcome_unsent("500", &failure);
    failure.charge = CHARGE_NONE;
    failure.is_strike = true;
    gateway_world_settle(&world, &result.grants[1], &failure, fate);
    cr_expect_str_eq(fate, "dropped", "nobody wants it any more");
    cr_expect_eq(gateway_world_number(&world, "HGET interp:ledger:s tokens_in"), 7);
    cr_expect_eq(gateway_world_number(&world, "HGET interp:ledger:s reserved_microdollars"), 0);
    cr_expect_eq(gateway_world_number(&world, "DBSIZE"), 6);
    for (size_t i = 0; i < 2; i++) grant_fini(&result.grants[i]);
}

Test(submit, refuses_names_that_are_no_names)
{
    struct error err;
    struct call call = {.provider = "p"};
    error_clear(&err);
    cr_expect_eq(call_queue_submit(world.client, &call, "a:b", 5, "", &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(call_queue_submit(world.client, &call, "s", 10, "", &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(call_set_budget(world.store, "s", 5, 0, &err), ST_BAD_INPUT);
    error_clear(&err);
    cr_expect_eq(call_forget_sweep(world.client, "*", &err), ST_BAD_INPUT);
}
