#include "coordinator/cli/client.h"

#include "common/clock.h"
#include "common/socket_monitor.h"
#include "common/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECONNECT_MS = 50,
    RECONNECT_MAX_MS = 500,
    REFUSED_PATIENCE_MS = 300, /* refused this long by a stranger: nobody is there */
    ENDPOINT_SIZE = 512,
    AWAY_RETRY_MS = 200, /* between two tries while the coordinator's store is away */
    MONITOR_EVENTS = ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                     ZMQ_EVENT_DISCONNECTED | SOCKET_HANDSHAKE_FAILED
};

struct client {
    char endpoint[ENDPOINT_SIZE];
    int64_t timeout_ms;
    const volatile sig_atomic_t *interrupt;
    struct curve_client curve;
    bool has_curve;
    void *zmq_context, *dealer, *monitor;
    uint64_t last_id;
    bool is_connected; /* and shook hands: messages flow */
    bool is_expected;  /* was connected, or the caller knows better: a refusal is no verdict */
    struct transport_message incoming;
};

/* A request under way. */
struct exchange {
    const struct client_request *request;
    char *json; /* arguments as text, owned */
    uint64_t id;
    int64_t started_ms, deadline_ms;
    bool was_refused;       /* the last attempt to connect failed */
    struct error handshake; /* the last one failed, and why: on a connection that stood */
    bool must_resend;       /* the connection it went out on is gone */
    int64_t again_ms;       /* when to ask again, after the answer that its store is away; 0: no */
    struct error away;      /* what it said then */
    bool is_answered;       /* the answer is client->incoming */
};

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static status_t set_options(struct client *client, struct error *err)
{
    const int linger = 0, interval = RECONNECT_MS, interval_max = RECONNECT_MAX_MS;
    const int64_t max_bytes = WIRE_MAX_BULK_BYTES;
    if (zmq_setsockopt(client->dealer, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_setsockopt(client->dealer, ZMQ_RECONNECT_IVL, &interval, sizeof interval) != 0 ||
        zmq_setsockopt(client->dealer, ZMQ_RECONNECT_IVL_MAX, &interval_max, sizeof interval_max) !=
            0 ||
        zmq_setsockopt(client->dealer, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) != 0)
        return error_set(err, ST_INTERNAL, "socket options: %s", zmq_strerror(errno));
    return ST_OK;
}

static status_t open_sockets(struct client *client, struct error *err)
{
    client->zmq_context = zmq_ctx_new();
    if (!client->zmq_context) return error_set(err, ST_NO_MEMORY, "ZeroMQ context");
    client->dealer = zmq_socket(client->zmq_context, ZMQ_DEALER);
    if (!client->dealer) return error_set(err, ST_NO_MEMORY, "socket: %s", zmq_strerror(errno));
    status_t status = set_options(client, err);
    if (status == ST_OK && client->has_curve)
        status = curve_connects_as(client->dealer, &client->curve, err);
    if (status == ST_OK)
        status = socket_monitor_open(&client->monitor, client->zmq_context, client->dealer,
                                     "inproc://client-monitor", MONITOR_EVENTS, err);
    if (status != ST_OK) return status;
    if (zmq_connect(client->dealer, client->endpoint) != 0)
        return error_set(err, ST_BAD_INPUT,
                         "endpoint \"%s\": %s (write ipc:///path or tcp://host:port)",
                         client->endpoint, zmq_strerror(errno));
    return ST_OK;
}

status_t client_open(struct client **out, const struct client_params *params, struct error *err)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client) return error_set(err, ST_NO_MEMORY, "client");
    transport_message_init(&client->incoming);
    client->has_curve = params->curve != NULL;
    if (params->curve) client->curve = *params->curve;
    client->timeout_ms = params->timeout_ms;
    client->interrupt = params->interrupt;
    client->is_expected = params->is_expected;
    status_t status = ST_OK;
    if ((size_t)snprintf(client->endpoint, sizeof client->endpoint, "%s", params->endpoint) >=
        sizeof client->endpoint)
        status = error_set(err, ST_BAD_INPUT, "endpoint of more than %zu bytes",
                           sizeof client->endpoint - 1);
    if (status == ST_OK) status = open_sockets(client, err);
    if (status == ST_OK)
        *out = client;
    else
        client_close(&client);
    return status;
}

void client_close(struct client **client)
{
    if (!client || !*client) return;
    struct client *it = *client;
    transport_message_fini(&it->incoming);
    if (it->dealer) (void)zmq_socket_monitor(it->dealer, NULL, 0);
    if (it->monitor) (void)zmq_close(it->monitor);
    if (it->dealer) (void)zmq_close(it->dealer);
    if (it->zmq_context) (void)zmq_ctx_term(it->zmq_context);
    free(it);
    *client = NULL;
}

