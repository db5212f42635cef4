#include "common/wire.h"

#include <criterion/criterion.h>
#include <string.h>

static struct error err;

Test(wire_parts, come_back_in_order_with_their_sizes)
{
    const struct wire_text parts[] = {{"one", 3}, {"", 0}, {"\0\1", 2}, {"last", 4}};
    struct wire_parts back;
    struct buffer bytes;
    buffer_init(&bytes, 1000);
    cr_assert_eq(wire_parts_encode(parts, 4, &bytes, &err), ST_OK);
    cr_assert_eq(wire_parts_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK, "%s", err.text);
    cr_assert_eq(back.n, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct wire_text part = wire_part(&back, i);
        cr_expect_eq(part.n_bytes, parts[i].n_bytes);
        cr_expect_eq(wire_part_size(&back, i), parts[i].n_bytes);
        cr_expect(memcmp(part.bytes, parts[i].bytes, part.n_bytes) == 0);
    }
    buffer_fini(&bytes);
}

Test(wire_parts, no_parts_are_a_frame_too)
{
    struct wire_parts back;
    struct buffer bytes;
    buffer_init(&bytes, 1000);
    cr_assert_eq(wire_parts_encode(NULL, 0, &bytes, &err), ST_OK);
    cr_assert_eq(wire_parts_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK);
    cr_expect_eq(back.n, 0);
    buffer_fini(&bytes);
}

Test(wire_parts, every_truncation_and_every_tail_is_refused)
{
    const struct wire_text parts[] = {{"one", 3}, {"two", 3}};
    struct wire_parts back = {.n = 77};
    struct buffer bytes;
    buffer_init(&bytes, 1000);
    cr_assert_eq(wire_parts_encode(parts, 2, &bytes, &err), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        error_clear(&err);
        cr_assert_eq(wire_parts_decode(bytes.bytes, n, &back, &err), ST_PROTOCOL, "%zu", n);
    }
    cr_assert_eq(buffer_append(&bytes, "x", 1, &err), ST_OK);
    error_clear(&err);
    cr_expect_eq(wire_parts_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_PROTOCOL);
    cr_expect_eq(back.n, 77);
    buffer_fini(&bytes);
}

Test(wire_parts, lying_counts_and_sizes_are_refused)
{
    static const unsigned char many[12] = {0xff, 0xff, 0xff, 0xff};
    static const unsigned char huge[13] = {1,    0,    0,    0,    0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 'x'};
    /* two sizes whose sum wraps to the one byte that is there */
    static const unsigned char wraps[21] = {
        2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'};
    struct wire_parts back;
    cr_expect_eq(wire_parts_decode(many, sizeof many, &back, &err), ST_PROTOCOL);
    error_clear(&err);
    cr_expect_eq(wire_parts_decode(huge, sizeof huge, &back, &err), ST_PROTOCOL);
    error_clear(&err);
    cr_expect_eq(wire_parts_decode(wraps, sizeof wraps, &back, &err), ST_PROTOCOL);
}

Test(wire_parts, a_buffer_without_room_is_refused)
{
    const struct wire_text part = {"0123456789", 10};
    struct buffer bytes;
    buffer_init(&bytes, 21);
    cr_expect_eq(wire_parts_encode(&part, 1, &bytes, &err), ST_TOO_LARGE);
    buffer_fini(&bytes);
}
