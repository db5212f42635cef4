/* Commands end to end in one process: argv in, exit code, stdout and stderr out; the coordinator
 * is a router of this test. */
#include "coordinator/cli/commands.h"
#include "tests/unit/cli_ran.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALL_FORMATS ((1u << CLI_N_FORMATS) - 1)
#define ALL_OPTIONS (~UINT64_C(0) >> (64 - CLI_N_OPTIONS))
static const struct cli_command commands[] = {
    {"submit", NULL, "FILE", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false, submit_command},
    {"list", "ls", "", "", ALL_OPTIONS, ALL_FORMATS, 0, 0, false, list_command},
    {"status", NULL, "SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false, status_command},
    {"wait", NULL, "SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false, wait_command},
    {"results", NULL, "SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false, results_command},
    {"cancel", NULL, "SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false, cancel_command},
    {"version", NULL, "", "", ALL_OPTIONS,
     CLI_FORMAT_BIT(CLI_FORMAT_TABLE) | CLI_FORMAT_BIT(CLI_FORMAT_JSON), 0, 0, false,
     version_command},
    {"down", NULL, "", "", ALL_OPTIONS, ALL_FORMATS, 0, 0, false, down_command},
    {.name = NULL}};

#define RUN(router, ...) cli_ran(commands, (router), 0, (const char *const[]){__VA_ARGS__, NULL})

/* --- the coordinator of these tests --------------------------------------------------------- */

enum { N_RECORDS = 1203 };

struct world {
    const char *state; /* of the sweep, once it was asked `n_looks` times */
    int n_looks;
    json_t *submitted;                  /* arguments of the last submit */
    size_t n_pages, n_brief, most_rows; /* pages asked for, those of some fields, rows of one */
};

static json_t *summary(const char *state)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:s}", "id", "demo-1", "name", "demo", "state",
                     state, "phase", "label", "progress", 0.5, "reason", "because");
}

static json_t *results_page(struct world *world, const json_t *arguments)
{
    const size_t n_wanted = (size_t)json_integer_value(json_object_get(arguments, "limit"));
    world->n_pages++;
    world->n_brief += json_array_size(json_object_get(arguments, "fields")) > 0;
    if (n_wanted > world->most_rows) world->most_rows = n_wanted;
    const json_int_t cursor = json_integer_value(json_object_get(arguments, "cursor"));
    json_int_t limit = json_integer_value(json_object_get(arguments, "limit"));
    json_t *rows = json_array();
    cr_assert(limit > 0 && limit <= 1000);
    for (json_int_t i = cursor; i < N_RECORDS && limit-- > 0; i++)
        (void)json_array_append_new(rows, json_pack("{s:I, s:s, s:s, s:{s:{s:{s:f}}}}", "feature",
                                                    i, "status", i % 2 ? "open" : "dead", "label",
                                                    "words", "scores", "detection", "random",
                                                    "balanced_accuracy", (double)(i % 100) / 100));
    const json_int_t next = cursor + (json_int_t)json_array_size(rows);
    return json_pack("{s:o, s:o, s:i}", "rows", rows, "next_cursor",
                     next < N_RECORDS ? json_integer(next) : json_null(), "total", N_RECORDS);
}

static status_t answer(void *context, const char *operation, const json_t *arguments,
                       json_t **result, char *error)
{
    struct world *world = context;
    const char *sweep = json_string_value(json_object_get(arguments, "sweep"));
    if (sweep && strcmp(sweep, "demo-1") != 0) {
        (void)snprintf(error, 256, "no sweep \"%s\"", sweep);
        return ST_NOT_FOUND;
    }
    if (strcmp(operation, "submit") == 0) {
        json_decref(world->submitted);
        world->submitted = json_deep_copy(arguments);
        *result = json_pack("{s:s, s:b}", "sweep", "demo-1", "is_new", 1);
    } else if (strcmp(operation, "list") == 0) {
        *result = json_pack("{s:[o]}", "sweeps", summary("running"));
    } else if (strcmp(operation, "status") == 0) {
        *result = summary(world->n_looks-- > 0 ? "running" : world->state);
    } else if (strcmp(operation, "results") == 0) {
        *result = results_page(world, arguments);
    } else {
        (void)snprintf(error, 256, "demo-1 is finished");
        return ST_CONFLICT;
    }
    return ST_OK;
}

/* --- tests --------------------------------------------------------------------------------- */

Test(cli_run, an_unknown_command_names_the_nearest)
{
    struct cli_ran ran = RUN(NULL, "statsu");
    cr_expect_eq(ran.code, 2);
    cr_expect_eq(ran.n_out, 0);
    cr_expect_str_eq(ran.err, "interpctl: unknown command \"statsu\": did you mean \"status\"?\n");
    cli_ran_forget(&ran);
}

/* The text begins so, and the run went well. */
static void expect_begins(struct cli_ran ran, const char *text)
{
    cr_expect_eq(ran.code, 0, "%s", ran.err);
    cr_expect(strncmp(ran.out, text, strlen(text)) == 0, "%s", ran.out);
    cli_ran_forget(&ran);
}

Test(cli_run, help_takes_the_options_that_every_command_takes)
{
    const char *const overview = "interpctl: submit sweeps", *const status =
                                                                 "usage: interpctl status";
    expect_begins(RUN(NULL, "help", "--state", "/tmp/x"), overview);
    expect_begins(RUN(NULL, "--state=/tmp/x", "help"), overview);
    expect_begins(RUN(NULL, "--help", "--state", "/tmp/x"), overview);
    expect_begins(RUN(NULL, "help", "--state", "/tmp/x", "status"), status);
    expect_begins(RUN(NULL, "help", "status", "--state", "/tmp/x"), status);
    expect_begins(RUN(NULL, "--state", "/tmp/x", "help", "status"), status);
    struct cli_ran two = RUN(NULL, "help", "status", "list"),
                   unknown = RUN(NULL, "help", "--watch");
    cr_expect_eq(two.code, 2);
    cr_expect(strstr(two.err, "help: unexpected argument \"list\""), "%s", two.err);
    cr_expect_eq(unknown.code, 2);
    cr_expect(strstr(unknown.err, "help: unknown option --watch"), "%s", unknown.err);
    cli_ran_forget(&two);
    cli_ran_forget(&unknown);
}

Test(cli_run, common_options_may_stand_before_the_command)
{
    struct world world = {.state = "running"};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    expect_begins(RUN(NULL, "--timeout", "5", "--endpoint", router.endpoint, "list", "--quiet"),
                  "demo-1\n");
    struct cli_ran late = RUN(NULL, "--quiet", "list"), alone = RUN(NULL, "--state", "/tmp/x");
    struct cli_ran cut = RUN(NULL, "--state");
    cr_expect(late.code == 2 && alone.code == 2 && cut.code == 2);
    cr_expect(strstr(late.err, "option --quiet without a command"), "%s", late.err);
    cr_expect(strstr(alone.err, "option --state without a command"), "%s", alone.err);
    cr_expect(strstr(cut.err, "option --state without a command"), "%s", cut.err);
    cli_ran_forget(&late);
    cli_ran_forget(&alone);
    cli_ran_forget(&cut);
    cli_router_stop(&router);
}

Test(cli_run, exit_codes_are_the_coordinators_status)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran missing = RUN(&router, "status", "demo-2"),
                   conflict = RUN(&router, "cancel", "demo-1");
    struct cli_ran nobody = RUN(NULL, "list", "--endpoint", "ipc:///tmp/interp-test-nobody.sock");
    cr_expect_eq(missing.code, 3);
    cr_expect_str_eq(missing.err, "interpctl: no sweep \"demo-2\"\n");
    cr_expect_eq(conflict.code, 5);
    cr_expect_eq(nobody.code, 4);
    cr_expect(missing.n_out == 0 && conflict.n_out == 0 && nobody.n_out == 0);
    cli_ran_forget(&missing);
    cli_ran_forget(&conflict);
    cli_ran_forget(&nobody);
    cli_router_stop(&router);
}

