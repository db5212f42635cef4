#include "common/transport.h"

#include <errno.h>
#include <string.h>

void transport_message_init(struct transport_message *message)
{
    (void)zmq_msg_init(&message->identity);
    (void)zmq_msg_init(&message->header);
    (void)zmq_msg_init(&message->bulk);
    message->fd = -1;
    memset(&message->wire, 0, sizeof message->wire);
}

void transport_message_fini(struct transport_message *message)
{
    (void)zmq_msg_close(&message->identity);
    (void)zmq_msg_close(&message->header);
    (void)zmq_msg_close(&message->bulk);
}

static void empty(zmq_msg_t *frame)
{
    (void)zmq_msg_close(frame);
    (void)zmq_msg_init(frame);
}

/* Read the frames that follow; those that nobody asked for are dropped and counted. */
static int receive_rest(void *socket, struct transport_message *message, int n_wanted)
{
    zmq_msg_t *const frames[] = {&message->header, &message->bulk};
    int n = 0;
    zmq_msg_t extra;
    (void)zmq_msg_init(&extra);
    for (;;) {
        int more = 0;
        size_t size = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0 || !more) break;
        zmq_msg_t *frame = n < n_wanted ? frames[n + 2 - n_wanted] : &extra;
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) break;
        n++;
    }
    (void)zmq_msg_close(&extra);
    return n;
}

status_t transport_receive(void *socket, bool is_router, struct transport_message *message,
                           struct error *err)
{
    empty(&message->identity);
    empty(&message->header);
    empty(&message->bulk);
    zmq_msg_t *first = is_router ? &message->identity : &message->header;
    if (zmq_msg_recv(first, socket, ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? ST_BUSY
                               : error_set(err, ST_IO, "receive: %s", zmq_strerror(errno));
    const int n_wanted = is_router ? 2 : 1;
    const int n = receive_rest(socket, message, n_wanted);
    /* of the header: the identity frame does not carry it when a poll came before (4.3.4) */
    message->fd = zmq_msg_get(&message->header, ZMQ_SRCFD);
    if (n > n_wanted || (is_router && n < 1))
        return error_set(err, ST_PROTOCOL, "message of %d frames", n + 1);
    if (zmq_msg_size(&message->bulk) > WIRE_MAX_BULK_BYTES)
        return error_set(err, ST_TOO_LARGE, "bulk frame of %zu bytes",
                         zmq_msg_size(&message->bulk));
    return wire_decode(zmq_msg_data(&message->header), zmq_msg_size(&message->header),
                       &message->wire, err);
}

status_t transport_limit_messages(void *socket, struct error *err)
{
    const int64_t max_bytes = WIRE_MAX_BULK_BYTES;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0) return ST_OK;
    return error_set(err, ST_INTERNAL, "message limit: %s", zmq_strerror(errno));
}

static status_t send_frame(void *socket, const void *bytes, size_t n_bytes, int flags,
                           struct error *err)
{
    if (zmq_send(socket, bytes, n_bytes, flags | ZMQ_DONTWAIT) >= 0) return ST_OK;
    if (errno == EAGAIN) return error_set(err, ST_BUSY, "the peer's queue is full");
    const status_t status = errno == EHOSTUNREACH ? ST_UNREACHABLE : ST_IO;
    return error_set(err, status, "send: %s", zmq_strerror(errno));
}

status_t transport_send(void *socket, const struct transport_peer *peer,
                        const struct wire_message *message, const void *bulk, size_t n_bulk,
                        struct error *err)
{
    struct buffer header;
    buffer_init(&header, WIRE_MAX_HEADER_BYTES);
    status_t status = wire_encode(message, &header, err);
    if (status == ST_OK && peer && peer->identity)
        status = send_frame(socket, peer->identity, peer->n_identity, ZMQ_SNDMORE, err);
    if (status == ST_OK)
        status = send_frame(socket, header.bytes, header.n_bytes, bulk ? ZMQ_SNDMORE : 0, err);
    if (status == ST_OK && bulk) status = send_frame(socket, bulk, n_bulk, 0, err);
    buffer_fini(&header);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", wire_type_name(message->type));
}
