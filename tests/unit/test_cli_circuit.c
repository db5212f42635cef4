/* Commands on circuit sweeps, in one process: the report on a terminal, and what is said of them
 * where a label sweep is wanted. The coordinator is a router of this test. */
#include "coordinator/cli/commands.h"
#include "tests/unit/cli_ran.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ALL_FORMATS ((1u << CLI_N_FORMATS) - 1)
#define ALL_OPTIONS (~UINT64_C(0) >> (64 - CLI_N_OPTIONS))
static const struct cli_command commands[] = {
    {"circuit", NULL, "SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false, circuit_command},
    {"compare", NULL, "SWEEP SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 2, 2, false, compare_command},
    {"export", NULL, "SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false, export_command},
    {"show", NULL, "SWEEP FEATURE", "", ALL_OPTIONS, ALL_FORMATS, 2, 2, false, show_command},
    {"trace", NULL, "SWEEP FEATURE", "", ALL_OPTIONS, ALL_FORMATS, 2, 2, false, trace_command},
    {"audit-sample", NULL, "SWEEP", "", ALL_OPTIONS, ALL_FORMATS, 1, 1, false,
     audit_sample_command},
    {.name = NULL}};

/* A table as wide as 80 columns, and sentences that are wider. */
static const char report[] =
    "                      zero                mean                resample\n"
    "sufficiency           -                   0.7478              undefined: flat\n"
    "\n"
    "not looked at\n"
    "  - 12 of 34 pairs of components that nothing else had found were tested, those of the "
    "largest effects\n";

/* found-1 and found-2 are circuit sweeps, demo-1 is a label sweep without results. */
static status_t answer(void *context, const char *operation, const json_t *arguments,
                       json_t **result, char *error)
{
    const char *sweep = json_string_value(json_object_get(arguments, "sweep"));
    (void)context;
    cr_assert_not_null(sweep);
    const bool is_circuit = strncmp(sweep, "found", 5) == 0;
    if (strcmp(operation, "circuit") == 0) {
        *result = json_pack("{s:s}", "text", report);
    } else if (strcmp(operation, "status") == 0) {
        *result = json_pack("{s:s, s:s, s:s}", "id", sweep, "kind",
                            is_circuit ? "circuit" : "label", "state", "finished");
    } else if (strcmp(operation, "results") == 0 && is_circuit) {
        *result = json_pack("{s:[{s:s}], s:n, s:i}", "rows", "component", "L0H1", "next_cursor",
                            "total", 1);
    } else {
        (void)snprintf(error, 256, "sweep %s has 0 targets", sweep);
        return ST_NOT_FOUND;
    }
    return ST_OK;
}

static struct cli_ran run(size_t width, const char *const *words)
{
    struct cli_router router = {.answer = answer};
    cli_router_start(&router, NULL);
    const struct cli_ran ran = cli_ran(commands, &router, width, words);
    cli_router_stop(&router);
    return ran;
}
#define RUN(width, ...) run((width), (const char *const[]){__VA_ARGS__, NULL})

Test(cli_circuit, sentences_of_a_report_fit_the_terminal_and_a_pipe_gets_them_whole)
{
    struct cli_ran shown = RUN(80, "circuit", "found-1"), piped = RUN(0, "circuit", "found-1");
    cr_expect(shown.code == 0 && piped.code == 0, "%s%s", shown.err, piped.err);
    cr_expect_str_eq(piped.out, report);
    for (const char *line = shown.out; *line; line += strcspn(line, "\n") + 1)
        cr_expect_leq(strcspn(line, "\n"), 80, "%s", line);
    cr_expect(strncmp(shown.out, report, (size_t)(strstr(report, "  - 12") - report)) == 0, "%s",
              shown.out);
    cr_expect(strstr(shown.out, "\n    of the largest effects\n"), "%s", shown.out);
    cli_ran_forget(&shown);
    cli_ran_forget(&piped);
}

/* The command is refused as wrong use, with these words. */
static void expect_refused(struct cli_ran ran, const char *words)
{
    cr_expect_eq(ran.code, 2, "exit %d: %s", ran.code, ran.err);
    cr_expect(strstr(ran.err, words), "\"%s\" is not in: %s", words, ran.err);
    cr_expect_eq(ran.n_out, 0, "%s", ran.out);
    cli_ran_forget(&ran);
}

Test(cli_circuit, comparing_with_a_circuit_sweep_is_wrong_use_and_says_which_is_which)
{
    expect_refused(
        RUN(0, "compare", "demo-1", "found-1"),
        "demo-1 is a label sweep and found-1 is a circuit sweep: only label sweeps can be "
        "compared\n");
    expect_refused(RUN(0, "compare", "found-1", "demo-1"),
                   "found-1 is a circuit sweep and demo-1 is a label sweep");
    expect_refused(RUN(0, "compare", "found-1", "found-2"),
                   "found-1 and found-2 are circuit sweeps: only label sweeps can be compared\n");
}

Test(cli_circuit, where_a_feature_is_wanted_the_command_for_a_circuit_is_named)
{
    static const char words[] =
        "interpctl: found-1 is a circuit sweep, it has components and no features: `interpctl "
        "circuit found-1` shows what it found, `interpctl results found-1` each component\n";
    expect_refused(RUN(0, "show", "found-1", "4"), words);
    expect_refused(RUN(0, "show", "found-1", "L0H1"), words);
    expect_refused(RUN(0, "trace", "found-1", "4", "--raw"), words);
    expect_refused(RUN(0, "export", "found-1", "--format", "jsonl", "--dir", "/nowhere"), words);
    expect_refused(RUN(0, "audit-sample", "found-1", "--sheet", "/nowhere/sheet.csv"), words);
}

Test(cli_circuit, a_feature_that_a_label_sweep_has_not_is_told_as_ever)
{
    struct cli_ran missing = RUN(0, "show", "demo-1", "4");
    cr_expect_eq(missing.code, 3);
    cr_expect(strstr(missing.err, "sweep demo-1 has 0 targets"), "%s", missing.err);
    cli_ran_forget(&missing);
    expect_refused(RUN(0, "show", "demo-1", "L0H1"), "feature");
}
