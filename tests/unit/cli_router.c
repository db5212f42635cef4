#include "tests/unit/cli_router.h"

#include "common/transport.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { STEP_MS = 10 };

static void send_answer(struct cli_router *router, const struct transport_message *in, uint64_t id,
                        status_t status, const char *bulk)
{
    zmq_msg_t *identity = (zmq_msg_t *)(uintptr_t)&in->identity;
    const struct transport_peer peer = {zmq_msg_data(identity), zmq_msg_size(identity)};
    const struct wire_message answer = {.type = WIRE_ANSWER, .id = id, .status = (uint64_t)status};
    struct error err = {0};
    cr_assert_eq(transport_send(router->socket, &peer, &answer, bulk, strlen(bulk), &err), ST_OK,
                 "%s", err.text);
}

static void handle(struct cli_router *router, struct transport_message *in)
{
    char operation[WIRE_MAX_NAME_BYTES + 1], error[256] = "";
    json_t *result = NULL;
    cr_assert_eq(in->wire.type, WIRE_REQUEST);
    cr_assert(wire_text_copy(in->wire.name, operation, sizeof operation));
    json_t *arguments = json_loadb(zmq_msg_data(&in->bulk), zmq_msg_size(&in->bulk), 0, NULL);
    cr_assert(json_is_object(arguments));
    atomic_fetch_add(&router->n_requests, 1);
    const status_t status = router->answer(router->context, operation, arguments, &result, error);
    json_decref(arguments);
    if (status == ST_BUSY) return;
    char *text = result ? json_dumps(result, 0) : NULL;
    if (router->sends_stale_first) send_answer(router, in, in->wire.id + 1000, ST_OK, "{}");
    send_answer(router, in, in->wire.id, status,
                router->sends_garbage ? "{no"
                : status == ST_OK     ? text
                                      : error);
    free(text);
    json_decref(result);
}

static void *serve(void *argument)
{
    struct cli_router *router = argument;
    struct transport_message in;
    transport_message_init(&in);
    while (!atomic_load(&router->stop)) {
        zmq_pollitem_t item = {.socket = router->socket, .events = ZMQ_POLLIN};
        (void)zmq_poll(&item, 1, STEP_MS);
        struct error err = {0};
        while (transport_receive(router->socket, true, &in, &err) == ST_OK) handle(router, &in);
    }
    transport_message_fini(&in);
    return NULL;
}

void cli_router_start(struct cli_router *router, const char *endpoint)
{
    const int linger = 0;
    size_t n = sizeof router->endpoint;
    router->zmq_context = zmq_ctx_new();
    router->socket = zmq_socket(router->zmq_context, ZMQ_ROUTER);
    atomic_store(&router->stop, false);
    cr_assert_eq(zmq_setsockopt(router->socket, ZMQ_LINGER, &linger, sizeof linger), 0);
    cr_assert_eq(zmq_bind(router->socket, endpoint ? endpoint : "tcp://127.0.0.1:*"), 0, "%s",
                 zmq_strerror(errno));
    cr_assert_eq(zmq_getsockopt(router->socket, ZMQ_LAST_ENDPOINT, router->endpoint, &n), 0);
    cr_assert_eq(pthread_create(&router->thread, NULL, serve, router), 0);
}

void cli_router_stop(struct cli_router *router)
{
    atomic_store(&router->stop, true);
    (void)pthread_join(router->thread, NULL);
    (void)zmq_close(router->socket);
    (void)zmq_ctx_term(router->zmq_context);
}
