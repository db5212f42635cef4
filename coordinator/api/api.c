#include "coordinator/api/api.h"

#include "coordinator/api/operations.h"

#include <string.h>

static const struct {
    const char *name;
    operation_fn *run;
} operations[] = {
    {"ping", api_ping},       {"submit", api_submit},     {"list", api_list},
    {"status", api_status},   {"cancel", api_cancel},     {"pause", api_pause},
    {"resume", api_resume},   {"retry", api_retry},       {"workers", api_workers},
    {"drain", api_drain},     {"cost", api_cost},         {"probe", api_probe},
    {"dead", api_dead},       {"overview", api_overview}, {"captures", api_captures},
    {"metrics", api_metrics}, {"steer", api_steer},       {"calls", api_calls},
    {"circuit", api_circuit},
};

static const struct {
    const char *name;
    text_operation_fn *run;
} text_operations[] = {{"results", api_results}, {"feature", api_feature}};

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

static status_t does_not_fit(const char *operation, struct error *err)
{
    return error_set(err, ST_TOO_LARGE, "%s: the answer does not fit", operation);
}

static status_t answer_json(struct api *api, size_t number, const json_t *args, struct buffer *out,
                            struct error *err)
{
    json_t *result = NULL;
    status_t status = operations[number].run(api, args, &result, err);
    if (status == ST_OK && !result)
        status = error_set(err, ST_NO_MEMORY, "%s", operations[number].name);
    if (status == ST_OK && json_dump_callback(result, append, out, JSON_COMPACT) != 0)
        status = does_not_fit(operations[number].name, err);
    json_decref(result);
    return status;
}

static status_t answer_text(struct api *api, size_t number, const json_t *args, struct buffer *out,
                            struct error *err)
{
    struct error problem = {0};
    const status_t status = text_operations[number].run(api, args, out, &problem);
    if (status == ST_TOO_LARGE) return does_not_fit(text_operations[number].name, err);
    return status == ST_OK ? ST_OK : error_set(err, status, "%s", problem.text);
}

status_t api_answer(void *context, const char *operation, struct wire_text text, struct buffer *out,
                    struct error *err)
{
    const size_t n = sizeof operations / sizeof operations[0];
    const size_t n_text = sizeof text_operations / sizeof text_operations[0];
    size_t i = 0, k = 0;
    while (i < n && strcmp(operations[i].name, operation) != 0) i++;
    while (k < n_text && strcmp(text_operations[k].name, operation) != 0) k++;
    if (i == n && k == n_text)
        return error_set(err, ST_UNSUPPORTED, "unknown operation \"%s\"", operation);
    json_t *args;
    status_t status = parse_args(text, &args, err);
    if (status != ST_OK) return status;
    status =
        i < n ? answer_json(context, i, args, out, err) : answer_text(context, k, args, out, err);
    json_decref(args);
    return status;
}
