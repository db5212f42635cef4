#include "coordinator/gateway/transfer.h"

#include "coordinator/gateway/batch_file.h"
#include "coordinator/gateway/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_CONNECTION_SECONDS = 20, URL_MAX = 2048 };

struct slot {
    struct transfer transfer; /* first: a transfer is its slot */
    CURL *easy;               /* kept for the next request */
    struct buffer answer;
    const char *request; /* borrowed; NULL: a GET */
    size_t n_request_bytes;
    size_t n_request_read; /* handed to curl: may have gone out */
    int64_t started_ns;
    const struct clock *clock;
    struct slot *next_free;
};

struct transfer_pool {
    CURLM *multi;
    const struct clock *clock;
    struct slot *slots; /* [n_slots] */
    size_t n_slots;
    size_t n_running;
    struct slot *free_slots;
};

/* ---- targets ----------------------------------------------------------------------------- */

static bool add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (!longer) return false;
    *headers = longer;
    return true;
}

/* "Expect:" keeps curl from waiting for a "100 Continue" before large bodies. */
static bool add_headers(struct curl_slist **headers, const char *content_type,
                        const char *authorization)
{
    return add_header(headers, content_type) && add_header(headers, "Expect:") &&
           (!authorization || add_header(headers, authorization));
}

/* base_url without slashes at its end, and `path`. Errors: ST_TOO_LARGE. */
static status_t make_url(char url[URL_MAX], const struct provider *provider, const char *path,
                         struct error *err)
{
    size_t n_base = strlen(provider->base_url);
    while (n_base && provider->base_url[n_base - 1] == '/') n_base--;
    const int n = snprintf(url, URL_MAX, "%.*s%s", (int)n_base, provider->base_url, path);
    if (n >= 0 && (size_t)n < URL_MAX) return ST_OK;
    return error_set(err, ST_TOO_LARGE, "provider %s: base_url is too long", provider->name);
}

status_t transfer_target_init(struct transfer_target *out, const struct provider *provider,
                              struct error *err)
{
    char key[PROVIDER_KEY_MAX], line[PROVIDER_KEY_MAX + 32], url[URL_MAX];
    *out = (struct transfer_target){.provider = provider};
    status_t status = make_url(url, provider, "/chat/completions", err);
    if (status == ST_OK) status = provider_read_key(provider, key, err);
    if (status != ST_OK) return status;
    (void)snprintf(line, sizeof line, "Authorization: Bearer %s", key);
    out->url = strdup(url);
    const char *const authorization = key[0] ? line : NULL;
    const bool is_whole =
        out->url && add_headers(&out->headers, "Content-Type: application/json", authorization) &&
        add_headers(&out->form_headers, batch_form_type, authorization);
    memset(key, 0, sizeof key);
    memset(line, 0, sizeof line);
    if (is_whole) return ST_OK;
    transfer_target_fini(out);
    return error_set(err, ST_NO_MEMORY, "provider %s", provider->name);
}

void transfer_target_fini(struct transfer_target *target)
{
    free(target->url);
    curl_slist_free_all(target->headers);
    curl_slist_free_all(target->form_headers);
    *target = (struct transfer_target){.url = NULL};
}

void transfer_target_redact(const struct transfer_target *target, char *text)
{
    static const char prefix[] = "Authorization: Bearer ";
    for (const struct curl_slist *line = target->headers; line; line = line->next) {
        if (strncmp(line->data, prefix, sizeof prefix - 1) != 0) continue;
        const char *key = line->data + sizeof prefix - 1;
        for (char *found = text; *key && (found = strstr(found, key));)
            for (size_t i = 0; key[i]; i++) *found++ = '*';
    }
}

/* ---- pool -------------------------------------------------------------------------------- */

status_t transfer_pool_create(struct transfer_pool **out, size_t max_transfers,
                              const struct clock *clock, struct error *err)
{
    struct transfer_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return error_set(err, ST_NO_MEMORY, "transfers");
    pool->clock = clock;
    pool->n_slots = max_transfers;
    pool->slots = calloc(max_transfers, sizeof *pool->slots);
    pool->multi = curl_multi_init();
    if (!pool->slots || !pool->multi) {
        transfer_pool_destroy(&pool);
        return error_set(err, ST_NO_MEMORY, "%zu transfers", max_transfers);
    }
    for (size_t i = max_transfers; i > 0; i--) {
        struct slot *slot = &pool->slots[i - 1];
        buffer_init(&slot->answer, COMPLETION_BODY_MAX);
        slot->clock = clock;
        slot->next_free = pool->free_slots;
        pool->free_slots = slot;
    }
    *out = pool;
    return ST_OK;
}

