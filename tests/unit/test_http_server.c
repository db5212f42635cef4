/* The server against a router that answers as the coordinator's loop does, over real sockets. */
#include "coordinator/http/http_server.h"

#include "common/clock.h"
#include "common/transport.h"
#include "coordinator/http/page_assets.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char endpoint[] = "inproc://loop";

struct world {
    void *zmq_context;
    pthread_t loop;
    atomic_bool is_over, is_store_away;
    atomic_int n_asked;
    struct http_server *server;
};

/* --- the loop ------------------------------------------------------------------------------ */

/* Echoes operation and arguments; sweep "missing" is not there, "silent" gets no answer. */
static void answer_one(struct world *world, void *router, const struct transport_message *in)
{
    char body[1024], operation[WIRE_MAX_NAME_BYTES];
    const char *args = zmq_msg_data((zmq_msg_t *)(uintptr_t)&in->bulk);
    const size_t n_args = zmq_msg_size(&in->bulk);
    struct wire_message answer = {.type = WIRE_ANSWER, .id = in->wire.id, .status = ST_OK};
    (void)wire_text_copy(in->wire.name, operation, sizeof operation);
    (void)snprintf(body, sizeof body, "{\"operation\":\"%s\",\"args\":%.*s}", operation,
                   (int)n_args, args);
    if (strstr(body, "\"silent\"")) return;
    if (strstr(body, "\"missing\"")) {
        answer.status = ST_NOT_FOUND;
        (void)snprintf(body, sizeof body, "no sweep \"missing\"");
    }
    if (strcmp(operation, "metrics") == 0)
        (void)snprintf(body, sizeof body, "{\"text\":\"interp_up 1\\n\"}");
    if (strcmp(operation, "ping") == 0)
        (void)snprintf(body, sizeof body, "{\"is_store_up\":%s}",
                       atomic_load(&world->is_store_away) ? "false" : "true");
    const struct transport_peer peer = {zmq_msg_data((zmq_msg_t *)(uintptr_t)&in->identity),
                                        zmq_msg_size(&in->identity)};
    cr_expect_eq(transport_send(router, &peer, &answer, body, strlen(body), NULL), ST_OK);
}

static void *run_loop(void *context)
{
    struct world *world = context;
    void *router = zmq_socket(world->zmq_context, ZMQ_ROUTER);
    struct transport_message in;
    transport_message_init(&in);
    cr_assert_eq(zmq_bind(router, endpoint), 0);
    while (!atomic_load(&world->is_over)) {
        zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, 20) <= 0) continue;
        if (transport_receive(router, true, &in, NULL) != ST_OK) continue;
        atomic_fetch_add(&world->n_asked, 1);
        answer_one(world, router, &in);
    }
    transport_message_fini(&in);
    (void)zmq_close(router);
    return NULL;
}

static void open_world(struct world *world)
{
    struct error err = {0};
    memset(world, 0, sizeof *world);
    world->zmq_context = zmq_ctx_new();
    cr_assert_eq(pthread_create(&world->loop, NULL, run_loop, world), 0);
    const struct http_server_options options = {
        .zmq_context = world->zmq_context, .api_endpoint = endpoint, .listen = "127.0.0.1:0"};
    cr_assert_eq(http_server_start(&world->server, &options, &err), ST_OK, "%s", err.text);
}

static void close_world(struct world *world)
{
    http_server_stop(&world->server);
    cr_expect_null(world->server);
    atomic_store(&world->is_over, true);
    (void)pthread_join(world->loop, NULL);
    (void)zmq_ctx_term(world->zmq_context);
}

/* --- a client ------------------------------------------------------------------------------ */

struct reply {
    int code;
    char text[64 * 1024]; /* head and body */
    const char *body;
};

static int connect_to(const struct world *world)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *port = strrchr(http_server_address(world->server), ':') + 1;
    address.sin_port = htons((uint16_t)strtol(port, NULL, 10));
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_raw(const struct world *world, const char *request, struct reply *out)
{
    const int fd = connect_to(world);
    size_t n = 0;
    ssize_t got;
    cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    while ((got = recv(fd, out->text + n, sizeof out->text - 1 - n, 0)) > 0) n += (size_t)got;
    out->text[n] = '\0';
    (void)close(fd);
    out->code = n > 12 ? (int)strtol(out->text + 9, NULL, 10) : 0;
    const char *end = strstr(out->text, "\r\n\r\n");
    out->body = end ? end + 4 : "";
}

