/* One *record* (coordinator/session/label_json.h) as a row of a table, a line of CSV, or a page
 * with evidence. Labels and window texts are data from outside: cleaned before they are shown. */
#ifndef COORDINATOR_CLI_RECORD_TEXT_H
#define COORDINATOR_CLI_RECORD_TEXT_H

#include "common/buffer.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/text_table.h"

/* Balanced accuracy of a score ("detection", "fuzzing") over its "random" or "hard" negatives;
 * NAN if there is none. */
double record_score(const json_t *record, const char *score, const char *negatives);
/* The score that stands for the record: detection on random negatives, else fuzzing's; NAN. */
double record_main_score(const json_t *record);

/* The columns of `results` that a terminal has room for. */
enum { RECORD_MAX_COLUMNS = 17 };
struct record_columns {
    struct text_column columns[RECORD_MAX_COLUMNS]; /* [n_columns] */
    unsigned char of[RECORD_MAX_COLUMNS];           /* [n_columns] which each is; record_row.c */
    size_t n_columns;
    char hidden[80]; /* headings of those there is no room for, "" if there are none */
};
/* Wide: all of them. Else those that leave the label room in `width` columns (0: any number). */
void record_columns_choose(struct record_columns *out, bool is_wide, size_t width);
/* As wide as any record needs them, for a table that is printed before all records are there. */
void record_columns_reserve(const struct record_columns *columns, struct text_table *table);
/* One record as a row under them. */
MUST_CHECK status_t record_add_row(struct text_table *table, const struct record_columns *columns,
                                   const json_t *record, struct error *err);

/* What of a record its row and its line of CSV are made of: paths as the operation `results` takes
 * them. Appended to `fields`, an array. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t record_row_fields(json_t *fields, struct error *err);

/* RFC 4180 lines. Text that a spreadsheet would take for a formula gets an apostrophe in front;
 * -o json has it untouched. */
void record_print_csv_heading(FILE *out);
MUST_CHECK status_t record_print_csv(FILE *out, const json_t *record, struct error *err);

/* Everything about one feature; at most `max_windows` of evidence. Firing tokens are coloured by
 * strength if cli->has_color, else in brackets. */
MUST_CHECK status_t record_print(const struct cli *cli, const json_t *record, size_t max_windows,
                                 struct error *err);

/* The scores of a record, or of one of its meanings, as a table; nothing where there are none. */
MUST_CHECK status_t record_print_scores(const struct cli *cli, const json_t *scores,
                                        struct error *err);

/* The text of one evidence window with its firing tokens marked. */
MUST_CHECK status_t record_append_window(struct buffer *out, const json_t *window,
                                         double fire_threshold, bool has_color, struct error *err);

#endif
