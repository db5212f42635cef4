/* A coordinator for one test: a ROUTER on a thread that answers requests over the real wire
 * protocol with what the test's handler says. */
#ifndef TESTS_UNIT_CLI_ROUTER_H
#define TESTS_UNIT_CLI_ROUTER_H

#include "common/error.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Fill *result (taken) or `error` [256] and return the status of the answer. ST_BUSY: say
 * nothing at all. */
typedef status_t cli_router_fn(void *context, const char *operation, const json_t *arguments,
                               json_t **result, char *error);

struct cli_router {
    char endpoint[128];
    cli_router_fn *answer;
    void *context;
    bool sends_stale_first; /* before each answer, one with another id */
    bool sends_garbage;     /* a bulk that is no JSON */
    void *zmq_context, *socket;
    pthread_t thread;
    atomic_int n_requests;
    atomic_bool stop;
};

/* `endpoint`: NULL picks a free TCP port. Aborts the test when it cannot listen. */
void cli_router_start(struct cli_router *router, const char *endpoint);
void cli_router_stop(struct cli_router *router); /* closes every connection */

#endif
