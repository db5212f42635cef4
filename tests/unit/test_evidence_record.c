/* Records that contradict themselves, as only a broken or lying sender writes them. */
#include "common/evidence_block.h"
#include "common/evidence_key.h"
#include "common/evidence_message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { N_WINDOWS = 6 };

static const struct evidence_limits limits = {3, 1, 2, 2, 1, 2, 8, 2, 1};
static struct evidence_window windows[N_WINDOWS] = {{0, 0, 8}, {0, 8, 8}, {0, 16, 8},
                                                    {1, 0, 8}, {1, 8, 8}, {1, 16, 3}};

/* Fires in windows 1 (once) and 5 (twice), silent in 2, near miss in 3. */
static struct evidence_record *make_record(void)
{
    struct evidence_record *record = NULL;
    struct error err = {0};
    cr_assert_eq(evidence_record_create(&record, &err), ST_OK);
    evidence_record_reset(record, 4);
    cr_assert_eq(evidence_record_reserve(record, 16, &err), ST_OK);
    record->n_firing_tokens = 3;
    record->sum_fixed = 3 << 20;
    record->max_value = 2;
    record->values = (struct evidence_bin_counts){2, {100, 130}, {2, 1}};
    record->windows = (struct evidence_bin_counts){1, {30}, {2}};
    record->positions = (struct evidence_bin_counts){2, {1, 9}, {1, 2}};
    record->n_documents = 2;
    record->document[1] = 1;
    record->n_firing = 2;
    record->firing[0] = (struct evidence_firing_ref){1, 0, 1, 0};
    record->firing[1] = (struct evidence_firing_ref){5, 1, 2, 0};
    record->n_activations = 3;
    memcpy(record->position, (const uint16_t[]){7, 0, 2}, 3 * sizeof(uint16_t));
    memcpy(record->value, (const float[]){2, 1, 1.5f}, 3 * sizeof(float));
    record->n_silent = record->n_near_miss = record->n_neighbour = 1;
    record->silent[0] = 2;
    record->near_miss[0] = 3;
    record->neighbour[0] = 4;
    record->n_hard_tokens[1] = 5;
    record->n_firing_on_hard[1] = 2;
    return record;
}

static status_t decode(const struct evidence_record *record, struct evidence_record *out)
{
    const struct evidence_record_bounds bounds = {limits, 20, 8, 2, N_WINDOWS, windows};
    struct buffer bytes;
    uint32_t next_slot = 2;
    buffer_init(&bytes, 1 << 16);
    cr_assert_eq(evidence_record_encode(record, 2, &bytes, NULL), ST_OK);
    struct evidence_cursor cursor = {bytes.bytes, bytes.bytes + bytes.n_bytes, false};
    const status_t status = evidence_record_decode(&cursor, &bounds, &next_slot, out, NULL);
    if (status == ST_OK) {
        cr_expect_eq(next_slot, 5);
        cr_expect_eq(evidence_left(&cursor), 0);
    }
    buffer_fini(&bytes);
    return status;
}

Test(evidence_record, comes_back_as_it_was)
{
    struct evidence_record *record = make_record(), *read = NULL;
    cr_assert_eq(evidence_record_create(&read, NULL), ST_OK);
    cr_assert_eq(decode(record, read), ST_OK);
    cr_expect_eq(read->slot, 4);
    cr_expect_eq(read->n_firing_tokens, 3);
    cr_expect_eq(read->sum_fixed, 3 << 20);
    cr_expect_eq(read->values.bin[1], 130);
    cr_expect_eq(read->values.count[0], 2);
    cr_expect_eq(read->firing[1].window, 5);
    cr_expect_eq(read->firing[0].max_value, 2.0f);
    cr_expect_eq(read->firing[1].max_value, 1.5f);
    cr_expect_arr_eq(read->position, record->position, 3 * sizeof(uint16_t));
    cr_expect_arr_eq(read->value, record->value, 3 * sizeof(float));
    cr_expect_eq(read->near_miss[0], 3);
    cr_assert_eq(read->n_neighbour, 1);
    cr_expect_eq(read->neighbour[0], 4);
    cr_expect_eq(read->n_firing_on_hard[1], 2);
    evidence_record_destroy(&record);
    evidence_record_destroy(&read);
}

