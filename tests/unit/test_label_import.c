#include "coordinator/sweep/labels_kept.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static status_t load(const char *text, struct label_import **out, struct error *err)
{
    char path[] = "/tmp/interp-labels-XXXXXX";
    const int fd = mkstemp(path);
    const size_t n = strlen(text);
    *out = NULL;
    cr_assert(fd >= 0 && write(fd, text, n) == (ssize_t)n && close(fd) == 0);
    const struct sweep_spec spec = {.labels = path, .n_targets = 2};
    const status_t status = labels_kept_load(out, &spec, NULL, err);
    (void)unlink(path);
    return status;
}

Test(label_import, labels_are_found_by_target_and_feature)
{
    struct label_import *import;
    struct prompt_label label;
    cr_assert_eq(
        load("{\"feature\": 9, \"label\": \" nine\\n lives\"}\n\n"
             "{\"feature\": 2, \"label\": \"two\", \"type\": \"abstract\", \"scores\": {}}\r\n"
             "{\"target\": 1, \"feature\": 9, \"label\": \"other\"}",
             &import, NULL),
        ST_OK);
    cr_expect_eq(label_import_count(import), 3);
    cr_assert(label_import_find(import, 0, 9, &label));
    cr_expect_str_eq(label.text, "nine lives");
    cr_expect_eq(label.type, FEATURE_TYPE_NONE);
    cr_assert(label_import_find(import, 1, 9, &label));
    cr_expect_str_eq(label.text, "other");
    cr_assert(label_import_find(import, 0, 2, &label));
    cr_expect_eq(label.type, FEATURE_TYPE_ABSTRACT);
    cr_expect(!label_import_find(import, 1, 2, &label));
    cr_expect(!label_import_find(import, 0, 10, &label));
    label_import_destroy(&import);
}

Test(label_import, errors_name_file_and_line)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"feature\": 1, \"label\": \"a\"}\n{\"feature\": -1, \"label\": \"a\"}",
         ":2: \"feature\" must be a whole number from 0"},
        {"{\"label\": \"a\"}", ":1: \"feature\" must be a whole number from 0"},
        {"{\"feature\": 1.5, \"label\": \"a\"}", ":1: \"feature\" must be a whole number from 0"},
        {"{\"feature\": 1}", ":1: \"label\" must be a text"},
        {"{\"feature\": 1, \"label\": \"\\u0001 \"}", ":1: the label is empty"},
        {"{\"feature\": 1, \"label\": \"a\", \"target\": 2}", ":1: target 2, but the sweep has 2"},
        {"[1]", ":1: not a JSON object"},
        {"{\"feature\": 1, \"label\": \"a\"} x", ":1: not a JSON object: end of file expected"},
        {"{\"feature\": 5, \"label\": \"a\"}\n\n{\"feature\": 5, \"label\": \"b\"}",
         ":3: feature 5 has a label in line 1 already"},
        {"\n \n", "holds no label"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct label_import *import;
        struct error err = {0};
        cr_expect_eq(load(cases[i].text, &import, &err), ST_BAD_INPUT, "case %zu", i);
        cr_expect(strstr(err.text, cases[i].want), "case %zu: %s", i, err.text);
        cr_expect_null(import);
    }
}

Test(label_import, every_label_is_about_a_unit_of_its_target)
{
    static const uint32_t units[] = {3, 5, 8};
    struct label_import *import;
    struct error err = {0};
    cr_assert_eq(load("{\"feature\": 3, \"label\": \"a\"}\n{\"feature\": 8, \"label\": \"b\"}\n"
                      "{\"target\": 1, \"feature\": 11, \"label\": \"c\"}\n",
                      &import, NULL),
                 ST_OK);
    cr_expect_eq(label_import_check(import, 0, units, 3, false, NULL), ST_OK);
    cr_expect_eq(label_import_check(import, 1, units, 3, true, NULL), ST_OK, "unit 5, side -");
    cr_expect_eq(label_import_check(import, 1, units, 3, false, &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, ":3: targets[1] has no feature 11"), "%s", err.text);
    label_import_destroy(&import);
}
