/* Reserve and settle against a real Redis: idempotent, fair, bounded, and honest about what is
 * not known. The rates themselves are measured in tests/integration/gateway_limits.py. */
#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
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

TestSuite(limiter, .init = set_up, .fini = tear_down, .timeout = 60);

static long long ledger(const char *sweep, const char *field)
{
    char command[160];
    (void)snprintf(command, sizeof command, "HGET interp:ledger:%s %s", sweep, field);
    return gateway_world_number(&world, command);
}

static void free_grants(void)
{
    for (size_t i = 0; i < result.n_grants; i++) grant_fini(&result.grants[i]);
    result.n_grants = 0;
}

Test(limiter, grants_a_call_once_and_books_its_usage_once)
{
    char id[HASH_HEX_SIZE], fate[16];
    gateway_world_submit(&world, "s", 5, "hello", id);
    cr_assert_eq(gateway_world_reserve(&world, 32, &result), 1);
    struct grant *grant = &result.grants[0];
    cr_expect_str_eq(grant->id, id);
    cr_expect_str_eq(grant->sweep_id, "s");
    cr_expect_eq(grant->tokens_out, 100);
    cr_expect_eq(ledger("s", "reserved_microdollars"), grant->microdollars);
    struct reserve_result second;
    cr_expect_eq(gateway_world_reserve(&world, 32, &second), 0, "not granted twice");
    const struct settlement usage = gateway_world_usage(20, 3);
    cr_expect_str_eq(gateway_world_settle(&world, grant, &usage, fate), "booked");
    cr_expect_str_eq(fate, "done");
    for (int i = 0; i < 3; i++)
        cr_expect_str_eq(gateway_world_settle(&world, grant, &usage, fate), "duplicate");
    cr_expect_eq(ledger("s", "reserved_microdollars"), 0);
    cr_expect_eq(ledger("s", "spent_microdollars"), 23);
    cr_expect_eq(ledger("s", "tokens_in"), 20);
    cr_expect_eq(ledger("s", "calls"), 1);
    cr_expect_eq(ledger("s", "p:tokens_out"), 3, "per provider too");
    free_grants();
}

Test(limiter, a_reservation_that_ran_out_is_uncertain_and_late_usage_is_still_booked)
{
    char id[HASH_HEX_SIZE], fate[16];
    struct reserve_result again;
    gateway_world_submit(&world, "s", 5, "hello", id);
    cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
    struct grant *first = &result.grants[0];
    gateway_world_run(&world, "DEL interp:held:{p}"); /* as if the lease had run out: */
    char command[200];
    (void)snprintf(command, sizeof command, "ZADD interp:held:{p} 1 %s#%llu", id,
                   (unsigned long long)first->attempt);
    gateway_world_run(&world, command);
    cr_assert_eq(gateway_world_reserve(&world, 1, &again), 1, "it is granted once more");
    cr_expect_str_eq(again.grants[0].id, id);
    cr_expect_neq(again.grants[0].attempt, first->attempt);
    cr_expect_eq(ledger("s", "uncertain_microdollars"), first->microdollars);
    cr_expect_eq(ledger("s", "reserved_microdollars"), again.grants[0].microdollars);
    cr_expect_eq(ledger("s", "uncertain_calls"), 1);
    const struct settlement usage = gateway_world_usage(20, 3);
    cr_expect_str_eq(gateway_world_settle(&world, first, &usage, fate), "late");
    cr_expect_str_eq(fate, "done", "the late reply is stored");
    cr_expect_eq(ledger("s", "uncertain_microdollars"), 0);
    cr_expect_eq(ledger("s", "uncertain_calls"), 0);
    cr_expect_str_eq(gateway_world_settle(&world, first, &usage, fate), "duplicate");
    cr_expect_str_eq(gateway_world_settle(&world, &again.grants[0], &usage, fate), "booked");
    cr_expect_eq(ledger("s", "calls"), 2, "both were paid for, both are booked");
    cr_expect_eq(ledger("s", "spent_microdollars"), 46);
    struct error err;
    struct call_uncertain *list = NULL;
    size_t n_list = 0;
    error_clear(&err);
    cr_assert_eq(call_uncertain_read(world.store, "s", &list, &n_list, &err), ST_OK);
    cr_assert_eq(n_list, 1);
    cr_expect_str_eq(list[0].id, id);
    cr_expect(list[0].is_settled, "it stays listed, as settled");
    free(list);
    grant_fini(&again.grants[0]);
    free_grants();
}