Test(cli_run, json_is_one_document_with_version_and_kind)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran ran = RUN(&router, "ls", "-o", "json");
    json_t *document = json_loads(ran.out, 0, NULL);
    cr_expect_eq(ran.code, 0);
    cr_expect_str_eq(json_string_value(json_object_get(document, "apiVersion")), "interp/v1");
    cr_expect_str_eq(json_string_value(json_object_get(document, "kind")), "SweepList");
    cr_expect_eq(json_array_size(json_object_get(document, "sweeps")), 1);
    json_decref(document);
    cli_ran_forget(&ran);
    struct cli_ran quiet = RUN(&router, "list", "--quiet");
    cr_expect_str_eq(quiet.out, "demo-1\n");
    cli_ran_forget(&quiet);
    cli_router_stop(&router);
}

Test(cli_run, version_is_a_line_or_a_document)
{
    struct cli_ran text = RUN(NULL, "version"), json = RUN(NULL, "--version", "-o", "json");
    struct cli_ran bad = RUN(NULL, "version", "-o", "csv");
    json_t *document = json_loads(json.out, 0, NULL);
    char want[128];
    (void)snprintf(want, sizeof want, "interpctl %s, wire protocol %d\n",
                   json_string_value(json_object_get(document, "version")),
                   (int)json_integer_value(json_object_get(document, "wire_version")));
    cr_expect_str_eq(text.out, want);
    cr_expect_str_eq(json_string_value(json_object_get(document, "kind")), "Version");
    cr_expect_eq(bad.code, 2);
    cr_expect(strstr(bad.err, "csv") && bad.n_out == 0, "%s", bad.err);
    json_decref(document);
    cli_ran_forget(&text);
    cli_ran_forget(&json);
    cli_ran_forget(&bad);
}

