/* What happens to the connections of a socket: libzmq's monitor, decoded.
 *
 * A connection goes CONNECTED (the transport) -> HANDSHAKE_SUCCEEDED (now messages flow) ->
 * DISCONNECTED, or HANDSHAKE_FAILED_... -> DISCONNECTED. libzmq connects again by itself, but not
 * after HANDSHAKE_FAILED_AUTH and _PROTOCOL: that socket stays silent for ever, so its owner has to
 * say so. Used by the thread of the monitored socket. */
#ifndef COMMON_SOCKET_MONITOR_H
#define COMMON_SOCKET_MONITOR_H

#include "common/curve.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

enum {
    SOCKET_HANDSHAKE_FAILED = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
};

struct socket_event {
    uint16_t kind;  /* one of ZMQ_EVENT_... */
    uint32_t value; /* a descriptor, or what kind of failure */
};

/* Report the `events` of `socket` at `address` ("inproc://NAME", one of its own). *out is a socket
 * to be polled, read with socket_monitor_next and closed before `socket`. Errors: ST_INTERNAL. */
MUST_CHECK status_t socket_monitor_open(void **out, void *zmq_context, void *socket,
                                        const char *address, int events, struct error *err);
/* The next event, without waiting; false: none. */
bool socket_monitor_next(void *monitor, struct socket_event *out);

/* What a failed handshake means to the user of the connecting end, in one line; `curve` NULL: it
 * was made without keys. Returns ST_CONFLICT (the key is not allowed), ST_UNREACHABLE. */
status_t socket_monitor_explain(const struct socket_event *failure, const char *endpoint,
                                const struct curve_client *curve, struct error *err);
/* libzmq will not try again. */
bool socket_monitor_is_final(const struct socket_event *failure);

#endif
