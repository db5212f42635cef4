/* The work of `bench-queue` done by beanstalkd: jobs with 200-byte bodies put, reserved and deleted
 * by 2 clients. So that the peer is not held up by round trips, a client has WINDOW jobs in flight:
 * one write carries the deletes of the last window and the puts and reserves of the next.
 *
 *   beanstalk_peer SOCKET JOBS LABEL      a JSON line; LABEL says how often the peer syncs */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { N_CLIENTS = 2, WINDOW = 200, BODY_BYTES = 200, LINE_MAX_BYTES = 256, IN_BYTES = 1 << 16 };

struct client {
    int fd;
    char in[IN_BYTES];
    size_t n_in, at;
    char out[WINDOW * (BODY_BYTES + 3 * LINE_MAX_BYTES)];
    size_t n_out;
    unsigned long long reserved[WINDOW];
    size_t n_reserved;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "beanstalk_peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void dial(struct client *client, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) die("the socket's path is too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    client->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (client->fd < 0 ||
        connect(client->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        die(path);
}

static void flush(struct client *client)
{
    for (size_t done = 0; done < client->n_out;) {
        const ssize_t n = write(client->fd, client->out + done, client->n_out - done);
        if (n <= 0) die("write");
        done += (size_t)n;
    }
    client->n_out = 0;
}

static char next_byte(struct client *client)
{
    if (client->at == client->n_in) {
        const ssize_t n = read(client->fd, client->in, sizeof client->in);
        if (n <= 0) die("read");
        client->n_in = (size_t)n;
        client->at = 0;
    }
    return client->in[client->at++];
}

static void read_line(struct client *client, char line[LINE_MAX_BYTES])
{
    size_t n = 0;
    while ((line[n] = next_byte(client)) != '\n')
        if (++n == LINE_MAX_BYTES) die("a reply is too long");
    line[n ? n - 1 : 0] = '\0';
}

static void expect(struct client *client, const char *want)
{
    char line[LINE_MAX_BYTES];
    read_line(client, line);
    if (strncmp(line, want, strlen(want)) == 0) return;
    (void)fprintf(stderr, "beanstalk_peer: %s instead of %s\n", line, want);
    exit(1);
}

static void say(struct client *client, const char *text, size_t n)
{
    memcpy(client->out + client->n_out, text, n);
    client->n_out += n;
}

static void say_deletes(struct client *client)
{
    char line[LINE_MAX_BYTES];
    for (size_t i = 0; i < client->n_reserved; i++)
        say(client, line,
            (size_t)snprintf(line, sizeof line, "delete %llu\r\n", client->reserved[i]));
}

static void say_puts_and_reserves(struct client *client, size_t n)
{
    char job[LINE_MAX_BYTES + BODY_BYTES];
    const int n_head = snprintf(job, sizeof job, "put 0 0 120 %d\r\n", BODY_BYTES);
    memset(job + n_head, 'x', BODY_BYTES);
    memcpy(job + n_head + BODY_BYTES, "\r\n", 2);
    for (size_t i = 0; i < n; i++) say(client, job, (size_t)n_head + BODY_BYTES + 2);
    for (size_t i = 0; i < n; i++) say(client, "reserve\r\n", 9);
}

static void hear_reserved(struct client *client, size_t n)
{
    char line[LINE_MAX_BYTES];
    for (size_t i = 0; i < n; i++) {
        char *end;
        read_line(client, line);
        if (strncmp(line, "RESERVED ", 9) != 0) die(line);
        client->reserved[i] = strtoull(line + 9, &end, 10);
        if (strtoul(end, NULL, 10) != BODY_BYTES) die(line);
        for (size_t j = 0; j < BODY_BYTES + 2; j++) (void)next_byte(client);
    }
    client->n_reserved = n;
}

static void work(const char *path, size_t n_jobs)
{
    static struct client client;
    dial(&client, path);
    for (size_t left = n_jobs; left || client.n_reserved;) {
        const size_t n = left < WINDOW ? left : WINDOW, n_deleted = client.n_reserved;
        say_deletes(&client);
        say_puts_and_reserves(&client, n);
        flush(&client);
        for (size_t i = 0; i < n_deleted; i++) expect(&client, "DELETED");
        for (size_t i = 0; i < n; i++) expect(&client, "INSERTED ");
        hear_reserved(&client, n);
        left -= n;
    }
    (void)close(client.fd);
}

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 4) die("usage: beanstalk_peer SOCKET JOBS LABEL");
    const size_t n_jobs = strtoul(argv[2], NULL, 10) / N_CLIENTS * N_CLIENTS;
    const double began = now_seconds();
    for (int i = 0; i < N_CLIENTS; i++) {
        const pid_t pid = fork();
        if (pid < 0) die("fork");
        if (pid == 0) {
            work(argv[1], n_jobs / N_CLIENTS);
            exit(0);
        }
    }
    for (int i = 0, info; i < N_CLIENTS; i++)
        if (wait(&info) < 0 || info != 0) return 1;
    const double seconds = now_seconds() - began;
    (void)printf("{\"bench\": \"beanstalkd\", \"appendfsync\": \"%s\", \"clients\": %d, "
                 "\"units\": %zu, \"seconds\": %.3f, \"units_per_second\": %.0f}\n",
                 argv[3], N_CLIENTS, n_jobs, seconds, (double)n_jobs / seconds);
    return 0;
}
