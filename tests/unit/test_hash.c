#include "common/hash.h"

#include <criterion/criterion.h>
#include <string.h>

/* FIPS 180-4, examples. */
Test(hash, is_sha256)
{
    char hex[HASH_HEX_SIZE];
    cr_expect_str_eq(hash_sha256_hex("abc", 3, hex),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_expect_str_eq(hash_sha256_hex("", 0, hex),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cr_expect_eq(hash_name64("abc", 3), 0xba7816bf8f01cfeau);
}

Test(hash, in_pieces_is_the_same)
{
    char whole[HASH_HEX_SIZE], pieces[HASH_HEX_SIZE], bytes[1000];
    struct hash_stream *stream;
    struct error err = {0};
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 31);
    (void)hash_sha256_hex(bytes, sizeof bytes, whole);
    for (size_t piece = 1; piece < 200; piece += 37) {
        cr_assert_eq(hash_stream_create(&stream, &err), ST_OK);
        for (size_t at = 0; at < sizeof bytes; at += piece)
            cr_assert_eq(hash_stream_add(stream, bytes + at,
                                         at + piece < sizeof bytes ? piece : sizeof bytes - at,
                                         &err),
                         ST_OK);
        cr_assert_eq(hash_stream_hex(stream, pieces, &err), ST_OK);
        cr_expect_str_eq(pieces, whole, "pieces of %zu", piece);
        hash_stream_destroy(&stream);
        cr_expect_null(stream);
    }
}

/* The reference's first outputs for seed 0 (Vigna, splitmix64.c), one step each. */
Test(hash, mixes_as_splitmix64)
{
    cr_expect_eq(hash_mix64(0), 0xe220a8397b1dcdafu);
    cr_expect_eq(hash_mix64(0x9e3779b97f4a7c15u), 0x6e789e6aa1b965f4u);
    cr_expect_eq(hash_mix64(2 * 0x9e3779b97f4a7c15u), 0x06c45d188009454fu);
}
