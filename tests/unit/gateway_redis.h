/* A redis-server of one test's own, on a unix socket in a temporary directory, and short ways to
 * reserve and settle against it. Criterion runs every test in a process of its own. */
#ifndef TESTS_UNIT_GATEWAY_REDIS_H
#define TESTS_UNIT_GATEWAY_REDIS_H

#include "coordinator/gateway/call.h"
#include "coordinator/gateway/limiter.h"
#include "coordinator/gateway/outcome.h"
#include "coordinator/gateway/settlement.h"

struct gateway_world {
    char directory[64];
    long pid;
    struct store *store;
    struct call_client *client;
    struct limiter limiter;
    struct provider provider;
    struct limited_provider limited;
};

/* Start Redis and register the scripts. The provider "p" costs 1 dollar per million tokens each
 * way and has no limits; change world->provider and call gateway_world_limit() for others. */
void gateway_world_start(struct gateway_world *world);
void gateway_world_limit(struct gateway_world *world, double dollars_per_day);
void gateway_world_stop(struct gateway_world *world);

/* Submit one call whose prompt is `text`; its id goes to `id`. */
enum call_submit_outcome gateway_world_submit(struct gateway_world *world, const char *sweep,
                                              unsigned priority, const char *text,
                                              char id[HASH_HEX_SIZE]);

/* limiter_reserve() that must work; returns the number of grants. */
size_t gateway_world_reserve(struct gateway_world *world, size_t n_most,
                             struct reserve_result *out);

/* Settle and return the script's first word ("booked", "late", "duplicate", "moot"); the second
 * ("done", "again", "failed", "dropped", "none") goes to fate[16]. */
const char *gateway_world_settle(struct gateway_world *world, const struct grant *grant,
                                 const struct settlement *outcome, char fate[16]);

/* An outcome with this usage and content "yes". */
struct settlement gateway_world_usage(uint64_t tokens_in, uint64_t tokens_out);

/* Run a command that must work and give its integer or text as a number. */
long long gateway_world_number(struct gateway_world *world, const char *command);
void gateway_world_run(struct gateway_world *world, const char *command);

#endif
