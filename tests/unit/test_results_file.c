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

Test(results_file, gives_each_line_as_a_record)
{
    struct results_file *file = open_with("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    cr_assert_eq(results_file_n_records(file), 3);
    for (size_t i = 3; i-- > 0;) {
        json_t *record = results_file_record(file, i);
        cr_expect_eq(json_integer_value(json_object_get(record, "a")), (json_int_t)i + 1);
        json_decref(record);
    }
    cr_expect_null(results_file_record(file, 3));
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

Test(results_file, a_line_that_is_no_json_is_null_and_the_others_are_whole)
{
    struct results_file *file = open_with("nonsense\n\n{}\n");
    cr_assert_eq(results_file_n_records(file), 3);
    cr_expect_null(results_file_record(file, 0));
    cr_expect_null(results_file_record(file, 1));
    json_t *record = results_file_record(file, 2);
    cr_expect_not_null(record);
    json_decref(record);
    results_file_close(&file);
}

Test(results_file, a_missing_file_is_not_found)
{
    struct results_file *file = NULL;
    cr_expect_eq(results_file_open(&file, "/nowhere/results.jsonl", &err), ST_NOT_FOUND);
    cr_expect_null(file);
}
