#include "common/buffer.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

Test(buffer, grows_as_bytes_come_and_keeps_them)
{
    struct buffer buffer;
    struct error err = {0};
    buffer_init(&buffer, 1 << 20);
    for (unsigned i = 0; i < 10000; i++) {
        const unsigned char byte = (unsigned char)(i * 7);
        cr_assert_eq(buffer_append(&buffer, &byte, 1, &err), ST_OK);
    }
    cr_assert_eq(buffer.n_bytes, 10000);
    for (unsigned i = 0; i < 10000; i++) cr_assert_eq(buffer.bytes[i], (unsigned char)(i * 7));
    buffer_fini(&buffer);
    buffer_fini(&buffer);
    cr_expect_null(buffer.bytes);
}

Test(buffer, holds_exactly_its_cap_and_a_byte_more_changes_nothing)
{
    struct buffer buffer;
    struct error err = {0};
    buffer_init(&buffer, 300);
    char bytes[300];
    memset(bytes, 'a', sizeof bytes);
    cr_assert_eq(buffer_append(&buffer, bytes, 299, &err), ST_OK);
    cr_expect_eq(buffer_append(&buffer, bytes, 2, &err), ST_TOO_LARGE);
    cr_expect_eq(buffer.n_bytes, 299);
    error_clear(&err);
    cr_expect_eq(buffer_append(&buffer, bytes, 1, &err), ST_OK);
    cr_expect_null(buffer_text(&buffer), "no room for the NUL");
    buffer_fini(&buffer);
}

Test(buffer, sizes_that_overflow_are_refused)
{
    struct buffer buffer;
    struct error err = {0};
    void *room;
    buffer_init(&buffer, SIZE_MAX);
    cr_assert_eq(buffer_append(&buffer, "x", 1, &err), ST_OK);
    cr_expect_eq(buffer_reserve(&buffer, SIZE_MAX, &room, &err), ST_TOO_LARGE);
    cr_expect_eq(buffer.n_bytes, 1);
    cr_expect_eq(buffer.bytes[0], 'x', "a refused growth loses nothing");
    buffer_fini(&buffer);
}

Test(buffer, nothing_asked_of_nothing_is_fine)
{
    struct buffer buffer;
    struct error err = {0};
    void *room = &room;
    buffer_init(&buffer, 0);
    cr_expect_eq(buffer_reserve(&buffer, 0, &room, &err), ST_OK);
    cr_expect_eq(buffer_append(&buffer, NULL, 0, &err), ST_OK);
    cr_expect_eq(buffer.n_bytes, 0);
    buffer_fini(&buffer);
}

Test(buffer, prints_and_shows_as_text)
{
    struct buffer buffer;
    struct error err = {0};
    buffer_init(&buffer, 100);
    cr_assert_eq(buffer_printf(&buffer, &err, "%d-%s", 42, "x"), ST_OK);
    cr_assert_eq(buffer_append_text(&buffer, "!", &err), ST_OK);
    cr_expect_str_eq(buffer_text(&buffer), "42-x!");
    cr_expect_eq(buffer.n_bytes, 5, "the NUL does not count");
    cr_expect_eq(buffer_printf(&buffer, &err, "%200d", 1), ST_TOO_LARGE);
    cr_expect_str_eq(buffer_text(&buffer), "42-x!");
    buffer_fini(&buffer);
}
