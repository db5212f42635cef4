/* The page and the JSON API over HTTP, on loopback only.
 *
 * Runs on libmicrohttpd's own threads. Every request for data becomes one REQUEST to the
 * coordinator's loop over `api_endpoint`, so nothing is shared with the loop. Read-only. */
#ifndef COORDINATOR_HTTP_HTTP_SERVER_H
#define COORDINATOR_HTTP_HTTP_SERVER_H

#include "common/error.h"

struct http_server;

struct http_server_options {
    void *zmq_context;        /* borrowed */
    const char *api_endpoint; /* where the loop's router listens, e.g. inproc://api */
    const char *listen;       /* "127.0.0.1:PORT" or "[::1]:PORT"; port 0: any free one */
};

/* Errors: ST_BAD_INPUT (not a loopback address), ST_CONFLICT (port taken), ST_IO. The caller
 * owns *out. */
MUST_CHECK status_t http_server_start(struct http_server **out,
                                      const struct http_server_options *options, struct error *err);
const char *http_server_address(const struct http_server *server); /* "http://127.0.0.1:8123" */
void http_server_stop(struct http_server **server); /* NULL-safe; sets *server = NULL */

#endif
