/* Threads: one per connection (at most CONNECTIONS_MAX), so that a loop that is slow to answer
 * one page does not hold up another, nor a client that sends one byte a second. Nothing is
 * shared between them but the options, which do not change, and the stop flag. */
#include "coordinator/http/http_server.h"

#include "coordinator/http/http_ask.h"
#include "coordinator/http/http_listen.h"
#include "coordinator/http/http_reply.h"
#include "coordinator/http/http_route.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 64,
    CONNECTION_TIMEOUT_S = 15,
    CONNECTION_MEMORY_BYTES = 16 * 1024, /* bounds request line and headers */
    THREAD_STACK_BYTES = 512 * 1024,
    TARGET_MAX_BYTES = 1024
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_listen listen;
    char *endpoint;
    struct http_ask ask;
    atomic_bool is_stopping;
};

/* What is known of a request from its first line; lives until it is answered. */
struct request {
    bool is_target_too_long;
    bool has_encoded_nul; /* "%00" would cut the decoded path short */
    bool is_begun;
};

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    (void)context, (void)connection;
    struct request *request = calloc(1, sizeof *request);
    if (!request) return NULL;
    request->is_target_too_long = strlen(target) > TARGET_MAX_BYTES;
    request->has_encoded_nul = strstr(target, "%00") != NULL;
    return request;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode how)
{
    (void)context, (void)connection, (void)how;
    free(*request);
    *request = NULL;
}

/* --- data ---------------------------------------------------------------------------------- */

static enum MHD_Result reply_metrics(struct MHD_Connection *connection, const struct buffer *json)
{
    struct error problem = {0};
    struct buffer text;
    json_t *answer = json_loadb((const char *)json->bytes, json->n_bytes, 0, NULL);
    const char *exposition = json_string_value(json_object_get(answer, "text"));
    buffer_init(&text, HTTP_ANSWER_MAX_BYTES);
    const status_t status = exposition ? buffer_append_text(&text, exposition, &problem)
                                       : error_set(&problem, ST_PROTOCOL, "metrics without text");
    const enum MHD_Result queued =
        status == ST_OK
            ? http_reply_data(connection, MHD_HTTP_OK, "text/plain; version=0.0.4", &text)
            : http_reply_error(connection, http_reply_code(status), &problem);
    buffer_fini(&text);
    json_decref(answer);
    return queued;
}

