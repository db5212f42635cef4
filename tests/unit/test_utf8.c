#include "coordinator/session/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

Test(utf8, decodes_the_strict_forms_only)
{
    static const struct {
        const char *name, *text;
        size_t want;
        uint32_t code_point;
    } cases[] = {
        {"ascii", "a", 1, 'a'},
        {"two bytes", "\xC3\xA9", 2, 0xE9},
        {"three bytes", "\xE2\x82\xAC", 3, 0x20AC},
        {"four bytes", "\xF0\x9F\x98\x80", 4, 0x1F600},
        {"last code point", "\xF4\x8F\xBF\xBF", 4, 0x10FFFF},
        {"past the last", "\xF4\x90\x80\x80", 0, 0},
        {"over-long slash", "\xC0\xAF", 0, 0},
        {"over-long of three", "\xE0\x80\xAF", 0, 0},
        {"surrogate", "\xED\xA0\x80", 0, 0},
        {"cut short", "\xE2\x82", 0, 0},
        {"stray continuation", "\x82", 0, 0},
        {"bad continuation", "\xE2\x28\xA1", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t code_point = 0;
        cr_expect_eq(utf8_decode(cases[i].text, strlen(cases[i].text), &code_point), cases[i].want,
                     "%s", cases[i].name);
        cr_expect_eq(code_point, cases[i].code_point, "%s", cases[i].name);
    }
}

Test(utf8, every_code_point_makes_the_round_trip)
{
    for (uint32_t c = 1; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        char bytes[4];
        uint32_t back = 0;
        const size_t n = utf8_encode(c, bytes);
        cr_assert_eq(utf8_decode(bytes, n, &back), n);
        cr_assert_eq(back, c);
    }
}

Test(utf8, cut_never_splits_a_character)
{
    const char *text = "a\xE2\x82\xAC"
                       "b";
    static const size_t want[] = {0, 1, 1, 1, 4, 5, 5};
    for (size_t max = 0; max < 7; max++)
        cr_expect_eq(utf8_cut(text, 5, max), want[max], "max %zu", max);
}
