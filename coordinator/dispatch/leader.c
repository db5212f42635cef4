#define _DEFAULT_SOURCE /* getentropy */
#include "coordinator/dispatch/leader.h"

#include <stdio.h>
#include <unistd.h>

enum { N_KEYS = 2, N_ARGS = 5 };

static const char leader_key[] = "interp:leader", epoch_key[] = "interp:epoch";

extern const char embed_coordinator_dispatch_leader_lua[], embed_coordinator_dispatch_fenced_lua[];
extern const char embed_coordinator_dispatch_fence_lua[];

struct store_script leader_script(const char *name, const char *source)
{
    return (struct store_script){
        .name = name, .prelude = embed_coordinator_dispatch_fence_lua, .source = source};
}

status_t leader_init(struct leader *leader, struct store *store, const struct clock *clock,
                     struct error *err)
{
    unsigned char random[16];
    *leader = (struct leader){
        .store = store,
        .clock = clock,
        .script = {.name = "leader", .source = embed_coordinator_dispatch_leader_lua},
        .fenced = leader_script("fenced", embed_coordinator_dispatch_fenced_lua)};
    if (getentropy(random, sizeof random) != 0)
        return error_set(err, ST_INTERNAL, "no randomness for the leader's token");
    for (size_t i = 0; i < sizeof random; i++)
        (void)snprintf(leader->token + 2 * i, 3, "%02x", random[i]);
    const status_t status = store_register_script(store, &leader->script, err);
    return status == ST_OK ? store_register_script(store, &leader->fenced, err) : status;
}

static status_t run(struct leader *leader, const char *action, uint64_t *epoch, struct error *err)
{
    char lease[24];
    (void)snprintf(lease, sizeof lease, "%d", LEADER_LEASE_MS);
    const char *args[N_ARGS] = {leader_key, epoch_key, leader->token, action, lease};
    redisReply *reply;
    const status_t status =
        store_run_script(leader->store, &reply, &leader->script, N_KEYS, N_ARGS, args, NULL, err);
    if (status != ST_OK) return status;
    *epoch =
        reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 ? (uint64_t)reply->integer : 0;
    freeReplyObject(reply);
    return ST_OK;
}

status_t leader_take(struct leader *leader, struct error *err)
{
    leader->renewed_ms = clock_monotonic_ms(leader->clock);
    const status_t status = run(leader, "take", &leader->epoch, err);
    leader->counter = leader->epoch;
    return status;
}

/* Our key is gone: it ran out while Redis was away or this machine slept, or a crash of Redis
 * took the last second of its log. If the counter says that nobody led meanwhile, go on. */
static status_t take_back(struct leader *leader, struct error *err)
{
    uint64_t counter;
    const status_t status = run(leader, "take", &counter, err);
    if (status != ST_OK) return status;
    if (counter == 0 || counter > leader->counter + 1)
        return error_set(err, ST_CONFLICT, "another coordinator leads now");
    leader->counter = counter;
    return ST_OK;
}

status_t leader_keep(struct leader *leader, struct error *err)
{
    const int64_t now_ms = clock_monotonic_ms(leader->clock);
    if (now_ms - leader->renewed_ms < LEADER_RENEW_MS) return ST_OK;
    uint64_t counter;
    status_t status = run(leader, "renew", &counter, err);
    if (status == ST_OK && counter == 0) status = take_back(leader, err);
    if (status == ST_OK) leader->renewed_ms = now_ms;
    return status;
}

void leader_release(struct leader *leader)
{
    uint64_t epoch;
    if (leader->epoch) (void)!run(leader, "release", &epoch, NULL);
    leader->epoch = 0;
}

void leader_fence(const struct leader *leader, struct leader_fence *out)
{
    *out = (struct leader_fence){.keys = {leader_key, epoch_key}};
    (void)snprintf(out->counter, sizeof out->counter, "%llu", (unsigned long long)leader->counter);
    out->args[0] = leader->token;
    out->args[1] = out->counter;
}

void leader_doubt(struct leader *leader)
{
    leader->renewed_ms = clock_monotonic_ms(leader->clock) - LEADER_RENEW_MS;
}

/* "n words" of every command behind what is in args already; how many args there are then. 0: they
 * do not fit. */
static size_t add_commands(const struct leader_command *commands, size_t n_commands,
                           const char **args, size_t n_args)
{
    static const char *const counts[LEADER_COMMAND_WORDS + 1] = {
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
    for (size_t i = 0; i < n_commands; i++) {
        size_t n = 0;
        while (n < LEADER_COMMAND_WORDS && commands[i].words[n]) n++;
        if (n_args + 1 + n > LEADER_WRITE_WORDS) return 0;
        args[n_args++] = counts[n];
        for (size_t k = 0; k < n; k++) args[n_args++] = commands[i].words[k];
    }
    return n_args;
}

status_t leader_write(struct leader *leader, const struct leader_command *commands,
                      size_t n_commands, struct error *err)
{
    struct leader_fence fence;
    leader_fence(leader, &fence);
    const char *args[LEADER_WRITE_WORDS] = {fence.keys[0], fence.keys[1], fence.args[0],
                                            fence.args[1]};
    const size_t n_args = add_commands(commands, n_commands, args, 4);
    if (n_args == 0) return error_set(err, ST_BAD_INPUT, "commands of too many words");
    const status_t status =
        store_run_script(leader->store, NULL, &leader->fenced, N_KEYS, n_args, args, NULL, err);
    if (status == ST_CONFLICT) leader_doubt(leader);
    return status;
}