Test(limiter, a_lost_send_keeps_its_worst_case_and_is_sent_once_more)
{
    char id[HASH_HEX_SIZE], fate[16];
    struct settlement lost;
    gateway_world_submit(&world, "s", 5, "hello", id);
    cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
    outcome_lost("crash", &lost);
    cr_expect_str_eq(gateway_world_settle(&world, &result.grants[0], &lost, fate), "booked");
    cr_expect_str_eq(fate, "again");
    cr_expect_eq(ledger("s", "uncertain_microdollars"), result.grants[0].microdollars);
    cr_expect_str_eq(gateway_world_settle(&world, &result.grants[0], &lost, fate), "moot");
    cr_expect_eq(ledger("s", "uncertain_calls"), 1, "told twice, booked once");
    free_grants();
    cr_expect_eq(gateway_world_reserve(&world, 1, &result), 1);
    free_grants();
}

Test(limiter, what_was_never_sent_costs_nothing_and_no_chance)
{
    char id[HASH_HEX_SIZE], fate[16];
    struct settlement unsent;
    gateway_world_submit(&world, "s", 5, "hello", id);
    outcome_unsent("not sent", &unsent);
    for (int i = 0; i < 40; i++) { /* more often than a call may be sent */
        cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1, "round %d: %s, %lld ms", i,
                     result.reason, (long long)result.wait_ms);
        gateway_world_settle(&world, &result.grants[0], &unsent, fate);
        cr_expect_str_eq(fate, "again");
        free_grants();
    }
    cr_expect_eq(ledger("s", "reserved_microdollars"), 0);
    cr_expect_eq(gateway_world_number(&world, "HLEN interp:uncertain"), 0);
}

Test(limiter, gives_a_call_up_after_six_failures_with_its_reason)
{
    char id[HASH_HEX_SIZE], fate[16] = "";
    struct error err;
    struct call_reply reply;
    struct settlement failure;
    outcome_unsent("provider p: HTTP 500: broken", &failure);
    failure.charge = CHARGE_NONE;
    failure.is_strike = true;
    gateway_world_submit(&world, "s", 5, "hello", id);
    int n = 0;
    while (strcmp(fate, "failed") != 0 && n < 20) {
        cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
        gateway_world_settle(&world, &result.grants[0], &failure, fate);
        free_grants();
        n++;
    }
    cr_expect_eq(n, 6);
    error_clear(&err);
    cr_assert_eq(call_reply_read(world.store, id, &reply, &err), ST_OK);
    cr_expect_eq(reply.state, CALL_FAILED);
    cr_expect_not_null(strstr(reply.reason, "HTTP 500"), "%s", reply.reason);
    call_reply_fini(&reply);
    cr_expect_eq(gateway_world_submit(&world, "s", 5, "hello", id), CALL_SUBMIT_FAILED);
    cr_expect_eq(gateway_world_submit(&world, "t", 5, "hello", id), CALL_SUBMIT_QUEUED,
                 "another sweep may try again");
}

Test(limiter, shares_by_weight_exactly)
{
    char id[HASH_HEX_SIZE], text[32];
    struct error err;
    size_t n_of[3] = {0, 0, 0};
    static const char *const sweeps[] = {"a", "b", "c"};
    error_clear(&err);
    for (size_t s = 0; s < 3; s++) {
        cr_assert_eq(call_set_budget(world.store, sweeps[s], -1, (double)(s + 1), &err), ST_OK);
        for (int i = 0; i < 80; i++) {
            (void)snprintf(text, sizeof text, "%s %02d", sweeps[s], i);
            gateway_world_submit(&world, sweeps[s], 5, text, id);
        }
    }
    world.provider.max_in_flight = 4096;
    world.provider.rpm = 1000000;
    gateway_world_limit(&world, 0);
    for (int i = 0; i < 60; i++) {
        cr_assert_eq(gateway_world_reserve(&world, 1 + (size_t)i % 3, &result), 1 + (size_t)i % 3);
        for (size_t g = 0; g < result.n_grants; g++) n_of[result.grants[g].sweep_id[0] - 'a']++;
        free_grants();
    }
    cr_expect_eq(n_of[0] + n_of[1] + n_of[2], 120);
    cr_expect(n_of[0] == 20 && n_of[1] == 40 && n_of[2] == 60, "%zu %zu %zu", n_of[0], n_of[1],
              n_of[2]);
}

