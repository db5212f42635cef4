/* HTTP requests to providers: many at once on one thread, by libcurl's multi interface.
 *
 * Connections are kept alive (HTTP/2 where the endpoint has it), certificates verified, redirects
 * not followed, sizes and times bounded, and a request is never resent behind our back: its body
 * cannot be rewound, so a connection that dies after a byte of it went out ends the transfer.
 * The API key is in a header only and appears in no error text. Belongs to the loop thread. */
#ifndef COORDINATOR_GATEWAY_TRANSFER_H
#define COORDINATOR_GATEWAY_TRANSFER_H

#include "common/buffer.h"
#include "common/clock.h"
#include "common/error.h"
#include "coordinator/gateway/provider_config.h"
#include "coordinator/gateway/rate_headers.h"

#include <curl/curl.h>
#include <stdbool.h>

struct transfer_pool;

/* How a request ended, as far as the wire goes. */
enum transfer_end {
    TRANSFER_ANSWERED, /* a whole HTTP answer came; see http_status */
    TRANSFER_UNSENT,   /* no byte of the request went out */
    TRANSFER_REFUSED,  /* unsent because the certificate or the URL is not acceptable */
    TRANSFER_BROKEN,   /* it went out, at least in part, and no whole answer came */
    TRANSFER_TOO_LARGE /* the answer passed the size cap and was cut */
};

struct transfer {
    enum transfer_end end;
    int http_status;  /* 0 if none came */
    const char *body; /* [n_body_bytes], borrowed until transfer_release() */
    size_t n_body_bytes;
    struct rate_headers headers;
    int64_t latency_ms;
    char problem[CURL_ERROR_SIZE]; /* why it did not end ANSWERED */
    void *context;                 /* the caller's, from transfer_start() */
};

/* Errors: ST_NO_MEMORY, ST_INTERNAL. `clock` is borrowed. */
MUST_CHECK status_t transfer_pool_create(struct transfer_pool **out, size_t max_transfers,
                                         const struct clock *clock, struct error *err);
void transfer_pool_destroy(struct transfer_pool **pool); /* NULL-safe; aborts what runs */

/* Where requests of one provider go. */
struct transfer_target {
    char *url;                       /* base_url/chat/completions; owned */
    struct curl_slist *headers;      /* content type and authorization; owned */
    struct curl_slist *form_headers; /* the same for the upload of a batch's file; owned */
    const struct provider *provider;
};
MUST_CHECK status_t transfer_target_init(struct transfer_target *out,
                                         const struct provider *provider, struct error *err);
void transfer_target_fini(struct transfer_target *target);
/* Blot out the API key in `text`, should a provider have echoed it. */
void transfer_target_redact(const struct transfer_target *target, char *text);

/* Begin a POST of `body` (borrowed until it is released). Errors: ST_BUSY (max_transfers run),
 * ST_NO_MEMORY, ST_INTERNAL: nothing was sent. */
MUST_CHECK status_t transfer_start(struct transfer_pool *pool, const struct transfer_target *target,
                                   const char *body, size_t n_body_bytes, void *context,
                                   struct error *err);

/* Another request to the same provider. A GET that broke says TRANSFER_UNSENT. */
struct transfer_request {
    const char *path; /* behind base_url, begins with '/' */
    const char *body; /* [n_body_bytes], borrowed until it is released; NULL: a GET */
    size_t n_body_bytes;
    size_t max_answer_bytes; /* 0: COMPLETION_BODY_MAX */
    bool is_form;            /* batch_form_type in place of JSON */
};
/* Errors as of transfer_start(), ST_TOO_LARGE (path). */
MUST_CHECK status_t transfer_start_request(struct transfer_pool *pool,
                                           const struct transfer_target *target,
                                           const struct transfer_request *request, void *context,
                                           struct error *err);

/* Move data for up to wait_ms, less if something happens on a socket or on one of the `fds`. */
MUST_CHECK status_t transfer_pool_run(struct transfer_pool *pool, int wait_ms,
                                      struct curl_waitfd *fds, unsigned n_fds, struct error *err);

/* The next ended transfer, or NULL. Give each back with transfer_release(). */
struct transfer *transfer_next_ended(struct transfer_pool *pool);
void transfer_release(struct transfer_pool *pool, struct transfer *transfer);

size_t transfer_n_running(const struct transfer_pool *pool);

/* Let transfer_pool_run() return early. The one function that other threads may call. */
void transfer_pool_wake(struct transfer_pool *pool);

#endif
