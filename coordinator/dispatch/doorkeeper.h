/* Who may connect to CURVE endpoints: libzmq asks here for every handshake (ZAP, ZeroMQ RFC 27).
 *
 * A thread of its own, so that a busy loop keeps nobody waiting and a flood of strangers no loop.
 * A key of the allow-list is let in as "ROLE:NAME", which libzmq ties to every message of that
 * connection (access.h reads it there); any other is refused and logged with its public key. czmq's
 * zauth was not taken: it knows no roles and tells nobody whom it refused.
 *
 * Started before the socket binds and stopped after it is closed: without it libzmq would let
 * everybody in. */
#ifndef COORDINATOR_DISPATCH_DOORKEEPER_H
#define COORDINATOR_DISPATCH_DOORKEEPER_H

#include "common/clock.h"
#include "common/error.h"

struct doorkeeper;

struct doorkeeper_options {
    void *zmq_context;           /* borrowed: of the sockets that it guards */
    const char *allow_directory; /* allow_list.h; borrowed until doorkeeper_start returns */
    const struct clock *clock;
};

/* The caller owns *out. Errors: those of allow_list_open, ST_INTERNAL. */
MUST_CHECK status_t doorkeeper_start(struct doorkeeper **out,
                                     const struct doorkeeper_options *options, struct error *err);
void doorkeeper_stop(struct doorkeeper **doorkeeper); /* NULL-safe; waits for the thread */

#endif
