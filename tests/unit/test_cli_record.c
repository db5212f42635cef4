/* Results as rows, CSV and pages; sorting. */
#include "coordinator/api/json_select.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/result_rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *record(int feature, double score, const char *label)
{
    return json_pack("{s:i, s:s, s:s, s:{s:{s:{s:o}}}, s:[{}]}", "feature", feature, "status",
                     "open", "label", label, "scores", "detection", "random", "balanced_accuracy",
                     isnan(score) ? json_null() : json_real(score), "evidence");
}

static json_t *window(void)
{
    return json_pack("{s:f, s:[s,s,s,s,s], s:[f,f,f,f,f]}", "max", 4.0, "tokens", "the", " red",
                     " sea", "\n", " ship", "activations", 0.0, 1.0, 4.0, 0.0, 2.0);
}

static const char *marked(bool has_color)
{
    static struct buffer out;
    json_t *it = window();
    buffer_fini(&out); /* of the call before */
    buffer_init(&out, 4096);
    cr_assert_eq(record_append_window(&out, it, 0.0, has_color, NULL), ST_OK);
    json_decref(it);
    return buffer_text(&out);
}

Test(cli_record, firing_tokens_stand_in_brackets_without_colour)
{
    cr_expect_str_eq(marked(false), "the[ red sea]\u21B5[ ship]");
}

Test(cli_record, firing_tokens_are_coloured_by_strength)
{
    cr_expect_str_eq(marked(true), "the\033[30;48;5;227m red\033[0m\033[30;48;5;208m sea\033[0m"
                                   "\u21B5\033[30;48;5;220m ship\033[0m");
}

static const char *csv_of(const char *label)
{
    static char text[1024];
    json_t *it = record(7, 0.875, label);
    FILE *out = fmemopen(text, sizeof text, "w");
    cr_assert_eq(record_print_csv(out, it, NULL), ST_OK);
    (void)fclose(out);
    json_decref(it);
    return text;
}

Test(cli_record, csv_quotes_text_and_leaves_unknown_fields_empty)
{
    cr_expect_str_eq(csv_of("says \"so\", twice"),
                     "7,,,\"open\",\"says \"\"so\"\", twice\",,,0.875,,,,,,,,,,,,,,,,,\r\n");
}

Test(cli_record, csv_text_is_no_formula_and_no_second_line)
{
    cr_expect(strstr(csv_of("=HYPERLINK(1)\n8,,"), ",\"'=HYPERLINK(1)\u21B58,,\","));
}

Test(cli_record, the_main_score_is_detection_else_fuzzing)
{
    json_t *both =
        json_pack("{s:{s:{s:{s:f}}, s:{s:{s:f}}}}", "scores", "detection", "random",
                  "balanced_accuracy", 0.5, "fuzzing", "random", "balanced_accuracy", 0.75);
    cr_expect_float_eq(record_main_score(both), 0.5, 0);
    (void)json_object_del(json_object_get(both, "scores"), "detection");
    cr_expect_float_eq(record_main_score(both), 0.75, 0);
    (void)json_object_del(both, "scores");
    cr_expect(isnan(record_main_score(both)));
    json_decref(both);
}

/* --- pages --------------------------------------------------------------------------------- */

static json_t *judged_record(void)
{
    json_t *kappa =
        json_pack("{s:f, s:[f,f], s:f, s:f, s:i, s:i}", "kappa", 0.5, "interval", 0.25, 0.75,
                  "observed", 0.75, "expected", 0.5, "n_windows", 58, "n_left_out", 2);
    json_t *agreement = json_pack("{s:[s,s,s], s:{s:[O,O], s:O}}", "judges", "one", "two", "three",
                                  "detection", "cohen", kappa, kappa, "fleiss", kappa);
    json_t *simulation =
        json_pack("{s:f, s:[f,f], s:i, s:i, s:s}", "pearson", 0.625, "interval", -0.125, 0.875,
                  "n_documents", 10, "n_failed", 3, "verdict", "unsupported: no null");
    json_decref(kappa);
    return json_pack("{s:i, s:s, s:s, s:{s:{s:o}}, s:o}", "feature", 7, "status", "open", "label",
                     "cats", "scores", "simulation", "random", simulation, "agreement", agreement);
}

Test(cli_record, a_page_has_the_correlation_and_every_kappa)
{
    static char text[16384];
    json_t *it = judged_record();
    FILE *out = fmemopen(text, sizeof text, "w");
    const struct cli cli = {.out = out, .width = 200};
    cr_assert_eq(record_print(&cli, it, 0, NULL), ST_OK);
    (void)fclose(out);
    cr_expect(strstr(text, "simulation  random   0.625  -0.125 to 0.875"), "%s", text);
    cr_expect(strstr(text, "  no null\n"), "%s", text);
    cr_expect(strstr(text, "one and two    detection  0.500  0.250 to 0.750"), "%s", text);
    cr_expect(strstr(text, "one and three") && strstr(text, "all (Fleiss)"));
    cr_expect(strstr(text, "58") && strstr(text, "LEFT OUT"));
    json_decref(it);
}

/* --- sorting ------------------------------------------------------------------------------- */

struct seen {
    int features[16];
    size_t n;
};

