/* The coordinator's operations (API.md): one table, one function each. Loop thread only. */
#ifndef COORDINATOR_API_API_H
#define COORDINATOR_API_API_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/wire.h"
#include "coordinator/api/history.h"
#include "coordinator/sweep/registry.h"

#include <jansson.h>

struct probe_desk;      /* coordinator/sweep/probe_desk.h */
struct provider_config; /* coordinator/gateway/provider_config.h */

struct api {
    struct registry *registry;
    struct dispatcher *dispatcher;
    struct probe_desk *probes;
    struct store *store;
    const struct provider_config *providers; /* NULL: none */
    struct history *history;
    const struct clock *clock;
    uint64_t epoch;
    int64_t started_unix_ms;
    const char *store_label; /* the store's address without a password */
    bool is_store_up;
};

/* A dispatcher_request_fn with a struct api as context. */
status_t api_answer(void *context, const char *operation, struct wire_text args, struct buffer *out,
                    struct error *err);

/* Does the operation change nothing? A dispatcher_reading_fn: what viewers may ask for. */
bool api_is_reading(const char *operation);

/* What the page's history keeps of this moment. */
struct history_point api_history_point(struct api *api);

#endif