Test(limiter, absence_earns_no_credit)
{
    char id[HASH_HEX_SIZE], text[32];
    world.provider.rpm = 1000000;
    gateway_world_limit(&world, 0);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(text, sizeof text, "early %d", i);
        gateway_world_submit(&world, "early", 5, text, id);
    }
    cr_assert_eq(gateway_world_reserve(&world, 30, &result), 30);
    free_grants();
    for (int i = 0; i < 60; i++) {
        (void)snprintf(text, sizeof text, "late %d", i);
        gateway_world_submit(&world, "late", 5, text, id);
    }
    size_t n_late = 0;
    cr_assert_eq(gateway_world_reserve(&world, 20, &result), 20);
    for (size_t g = 0; g < result.n_grants; g++)
        n_late += strcmp(result.grants[g].sweep_id, "late") == 0;
    cr_expect(n_late >= 9 && n_late <= 11, "%zu of 20 for the newcomer", n_late);
    free_grants();
}

Test(limiter, holds_the_request_rate_and_says_how_long_to_wait)
{
    char id[HASH_HEX_SIZE], text[32];
    world.provider.rpm = 600; /* ten a second, depth 10 s less the margin */
    gateway_world_limit(&world, 0);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        gateway_world_submit(&world, "s", 5, text, id);
    }
    world.provider.max_in_flight = 1000;
    gateway_world_limit(&world, 0);
    size_t n = 0;
    do {
        n += gateway_world_reserve(&world, 32, &result);
        free_grants();
    } while (strcmp(result.reason, "ok") == 0);
    cr_expect_str_eq(result.reason, "rpm");
    cr_expect(n >= 93 && n <= 97, "%zu at once", n);
    cr_expect(result.wait_ms > 0 && result.wait_ms <= 102, "next in %lld ms",
              (long long)result.wait_ms);
}

Test(limiter, a_limited_answer_stops_everybody_and_shrinks_once_a_round)
{
    char id[HASH_HEX_SIZE], text[32], fate[16];
    struct settlement limited;
    world.provider.rpm = 6000;
    gateway_world_limit(&world, 0);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        gateway_world_submit(&world, "s", 5, text, id);
    }
    cr_assert_eq(gateway_world_reserve(&world, 10, &result), 10);
    outcome_unsent("429", &limited);
    limited.charge = CHARGE_NONE;
    limited.is_limited = true;
    limited.retry_after_ms = 5000;
    for (size_t i = 0; i < 10; i++) gateway_world_settle(&world, &result.grants[i], &limited, fate);
    free_grants();
    cr_expect_eq(gateway_world_reserve(&world, 1, &result), 0);
    cr_expect_str_eq(result.reason, "stop");
    cr_expect(result.wait_ms > 4000 && result.wait_ms <= 5001, "%lld", (long long)result.wait_ms);
    struct error err;
    struct call_provider_state state;
    error_clear(&err);
    cr_assert_eq(call_provider_state_read(world.store, "p", &state, &err), ST_OK);
    cr_expect_float_eq(state.scale, 0.7, 1e-9, "ten refusals of one burst are one cut: %g",
                       state.scale);
    cr_expect(state.stopped_ms > 3000 && !state.is_open);
}

Test(limiter, a_wrong_key_opens_the_breaker_and_one_probe_goes_out_at_a_time)
{
    char id[HASH_HEX_SIZE], text[32], fate[16];
    struct settlement config;
    const struct settlement usage = gateway_world_usage(5, 1);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        gateway_world_submit(&world, "s", 5, text, id);
    }
    cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
    outcome_unsent("provider p: HTTP 401: check the API key", &config);
    config.charge = CHARGE_NONE;
    config.health = HEALTH_CONFIG;
    gateway_world_settle(&world, &result.grants[0], &config, fate);
    cr_expect_str_eq(fate, "again", "the call waits, it does not fail");
    free_grants();
    cr_expect_eq(gateway_world_reserve(&world, 4, &result), 0);
    cr_expect_str_eq(result.reason, "breaker");
    gateway_world_run(&world, "HSET interp:limit:{p} breaker_until 0");
    cr_assert_eq(gateway_world_reserve(&world, 4, &result), 1, "one probe");
    struct reserve_result none;
    cr_expect_eq(gateway_world_reserve(&world, 4, &none), 0, "and no second one");
    gateway_world_settle(&world, &result.grants[0], &usage, fate);
    free_grants();
    cr_expect_eq(gateway_world_reserve(&world, 8, &result), 4, "a good answer closes it");
    free_grants();
}

