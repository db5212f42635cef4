#include "coordinator/api/api.h"

#include "coordinator/api/operations.h"

#include <string.h>

static const struct {
    const char *name;
    operation_fn *run;
} operations[] = {
    {"ping", api_ping},         {"submit", api_submit},     {"list", api_list},
    {"status", api_status},     {"results", api_results},   {"feature", api_feature},
    {"cancel", api_cancel},     {"pause", api_pause},       {"resume", api_resume},
    {"retry", api_retry},       {"workers", api_workers},   {"drain", api_drain},
    {"cost", api_cost},         {"probe", api_probe},       {"dead", api_dead},
    {"overview", api_overview}, {"captures", api_captures}, {"metrics", api_metrics},
};

static int append(const char *bytes, size_t n_bytes, void *context)
{
    return buffer_append(context, bytes, n_bytes, NULL) == ST_OK ? 0 : -1;
}

static status_t parse_args(struct wire_text text, json_t **out, struct error *err)
{
    json_error_t where;
    *out = text.n_bytes ? json_loadb(text.bytes, text.n_bytes, JSON_REJECT_DUPLICATES, &where)
                        : json_object();
    if (!*out) return error_set(err, ST_BAD_INPUT, "arguments: %s", where.text);
    if (json_is_object(*out)) return ST_OK;
    json_decref(*out);
    return error_set(err, ST_BAD_INPUT, "arguments are not a JSON object");
}

status_t api_answer(void *context, const char *operation, struct wire_text text, struct buffer *out,
                    struct error *err)
{
    size_t i = 0;
    const size_t n = sizeof operations / sizeof operations[0];
    while (i < n && strcmp(operations[i].name, operation) != 0) i++;
    if (i == n) return error_set(err, ST_UNSUPPORTED, "unknown operation \"%s\"", operation);
    json_t *args, *result = NULL;
    status_t status = parse_args(text, &args, err);
    if (status != ST_OK) return status;
    status = operations[i].run(context, args, &result, err);
    if (status == ST_OK && !result) status = error_set(err, ST_NO_MEMORY, "%s", operation);
    if (status == ST_OK && json_dump_callback(result, append, out, JSON_COMPACT) != 0)
        status = error_set(err, ST_TOO_LARGE, "%s: the answer does not fit", operation);
    json_decref(result);
    json_decref(args);
    return status;
}
