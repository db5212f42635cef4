/* One REQUEST to the coordinator's loop and its ANSWER (common/WIRE.md).
 *
 * Every question has a socket of its own: it belongs to the HTTP thread that asks, an answer
 * that comes too late finds nobody, and no thread keeps state between requests. Over inproc a
 * socket costs tens of microseconds; a page asks once a second. Any thread. */
#ifndef COORDINATOR_HTTP_HTTP_ASK_H
#define COORDINATOR_HTTP_HTTP_ASK_H

#include "common/buffer.h"
#include "common/error.h"

#include <jansson.h>
#include <stdatomic.h>

enum { HTTP_ASK_TIMEOUT_MS = 2000, HTTP_ANSWER_MAX_BYTES = 64 * 1024 * 1024 };

struct http_ask {
    void *zmq_context;              /* borrowed */
    const char *endpoint;           /* of the loop's router */
    const atomic_bool *is_stopping; /* ends the wait early; NULL: never */
};

/* Append the answer's JSON to `out`. `args` is borrowed; NULL: none. Errors: ST_UNREACHABLE
 * (no answer within HTTP_ASK_TIMEOUT_MS), ST_CANCELLED (stopping), ST_PROTOCOL, and whatever
 * status and text the loop gave. */
MUST_CHECK status_t http_ask(const struct http_ask *ask, const char *operation, const json_t *args,
                             struct buffer *out, struct error *err);

#endif
