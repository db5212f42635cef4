#include "common/socket_monitor.h"

#include <errno.h>
#include <string.h>

enum { HEADER_BYTES = 6, ADDRESS_BYTES = 512 };

status_t socket_monitor_open(void **out, void *zmq_context, void *socket, const char *address,
                             int events, struct error *err)
{
    const int linger = 0;
    void *monitor = NULL;
    if (zmq_socket_monitor(socket, address, events) == 0)
        monitor = zmq_socket(zmq_context, ZMQ_PAIR);
    if (monitor && zmq_setsockopt(monitor, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
        zmq_connect(monitor, address) == 0) {
        *out = monitor;
        return ST_OK;
    }
    (void)error_set(err, ST_INTERNAL, "socket monitor: %s", zmq_strerror(errno));
    if (monitor) (void)zmq_close(monitor);
    return ST_INTERNAL;
}

/* Two frames: 16-bit event and 32-bit value in the machine's order; the address. */
bool socket_monitor_next(void *monitor, struct socket_event *out)
{
    unsigned char header[HEADER_BYTES];
    char address[ADDRESS_BYTES];
    if (zmq_recv(monitor, header, sizeof header, ZMQ_DONTWAIT) != (int)sizeof header) return false;
    (void)zmq_recv(monitor, address, sizeof address, ZMQ_DONTWAIT);
    memcpy(&out->kind, header, sizeof out->kind);
    memcpy(&out->value, header + sizeof out->kind, sizeof out->value);
    return true;
}

bool socket_monitor_is_final(const struct socket_event *failure)
{
    return failure->kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
           failure->kind == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
}

status_t socket_monitor_explain(const struct socket_event *failure, const char *endpoint,
                                const struct curve_client *curve, struct error *err)
{
    if (failure->kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return error_set(err, ST_CONFLICT,
                         "%s does not allow the key \"%s\" (%s): its .pub file, with a role, "
                         "belongs into the coordinator's --allow directory",
                         endpoint, curve ? curve->own.name : "",
                         curve ? curve->own.public_text : "");
    if (!curve)
        return error_set(err, ST_UNREACHABLE,
                         "%s broke off the handshake: it asks for a key (--key FILE.key "
                         "--server-key FILE.pub), or is no coordinator",
                         endpoint);
    return error_set(err, ST_UNREACHABLE,
                     "the handshake with %s failed: %s is not its key, or it works without keys",
                     endpoint, curve->server_path);
}
