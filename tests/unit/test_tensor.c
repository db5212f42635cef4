#include "worker/model/tensor.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The value of a half by its definition (IEEE 754-2008, 3.4). */
static double half_value(unsigned half)
{
    const int exponent = (int)(half >> 10 & 31);
    const int fraction = (int)(half & 1023);
    const double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -size : size;
}

Test(tensor, every_finite_half_widens_exactly)
{
    static uint16_t halves[65536];
    static float out[65536];
    for (unsigned i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
    const struct tensor_view view = {"h", TENSOR_F16, 1, {65536}, halves, sizeof halves};
    cr_assert_eq(tensor_to_f32(&view, out, 65536, NULL), ST_OK);
    for (unsigned i = 0; i < 65536; i++) {
        if ((i >> 10 & 31) == 31) continue;
        cr_assert_eq((double)out[i], half_value(i), "half %04x", i);
        cr_assert_eq(signbit(out[i]) != 0, i >= 0x8000, "half %04x", i);
    }
}

Test(tensor, infinities_and_nans_of_halves_keep_sign_and_payload)
{
    static const struct {
        uint16_t half;
        uint32_t want;
    } cases[] = {{0x7c00, 0x7f800000}, {0xfc00, 0xff800000}, {0x7e00, 0x7fc00000},
                 {0xfe01, 0xffc02000}, {0x7c01, 0x7f802000}, {0x8000, 0x80000000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float out;
        const struct tensor_view view = {"h", TENSOR_F16, 0, {0}, &cases[i].half, 2};
        cr_assert_eq(tensor_to_f32(&view, &out, 1, NULL), ST_OK);
        cr_expect_eq(bits_of(out), cases[i].want, "half %04x: %08x", cases[i].half, bits_of(out));
    }
}

Test(tensor, bf16_is_the_upper_half_of_a_float_even_when_unaligned)
{
    unsigned char bytes[9] = {0, 0x80, 0x3f, 0x49, 0xc0, 0x01, 0x00, 0xc1, 0x7f};
    static const uint32_t want[4] = {0x3f800000, 0xc0490000, 0x00010000, 0x7fc10000};
    float out[4];
    const struct tensor_view view = {"b", TENSOR_BF16, 2, {2, 2}, bytes + 1, 8};
    cr_assert_eq(tensor_to_f32(&view, out, 4, NULL), ST_OK);
    for (size_t i = 0; i < 4; i++) cr_expect_eq(bits_of(out[i]), want[i], "value %zu", i);
}

Test(tensor, f64_rounds_to_nearest)
{
    const double values[3] = {1.0 + 0x1p-24, 1.0 + 0x3p-24, -1e300};
    float out[3];
    const struct tensor_view view = {"d", TENSOR_F64, 1, {3}, values, sizeof values};
    cr_assert_eq(tensor_to_f32(&view, out, 3, NULL), ST_OK);
    cr_expect_eq(out[0], 1.0f);
    cr_expect_eq(out[1], 1.0f + 0x1p-22f);
    cr_expect(isinf(out[2]) && out[2] < 0);
}

Test(tensor, wrong_counts_and_integer_dtypes_are_refused_by_name)
{
    const int32_t values[2] = {1, 2};
    float out[4];
    struct error err = {0};
    const struct tensor_view view = {"blocks.3", TENSOR_I32, 1, {2}, values, sizeof values};
    cr_expect_eq(tensor_to_f32(&view, out, 3, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "blocks.3") && strstr(err.text, "2") && strstr(err.text, "3"));
    error_clear(&err);
    cr_expect_eq(tensor_to_f32(&view, out, 2, &err), ST_UNSUPPORTED);
    cr_expect(strstr(err.text, "blocks.3") && strstr(err.text, "I32"), "%s", err.text);
}

Test(tensor, sizes_that_overflow_are_refused)
{
    size_t n_bytes = 7;
    const size_t wraps[2] = {SIZE_MAX / 2 + 2, 2};
    const size_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    cr_expect_eq(tensor_measure(TENSOR_F32, wraps, 2, &n_bytes, NULL), ST_TOO_LARGE);
    cr_expect_eq(tensor_measure(TENSOR_F32, nine, 9, &n_bytes, NULL), ST_TOO_LARGE);
    cr_expect_eq(tensor_measure(TENSOR_N_DTYPES, nine, 1, &n_bytes, NULL), ST_BAD_INPUT);
    cr_expect_eq(n_bytes, 7u);
    cr_expect_eq(tensor_measure(TENSOR_F64, nine, 8, &n_bytes, NULL), ST_OK);
    cr_expect_eq(n_bytes, 8u);
}

Test(tensor, dtype_names_round_trip)
{
    for (int i = 0; i < TENSOR_N_DTYPES; i++) {
        enum tensor_dtype got = TENSOR_N_DTYPES;
        cr_expect_eq(tensor_dtype_parse(tensor_dtype_name((enum tensor_dtype)i), &got, NULL),
                     ST_OK);
        cr_expect_eq((int)got, i);
        cr_expect_gt(tensor_dtype_bytes((enum tensor_dtype)i), 0u);
    }
    enum tensor_dtype dtype;
    struct error err = {0};
    cr_expect_eq(tensor_dtype_parse("F7", &dtype, &err), ST_UNSUPPORTED);
    cr_expect(strstr(err.text, "F7"));
}