void transfer_pool_destroy(struct transfer_pool **pool)
{
    if (!*pool) return;
    for (size_t i = 0; (*pool)->slots && i < (*pool)->n_slots; i++) {
        struct slot *slot = &(*pool)->slots[i];
        if (slot->easy) {
            (void)curl_multi_remove_handle((*pool)->multi, slot->easy);
            curl_easy_cleanup(slot->easy);
        }
        buffer_fini(&slot->answer);
    }
    if ((*pool)->multi) (void)curl_multi_cleanup((*pool)->multi);
    free((*pool)->slots);
    free(*pool);
    *pool = NULL;
}

size_t transfer_n_running(const struct transfer_pool *pool)
{
    return pool->n_running;
}

void transfer_pool_wake(struct transfer_pool *pool)
{
    (void)curl_multi_wakeup(pool->multi);
}

/* ---- one request ------------------------------------------------------------------------- */

static size_t on_read(char *out, size_t size, size_t n_items, void *context)
{
    struct slot *slot = context;
    const size_t room = size * n_items, left = slot->n_request_bytes - slot->n_request_read;
    const size_t n = left < room ? left : room;
    memcpy(out, slot->request + slot->n_request_read, n);
    slot->n_request_read += n;
    return n;
}

static size_t on_answer(char *bytes, size_t size, size_t n_items, void *context)
{
    struct slot *slot = context;
    const size_t n = size * n_items;
    if (buffer_append(&slot->answer, bytes, n, NULL) == ST_OK) return n;
    slot->transfer.end = TRANSFER_TOO_LARGE;
    return 0;
}

static size_t on_header(char *line, size_t size, size_t n_items, void *context)
{
    struct slot *slot = context;
    rate_headers_note(&slot->transfer.headers, line, size * n_items, clock_unix_ms(slot->clock));
    return size * n_items;
}

#define SET(option, value) ok = ok && curl_easy_setopt(slot->easy, option, (value)) == CURLE_OK

static bool set_body(struct slot *slot, const struct curl_slist *headers)
{
    bool ok = true;
    SET(CURLOPT_HTTPHEADER, headers);
    if (!slot->request) {
        SET(CURLOPT_HTTPGET, 1L);
        return ok;
    }
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)slot->n_request_bytes);
    SET(CURLOPT_READFUNCTION, on_read); /* no seek function: cannot be resent */
    SET(CURLOPT_READDATA, slot);
    return ok;
}

static bool set_request(struct slot *slot, const struct transfer_target *target, const char *url,
                        const struct curl_slist *headers)
{
    bool ok = set_body(slot, headers);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, slot);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, slot);
    SET(CURLOPT_ERRORBUFFER, slot->transfer.problem);
    SET(CURLOPT_PRIVATE, slot);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (target->provider->ca_file) SET(CURLOPT_CAINFO, target->provider->ca_file);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* over TLS the handshake says at once whether one connection may carry all requests (HTTP/2);
     * in the clear, waiting to learn it would hold everything until the first answer */
    SET(CURLOPT_PIPEWAIT, strncmp(target->url, "https:", 6) == 0 ? 1L : 0L);
    SET(CURLOPT_MAXAGE_CONN, (long)IDLE_CONNECTION_SECONDS);
    SET(CURLOPT_CONNECTTIMEOUT, (long)target->provider->connect_timeout_seconds);
    SET(CURLOPT_TIMEOUT, (long)target->provider->timeout_seconds);
    SET(CURLOPT_ACCEPT_ENCODING, "");
    SET(CURLOPT_USERAGENT, "interp-gateway/1");
    return ok;
}

static void free_slot(struct transfer_pool *pool, struct slot *slot)
{
    slot->next_free = pool->free_slots;
    pool->free_slots = slot;
}

