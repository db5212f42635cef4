/* Workers that stay down: which, why and what to do, out of the supervisor's status and logs. */
#include "coordinator/cli/cluster_down.h"
#include "coordinator/cli/process_log.h"
#include "coordinator/cli/supervisor.h"
#include "tests/unit/file_tree.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char old_driver[] = "2026-01-01T00:00:00.000Z info interp-worker started\n"
                                 "2026-01-01T00:00:00.001Z error interp-worker worker_failed "
                                 "error=\"backend cuda: the \\\"new\\\" driver is too old\"\n\n";

static struct cluster_paths state_with_log(const char *text)
{
    struct cluster_paths paths;
    struct error err = {0};
    char path[CLUSTER_PATH_SIZE];
    static char state[] = "/tmp/interp-test-down-XXXXXX";
    cr_assert_not_null(mkdtemp(state));
    cr_assert_eq(cluster_paths_init(&paths, state, &err), ST_OK, "%s", err.text);
    cr_assert_eq(cluster_paths_create(&paths, &err), ST_OK, "%s", err.text);
    FILE *file = fopen(cluster_path(&paths, "logs/worker-2.log", path), "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
    return paths;
}

static json_t *status_of(const char *first, const char *second)
{
    return json_pack("{s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}", "processes", "name", "redis",
                     "state", "running", "name", "worker-1", "state", first, "name", "worker-2",
                     "state", second);
}

Test(cluster_down, each_worker_is_told_with_its_reason_and_once_what_to_do)
{
    const struct cluster_paths paths = state_with_log(old_driver);
    json_t *one = status_of("running", "unusable"), *both = status_of("unusable", "unusable");
    json_t *none = status_of("running", "refused");
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    cluster_down_tell(out, none, &paths);
    cluster_down_tell(out, NULL, &paths);
    cr_assert_eq(fflush(out), 0);
    cr_expect_eq(n, 0, "%s", text);
    cluster_down_tell(out, both, &paths);
    (void)fclose(out);
    char want[1024];
    (void)snprintf(want, sizeof want,
                   "worker-1 stays down: (nothing logged)\n"
                   "worker-2 stays down: backend cuda: the \"new\" driver is too old\n"
                   "what to do: %s\n",
                   cluster_down_cure);
    cr_expect_str_eq(text, want);
    cr_expect(cluster_down_count(one) == 1 && cluster_down_count(both) == 2 &&
              cluster_down_count(none) == 0 && cluster_down_count(NULL) == 0);
    free(text);
    json_decref(one);
    json_decref(both);
    json_decref(none);
    file_tree_remove(paths.state);
}

Test(cluster_down, a_cluster_without_any_worker_that_starts_is_refused)
{
    const struct cluster_paths paths = state_with_log(old_driver);
    json_t *one = status_of("running", "unusable");
    struct error err = {0};
    cr_expect_eq(cluster_down_check(one, &paths, 2, &err), ST_OK, "worker-1 is there");
    cr_expect_eq(cluster_down_check(NULL, &paths, 0, &err), ST_OK, "none was wanted");
    cr_expect_eq(cluster_down_check(one, &paths, 1, &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, "the worker does not start: backend cuda: the \"new\" driver is too "
                               "old; mend it"),
              "%s", err.text);
    json_decref(one);
    file_tree_remove(paths.state);
}

Test(cluster_down, a_last_line_that_tells_of_no_error_is_the_reason)
{
    const struct cluster_paths paths = state_with_log("first\nsymbol lookup failed\n");
    char why[ERROR_TEXT_MAX];
    process_log_reason(&paths, "worker-2", why, sizeof why);
    cr_expect_str_eq(why, "symbol lookup failed");
    file_tree_remove(paths.state);
}
