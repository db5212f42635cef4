/* Values are passed over whole, by quotes and brackets alone. */
#include "coordinator/api/json_scan.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_value(const char *text, const char *want, char next)
{
    struct json_scan from = {text, text + strlen(text)};
    struct wire_text value = {NULL, 0};
    cr_assert(json_scan_value(&from, &value), "%s", text);
    cr_expect(value.n_bytes == strlen(want) && memcmp(value.bytes, want, value.n_bytes) == 0,
              "%s: %.*s", text, (int)value.n_bytes, value.bytes);
    cr_expect_eq(json_scan_next(&from), next, "%s", text);
}

Test(json_scan, a_value_ends_where_its_quotes_or_brackets_do)
{
    expect_value(" {\"a\": [1, {\"b\": \"}]\\\"\"}]} , 2", "{\"a\": [1, {\"b\": \"}]\\\"\"}]}",
                 ',');
    expect_value("[[],[[]]]]", "[[],[[]]]", ']');
    expect_value("\"a\\\\\":1", "\"a\\\\\"", ':');
    expect_value("-1.5e3}", "-1.5e3", '}');
    expect_value("null", "null", '\0');
}

Test(json_scan, what_has_no_end_is_no_value)
{
    static const char *const texts[] = {"", "  ", "{", "[{}", "\"a", "\"a\\", "{\"}", ","};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct json_scan from = {texts[i], texts[i] + strlen(texts[i])};
        struct wire_text value;
        cr_expect_not(json_scan_value(&from, &value), "%s", texts[i]);
    }
}
