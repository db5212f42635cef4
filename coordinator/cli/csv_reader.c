#include "coordinator/cli/csv_reader.h"

#include <string.h>

static bool starts_with(const char *bytes, size_t n_bytes, const char *mark, size_t n_mark)
{
    return n_bytes >= n_mark && memcmp(bytes, mark, n_mark) == 0;
}

/* The first separator outside quotes; a comma if there is none. */
static char find_separator(const char *at, const char *end)
{
    bool is_quoted = false;
    for (; at < end; at++) {
        if (*at == '"') is_quoted = !is_quoted;
        if (!is_quoted && (*at == ',' || *at == ';' || *at == '\t')) return *at;
    }
    return ',';
}

status_t csv_reader_init(struct csv_reader *out, const char *name, char *bytes, size_t n_bytes,
                         struct error *err)
{
    static const char utf8_mark[] = "\xEF\xBB\xBF";
    const bool has_mark = starts_with(bytes, n_bytes, utf8_mark, 3);
    if (starts_with(bytes, n_bytes, "\xFF\xFE", 2) || starts_with(bytes, n_bytes, "\xFE\xFF", 2))
        return error_set(err, ST_BAD_INPUT, "%s is UTF-16: save it as CSV in UTF-8", name);
    if (starts_with(bytes, n_bytes, "PK\x03\x04", 4))
        return error_set(err, ST_BAD_INPUT, "%s is a workbook, not CSV: save it as CSV", name);
    *out = (struct csv_reader){
        .name = name, .at = bytes + (has_mark ? 3 : 0), .end = bytes + n_bytes, .line = 1};
    out->separator = find_separator(out->at, out->end);
    *out->end = '\0';
    return ST_OK;
}

/* Behind a line end at `at` (CRLF counts once), which is counted. */
static char *skip_line_end(struct csv_reader *reader, char *at)
{
    reader->line++;
    return at + (at[0] == '\r' && at + 1 < reader->end && at[1] == '\n' ? 2 : 1);
}

static bool is_line_end(char byte)
{
    return byte == '\n' || byte == '\r';
}

/* Unquote the field whose opening quote is at reader->at; *text is it, and reader->at is behind
 * the closing quote. */
static status_t read_quoted(struct csv_reader *reader, char **text, char **text_end,
                            struct error *err)
{
    const size_t first_line = reader->line;
    char *from = reader->at + 1, *to = from;
    *text = from;
    for (; from < reader->end && *from; from++) {
        if (*from == '"' && from + 1 < reader->end && from[1] == '"')
            from++; /* two are one */
        else if (*from == '"')
            break;
        if (*from == '\n' || (*from == '\r' && !(from + 1 < reader->end && from[1] == '\n')))
            reader->line++;
        *to++ = *from;
    }
    if (from == reader->end)
        return error_set(err, ST_BAD_INPUT, "%s:%zu: a quote that is never closed", reader->name,
                         first_line);
    *text_end = to;
    reader->at = *from ? from + 1 : from;
    return ST_OK;
}

/* One field; reader->at is then at what ended it. */
static status_t read_field(struct csv_reader *reader, char **text, char **text_end,
                           struct error *err)
{
    if (reader->at < reader->end && *reader->at == '"') {
        const status_t status = read_quoted(reader, text, text_end, err);
        if (status != ST_OK) return status;
        if (reader->at < reader->end && *reader->at && *reader->at != reader->separator &&
            !is_line_end(*reader->at))
            return error_set(err, ST_BAD_INPUT, "%s:%zu: text behind a closing quote", reader->name,
                             reader->line);
    } else {
        *text = reader->at;
        while (reader->at < reader->end && *reader->at && *reader->at != reader->separator &&
               !is_line_end(*reader->at))
            reader->at++;
        *text_end = reader->at;
    }
    if (reader->at < reader->end && !*reader->at)
        return error_set(err, ST_BAD_INPUT, "%s:%zu: not text: a NUL byte", reader->name,
                         reader->line);
    return ST_OK;
}

status_t csv_reader_next(struct csv_reader *reader, struct csv_row *out, bool *has_row,
                         struct error *err)
{
    *has_row = reader->at < reader->end;
    if (!*has_row) return ST_OK;
    out->line = reader->line;
    out->n_fields = 0;
    out->is_blank = true;
    for (bool is_more = true; is_more;) {
        char *text = reader->at, *text_end = text;
        if (out->n_fields == CSV_MAX_FIELDS)
            return error_set(err, ST_TOO_LARGE, "%s:%zu: more than %d fields", reader->name,
                             reader->line, CSV_MAX_FIELDS);
        const status_t status = read_field(reader, &text, &text_end, err);
        if (status != ST_OK) return status;
        is_more = reader->at < reader->end && *reader->at == reader->separator;
        if (is_more)
            reader->at++;
        else if (reader->at < reader->end)
            reader->at = skip_line_end(reader, reader->at);
        *text_end = '\0'; /* over a quote, separator, line end, or bytes[n_bytes] */
        out->is_blank &= text == text_end;
        out->fields[out->n_fields++] = text;
    }
    return ST_OK;
}
