#include "common/logits.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct logits_answer made_answer(void)
{
    struct logits_answer answer;
    cr_assert_eq(logits_answer_init(&answer, 2, 3, NULL), ST_OK);
    for (uint32_t i = 0; i < 12; i++)
        answer.entries[i] = (struct logits_entry){1000 + i, 0.5f - (float)i};
    return answer;
}

Test(logits, an_answer_comes_back_and_no_part_of_it_does)
{
    struct logits_answer answer = made_answer(), got = {.n_slots = 0};
    struct buffer out;
    buffer_init(&out, LOGITS_MAX_BYTES);
    cr_assert_eq(logits_answer_encode(&answer, &out, NULL), ST_OK);
    cr_assert_eq(logits_answer_decode(out.bytes, out.n_bytes, &got, NULL), ST_OK);
    cr_expect_eq(got.n_slots, 2);
    cr_expect_eq(got.n_top, 3);
    cr_expect_arr_eq(got.entries, answer.entries, 12 * sizeof *got.entries);
    logits_answer_fini(&got);
    for (size_t n = 0; n < out.n_bytes; n++)
        cr_expect_eq(logits_answer_decode(out.bytes, n, &got, NULL), ST_CORRUPT, "%zu bytes", n);
    buffer_fini(&out);
    logits_answer_fini(&answer);
}

Test(logits, a_reason_comes_back)
{
    struct logits_answer answer, got;
    struct buffer out;
    buffer_init(&out, LOGITS_MAX_BYTES);
    cr_assert_eq(logits_answer_init(&answer, 0, 10, NULL), ST_OK);
    (void)snprintf(answer.reason, sizeof answer.reason, "a head writes no one direction");
    cr_assert_eq(logits_answer_encode(&answer, &out, NULL), ST_OK);
    cr_assert_eq(logits_answer_decode(out.bytes, out.n_bytes, &got, NULL), ST_OK);
    cr_expect_str_eq(got.reason, answer.reason);
    buffer_fini(&out);
    logits_answer_fini(&answer);
    logits_answer_fini(&got);
}

Test(logits, numbers_that_are_none_and_sizes_that_lie_are_refused)
{
    struct logits_answer answer = made_answer(), got = {.n_slots = 0};
    struct buffer out;
    buffer_init(&out, LOGITS_MAX_BYTES);
    answer.entries[5].value = NAN;
    cr_assert_eq(logits_answer_encode(&answer, &out, NULL), ST_OK);
    cr_expect_eq(logits_answer_decode(out.bytes, out.n_bytes, &got, NULL), ST_CORRUPT);
    memset(out.bytes, 0xff, 4);
    cr_expect_eq(logits_answer_decode(out.bytes, out.n_bytes, &got, NULL), ST_CORRUPT);
    buffer_fini(&out);
    logits_answer_fini(&answer);
    cr_expect_eq(logits_answer_init(&got, LOGITS_MAX_SLOTS + 1, 1, NULL), ST_TOO_LARGE);
}

Test(logits, a_unit_comes_back_and_no_part_of_it_does)
{
    static struct logits_unit unit = {.target = 3, .n_slots = 4, .slots = {9, 8, 70000, 6}}, got;
    struct buffer out;
    buffer_init(&out, LOGITS_MAX_BYTES);
    cr_assert_eq(logits_unit_encode(&unit, &out, NULL), ST_OK);
    cr_assert_eq(logits_unit_decode(out.bytes, out.n_bytes, &got, NULL), ST_OK);
    cr_expect_eq(got.target, 3);
    cr_expect_arr_eq(got.slots, unit.slots, 4 * sizeof *got.slots);
    for (size_t n = 0; n < out.n_bytes; n++)
        cr_expect_eq(logits_unit_decode(out.bytes, n, &got, NULL), ST_CORRUPT, "%zu bytes", n);
    buffer_fini(&out);
}
