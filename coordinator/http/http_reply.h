/* Answers over HTTP: status, headers, body. Every answer carries the same security headers;
 * data is never cached, files of the page are revalidated by ETag. Called on the server's
 * threads, each for its own connection. */
#ifndef COORDINATOR_HTTP_HTTP_REPLY_H
#define COORDINATOR_HTTP_HTTP_REPLY_H

#include "common/buffer.h"
#include "common/error.h"
#include "coordinator/http/page_assets.h"

#include <microhttpd.h>

/* The HTTP status that says what a status_t says. */
unsigned http_reply_code(status_t status);

/* Each returns what libmicrohttpd wants back from its handler. */
enum MHD_Result http_reply_asset(struct MHD_Connection *connection, const struct page_asset *asset);
enum MHD_Result http_reply_data(struct MHD_Connection *connection, unsigned code,
                                const char *content_type, const struct buffer *body);
/* {"error": {"status": "not_found", "message": "..."}} with code `code`. */
enum MHD_Result http_reply_error(struct MHD_Connection *connection, unsigned code,
                                 const struct error *problem);

#endif