/* One change a line. */
/* clang-format off */
static void more_firing_than_positive(struct evidence_record *r) { r->n_firing_tokens = 4; }
static void more_windows_than_firing(struct evidence_record *r) { r->windows.count[0] = 9; }
static void fewer_windows_than_kept(struct evidence_record *r) { r->windows.count[0] = 1; }
static void value_above_the_maximum(struct evidence_record *r) { r->value[2] = 2.5f; }
static void value_of_zero(struct evidence_record *r) { r->value[2] = 0; }
static void value_without_end(struct evidence_record *r) { r->value[0] = 1.0f / 0.0f; }
static void negative_maximum(struct evidence_record *r) { r->max_value = -1; }
static void position_behind_the_window(struct evidence_record *r) { r->position[2] = 3; }
static void window_behind_the_table(struct evidence_record *r) { r->firing[1].window = 6; }
static void firing_and_silent(struct evidence_record *r) { r->silent[0] = 5; }
static void firing_and_near_miss(struct evidence_record *r) { r->near_miss[0] = 1; }
static void firing_and_neighbour(struct evidence_record *r) { r->neighbour[0] = 1; }
static void too_many_neighbours(struct evidence_record *r)
{
    r->n_neighbour = 2;
    r->neighbour[0] = 0;
    r->neighbour[1] = 2;
}
static void document_behind_the_table(struct evidence_record *r) { r->document[1] = 2; }
static void firing_without_a_document(struct evidence_record *r) { r->n_documents = 0; }
static void positions_of_other_tokens(struct evidence_record *r) { r->positions.count[0] = 2; }
static void more_tokens_than_there_are(struct evidence_record *r) { r->values.count[0] = 20; }
static void more_on_hard_than_hard(struct evidence_record *r) { r->n_hard_tokens[1] = 1; }
static void slot_behind_the_last(struct evidence_record *r) { r->values.bin[1] = 256; }
static void too_many_silent(struct evidence_record *r)
{
    r->n_silent = 3;
    r->silent[0] = 0;
    r->silent[1] = 2;
    r->silent[2] = 4;
}
static void nothing(struct evidence_record *r) { evidence_record_reset(r, 4); }
/* clang-format on */

Test(evidence_record, that_contradicts_itself_is_corrupt)
{
    static const struct {
        const char *name;
        void (*change)(struct evidence_record *record);
    } cases[] = {
        {"more firing than positive tokens", more_firing_than_positive},
        {"more firing windows than tokens", more_windows_than_firing},
        {"fewer firing windows than are kept", fewer_windows_than_kept},
        {"a value above the maximum", value_above_the_maximum},
        {"a value of zero", value_of_zero},
        {"an infinite value", value_without_end},
        {"a negative maximum", negative_maximum},
        {"a position behind its window", position_behind_the_window},
        {"a window behind the table", window_behind_the_table},
        {"a window both firing and silent", firing_and_silent},
        {"a window both firing and near miss", firing_and_near_miss},
        {"a window both firing and a neighbour's", firing_and_neighbour},
        {"more windows of neighbours than are kept", too_many_neighbours},
        {"a document behind the table", document_behind_the_table},
        {"firing without a document", firing_without_a_document},
        {"positions of more tokens than fire", positions_of_other_tokens},
        {"more tokens than the message has", more_tokens_than_there_are},
        {"more firing on a token than it occurs", more_on_hard_than_hard},
        {"a bin behind the last", slot_behind_the_last},
        {"more silent windows than the limit", too_many_silent},
        {"nothing at all", nothing},
    };
    struct evidence_record *read = NULL;
    cr_assert_eq(evidence_record_create(&read, NULL), ST_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct evidence_record *record = make_record();
        cases[i].change(record);
        cr_expect_eq(decode(record, read), ST_CORRUPT, "%s", cases[i].name);
        evidence_record_destroy(&record);
    }
    evidence_record_destroy(&read);
}

static const uint64_t document_keys[2] = {70, 71};
static const struct evidence_documents documents = {document_keys, 2};

