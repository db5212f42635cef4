/* The store handle on a real Redis: commands, pipelines, scripts, lost connections. */
#include "common/store.h"

#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct gateway_world world;
static struct store *store;
static struct error err;

static void set_up(void)
{
    char url[96];
    (void)signal(SIGPIPE, SIG_IGN); /* as every program does */
    gateway_world_start(&world);
    (void)snprintf(url, sizeof url, "unix:%s/redis.sock", world.directory);
    error_clear(&err);
    cr_assert_eq(store_open(&store, url, 2000, &err), ST_OK, "%s", err.text);
}

static void tear_down(void)
{
    store_close(&store);
    gateway_world_stop(&world);
}

TestSuite(store, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t eval_error(const char *text)
{
    char script[128];
    (void)snprintf(script, sizeof script, "return redis.error_reply('%s')", text);
    error_clear(&err);
    return store_run(store, NULL, &err, "EVAL %s 0", script);
}

/* Everybody's connections but the caller's own end. */
static void cut_connections(void)
{
    gateway_world_run(&world, "CLIENT KILL TYPE normal SKIPME yes");
}

Test(store, runs_commands_with_binary_arguments)
{
    redisReply *reply;
    const char value[] = {'a', 0, '\n', (char)0xff};
    cr_assert_eq(store_run(store, NULL, &err, "SET k %b", value, sizeof value), ST_OK);
    cr_assert_eq(store_run(store, &reply, &err, "GET k"), ST_OK, "%s", err.text);
    cr_expect_eq(reply->len, sizeof value);
    cr_expect_arr_eq(reply->str, value, sizeof value);
    freeReplyObject(reply);
}

Test(store, keeps_an_empty_argument)
{
    redisReply *reply;
    cr_assert_eq(store_run(store, NULL, &err, "HSET h reason %s state %s", "", "queued"), ST_OK,
                 "%s", err.text);
    cr_assert_eq(store_run(store, &reply, &err, "HGET h state"), ST_OK);
    cr_expect_str_eq(reply->str, "queued");
    freeReplyObject(reply);
}

static void collect(void *context, size_t index, const redisReply *reply)
{
    long long *values = context;
    values[index] = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
}

Test(store, drains_replies_in_the_order_of_the_commands)
{
    long long values[100] = {0};
    for (int i = 0; i < 100; i++)
        cr_assert_eq(store_queue(store, &err, "INCRBY n %d", 2), ST_OK, "%s", err.text);
    cr_expect_eq(store_n_queued(store), 100);
    cr_assert_eq(store_drain(store, collect, values, &err), ST_OK, "%s", err.text);
    for (int i = 0; i < 100; i++) cr_assert_eq(values[i], 2 * (i + 1));
    cr_expect_eq(store_n_queued(store), 0);
}

Test(store, an_error_in_a_pipeline_leaves_the_other_replies_whole)
{
    long long values[3] = {0};
    cr_assert_eq(store_queue(store, &err, "INCR n"), ST_OK);
    cr_assert_eq(store_queue(store, &err, "LPUSH n x"), ST_OK);
    cr_assert_eq(store_queue(store, &err, "INCR n"), ST_OK);
    cr_expect_eq(store_drain(store, collect, values, &err), ST_INTERNAL);
    cr_expect(strstr(err.text, "WRONGTYPE"), "%s", err.text);
    cr_expect_eq(values[0], 1);
    cr_expect_eq(values[1], -1);
    cr_expect_eq(values[2], 2);
}

Test(store, a_forgotten_pipeline_fails_one_command_and_is_not_sent)
{
    redisReply *reply;
    cr_assert_eq(store_queue(store, &err, "INCR n"), ST_OK);
    cr_expect_eq(store_run(store, NULL, &err, "PING"), ST_INTERNAL);
    error_clear(&err);
    cr_assert_eq(store_run(store, &reply, &err, "EXISTS n"), ST_OK, "%s", err.text);
    cr_expect_eq(reply->integer, 0, "the command that nobody drained must not run");
    freeReplyObject(reply);
}

Test(store, tells_errors_that_pass_from_those_that_stay)
{
    static const struct {
        const char *text;
        status_t want;
    } cases[] = {
        {"FENCED task is closed", ST_CONFLICT},
        {"LOADING Redis is loading the dataset in memory", ST_UNREACHABLE},
        {"READONLY You can not write against a read only replica.", ST_UNREACHABLE},
        {"OOM command not allowed when used memory is over maxmemory.", ST_UNREACHABLE},
        {"MISCONF Redis is configured to save RDB snapshots", ST_UNREACHABLE},
        {"BUSY Redis is busy running a script.", ST_UNREACHABLE},
        {"BUSY too many sweeps are unfinished", ST_INTERNAL},
        {"ERR unknown command", ST_INTERNAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(eval_error(cases[i].text), cases[i].want, "%s", cases[i].text);
        cr_expect(strstr(err.text, cases[i].text), "%s", err.text);
    }
}

Test(store, a_cut_connection_fails_once_and_comes_back_with_its_scripts)
{
    struct store_script script = {.name = "echo", .source = "return ARGV[1]"};
    const char *const args[] = {"hello"};
    redisReply *reply;
    cr_assert_eq(store_register_script(store, &script, &err), ST_OK, "%s", err.text);
    cut_connections();
    cr_expect_eq(store_run_script(store, NULL, &script, 0, 1, args, NULL, &err), ST_UNREACHABLE);
    error_clear(&err);
    cr_assert_eq(store_run_script(store, &reply, &script, 0, 1, args, NULL, &err), ST_OK, "%s",
                 err.text);
    cr_expect_str_eq(reply->str, "hello");
    freeReplyObject(reply);
}

Test(store, flushed_scripts_are_loaded_again)
{
    struct store_script script = {.name = "echo", .source = "return ARGV[1]"};
    const char *const args[] = {"hello"};
    cr_assert_eq(store_register_script(store, &script, &err), ST_OK, "%s", err.text);
    gateway_world_run(&world, "SCRIPT FLUSH");
    cr_expect_eq(store_run_script(store, NULL, &script, 0, 1, args, NULL, &err), ST_UNREACHABLE);
    error_clear(&err);
    cr_expect_eq(store_run_script(store, NULL, &script, 0, 1, args, NULL, &err), ST_OK, "%s",
                 err.text);
}

Test(store, a_connection_cut_in_a_pipeline_is_one_error)
{
    cr_assert_eq(store_queue(store, &err, "INCR n"), ST_OK);
    cut_connections();
    cr_expect_eq(store_drain(store, NULL, NULL, &err), ST_UNREACHABLE);
    error_clear(&err);
    cr_expect_eq(store_n_queued(store), 0);
    cr_expect_eq(store_run(store, NULL, &err, "PING"), ST_OK, "%s", err.text);
}

Test(store, a_script_that_does_not_compile_is_named)
{
    struct store_script script = {.name = "broken", .source = "this is not lua"};
    cr_expect_neq(store_register_script(store, &script, &err), ST_OK);
    cr_expect(strstr(err.text, "broken"), "%s", err.text);
}

Test(store, refuses_urls_it_does_not_understand_and_names_servers_that_are_away)
{
    struct store *other = NULL;
    static const char *const bad[] = {
        "", "unix:", "http://x", "redis://", "redis://h:0", "redis://h:70000", "localhost:6379"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        error_clear(&err);
        cr_expect_eq(store_open(&other, bad[i], 100, &err), ST_BAD_INPUT, "%s", bad[i]);
        cr_expect_null(other);
    }
    error_clear(&err);
    cr_expect_eq(store_open(&other, "unix:/nowhere/redis.sock", 100, &err), ST_UNREACHABLE);
    cr_expect(strstr(err.text, "/nowhere/redis.sock"), "%s", err.text);
}

Test(store, never_prints_a_password)
{
    struct store *other = NULL;
    cr_expect_eq(store_open(&other, "redis://me:secret@127.0.0.1:1", 200, &err), ST_UNREACHABLE);
    cr_expect_null(strstr(err.text, "secret"), "%s", err.text);
}
