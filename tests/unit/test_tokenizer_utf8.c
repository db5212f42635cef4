#include "worker/model/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

Test(tokenizer_utf8, each_maximal_subpart_becomes_one_replacement)
{
    /* Unicode 15, tables 3-8 to 3-11, and Python's errors="replace" on the rest. */
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a\xf1\x80\x80\xe1\x80\xc2z", "a\ufffd\ufffd\ufffdz"},
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82z", "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdz"},
        {"\xed\xa0\x80\xed\xbf\xbfz", "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdz"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbfz", "\ufffd\ufffd\ufffd\ufffd\ufffd\x41\ufffd\ufffdz"},
        {"\xf0\x9f\x98", "\ufffd"},
        {"\xe2\x82\xf0\x9f\x98\x80", "\ufffd😀"},
        {"12345678abcdefgh\x80", "12345678abcdefgh\ufffd"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer got;
        buffer_init(&got, 256);
        cr_assert_eq(utf8_repair(cases[i].text, strlen(cases[i].text), &got, NULL), ST_OK);
        cr_expect_str_eq(buffer_text(&got), cases[i].want, "case %zu", i);
        buffer_fini(&got);
    }
}

Test(tokenizer_utf8, every_scalar_value_round_trips_and_no_prefix_of_it_is_valid)
{
    for (uint32_t value = 0; value < 0x110000; value++) {
        char bytes[UTF8_MAX_BYTES];
        size_t n_used = 0;
        if (value >= 0xd800 && value < 0xe000) continue;
        const size_t n = utf8_write(value, bytes);
        cr_assert(utf8_step(bytes, n, &n_used) && n_used == n, "U+%04X", value);
        cr_assert(utf8_read(bytes, &n_used) == value && n_used == n, "U+%04X", value);
        for (size_t cut = 1; cut < n; cut++)
            cr_assert(!utf8_step(bytes, cut, &n_used) && n_used == cut, "U+%04X", value);
    }
}

Test(tokenizer_utf8, the_valid_prefix_ends_at_the_first_bad_byte_wherever_it_is)
{
    char text[64];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        text[at] = '\xff';
        cr_expect_eq(utf8_valid_prefix(text, sizeof text), at);
        cr_expect_eq(utf8_valid_prefix(text, at), at);
    }
}

Test(tokenizer_utf8, white_space_is_measured_in_bytes_at_both_ends)
{
    static const char text[] = " \u3000\tx \u200by\u00a0\u2028\n";
    cr_expect_eq(utf8_leading_space(text, sizeof text - 1), 5u);
    cr_expect_eq(utf8_trailing_space(text, sizeof text - 1), 6u);
    cr_expect_eq(utf8_leading_space(" \n", 2), 2u);
    cr_expect_eq(utf8_trailing_space(" \n", 2), 2u);
    cr_expect_eq(utf8_trailing_space("", 0), 0u);
    cr_expect_not(utf8_is_white_space(0x180e));
    cr_expect_eq(utf8_previous("a\xf0\x9f\x98\x80", 5), 1u);
}
