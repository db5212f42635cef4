/* What this machine lets nobody go below: the hops of a submit, and nothing else.
 *
 *   echo_floor ENDPOINT REDIS_SOCKET PAUSE_US [ROUNDS]
 *
 * A child echoes over a ROUTER after two Redis writes, as a submit needs; the parent measures the
 * round trip, resting PAUSE_US before each. Beside submit_latency it shows how much of a latency
 * is ours and how much is waking threads that sleep. Prints one JSON line. */
#define _GNU_SOURCE
#include "common/clock.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

enum { ROUNDS_DEFAULT = 300, WARM_UP = 20, N_BYTES = 200, N_WRITES = 2, STOP = 'q' };

static void die(const char *what)
{
    (void)fprintf(stderr, "echo_floor: %s\n", what);
    exit(1);
}

static void write_twice(redisContext *redis)
{
    for (int i = 0; i < N_WRITES; i++) {
        redisReply *reply = redisCommand(redis, "SET echo_floor %d", i);
        if (!reply) die("redis");
        freeReplyObject(reply);
    }
}

static void echo(const char *endpoint, const char *redis_socket)
{
    char identity[64], body[N_BYTES] = "";
    void *context = zmq_ctx_new();
    void *socket = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
    redisContext *redis = redisConnectUnix(redis_socket);
    if (!socket || zmq_bind(socket, endpoint) != 0 || !redis || redis->err) die("echo");
    while (body[0] != STOP) {
        const int n_identity = zmq_recv(socket, identity, sizeof identity, 0);
        const int n_body = zmq_recv(socket, body, sizeof body, 0);
        if (n_identity < 0 || n_body < 0) die("receive");
        write_twice(redis);
        (void)zmq_send(socket, identity, (size_t)n_identity, ZMQ_SNDMORE);
        (void)zmq_send(socket, body, (size_t)n_body, 0);
    }
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    redisFree(redis);
    exit(0);
}

static double round_trip_us(void *socket, char first)
{
    char body[N_BYTES] = {first};
    const int64_t start_ns = clock_monotonic_ns(clock_system());
    if (zmq_send(socket, body, sizeof body, 0) < 0 || zmq_recv(socket, body, sizeof body, 0) < 0)
        die("round trip");
    return (double)(clock_monotonic_ns(clock_system()) - start_ns) * 1e-3;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc < 4) die("usage: echo_floor ENDPOINT REDIS_SOCKET PAUSE_US [ROUNDS]");
    const unsigned pause_us = (unsigned)strtoul(argv[3], NULL, 10);
    const size_t n = argc > 4 ? (size_t)strtoul(argv[4], NULL, 10) : ROUNDS_DEFAULT;
    double *us = n >= 1 && n <= 1000000 ? malloc(n * sizeof *us) : NULL;
    if (!us) die("1 to 1,000,000 rounds");
    const pid_t child = fork();
    if (child == 0) echo(argv[1], argv[2]);
    void *context = zmq_ctx_new();
    void *socket = context ? zmq_socket(context, ZMQ_DEALER) : NULL;
    if (!socket || zmq_connect(socket, argv[1]) != 0) die(argv[1]);
    for (size_t i = 0; i < WARM_UP + n; i++) {
        (void)usleep(pause_us);
        const double took_us = round_trip_us(socket, 0);
        if (i >= WARM_UP) us[i - WARM_UP] = took_us;
    }
    (void)round_trip_us(socket, STOP);
    (void)waitpid(child, NULL, 0);
    qsort(us, n, sizeof *us, compare);
    printf("{\"bench\":\"echo_floor\",\"pause_us\":%u,\"rounds\":%zu,\"p50_us\":%.0f,"
           "\"p90_us\":%.0f,\"p99_us\":%.0f}\n",
           pause_us, n, us[n / 2], us[n * 9 / 10], us[n * 99 / 100]);
    free(us);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    return 0;
}
