#include "common/endpoint.h"

#include <arpa/inet.h>
#include <string.h>

enum { HOST_SIZE = 64 };

bool endpoint_is_inside(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0 || strncmp(endpoint, "inproc://", 9) == 0;
}

/* "tcp://HOST:PORT" -> HOST without brackets. */
static bool copy_host(const char *endpoint, char out[HOST_SIZE])
{
    if (strncmp(endpoint, "tcp://", 6) != 0) return false;
    const char *host = endpoint + 6, *end = strrchr(host, ':');
    if (!end) return false;
    if (host[0] == '[' && end > host && end[-1] == ']') {
        host++;
        end--;
    }
    const size_t n = (size_t)(end - host);
    if (n == 0 || n >= HOST_SIZE) return false;
    memcpy(out, host, n);
    out[n] = '\0';
    return true;
}

bool endpoint_is_loopback(const char *endpoint)
{
    char host[HOST_SIZE];
    struct in_addr v4;
    struct in6_addr v6;
    if (endpoint_is_inside(endpoint)) return true;
    if (!copy_host(endpoint, host)) return false;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "lo") == 0) return true;
    if (inet_pton(AF_INET, host, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