Test(limiter, a_budget_counts_what_is_reserved_and_what_is_uncertain)
{
    char id[HASH_HEX_SIZE], fate[16];
    struct error err;
    struct settlement lost;
    struct call_ledger books;
    gateway_world_submit(&world, "s", 5, "one", id);
    gateway_world_submit(&world, "s", 5, "two", id);
    cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
    const int64_t cost = result.grants[0].microdollars;
    error_clear(&err);
    cr_assert_eq(call_set_budget(world.store, "s", 2 * cost - 1, 1, &err), ST_OK);
    struct reserve_result none;
    cr_expect_eq(gateway_world_reserve(&world, 1, &none), 0, "the second does not fit");
    cr_expect_str_eq(none.reason, "budget");
    cr_assert_eq(call_ledger_read(world.store, "s", &books, &err), ST_OK);
    cr_expect_not(books.is_exhausted, "the first may still cost less");
    outcome_lost("crash", &lost);
    lost.delay_ms = 60000;
    gateway_world_settle(&world, &result.grants[0], &lost, fate);
    free_grants();
    cr_expect_eq(gateway_world_reserve(&world, 1, &result), 0, "uncertain money is gone too");
    cr_assert_eq(call_ledger_read(world.store, "s", &books, &err), ST_OK);
    cr_expect(books.is_exhausted && books.uncertain_microdollars == cost);
    cr_assert_eq(call_set_budget(world.store, "s", 2 * cost, 1, &err), ST_OK);
    cr_expect_eq(gateway_world_reserve(&world, 1, &result), 1, "a raised budget goes on");
    free_grants();
}

Test(limiter, headers_may_only_lower_a_level)
{
    char id[HASH_HEX_SIZE], text[32], fate[16];
    struct settlement usage = gateway_world_usage(5, 1);
    world.provider.rpm = 600;
    gateway_world_limit(&world, 0);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        gateway_world_submit(&world, "s", 5, text, id);
    }
    cr_assert_eq(gateway_world_reserve(&world, 2, &result), 2);
    usage.remaining[RATE_REQUESTS] = 1000000;
    gateway_world_settle(&world, &result.grants[0], &usage, fate);
    cr_expect(gateway_world_number(&world, "HGET interp:limit:{p} r") <= 94, "never higher");
    usage.remaining[RATE_REQUESTS] = 3;
    gateway_world_settle(&world, &result.grants[1], &usage, fate);
    const long long level = gateway_world_number(&world, "HGET interp:limit:{p} r");
    cr_expect(level == 3, "lower: %lld", level);
    free_grants();
}

Test(limiter, a_shrunk_scale_grows_back_by_a_hundredth_a_second)
{
    char id[HASH_HEX_SIZE], fate[16];
    const struct settlement usage = gateway_world_usage(5, 1);
    world.provider.rpm = 6000;
    gateway_world_limit(&world, 0);
    gateway_world_submit(&world, "s", 5, "one", id);
    gateway_world_submit(&world, "s", 5, "two", id);
    cr_assert_eq(gateway_world_reserve(&world, 2, &result), 2);
    gateway_world_run(&world, "HSET interp:limit:{p} scale 0.5 grown_at 0");
    gateway_world_settle(&world, &result.grants[0], &usage, fate);
    const long long percent = gateway_world_number(
        &world, "EVAL return(math.floor(1000*redis.call('HGET','interp:limit:{p}','scale'))) 0");
    cr_expect_eq(percent, 510, "one second's worth at most, however long ago: %lld", percent);
    gateway_world_run(&world, "HSET interp:limit:{p} scale 0.999 grown_at 0");
    gateway_world_settle(&world, &result.grants[1], &usage, fate);
    cr_expect_eq(gateway_world_number(&world, "HGET interp:limit:{p} scale"), 1, "and no further");
    free_grants();
}

