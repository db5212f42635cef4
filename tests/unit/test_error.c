#include "common/error.h"

#include <criterion/criterion.h>
#include <string.h>

Test(error, the_first_error_wins)
{
    struct error err = {0};
    cr_expect_eq(error_set(&err, ST_IO, "first %d", 1), ST_IO);
    cr_expect_eq(error_set(&err, ST_CORRUPT, "second"), ST_CORRUPT, "the caller's own status");
    cr_expect_eq(err.status, ST_IO);
    cr_expect_str_eq(err.text, "first 1");
    error_clear(&err);
    cr_expect_eq(error_set(&err, ST_CORRUPT, "third"), ST_CORRUPT);
    cr_expect_str_eq(err.text, "third");
}

Test(error, wrapping_puts_words_in_front_and_keeps_the_status)
{
    struct error err = {0};
    (void)error_set(&err, ST_NOT_FOUND, "no file");
    cr_expect_eq(error_wrap(&err, "model %s", "m"), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "model m: no file");
}

Test(error, a_wrapped_nothing_never_reads_as_success)
{
    struct error err = {0};
    cr_expect_eq(error_wrap(&err, "x"), ST_INTERNAL);
    cr_expect_eq(error_wrap(NULL, "x"), ST_INTERNAL);
    cr_expect_eq(error_set(NULL, ST_BUSY, "x"), ST_BUSY);
    error_clear(NULL);
}

Test(error, text_from_outside_stays_on_one_line_and_within_its_room)
{
    struct error err = {0};
    char text[2 * ERROR_TEXT_MAX];
    (void)error_set(&err, ST_BAD_INPUT, "%s", "a\nb\tc\x7f\xc3\xa9");
    cr_expect_str_eq(err.text, "a?b?c?\xc3\xa9");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_clear(&err);
    (void)error_set(&err, ST_BAD_INPUT, "%s", text);
    cr_expect_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
    cr_expect_eq(error_wrap(&err, "%s", text), ST_BAD_INPUT);
    cr_expect_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
}

Test(error, every_status_has_a_name_of_its_own_and_the_exit_code_of_the_manual)
{
    static const struct {
        status_t status;
        int want;
    } codes[] = {{ST_OK, 0},       {ST_BAD_INPUT, 2}, {ST_NOT_FOUND, 3}, {ST_UNREACHABLE, 4},
                 {ST_CONFLICT, 5}, {ST_TIMEOUT, 124}, {ST_IO, 1},        {(status_t)99, 1}};
    for (int i = ST_OK; i <= ST_INTERNAL; i++)
        for (int j = ST_OK; j < i; j++)
            cr_assert_str_neq(status_name((status_t)i), status_name((status_t)j));
    cr_expect_str_eq(status_name((status_t)99), "unknown");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        cr_expect_eq(status_exit_code(codes[i].status), codes[i].want, "%s",
                     status_name(codes[i].status));
}