Test(cli_run, down_tells_in_json_what_it_stopped)
{
    char state[] = "/tmp/interp-test-down-XXXXXX";
    cr_assert_not_null(mkdtemp(state));
    struct cli_ran none = RUN(NULL, "down", "--state", state, "-o", "json");
    json_t *document = json_loads(none.out, 0, NULL);
    cr_expect_eq(none.code, 0, "%s", none.err);
    cr_expect_str_eq(json_string_value(json_object_get(document, "kind")), "Stop");
    cr_expect_str_eq(json_string_value(json_object_get(document, "state")), state);
    const json_t *n_stopped = json_object_get(document, "n_stopped");
    cr_expect(json_is_integer(n_stopped) && json_integer_value(n_stopped) == 0);
    json_decref(document);
    cli_ran_forget(&none);
    (void)rmdir(state);
}

/* --- submit -------------------------------------------------------------------------------- */

static void write_sweep(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

Test(cli_run, submit_sends_file_directory_and_a_random_key)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    char path[] = "/tmp/interp-test-sweep.yaml";
    const char yaml[] = "kind: noop\nname: demo\nn_units: 3\n";
    write_sweep(path, yaml);
    cli_router_start(&router, NULL);
    struct cli_ran ran = RUN(&router, "submit", path, "--quiet");
    cr_expect_eq(ran.code, 0, "%s", ran.err);
    cr_expect_str_eq(ran.out, "demo-1\n");
    cr_expect_eq(ran.n_err, 0);
    cr_expect_str_eq(json_string_value(json_object_get(world.submitted, "yaml")), yaml);
    cr_expect_str_eq(json_string_value(json_object_get(world.submitted, "directory")), "/tmp");
    const char *key = json_string_value(json_object_get(world.submitted, "client_key"));
    cr_expect_eq(strlen(key), 36);
    cr_expect(key[14] == '4' && strchr("89ab", key[19]), "a version 4 UUID: %s", key);
    struct cli_ran again = RUN(&router, "submit", path, "-q", "--client-key", "mine");
    cr_expect_str_eq(json_string_value(json_object_get(world.submitted, "client_key")), "mine");
    json_decref(world.submitted);
    cli_ran_forget(&ran);
    cli_ran_forget(&again);
    cli_router_stop(&router);
    (void)unlink(path);
}

