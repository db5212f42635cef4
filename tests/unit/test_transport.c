/* Messages over sockets: frames, identities, limits, peers that are gone. inproc and ipc. */
#include "common/transport.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *context, *router, *dealer;
static struct transport_message at_router, at_dealer;
static struct error err;

static void open_pair(const char *endpoint)
{
    const int mandatory = 1;
    context = zmq_ctx_new();
    router = zmq_socket(context, ZMQ_ROUTER);
    dealer = zmq_socket(context, ZMQ_DEALER);
    cr_assert_eq(zmq_setsockopt(router, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof mandatory), 0);
    cr_assert_eq(transport_limit_messages(router, &err), ST_OK, "%s", err.text);
    cr_assert_eq(zmq_bind(router, endpoint), 0, "%s", zmq_strerror(errno));
    cr_assert_eq(zmq_connect(dealer, endpoint), 0);
    transport_message_init(&at_router);
    transport_message_init(&at_dealer);
}

static void close_pair(void)
{
    transport_message_fini(&at_router);
    transport_message_fini(&at_dealer);
    (void)zmq_close(dealer);
    (void)zmq_close(router);
    (void)zmq_ctx_term(context);
}

static status_t wait_for(void *socket, bool is_router, struct transport_message *out)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_poll(&item, 1, 5000), 1);
    error_clear(&err);
    return transport_receive(socket, is_router, out, &err);
}

TestSuite(transport, .timeout = 30, .fini = close_pair);

ParameterizedTestParameters(transport, carries_header_bulk_and_identity_both_ways)
{
    static char endpoints[2][64];
    (void)snprintf(endpoints[0], sizeof endpoints[0], "inproc://here");
    (void)snprintf(endpoints[1], sizeof endpoints[1], "ipc:///tmp/transport-%ld.sock",
                   (long)getpid());
    return cr_make_param_array(char[64], endpoints, 2);
}

ParameterizedTest(char endpoint[64], transport, carries_header_bulk_and_identity_both_ways)
{
    const struct wire_message request = {
        .type = WIRE_REQUEST, .id = 5, .name = wire_text_of("ping")};
    open_pair(endpoint);
    cr_assert_eq(transport_send(dealer, NULL, &request, "bulk", 4, &err), ST_OK, "%s", err.text);
    cr_assert_eq(wait_for(router, true, &at_router), ST_OK, "%s", err.text);
    cr_expect_eq(at_router.wire.id, 5);
    cr_expect_eq(zmq_msg_size(&at_router.bulk), 4);
    cr_expect_eq(at_router.fd >= 0, strncmp(endpoint, "ipc", 3) == 0);
    const struct transport_peer peer = {zmq_msg_data(&at_router.identity),
                                        zmq_msg_size(&at_router.identity)};
    const struct wire_message drain = {.type = WIRE_DRAIN};
    cr_assert_eq(transport_send(router, &peer, &drain, NULL, 0, &err), ST_OK);
    cr_assert_eq(wait_for(dealer, false, &at_dealer), ST_OK, "%s", err.text);
    cr_expect_eq(at_dealer.wire.type, WIRE_DRAIN);
    cr_expect_eq(zmq_msg_size(&at_dealer.bulk), 0);
}

Test(transport, an_empty_socket_is_busy)
{
    open_pair("inproc://here");
    cr_expect_eq(transport_receive(router, true, &at_router, &err), ST_BUSY);
    cr_expect_eq(err.status, ST_OK, "and no error");
}

Test(transport, an_empty_bulk_frame_is_sent_and_none_is_not)
{
    const struct wire_message drain = {.type = WIRE_DRAIN};
    open_pair("inproc://here");
    cr_assert_eq(transport_send(dealer, NULL, &drain, "", 0, &err), ST_OK);
    cr_assert_eq(transport_send(dealer, NULL, &drain, NULL, 0, &err), ST_OK);
    cr_expect_eq(wait_for(router, true, &at_router), ST_OK, "%s", err.text);
    cr_expect_eq(wait_for(router, true, &at_router), ST_OK, "%s", err.text);
    cr_expect_eq(transport_receive(router, true, &at_router, &err), ST_BUSY);
}

static void send_raw(const char *const *frames, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cr_assert_geq(zmq_send(dealer, frames[i], strlen(frames[i]), i + 1 < n ? ZMQ_SNDMORE : 0),
                      0);
}

Test(transport, refuses_too_many_frames_and_garbage_and_still_knows_the_sender)
{
    static const char *const three[] = {"a", "b", "c"}, *const garbage[] = {"\xc1"};
    open_pair("inproc://here");
    send_raw(three, 3);
    send_raw(garbage, 1);
    const struct wire_message drain = {.type = WIRE_DRAIN};
    cr_assert_eq(transport_send(dealer, NULL, &drain, NULL, 0, &err), ST_OK);
    cr_expect_eq(wait_for(router, true, &at_router), ST_PROTOCOL);
    cr_expect_gt(zmq_msg_size(&at_router.identity), 0);
    cr_expect_eq(wait_for(router, true, &at_router), ST_PROTOCOL);
    cr_expect_gt(zmq_msg_size(&at_router.identity), 0);
    cr_expect_eq(wait_for(router, true, &at_router), ST_OK, "the next one is whole: %s", err.text);
}

Test(transport, a_peer_that_is_not_there_is_unreachable)
{
    const struct transport_peer nobody = {"nobody", 6};
    const struct wire_message drain = {.type = WIRE_DRAIN};
    open_pair("inproc://here");
    cr_expect_eq(transport_send(router, &nobody, &drain, NULL, 0, &err), ST_UNREACHABLE);
    cr_expect(strstr(err.text, "DRAIN"), "%s", err.text);
}

Test(transport, a_full_queue_is_busy_and_never_waits)
{
    const int limit = 4;
    const struct wire_message drain = {.type = WIRE_DRAIN};
    status_t status = ST_OK;
    open_pair("inproc://here");
    void *lonely = zmq_socket(context, ZMQ_DEALER);
    cr_assert_eq(zmq_setsockopt(lonely, ZMQ_SNDHWM, &limit, sizeof limit), 0);
    cr_assert_eq(zmq_setsockopt(lonely, ZMQ_LINGER, &(int){0}, sizeof limit), 0);
    cr_assert_eq(zmq_connect(lonely, "ipc:///tmp/nobody-listens-here.sock"), 0);
    for (int i = 0; i < 100 && status == ST_OK; i++)
        status = transport_send(lonely, NULL, &drain, NULL, 0, &err);
    cr_expect_eq(status, ST_BUSY);
    (void)zmq_close(lonely);
}