static status_t start_at(struct transfer_pool *pool, const struct transfer_target *target,
                         const char *url, const struct transfer_request *request, void *context,
                         struct error *err)
{
    struct slot *slot = pool->free_slots;
    if (!slot) return error_set(err, ST_BUSY, "%zu requests run already", pool->n_slots);
    if (!slot->easy) slot->easy = curl_easy_init();
    if (!slot->easy) return error_set(err, ST_NO_MEMORY, "request");
    curl_easy_reset(slot->easy);
    slot->transfer = (struct transfer){.context = context};
    rate_headers_init(&slot->transfer.headers);
    slot->request = request->body;
    slot->n_request_bytes = request->n_body_bytes;
    slot->n_request_read = 0;
    slot->answer.n_bytes = 0;
    slot->answer.max_bytes =
        request->max_answer_bytes ? request->max_answer_bytes : (size_t)COMPLETION_BODY_MAX;
    slot->started_ns = clock_monotonic_ns(slot->clock);
    if (!set_request(slot, target, url,
                     request->is_form ? target->form_headers : target->headers) ||
        curl_multi_add_handle(pool->multi, slot->easy) != CURLM_OK)
        return error_set(err, ST_INTERNAL, "libcurl refuses a request to provider %s",
                         target->provider->name);
    pool->free_slots = slot->next_free;
    pool->n_running++;
    return ST_OK;
}

status_t transfer_start(struct transfer_pool *pool, const struct transfer_target *target,
                        const char *body, size_t n_body_bytes, void *context, struct error *err)
{
    const struct transfer_request request = {.body = body, .n_body_bytes = n_body_bytes};
    return start_at(pool, target, target->url, &request, context, err);
}

status_t transfer_start_request(struct transfer_pool *pool, const struct transfer_target *target,
                                const struct transfer_request *request, void *context,
                                struct error *err)
{
    char url[URL_MAX];
    const status_t status = make_url(url, target->provider, request->path, err);
    return status == ST_OK ? start_at(pool, target, url, request, context, err) : status;
}

status_t transfer_pool_run(struct transfer_pool *pool, int wait_ms, struct curl_waitfd *fds,
                           unsigned n_fds, struct error *err)
{
    int n_running;
    CURLMcode code = curl_multi_poll(pool->multi, fds, n_fds, wait_ms, NULL);
    if (code == CURLM_OK) code = curl_multi_perform(pool->multi, &n_running);
    if (code == CURLM_OK) return ST_OK;
    return error_set(err, ST_INTERNAL, "libcurl: %s", curl_multi_strerror(code));
}

/* ---- how it ended ------------------------------------------------------------------------ */

static enum transfer_end end_of(const struct slot *slot, CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK: return TRANSFER_ANSWERED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return TRANSFER_REFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR: return TRANSFER_UNSENT;
    case CURLE_WRITE_ERROR:
        if (slot->transfer.end == TRANSFER_TOO_LARGE) return TRANSFER_TOO_LARGE;
        break;
    default: break;
    }
    /* timeouts and resets: by whether curl was given any of the body yet */
    return slot->n_request_read == 0 ? TRANSFER_UNSENT : TRANSFER_BROKEN;
}

struct transfer *transfer_next_ended(struct transfer_pool *pool)
{
    int n_left;
    const CURLMsg *message = curl_multi_info_read(pool->multi, &n_left);
    if (!message || message->msg != CURLMSG_DONE) return NULL;
    char *private = NULL;
    long http_status = 0;
    CURL *easy = message->easy_handle;
    const CURLcode code = message->data.result;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    (void)curl_multi_remove_handle(pool->multi, easy);
    struct slot *slot = (struct slot *)(void *)private;
    struct transfer *transfer = &slot->transfer;
    transfer->end = end_of(slot, code);
    transfer->http_status = (int)http_status;
    transfer->body = slot->answer.bytes ? (const char *)slot->answer.bytes : "";
    transfer->n_body_bytes = slot->answer.n_bytes;
    transfer->latency_ms = (clock_monotonic_ns(slot->clock) - slot->started_ns) / 1000000;
    if (code != CURLE_OK && !transfer->problem[0])
        (void)snprintf(transfer->problem, sizeof transfer->problem, "%s", curl_easy_strerror(code));
    return transfer;
}

void transfer_release(struct transfer_pool *pool, struct transfer *transfer)
{
    struct slot *slot = (struct slot *)(void *)transfer;
    if (slot->answer.capacity > ((size_t)256 << 10))
        buffer_fini(&slot->answer); /* small ones are kept */
    free_slot(pool, slot);
    pool->n_running--;
}
