#include "coordinator/cli/audit_sheet.h"

#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/csv_reader.h"
#include "coordinator/cli/csv_text.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_BYTES = 256 * 1024, QUOTED_COLUMNS = 40, QUOTED_SIZE = 200, NO_COLUMN = -1 };

/* --- writing ------------------------------------------------------------------------------- */

status_t audit_sheet_append_heading(struct buffer *out, struct error *err)
{
    status_t status = buffer_append_text(out, "\xEF\xBB\xBFitem,description", err);
    for (int i = 1; i <= AUDIT_N_TEXTS && status == ST_OK; i++)
        status = buffer_printf(out, err, ",text_%d", i);
    return status == ST_OK ? buffer_append_text(out, ",fits,note\r\n", err) : status;
}

static status_t append_window(struct buffer *out, const json_t *window, double threshold,
                              struct error *err)
{
    struct buffer text;
    buffer_init(&text, TEXT_BYTES);
    status_t status = record_append_window(&text, window, threshold, false, err);
    if (status == ST_OK && text.n_bytes)
        status = csv_text_append(out, (const char *)text.bytes, text.n_bytes, err);
    buffer_fini(&text);
    return status;
}

status_t audit_sheet_append_item(struct buffer *out, const char *id, const char *description,
                                 const json_t *record, struct error *err)
{
    const json_t *evidence = json_field(record, "evidence");
    double threshold = json_field_number(record, "fire_threshold");
    if (isnan(threshold)) threshold = 0;
    status_t status = buffer_printf(out, err, "%s,", id);
    if (status == ST_OK) status = csv_text_append(out, description, strlen(description), err);
    for (size_t i = 0; i < AUDIT_N_TEXTS && status == ST_OK; i++) {
        const json_t *window = json_array_get(evidence, i);
        status = buffer_append_text(out, ",", err);
        if (status == ST_OK && window) status = append_window(out, window, threshold, err);
    }
    return status == ST_OK ? buffer_append_text(out, ",,\r\n", err) : status;
}

/* --- reading ------------------------------------------------------------------------------- */

struct columns {
    int item, fits; /* NO_COLUMN: not there */
};

/* The field without the blanks around it, in out. */
static const char *trim(const char *field, char out[QUOTED_SIZE])
{
    while (*field == ' ' || *field == '\t') field++;
    size_t n = strlen(field);
    while (n > 0 && (field[n - 1] == ' ' || field[n - 1] == '\t')) n--;
    if (n >= QUOTED_SIZE) n = QUOTED_SIZE - 1; /* no word we know is as long */
    memcpy(out, field, n);
    out[n] = '\0';
    return out;
}

/* What stands in the file, safe to show. */
static const char *shown(const char *field, char out[QUOTED_SIZE])
{
    struct buffer clean;
    buffer_init(&clean, QUOTED_SIZE - 1);
    const char *text = NULL;
    if (clean_text_append(&clean, field, strlen(field), QUOTED_COLUMNS, NULL, NULL) == ST_OK)
        text = buffer_text(&clean);
    (void)snprintf(out, QUOTED_SIZE, "%s", text ? text : "");
    buffer_fini(&clean);
    return out;
}

static status_t find_column(const struct csv_row *row, const char *file, const char *heading,
                            int *out, struct error *err)
{
    char name[QUOTED_SIZE];
    *out = NO_COLUMN;
    for (size_t i = 0; i < row->n_fields; i++) {
        if (strcasecmp(trim(row->fields[i], name), heading) != 0) continue;
        if (*out != NO_COLUMN)
            return error_set(err, ST_BAD_INPUT, "%s:%zu: two columns \"%s\"", file, row->line,
                             heading);
        *out = (int)i;
    }
    return *out == NO_COLUMN
               ? error_set(err, ST_BAD_INPUT, "%s:%zu: no column \"%s\" in the first row", file,
                           row->line, heading)
               : ST_OK;
}

static bool parse_answer(const char *word, enum audit_answer *out)
{
    static const char *const words[AUDIT_N_ANSWERS] = {"", "yes", "no", "unsure"};
    for (int i = 0; i < AUDIT_N_ANSWERS; i++)
        if (strcasecmp(word, words[i]) == 0) {
            *out = (enum audit_answer)i;
            return true;
        }
    return false;
}

static const char *field_of(const struct csv_row *row, int column)
{
    return (size_t)column < row->n_fields ? row->fields[column] : "";
}

struct reading {
    const struct audit_key *key;
    const char *name; /* of the file */
    struct columns columns;
    enum audit_answer *answers; /* [key->n_items] */
    size_t *lines;              /* [key->n_items], where each item stood; 0: not yet */
};

static status_t take_row(const struct reading *self, const struct csv_row *row, struct error *err)
{
    char id[QUOTED_SIZE], word[QUOTED_SIZE], text[QUOTED_SIZE];
    (void)trim(field_of(row, self->columns.item), id);
    const size_t item = audit_key_find(self->key, id);
    if (!*id) return error_set(err, ST_BAD_INPUT, "%s:%zu: no item", self->name, row->line);
    if (item == self->key->n_items)
        return error_set(err, ST_BAD_INPUT, "%s:%zu: item \"%s\" is not of this sheet", self->name,
                         row->line, shown(id, text));
    if (self->lines[item])
        return error_set(err, ST_BAD_INPUT, "%s:%zu: item %s stands in line %zu already",
                         self->name, row->line, id, self->lines[item]);
    self->lines[item] = row->line;
    if (!parse_answer(trim(field_of(row, self->columns.fits), word), &self->answers[item]))
        return error_set(err, ST_BAD_INPUT,
                         "%s:%zu: item %s: \"%s\" is no answer: yes, no, unsure, or nothing",
                         self->name, row->line, id, shown(word, text));
    return ST_OK;
}

static status_t read_rows(struct reading *self, struct csv_reader *reader, struct error *err)
{
    struct csv_row row;
    bool has_row, has_heading = false;
    status_t status = csv_reader_next(reader, &row, &has_row, err);
    for (; status == ST_OK && has_row; status = csv_reader_next(reader, &row, &has_row, err)) {
        if (row.is_blank) continue; /* spreadsheets leave such behind the last row */
        if (has_heading) {
            status = take_row(self, &row, err);
        } else {
            status = find_column(&row, self->name, "item", &self->columns.item, err);
            if (status == ST_OK)
                status = find_column(&row, self->name, "fits", &self->columns.fits, err);
            has_heading = true;
        }
        if (status != ST_OK) return status;
    }
    if (status != ST_OK) return status;
    if (!has_heading) return error_set(err, ST_BAD_INPUT, "%s: nothing in it", self->name);
    for (size_t i = 0; i < self->key->n_items; i++)
        if (!self->lines[i])
            return error_set(err, ST_BAD_INPUT, "%s: item %s is missing", self->name,
                             self->key->items[i].id);
    return ST_OK;
}

status_t audit_sheet_read(const struct audit_key *key, const char *name, char *bytes,
                          size_t n_bytes, enum audit_answer *answers, struct error *err)
{
    struct csv_reader reader;
    struct reading self = {.key = key, .name = name, .answers = answers};
    status_t status = csv_reader_init(&reader, name, bytes, n_bytes, err);
    if (status != ST_OK) return status;
    self.lines = calloc(key->n_items + 1, sizeof *self.lines);
    if (!self.lines) return error_set(err, ST_NO_MEMORY, "%s: %zu items", name, key->n_items);
    status = read_rows(&self, &reader, err);
    free(self.lines);
    return status;
}
