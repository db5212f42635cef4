/* Messages over ZeroMQ: [identity] header [bulk], on ROUTER, DEALER and inproc sockets.
 *
 * Thin on purpose: libzmq does the work; this file owns frame counting, size caps and the
 * kernel descriptor of a peer's connection (ZMQ_SRCFD), which is how a ROUTER's owner learns,
 * together with the socket's monitor, which peer just vanished. A socket belongs to one thread. */
#ifndef COMMON_TRANSPORT_H
#define COMMON_TRANSPORT_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

enum { TRANSPORT_IDENTITY_MAX = 256 };

struct transport_message {
    zmq_msg_t identity; /* empty unless received on a ROUTER */
    zmq_msg_t header;
    zmq_msg_t bulk;           /* empty if there was none */
    int fd;                   /* connection it came by; -1 if unknown (inproc) */
    struct wire_message wire; /* points into header */
};

void transport_message_init(struct transport_message *message);
void transport_message_fini(struct transport_message *message);

/* Receive one message without waiting and decode its header. ST_BUSY: nothing there.
 * ST_PROTOCOL / ST_TOO_LARGE: a message was read and is refused; message->identity and fd are
 * valid, so that the peer can be told. The message is re-used: init once, fini once. */
MUST_CHECK status_t transport_receive(void *socket, bool is_router,
                                      struct transport_message *message, struct error *err);

/* Frames over WIRE_MAX_BULK_BYTES end the connection instead of filling the memory. Before bind or
 * connect. */
MUST_CHECK status_t transport_limit_messages(void *socket, struct error *err);

struct transport_peer {
    const void *identity; /* NULL on a DEALER */
    size_t n_identity;
};

/* Send `message` and, if bulk is not NULL, its bytes as a second frame (copied). Never blocks:
 * ST_BUSY when the peer's queue is full, ST_UNREACHABLE when a ROUTER knows no such peer. */
MUST_CHECK status_t transport_send(void *socket, const struct transport_peer *peer,
                                   const struct wire_message *message, const void *bulk,
                                   size_t n_bulk, struct error *err);

#endif
