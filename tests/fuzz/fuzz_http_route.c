/* Any bytes as path, query and Host header: refused with one line, or a question whose arguments
 * are small numbers and clean ids. Input: a path, then "name\nvalue" pairs, each ended by a NUL.
 * Built with -fsanitize=fuzzer. */
#include "coordinator/http/http_listen.h"
#include "coordinator/http/http_route.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 4096, ID_MAX = 79 };

/* The next NUL-terminated text; NULL at the end. */
static char *next_text(char **at, const char *end)
{
    char *text = *at;
    if (text >= end) return NULL;
    *at = text + strlen(text) + 1;
    return text;
}

static void check_argument(const json_t *value)
{
    if (json_is_integer(value)) {
        if (json_integer_value(value) < 0) abort();
        return;
    }
    const char *text = json_string_value(value);
    if (!text || !*text || strlen(text) > ID_MAX) abort();
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || strchr("/\"'<>&:#?\\", *text)) abort();
}

static void check_route(const struct http_route *route)
{
    const char *key;
    json_t *value;
    if (route->body == HTTP_BODY_ASSET) {
        if (!route->asset || route->args) abort();
        return;
    }
    if (!route->operation || !json_is_object(route->args)) abort();
    json_object_foreach(route->args, key, value) check_argument(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    if (size > TEXT_MAX) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *at = text, *const end = text + size;
    struct http_query query = {.n = 0};
    struct http_route route;
    struct error err = {.status = ST_OK};
    const char *path = next_text(&at, end);
    if (!path) return 0;
    (void)http_host_is_loopback(path);
    char *pair;
    while (query.n < HTTP_QUERY_MAX && (pair = next_text(&at, end))) {
        char *value = strchr(pair, '\n');
        if (value) *value++ = '\0';
        query.names[query.n] = pair;
        query.values[query.n++] = value;
    }
    const status_t status = http_route_find(path, &query, &route, &err);
    if (status != ST_OK && err.text[0] == '\0') abort();
    if (status != ST_OK) return 0;
    check_route(&route);
    json_decref(route.args);
    return 0;
}