const char *client_endpoint(const struct client *client)
{
    return client->endpoint;
}

static status_t send_request(struct client *client, const struct exchange *exchange,
                             struct error *err)
{
    const struct wire_message message = {.type = WIRE_REQUEST,
                                         .id = exchange->id,
                                         .name = wire_text_of(exchange->request->operation)};
    return transport_send(client->dealer, NULL, &message, exchange->json, strlen(exchange->json),
                          err);
}

static status_t take_end(struct client *client, struct exchange *exchange, struct error *err)
{
    if (!client->is_connected) return ST_OK; /* in the handshake: nothing was sent yet */
    client->is_connected = false;
    exchange->must_resend = true;
    if (exchange->request->is_repeatable) return ST_OK;
    return error_set(err, ST_UNREACHABLE,
                     "%s: the connection to %s broke before the answer: the request may "
                     "or may not have been carried out, look before you repeat it",
                     exchange->request->operation, client->endpoint);
}

static status_t take_start(struct client *client, struct exchange *exchange, struct error *err)
{
    const bool must_resend = exchange->must_resend;
    client->is_connected = client->is_expected = true;
    exchange->was_refused = exchange->must_resend = false;
    exchange->handshake = (struct error){0};
    return must_resend ? send_request(client, exchange, err) : ST_OK;
}

/* A coordinator that ends in the middle looks like one with another key: only the final ones are a
 * verdict, the others are told when time is up. */
static status_t take_failed_handshake(struct client *client, struct exchange *exchange,
                                      const struct socket_event *event, struct error *err)
{
    exchange->handshake = (struct error){0};
    const status_t status = socket_monitor_explain(
        event, client->endpoint, client->has_curve ? &client->curve : NULL, &exchange->handshake);
    return socket_monitor_is_final(event) ? error_set(err, status, "%s", exchange->handshake.text)
                                          : ST_OK;
}

/* What happened between two requests: what is sent from now on waits for the next connection. */
static status_t catch_up(struct client *client, struct exchange *exchange, struct error *err)
{
    struct socket_event event;
    status_t status = ST_OK;
    while (status == ST_OK && socket_monitor_next(client->monitor, &event)) {
        if (event.kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED || event.kind == ZMQ_EVENT_DISCONNECTED)
            client->is_connected = event.kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        else if (event.kind & SOCKET_HANDSHAKE_FAILED)
            status = take_failed_handshake(client, exchange, &event, err);
    }
    client->is_expected = client->is_expected || client->is_connected;
    return status;
}

static status_t take_event(struct client *client, struct exchange *exchange, struct error *err)
{
    struct socket_event event;
    if (!socket_monitor_next(client->monitor, &event)) return ST_OK;
    switch (event.kind) {
    case ZMQ_EVENT_CONNECT_RETRIED: exchange->was_refused = true; return ST_OK;
    case ZMQ_EVENT_DISCONNECTED: return take_end(client, exchange, err);
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return take_start(client, exchange, err);
    default: return take_failed_handshake(client, exchange, &event, err);
    }
}

/* An answer that is an error. "Away" is not the last word on what may be repeated: Redis comes
 * back within seconds, and the user need not know. */
static status_t take_refusal(struct exchange *exchange, struct transport_message *in,
                             struct error *err)
{
    const char *text = zmq_msg_data(&in->bulk);
    const size_t n = zmq_msg_size(&in->bulk);
    const status_t told = in->wire.status <= ST_INTERNAL ? (status_t)in->wire.status : ST_INTERNAL;
    struct error said = {0};
    (void)error_set(&said, told, "%.*s", n < ERROR_TEXT_MAX ? (int)n : ERROR_TEXT_MAX,
                    n ? text : status_name(told));
    if (told == ST_UNREACHABLE && exchange->request->is_repeatable) {
        exchange->away = said;
        exchange->again_ms = now_ms() + AWAY_RETRY_MS;
        return ST_OK;
    }
    return error_set(err, told, "%s", said.text);
}

