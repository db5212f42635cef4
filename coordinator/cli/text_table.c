#include "coordinator/cli/text_table.h"

#include "common/buffer.h"
#include "common/size.h"
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/wrapped_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, NARROWEST = 12, CELL_MAX_BYTES = 64 * 1024 };

struct cell {
    char *text; /* cleaned, owned */
    size_t columns;
};

struct text_table {
    const struct text_column *columns;
    size_t n_columns;
    struct cell *cells; /* [n_cells], row by row */
    size_t n_cells, capacity;
    size_t widths[TEXT_TABLE_MAX_COLUMNS];
    bool is_begun; /* a flush has printed the heading */
};

status_t text_table_create(struct text_table **out, const struct text_column *columns,
                           size_t n_columns, struct error *err)
{
    struct text_table *table = calloc(1, sizeof *table);
    if (!table || n_columns > TEXT_TABLE_MAX_COLUMNS) {
        free(table);
        return error_set(err, ST_NO_MEMORY, "table of %zu columns", n_columns);
    }
    table->columns = columns;
    table->n_columns = n_columns;
    for (size_t i = 0; i < n_columns; i++)
        table->widths[i] = clean_text_columns(columns[i].heading, strlen(columns[i].heading));
    *out = table;
    return ST_OK;
}

static void clear(struct text_table *table)
{
    for (size_t i = 0; i < table->n_cells; i++) free(table->cells[i].text);
    table->n_cells = 0;
}

void text_table_destroy(struct text_table **table)
{
    if (!table || !*table) return;
    clear(*table);
    free((*table)->cells);
    free(*table);
    *table = NULL;
}

static status_t grow(struct text_table *table, struct error *err)
{
    size_t capacity, n_bytes;
    if (table->n_cells < table->capacity) return ST_OK;
    if (!size_mul(table->capacity ? table->capacity : 64, 2, &capacity) ||
        !size_mul(capacity, sizeof *table->cells, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "table");
    struct cell *cells = realloc(table->cells, n_bytes);
    if (!cells) return error_set(err, ST_NO_MEMORY, "table of %zu cells", capacity);
    table->cells = cells;
    table->capacity = capacity;
    return ST_OK;
}

status_t text_table_add(struct text_table *table, const char *text, struct error *err)
{
    struct buffer clean;
    size_t columns = 0;
    const size_t column = table->n_cells % table->n_columns;
    if (!text) text = "-";
    buffer_init(&clean, CELL_MAX_BYTES);
    status_t status = grow(table, err);
    if (status == ST_OK) status = clean_text_append(&clean, text, strlen(text), 0, &columns, err);
    char *copy = status == ST_OK ? strdup(clean.n_bytes ? buffer_text(&clean) : "") : NULL;
    buffer_fini(&clean);
    if (status != ST_OK) return status;
    if (!copy) return error_set(err, ST_NO_MEMORY, "table cell");
    table->cells[table->n_cells++] = (struct cell){copy, columns};
    if (columns > table->widths[column]) table->widths[column] = columns;
    return ST_OK;
}

status_t text_table_add_cells(struct text_table *table, const char *const *cells, size_t n_cells,
                              struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < n_cells && status == ST_OK; i++)
        status = text_table_add(table, cells[i], err);
    return status;
}

size_t text_table_n_rows(const struct text_table *table)
{
    return table->n_cells / table->n_columns;
}

void text_table_reserve(struct text_table *table, size_t column, size_t width)
{
    if (width > table->widths[column]) table->widths[column] = width;
}

/* Narrow the flexible columns, the widest first, until the line fits. */
static void fit(const struct text_table *table, size_t width, size_t widths[])
{
    size_t total = 0;
    for (size_t i = 0; i < table->n_columns; i++) total += widths[i] + (i ? GAP : 0);
    while (width && total > width) {
        size_t widest = SIZE_MAX;
        for (size_t i = 0; i < table->n_columns; i++)
            if (table->columns[i].is_flexible && widths[i] > NARROWEST &&
                (widest == SIZE_MAX || widths[i] > widths[widest]))
                widest = i;
        if (widest == SIZE_MAX) return;
        widths[widest]--;
        total--;
    }
}

static void put_spaces(size_t n, FILE *out)
{
    while (n--) (void)fputc(' ', out);
}

static void put_cell(const char *text, size_t columns, size_t width, bool is_right, bool is_last,
                     FILE *out)
{
    struct buffer cut;
    buffer_init(&cut, CELL_MAX_BYTES);
    if (columns > width && width &&
        clean_text_append(&cut, text, strlen(text), width, &columns, NULL) == ST_OK)
        text = buffer_text(&cut);
    const size_t pad = width > columns ? width - columns : 0;
    if (is_right) put_spaces(pad, out);
    (void)fputs(text ? text : "", out);
    if (!is_right && !is_last) put_spaces(pad, out);
    buffer_fini(&cut);
}

/* Columns before the last one. */
static size_t start_of_last(const struct text_table *table, const size_t widths[])
{
    size_t total = 0;
    for (size_t i = 0; i + 1 < table->n_columns; i++) total += widths[i] + GAP;
    return total;
}

void text_table_print(const struct text_table *table, const struct text_table_style *style,
                      FILE *out)
{
    size_t widths[TEXT_TABLE_MAX_COLUMNS];
    if (table->n_columns == 0) return;
    memcpy(widths, table->widths, sizeof widths);
    fit(table, style->wraps_last ? 0 : style->width, widths);
    const size_t last_at = start_of_last(table, widths);
    if (style->has_heading) {
        if (style->has_color) (void)fputs("\033[1m", out);
        for (size_t i = 0; i < table->n_columns; i++) {
            const char *heading = table->columns[i].heading;
            put_spaces(i ? GAP : 0, out);
            put_cell(heading, clean_text_columns(heading, strlen(heading)), widths[i],
                     table->columns[i].is_right, i + 1 == table->n_columns, out);
        }
        (void)fputs(style->has_color ? "\033[0m\n" : "\n", out);
    }
    for (size_t at = 0; at < table->n_cells; at++) {
        const size_t column = at % table->n_columns;
        const bool is_last = column + 1 == table->n_columns;
        put_spaces(column ? GAP : 0, out);
        if (is_last && style->wraps_last) {
            wrapped_text_continue(out, table->cells[at].text, last_at, style->width);
            continue;
        }
        put_cell(table->cells[at].text, table->cells[at].columns, widths[column],
                 table->columns[column].is_right, is_last, out);
        if (is_last) (void)fputc('\n', out);
    }
}

void text_table_flush(struct text_table *table, const struct text_table_style *style, FILE *out)
{
    struct text_table_style rest = *style;
    if (table->n_cells == 0) return;
    rest.has_heading = style->has_heading && !table->is_begun;
    text_table_print(table, &rest, out);
    table->is_begun = true;
    clear(table);
}
