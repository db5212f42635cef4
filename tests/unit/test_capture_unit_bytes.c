#include "common/capture_unit_bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static struct error err;
static const uint32_t tokens[] = {1, 2, 3, 4, 5, 6};
static const struct capture_segment segments[] = {
    {.row = 0, .start = 0, .length = 3, .document_index = 9, .document_key = UINT64_MAX},
    {.row = 1,
     .start = 1,
     .length = 2,
     .document_index = 10,
     .document_offset = 5,
     .document_key = 77}};
static const struct capture_unit unit = {.split = EVIDENCE_TEST,
                                         .unit_number = 1ull << 40,
                                         .n_rows = 2,
                                         .row_tokens = 3,
                                         .n_segments = 2,
                                         .tokens = tokens,
                                         .segments = segments};

static void encode(const struct capture_unit *from, struct buffer *out)
{
    error_clear(&err);
    buffer_init(out, 1 << 20);
    cr_assert_eq(capture_unit_encode(from, out, &err), ST_OK, "%s", err.text);
}

static status_t decode(const struct buffer *bytes, struct capture_unit_copy *out)
{
    error_clear(&err);
    return capture_unit_decode(bytes->bytes, bytes->n_bytes, out, &err);
}

Test(capture_unit_bytes, comes_back_as_it_was)
{
    struct buffer bytes, again;
    struct capture_unit_copy back;
    encode(&unit, &bytes);
    cr_assert_eq(decode(&bytes, &back), ST_OK, "%s", err.text);
    cr_expect_eq(back.unit.unit_number, unit.unit_number);
    cr_expect_eq(back.unit.split, EVIDENCE_TEST);
    cr_expect_arr_eq(back.unit.tokens, tokens, sizeof tokens);
    cr_expect_eq(back.unit.segments[1].document_key, 77);
    cr_expect_eq(back.unit.segments[1].document_offset, 5);
    encode(&back.unit, &again);
    cr_assert_eq(again.n_bytes, bytes.n_bytes);
    cr_expect_arr_eq(again.bytes, bytes.bytes, bytes.n_bytes);
    capture_unit_copy_fini(&back);
    capture_unit_copy_fini(&back);
    buffer_fini(&again);
    buffer_fini(&bytes);
}

Test(capture_unit_bytes, every_truncation_and_every_tail_is_refused)
{
    struct buffer bytes;
    struct capture_unit_copy back = {.unit = {.unit_number = 77}};
    encode(&unit, &bytes);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        error_clear(&err);
        cr_assert_neq(capture_unit_decode(bytes.bytes, n, &back, &err), ST_OK, "%zu", n);
    }
    cr_assert_eq(buffer_append(&bytes, "x", 1, &err), ST_OK);
    cr_expect_eq(decode(&bytes, &back), ST_CORRUPT);
    cr_expect_eq(back.unit.unit_number, 77);
    buffer_fini(&bytes);
}

Test(capture_unit_bytes, lying_heads_are_refused)
{
    /* offsets: version 0, split 4, n_rows 16, row_tokens 20, n_segments 24, first segment 28 */
    static const struct {
        const char *what;
        size_t at;
        unsigned char byte;
        status_t want;
    } lies[] = {
        {"another version", 0, 9, ST_PROTOCOL},
        {"no such split", 4, 200, ST_CORRUPT},
        {"no rows", 16, 0, ST_TOO_LARGE},
        {"too many rows", 19, 255, ST_TOO_LARGE},
        {"wider rows", 20, 4, ST_CORRUPT},
        {"more segments", 24, 3, ST_CORRUPT},
        {"segments without end", 27, 255, ST_CORRUPT},
        {"a segment in no row", 28, 2, ST_BAD_INPUT},
        {"a segment past its row", 36, 4, ST_BAD_INPUT},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct buffer bytes;
        struct capture_unit_copy back;
        encode(&unit, &bytes);
        bytes.bytes[lies[i].at] = lies[i].byte;
        cr_expect_eq(decode(&bytes, &back), lies[i].want, "%s: %s", lies[i].what, err.text);
        buffer_fini(&bytes);
    }
}

Test(capture_unit_bytes, sizes_that_overflow_are_refused_before_a_byte_is_written)
{
    struct capture_unit huge = unit;
    struct buffer bytes;
    huge.n_rows = huge.row_tokens = UINT32_MAX;
    buffer_init(&bytes, SIZE_MAX);
    cr_expect_eq(capture_unit_encode(&huge, &bytes, &err), ST_TOO_LARGE);
    cr_expect_eq(bytes.n_bytes, 0);
    buffer_fini(&bytes);
}
