#include "coordinator/http/http_route.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROUTE_QUERY_KEYS = 2 };

/* In a pattern, ":name" takes a sweep id and "#name" a whole number, as argument `name`. */
static const struct route {
    const char *pattern;
    const char *operation;
    enum http_body body;
    const char *query[ROUTE_QUERY_KEYS]; /* "#name": a number, ":name": a sweep id */
} routes[] = {
    {"/healthz", "ping", HTTP_BODY_HEALTH, {NULL}},
    {"/metrics", "metrics", HTTP_BODY_METRICS, {NULL}},
    {"/api/v1/overview", "overview", HTTP_BODY_JSON, {NULL}},
    {"/api/v1/sweeps", "list", HTTP_BODY_JSON, {NULL}},
    {"/api/v1/sweeps/:sweep", "status", HTTP_BODY_JSON, {NULL}},
    {"/api/v1/sweeps/:sweep/results", "results", HTTP_BODY_JSON, {"#cursor", "#limit"}},
    {"/api/v1/sweeps/:sweep/features/#feature", "feature", HTTP_BODY_JSON, {"#target"}},
    {"/api/v1/sweeps/:sweep/circuit", "circuit", HTTP_BODY_JSON, {NULL}},
    {"/api/v1/sweeps/:sweep/cost", "cost", HTTP_BODY_JSON, {NULL}},
    {"/api/v1/workers", "workers", HTTP_BODY_JSON, {NULL}},
    {"/api/v1/captures", "captures", HTTP_BODY_JSON, {NULL}},
    {"/api/v1/dead", "dead", HTTP_BODY_JSON, {":sweep"}},
};

struct segment {
    const char *start; /* behind its '/' */
    size_t n;
};

/* The segment at *text ("/like"), and move behind it. False at the end. */
static bool next_segment(const char **text, struct segment *out)
{
    if (**text != '/') return false;
    out->start = *text + 1;
    out->n = strcspn(out->start, "/");
    *text = out->start + out->n;
    return true;
}

static bool is_capture(const struct segment *part)
{
    return part->n > 1 && (part->start[0] == ':' || part->start[0] == '#');
}

static bool matches(const char *pattern, const char *path)
{
    struct segment want, got;
    for (;;) {
        const bool has_want = next_segment(&pattern, &want);
        const bool has_got = next_segment(&path, &got);
        if (!has_want || !has_got) return has_want == has_got && !*path;
        if (is_capture(&want) ? got.n == 0
                              : want.n != got.n || memcmp(want.start, got.start, got.n) != 0)
            return false;
    }
}

static json_t *read_id(const struct segment *text)
{
    if (text->n == 0 || text->n >= HTTP_SEGMENT_MAX) return NULL;
    for (size_t i = 0; i < text->n; i++)
        if (!isalnum((unsigned char)text->start[i]) && !strchr("-_.", text->start[i])) return NULL;
    return json_stringn(text->start, text->n);
}

static json_t *read_number(const struct segment *text)
{
    int64_t value = 0;
    if (text->n == 0) return NULL;
    for (size_t i = 0; i < text->n; i++) {
        const char digit = text->start[i];
        if (digit < '0' || digit > '9') return NULL;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit - '0', &value))
            return NULL;
    }
    return json_integer(value);
}

/* Argument `name` ("#limit", ":sweep"; n_name bytes) from a text of the request. */
static status_t add_argument(json_t *args, const struct segment *name, const struct segment *text,
                             struct error *err)
{
    const bool is_number = name->start[0] == '#';
    char key[HTTP_SEGMENT_MAX];
    if (name->n > sizeof key) return error_set(err, ST_INTERNAL, "route table");
    memcpy(key, name->start + 1, name->n - 1);
    key[name->n - 1] = '\0';
    json_t *value = is_number ? read_number(text) : read_id(text);
    if (!value)
        return error_set(err, ST_BAD_INPUT, "%s \"%.*s\" is not %s", key,
                         text->n < HTTP_SEGMENT_MAX ? (int)text->n : HTTP_SEGMENT_MAX, text->start,
                         is_number ? "a whole number" : "an id");
    if (json_object_set_new(args, key, value) != 0)
        return error_set(err, ST_NO_MEMORY, "argument %s", key);
    return ST_OK;
}

static status_t add_captures(const char *pattern, const char *path, json_t *args, struct error *err)
{
    struct segment name, text;
    status_t status = ST_OK;
    while (status == ST_OK && next_segment(&pattern, &name) && next_segment(&path, &text))
        if (is_capture(&name)) status = add_argument(args, &name, &text, err);
    return status;
}

static status_t add_query(const struct route *route, const struct http_query *query, json_t *args,
                          struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < query->n && status == ST_OK; i++) {
        size_t k = 0;
        while (k < ROUTE_QUERY_KEYS && route->query[k] &&
               strcmp(route->query[k] + 1, query->names[i]) != 0)
            k++;
        if (k == ROUTE_QUERY_KEYS || !route->query[k])
            return error_set(err, ST_BAD_INPUT, "unknown query key \"%.*s\"", HTTP_SEGMENT_MAX,
                             query->names[i]);
        if (json_object_get(args, query->names[i]))
            return error_set(err, ST_BAD_INPUT, "%s is given twice", query->names[i]);
        const char *value = query->values[i] ? query->values[i] : "";
        const struct segment name = {route->query[k], strlen(route->query[k])};
        const struct segment text = {value, strlen(value)};
        status = add_argument(args, &name, &text, err);
    }
    return status;
}

static status_t fill(const struct route *route, const char *path, const struct http_query *query,
                     struct http_route *out, struct error *err)
{
    json_t *args = json_object();
    if (!args) return error_set(err, ST_NO_MEMORY, "%s", route->operation);
    status_t status = add_captures(route->pattern, path, args, err);
    if (status == ST_OK) status = add_query(route, query, args, err);
    if (status == ST_OK)
        *out =
            (struct http_route){.body = route->body, .operation = route->operation, .args = args};
    else
        json_decref(args);
    return status;
}

status_t http_route_find(const char *path, const struct http_query *query, struct http_route *out,
                         struct error *err)
{
    static const char prefix[] = "/static/";
    const char *name = strcmp(path, "/") == 0                          ? "index.html"
                       : strncmp(path, prefix, sizeof prefix - 1) == 0 ? path + sizeof prefix - 1
                                                                       : NULL;
    const struct page_asset *asset = name ? page_asset_find(name) : NULL;
    if (asset) {
        *out = (struct http_route){.body = HTTP_BODY_ASSET, .asset = asset};
        return ST_OK;
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (matches(routes[i].pattern, path)) return fill(&routes[i], path, query, out, err);
    return error_set(err, ST_NOT_FOUND, "nothing at %.*s", 2 * HTTP_SEGMENT_MAX, path);
}
