/* What head_scores tasks carry, and the scores that come of sums (common/head_scores.h). */
#include "common/head_scores.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct error err;

enum { N_LAYERS = 2, N_HEADS = 3, N_ALL = N_LAYERS * N_HEADS };

/* Two sequences of 4 and 6 tokens; sums that say which sequence and head they are of. */
static struct head_scores_result example(void)
{
    struct head_scores_result result;
    cr_assert_eq(head_scores_result_init(&result, 2, N_LAYERS, N_HEADS, &err), ST_OK);
    for (size_t i = 0; i < 2; i++) {
        const uint32_t n = i ? 6 : 4;
        result.sequences[i] =
            (struct head_scores_sequence){.n_tokens = n,
                                          .n_pairs = {n - 1, i ? 3 : 0, i ? 3 : 0},
                                          .n_queries = {n - 1, i ? 2 : 0, i ? 2 : 0}};
        for (size_t h = 0; h < N_ALL; h++) {
            double *sums = result.sums + (i * N_ALL + h) * HEAD_N_SUMS;
            sums[0] = n;
            sums[1] = 0.25 * (double)(h + i);
            sums[2] = i ? 0.125 * (double)h : 0;
            sums[3] = i ? 0.0625 * (double)h : 0;
        }
    }
    return result;
}

static struct buffer encode(const struct head_scores_result *result)
{
    struct buffer out;
    buffer_init(&out, HEAD_SCORES_MAX_RESULT_BYTES);
    cr_assert_eq(head_scores_result_encode(result, &out, &err), ST_OK);
    return out;
}

Test(head_scores, results_come_back_as_they_were)
{
    struct head_scores_result result = example(), again;
    struct buffer bytes = encode(&result);
    cr_assert_eq(head_scores_result_decode(bytes.bytes, bytes.n_bytes, &again, &err), ST_OK);
    cr_expect_eq(again.n, 2);
    cr_expect_eq(memcmp(again.sequences, result.sequences, 2 * sizeof *again.sequences), 0);
    cr_expect_eq(memcmp(again.sums, result.sums, 2 * N_ALL * HEAD_N_SUMS * sizeof *again.sums), 0);
    head_scores_result_fini(&result);
    head_scores_result_fini(&again);
    buffer_fini(&bytes);
}

Test(head_scores, broken_results_are_refused)
{
    struct head_scores_result result = example(), again = {.n = 77};
    struct buffer bytes = encode(&result);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_expect_eq(head_scores_result_decode(bytes.bytes, n, &again, NULL), ST_CORRUPT, "%zu", n);
    buffer_fini(&bytes);
    const double bad[] = {-0.5, 1e300 * 1e300, 99};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        result.sums[5] = bad[i];
        bytes = encode(&result);
        cr_expect_eq(head_scores_result_decode(bytes.bytes, bytes.n_bytes, &again, NULL),
                     ST_CORRUPT);
        buffer_fini(&bytes);
    }
    result.sums[5] = 0;
    result.sums[4] = 3; /* a total that is not the number of tokens */
    bytes = encode(&result);
    cr_expect_eq(head_scores_result_decode(bytes.bytes, bytes.n_bytes, &again, NULL), ST_CORRUPT);
    cr_expect_eq(again.n, 77);
    buffer_fini(&bytes);
    head_scores_result_fini(&result);
}

Test(head_scores, units_come_back_as_they_were)
{
    uint32_t lengths[] = {2, 3}, ids[] = {7, 8, 9, 10, 11};
    const struct head_scores_unit units[] = {
        {.first = 5, .n = 1024}, {.n = 2, .is_listed = true, .lengths = lengths, .ids = ids}};
    for (size_t i = 0; i < 2; i++) {
        struct head_scores_unit again;
        struct buffer bytes;
        buffer_init(&bytes, HEAD_SCORES_MAX_UNIT_BYTES);
        cr_assert_eq(head_scores_unit_encode(&units[i], &bytes, &err), ST_OK, "%s", err.text);
        cr_assert_eq(head_scores_unit_decode(bytes.bytes, bytes.n_bytes, &again, &err), ST_OK);
        cr_expect_eq(again.first, units[i].first);
        cr_expect_eq(again.n, units[i].n);
        cr_expect_eq(again.is_listed, units[i].is_listed);
        if (again.is_listed) cr_expect_eq(memcmp(again.lengths, lengths, sizeof lengths), 0);
        if (again.is_listed) cr_expect_eq(memcmp(again.ids, ids, sizeof ids), 0);
        head_scores_unit_fini(&again);
        for (size_t n = 0; n < bytes.n_bytes; n++)
            cr_expect_eq(head_scores_unit_decode(bytes.bytes, n, &again, NULL), ST_CORRUPT);
        buffer_fini(&bytes);
    }
}

Test(head_scores, sequences_of_one_token_are_no_unit)
{
    uint32_t lengths[] = {1}, ids[] = {7};
    const struct head_scores_unit unit = {
        .n = 1, .is_listed = true, .lengths = lengths, .ids = ids};
    const struct head_scores_unit none = {.n = 0};
    struct buffer bytes;
    buffer_init(&bytes, 64);
    cr_expect_eq(head_scores_unit_encode(&unit, &bytes, NULL), ST_BAD_INPUT);
    cr_expect_eq(head_scores_unit_encode(&none, &bytes, NULL), ST_BAD_INPUT);
    cr_expect_eq(bytes.n_bytes, 0);
}

Test(head_scores, scores_are_those_of_the_formula)
{
    struct head_scores_result result = example();
    struct head_scores scores;
    cr_assert_eq(head_scores_init(&scores, N_LAYERS, N_HEADS, &err), ST_OK);
    cr_expect_not(head_scores_of(&scores, 0, 0, PATTERN_INDUCTION).is_defined);
    cr_assert_eq(head_scores_add(&scores, &result, &err), ST_OK);
    const struct head_score previous = head_scores_of(&scores, 1, 1, PATTERN_PREVIOUS_TOKEN);
    const struct head_score induction = head_scores_of(&scores, 1, 1, PATTERN_INDUCTION);
    /* head 4: S of 1 in 4 tokens, then of 1.25 in 6 */
    cr_expect_float_eq(previous.mul, (1.0 / 4 + 1.25 / 6) / 2, 1e-12);
    cr_expect_float_eq(previous.abs, (1 - (3 + 4 - 2.0) / 4 + 1 - (5 + 6 - 2 * 1.25) / 6) / 2,
                       1e-12);
    cr_expect_float_eq(previous.attention, (1 + 1.25) / (3 + 5), 1e-12);
    cr_expect_float_eq(induction.mul, (0 + 0.25 / 6) / 2, 1e-12);
    cr_expect_float_eq(induction.attention, 0.25 / 2, 1e-12);
    cr_expect(induction.is_defined);
    head_scores_result_fini(&result);
    cr_assert_eq(head_scores_result_init(&result, 1, N_LAYERS, N_HEADS + 1, &err), ST_OK);
    cr_expect_eq(head_scores_add(&scores, &result, NULL), ST_CORRUPT);
    head_scores_result_fini(&result);
    head_scores_fini(&scores);
}