static status_t take_answer(struct client *client, struct exchange *exchange, struct error *err)
{
    struct transport_message *in = &client->incoming;
    const char *operation = exchange->request->operation;
    const status_t received = transport_receive(client->dealer, false, in, err);
    if (received == ST_BUSY) return ST_OK;
    if (received != ST_OK) return error_wrap(err, "%s: answer of %s", operation, client->endpoint);
    if (in->wire.type == WIRE_REFUSED)
        return error_set(err, ST_PROTOCOL, "%s refused this interpctl: %.*s", client->endpoint,
                         (int)in->wire.text.n_bytes, in->wire.text.bytes);
    if (in->wire.type != WIRE_ANSWER || in->wire.id != exchange->id) return ST_OK; /* stale */
    if (in->wire.status != ST_OK) return take_refusal(exchange, in, err);
    exchange->is_answered = true;
    return ST_OK;
}

/* Has this gone on for too long? */
static status_t check_time(const struct client *client, const struct exchange *exchange,
                           struct error *err)
{
    const int64_t now = now_ms();
    const int64_t waited_ms = now - exchange->started_ms;
    const bool is_nobody = exchange->was_refused && !client->is_expected &&
                           (waited_ms > REFUSED_PATIENCE_MS || now >= exchange->deadline_ms);
    const bool is_late = now >= exchange->deadline_ms && !client->is_connected;
    if ((is_nobody || is_late) && exchange->handshake.status != ST_OK)
        return error_set(err, exchange->handshake.status, "%s", exchange->handshake.text);
    if (is_nobody || is_late)
        return error_set(err, ST_UNREACHABLE,
                         "no coordinator answers at %s: start one with `interpctl up`",
                         client->endpoint);
    if (now >= exchange->deadline_ms && exchange->away.status != ST_OK)
        return error_set(err, ST_UNREACHABLE, "%s", exchange->away.text);
    if (now >= exchange->deadline_ms)
        return error_set(err, ST_UNREACHABLE, "%s: %s is connected but gave no answer in %.3g s",
                         exchange->request->operation, client->endpoint, (double)waited_ms / 1000);
    return ST_OK;
}

static status_t wait_answer(struct client *client, struct exchange *exchange, struct error *err)
{
    zmq_pollitem_t items[] = {{.socket = client->dealer, .events = ZMQ_POLLIN},
                              {.socket = client->monitor, .events = ZMQ_POLLIN}};
    status_t status = ST_OK;
    while (status == ST_OK && !exchange->is_answered) {
        int64_t wait_ms = exchange->deadline_ms - now_ms();
        if (wait_ms < 0) wait_ms = 0;
        if (wait_ms > RECONNECT_MS && (!client->is_connected || exchange->again_ms))
            wait_ms = RECONNECT_MS;
        if (zmq_poll(items, 2, (long)wait_ms) < 0) items[0].revents = items[1].revents = 0;
        if (client->interrupt && *client->interrupt)
            return error_set(err, ST_CANCELLED, "%s: interrupted", exchange->request->operation);
        if (items[0].revents & ZMQ_POLLIN)
            status = take_answer(client, exchange, err);
        else if (items[1].revents & ZMQ_POLLIN)
            status = take_event(client, exchange, err);
        else
            status = check_time(client, exchange, err);
        if (status == ST_OK && exchange->again_ms && now_ms() >= exchange->again_ms) {
            exchange->again_ms = 0;
            status = send_request(client, exchange, err);
        }
    }
    return status;
}

status_t client_ask_text(struct client *client, const struct client_request *request,
                         struct wire_text *answer, struct error *err)
{
    const int64_t now = now_ms();
    struct exchange exchange = {.request = request,
                                .id = ++client->last_id,
                                .started_ms = now,
                                .deadline_ms = now + client->timeout_ms};
    exchange.json =
        request->arguments ? json_dumps(request->arguments, JSON_COMPACT) : strdup("{}");
    if (!exchange.json) return error_set(err, ST_NO_MEMORY, "%s: arguments", request->operation);
    status_t status = catch_up(client, &exchange, err);
    if (status == ST_OK) status = send_request(client, &exchange, err);
    if (status == ST_OK) status = wait_answer(client, &exchange, err);
    free(exchange.json);
    zmq_msg_t *bulk = &client->incoming.bulk;
    if (status == ST_OK) *answer = (struct wire_text){zmq_msg_data(bulk), zmq_msg_size(bulk)};
    return status;
}

status_t client_ask(struct client *client, const struct client_request *request, json_t **result,
                    struct error *err)
{
    struct wire_text answer;
    const status_t status = client_ask_text(client, request, &answer, err);
    if (status != ST_OK) return status;
    json_t *object = json_loadb(answer.bytes, answer.n_bytes, JSON_ALLOW_NUL, NULL);
    if (json_is_object(object)) {
        *result = object;
        return ST_OK;
    }
    json_decref(object);
    return error_set(err, ST_PROTOCOL, "%s: %s answered something that is no JSON object",
                     request->operation, client->endpoint);
}
