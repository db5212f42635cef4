#include "coordinator/cli/client.h"
#include "tests/unit/cli_router.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct client *connect_to(const char *endpoint, int64_t timeout_ms)
{
    struct client *client = NULL;
    struct error err = {0};
    const struct client_params params = {.endpoint = endpoint, .timeout_ms = timeout_ms};
    cr_assert_eq(client_open(&client, &params, &err), ST_OK, "%s", err.text);
    return client;
}

static status_t ask(struct client *client, const char *operation, json_t **result,
                    struct error *err)
{
    const struct client_request request = {operation, NULL, true};
    *err = (struct error){0};
    return client_ask(client, &request, result, err);
}

static status_t echo(void *context, const char *operation, const json_t *arguments, json_t **result,
                     char *error)
{
    (void)context;
    if (strcmp(operation, "missing") == 0) {
        (void)snprintf(error, 256, "no sweep \"x\"\033[2J");
        return ST_NOT_FOUND;
    }
    *result = json_pack("{s:s, s:O}", "operation", operation, "arguments", arguments);
    return ST_OK;
}

static status_t silent(void *context, const char *operation, const json_t *arguments,
                       json_t **result, char *error)
{
    (void)context, (void)operation, (void)arguments, (void)result, (void)error;
    return ST_BUSY;
}

