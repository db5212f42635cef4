/* What people see: cleaned text, tables, quantities, progress. */
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/text_table.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const char *clean(const char *text, size_t max_columns)
{
    static struct buffer out;
    buffer_fini(&out); /* of the call before */
    buffer_init(&out, 4096);
    cr_assert_eq(clean_text_append(&out, text, strlen(text), max_columns, NULL, NULL), ST_OK);
    return out.n_bytes ? buffer_text(&out) : "";
}

Test(cli_clean_text, nothing_that_steers_a_terminal_passes)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"plain", "plain"},
        {"\033[31mred\033[0m", "\uFFFD[31mred\uFFFD[0m"},
        {"bell\a del\x7f", "bell\uFFFD del\uFFFD"},
        {"two\nlines\tand\rmore", "two\u21B5lines\u2192and\uFFFDmore"},
        {"c1 \xC2\x9B"
         "31m",
         "c1 \uFFFD31m"},
        {"bidi \xE2\x80\xAE"
         "gpj.exe",
         "bidi \uFFFDgpj.exe"},
        {"cut \xE2\x82", "cut \uFFFD\uFFFD"},
        {"over-long \xC0\x9B", "over-long \uFFFD\uFFFD"},
        {"tag \xF3\xA0\x81\x81", "tag \uFFFD"},
        {"na\u00EFve \u6F22\u5B57 \U0001F600", "na\u00EFve \u6F22\u5B57 \U0001F600"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(clean(cases[i].in, 0), cases[i].want, "%s", cases[i].in);
}

Test(cli_clean_text, cuts_at_columns_not_bytes)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    cr_expect_str_eq(clean("abcdef", 6), "abcdef");
    cr_expect_str_eq(clean("abcdefg", 6), "abcde\u2026");
    cr_expect_eq(clean_text_columns("\u6F22\u5B57", 6), 4, "wide characters take two columns");
    cr_expect_str_eq(clean("\u6F22\u5B57\u6F22\u5B57", 6), "\u6F22\u5B57\u2026");
    cr_expect_eq(clean_text_columns("e\u0301", 3), 1, "a combining mark takes none");
}

/* --- tables -------------------------------------------------------------------------------- */

static char *print_table(const char *const *cells, size_t n_cells, size_t width)
{
    static const struct text_column columns[] = {{"N", true, false}, {"LABEL", false, true}};
    static char text[1024];
    struct text_table *table = NULL;
    const struct text_table_style style = {.has_heading = true, .width = width};
    FILE *out = fmemopen(text, sizeof text, "w");
    cr_assert_eq(text_table_create(&table, columns, 2, NULL), ST_OK);
    for (size_t i = 0; i < n_cells; i++) cr_assert_eq(text_table_add(table, cells[i], NULL), ST_OK);
    text_table_print(table, &style, out);
    text_table_destroy(&table);
    (void)fclose(out);
    return text;
}

Test(cli_text_table, aligns_and_leaves_no_trailing_blanks)
{
    const char *const cells[] = {"7", "short", "1200", NULL};
    cr_expect_str_eq(print_table(cells, 4, 0), "   N  LABEL\n   7  short\n1200  -\n");
}

Test(cli_text_table, cuts_the_flexible_column_to_the_terminal)
{
    const char *const cells[] = {"1", "words about the sea and ships"};
    cr_expect_str_eq(print_table(cells, 2, 20), "N  LABEL\n1  words about the \u2026\n");
}

Test(cli_text_table, the_last_column_goes_on_below_where_it_is_wanted_whole)
{
    static const struct text_column columns[] = {{"CHECK", false, false}, {"DETAIL", false, false}};
    static const char *const cells[] = {"disk", "one two three four", "redis", ""};
    const struct text_table_style style = {.has_heading = true, .width = 17, .wraps_last = true};
    char text[256] = "";
    struct text_table *table = NULL;
    FILE *out = fmemopen(text, sizeof text, "w");
    cr_assert_eq(text_table_create(&table, columns, 2, NULL), ST_OK);
    cr_assert_eq(text_table_add_cells(table, cells, 4, NULL), ST_OK);
    text_table_print(table, &style, out);
    text_table_destroy(&table);
    (void)fclose(out);
    cr_expect_str_eq(text, "CHECK  DETAIL\n"
                           "disk   one two \n"
                           "       three four\n"
                           "redis  \n");
}

Test(cli_text_table, a_cell_cannot_forge_a_row)
{
    const char *const cells[] = {"1", "x\n999  forged"};
    cr_expect_str_eq(print_table(cells, 2, 0), "N  LABEL\n1  x\u21B5999  forged\n");
}

Test(cli_text_table, printed_in_parts_it_lines_up_as_far_as_reserved)
{
    static const struct text_column columns[] = {
        {"N", true, false}, {"STATUS", false, false}, {"LABEL", false, true}};
    const char *const first[] = {"7", "open", "sea"}, *const later[] = {"1200", "insufficient",
                                                                        "-"};
    const struct text_table_style style = {.has_heading = true, .width = 0};
    char text[256] = "";
    struct text_table *table = NULL;
    FILE *out = fmemopen(text, sizeof text, "w");
    cr_assert_eq(text_table_create(&table, columns, 3, NULL), ST_OK);
    text_table_reserve(table, 0, 4);
    text_table_reserve(table, 1, 12);
    text_table_flush(table, &style, out); /* nothing has come: not even the heading */
    cr_assert_eq(text_table_add_cells(table, first, 3, NULL), ST_OK);
    text_table_flush(table, &style, out);
    cr_expect_eq(text_table_n_rows(table), 0, "what was printed is forgotten");
    cr_assert_eq(text_table_add_cells(table, later, 3, NULL), ST_OK);
    text_table_flush(table, &style, out);
    text_table_destroy(&table);
    (void)fclose(out);
    cr_expect_str_eq(text, "   N  STATUS        LABEL\n"
                           "   7  open          sea\n"
                           "1200  insufficient  -\n");
}

/* --- progress ------------------------------------------------------------------------------ */

static json_t *summary(const char *state, const char *phase, double share)
{
    return json_pack("{s:s, s:s, s:f, s:i, s:i, s:f, s:n}", "state", state, "phase", phase,
                     "progress", share, "n_units", 200, "n_units_done", 50, "eta_seconds", 80.0,
                     "reason");
}

Test(cli_progress, one_line_tells_phase_share_and_eta)
{
    struct buffer line;
    json_t *json = summary("running", "capture-explain", 0.25);
    buffer_init(&line, 1024);
    cr_assert_eq(progress_format(&line, json, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&line), "running capture-explain [#####...............] 25 %  "
                                         "50 of 200 units  ETA 1 min 20 s");
    buffer_fini(&line);
    json_decref(json);
}

Test(cli_progress, off_a_terminal_a_line_per_ten_seconds_and_per_change)
{
    char text[2048] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    struct progress progress;
    json_t *first = summary("running", "tokenize", 0.1);
    json_t *second = summary("running", "label", 0.5);
    progress_init(&progress, out, false, 0);
    progress_show(&progress, first, 1000);
    progress_show(&progress, first, 2000);
    progress_show(&progress, first, 10999);
    progress_show(&progress, first, 11000);  /* due */
    progress_show(&progress, second, 11500); /* another phase */
    progress_show(&progress, second, 12000);
    progress_end(&progress);
    (void)fclose(out);
    size_t n_lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++) n_lines++;
    cr_expect_eq(n_lines, 3, "%s", text);
    cr_expect_null(strchr(text, '\033'));
    json_decref(first);
    json_decref(second);
}
