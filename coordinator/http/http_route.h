/* Which path answers what: one table, from path and query to a question for the loop or a file
 * of the page. Everything in a path or query is untrusted and read strictly. Pure; any thread. */
#ifndef COORDINATOR_HTTP_HTTP_ROUTE_H
#define COORDINATOR_HTTP_HTTP_ROUTE_H

#include "common/error.h"
#include "coordinator/http/page_assets.h"

#include <jansson.h>
#include <stddef.h>

enum { HTTP_QUERY_MAX = 8, HTTP_SEGMENT_MAX = 80 };

/* Decoded query of a request; borrowed. */
struct http_query {
    const char *names[HTTP_QUERY_MAX];
    const char *values[HTTP_QUERY_MAX]; /* NULL: no '=' */
    size_t n;
};

enum http_body {
    HTTP_BODY_JSON,    /* the answer as it is */
    HTTP_BODY_HEALTH,  /* the same, 503 while Redis is away */
    HTTP_BODY_METRICS, /* its `text` as a Prometheus exposition */
    HTTP_BODY_ASSET    /* a file of the page */
};

struct http_route {
    enum http_body body;
    const struct page_asset *asset; /* of HTTP_BODY_ASSET */
    const char *operation;          /* of the others; static text */
    json_t *args;                   /* its arguments; owned, NULL for an asset */
};

/* `path` is decoded and starts with '/'. On ST_OK the caller releases out->args
 * (json_decref). Errors: ST_NOT_FOUND (no such path), ST_BAD_INPUT (an id, number or query key
 * that cannot be), ST_NO_MEMORY. */
MUST_CHECK status_t http_route_find(const char *path, const struct http_query *query,
                                    struct http_route *out, struct error *err);

#endif
