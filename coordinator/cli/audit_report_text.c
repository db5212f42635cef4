/* The report of an audit for people. See audit_report.h. */
#include "common/quantity.h"
#include "coordinator/cli/audit_report.h"
#include "coordinator/cli/json_field.h"

#include <math.h>
#include <string.h>

static const struct text_column rating_columns[] = {
    {"SHEET", false, true},     {"ITEMS", false, false}, {"ACCEPTED", true, false},
    {"SHARE", true, false},     {"95 %", false, false},  {"UNSURE", true, false},
    {"UNANSWERED", true, false}};
enum { N_RATING_COLUMNS = sizeof rating_columns / sizeof rating_columns[0] };

static const struct text_column agreement_columns[] = {
    {"RATERS", false, true},        {"", false, true},
    {"COHEN'S KAPPA", true, false}, {"95 %", false, false},
    {"SAME ANSWER", true, false},   {"ITEMS", true, false}};
enum { N_AGREEMENT_COLUMNS = sizeof agreement_columns / sizeof agreement_columns[0] };

/* "41 of 50": of those that were answered. */
static char *accepted_text(const json_t *tally, char out[QUANTITY_SIZE])
{
    const double n_yes = json_field_number(tally, "yes");
    (void)snprintf(out, QUANTITY_SIZE, "%.0f of %.0f", n_yes,
                   n_yes + json_field_number(tally, "no") + json_field_number(tally, "unsure"));
    return out;
}

static char *share_text(double share, char out[QUANTITY_SIZE])
{
    if (isnan(share)) return quantity_percent(share, out);
    (void)snprintf(out, QUANTITY_SIZE, "%.1f %%", share * 100);
    return out;
}

static char *interval_text(const json_t *of, double scale, int digits, char out[QUANTITY_SIZE])
{
    const json_t *interval = json_field(of, "interval");
    if (json_array_size(interval) != 2)
        (void)snprintf(out, QUANTITY_SIZE, "undefined");
    else
        (void)snprintf(out, QUANTITY_SIZE, "%.*f to %.*f%s", digits,
                       json_number_value(json_array_get(interval, 0)) * scale, digits,
                       json_number_value(json_array_get(interval, 1)) * scale,
                       scale > 1 ? " %" : "");
    return out;
}

/* --- ratings ------------------------------------------------------------------------------- */

static status_t add_tally(struct text_table *table, const char *sheet, const char *kind,
                          const json_t *tally, struct error *err)
{
    char accepted[QUANTITY_SIZE], share[QUANTITY_SIZE], interval[QUANTITY_SIZE];
    char unsure[QUANTITY_SIZE], unanswered[QUANTITY_SIZE];
    const char *const cells[N_RATING_COLUMNS] = {
        sheet,
        kind,
        accepted_text(tally, accepted),
        share_text(json_field_number(tally, "accepted"), share),
        interval_text(tally, 100, 1, interval),
        quantity_count(json_field_number(tally, "unsure"), unsure),
        quantity_count(json_field_number(tally, "unanswered"), unanswered)};
    return text_table_add_cells(table, cells, N_RATING_COLUMNS, err);
}

static status_t add_rater(struct text_table *table, const char *sheet, const json_t *rater,
                          bool has_decoys, struct error *err)
{
    const status_t status = add_tally(table, sheet, "labels", json_field(rater, "labels"), err);
    return status == ST_OK && has_decoys
               ? add_tally(table, "", "decoys", json_field(rater, "decoys"), err)
               : status;
}

static status_t print_ratings(const struct cli *cli, const struct text_table_style *style,
                              const json_t *report, struct error *err)
{
    struct text_table *table = NULL;
    const json_t *sheets = json_field(report, "sheets");
    const json_t *all = json_field(report, "all_raters");
    const bool has_decoys = json_field_number(report, "n_decoys") > 0;
    status_t status = text_table_create(&table, rating_columns, N_RATING_COLUMNS, err);
    for (size_t i = 0; i < json_array_size(sheets) && status == ST_OK; i++) {
        const json_t *rater = json_array_get(sheets, i);
        status = add_rater(table, json_field_text(rater, "sheet", NULL), rater, has_decoys, err);
    }
    if (status == ST_OK && all) status = add_rater(table, "every rater", all, has_decoys, err);
    if (status == ST_OK) text_table_print(table, style, cli->out);
    text_table_destroy(&table);
    return status;
}

/* --- agreement ----------------------------------------------------------------------------- */

static status_t add_pair(struct text_table *table, const json_t *pair, struct error *err)
{
    char kappa[QUANTITY_SIZE], interval[QUANTITY_SIZE], same[QUANTITY_SIZE], n[QUANTITY_SIZE];
    const json_t *sheets = json_field(pair, "sheets");
    const double value = json_field_number(pair, "kappa");
    (void)snprintf(kappa, sizeof kappa, "%.3f", value);
    const char *const cells[N_AGREEMENT_COLUMNS] = {
        json_string_value(json_array_get(sheets, 0)),
        json_string_value(json_array_get(sheets, 1)),
        isnan(value) ? "undefined" : kappa,
        interval_text(pair, 1, 3, interval),
        share_text(json_field_number(pair, "same"), same),
        quantity_count(json_field_number(pair, "n_items"), n)};
    return text_table_add_cells(table, cells, N_AGREEMENT_COLUMNS, err);
}

static status_t print_agreement(const struct cli *cli, const struct text_table_style *style,
                                const json_t *pairs, struct error *err)
{
    struct text_table *table = NULL;
    if (json_array_size(pairs) == 0) return ST_OK;
    status_t status = text_table_create(&table, agreement_columns, N_AGREEMENT_COLUMNS, err);
    for (size_t i = 0; i < json_array_size(pairs) && status == ST_OK; i++)
        status = add_pair(table, json_array_get(pairs, i), err);
    if (status == ST_OK) {
        (void)fputc('\n', cli->out);
        text_table_print(table, style, cli->out);
        (void)fprintf(cli->out, "over the items, decoys included, that both said yes or no to\n");
    }
    text_table_destroy(&table);
    return status;
}

/* --- the report ---------------------------------------------------------------------------- */

status_t audit_report_print(const struct cli *cli, const struct text_table_style *style,
                            const json_t *report, struct error *err)
{
    char size[QUANTITY_SIZE];
    const bool is_of_supported =
        strcmp(json_field_text(report, "population.of", ""), "supported") == 0;
    (void)fprintf(cli->out, "%s: %.0f of the %s %s labels and %.0f decoys, seed %.0f\n\n",
                  json_field_text(report, "sweep", "?"), json_field_number(report, "n_labels"),
                  quantity_count(json_field_number(report, "population.size"), size),
                  is_of_supported ? "supported" : "scored", json_field_number(report, "n_decoys"),
                  json_field_number(report, "seed"));
    status_t status = print_ratings(cli, style, report, err);
    if (status != ST_OK) return status;
    (void)fprintf(cli->out,
                  "accepted: yes, of all that were answered; unsure is not yes\n"
                  "95 %%: Wilson's interval, for labels of the share among all %s\n",
                  size);
    return print_agreement(cli, style, json_field(report, "agreement"), err);
}