static void get(const struct world *world, const char *target, struct reply *out)
{
    char request[4096];
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", target);
    send_raw(world, request, out);
}

/* --- tests --------------------------------------------------------------------------------- */

Test(http_server, passes_questions_to_the_loop_and_its_answers_back)
{
    struct world world;
    struct reply reply;
    open_world(&world);
    get(&world, "/api/v1/sweeps/demo-1/results?cursor=10&limit=5", &reply);
    cr_expect_eq(reply.code, 200);
    cr_expect_str_eq(reply.body, "{\"operation\":\"results\",\"args\":{\"sweep\":\"demo-1\","
                                 "\"cursor\":10,\"limit\":5}}");
    cr_expect_not_null(strstr(reply.text, "Content-Type: application/json\r\n"));
    cr_expect_not_null(strstr(reply.text, "Cache-Control: no-store\r\n"));
    get(&world, "/api/v1/sweeps/missing", &reply);
    cr_expect_eq(reply.code, 404);
    cr_expect_str_eq(reply.body, "{\"error\":{\"status\":\"not_found\","
                                 "\"message\":\"no sweep \\\"missing\\\"\"}}");
    get(&world, "/metrics", &reply);
    cr_expect_eq(reply.code, 200);
    cr_expect_not_null(strstr(reply.text, "Content-Type: text/plain; version=0.0.4\r\n"));
    cr_expect_str_eq(reply.body, "interp_up 1\n");
    close_world(&world);
}

Test(http_server, is_healthy_while_the_loop_answers_and_redis_is_there)
{
    struct world world;
    struct reply reply;
    open_world(&world);
    get(&world, "/healthz", &reply);
    cr_expect_eq(reply.code, 200);
    atomic_store(&world.is_store_away, true);
    get(&world, "/healthz", &reply);
    cr_expect_eq(reply.code, 503);
    cr_expect_str_eq(reply.body, "{\"is_store_up\":false}");
    close_world(&world);
}