Test(cli_run, a_bad_file_is_refused_here_with_its_line)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    char path[] = "/tmp/interp-test-bad.yaml";
    write_sweep(path, "kind: noop\nname: demo\nn_unit: 3\n");
    cli_router_start(&router, NULL);
    struct cli_ran ran = RUN(&router, "submit", path),
                   dry = RUN(&router, "submit", path, "--dry-run");
    cr_expect(ran.code == 2 && dry.code == 2);
    cr_expect(strstr(ran.err, "interp-test-bad.yaml:3:") && strstr(ran.err, "n_units"), "%s",
              ran.err);
    cr_expect(ran.n_out == 0 && dry.n_out == 0);
    cr_expect_eq(atomic_load(&router.n_requests), 0, "nothing was sent");
    cli_ran_forget(&ran);
    cli_ran_forget(&dry);
    cli_router_stop(&router);
    (void)unlink(path);
}

Test(cli_run, a_dry_run_asks_nobody)
{
    char path[] = "/tmp/interp-test-dry.yaml";
    write_sweep(path, "kind: noop\nname: demo\nn_units: 16384\n");
    struct cli_ran ran =
        RUN(NULL, "submit", path, "--dry-run", "--endpoint", "ipc:///tmp/interp-test-nobody.sock");
    cr_expect_eq(ran.code, 0, "%s", ran.err);
    cr_expect(strstr(ran.out, "16,384"), "%s", ran.out);
    cli_ran_forget(&ran);
    (void)unlink(path);
}

/* --- wait ---------------------------------------------------------------------------------- */

static int wait_for(const char *state, const char *timeout, const char *says)
{
    struct world world = {.state = state, .n_looks = 2};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran ran = RUN(&router, "wait", "demo-1", "-i", "0.01", "--timeout", timeout);
    const int code = ran.code;
    cr_expect_eq(ran.n_out, 0, "progress is not data");
    cr_expect(strstr(ran.err, says), "%s: %s", says, ran.err);
    cli_ran_forget(&ran);
    cli_router_stop(&router);
    return code;
}

Test(cli_run, wait_succeeds_only_for_a_finished_sweep)
{
    cr_expect_eq(wait_for("finished", "60", "finished"), 0);
    cr_expect_eq(wait_for("failed", "60", "sweep demo-1 failed: because"), 1);
    cr_expect_eq(wait_for("cancelled", "60", "sweep demo-1 cancelled"), 1);
    cr_expect_eq(wait_for("running", "0.1", "it goes on"), 124);
}

/* --- results ------------------------------------------------------------------------------- */

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; (text = strchr(text, '\n')); text++) n++;
    return n;
}

Test(cli_run, results_takes_every_page)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran lines = RUN(&router, "results", "demo-1", "-o", "jsonl");
    struct cli_ran table = RUN(&router, "results", "demo-1", "--no-headers");
    struct cli_ran document = RUN(&router, "results", "demo-1", "-o", "json");
    json_t *parsed = json_loads(document.out, 0, NULL);
    cr_expect_eq(count_lines(lines.out), N_RECORDS);
    cr_expect_eq(count_lines(table.out), N_RECORDS);
    cr_expect_eq(json_array_size(json_object_get(parsed, "rows")), N_RECORDS);
    json_decref(parsed);
    cli_ran_forget(&lines);
    cli_ran_forget(&table);
    cli_ran_forget(&document);
    cli_router_stop(&router);
}

