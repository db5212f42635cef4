/* selftest: are circuits that are known by construction found on this machine? Models are built on
 * the spot, a cluster of its own searches them, what it found is held against the truth. */
#include "coordinator/cli/circuit_report.h"
#include "coordinator/cli/cluster_process.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/submission.h"
#include "coordinator/cli/sweep_watch.h"
#include "coordinator/cli/temporary_cluster.h"
#include "coordinator/cli/text_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_POLL_MS = 100, SWEEP_TEXT_SIZE = 2048, NUMBER_SIZE = 24, N_WORKERS = 2 };

/* Of `interp-worker known-model`. */
static const char *const kinds[] = {"induction", "negative", "or-gate",        "graded-gate",
                                    "and-gate",  "backup",   "llama-induction"};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* --- one kind ------------------------------------------------------------------------------ */

static status_t build_model(const struct temporary_cluster *cluster, const char *kind,
                            char model[TEMPORARY_PATH_SIZE], struct error *err)
{
    char program[CLUSTER_PATH_SIZE], log_path[TEMPORARY_PATH_SIZE];
    (void)snprintf(model, TEMPORARY_PATH_SIZE, "%s/%s", cluster->home, kind);
    (void)snprintf(log_path, sizeof log_path, "%s/known-model.log", cluster->home);
    const char *const argv[] = {program, "known-model", kind, "--seed", "7",   "--size",
                                "24",    "--prompts",   "40", "-o",     model, NULL};
    const status_t status = cluster_find_program("interp-worker", program, err);
    return status == ST_OK ? temporary_cluster_run(argv, log_path, err) : status;
}

static status_t search_it(struct cli *cli, const struct cli_arguments *arguments,
                          struct client *client, const char *kind, const char *model,
                          json_t **answer, struct error *err)
{
    json_t *accepted = NULL, *last = NULL;
    struct submission submission = {0};
    char *yaml = malloc(SWEEP_TEXT_SIZE);
    if (!yaml) return error_set(err, ST_NO_MEMORY, "selftest");
    (void)snprintf(yaml, SWEEP_TEXT_SIZE,
                   "kind: circuit\nname: %s\nmodel: \"%s\"\ntask: {prompts: \"%s/prompts.jsonl\"}\n"
                   "verdict: {n_random: 20, n_subsets: 8, n_resamples: 300}\n",
                   kind, model, model);
    status_t status = submission_take(&submission, kind, yaml, arguments, err);
    if (status == ST_OK) status = submission_send(&submission, client, &accepted, err);
    const char *sweep = json_field_text(accepted, "sweep", "");
    const struct sweep_watch_params params = {.sweep = sweep,
                                              .timeout_s = arguments->timeout_s,
                                              .interval_ms = STATE_POLL_MS,
                                              .is_quiet = true};
    if (status == ST_OK) status = sweep_watch_wait(cli, client, &params, &last, err);
    if (status == ST_OK) status = circuit_report_ask(client, sweep, answer, err);
    json_decref(last);
    json_decref(accepted);
    submission_fini(&submission);
    return status;
}

static bool is_listed(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) return true;
    return false;
}

/* What was found against the truth: a row of the answer. */
static json_t *compare(const char *kind, const json_t *answer, const json_t *names, double seconds)
{
    const json_t *nodes = json_field(answer, "circuit.nodes");
    const size_t n_found = json_array_size(nodes), n_true = json_array_size(names);
    size_t n_right = 0;
    json_t *found = json_array();
    for (size_t i = 0; i < n_found; i++) {
        const char *name = json_field_text(json_array_get(nodes, i), "name", "?");
        (void)json_array_append_new(found, json_string(name));
        n_right += is_listed(names, name);
    }
    return json_pack("{s:s s:o s:O s:f s:f s:s s:f}", "kind", kind, "found", found, "true", names,
                     "precision", n_found ? (double)n_right / (double)n_found : 0.0, "recall",
                     n_true ? (double)n_right / (double)n_true : 0.0, "verdict",
                     json_field_text(answer, "summary.outcome", "none"), "seconds", seconds);
}

