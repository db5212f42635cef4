/* A page of records split as it is written; no page, or one that cannot be printed, is refused. */
#include "coordinator/cli/result_page.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

/* The records of a page of n_bytes; -1: it was refused. */
static int records_of(const char *text, size_t n_bytes, char records[MOST][64],
                      struct result_page *page)
{
    struct error err = {0};
    struct wire_text record;
    bool has_record = true;
    int n = 0;
    char *exact = malloc(n_bytes ? n_bytes : 1); /* so that a read behind its end is seen */
    cr_assert_not_null(exact);
    memcpy(exact, text, n_bytes);
    status_t status = result_page_open(page, (struct wire_text){exact, n_bytes}, &err);
    while (status == ST_OK && has_record && n < MOST) {
        status = result_page_next(page, &record, &has_record, &err);
        if (status != ST_OK || !has_record) break;
        (void)snprintf(records[n++], 64, "%.*s", (int)record.n_bytes, record.bytes);
    }
    free(exact);
    cr_expect(status == ST_OK || (status == ST_PROTOCOL && err.text[0]), "%s", err.text);
    return status == ST_OK ? n : -1;
}

Test(result_page, records_come_as_they_are_written)
{
    static const char text[] =
        "{\"rows\":[{\"b\":1.50,\"a\":\"],}\"}, { } ],\"next_cursor\":200,\"total\":16384}";
    char records[MOST][64];
    struct result_page page;
    cr_assert_eq(records_of(text, sizeof text - 1, records, &page), 2);
    cr_expect_str_eq(records[0], "{\"b\":1.50,\"a\":\"],}\"}");
    cr_expect_str_eq(records[1], "{ }");
    cr_expect_eq(page.next_cursor, 200);
    cr_expect_eq(page.total, 16384);
}

Test(result_page, the_last_page_has_no_cursor_and_may_be_empty)
{
    static const char text[] = "{\"total\":0,\"later\":[1,2],\"next_cursor\":null,\"rows\":[]}";
    char records[MOST][64];
    struct result_page page;
    cr_expect_eq(records_of(text, sizeof text - 1, records, &page), 0);
    cr_expect(page.next_cursor == -1 && page.total == 0);
}

Test(result_page, every_truncation_is_refused)
{
    static const char text[] = "{\"rows\":[{\"a\":1},{\"a\":\"x\"}],\"next_cursor\":2,\"total\":3}";
    char records[MOST][64];
    struct result_page page;
    for (size_t n = 0; n < sizeof text - 1; n++)
        cr_expect_eq(records_of(text, n, records, &page), -1, "%.*s", (int)n, text);
}

Test(result_page, what_could_not_be_printed_is_refused)
{
    static const char *const texts[] = {
        "{\"rows\":[{\"a\":\"\x1b[2J\"}],\"next_cursor\":null,\"total\":1}",
        "{\"rows\":[{\"a\":\"\xc3\"}],\"next_cursor\":null,\"total\":1}",
        "{\"rows\":[{\"a\":\"\xed\xa0\x80\"}],\"next_cursor\":null,\"total\":1}",
        "{\"rows\":[1],\"next_cursor\":null,\"total\":1}",
        "{\"rows\":[{} {}],\"next_cursor\":null,\"total\":1}",
        "{\"rows\":{},\"next_cursor\":null,\"total\":1}",
        "{\"rows\":[],\"next_cursor\":-1,\"total\":1}",
        "{\"rows\":[],\"next_cursor\":null,\"total\":\"1\"}",
        "{\"next_cursor\":null,\"total\":1}",
        "{\"rows\":[],\"next_cursor\":null,\"total\":1} 2",
        "[]"};
    char records[MOST][64];
    struct result_page page;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_expect_eq(records_of(texts[i], strlen(texts[i]), records, &page), -1, "%s", texts[i]);
}
