/* Every message type there and back, and everything that is not a message. */
#include "common/wire.h"

#include <criterion/criterion.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <string.h>

static struct error err;

/* A message of that type with a value of its own in every field that the type may carry. */
static struct wire_message make(enum wire_type type)
{
    struct wire_message message = {.type = type,
                                   .id = 1,
                                   .epoch = UINT64_MAX,
                                   .lease = 3,
                                   .low = 4,
                                   .high = 5,
                                   .unit = 6,
                                   .ticks = 7,
                                   .n_held = 8,
                                   .n_open = 9,
                                   .n_stored = 10,
                                   .n_duplicate = 11,
                                   .heartbeat_ms = 12,
                                   .status = 13,
                                   .pid = 14,
                                   .n_threads = 15,
                                   .memory_bytes = 1ull << 40,
                                   .seconds = 0.125,
                                   .task = wire_text_of("s-1/t"),
                                   .name = wire_text_of("n"),
                                   .backend = wire_text_of("cpu"),
                                   .isa = wire_text_of("avx512 bf16"),
                                   .host = wire_text_of(""),
                                   .code_version = wire_text_of("1.2"),
                                   .text = wire_text_of("why\n\xc3\xa9"),
                                   .store = wire_text_of("unix:/x"),
                                   .ranges = {.n = 2, .low = {0, 9}, .high = {4, UINT64_MAX}}};
    return message;
}

static void encode(const struct wire_message *message, struct buffer *out)
{
    error_clear(&err);
    buffer_init(out, WIRE_MAX_HEADER_BYTES);
    cr_assert_eq(wire_encode(message, out, &err), ST_OK, "%s", err.text);
}

static status_t decode(const struct buffer *bytes, struct wire_message *out)
{
    error_clear(&err);
    return wire_decode(bytes->bytes, bytes->n_bytes, out, &err);
}

static bool same_text(struct wire_text a, struct wire_text b)
{
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.bytes, b.bytes, a.n_bytes) == 0);
}

/* Encoding what was decoded gives the same bytes: no field was lost on the way. */
Test(wire, every_type_comes_back_as_it_was)
{
    for (unsigned type = 0; type < WIRE_N_TYPES; type++) {
        const struct wire_message message = make((enum wire_type)type);
        struct wire_message back;
        struct buffer first, second;
        encode(&message, &first);
        cr_assert_eq(decode(&first, &back), ST_OK, "%s", err.text);
        cr_expect_eq((unsigned)back.type, type);
        encode(&back, &second);
        cr_assert_eq(first.n_bytes, second.n_bytes);
        cr_expect_arr_eq(first.bytes, second.bytes, first.n_bytes);
        buffer_fini(&first);
        buffer_fini(&second);
    }
}

Test(wire, fields_keep_their_values_and_those_of_other_types_are_zero)
{
    const struct wire_message message = make(WIRE_SETTLED);
    struct wire_message back;
    struct buffer bytes;
    encode(&message, &bytes);
    cr_assert_eq(decode(&bytes, &back), ST_OK, "%s", err.text);
    cr_expect_eq(back.lease, 3);
    cr_expect_eq(back.seconds, 0.125);
    cr_expect(same_text(back.task, message.task));
    cr_assert_eq(back.ranges.n, 2);
    cr_expect_eq(back.ranges.high[1], UINT64_MAX);
    cr_expect_eq(back.epoch, 0);
    cr_expect_eq(back.text.n_bytes, 0);
    buffer_fini(&bytes);
}

Test(wire, no_truncation_and_no_tail_is_a_message)
{
    for (unsigned type = 0; type < WIRE_N_TYPES; type++) {
        const struct wire_message message = make((enum wire_type)type);
        struct wire_message back = {.id = 77};
        struct buffer bytes;
        encode(&message, &bytes);
        for (size_t n = 0; n < bytes.n_bytes; n++) {
            error_clear(&err);
            cr_assert_eq(wire_decode(bytes.bytes, n, &back, &err), ST_PROTOCOL, "%s, %zu bytes",
                         wire_type_name((enum wire_type)type), n);
        }
        cr_assert_eq(buffer_append(&bytes, "\xc0", 1, &err), ST_OK);
        cr_expect_eq(decode(&bytes, &back), ST_PROTOCOL);
        cr_expect_eq(back.id, 77, "untouched on failure");
        buffer_fini(&bytes);
    }
}

