/* How long from a client's SUBMIT to the LEASE in a worker's hands, on a cluster that rested for
 * PAUSE_US before each (idle: 20000) or, with 0, has just done the same.
 *
 *   submit_latency ENDPOINT PAUSE_US [ROUNDS]
 *
 * Plays both ends over the real sockets: a client that submits one-unit noop sweeps (and cancels
 * each afterwards) and the only worker. Prints one JSON line with percentiles in microseconds. */
#define _GNU_SOURCE
#include "common/clock.h"
#include "common/transport.h"
#include "common/version.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS_DEFAULT = 300, WARM_UP = 20, WAIT_MS = 5000 };

struct ends {
    void *client, *worker;
    struct transport_message incoming;
};

static void die(const char *what, const struct error *err)
{
    (void)fprintf(stderr, "submit_latency: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static void *connect_to(void *context, const char *endpoint)
{
    const int linger = 0;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    if (!socket || zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_connect(socket, endpoint) != 0)
        die(endpoint, NULL);
    return socket;
}

/* The next message of `type`; others (WELCOME, SPEC, REVOKE, answers) are passed over. */
static void await(struct ends *ends, void *socket, enum wire_type type)
{
    for (;;) {
        zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
        struct error err = {0};
        if (zmq_poll(&item, 1, WAIT_MS) <= 0) die("nothing came within 5 s", NULL);
        if (transport_receive(socket, false, &ends->incoming, &err) != ST_OK) die("receive", &err);
        if (ends->incoming.wire.type == type) return;
    }
}

static void send_or_die(void *socket, const struct wire_message *message, const char *bulk)
{
    struct error err = {0};
    if (transport_send(socket, NULL, message, bulk, bulk ? strlen(bulk) : 0, &err) != ST_OK)
        die("send", &err);
}

static void join_as_worker(struct ends *ends)
{
    const struct wire_message hello = {.type = WIRE_HELLO,
                                       .name = wire_text_of("latency-probe"),
                                       .pid = (uint64_t)getpid(),
                                       .host = wire_text_of("localhost"),
                                       .backend = wire_text_of("cpu"),
                                       .isa = wire_text_of("none"),
                                       .n_threads = 1,
                                       .code_version = wire_text_of(version_text())};
    send_or_die(ends->worker, &hello, NULL);
    await(ends, ends->worker, WIRE_WELCOME);
}

static void beat(struct ends *ends)
{
    const struct wire_message message = {.type = WIRE_HEARTBEAT};
    send_or_die(ends->worker, &message, NULL);
}

static void cancel(struct ends *ends, uint64_t id)
{
    char sweep[128] = "", args[256];
    json_t *answer =
        json_loadb(zmq_msg_data(&ends->incoming.bulk), zmq_msg_size(&ends->incoming.bulk), 0, NULL);
    const char *name = json_string_value(json_object_get(answer, "sweep"));
    if (name) (void)snprintf(sweep, sizeof sweep, "%s", name);
    json_decref(answer);
    (void)snprintf(args, sizeof args, "{\"sweep\":\"%s\"}", sweep);
    const struct wire_message request = {
        .type = WIRE_REQUEST, .id = id, .name = wire_text_of("cancel")};
    send_or_die(ends->client, &request, args);
    await(ends, ends->client, WIRE_ANSWER);
}

static double one_round(struct ends *ends, uint64_t round, unsigned pause_us)
{
    char args[512];
    (void)snprintf(args, sizeof args,
                   "{\"yaml\":\"kind: noop\\nname: latency\\nn_units: 1\\n\",\"directory\":\"/\","
                   "\"file\":\"bench\",\"client_key\":\"latency-%ld-%llu\"}",
                   (long)getpid(), (unsigned long long)round);
    const struct wire_message request = {
        .type = WIRE_REQUEST, .id = 2 * round, .name = wire_text_of("submit")};
    beat(ends);
    (void)usleep(pause_us);
    const int64_t start_ns = clock_monotonic_ns(clock_system());
    send_or_die(ends->client, &request, args);
    await(ends, ends->worker, WIRE_LEASE);
    const int64_t end_ns = clock_monotonic_ns(clock_system());
    await(ends, ends->client, WIRE_ANSWER);
    cancel(ends, 2 * round + 1);
    return (double)(end_ns - start_ns) * 1e-3;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const size_t n = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : ROUNDS_DEFAULT;
    if (argc < 3 || n < 1 || n > 1000000)
        die("usage: submit_latency ENDPOINT PAUSE_US [ROUNDS]", NULL);
    const unsigned pause_us = (unsigned)strtoul(argv[2], NULL, 10);
    void *context = zmq_ctx_new();
    struct ends ends = {.client = connect_to(context, argv[1]),
                        .worker = connect_to(context, argv[1])};
    transport_message_init(&ends.incoming);
    double *us = malloc(n * sizeof *us);
    if (!us) die("memory", NULL);
    join_as_worker(&ends);
    for (size_t i = 0; i < WARM_UP; i++) (void)one_round(&ends, i + 1, pause_us);
    for (size_t i = 0; i < n; i++) us[i] = one_round(&ends, WARM_UP + i + 1, pause_us);
    qsort(us, n, sizeof *us, compare);
    printf("{\"bench\":\"submit_to_start\",\"pause_us\":%u,\"rounds\":%zu,\"p50_us\":%.0f,"
           "\"p90_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f}\n",
           pause_us, n, us[n / 2], us[n * 9 / 10], us[n * 99 / 100], us[n - 1]);
    free(us);
    transport_message_fini(&ends.incoming);
    (void)zmq_close(ends.client);
    (void)zmq_close(ends.worker);
    (void)zmq_ctx_term(context);
    return 0;
}