Test(http_server, refuses_what_it_should_without_asking_the_loop)
{
    static const struct {
        const char *request;
        int want;
    } cases[] = {
        {"GET /api/v1/overview HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403},
        {"GET /api/v1/overview HTTP/1.0\r\n\r\n", 403},
        {"POST /api/v1/sweeps HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405},
        {"DELETE /api/v1/sweeps/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405},
        {"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404},
        {"GET /static/%2e%2e/main.c HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404},
        {"GET /api/v1/sweeps/a%00b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
        {"GET /api/v1/sweeps/a%20b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
        {"GET /api/v1/workers?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
        {"GET /api/v1/dead?sweep=a&b&c&d&e&f&g&h&i HTTP/1.1\r\nHost: localhost\r\n"
         "Connection: close\r\n\r\n",
         400},
    };
    struct world world;
    struct reply reply;
    open_world(&world);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        send_raw(&world, cases[i].request, &reply);
        cr_expect_eq(reply.code, cases[i].want, "%s\n%s", cases[i].request, reply.text);
        cr_expect_eq(strncmp(reply.body, "{\"error\":{", 10), 0, "%s", reply.body);
    }
    cr_expect_eq(atomic_load(&world.n_asked), 0);
    close_world(&world);
}

Test(http_server, bounds_addresses_and_headers)
{
    struct world world;
    struct reply reply;
    char target[1200], *request = malloc(64 * 1024);
    cr_assert_not_null(request);
    open_world(&world);
    memset(target, 'a', sizeof target);
    target[0] = '/';
    target[sizeof target - 1] = '\0';
    get(&world, target, &reply);
    cr_expect_eq(reply.code, 414);
    const int n = snprintf(request, 64, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    memset(request + n, 'b', 40 * 1024);
    (void)strcpy(request + n + 40 * 1024, "\r\n\r\n");
    send_raw(&world, request, &reply);
    cr_expect_eq(reply.code, 431, "%.80s", reply.text);
    free(request);
    close_world(&world);
}

Test(http_server, serves_the_page_and_revalidates_it)
{
    struct world world;
    struct reply reply;
    char request[256];
    open_world(&world);
    const struct page_asset *asset;
    for (size_t i = 0; (asset = page_asset_at(i)); i++) {
        (void)snprintf(request, sizeof request, "/static/%s", asset->name);
        get(&world, request, &reply);
        cr_expect_eq(reply.code, 200, "%s", request);
        cr_expect_not_null(strstr(reply.text, asset->content_type));
        cr_expect_not_null(strstr(reply.text, "Content-Security-Policy: default-src 'self';"));
        cr_expect_not_null(strstr(reply.text, "X-Content-Type-Options: nosniff\r\n"));
        cr_expect_eq(strlen(reply.body), *asset->n_bytes, "%s", request);
    }
    close_world(&world);
}

Test(http_server, a_file_the_browser_has_is_not_sent_again)
{
    struct world world;
    struct reply reply;
    char request[256], etag[32];
    open_world(&world);
    send_raw(&world,
             "GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"other\"\r\n"
             "Connection: close\r\n\r\n",
             &reply);
    cr_expect_eq(reply.code, 200);
    send_raw(&world, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &reply);
    cr_expect_eq(reply.code, 200);
    cr_expect_str_eq(reply.body, "");
    const char *found = strstr(reply.text, "ETag: ");
    cr_assert_not_null(found);
    cr_assert_eq(sscanf(found, "ETag: %31s", etag), 1);
    (void)snprintf(request, sizeof request,
                   "GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: %s\r\n"
                   "Connection: close\r\n\r\n",
                   etag);
    send_raw(&world, request, &reply);
    cr_expect_eq(reply.code, 304);
    cr_expect_str_eq(reply.body, "");
    close_world(&world);
}

Test(http_server, a_loop_that_does_not_answer_is_a_503_in_two_seconds)
{
    struct world world;
    struct reply reply;
    open_world(&world);
    const int64_t start_ms = clock_monotonic_ms(clock_system());
    get(&world, "/api/v1/sweeps/silent", &reply);
    const int64_t took_ms = clock_monotonic_ms(clock_system()) - start_ms;
    cr_expect_eq(reply.code, 503);
    cr_expect_not_null(strstr(reply.text, "Retry-After: 1\r\n"));
    cr_expect_not_null(strstr(reply.body, "\"status\":\"unreachable\""));
    cr_expect(took_ms >= 1900 && took_ms < 4000, "%lld ms", (long long)took_ms);
    close_world(&world);
}

struct visit {
    struct world *world;
    int number, code;
    char body[256];
};

static void *visit_once(void *context)
{
    struct visit *visit = context;
    struct reply *reply = malloc(sizeof *reply);
    char target[64];
    (void)snprintf(target, sizeof target, "/api/v1/sweeps/s-%d", visit->number);
    get(visit->world, target, reply);
    visit->code = reply->code;
    (void)snprintf(visit->body, sizeof visit->body, "%.200s", reply->body);
    free(reply);
    return NULL;
}

Test(http_server, visitors_at_once_get_their_own_answers_though_one_hangs)
{
    enum { N = 24 };
    struct world world;
    struct visit visits[N];
    pthread_t threads[N];
    open_world(&world);
    const int hanging = connect_to(&world);
    static const char half[] = "GET /api/v1/over";
    cr_assert_eq(send(hanging, half, sizeof half - 1, MSG_NOSIGNAL), (ssize_t)sizeof half - 1);
    for (int i = 0; i < N; i++) {
        visits[i] = (struct visit){.world = &world, .number = i};
        cr_assert_eq(pthread_create(&threads[i], NULL, visit_once, &visits[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        char want[64];
        (void)pthread_join(threads[i], NULL);
        (void)snprintf(want, sizeof want, "{\"sweep\":\"s-%d\"}", i);
        cr_expect_eq(visits[i].code, 200);
        cr_expect_not_null(strstr(visits[i].body, want), "%d: %s", i, visits[i].body);
    }
    (void)close(hanging);
    close_world(&world);
}

Test(http_server, stopping_does_not_wait_for_a_loop_that_is_silent)
{
    struct world world;
    open_world(&world);
    const int fd = connect_to(&world);
    static const char request[] = "GET /api/v1/sweeps/silent HTTP/1.1\r\nHost: localhost\r\n\r\n";
    cr_assert_eq(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), (ssize_t)sizeof request - 1);
    while (atomic_load(&world.n_asked) == 0) (void)poll(NULL, 0, 5);
    const int64_t start_ms = clock_monotonic_ms(clock_system());
    http_server_stop(&world.server);
    cr_expect_lt(clock_monotonic_ms(clock_system()) - start_ms, 1000);
    (void)close(fd);
    close_world(&world);
}
