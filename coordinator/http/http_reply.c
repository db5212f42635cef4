#include "coordinator/http/http_reply.h"

#include "common/hash.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ETAG_SIZE = 24 };

/* No inline script or style, nothing from elsewhere, no framing: text that an LLM wrote has no
 * way to become code even if a view had a mistake. */
static const struct {
    const char *name, *value;
} security_headers[] = {
    {"Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; "
                                "frame-ancestors 'none'; object-src 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};

unsigned http_reply_code(status_t status)
{
    switch (status) {
    case ST_OK: return MHD_HTTP_OK;
    case ST_BAD_INPUT: return MHD_HTTP_BAD_REQUEST;
    case ST_NOT_FOUND: return MHD_HTTP_NOT_FOUND;
    case ST_UNSUPPORTED: return MHD_HTTP_NOT_IMPLEMENTED;
    case ST_CONFLICT: return MHD_HTTP_CONFLICT;
    case ST_UNREACHABLE:
    case ST_TIMEOUT:
    case ST_BUSY:
    case ST_CANCELLED: return MHD_HTTP_SERVICE_UNAVAILABLE;
    case ST_CORRUPT:
    case ST_IO:
    case ST_NO_MEMORY:
    case ST_TOO_LARGE:
    case ST_PROTOCOL:
    case ST_INTERNAL: break;
    }
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* Add the headers and queue; takes `response`, which may be NULL. */
static enum MHD_Result queue(struct MHD_Connection *connection, unsigned code,
                             struct MHD_Response *response, const char *cache_control)
{
    if (!response) return MHD_NO;
    bool ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, cache_control);
    for (size_t i = 0; i < sizeof security_headers / sizeof security_headers[0]; i++)
        ok = ok &&
             MHD_add_response_header(response, security_headers[i].name, security_headers[i].value);
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (code == MHD_HTTP_SERVICE_UNAVAILABLE)
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    const enum MHD_Result queued = ok ? MHD_queue_response(connection, code, response) : MHD_NO;
    MHD_destroy_response(response);
    return queued;
}

static struct MHD_Response *make_response(const char *content_type, const void *bytes,
                                          size_t n_bytes, enum MHD_ResponseMemoryMode mode)
{
    /* libmicrohttpd takes a non-const pointer and, in these modes, only reads through it */
    void *data = (void *)(uintptr_t)bytes;
    struct MHD_Response *response = MHD_create_response_from_buffer(n_bytes, data, mode);
    if (response &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) != MHD_YES) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return response;
}

enum MHD_Result http_reply_asset(struct MHD_Connection *connection, const struct page_asset *asset)
{
    char etag[ETAG_SIZE];
    (void)snprintf(etag, sizeof etag, "\"%016llx\"",
                   (unsigned long long)hash_name64(asset->bytes, *asset->n_bytes));
    const char *known =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    const bool is_fresh = known && strcmp(known, etag) == 0;
    struct MHD_Response *response =
        make_response(asset->content_type, is_fresh ? "" : asset->bytes,
                      is_fresh ? 0 : *asset->n_bytes, MHD_RESPMEM_PERSISTENT);
    if (response && MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag) != MHD_YES) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return queue(connection, is_fresh ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response, "no-cache");
}

enum MHD_Result http_reply_data(struct MHD_Connection *connection, unsigned code,
                                const char *content_type, const struct buffer *body)
{
    struct MHD_Response *response =
        make_response(content_type, body->bytes ? (const char *)body->bytes : "", body->n_bytes,
                      MHD_RESPMEM_MUST_COPY);
    return queue(connection, code, response, "no-store");
}

enum MHD_Result http_reply_error(struct MHD_Connection *connection, unsigned code,
                                 const struct error *problem)
{
    static const char *const type = "application/json";
    json_t *json = json_pack("{s:{s:s, s:s%}}", "error", "status", status_name(problem->status),
                             "message", problem->text, strlen(problem->text));
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text) { /* the message is not UTF-8, or no memory */
        static const char plain[] = "{\"error\":{\"status\":\"internal\",\"message\":\"\"}}";
        return queue(connection, code,
                     make_response(type, plain, sizeof plain - 1, MHD_RESPMEM_PERSISTENT),
                     "no-store");
    }
    struct MHD_Response *response = make_response(type, text, strlen(text), MHD_RESPMEM_MUST_COPY);
    free(text);
    return queue(connection, code, response, "no-store");
}