/* Healthy: the loop answers and Redis is there. */
static unsigned health_code(const struct buffer *json)
{
    json_t *answer = json_loadb((const char *)json->bytes, json->n_bytes, 0, NULL);
    const bool is_up = json_is_true(json_object_get(answer, "is_store_up"));
    json_decref(answer);
    return is_up ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static enum MHD_Result reply_from_loop(const struct http_server *server,
                                       struct MHD_Connection *connection,
                                       const struct http_route *route)
{
    struct error problem = {0};
    struct buffer json;
    enum MHD_Result queued;
    buffer_init(&json, HTTP_ANSWER_MAX_BYTES);
    const status_t status = http_ask(&server->ask, route->operation, route->args, &json, &problem);
    if (status != ST_OK)
        queued = http_reply_error(connection, http_reply_code(status), &problem);
    else if (route->body == HTTP_BODY_METRICS)
        queued = reply_metrics(connection, &json);
    else
        queued = http_reply_data(connection,
                                 route->body == HTTP_BODY_HEALTH ? health_code(&json) : MHD_HTTP_OK,
                                 "application/json", &json);
    buffer_fini(&json);
    return queued;
}

/* --- one request --------------------------------------------------------------------------- */

static enum MHD_Result add_query_value(void *context, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
    struct http_query *query = context;
    (void)kind;
    if (query->n == HTTP_QUERY_MAX) return MHD_NO;
    query->names[query->n] = name;
    query->values[query->n++] = value;
    return MHD_YES;
}

/* The HTTP code of a request that is refused before routing; 0: go on. */
static unsigned refuse(struct MHD_Connection *connection, const char *method,
                       const struct request *request, struct error *problem)
{
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (!http_host_is_loopback(host)) {
        (void)error_set(problem, ST_BAD_INPUT,
                        "Host \"%.100s\" is not this machine: use 127.0.0.1 or localhost",
                        host ? host : "");
        return MHD_HTTP_FORBIDDEN;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        (void)error_set(problem, ST_UNSUPPORTED, "%.20s: the page is read-only", method);
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (request->is_target_too_long) {
        (void)error_set(problem, ST_TOO_LARGE, "an address of more than %d bytes",
                        TARGET_MAX_BYTES);
        return MHD_HTTP_URI_TOO_LONG;
    }
    if (request->has_encoded_nul) {
        (void)error_set(problem, ST_BAD_INPUT, "an address with a NUL in it");
        return MHD_HTTP_BAD_REQUEST;
    }
    return 0;
}

static enum MHD_Result answer(const struct http_server *server, struct MHD_Connection *connection,
                              const char *path, const struct request *request, const char *method)
{
    struct error problem = {0};
    struct http_query query = {.n = 0};
    struct http_route route;
    const unsigned refused = refuse(connection, method, request, &problem);
    if (refused) return http_reply_error(connection, refused, &problem);
    const int n_keys =
        MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_query_value, &query);
    status_t status = n_keys > HTTP_QUERY_MAX ? error_set(&problem, ST_BAD_INPUT,
                                                          "more than %d query keys", HTTP_QUERY_MAX)
                                              : http_route_find(path, &query, &route, &problem);
    if (status != ST_OK) return http_reply_error(connection, http_reply_code(status), &problem);
    if (route.body == HTTP_BODY_ASSET) return http_reply_asset(connection, route.asset);
    const enum MHD_Result queued = reply_from_loop(server, connection, &route);
    json_decref(route.args);
    return queued;
}

/* libmicrohttpd calls once when the headers are read and again for the body and its end. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *n_upload, void **state)
{
    struct request *request = *state;
    (void)version, (void)upload;
    if (!request) return MHD_NO; /* no memory for it */
    const bool is_upload =
        strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0;
    if (!request->is_begun && !is_upload) { /* wait for the end, so that keep-alive works */
        request->is_begun = true;
        return MHD_YES;
    }
    if (*n_upload) { /* a body where none belongs is read and dropped */
        *n_upload = 0;
        return MHD_YES;
    }
    return answer(context, connection, path, request, method);
}

/* --- life ---------------------------------------------------------------------------------- */

static status_t start_daemon(struct http_server *server, struct error *err)
{
    const struct MHD_OptionItem items[] = {
        {MHD_OPTION_LISTEN_SOCKET, server->listen.fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK_BYTES, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ITC,
        0, NULL, NULL, on_request, server, MHD_OPTION_ARRAY, items, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (!server->daemon)
        return error_set(err, ST_IO, "HTTP server at %s: %s", server->listen.address,
                         strerror(errno));
    server->listen.fd = -1; /* the daemon's now */
    return ST_OK;
}

status_t http_server_start(struct http_server **out, const struct http_server_options *options,
                           struct error *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) return error_set(err, ST_NO_MEMORY, "HTTP server");
    server->listen.fd = -1;
    atomic_init(&server->is_stopping, false);
    server->endpoint = strdup(options->api_endpoint);
    status_t status = server->endpoint ? http_listen_open(&server->listen, options->listen, err)
                                       : error_set(err, ST_NO_MEMORY, "HTTP server");
    server->ask = (struct http_ask){.zmq_context = options->zmq_context,
                                    .endpoint = server->endpoint,
                                    .is_stopping = &server->is_stopping};
    if (status == ST_OK) status = start_daemon(server, err);
    if (status == ST_OK)
        *out = server;
    else
        http_server_stop(&server);
    return status;
}

const char *http_server_address(const struct http_server *server)
{
    return server->listen.address;
}

void http_server_stop(struct http_server **server)
{
    if (!server || !*server) return;
    struct http_server *it = *server;
    atomic_store(&it->is_stopping, true);
    if (it->daemon) MHD_stop_daemon(it->daemon);
    if (it->listen.fd >= 0) (void)close(it->listen.fd);
    free(it->endpoint);
    free(it);
    *server = NULL;
}