Test(cli_client, carries_arguments_there_and_the_result_back)
{
    struct cli_router router = {.answer = echo};
    struct error err = {0};
    json_t *result = NULL, *arguments = json_pack("{s:s}", "sweep", "demo-1");
    const struct client_request request = {"status", arguments, true};
    cli_router_start(&router, NULL);
    struct client *client = connect_to(router.endpoint, 5000);
    cr_assert_eq(client_ask(client, &request, &result, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(json_string_value(json_object_get(result, "operation")), "status");
    cr_expect(json_equal(json_object_get(result, "arguments"), arguments));
    json_decref(result);
    json_decref(arguments);
    client_close(&client);
    cli_router_stop(&router);
}

Test(cli_client, passes_on_the_coordinators_status_and_text_made_printable)
{
    struct cli_router router = {.answer = echo};
    struct error err;
    json_t *result = NULL;
    cli_router_start(&router, NULL);
    struct client *client = connect_to(router.endpoint, 5000);
    cr_expect_eq(ask(client, "missing", &result, &err), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "no sweep \"x\"?[2J");
    cr_expect_null(result);
    cr_expect_eq(ask(client, "next", &result, &err), ST_OK, "the connection stays usable");
    json_decref(result);
    client_close(&client);
    cli_router_stop(&router);
}

Test(cli_client, a_missing_coordinator_is_known_at_once)
{
    static const char *const nobody[] = {"ipc:///tmp/interp-test-nobody-listens.sock",
                                         "tcp://127.0.0.1:1"};
    for (size_t i = 0; i < 2; i++) {
        struct error err;
        struct timespec start, end;
        json_t *result = NULL;
        struct client *client = connect_to(nobody[i], 10000);
        (void)clock_gettime(CLOCK_MONOTONIC, &start);
        cr_expect_eq(ask(client, "ping", &result, &err), ST_UNREACHABLE, "%s", nobody[i]);
        (void)clock_gettime(CLOCK_MONOTONIC, &end);
        cr_expect(strstr(err.text, nobody[i]) && strstr(err.text, "interpctl up"), "%s", err.text);
        cr_expect_lt(end.tv_sec - start.tv_sec, 5, "did not wait for the time-out");
        client_close(&client);
    }
}

Test(cli_client, a_silent_coordinator_is_unreachable_after_the_timeout)
{
    struct cli_router router = {.answer = silent};
    struct error err;
    json_t *result = NULL;
    cli_router_start(&router, NULL);
    struct client *client = connect_to(router.endpoint, 200);
    cr_expect_eq(ask(client, "ping", &result, &err), ST_UNREACHABLE);
    cr_expect(strstr(err.text, "no answer"), "%s", err.text);
    client_close(&client);
    cli_router_stop(&router);
}

Test(cli_client, ignores_answers_to_other_requests)
{
    struct cli_router router = {.answer = echo, .sends_stale_first = true};
    struct error err;
    json_t *result = NULL;
    cli_router_start(&router, NULL);
    struct client *client = connect_to(router.endpoint, 5000);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(ask(client, "list", &result, &err), ST_OK, "%s", err.text);
        cr_expect_str_eq(json_string_value(json_object_get(result, "operation")), "list");
        json_decref(result);
    }
    client_close(&client);
    cli_router_stop(&router);
}

static status_t away_twice(void *context, const char *operation, const json_t *arguments,
                           json_t **result, char *error)
{
    int *n_left = context;
    if ((*n_left)-- > 0) {
        (void)snprintf(error, 256, "Redis is away");
        return ST_UNREACHABLE;
    }
    return echo(NULL, operation, arguments, result, error);
}

Test(cli_client, asks_again_while_the_store_is_away)
{
    int n_left = 2;
    struct cli_router router = {.answer = away_twice, .context = &n_left};
    struct error err;
    json_t *result = NULL;
    cli_router_start(&router, NULL);
    struct client *client = connect_to(router.endpoint, 10000);
    cr_expect_eq(ask(client, "submit", &result, &err), ST_OK, "%s", err.text);
    cr_expect_eq(atomic_load(&router.n_requests), 3);
    json_decref(result);
    client_close(&client);
    n_left = 1000;
    client = connect_to(router.endpoint, 300);
    cr_expect_eq(ask(client, "submit", &result, &err), ST_UNREACHABLE);
    cr_expect_str_eq(err.text, "Redis is away");
    client_close(&client);
    cli_router_stop(&router);
}

Test(cli_client, refuses_an_answer_that_is_no_json)
{
    struct cli_router router = {.answer = echo, .sends_garbage = true};
    struct error err;
    json_t *result = NULL;
    cli_router_start(&router, NULL);
    struct client *client = connect_to(router.endpoint, 5000);
    cr_expect_eq(ask(client, "list", &result, &err), ST_PROTOCOL);
    client_close(&client);
    cli_router_stop(&router);
}

/* --- a coordinator that dies before it answers ---------------------------------------------- */

struct successor {
    struct cli_router first, second;
    pthread_t thread;
};

/* Once the first has the request, it dies; its successor listens at the same address. */
static void *replace(void *argument)
{
    struct successor *both = argument;
    const struct timespec pause = {0, 5000000};
    char endpoint[sizeof both->first.endpoint];
    while (atomic_load(&both->first.n_requests) == 0) (void)nanosleep(&pause, NULL);
    memcpy(endpoint, both->first.endpoint, sizeof endpoint);
    cli_router_stop(&both->first);
    cli_router_start(&both->second, endpoint);
    return NULL;
}

static void open_pair(struct successor *both, char endpoint[64])
{
    (void)snprintf(endpoint, 64, "ipc:///tmp/interp-test-%ld.sock", (long)getpid());
    both->first.answer = silent;
    both->second.answer = echo;
    cli_router_start(&both->first, endpoint);
    cr_assert_eq(pthread_create(&both->thread, NULL, replace, both), 0);
}

static void close_pair(struct successor *both, const char *endpoint)
{
    (void)pthread_join(both->thread, NULL);
    cli_router_stop(&both->second);
    (void)unlink(endpoint + strlen("ipc://"));
}

Test(cli_client, asks_again_what_may_be_repeated_when_the_connection_breaks)
{
    struct successor both = {0};
    char endpoint[64];
    struct error err;
    json_t *result = NULL;
    open_pair(&both, endpoint);
    struct client *client = connect_to(endpoint, 10000);
    cr_expect_eq(ask(client, "submit", &result, &err), ST_OK, "%s", err.text);
    cr_expect_eq(atomic_load(&both.second.n_requests), 1);
    json_decref(result);
    client_close(&client);
    close_pair(&both, endpoint);
}

Test(cli_client, does_not_repeat_what_may_not_be_repeated)
{
    struct successor both = {0};
    char endpoint[64];
    struct error err = {0};
    json_t *result = NULL;
    open_pair(&both, endpoint);
    struct client *client = connect_to(endpoint, 10000);
    const struct client_request request = {"retry", NULL, false};
    cr_expect_eq(client_ask(client, &request, &result, &err), ST_UNREACHABLE);
    cr_expect(strstr(err.text, "may or may not"), "%s", err.text);
    client_close(&client);
    close_pair(&both, endpoint);
    cr_expect_eq(atomic_load(&both.second.n_requests), 0);
}

Test(cli_client, stops_waiting_when_told_to)
{
    struct cli_router router = {.answer = silent};
    struct error err = {0};
    struct client *client = NULL;
    json_t *result = NULL;
    static const volatile sig_atomic_t interrupt = SIGINT;
    cli_router_start(&router, NULL);
    const struct client_params params = {
        .endpoint = router.endpoint, .timeout_ms = 60000, .interrupt = &interrupt};
    const struct client_request request = {"list", NULL, true};
    cr_assert_eq(client_open(&client, &params, &err), ST_OK);
    cr_expect_eq(client_ask(client, &request, &result, &err), ST_CANCELLED);
    client_close(&client);
    cli_router_stop(&router);
}

Test(cli_client, refuses_an_address_that_is_none)
{
    static const char *const bad[] = {"", "localhost:7600", "http://127.0.0.1:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct client *client = NULL;
        struct error err = {0};
        const struct client_params params = {.endpoint = bad[i], .timeout_ms = 100};
        cr_expect_eq(client_open(&client, &params, &err), ST_BAD_INPUT, "\"%s\"", bad[i]);
        cr_expect_null(client);
    }
}
