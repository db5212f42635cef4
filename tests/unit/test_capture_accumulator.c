#include "common/evidence_frozen.h"
#include "tests/unit/evidence_world.h"
#include "worker/tasks/capture_accumulator.h"
#include "worker/tasks/capture_sample.h"
#include "worker/tasks/capture_windows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct evidence_identity identity = {.target_key = 5,
                                                  .n_slots = 8,
                                                  .split = EVIDENCE_EXPLAIN,
                                                  .limits = {.top_k = 3,
                                                             .bin_k = 2,
                                                             .silent_k = 3,
                                                             .doc_k = 4,
                                                             .window_tokens = 4,
                                                             .min_window_tokens = 2}};

static uint32_t tokens[2 * 10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
static struct capture_segment segments[] = {
    {0, 1, 9, 1, 0, 11}, {1, 1, 5, 0, 100, 10}, {1, 6, 3, 1, 9, 11}};

static struct capture_unit make_unit(void)
{
    return (struct capture_unit){.unit_number = 3,
                                 .split = EVIDENCE_EXPLAIN,
                                 .n_rows = 2,
                                 .row_tokens = 10,
                                 .n_segments = 3,
                                 .tokens = tokens,
                                 .segments = segments};
}

static struct capture_accumulator *make_accumulator(void)
{
    struct capture_accumulator *accumulator = NULL;
    struct error err = {0};
    cr_assert_eq(capture_accumulator_create(&accumulator, &identity, NULL, &err), ST_OK, "%s",
                 err.text);
    return accumulator;
}

Test(capture_windows, are_cut_from_the_segments_start_and_ordered_by_document)
{
    static const struct {
        uint32_t document, offset, n, token, position;
    } want[] = {{0, 100, 4, 11, 1}, {0, 104, 1, 15, 5}, {1, 0, 4, 1, 1},
                {1, 4, 4, 5, 5},    {1, 8, 1, 9, 9},    {1, 9, 3, 16, 6}};
    const struct capture_unit unit = make_unit();
    struct capture_windows windows = {0};
    struct error err = {0};
    cr_assert_eq(capture_windows_cut(&windows, &unit, &identity.limits, &err), ST_OK);
    cr_assert_eq(windows.n, 6);
    cr_expect_eq(windows.n_tokens, 17);
    cr_expect_eq(windows.table.n_documents, 2);
    cr_expect_eq(windows.table.n_windows, 4, "one-token tails are not kept");
    for (size_t i = 0; i < 6; i++) {
        const struct capture_window *item = &windows.item[i];
        cr_expect_eq(item->window.document_index, want[i].document, "window %zu", i);
        cr_expect_eq(item->window.document_offset, want[i].offset, "window %zu", i);
        cr_expect_eq(item->window.n_tokens, want[i].n, "window %zu", i);
        cr_expect_eq(item->first_token, want[i].token, "window %zu", i);
        cr_expect_eq(item->first_position, want[i].position, "window %zu", i);
        cr_expect_eq(item->table_place == CAPTURE_NO_PLACE, want[i].n < 2, "window %zu", i);
    }
    capture_windows_fini(&windows);
}

Test(capture_unit, names_the_segment_that_is_wrong)
{
    static const struct {
        const char *name;
        struct capture_segment segment;
    } cases[] = {
        {"lies outside", {2, 0, 1, 5, 0, 50}},
        {"lies outside", {1, 9, 2, 5, 0, 50}},
        {"lies outside", {0, 9, UINT32_MAX, 5, 0, 50}},
        {"is empty", {1, 9, 0, 5, 0, 50}},
        {"overlaps", {1, 7, 2, 5, 0, 50}},
        {"another key", {1, 9, 1, 0, 0, 12}},
        {"repeats tokens", {1, 9, 1, 1, 4, 11}},
        {"too large", {1, 9, 1, 5, UINT32_MAX, 50}},
        {"too large an index", {1, 9, 1, UINT32_MAX, 0, 50}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct capture_segment all[4];
        struct error err = {0};
        struct capture_unit unit = make_unit();
        memcpy(all, segments, sizeof segments);
        all[3] = cases[i].segment;
        unit.segments = all;
        unit.n_segments = 4;
        cr_expect_eq(capture_unit_check(&unit, &err), ST_BAD_INPUT, "%s", cases[i].name);
        cr_expect_not_null(strstr(err.text, cases[i].name), "'%s' in: %s", cases[i].name, err.text);
    }
}

/* 20 tokens, at most one activation each. */
struct row_data {
    size_t start[21];
    uint32_t feature[20];
    float value[20];
};

static struct sparse_rows make_rows(struct row_data *data, uint32_t feature, float value)
{
    for (size_t i = 0; i < 20; i++) {
        data->start[i + 1] = i + 1;
        data->feature[i] = feature;
        data->value[i] = value;
    }
    data->start[0] = 0;
    return (struct sparse_rows){20, data->start, data->feature, data->value};
}

Test(capture_accumulator, refuses_bad_activations)
{
    static const struct {
        const char *name;
        uint32_t feature;
        float value;
    } cases[] = {{"a slot that does not exist", 8, 1},
                 {"NaN", 1, NAN},
                 {"infinity", 1, INFINITY},
                 {"minus infinity", 1, -INFINITY}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct capture_accumulator *accumulator = make_accumulator();
        const struct capture_unit unit = make_unit();
        struct row_data data;
        struct error err = {0};
        const struct sparse_rows rows = make_rows(&data, cases[i].feature, cases[i].value);
        cr_assert_eq(capture_accumulator_begin(accumulator, &unit, NULL, &err), ST_OK, "%s",
                     err.text);
        cr_expect_eq(capture_accumulator_add(accumulator, &rows, &err), ST_BAD_INPUT, "%s",
                     cases[i].name);
        capture_accumulator_destroy(&accumulator);
    }
}

Test(capture_accumulator, refuses_slots_out_of_order)
{
    struct capture_accumulator *accumulator = make_accumulator();
    const struct capture_unit unit = make_unit();
    size_t start[] = {0, 2};
    uint32_t feature[] = {3, 3};
    float value[] = {1, 1};
    const struct sparse_rows rows = {1, start, feature, value};
    struct error err = {0};
    cr_assert_eq(capture_accumulator_begin(accumulator, &unit, NULL, &err), ST_OK);
    cr_expect_eq(capture_accumulator_add(accumulator, &rows, &err), ST_BAD_INPUT);
    capture_accumulator_destroy(&accumulator);
}

Test(capture_accumulator, wants_all_tokens_and_no_more)
{
    struct capture_accumulator *accumulator = make_accumulator();
    const struct capture_unit unit = make_unit();
    struct row_data data;
    struct buffer out;
    struct error err = {0};
    struct sparse_rows rows = make_rows(&data, 1, 1);
    buffer_init(&out, 1 << 16);
    cr_expect_eq(capture_accumulator_finish(accumulator, &out, NULL), ST_BAD_INPUT);
    cr_expect_eq(capture_accumulator_add(accumulator, &rows, NULL), ST_BAD_INPUT);
    cr_assert_eq(capture_accumulator_begin(accumulator, &unit, NULL, &err), ST_OK);
    rows.n_rows = 19;
    cr_assert_eq(capture_accumulator_add(accumulator, &rows, &err), ST_OK);
    rows.n_rows = 2;
    cr_expect_eq(capture_accumulator_add(accumulator, &rows, NULL), ST_BAD_INPUT);
    cr_expect_eq(capture_accumulator_finish(accumulator, &out, NULL), ST_BAD_INPUT);
    cr_expect_eq(out.n_bytes, 0);
    buffer_fini(&out);
    capture_accumulator_destroy(&accumulator);
}

Test(capture_accumulator, gives_equal_bytes_again_from_the_same_object)
{
    struct capture_accumulator *accumulator = make_accumulator();
    const struct capture_unit unit = make_unit();
    struct row_data data;
    struct buffer first, second;
    struct error err = {0};
    const struct sparse_rows rows = make_rows(&data, 4, 2);
    buffer_init(&first, 1 << 16);
    buffer_init(&second, 1 << 16);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(capture_accumulator_begin(accumulator, &unit, NULL, &err), ST_OK);
        cr_assert_eq(capture_accumulator_add(accumulator, &rows, &err), ST_OK);
        cr_assert_eq(capture_accumulator_finish(accumulator, i ? &second : &first, &err), ST_OK);
    }
    cr_assert_eq(first.n_bytes, second.n_bytes);
    cr_assert_arr_eq(first.bytes, second.bytes, first.n_bytes);
    buffer_fini(&first);
    buffer_fini(&second);
    capture_accumulator_destroy(&accumulator);
}

Test(capture_accumulator, takes_a_unit_of_padding_alone)
{
    struct capture_accumulator *accumulator = make_accumulator();
    struct capture_unit unit = make_unit();
    struct row_data data;
    struct buffer out;
    struct error err = {0};
    const struct sparse_rows rows = make_rows(&data, 4, 2);
    unit.n_segments = 0;
    buffer_init(&out, 1 << 16);
    cr_assert_eq(capture_accumulator_begin(accumulator, &unit, NULL, &err), ST_OK, "%s", err.text);
    cr_assert_eq(capture_accumulator_add(accumulator, &rows, &err), ST_OK, "%s", err.text);
    cr_assert_eq(capture_accumulator_finish(accumulator, &out, &err), ST_OK, "%s", err.text);
    cr_assert_gt(out.n_bytes, 4);
    for (size_t i = 1; i <= 4; i++)
        cr_expect_eq(out.bytes[out.n_bytes - i], 0, "the count of records is not 0");
    buffer_fini(&out);
    capture_accumulator_destroy(&accumulator);
}

Test(capture_accumulator, says_when_the_bytes_have_no_room)
{
    struct capture_accumulator *accumulator = make_accumulator();
    const struct capture_unit unit = make_unit();
    struct row_data data;
    struct buffer out;
    struct error err = {0};
    const struct sparse_rows rows = make_rows(&data, 4, 2);
    buffer_init(&out, 700);
    cr_assert_eq(buffer_append(&out, "before", 6, &err), ST_OK);
    cr_assert_eq(capture_accumulator_begin(accumulator, &unit, NULL, &err), ST_OK);
    cr_assert_eq(capture_accumulator_add(accumulator, &rows, &err), ST_OK);
    cr_expect_eq(capture_accumulator_finish(accumulator, &out, &err), ST_TOO_LARGE);
    cr_expect_eq(out.n_bytes, 6, "half a partial was left behind");
    buffer_fini(&out);
    capture_accumulator_destroy(&accumulator);
}

Test(capture_accumulator, insists_on_the_frozen_values_of_its_task)
{
    struct capture_accumulator *accumulator = NULL;
    struct evidence_frozen frozen;
    struct error err = {0};
    cr_assert_eq(evidence_frozen_init(&frozen, 8, &err), ST_OK);
    cr_expect_eq(capture_accumulator_create(&accumulator, &identity, &frozen, &err), ST_CONFLICT);
    cr_expect_null(accumulator);
    struct evidence_identity later = identity;
    later.frozen_key = evidence_frozen_key(&frozen);
    cr_expect_eq(capture_accumulator_create(&accumulator, &later, NULL, NULL), ST_CONFLICT);
    error_clear(&err);
    cr_assert_eq(capture_accumulator_create(&accumulator, &later, &frozen, &err), ST_OK, "%s",
                 err.text);
    struct capture_unit unit = make_unit();
    unit.split = EVIDENCE_TEST;
    cr_expect_eq(capture_accumulator_begin(accumulator, &unit, NULL, &err), ST_BAD_INPUT);
    capture_accumulator_destroy(&accumulator);
    evidence_frozen_fini(&frozen);
}

static int compare_u64(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

Test(capture_sample, finds_the_smallest_as_sorting_does)
{
    uint64_t key[200], order[200], sorted[200], random = 1;
    uint32_t place[200], out[200];
    for (size_t trial = 0; trial < 500; trial++) {
        struct capture_hits hits = {key, order, place, 1 + trial % 200};
        const uint64_t n_values = 1 + world_random(&random) % 300; /* few: many equal keys */
        const size_t k = (size_t)(world_random(&random) % 60);
        for (size_t i = 0; i < hits.n; i++) {
            sorted[i] = key[i] = world_random(&random) % n_values;
            place[i] = (uint32_t)i;
        }
        qsort(sorted, hits.n, sizeof *sorted, compare_u64);
        const size_t n = capture_hits_smallest(&hits, k, out);
        cr_assert_eq(n, k < hits.n ? k : hits.n, "trial %zu", trial);
        uint64_t sum = 0, want = 0;
        for (size_t i = 0; i < n; i++) {
            cr_assert(i == 0 || out[i] > out[i - 1], "trial %zu: not in order", trial);
            sum += key[out[i]];
            want += sorted[i];
        }
        cr_assert_eq(sum, want, "trial %zu", trial);
    }
}
