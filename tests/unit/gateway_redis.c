#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void wait_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void exec_redis(const char *directory)
{
    char path[96];
    const int null = open("/dev/null", O_RDWR);
    (void)snprintf(path, sizeof path, "%s/redis.sock", directory);
    if (null >= 0) {
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
    }
    (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "",
                 "--appendonly", "no", "--dir", directory, (char *)NULL);
    _exit(127);
}

void gateway_world_start(struct gateway_world *world)
{
    static char name[] = "p", url[] = "http://127.0.0.1:1/v1", model[] = "m";
    char address[96];
    struct error err;
    *world = (struct gateway_world){.pid = 0};
    (void)snprintf(world->directory, sizeof world->directory, "/tmp/gateway-unit-XXXXXX");
    cr_assert_not_null(mkdtemp(world->directory));
    world->pid = fork();
    if (world->pid == 0) exec_redis(world->directory);
    (void)snprintf(address, sizeof address, "unix:%s/redis.sock", world->directory);
    for (int i = 0; i < 400 && !world->store; i++) {
        error_clear(&err);
        if (store_open(&world->store, address, 5000, &err) != ST_OK) wait_ms(10);
    }
    cr_assert_not_null(world->store, "redis-server: %s", err.text);
    cr_assert_eq(call_client_create(&world->client, world->store, &err), ST_OK, "%s", err.text);
    cr_assert_eq(limiter_init(&world->limiter, world->store, "g.0", &err), ST_OK, "%s", err.text);
    world->provider = (struct provider){.name = name,
                                        .base_url = url,
                                        .model = model,
                                        .max_in_flight = 64,
                                        .burst_seconds = 10,
                                        .refund_unused = true,
                                        .count_failures = true,
                                        .dollars_per_million_input = 1,
                                        .dollars_per_million_output = 1,
                                        .timeout_seconds = 10};
    gateway_world_limit(world, 0);
}

void gateway_world_limit(struct gateway_world *world, double dollars_per_day)
{
    struct error err;
    error_clear(&err);
    limited_provider_fini(&world->limited);
    cr_assert_eq(limited_provider_init(&world->limited, &world->provider, dollars_per_day, &err),
                 ST_OK);
}

void gateway_world_stop(struct gateway_world *world)
{
    char command[128];
    call_client_destroy(&world->client);
    store_close(&world->store);
    limited_provider_fini(&world->limited);
    if (world->pid > 0) {
        (void)kill((pid_t)world->pid, SIGKILL);
        (void)waitpid((pid_t)world->pid, NULL, 0);
    }
    (void)snprintf(command, sizeof command, "rm -rf '%s'", world->directory);
    cr_expect_eq(system(command), 0);
}

static void keep_outcome(void *context, size_t index, const redisReply *reply)
{
    (void)index;
    *(enum call_submit_outcome *)context = call_submit_outcome(reply);
}

enum call_submit_outcome gateway_world_submit(struct gateway_world *world, const char *sweep,
                                              unsigned priority, const char *text,
                                              char id[HASH_HEX_SIZE])
{
    struct error err;
    struct call call;
    enum call_submit_outcome outcome = CALL_SUBMIT_ERROR;
    error_clear(&err);
    json_t *body = json_pack("{s:s, s:i, s:[{s:s, s:s}]}", "model", "m", "max_tokens", 100,
                             "messages", "role", "user", "content", text);
    cr_assert_eq(call_prepare(&call, "p", body, &err), ST_OK, "%s", err.text);
    cr_assert_eq(call_queue_submit(world->client, &call, sweep, priority, "tag", &err), ST_OK);
    cr_assert_eq(store_drain(world->store, keep_outcome, &outcome, &err), ST_OK, "%s", err.text);
    memcpy(id, call.id, HASH_HEX_SIZE);
    json_decref(body);
    call_fini(&call);
    return outcome;
}

size_t gateway_world_reserve(struct gateway_world *world, size_t n_most, struct reserve_result *out)
{
    struct error err;
    error_clear(&err);
    cr_assert_eq(limiter_reserve(&world->limiter, "p", &world->limited, n_most, out, &err), ST_OK,
                 "%s", err.text);
    return out->n_grants;
}

const char *gateway_world_settle(struct gateway_world *world, const struct grant *grant,
                                 const struct settlement *outcome, char fate[16])
{
    static char booking[16];
    struct error err;
    struct settle_args args;
    redisReply *reply = NULL;
    error_clear(&err);
    cr_assert_eq(settlement_encode(outcome, &world->limiter, grant, &world->limited, &args, &err),
                 ST_OK);
    const char *const texts[] = {args.texts[0], args.texts[1], args.texts[2],
                                 args.texts[3], args.texts[4], args.texts[5]};
    cr_assert_eq(store_run_script(world->store, &reply, &world->limiter.settle, 0, SETTLE_N_ARGS,
                                  texts, args.n_bytes, &err),
                 ST_OK, "%s", err.text);
    (void)snprintf(booking, sizeof booking, "%s", reply->element[0]->str);
    if (fate) (void)snprintf(fate, 16, "%s", reply->element[1]->str);
    freeReplyObject(reply);
    settle_args_fini(&args);
    return booking;
}

struct settlement gateway_world_usage(uint64_t tokens_in, uint64_t tokens_out)
{
    static char content[] = "yes";
    struct settlement outcome = {.charge = CHARGE_USAGE,
                                 .next = NEXT_DONE,
                                 .health = HEALTH_OK,
                                 .retry_after_ms = -1,
                                 .latency_ms = 5,
                                 .microdollars = (int64_t)(tokens_in + tokens_out),
                                 .completion = {.content = content,
                                                .n_content_bytes = 3,
                                                .finish_reason = "stop",
                                                .model = "m",
                                                .tokens_in = tokens_in,
                                                .tokens_out = tokens_out}};
    for (size_t i = 0; i < N_RATE_DIMENSIONS; i++) outcome.remaining[i] = -1;
    return outcome;
}

/* A command as words: no formats, so that a test's text is never one. */
static status_t run_text(struct store *store, redisReply **reply, const char *command,
                         struct error *err)
{
    char copy[512], *words = copy;
    const char *args[16];
    size_t n_args = 0;
    (void)snprintf(copy, sizeof copy, "%s", command);
    while (n_args < 16) {
        args[n_args++] = words;
        words = strchr(words, ' ');
        if (!words) break;
        *words++ = '\0';
    }
    return store_run_argv(store, reply, n_args, args, NULL, err);
}

long long gateway_world_number(struct gateway_world *world, const char *command)
{
    struct error err;
    redisReply *reply = NULL;
    error_clear(&err);
    cr_assert_eq(run_text(world->store, &reply, command, &err), ST_OK, "%s: %s", command, err.text);
    const long long number = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                             : reply->str                       ? strtoll(reply->str, NULL, 10)
                                                                : -1;
    freeReplyObject(reply);
    return number;
}

void gateway_world_run(struct gateway_world *world, const char *command)
{
    (void)gateway_world_number(world, command);
}
