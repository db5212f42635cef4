#include "coordinator/cli/result_page.h"

#include "coordinator/session/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 32 };

static status_t malformed(const char *what, struct error *err)
{
    return error_set(err, ST_PROTOCOL, "results: %s", what);
}

static bool is_named(struct wire_text name, const char *wanted)
{
    const size_t n = strlen(wanted);
    return name.n_bytes == n + 2 && memcmp(name.bytes + 1, wanted, n) == 0;
}

static bool read_count(struct wire_text text, int64_t *out)
{
    char number[NUMBER_SIZE], *end;
    if (text.n_bytes >= sizeof number || text.bytes[0] < '0' || text.bytes[0] > '9') return false;
    memcpy(number, text.bytes, text.n_bytes);
    number[text.n_bytes] = '\0';
    *out = strtoll(number, &end, 10);
    return *end == '\0' && *out < INT64_MAX;
}

static bool is_null(struct wire_text text)
{
    return text.n_bytes == 4 && memcmp(text.bytes, "null", 4) == 0;
}

/* One member; others than a page's are passed over. */
static bool take_member(struct result_page *page, struct json_scan *from, bool *has_rows)
{
    struct wire_text name, value;
    int64_t total = 0;
    if (!json_scan_text(from, &name) || !json_scan_take(from, ':') ||
        !json_scan_value(from, &value))
        return false;
    if (is_named(name, "next_cursor"))
        return is_null(value) || read_count(value, &page->next_cursor);
    if (is_named(name, "total")) {
        const bool is_count = read_count(value, &total);
        page->total = (double)total;
        return is_count;
    }
    if (!is_named(name, "rows")) return true;
    *has_rows = value.bytes[0] == '[';
    page->rows = (struct json_scan){value.bytes + 1, value.bytes + value.n_bytes};
    return *has_rows;
}

status_t result_page_open(struct result_page *out, struct wire_text text, struct error *err)
{
    struct result_page page = {.next_cursor = -1};
    struct json_scan from = {text.bytes, text.bytes + text.n_bytes};
    bool has_rows = false, is_good = json_scan_take(&from, '{');
    do is_good = is_good && take_member(&page, &from, &has_rows);
    while (is_good && json_scan_take(&from, ','));
    is_good = is_good && json_scan_take(&from, '}') && json_scan_next(&from) == '\0';
    if (!is_good || !has_rows) return malformed("a page that cannot be read", err);
    *out = page;
    return ST_OK;
}

/* Can it be printed as JSON? */
static bool is_clean(struct wire_text text)
{
    const char *at = text.bytes, *const end = at + text.n_bytes;
    while (at < end) {
        const unsigned char byte = (unsigned char)*at;
        const size_t n = byte < 0x80 ? byte >= 0x20 : utf8_decode(at, (size_t)(end - at), NULL);
        if (n == 0) return false;
        at += n;
    }
    return true;
}

status_t result_page_next(struct result_page *page, struct wire_text *record, bool *has_record,
                          struct error *err)
{
    struct json_scan *from = &page->rows;
    *has_record = json_scan_next(from) != ']';
    if (!*has_record) return ST_OK;
    if (page->is_begun && !json_scan_take(from, ',')) return malformed("no record", err);
    page->is_begun = true;
    if (json_scan_next(from) != '{' || !json_scan_value(from, record))
        return malformed("a record that is no object", err);
    return is_clean(*record) ? ST_OK : malformed("a record that is no text", err);
}
