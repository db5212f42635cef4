#include "coordinator/http/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_SIZE = 48, PORT_MAX = 65535 };

union any_address {
    struct sockaddr plain;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A host and the text behind it: ":PORT" or "". */
struct host_part {
    char host[HOST_SIZE]; /* without brackets */
    bool is_v6;
    const char *rest;
};

static bool split_host(const char *text, struct host_part *out)
{
    const char *start = text, *end;
    out->is_v6 = text[0] == '[';
    if (out->is_v6) {
        start = text + 1;
        end = strchr(start, ']');
        if (!end) return false;
        out->rest = end + 1;
    } else {
        end = start + strcspn(start, ":");
        out->rest = end;
    }
    const size_t n = (size_t)(end - start);
    if (n == 0 || n >= sizeof out->host) return false;
    memcpy(out->host, start, n);
    out->host[n] = '\0';
    return true;
}

/* ":0" to ":65535"; -1 for anything else. */
static int parse_port(const char *text)
{
    int port = 0;
    if (text[0] != ':' || !text[1]) return -1;
    for (const char *digit = text + 1; *digit; digit++) {
        if (*digit < '0' || *digit > '9') return -1;
        port = port * 10 + (*digit - '0');
        if (port > PORT_MAX) return -1;
    }
    return port;
}

static bool parse_loopback(const struct host_part *part, union any_address *out)
{
    memset(out, 0, sizeof *out);
    if (part->is_v6) {
        out->v6.sin6_family = AF_INET6;
        return inet_pton(AF_INET6, part->host, &out->v6.sin6_addr) == 1 &&
               IN6_IS_ADDR_LOOPBACK(&out->v6.sin6_addr);
    }
    out->v4.sin_family = AF_INET;
    return inet_pton(AF_INET, part->host, &out->v4.sin_addr) == 1 &&
           (ntohl(out->v4.sin_addr.s_addr) >> 24) == 127;
}

bool http_host_is_loopback(const char *host)
{
    struct host_part part;
    union any_address address;
    if (!host || !split_host(host, &part)) return false;
    if (part.rest[0] && parse_port(part.rest) < 0) return false;
    if (!part.is_v6 && strcasecmp(part.host, "localhost") == 0) return true;
    return parse_loopback(&part, &address);
}

static status_t parse_listen(const char *text, union any_address *out, struct error *err)
{
    struct host_part part;
    const int port = split_host(text, &part) ? parse_port(part.rest) : -1;
    if (port < 0)
        return error_set(err, ST_BAD_INPUT,
                         "http address \"%s\": write 127.0.0.1:PORT or [::1]:PORT", text);
    if (!parse_loopback(&part, out))
        return error_set(err, ST_BAD_INPUT,
                         "http address \"%s\" is not a loopback address: the page has no login; "
                         "use 127.0.0.1:%d and a tunnel (ssh -L)",
                         text, port);
    if (part.is_v6)
        out->v6.sin6_port = htons((uint16_t)port);
    else
        out->v4.sin_port = htons((uint16_t)port);
    return ST_OK;
}

static status_t write_address(int fd, char out[HTTP_ADDRESS_SIZE], struct error *err)
{
    union any_address bound;
    socklen_t size = sizeof bound;
    char host[INET6_ADDRSTRLEN];
    memset(&bound, 0, sizeof bound);
    if (getsockname(fd, &bound.plain, &size) != 0)
        return error_set(err, ST_IO, "http address: %s", strerror(errno));
    const bool is_v6 = bound.plain.sa_family == AF_INET6;
    const void *raw = is_v6 ? (const void *)&bound.v6.sin6_addr : (const void *)&bound.v4.sin_addr;
    const unsigned port = ntohs(is_v6 ? bound.v6.sin6_port : bound.v4.sin_port);
    if (!inet_ntop(bound.plain.sa_family, raw, host, sizeof host))
        return error_set(err, ST_IO, "http address: %s", strerror(errno));
    (void)snprintf(out, HTTP_ADDRESS_SIZE, is_v6 ? "http://[%s]:%u" : "http://%s:%u", host, port);
    return ST_OK;
}

static status_t bind_and_listen(int fd, const union any_address *address, const char *text,
                                struct error *err)
{
    const int on = 1;
    const socklen_t size =
        address->plain.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a quick restart */
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && bind(fd, &address->plain, size) == 0 &&
        listen(fd, HTTP_BACKLOG) == 0)
        return ST_OK;
    return error_set(err, errno == EADDRINUSE ? ST_CONFLICT : ST_IO, "http address %s: %s", text,
                     strerror(errno));
}

status_t http_listen_open(struct http_listen *out, const char *listen_text, struct error *err)
{
    union any_address address;
    struct http_listen made;
    status_t status = parse_listen(listen_text, &address, err);
    if (status != ST_OK) return status;
    made.fd = socket(address.plain.sa_family, SOCK_STREAM, 0);
    if (made.fd < 0)
        return error_set(err, ST_IO, "http address %s: %s", listen_text, strerror(errno));
    status = bind_and_listen(made.fd, &address, listen_text, err);
    if (status == ST_OK) status = write_address(made.fd, made.address, err);
    if (status == ST_OK)
        *out = made;
    else
        (void)close(made.fd);
    return status;
}
