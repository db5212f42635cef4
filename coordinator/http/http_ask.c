#include "coordinator/http/http_ask.h"

#include "common/clock.h"
#include "common/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_SLICE_MS = 100, REQUEST_ID = 1 };

static status_t open_dealer(const struct http_ask *ask, void **out, struct error *err)
{
    const int linger = 0;
    void *dealer = zmq_socket(ask->zmq_context, ZMQ_DEALER);
    if (!dealer) return error_set(err, ST_BUSY, "socket: %s", zmq_strerror(errno));
    if (zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
        zmq_connect(dealer, ask->endpoint) == 0) {
        *out = dealer;
        return ST_OK;
    }
    const status_t status =
        error_set(err, ST_UNREACHABLE, "%s: %s", ask->endpoint, zmq_strerror(errno));
    (void)zmq_close(dealer);
    return status;
}

static status_t send_question(void *dealer, const char *operation, const json_t *args,
                              struct error *err)
{
    const struct wire_message request = {
        .type = WIRE_REQUEST, .id = REQUEST_ID, .name = wire_text_of(operation)};
    char *text = args ? json_dumps(args, JSON_COMPACT) : NULL;
    if (args && !text) return error_set(err, ST_NO_MEMORY, "%s: arguments", operation);
    const char *json = text ? text : "{}";
    const status_t status = transport_send(dealer, NULL, &request, json, strlen(json), err);
    free(text);
    return status;
}

/* Wait in slices, so that a stopping server is not held up by a loop that no longer answers. */
static status_t wait_readable(const struct http_ask *ask, void *dealer, struct error *err)
{
    const int64_t deadline_ms = clock_monotonic_ms(clock_system()) + HTTP_ASK_TIMEOUT_MS;
    zmq_pollitem_t item = {.socket = dealer, .events = ZMQ_POLLIN};
    for (;;) {
        const int64_t left_ms = deadline_ms - clock_monotonic_ms(clock_system());
        if (ask->is_stopping && atomic_load(ask->is_stopping))
            return error_set(err, ST_CANCELLED, "the coordinator is stopping");
        if (left_ms <= 0)
            return error_set(err, ST_UNREACHABLE, "the coordinator gave no answer in %d s",
                             HTTP_ASK_TIMEOUT_MS / 1000);
        const int n = zmq_poll(&item, 1, left_ms < WAIT_SLICE_MS ? (long)left_ms : WAIT_SLICE_MS);
        if (n > 0) return ST_OK;
        if (n < 0 && errno != EINTR)
            return error_set(err, ST_CANCELLED, "waiting: %s", zmq_strerror(errno));
    }
}

static status_t read_answer(const char *operation, struct transport_message *in, struct buffer *out,
                            struct error *err)
{
    const char *bulk = zmq_msg_data(&in->bulk);
    const size_t n_bulk = zmq_msg_size(&in->bulk);
    if (in->wire.type != WIRE_ANSWER || in->wire.id != REQUEST_ID)
        return error_set(err, ST_PROTOCOL, "%s: answered by %s", operation,
                         wire_type_name(in->wire.type));
    if (in->wire.status == ST_OK) return buffer_append(out, bulk, n_bulk, err);
    const status_t told = in->wire.status <= ST_INTERNAL ? (status_t)in->wire.status : ST_INTERNAL;
    return error_set(err, told, "%.*s", n_bulk < ERROR_TEXT_MAX ? (int)n_bulk : ERROR_TEXT_MAX,
                     n_bulk ? bulk : status_name(told));
}

status_t http_ask(const struct http_ask *ask, const char *operation, const json_t *args,
                  struct buffer *out, struct error *err)
{
    void *dealer = NULL;
    struct transport_message in;
    status_t status = open_dealer(ask, &dealer, err);
    if (status != ST_OK) return status;
    transport_message_init(&in);
    status = send_question(dealer, operation, args, err);
    if (status == ST_OK) status = wait_readable(ask, dealer, err);
    if (status == ST_OK) status = transport_receive(dealer, false, &in, err);
    if (status == ST_OK) status = read_answer(operation, &in, out, err);
    transport_message_fini(&in);
    (void)zmq_close(dealer);
    return status;
}