/* --- maps by hand --------------------------------------------------------------------------- */

static void pack_text(msgpack_packer *packer, const char *text)
{
    (void)msgpack_pack_str(packer, strlen(text));
    (void)msgpack_pack_str_body(packer, text, strlen(text));
}

/* A REVOKE of version `version` with the lease under `key` and n_more strange keys. */
static status_t decode_revoke(uint64_t version, const char *key, unsigned n_more,
                              struct wire_message *out)
{
    msgpack_sbuffer bytes;
    msgpack_packer packer;
    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&packer, &bytes, msgpack_sbuffer_write);
    (void)msgpack_pack_map(&packer, 3 + n_more);
    for (unsigned i = 0; i < n_more; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "new%u", i);
        pack_text(&packer, name);
        (void)msgpack_pack_array(&packer, 2);
        (void)msgpack_pack_nil(&packer);
        (void)msgpack_pack_double(&packer, NAN);
    }
    pack_text(&packer, "v");
    (void)msgpack_pack_uint64(&packer, version);
    pack_text(&packer, "t");
    pack_text(&packer, "REVOKE");
    pack_text(&packer, key);
    (void)msgpack_pack_uint64(&packer, 42);
    error_clear(&err);
    const status_t status = wire_decode(bytes.data, bytes.size, out, &err);
    msgpack_sbuffer_destroy(&bytes);
    return status;
}

Test(wire, unknown_keys_are_ignored)
{
    struct wire_message back;
    cr_assert_eq(decode_revoke(WIRE_VERSION, "lease", 5, &back), ST_OK, "%s", err.text);
    cr_expect_eq(back.lease, 42);
}

Test(wire, a_missing_key_is_named)
{
    struct wire_message back;
    cr_expect_eq(decode_revoke(WIRE_VERSION, "leese", 0, &back), ST_PROTOCOL);
    cr_expect(strstr(err.text, "REVOKE") && strstr(err.text, "\"lease\""), "%s", err.text);
}

Test(wire, another_version_is_refused_with_both_numbers)
{
    struct wire_message back;
    cr_expect_eq(decode_revoke(99, "lease", 0, &back), ST_PROTOCOL);
    cr_expect(strstr(err.text, "99") && strstr(err.text, "1"), "%s", err.text);
    static const unsigned char other[] = {0x81, 0xa1, 'v', 99};
    static const unsigned char same[] = {0x81, 0xa1, 'v', WIRE_VERSION};
    cr_expect(wire_is_other_version(other, sizeof other));
    cr_expect_not(wire_is_other_version(same, sizeof same));
    cr_expect_not(wire_is_other_version("garbage", 7));
    cr_expect_not(wire_is_other_version("", 0));
}

Test(wire, what_is_no_message_is_refused)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t n;
    } cases[] = {
        {"nothing", "", 0},
        {"a number", "\x07", 1},
        {"text",
         "\xa3"
         "abc",
         4},
        {"an empty map", "\x80", 1},
        {"a version that is text",
         "\x82\xa1v\xa1"
         "1\xa1t\xa3"
         "BYE",
         11},
        {"a type that is a number", "\x82\xa1v\x01\xa1t\x05", 7},
        {"an unknown type",
         "\x82\xa1v\x01\xa1t\xa5"
         "DANCE",
         12},
        {"a reserved byte", "\xc1", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire_message back;
        error_clear(&err);
        cr_expect_eq(wire_decode(cases[i].bytes, cases[i].n, &back, &err), ST_PROTOCOL, "%s",
                     cases[i].what);
    }
}

