#include "coordinator/cli/agreement_text.h"

#include "common/quantity.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/text_table.h"

#include <math.h>
#include <stdio.h>

static const struct text_column columns[] = {{"JUDGES", false, true},   {"SCORE", false, false},
                                             {"KAPPA", true, false},    {"95 %", false, false},
                                             {"OBSERVED", true, false}, {"BY CHANCE", true, false},
                                             {"WINDOWS", true, false},  {"LEFT OUT", true, false}};

static void interval_text(const json_t *interval, char out[QUANTITY_SIZE])
{
    if (json_array_size(interval) != 2)
        (void)snprintf(out, QUANTITY_SIZE, "undefined");
    else
        (void)snprintf(out, QUANTITY_SIZE, "%.3f to %.3f",
                       json_number_value(json_array_get(interval, 0)),
                       json_number_value(json_array_get(interval, 1)));
}

static void share_text(double value, char out[QUANTITY_SIZE])
{
    if (isnan(value))
        (void)snprintf(out, QUANTITY_SIZE, "-");
    else
        (void)snprintf(out, QUANTITY_SIZE, "%.3f", value);
}

static status_t add_kappa(struct text_table *table, const char *judges, const char *score,
                          const json_t *kappa, struct error *err)
{
    char value[QUANTITY_SIZE], interval[QUANTITY_SIZE], observed[QUANTITY_SIZE];
    char expected[QUANTITY_SIZE], n[QUANTITY_SIZE], left_out[QUANTITY_SIZE];
    share_text(json_field_number(kappa, "kappa"), value);
    interval_text(json_field(kappa, "interval"), interval);
    share_text(json_field_number(kappa, "observed"), observed);
    share_text(json_field_number(kappa, "expected"), expected);
    const char *const cells[] = {judges,
                                 score,
                                 value,
                                 interval,
                                 observed,
                                 expected,
                                 quantity_count(json_field_number(kappa, "n_windows"), n),
                                 quantity_count(json_field_number(kappa, "n_left_out"), left_out)};
    return text_table_add_cells(table, cells, sizeof cells / sizeof cells[0], err);
}

static status_t add_panel(struct text_table *table, const json_t *agreement, const char *score,
                          struct error *err)
{
    const json_t *judges = json_field(agreement, "judges");
    const json_t *panel = json_object_get(agreement, score);
    const json_t *cohen = json_field(panel, "cohen"), *fleiss = json_field(panel, "fleiss");
    const char *first = json_string_value(json_array_get(judges, 0));
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(cohen) && status == ST_OK; i++) {
        const char *other = json_string_value(json_array_get(judges, i + 1));
        char pair[256];
        (void)snprintf(pair, sizeof pair, "%.100s and %.100s", first ? first : "?",
                       other ? other : "?");
        status = add_kappa(table, pair, score, json_array_get(cohen, i), err);
    }
    if (status == ST_OK && fleiss) status = add_kappa(table, "all (Fleiss)", score, fleiss, err);
    return status;
}

status_t agreement_print(const struct cli *cli, const json_t *agreement, struct error *err)
{
    static const char *const scores[] = {"detection", "fuzzing"};
    const struct text_table_style style = {
        .has_heading = true, .has_color = cli->has_color, .width = cli->width};
    struct text_table *table = NULL;
    if (!json_is_object(agreement)) return ST_OK;
    status_t status = text_table_create(&table, columns, sizeof columns / sizeof columns[0], err);
    for (size_t i = 0; i < sizeof scores / sizeof scores[0] && status == ST_OK; i++)
        status = add_panel(table, agreement, scores[i], err);
    if (status == ST_OK && text_table_n_rows(table)) {
        (void)fputc('\n', cli->out);
        text_table_print(table, &style, cli->out);
    }
    text_table_destroy(&table);
    return status;
}
