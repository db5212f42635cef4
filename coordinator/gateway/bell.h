/* A thread that waits for the doorbell in Redis, so that an idle gateway sleeps and still sends
 * a new call within a millisecond. It has a connection of its own; when Redis is away it tries
 * again quietly (the loop thread reports that). It may wake the gateway for nothing. */
#ifndef COORDINATOR_GATEWAY_BELL_H
#define COORDINATOR_GATEWAY_BELL_H

#include "common/error.h"

#include <stdbool.h>

struct bell;

/* Start listening. `wake` is called from the bell's thread with `context` on every ring. On ST_OK
 * the caller owns *out. Errors: ST_NO_MEMORY, ST_INTERNAL (no thread). */
MUST_CHECK status_t bell_start(struct bell **out, const char *redis_url, void (*wake)(void *),
                               void *context, struct error *err);
void bell_stop(struct bell **bell); /* NULL-safe; joins within half a second */

/* Has it rung since the last question? */
bool bell_has_rung(struct bell *bell);

#endif
