#include "coordinator/sweep/label_outputs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N_SLOTS = 3, N_TOP = 2, N_VOCAB = 50 };

static struct label_outputs empty(void)
{
    static uint32_t slots[N_SLOTS] = {1, 4, 7};
    return (struct label_outputs){.slots = slots, .n_slots = N_SLOTS};
}

/* `entries` are owned, the slots are not. */
static void drop(struct label_outputs *outputs)
{
    outputs->slots = NULL;
    label_outputs_fini(outputs);
}

static struct label_outputs made(void)
{
    struct label_outputs outputs = empty();
    struct logits_answer answer;
    cr_assert_eq(logits_answer_init(&answer, N_SLOTS, N_TOP, NULL), ST_OK);
    for (uint32_t i = 0; i < N_SLOTS * 2 * N_TOP; i++)
        answer.entries[i] = (struct logits_entry){i * 4, 1.5f - (float)i};
    cr_assert_eq(label_outputs_put(&outputs, 0, N_SLOTS, &answer, N_VOCAB, NULL), ST_OK);
    logits_answer_fini(&answer);
    return outputs;
}

Test(label_outputs, come_back_as_they_were_and_no_part_of_them_does)
{
    struct label_outputs outputs = made(), got = empty();
    struct buffer bytes;
    buffer_init(&bytes, 1 << 16);
    cr_assert_eq(label_outputs_encode(&outputs, &bytes, NULL), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        cr_expect_eq(label_outputs_decode(&got, bytes.bytes, n, N_VOCAB, NULL), ST_CORRUPT);
        cr_expect_null(got.entries);
    }
    cr_assert_eq(label_outputs_decode(&got, bytes.bytes, bytes.n_bytes, N_VOCAB, NULL), ST_OK);
    cr_assert_eq(got.n_top, N_TOP);
    const struct logits_entry *a = label_outputs_find(&outputs, 4);
    const struct logits_entry *b = label_outputs_find(&got, 4);
    cr_assert(a && b);
    cr_expect_arr_eq(a, b, 2 * N_TOP * sizeof *a);
    drop(&got);
    drop(&outputs);
    buffer_fini(&bytes);
}

Test(label_outputs, of_a_target_that_writes_nothing_keep_the_reason)
{
    struct label_outputs outputs = empty(), got = empty();
    struct buffer bytes;
    (void)snprintf(outputs.reason, sizeof outputs.reason, "a head writes no one direction");
    buffer_init(&bytes, 1 << 16);
    cr_assert_eq(label_outputs_encode(&outputs, &bytes, NULL), ST_OK);
    cr_assert_eq(label_outputs_decode(&got, bytes.bytes, bytes.n_bytes, N_VOCAB, NULL), ST_OK);
    cr_expect_str_eq(got.reason, outputs.reason);
    cr_expect_null(label_outputs_find(&got, 4));
    drop(&got);
    buffer_fini(&bytes);
}

Test(label_outputs, of_other_slots_or_of_no_such_token_are_refused)
{
    struct label_outputs outputs = made(), other = empty(), got = empty();
    struct buffer bytes;
    buffer_init(&bytes, 1 << 16);
    cr_assert_eq(label_outputs_encode(&outputs, &bytes, NULL), ST_OK);
    other.n_slots = 2;
    cr_expect_eq(label_outputs_decode(&other, bytes.bytes, bytes.n_bytes, N_VOCAB, NULL),
                 ST_CORRUPT);
    cr_expect_eq(label_outputs_decode(&got, bytes.bytes, bytes.n_bytes, 20, NULL), ST_CORRUPT);
    cr_expect_null(got.entries);
    bytes.n_bytes = 0;
    outputs.entries[3].value = INFINITY;
    cr_assert_eq(label_outputs_encode(&outputs, &bytes, NULL), ST_OK);
    cr_expect_eq(label_outputs_decode(&got, bytes.bytes, bytes.n_bytes, N_VOCAB, NULL), ST_CORRUPT);
    drop(&outputs);
    buffer_fini(&bytes);
}
