#include "coordinator/cli/csv_reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that was read, as "field|field;line" rows, or the error. */
struct read {
    status_t status;
    struct error err;
    char rows[1024];
};

static struct read read_bytes(const char *bytes, size_t n)
{
    struct read got = {.status = ST_OK};
    struct csv_reader reader;
    struct csv_row row;
    bool has_row = true;
    size_t used = 0;
    char *copy = malloc(n + 1); /* exactly as large as allowed: a sanitizer sees one byte more */
    cr_assert_not_null(copy);
    memcpy(copy, bytes, n);
    got.status = csv_reader_init(&reader, "f.csv", copy, n, &got.err);
    while (got.status == ST_OK && has_row) {
        got.status = csv_reader_next(&reader, &row, &has_row, &got.err);
        for (size_t i = 0; got.status == ST_OK && has_row && i < row.n_fields; i++)
            used += (size_t)snprintf(got.rows + used, sizeof got.rows - used, "%s%s", i ? "|" : "",
                                     row.fields[i]);
        if (got.status == ST_OK && has_row)
            used += (size_t)snprintf(got.rows + used, sizeof got.rows - used, "%s;%zu ",
                                     row.is_blank ? "(blank)" : "", row.line);
    }
    free(copy);
    return got;
}

static struct read read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

Test(csv_reader, reads_what_spreadsheets_write)
{
    static const struct {
        const char *text, *rows;
    } cases[] = {
        {"a,b\r\n1,2\r\n", "a|b;1 1|2;2 "},
        {"a,b\n1,2", "a|b;1 1|2;2 "},
        {"a,b\r1,2\r", "a|b;1 1|2;2 "},
        {"\xEF\xBB\xBFitem,fits\n", "item|fits;1 "},
        {"\xEF\xBB\xBF\"item\",\"fits\"\n", "item|fits;1 "},
        {"\"a\",\"b\"\r\n\"1\",\"2\"\r\n", "a|b;1 1|2;2 "},
        {"a;b\n1,5;2\n", "a|b;1 1,5|2;2 "},
        {"a\tb\n1;2\t3\n", "a|b;1 1;2|3;2 "},
        {"\"a;b\",c\n", "a;b|c;1 "},
        {"\"says \"\"so\"\"\",x\n", "says \"so\"|x;1 "},
        {"say \"so\",x\n", "say \"so\"|x;1 "},
        {"\"two\nlines\",x\ny,z\n", "two\nlines|x;1 y|z;3 "},
        {"\"two\r\nlines\",x\r\ny,z\r\n", "two\r\nlines|x;1 y|z;3 "},
        {"a,\n,b\n", "a|;1 |b;2 "},
        {"a,", "a|;1 "},
        {"\"\"", "(blank);1 "},
        {"a,b\n,,\n\n", "a|b;1 ||(blank);2 (blank);3 "},
        {"alone\n", "alone;1 "},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct read got = read_text(cases[i].text);
        cr_expect_eq(got.status, ST_OK, "case %zu: %s", i, got.err.text);
        cr_expect_str_eq(got.rows, cases[i].rows, "case %zu: %s", i, got.rows);
    }
}

Test(csv_reader, refuses_by_file_and_line)
{
    static const struct {
        const char *bytes;
        size_t n; /* 0: up to the NUL */
        const char *says;
    } cases[] = {
        {"a,b\n\"c,d\n", 0, "f.csv:2: a quote that is never closed"},
        {"a,b\n1,\"2\"3\n", 0, "f.csv:2: text behind a closing quote"},
        {"a,b\n1,\0,3\n", 10, "f.csv:2: not text"},
        {"a,b\n1,\"\0\",3\n", 12, "f.csv:2: not text"},
        {"\xFF\xFE"
         "a\0,\0",
         6, "f.csv is UTF-16"},
        {"PK\x03\x04workbook", 0, "f.csv is a workbook"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t n = cases[i].n ? cases[i].n : strlen(cases[i].bytes);
        const struct read got = read_bytes(cases[i].bytes, n);
        cr_expect_eq(got.status, ST_BAD_INPUT, "case %zu", i);
        cr_expect(strstr(got.err.text, cases[i].says), "case %zu: %s", i, got.err.text);
    }
}

Test(csv_reader, a_row_has_a_bound)
{
    char text[CSV_MAX_FIELDS + 1];
    memset(text, ',', sizeof text);
    cr_expect_eq(read_bytes(text, CSV_MAX_FIELDS - 1).status, ST_OK);
    const struct read got = read_bytes(text, CSV_MAX_FIELDS);
    cr_expect_eq(got.status, ST_TOO_LARGE);
    cr_expect(strstr(got.err.text, "f.csv:1: more than 256 fields"), "%s", got.err.text);
}