static status_t read_truth(const char *model, json_t **out, struct error *err)
{
    char path[TEMPORARY_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/circuit.json", model);
    *out = json_load_file(path, 0, NULL);
    return *out ? ST_OK : error_set(err, ST_CORRUPT, "%s: no JSON", path);
}

static status_t test_kind(struct cli *cli, const struct cli_arguments *arguments,
                          const struct temporary_cluster *cluster, const char *kind, json_t **row,
                          struct error *err)
{
    char model[TEMPORARY_PATH_SIZE];
    json_t *truth = NULL, *answer = NULL;
    const int64_t began_ms = clock_monotonic_ms(cli->clock);
    status_t status = build_model(cluster, kind, model, err);
    if (status == ST_OK) status = read_truth(model, &truth, err);
    if (status == ST_OK)
        status = search_it(cli, arguments, cluster->client, kind, model, &answer, err);
    if (status == ST_OK) {
        const double seconds = (double)(clock_monotonic_ms(cli->clock) - began_ms) / 1000;
        *row = compare(kind, answer, json_object_get(truth, "circuit"), seconds);
        if (!*row) status = error_set(err, ST_NO_MEMORY, "selftest");
    }
    json_decref(truth);
    json_decref(answer);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", kind);
}

/* --- all of them --------------------------------------------------------------------------- */

static bool is_right(const json_t *row)
{
    return json_field_number(row, "precision") >= 1 && json_field_number(row, "recall") >= 1;
}

static status_t add_row(struct text_table *table, const json_t *row, struct error *err)
{
    char found[256] = "", numbers[3][NUMBER_SIZE];
    static const char *const keys[] = {"precision", "recall", "seconds"};
    const json_t *names = json_field(row, "found");
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(names) && used < sizeof found; i++)
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%s", i ? " " : "",
                                 json_string_value(json_array_get(names, i)));
    for (size_t i = 0; i < 3; i++)
        (void)snprintf(numbers[i], NUMBER_SIZE, i < 2 ? "%.3g" : "%.1f",
                       json_field_number(row, keys[i]));
    const char *const cells[] = {
        json_field_text(row, "kind", "?"),    found,     numbers[0], numbers[1],
        json_field_text(row, "verdict", "?"), numbers[2]};
    return text_table_add_cells(table, cells, sizeof cells / sizeof cells[0], err);
}

static status_t print_table(const struct cli *cli, const struct cli_arguments *arguments,
                            const json_t *rows, struct error *err)
{
    static const struct text_column columns[] = {
        {"KIND", false, false},  {"FOUND", false, true},    {"PRECISION", true, false},
        {"RECALL", true, false}, {"VERDICT", false, false}, {"SECONDS", true, false}};
    const struct text_table_style style = {
        .has_heading = !arguments->no_headers, .has_color = cli->has_color, .width = cli->width};
    struct text_table *table = NULL;
    status_t status = text_table_create(&table, columns, sizeof columns / sizeof columns[0], err);
    for (size_t i = 0; i < json_array_size(rows) && status == ST_OK; i++)
        status = add_row(table, json_array_get(rows, i), err);
    if (status == ST_OK) text_table_print(table, &style, cli->out);
    text_table_destroy(&table);
    return status;
}

static status_t report(const struct cli *cli, const struct cli_arguments *arguments, json_t *rows,
                       struct error *err)
{
    size_t n_right = 0;
    const size_t n = json_array_size(rows);
    for (size_t i = 0; i < n; i++) n_right += is_right(json_array_get(rows, i));
    status_t status;
    if (arguments->format == CLI_FORMAT_JSON) {
        json_t *answer = json_pack("{s:O s:b}", "kinds", rows, "passed", n_right == n);
        status = answer ? document_print(cli->out, "Selftest", answer, err)
                        : error_set(err, ST_NO_MEMORY, "selftest");
        json_decref(answer);
    } else {
        status = print_table(cli, arguments, rows, err);
    }
    if (status != ST_OK || n_right == n) return status;
    return error_set(err, ST_INTERNAL, "%zu of %zu known circuits were not found exactly",
                     n - n_right, n);
}

static status_t test_all(struct cli *cli, const struct cli_arguments *arguments,
                         const struct temporary_cluster *cluster, json_t *rows, struct error *err)
{
    const bool is_chosen = arguments->n_positional > 0;
    const size_t n = is_chosen ? arguments->n_positional : N_KINDS;
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const char *kind = is_chosen ? arguments->positional[i] : kinds[i];
        json_t *row = NULL;
        if (!arguments->quiet) (void)fprintf(cli->err, "%s ...\n", kind);
        status = test_kind(cli, arguments, cluster, kind, &row, err);
        if (status == ST_OK && json_array_append_new(rows, row) != 0)
            status = error_set(err, ST_NO_MEMORY, "selftest");
    }
    return status;
}

static status_t check_kinds(const struct cli_arguments *arguments, struct error *err)
{
    for (size_t i = 0; i < arguments->n_positional; i++) {
        bool is_known = false;
        for (size_t k = 0; k < N_KINDS; k++)
            is_known = is_known || strcmp(arguments->positional[i], kinds[k]) == 0;
        if (!is_known)
            return error_set(err, ST_BAD_INPUT,
                             "no known model is called \"%s\"; interp-worker known-model --help "
                             "lists them",
                             arguments->positional[i]);
    }
    return ST_OK;
}

status_t selftest_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct temporary_cluster cluster = {.pid = 0};
    json_t *rows = json_array();
    status_t status = rows ? check_kinds(arguments, err) : error_set(err, ST_NO_MEMORY, "selftest");
    cli_catch_interrupt();
    if (status == ST_OK) status = temporary_cluster_init(&cluster, err);
    if (status == ST_OK) {
        const size_t n_workers = arguments->workers > 0 ? (size_t)arguments->workers : N_WORKERS;
        status = temporary_cluster_start(&cluster, cli, n_workers, err);
    }
    if (status == ST_OK) status = test_all(cli, arguments, &cluster, rows, err);
    temporary_cluster_fini(&cluster);
    if (*cli->interrupt) {
        cli->was_interrupted = true;
        error_clear(err);
        status = error_set(err, ST_CANCELLED, "interrupted; the cluster was stopped");
    }
    if (status == ST_OK) status = report(cli, arguments, rows, err);
    json_decref(rows);
    return status;
}
