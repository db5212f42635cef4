#include "coordinator/cli/record_rounds.h"

#include "common/quantity.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/text_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_SIZE = 64 };

static void score_cell(double value, char out[CELL_SIZE])
{
    if (isnan(value))
        (void)snprintf(out, CELL_SIZE, "-");
    else
        (void)snprintf(out, CELL_SIZE, "%.3f", value);
}

static void print_table(const struct cli *cli, const struct text_table *table)
{
    const struct text_table_style style = {
        .has_heading = true, .has_color = cli->has_color, .width = cli->width};
    text_table_print(table, &style, cli->out);
}

/* --- facts --------------------------------------------------------------------------------- */

static void print_refinement(const struct cli *cli, const json_t *session)
{
    char line[128];
    const json_t *interval = json_field(session, "refinement.interval");
    const double difference = json_field_number(session, "refinement.difference");
    if (isnan(difference)) return;
    const int n = snprintf(line, sizeof line, "%+.3f on test, last round minus first", difference);
    if (json_array_size(interval) == 2 && n > 0 && (size_t)n < sizeof line)
        (void)snprintf(line + n, sizeof line - (size_t)n, ", 95 %% %+.3f to %+.3f",
                       json_number_value(json_array_get(interval, 0)),
                       json_number_value(json_array_get(interval, 1)));
    status_text_line(cli, "refining", line);
}

static void print_ood(const struct cli *cli, const json_t *session)
{
    char line[256], accuracy[CELL_SIZE], z[CELL_SIZE];
    const char *score = json_field(session, "ood.detection") ? "detection" : "fuzzing";
    char path[64];
    if (!json_field(session, "ood.detection") && !json_field(session, "ood.fuzzing")) return;
    (void)snprintf(path, sizeof path, "ood.%s.random.balanced_accuracy", score);
    score_cell(json_field_number(session, path), accuracy);
    (void)snprintf(path, sizeof path, "ood.%s.random.null.z", score);
    score_cell(json_field_number(session, path), z);
    (void)snprintf(line, sizeof line, "%s accuracy %s, z %s: %s", score, accuracy, z,
                   json_field_is_true(session, "supported_ood") ? "supported there too"
                                                                : "not supported there");
    status_text_line(cli, "other text", line);
}

/* Why there were no more rounds. */
static const char *why_no_more(const json_t *session)
{
    static const char *const texts[][2] = {{"settled", "settled"},
                                           {"hopeless", "given up: no hope of support"},
                                           {"decided", "not settled, but clear"},
                                           {"contested", "still contested after rounds.max"},
                                           {"early", "fewer than rounds.min with a label"}};
    const char *outlook = json_field_text(session, "outlook", "");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i][0], outlook) == 0) return texts[i][1];
    return json_field_is_true(session, "settled") ? "settled" : "not settled";
}

static void print_facts(const struct cli *cli, const json_t *session)
{
    char line[160];
    const size_t n_rounds = json_array_size(json_field(session, "rounds"));
    const double chosen = json_field_number(session, "chosen_round");
    if (strcmp(json_field_text(session, "mode", ""), "score_only") == 0) {
        status_text_line(cli, "session", "the label was given, and scored");
    } else {
        const int n =
            snprintf(line, sizeof line, "%s, %zu round%s", json_field_text(session, "mode", "?"),
                     n_rounds, n_rounds == 1 ? "" : "s");
        if (n > 0 && !isnan(chosen) && n_rounds > 1)
            (void)snprintf(line + n, sizeof line - (size_t)n, ", round %.0f chosen, %s", chosen,
                           why_no_more(session));
        status_text_line(cli, "session", line);
    }
    print_ood(cli, session);
    print_refinement(cli, session);
}

/* --- rounds as a table --------------------------------------------------------------------- */

static const struct text_column round_columns[] = {
    {"ROUND", true, false},       {"VALIDATE", true, false}, {"HARD", true, false},
    {"EXPLAIN", true, false},     {"TRIED", true, false},    {"RIGHT", true, false},
    {"ADVERSARIAL", true, false}, {"P", true, false},        {"PASSED", false, false},
    {"LABEL", false, true}};

static size_t count_right(const json_t *experiments)
{
    size_t n = 0, i;
    const json_t *one;
    json_array_foreach(experiments, i, one)
    {
        const json_t *fired = json_object_get(one, "fired");
        n += json_is_boolean(fired) &&
             json_is_true(fired) == json_is_true(json_object_get(one, "predicted"));
    }
    return n;
}