Test(limiter, eight_failures_in_a_row_open_the_breaker_and_a_good_answer_begins_anew)
{
    char id[HASH_HEX_SIZE], text[32], fate[16];
    struct settlement failure;
    const struct settlement usage = gateway_world_usage(5, 1);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        gateway_world_submit(&world, "s", 5, text, id);
    }
    world.provider.rpm = 100000; /* else concurrency is adapted too */
    gateway_world_limit(&world, 0);
    outcome_unsent("provider p: HTTP 500", &failure);
    failure.charge = CHARGE_NONE;
    failure.health = HEALTH_BAD;
    cr_assert_eq(gateway_world_reserve(&world, 17, &result), 17);
    for (size_t i = 0; i < 7; i++) gateway_world_settle(&world, &result.grants[i], &failure, fate);
    gateway_world_settle(&world, &result.grants[7], &usage, fate);
    for (size_t i = 8; i < 15; i++) gateway_world_settle(&world, &result.grants[i], &failure, fate);
    struct reserve_result next;
    cr_expect_eq(gateway_world_reserve(&world, 1, &next), 1, "seven, a good one, seven: closed");
    grant_fini(&next.grants[0]);
    gateway_world_settle(&world, &result.grants[15], &failure, fate);
    cr_expect_eq(gateway_world_reserve(&world, 1, &next), 0);
    cr_expect_str_eq(next.reason, "breaker");
    free_grants();
}

Test(limiter, output_is_guessed_from_eight_replies_and_money_is_not)
{
    char id[HASH_HEX_SIZE], text[32], fate[16];
    world.provider.otpm = 600000;
    world.provider.reserve_output = RESERVE_P90;
    gateway_world_limit(&world, 0);
    for (int i = 0; i < 9; i++) {
        (void)snprintf(text, sizeof text, "call %d", i);
        gateway_world_submit(&world, "s", 5, text, id);
    }
    int64_t cost = 0;
    for (unsigned i = 0; i < 8; i++) {
        const struct settlement usage = gateway_world_usage(10, 13 + i);
        cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
        cr_expect_eq(gateway_world_number(&world, "HGET interp:limit:{p} guessed"), 100);
        cost = result.grants[0].microdollars;
        gateway_world_settle(&world, &result.grants[0], &usage, fate);
        free_grants();
    }
    cr_expect_eq(gateway_world_number(&world, "HGET interp:limit:{p} guessed"), 0);
    cr_expect_eq(gateway_world_number(&world, "HGET interp:limit:{p} p90:100"), 24, "1.2 x 20");
    const long long before = gateway_world_number(&world, "HGET interp:limit:{p} o");
    cr_assert_eq(gateway_world_reserve(&world, 1, &result), 1);
    const long long taken = before - gateway_world_number(&world, "HGET interp:limit:{p} o");
    cr_expect(taken <= 24, "%lld tokens were taken from the level, not 100", taken);
    cr_expect(result.grants[0].tokens_out == 100 && result.grants[0].microdollars >= cost / 2,
              "the call may still use all, and the budget counts it");
    free_grants();
}

Test(limiter, tokens_in_batches_are_counted_until_they_are_settled)
{
    char id[HASH_HEX_SIZE], text[32], fate[16];
    const struct settlement usage = gateway_world_usage(10, 3);
    world.provider.batch = true;
    world.provider.batch_enqueued_tokens = 200;
    gateway_world_limit(&world, 0);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof text, "call %02d", i);
        gateway_world_submit(&world, "s", 5, text, id);
    }
    const size_t n = gateway_world_reserve(&world, 32, &result);
    cr_assert(n >= 2 && n < 20, "%zu", n);
    cr_expect_str_eq(result.reason, "enqueued");
    const long long enqueued = gateway_world_number(&world, "GET interp:enqueued:{p}");
    cr_expect_eq(enqueued, (long long)(n * result.grants[0].tokens_in));
    cr_expect(enqueued <= 200 && enqueued + (long long)result.grants[0].tokens_in > 200);
    struct reserve_result more;
    gateway_world_settle(&world, &result.grants[0], &usage, fate);
    cr_expect_eq(gateway_world_reserve(&world, 1, &more), 1, "a settled one makes room");
    gateway_world_settle(&world, &more.grants[0], &usage, fate);
    grant_fini(&more.grants[0]);
    for (size_t i = 1; i < n; i++) gateway_world_settle(&world, &result.grants[i], &usage, fate);
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:enqueued:{p}"), 0);
    free_grants();
}
