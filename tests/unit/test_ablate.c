/* The bytes of ablate units and results (common/ablate.h). */
#include "common/ablate.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct error err;

static struct buffer unit_bytes(void)
{
    uint32_t ends[] = {0, 2, 5};
    struct ablate_change changes[] = {
        {{ABLATE_Z, 4, 64, 32}, ABLATE_MEAN, 0, {0, 0, 0, 0}},
        {{ABLATE_MLP_OUT, 5, 0, 128}, ABLATE_ZERO, 2, {0, 0, 0, 0}},
        {{ABLATE_Q, 1, 7, 1}, ABLATE_RESAMPLE, 0, {ABLATE_Z, 0, 32, 32}},
        {{ABLATE_FEATURE, 1, 20000, 1}, ABLATE_ZERO, 0, {0, 0, 0, 0}},
        {{ABLATE_ERROR, 1, 0, 1}, ABLATE_MEAN, 1, {0, 0, 0, 0}}};
    const struct ablate_unit unit = {3, ends, changes};
    struct buffer bytes;
    buffer_init(&bytes, 1 << 20);
    cr_assert_eq(ablate_unit_encode(&unit, &bytes, &err), ST_OK, "%s", err.text);
    return bytes;
}

Test(ablate, a_unit_comes_back_as_it_was)
{
    struct buffer bytes = unit_bytes(), again;
    struct ablate_unit unit;
    cr_assert_eq(ablate_unit_decode(bytes.bytes, bytes.n_bytes, &unit, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(unit.n_variants, 3);
    cr_expect_eq(unit.ends[1], 2);
    cr_expect_eq(unit.changes[1].at.place, ABLATE_MLP_OUT);
    cr_expect_eq(unit.changes[2].at.column, 7);
    cr_expect_eq(unit.changes[2].sender.n_columns, 32);
    cr_expect_eq(unit.changes[3].at.place, ABLATE_FEATURE);
    buffer_init(&again, 1 << 20);
    cr_assert_eq(ablate_unit_encode(&unit, &again, &err), ST_OK);
    cr_assert_eq(again.n_bytes, bytes.n_bytes);
    cr_expect_arr_eq(again.bytes, bytes.bytes, bytes.n_bytes);
    ablate_unit_fini(&unit);
    buffer_fini(&again);
    buffer_fini(&bytes);
}

/* Every byte of a unit set to something else, and every shorter one: refused, or a unit. */
Test(ablate, no_bytes_are_trusted)
{
    struct buffer bytes = unit_bytes();
    unsigned char *at = bytes.bytes;
    size_t n_refused = 0;
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        struct ablate_unit unit;
        const unsigned char before = at[i];
        at[i] = 0xff;
        if (ablate_unit_decode(at, bytes.n_bytes, &unit, &err) == ST_OK)
            ablate_unit_fini(&unit);
        else
            n_refused++;
        at[i] = before;
        cr_expect_eq(ablate_unit_decode(at, i, &unit, &err), ST_CORRUPT, "%zu bytes", i);
    }
    cr_expect(n_refused >= 12 + 3, "the head's and each end's largest byte at least: %zu",
              n_refused);
    buffer_fini(&bytes);
}

Test(ablate, a_unit_of_another_version_says_so)
{
    struct buffer bytes = unit_bytes();
    struct ablate_unit unit;
    *(unsigned char *)bytes.bytes = 9;
    error_clear(&err);
    cr_expect_eq(ablate_unit_decode(bytes.bytes, bytes.n_bytes, &unit, &err), ST_PROTOCOL);
    cr_expect(strstr(err.text, "version 9"), "%s", err.text);
    buffer_fini(&bytes);
}

Test(ablate, outcomes_come_back_to_the_bit)
{
    struct ablate_outcome outcomes[] = {{1.5, -2, 0.25, 0.125, 1, 0.1},
                                        {3, NAN, NAN, 0, 0, 1e-300}};
    const struct ablate_result result = {2, 1, outcomes, 1ULL << 40};
    struct ablate_result back;
    struct buffer bytes;
    buffer_init(&bytes, 1 << 20);
    cr_assert_eq(ablate_result_encode(&result, &bytes, &err), ST_OK);
    cr_assert_eq(ablate_result_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(back.n_variants, 2);
    cr_assert_eq(back.n_prompts, 1);
    cr_expect_eq(back.n_skipped, 1ULL << 40);
    cr_expect_arr_eq(back.outcomes, outcomes, sizeof outcomes);
    ablate_result_fini(&back);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_expect_eq(ablate_result_decode(bytes.bytes, n, &back, &err), ST_CORRUPT, "%zu bytes", n);
    buffer_fini(&bytes);
}

Test(ablate, too_many_variants_are_refused_before_any_memory_is)
{
    unsigned char head[12] = {2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct ablate_unit unit;
    struct ablate_result result;
    cr_expect_eq(ablate_unit_decode(head, sizeof head, &unit, &err), ST_TOO_LARGE);
    cr_expect_eq(ablate_result_decode(head, sizeof head, &result, &err), ST_TOO_LARGE);
}
