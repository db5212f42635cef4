#include "coordinator/report/results_file.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/results-file-XXXXXX";
static struct error err;

static void set_up(void)
{
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
}

static void tear_down(void)
{
    (void)unlink(path);
}

TestSuite(results_file, .init = set_up, .fini = tear_down);

static struct results_file *open_with(const char *bytes)
{
    struct results_file *file = NULL;
    cr_assert_eq(file_write_atomic(path, bytes, strlen(bytes), &err), ST_OK);
    cr_assert_eq(results_file_open(&file, path, &err), ST_OK, "%s", err.text);
    return file;
}

static void expect_line(const struct results_file *file, size_t index, const char *wanted)
{
    const struct wire_text line = results_file_record(file, index);
    cr_expect_eq(line.n_bytes, strlen(wanted), "line %zu", index);
    if (line.n_bytes) /* of an empty one the address may be NULL, and memcmp takes none */
        cr_expect_arr_eq(line.bytes, wanted, line.n_bytes, "line %zu", index);
}

Test(results_file, gives_each_line_as_it_is)
{
    struct results_file *file = open_with("{\"a\":1}\n{\"a\": 2}\n{}\n");
    cr_assert_eq(results_file_n_records(file), 3);
    expect_line(file, 2, "{}");
    expect_line(file, 1, "{\"a\": 2}");
    expect_line(file, 0, "{\"a\":1}");
    expect_line(file, 3, "");
    results_file_close(&file);
    results_file_close(&file);
}

Test(results_file, an_empty_file_has_no_records_and_a_line_without_end_is_none)
{
    struct results_file *file = open_with("");
    cr_expect_eq(results_file_n_records(file), 0);
    results_file_close(&file);
    file = open_with("{\"a\":1}\n{\"a\":");
    cr_expect_eq(results_file_n_records(file), 1);
    results_file_close(&file);
}

Test(results_file, a_line_that_is_no_object_is_nothing_and_the_others_are_whole)
{
    struct results_file *file = open_with("nonsense\n\n{}\n");
    cr_assert_eq(results_file_n_records(file), 3);
    expect_line(file, 0, "");
    expect_line(file, 1, "");
    expect_line(file, 2, "{}");
    results_file_close(&file);
}

/* --- by feature ---------------------------------------------------------------------------- */

#define RECORD(feature, target)                                                                    \
    "{\"evidence\":[{\"text\":\"\\\"feature\\\":7,\\\"target\\\":{\"}],\"feature\":" feature       \
    ",\"status\":\"open\",\"target\":{" target ",\"model\":\"m\"},\"type\":null}\n"
#define SAE "\"dictionary\":\"d}\",\"hook_point\":\"h\""
#define NEURONS "\"dictionary\":null,\"hook_point\":\"h\""

/* One dictionary twice, with the neurons between; a text looks like the keys. */
static const char three_targets[] = RECORD("3", SAE) RECORD("10", SAE) RECORD("12", SAE)
    RECORD("0", NEURONS) RECORD("3", NEURONS) RECORD("3", SAE) RECORD("4", SAE);

Test(results_file, finds_a_feature_of_a_target)
{
    static const struct {
        struct results_wanted wanted;
        size_t index; /* SIZE_MAX: not there */
    } cases[] = {
        {{"h", "d}", 0, 3}, 0},        {{"h", "d}", 0, 10}, 1},
        {{"h", "d}", 0, 12}, 2},       {{"h", "d}", 0, 7}, SIZE_MAX},
        {{"h", NULL, 0, 0}, 3},        {{"h", NULL, 0, 3}, 4},
        {{"h", "d}", 1, 4}, 6},        {{"h", "d}", 1, 10}, SIZE_MAX},
        {{"h", "d}", 2, 3}, SIZE_MAX}, {{"g", "d}", 0, 3}, SIZE_MAX},
        {{"h", "d", 0, 3}, SIZE_MAX},  {{"h", "d}", 0, 99}, SIZE_MAX},
    };
    struct results_file *file = open_with(three_targets);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t index = SIZE_MAX;
        error_clear(&err);
        const status_t status = results_file_find(file, &cases[i].wanted, &index, &err);
        const bool is_wanted = cases[i].index != SIZE_MAX;
        cr_expect_eq(status, is_wanted ? ST_OK : ST_NOT_FOUND, "case %zu", i);
        if (is_wanted) cr_expect_eq(index, cases[i].index, "case %zu: %zu", i, index);
    }
    results_file_close(&file);
}

Test(results_file, a_file_without_records_has_no_feature)
{
    size_t index;
    const struct results_wanted wanted = {"h", NULL, 0, 1};
    struct results_file *file = open_with("");
    cr_expect_eq(results_file_find(file, &wanted, &index, &err), ST_NOT_FOUND);
    results_file_close(&file);
    error_clear(&err);
    file = open_with("nonsense\n{}\n{\"feature\":\n");
    cr_expect_eq(results_file_find(file, &wanted, &index, &err), ST_NOT_FOUND);
    results_file_close(&file);
}

Test(results_file, a_missing_file_is_not_found)
{
    struct results_file *file = NULL;
    cr_expect_eq(results_file_open(&file, "/nowhere/results.jsonl", &err), ST_NOT_FOUND);
    cr_expect_null(file);
}