static status_t add_round(struct text_table *table, size_t number, const json_t *round,
                          struct error *err)
{
    char cells[8][CELL_SIZE];
    const json_t *tried = json_field(round, "experiments");
    const double p = json_field_number(round, "adversarial.p");
    (void)snprintf(cells[0], CELL_SIZE, "%zu", number);
    score_cell(json_field_number(round, "validate.random.balanced_accuracy"), cells[1]);
    score_cell(json_field_number(round, "validate.hard.balanced_accuracy"), cells[2]);
    score_cell(json_field_number(round, "check.balanced_accuracy"), cells[3]);
    (void)snprintf(cells[4], CELL_SIZE, "%zu", json_array_size(tried));
    (void)snprintf(cells[5], CELL_SIZE, "%zu", count_right(tried));
    (void)snprintf(cells[6], CELL_SIZE, "%.0f of %.0f",
                   json_field_number(round, "adversarial.right"),
                   json_field_number(round, "adversarial.n"));
    (void)snprintf(cells[7], CELL_SIZE, "%.2g", isnan(p) ? 1.0 : p);
    const char *label = json_field_text(round, "label", NULL);
    const char *const row[] = {cells[0],
                               cells[1],
                               cells[2],
                               cells[3],
                               cells[4],
                               cells[5],
                               cells[6],
                               cells[7],
                               json_field_is_true(round, "adversarial.passed") ? "yes" : "no",
                               label ? label : json_field_text(round, "failure", "(none)")};
    return text_table_add_cells(table, row, sizeof row / sizeof row[0], err);
}

static status_t print_round_table(const struct cli *cli, const json_t *rounds, struct error *err)
{
    struct text_table *table = NULL;
    status_t status = text_table_create(&table, round_columns,
                                        sizeof round_columns / sizeof round_columns[0], err);
    for (size_t i = 0; i < json_array_size(rounds) && status == ST_OK; i++)
        status = add_round(table, i + 1, json_array_get(rounds, i), err);
    if (status == ST_OK) {
        (void)fputc('\n', cli->out);
        print_table(cli, table);
    }
    text_table_destroy(&table);
    return status;
}

status_t record_print_rounds(const struct cli *cli, const json_t *record, struct error *err)
{
    const json_t *session = json_field(record, "session");
    if (!session) return ST_OK;
    print_facts(cli, session);
    if (strcmp(json_field_text(session, "mode", ""), "agentic") != 0) return ST_OK;
    return print_round_table(cli, json_field(session, "rounds"), err);
}

/* --- every text that was tried ------------------------------------------------------------- */

static const struct text_column text_columns[] = {{"", false, false},       {"KIND", false, false},
                                                  {"SAID", false, false},   {"DID", false, false},
                                                  {"LARGEST", true, false}, {"TEXT", false, true}};

static status_t add_text(struct text_table *table, const json_t *one, struct error *err)
{
    char largest[CELL_SIZE];
    const json_t *fired = json_object_get(one, "fired");
    const bool predicted = json_field_is_true(one, "predicted");
    const bool is_known = json_is_boolean(fired);
    (void)snprintf(largest, sizeof largest, "%.4g", json_field_number(one, "max"));
    const char *did = json_is_true(fired) ? "fires" : "silent";
    const char *const row[] = {is_known && json_is_true(fired) == predicted ? "" : "wrong",
                               json_field_text(one, "kind", "?"),
                               predicted ? "fires" : "silent",
                               is_known ? did : "failed",
                               largest,
                               json_field_text(one, "text", "")};
    return text_table_add_cells(table, row, sizeof row / sizeof row[0], err);
}

static status_t print_texts(const struct cli *cli, const json_t *experiments, struct error *err)
{
    struct text_table *table = NULL;
    size_t i;
    const json_t *one;
    status_t status =
        text_table_create(&table, text_columns, sizeof text_columns / sizeof text_columns[0], err);
    json_array_foreach(experiments, i, one)
    {
        if (status == ST_OK) status = add_text(table, one, err);
    }
    if (status == ST_OK && text_table_n_rows(table)) print_table(cli, table);
    text_table_destroy(&table);
    return status;
}

static void print_counts(const struct cli *cli, const char *name, const json_t *score)
{
    char line[160], accuracy[CELL_SIZE];
    if (!score) return;
    score_cell(json_field_number(score, "balanced_accuracy"), accuracy);
    (void)snprintf(line, sizeof line,
                   "accuracy %s: %.0f of %.0f firing found, %.0f of %.0f silent called firing",
                   accuracy, json_field_number(score, "counts.true_firing"),
                   json_field_number(score, "counts.true_firing") +
                       json_field_number(score, "counts.missed"),
                   json_field_number(score, "counts.false_alarm"),
                   json_field_number(score, "counts.false_alarm") +
                       json_field_number(score, "counts.true_silent"));
    status_text_line(cli, name, line);
}

static status_t print_round(const struct cli *cli, size_t number, const json_t *round,
                            struct error *err)
{
    char heading[CELL_SIZE];
    const char *label = json_field_text(round, "label", NULL);
    (void)snprintf(heading, sizeof heading, "round %zu", number);
    (void)fputc('\n', cli->out);
    status_text_line(cli, heading, label ? label : json_field_text(round, "failure", "(no label)"));
    print_counts(cli, "validate", json_field(round, "validate.random"));
    print_counts(cli, "  hard", json_field(round, "validate.hard"));
    print_counts(cli, "explain", json_field(round, "check"));
    if (json_field(round, "design_failure"))
        status_text_line(cli, "experiments", json_field_text(round, "design_failure", ""));
    return print_texts(cli, json_field(round, "experiments"), err);
}

status_t record_print_trace(const struct cli *cli, const json_t *record, struct error *err)
{
    const json_t *rounds = json_field(record, "session.rounds");
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(rounds) && status == ST_OK; i++)
        status = print_round(cli, i + 1, json_array_get(rounds, i), err);
    return status;
}
