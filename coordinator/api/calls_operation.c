/* The calls of one session: what was asked (sweep/call_archive.h) and what the books say of it. */
#include "coordinator/api/operations.h"
#include "coordinator/gateway/call_audit.h"

#include <string.h>

enum { TRAIL_MAX_BYTES = 256 << 20 };

/* --- what was asked ------------------------------------------------------------------------ */

/* Calls whose id begins with `wanted` (NULL: all), bodies left out unless one is wanted. */
static status_t take_lines(const struct buffer *lines, const char *wanted, json_t *calls,
                           struct error *err)
{
    const char *at = (const char *)lines->bytes, *end = at + lines->n_bytes;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t n = (size_t)((stop ? stop : end) - at);
        json_t *call = json_loadb(at, n, 0, NULL);
        const char *id = json_string_value(json_object_get(call, "call"));
        if (!id) {
            json_decref(call);
            return error_set(err, ST_CORRUPT, "calls: a line that is no call");
        }
        if (!wanted) (void)json_object_del(call, "body");
        if (wanted && strncmp(id, wanted, strlen(wanted)) != 0)
            json_decref(call);
        else if (json_array_append_new(calls, call) != 0)
            return error_set(err, ST_NO_MEMORY, "calls");
        at += n + 1;
    }
    return ST_OK;
}

static status_t read_trail(const struct sweep *sweep, size_t index, const char *wanted,
                           json_t *calls, struct error *err)
{
    struct buffer lines;
    buffer_init(&lines, TRAIL_MAX_BYTES);
    status_t status = sweep->ops->trail(sweep, index, &lines, err);
    if (status == ST_OK) status = take_lines(&lines, wanted, calls, err);
    buffer_fini(&lines);
    return status;
}

/* --- what became of it --------------------------------------------------------------------- */

struct audit {
    json_t *calls;
    bool has_reply; /* wanted */
    status_t status;
    struct error error;
};

static void take_audit(void *context, size_t index, const redisReply *reply)
{
    struct audit *audit = context;
    json_t *known = NULL;
    const status_t status = call_audit_parse(reply, &known, &audit->error);
    if (status != ST_OK) audit->status = status;
    if (known && !audit->has_reply) (void)json_object_del(known, "reply");
    if (known) (void)json_object_update(json_array_get(audit->calls, index), known);
    json_decref(known);
}

static status_t add_books(struct api *api, json_t *calls, bool has_reply, struct error *err)
{
    struct audit audit = {.calls = calls, .has_reply = has_reply};
    status_t status = ST_OK;
    size_t i;
    json_t *call;
    json_array_foreach(calls, i, call)
    {
        if (status == ST_OK)
            status =
                call_audit_queue(api->store, json_string_value(json_object_get(call, "call")), err);
    }
    const status_t drained = store_drain(api->store, take_audit, &audit, err);
    if (status == ST_OK) status = drained;
    return status == ST_OK && audit.status != ST_OK
               ? error_set(err, audit.status, "%s", audit.error.text)
               : status;
}

/* --- the operation ------------------------------------------------------------------------- */

static status_t check_wanted(const char *wanted, struct error *err)
{
    const size_t n = strlen(wanted);
    return n >= 4 && n == strspn(wanted, "0123456789abcdef")
               ? ST_OK
               : error_set(err, ST_BAD_INPUT, "call: the first 4 or more hex digits of an id");
}

status_t api_calls(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", "feature", "target", "call", NULL}};
    const char *wanted = NULL;
    struct sweep *sweep;
    size_t index = 0;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = api_find_index(api, args, &sweep, &index, err);
    if (status == ST_OK && json_object_get(args, "call")) {
        status = args_text(args, "call", &wanted, err);
        if (status == ST_OK) status = check_wanted(wanted, err);
    }
    if (status != ST_OK) return status;
    json_t *calls = json_array();
    struct error problem = {0};
    status = sweep->ops->trail ? read_trail(sweep, index, wanted, calls, &problem) : ST_NOT_FOUND;
    if (status == ST_NOT_FOUND)
        status = error_set(err, status, "sweep %s has no calls of this feature", sweep->id);
    else if (status != ST_OK)
        status = error_set(err, status, "%s", problem.text);
    if (status == ST_OK && wanted && json_array_size(calls) == 0)
        status = error_set(err, ST_NOT_FOUND, "no call of this feature begins with %.64s", wanted);
    if (status == ST_OK) status = add_books(api, calls, wanted != NULL, err);
    if (status == ST_OK) *out = json_pack("{s:s, s:O}", "sweep", sweep->id, "calls", calls);
    json_decref(calls);
    return status;
}