/* The library would reserve memory for what is claimed. */
Test(wire, claims_without_bytes_are_refused_before_the_library_sees_them)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t n;
        bool fits;
    } cases[] = {
        {"an array of 2^32 - 1", "\xdd\xff\xff\xff\xff", 5, false},
        {"a map of 2^32 - 1", "\xdf\xff\xff\xff\xff", 5, false},
        {"a text of 2^32 - 1", "\xdb\xff\xff\xff\xff", 5, false},
        {"an extension of 255", "\xc7\xff\x01", 3, false},
        {"nine deep", "\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0", 10, false},
        {"seven deep", "\x91\x91\x91\x91\x91\x91\x91\xc0", 8, true},
        {"an array of 3 with 3", "\x93\x01\x02\x03", 4, true},
        {"an array of 3 with 2", "\x93\x01\x02", 3, false},
        {"16 bits", "\xdc\x00\x02\xcd\x12\x34\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18", 15, true},
        {"fixext 16",
         "\xd8\x01"
         "0123456789abcdef",
         18, true},
        {"fixext 16, cut",
         "\xd8\x01"
         "0123456789abcde",
         17, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(wire_counts_fit(cases[i].bytes, cases[i].n), cases[i].fits, "%s",
                     cases[i].what);
}

/* --- limits ---------------------------------------------------------------------------------- */

Test(wire, text_has_its_cap_on_both_sides)
{
    static char text[WIRE_MAX_TEXT_BYTES + 1];
    struct wire_message message = make(WIRE_SPEC), back;
    struct buffer bytes;
    memset(text, 'x', sizeof text);
    message.task = (struct wire_text){text, WIRE_MAX_NAME_BYTES};
    encode(&message, &bytes);
    cr_expect_eq(decode(&bytes, &back), ST_OK);
    buffer_fini(&bytes);
    message.task.n_bytes++;
    buffer_init(&bytes, WIRE_MAX_HEADER_BYTES);
    cr_expect_eq(wire_encode(&message, &bytes, &err), ST_TOO_LARGE);
    buffer_fini(&bytes);
    message = make(WIRE_BYE);
    message.text = (struct wire_text){text, WIRE_MAX_TEXT_BYTES + 1};
    error_clear(&err);
    buffer_init(&bytes, WIRE_MAX_HEADER_BYTES);
    cr_expect_eq(wire_encode(&message, &bytes, &err), ST_TOO_LARGE);
    buffer_fini(&bytes);
}

Test(wire, ranges_have_their_cap)
{
    struct wire_message message = make(WIRE_SETTLED), back;
    struct buffer bytes;
    message.ranges.n = WIRE_MAX_RANGES;
    for (size_t i = 0; i < WIRE_MAX_RANGES; i++)
        message.ranges.low[i] = message.ranges.high[i] = UINT64_MAX - i;
    encode(&message, &bytes);
    cr_expect_eq(decode(&bytes, &back), ST_OK, "%s", err.text);
    cr_expect_eq(back.ranges.low[WIRE_MAX_RANGES - 1], UINT64_MAX - WIRE_MAX_RANGES + 1);
    buffer_fini(&bytes);
    message.ranges.n++;
    error_clear(&err);
    buffer_init(&bytes, WIRE_MAX_HEADER_BYTES);
    cr_expect_eq(wire_encode(&message, &bytes, &err), ST_TOO_LARGE);
    buffer_fini(&bytes);
}

Test(wire, a_header_over_its_cap_is_too_large)
{
    static char bytes[WIRE_MAX_HEADER_BYTES + 1];
    struct wire_message back;
    cr_expect_eq(wire_decode(bytes, sizeof bytes, &back, &err), ST_TOO_LARGE);
}

Test(wire, a_buffer_without_room_is_too_large_and_not_half_a_message)
{
    const struct wire_message message = make(WIRE_HELLO);
    struct buffer whole;
    encode(&message, &whole);
    for (size_t room = 0; room < whole.n_bytes; room++) {
        struct buffer bytes;
        error_clear(&err);
        buffer_init(&bytes, room);
        cr_assert_eq(wire_encode(&message, &bytes, &err), ST_TOO_LARGE);
        buffer_fini(&bytes);
    }
    buffer_fini(&whole);
}

Test(wire, durations_are_finite_and_not_negative)
{
    static const double bad[] = {-1.0, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wire_message message = make(WIRE_SETTLED), back;
        struct buffer bytes;
        message.seconds = bad[i];
        encode(&message, &bytes);
        cr_expect_eq(decode(&bytes, &back), ST_PROTOCOL, "%f", bad[i]);
        cr_expect(strstr(err.text, "\"seconds\""), "%s", err.text);
        buffer_fini(&bytes);
    }
}

Test(wire, text_is_copied_whole_or_not_at_all)
{
    char out[4] = "xyz";
    cr_expect(wire_text_copy(wire_text_of("abc"), out, sizeof out));
    cr_expect_str_eq(out, "abc");
    cr_expect_not(wire_text_copy(wire_text_of("abcd"), out, sizeof out));
    cr_expect_str_eq(out, "");
    cr_expect_not(wire_text_copy((struct wire_text){"a\0b", 3}, out, sizeof out));
    cr_expect_str_eq(wire_type_name((enum wire_type)99), "?");
}
