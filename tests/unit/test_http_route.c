#include "coordinator/http/http_route.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "OPERATION {ARGS}" of a path, "asset NAME", or the status's name. */
static const char *answer_of(const char *path, const struct http_query *query)
{
    static char out[512];
    const struct http_query none = {.n = 0};
    struct http_route route;
    struct error err = {0};
    const status_t status = http_route_find(path, query ? query : &none, &route, &err);
    if (status != ST_OK) {
        (void)snprintf(out, sizeof out, "%s", status_name(status));
    } else if (route.body == HTTP_BODY_ASSET) {
        (void)snprintf(out, sizeof out, "asset %s", route.asset->name);
    } else {
        char *args = json_dumps(route.args, JSON_COMPACT | JSON_SORT_KEYS);
        (void)snprintf(out, sizeof out, "%s %s", route.operation, args);
        free(args);
        json_decref(route.args);
    }
    return out;
}

Test(http_route, every_path_has_its_question)
{
    static const struct {
        const char *path, *want;
    } cases[] = {
        {"/", "asset index.html"},
        {"/static/style.css", "asset style.css"},
        {"/healthz", "ping {}"},
        {"/metrics", "metrics {}"},
        {"/api/v1/overview", "overview {}"},
        {"/api/v1/sweeps", "list {}"},
        {"/api/v1/sweeps/demo-1", "status {\"sweep\":\"demo-1\"}"},
        {"/api/v1/sweeps/demo-1/results", "results {\"sweep\":\"demo-1\"}"},
        {"/api/v1/sweeps/demo-1/features/16383",
         "feature {\"feature\":16383,\"sweep\":\"demo-1\"}"},
        {"/api/v1/workers", "workers {}"},
        {"/api/v1/dead", "dead {}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(answer_of(cases[i].path, NULL), cases[i].want, "%s", cases[i].path);
}

Test(http_route, what_is_not_there_is_not_found)
{
    static const char *const paths[] = {
        "",         "x",          "//",          "/static/",           "/static/../main.c",
        "/static",  "/healthz/",  "/api/v1",     "/api/v1/sweeps/",    "/api/v1/sweeps/a/",
        "/api/v2/", "/healthzz",  "/index.html", "/api/v1/submit",     "/api/v1/sweeps//results",
        "/api",     "/metrics/x", "/static/./a", "/static/style.css/", "/api/v1/sweeps/a/b/c/d",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        cr_expect_str_eq(answer_of(paths[i], NULL), "not_found", "\"%s\"", paths[i]);
}

Test(http_route, ids_and_numbers_are_read_strictly)
{
    char long_id[128] = "/api/v1/sweeps/";
    memset(long_id + 15, 'a', 80);
    long_id[95] = '\0';
    static const char *const paths[] = {
        "/api/v1/sweeps/a b",
        "/api/v1/sweeps/a\nb",
        "/api/v1/sweeps/\"}",
        "/api/v1/sweeps/caf\xc3\xa9",
        "/api/v1/sweeps/a/features/-1",
        "/api/v1/sweeps/a/features/1x",
        "/api/v1/sweeps/a/features/0x10",
        "/api/v1/sweeps/a/features/9223372036854775808",
        "/api/v1/sweeps/a/features/99999999999999999999999999",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        cr_expect_str_eq(answer_of(paths[i], NULL), "bad_input", "\"%s\"", paths[i]);
    cr_expect_str_eq(answer_of(long_id, NULL), "bad_input", "80 letters");
    long_id[94] = '\0';
    cr_expect_neq(strncmp(answer_of(long_id, NULL), "bad", 3), 0, "79 letters");
    cr_expect_str_eq(answer_of("/api/v1/sweeps/a/features/9223372036854775807", NULL),
                     "feature {\"feature\":9223372036854775807,\"sweep\":\"a\"}");
}

Test(http_route, a_query_becomes_arguments)
{
    const struct http_query pages = {{"cursor", "limit"}, {"200", "50"}, 2};
    const struct http_query target = {{"target"}, {"1"}, 1};
    const struct http_query sweep = {{"sweep"}, {"demo-1"}, 1};
    cr_expect_str_eq(answer_of("/api/v1/sweeps/a/results", &pages),
                     "results {\"cursor\":200,\"limit\":50,\"sweep\":\"a\"}");
    cr_expect_str_eq(answer_of("/api/v1/sweeps/a/features/7", &target),
                     "feature {\"feature\":7,\"sweep\":\"a\",\"target\":1}");
    cr_expect_str_eq(answer_of("/api/v1/dead", &sweep), "dead {\"sweep\":\"demo-1\"}");
}

Test(http_route, a_query_that_nobody_reads_is_refused)
{
    static const struct {
        const char *path;
        struct http_query query;
    } cases[] = {
        {"/api/v1/overview", {{"cursor"}, {"1"}, 1}},
        {"/api/v1/sweeps/a/results", {{"feature"}, {"1"}, 1}},
        {"/api/v1/sweeps/a/results", {{"cursor"}, {NULL}, 1}},
        {"/api/v1/sweeps/a/results", {{"cursor"}, {""}, 1}},
        {"/api/v1/sweeps/a/results", {{"cursor"}, {"1.5"}, 1}},
        {"/api/v1/sweeps/a/results", {{"cursor", "cursor"}, {"1", "2"}, 2}},
        {"/api/v1/sweeps/a/results", {{"sweep"}, {"b"}, 1}},
        {"/api/v1/dead", {{"sweep"}, {"a/b"}, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(answer_of(cases[i].path, &cases[i].query), "bad_input", "case %zu", i);
}

Test(http_route, the_program_carries_every_file_of_the_page)
{
    FILE *names = popen("ls coordinator/http/page", "r");
    char name[128];
    size_t n = 0;
    cr_assert_not_null(names);
    while (fgets(name, sizeof name, names)) {
        name[strcspn(name, "\n")] = '\0';
        cr_expect_not_null(page_asset_find(name), "%s is not in page_assets.c", name);
        n++;
    }
    (void)pclose(names);
    cr_expect_gt(n, 10);
    cr_expect_null(page_asset_at(n), "more assets than files");
}