/* The router writes names in another order than a record that was parsed is printed in. */
Test(cli_run, records_pass_as_they_are_stored_unless_they_have_to_be_looked_at)
{
    static const char stored[] = "{\"feature\": 0, \"status\": \"dead\", \"label\": \"words\", ";
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran lines = RUN(&router, "results", "demo-1", "-o", "jsonl");
    struct cli_ran document = RUN(&router, "results", "demo-1", "-o", "json", "-n", "3");
    struct cli_ran wanted = RUN(&router, "results", "demo-1", "-o", "jsonl", "--status", "dead");
    cr_expect(strncmp(lines.out, stored, strlen(stored)) == 0, "%.100s", lines.out);
    cr_expect(strstr(document.out, stored), "%.200s", document.out);
    cr_expect_eq(count_lines(document.out), 5, "%s", document.out);
    cr_expect(strncmp(wanted.out, "{\"feature\":0,\"label\":", 21) == 0, "%.100s", wanted.out);
    cli_ran_forget(&lines);
    cli_ran_forget(&document);
    cli_ran_forget(&wanted);
    cli_router_stop(&router);
}

Test(cli_run, results_filters_sorts_and_limits)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran open = RUN(&router, "results", "demo-1", "--status", "open", "-o", "csv");
    struct cli_ran best = RUN(&router, "results", "demo-1", "--sort-by", "score", "-n", "3",
                              "--min-score", "0.5", "-o", "jsonl");
    struct cli_ran few = RUN(&router, "results", "demo-1", "-n", "7", "-o", "jsonl");
    struct cli_ran bad = RUN(&router, "results", "demo-1", "--status", "opne");
    cr_expect_eq(count_lines(open.out), N_RECORDS / 2 + 1, "and the heading");
    cr_expect_eq(count_lines(best.out), 3);
    cr_expect(strncmp(best.out, "{\"feature\":99,", 14) == 0, "%.80s", best.out);
    cr_expect_eq(count_lines(few.out), 7);
    cr_expect_eq(bad.code, 2);
    cli_ran_forget(&open);
    cli_ran_forget(&best);
    cli_ran_forget(&few);
    cli_ran_forget(&bad);
    cli_router_stop(&router);
}

Test(cli_run, results_asks_for_no_more_than_it_shows)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran few = RUN(&router, "results", "demo-1", "-n", "7");
    cr_expect(world.n_pages == 1 && world.n_brief == 1 && world.most_rows == 7,
              "%zu pages, %zu rows", world.n_pages, world.most_rows);
    world = (struct world){0};
    struct cli_ran best = RUN(&router, "results", "demo-1", "--sort-by", "score", "-n", "3");
    cr_expect_eq(world.n_brief, world.n_pages);
    cr_expect_eq(count_lines(best.out), 4);
    cr_expect(strstr(best.out, "\n     99 "), "%s", best.out);
    world = (struct world){0};
    struct cli_ran whole = RUN(&router, "results", "demo-1", "-o", "jsonl");
    cr_expect(world.n_pages > 1 && world.n_brief == 0 && world.most_rows <= 100);
    cli_ran_forget(&few);
    cli_ran_forget(&best);
    cli_ran_forget(&whole);
    cli_router_stop(&router);
}

/* The columns that every line of a table has in the same place. */
Test(cli_run, a_table_of_many_pages_lines_up)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    cli_router_start(&router, NULL);
    struct cli_ran ran = RUN(&router, "results", "demo-1");
    const size_t at = (size_t)(strstr(ran.out, "LABEL") - ran.out);
    size_t n = 0;
    for (const char *line = strchr(ran.out, '\n') + 1; *line; line = strchr(line, '\n') + 1, n++)
        cr_expect(strcspn(line, "\n") > at && strncmp(line + at, "words\n", 6) == 0, "%.100s",
                  line);
    cr_expect_eq(n, N_RECORDS);
    cr_expect(world.n_pages > 2);
    cli_ran_forget(&ran);
    cli_router_stop(&router);
}

Test(cli_run, results_of_an_unknown_sweep_write_nothing)
{
    struct world world = {0};
    struct cli_router router = {.answer = answer, .context = &world};
    static const char *const formats[] = {"table", "json", "jsonl", "csv"};
    cli_router_start(&router, NULL);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct cli_ran ran = RUN(&router, "results", "demo-9", "-o", formats[i]);
        cr_expect_eq(ran.code, 3);
        cr_expect_eq(ran.n_out, 0, "%s: %s", formats[i], ran.out);
        cli_ran_forget(&ran);
    }
    cli_router_stop(&router);
}