/* A partial of one record for slot `slot`, in a unit of n_tokens. */
static void write_partial(struct buffer *out, uint32_t slot, uint32_t n_tokens)
{
    uint32_t document[2] = {0, 1};
    struct evidence_record *record = make_record();
    struct error err = {0};
    size_t patch_at;
    record->position[2] = (uint16_t)(windows[5].n_tokens - 1);
    struct evidence_message message = {.kind = EVIDENCE_PARTIAL,
                                       .n_tokens = n_tokens,
                                       .positions = {1, {2}, {n_tokens}},
                                       .identity = {.n_slots = 8, .limits = limits},
                                       .table = {2, N_WINDOWS, document, windows}};
    for (uint32_t i = 0; i < 2; i++)
        message.documents_check += evidence_document_check(document_keys[i], i);
    cr_assert_eq(evidence_message_begin(&message, out, &patch_at, &err), ST_OK, "%s", err.text);
    cr_assert_eq(evidence_record_encode(record, slot, out, &err), ST_OK);
    evidence_message_end(out, patch_at, 1);
    evidence_record_destroy(&record);
}

static struct evidence_state *make_state(void)
{
    struct evidence_state *state = NULL;
    struct error err = {0};
    const struct evidence_state_params params = {
        {.n_slots = 8, .limits = limits}, 0, 8, &documents};
    cr_assert_eq(evidence_state_create(&state, &params, &err), ST_OK, "%s", err.text);
    return state;
}

static status_t merge(struct evidence_state *state, const struct buffer *bytes)
{
    return evidence_state_merge_partial(state, bytes->bytes, bytes->n_bytes, NULL, NULL);
}

Test(evidence_record, followed_by_stray_bytes_is_corrupt)
{
    struct evidence_state *state = make_state();
    struct buffer bytes;
    buffer_init(&bytes, 1 << 16);
    write_partial(&bytes, 4, 43);
    cr_assert_eq(buffer_append(&bytes, "", 1, NULL), ST_OK);
    cr_expect_eq(merge(state, &bytes), ST_CORRUPT);
    bytes.n_bytes--;
    cr_expect_eq(merge(state, &bytes), ST_OK);
    buffer_fini(&bytes);
    evidence_state_destroy(&state);
}

/* Two senders give one window two lengths: one of them lies, but what is stored must load. */
Test(evidence_record, of_a_window_with_two_lengths_still_makes_a_block_that_loads)
{
    struct evidence_state *state = make_state(), *loaded = make_state();
    struct buffer bytes, block;
    struct error err = {0};
    buffer_init(&bytes, 1 << 16);
    buffer_init(&block, 1 << 16);
    write_partial(&bytes, 4, 43);
    cr_assert_eq(merge(state, &bytes), ST_OK);
    bytes.n_bytes = 0;
    windows[1].n_tokens = 9; /* refused: longer than a window can be */
    write_partial(&bytes, 5, 43);
    cr_expect_eq(merge(state, &bytes), ST_CORRUPT);
    windows[1].n_tokens = 8;
    for (uint32_t slot = 5; slot < 8; slot++) { /* 4, 6 and 5 instead of 3 tokens */
        windows[5].n_tokens = (uint16_t)(slot == 5 ? 4 : slot == 6 ? 6 : 5);
        bytes.n_bytes = 0;
        write_partial(&bytes, slot, 43);
        cr_assert_eq(merge(state, &bytes), ST_OK);
    }
    windows[5].n_tokens = 3;
    cr_assert_eq(evidence_block_encode(state, 0, 8, &block, &err), ST_OK, "%s", err.text);
    cr_expect_eq(evidence_block_load(loaded, block.bytes, block.n_bytes, &err), ST_OK, "%s",
                 err.text);
    buffer_fini(&bytes);
    buffer_fini(&block);
    evidence_state_destroy(&state);
    evidence_state_destroy(&loaded);
}

Test(evidence_record, of_more_tokens_than_a_split_can_count_is_refused)
{
    struct evidence_state *state = make_state();
    struct buffer bytes;
    buffer_init(&bytes, 1 << 16);
    write_partial(&bytes, 4, UINT32_MAX - 50);
    cr_assert_eq(merge(state, &bytes), ST_OK);
    cr_expect_eq(merge(state, &bytes), ST_TOO_LARGE);
    cr_expect_eq(evidence_state_n_tokens(state), UINT32_MAX - 50);
    bytes.n_bytes = 0;
    write_partial(&bytes, 4, 50);
    cr_expect_eq(merge(state, &bytes), ST_OK);
    buffer_fini(&bytes);
    evidence_state_destroy(&state);
}