static status_t see(void *context, const json_t *it, struct error *err)
{
    struct seen *seen = context;
    (void)err;
    seen->features[seen->n++] = (int)json_integer_value(json_object_get(it, "feature"));
    return ST_OK;
}

static struct seen sorted(bool by_score, size_t limit)
{
    static const double scores[] = {0.5, NAN, 0.9, 0.5, 0.7};
    struct result_rows rows;
    struct seen seen = {0};
    result_rows_init(&rows, by_score, limit);
    for (int i = 0; i < 5; i++) {
        json_t *it = record(i == 4 ? 0 : i + 10, scores[i], "x");
        cr_assert_eq(result_rows_add(&rows, it, NULL), ST_OK);
        json_decref(it);
    }
    cr_assert_eq(result_rows_visit(&rows, see, &seen, NULL), ST_OK);
    result_rows_fini(&rows);
    return seen;
}

Test(cli_result_rows, best_score_first_ties_as_they_came_unknown_last)
{
    const struct seen seen = sorted(true, SIZE_MAX);
    const int want[] = {12, 0, 10, 13, 11};
    cr_assert_eq(seen.n, 5);
    cr_expect_arr_eq(seen.features, want, sizeof want);
}

Test(cli_result_rows, by_feature_and_limited)
{
    const struct seen seen = sorted(false, 2);
    cr_assert_eq(seen.n, 2);
    cr_expect(seen.features[0] == 0 && seen.features[1] == 10);
}

Test(cli_result_rows, a_limit_keeps_the_best_of_many)
{
    struct result_rows rows;
    struct seen seen = {0};
    result_rows_init(&rows, true, 3);
    for (int i = 0; i < 5000; i++) {
        json_t *it = record(i, (double)(i * 37 % 5000) / 5000, "x");
        cr_assert_eq(result_rows_add(&rows, it, NULL), ST_OK);
        json_decref(it);
    }
    cr_expect_lt(rows.n, 3000, "what cannot win is dropped on the way");
    cr_assert_eq(result_rows_visit(&rows, see, &seen, NULL), ST_OK);
    cr_assert_eq(seen.n, 3);
    for (size_t i = 0; i < 3; i++) cr_expect_eq(seen.features[i] * 37 % 5000, 4999 - (int)i);
    result_rows_fini(&rows);
}

/* --- columns ------------------------------------------------------------------------------- */

static void expect_columns(bool is_wide, size_t width, size_t n_columns, const char *hidden)
{
    struct record_columns columns;
    record_columns_choose(&columns, is_wide, width);
    cr_expect_eq(columns.n_columns, n_columns, "%zu: %zu", width, columns.n_columns);
    cr_expect_str_eq(columns.hidden, hidden, "%zu: %s", width, columns.hidden);
    cr_expect_str_eq(columns.columns[columns.n_columns - 1].heading, "LABEL");
}

Test(cli_record, columns_leave_where_a_terminal_has_no_room_for_the_label)
{
    expect_columns(false, 0, 9, ""); /* no terminal */
    expect_columns(false, 120, 9, "");
    expect_columns(false, 100, 7, "HARD, FIRES");
    expect_columns(false, 80, 5, "TYPE, HARD, FUZZING, FIRES");
    expect_columns(false, 20, 5, "TYPE, HARD, FUZZING, FIRES");
    expect_columns(true, 80, RECORD_MAX_COLUMNS, "");
}

/* One record as a table of all columns and a line of CSV below it; the caller frees it. */
static char *as_text(const json_t *it)
{
    struct record_columns columns;
    struct text_table *table = NULL;
    const struct text_table_style style = {.has_heading = true};
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    record_columns_choose(&columns, true, 0);
    cr_assert_eq(text_table_create(&table, columns.columns, columns.n_columns, NULL), ST_OK);
    cr_assert_eq(record_add_row(table, &columns, it, NULL), ST_OK);
    text_table_print(table, &style, out);
    cr_assert_eq(record_print_csv(out, it, NULL), ST_OK);
    text_table_destroy(&table);
    (void)fclose(out);
    return text;
}

/* A table of the fields that are asked for is the table of the whole record. */
Test(cli_record, a_row_is_made_of_the_fields_that_are_asked_for)
{
    json_t *whole = json_load_file("tests/golden/results/label_record.json", 0, NULL);
    json_t *fields = json_array();
    const char *paths[JSON_SELECT_MAX_PATHS];
    struct buffer brief;
    buffer_init(&brief, 1 << 20);
    cr_assert_eq(record_row_fields(fields, NULL), ST_OK);
    cr_assert_leq(json_array_size(fields), JSON_SELECT_MAX_PATHS);
    for (size_t i = 0; i < json_array_size(fields); i++)
        paths[i] = json_string_value(json_array_get(fields, i));
    char *text = json_dumps(whole, JSON_COMPACT);
    cr_assert_eq(json_select((struct wire_text){text, strlen(text)}, paths, json_array_size(fields),
                             &brief, NULL),
                 ST_OK);
    json_t *part = json_loadb((const char *)brief.bytes, brief.n_bytes, 0, NULL);
    char *const want = as_text(whole), *const got = as_text(part);
    cr_expect_str_eq(got, want);
    free(want);
    free(got);
    free(text);
    buffer_fini(&brief);
    json_decref(part);
    json_decref(whole);
    json_decref(fields);
}
