/* A table of text for people: a heading, columns as wide as their cells, the widest flexible
 * column cut to fit the terminal. Cells are cleaned (clean_text.h) as they come in. One thread. */
#ifndef COORDINATOR_CLI_TEXT_TABLE_H
#define COORDINATOR_CLI_TEXT_TABLE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TEXT_TABLE_MAX_COLUMNS = 24 };

struct text_column {
    const char *heading;
    bool is_right;    /* numbers */
    bool is_flexible; /* may be cut when the terminal is narrow */
};

struct text_table;

/* `columns` [n_columns] is borrowed until text_table_destroy. The caller owns *out. */
MUST_CHECK status_t text_table_create(struct text_table **out, const struct text_column *columns,
                                      size_t n_columns, struct error *err);
void text_table_destroy(struct text_table **table); /* NULL-safe */

/* Add the next cell, row by row. NULL is "-". */
MUST_CHECK status_t text_table_add(struct text_table *table, const char *text, struct error *err);
/* The next n_cells of them: a row, or a part of one. */
MUST_CHECK status_t text_table_add_cells(struct text_table *table, const char *const *cells,
                                         size_t n_cells, struct error *err);

/* Make the column at least so wide, before cells that need it have come. */
void text_table_reserve(struct text_table *table, size_t column, size_t width);

struct text_table_style {
    bool has_heading;
    bool has_color; /* heading in bold */
    size_t width;   /* terminal columns; 0: no limit */
    /* The last column is left-aligned and goes on below where it is too long: what it says is
     * wanted whole. Else it is cut, if it is flexible. */
    bool wraps_last;
};
void text_table_print(const struct text_table *table, const struct text_table_style *style,
                      FILE *out);
/* Print the rows added since the last flush and forget them, the heading before the first ones. For
 * tables too long to wait for: columns line up as far as they were reserved. */
void text_table_flush(struct text_table *table, const struct text_table_style *style, FILE *out);
size_t text_table_n_rows(const struct text_table *table);

#endif
