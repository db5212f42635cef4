#include "coordinator/cli/help_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *printed;
static size_t n_printed;
static FILE *out;

static void set_up(void)
{
    out = open_memstream(&printed, &n_printed);
    cr_assert_not_null(out);
}

static void tear_down(void)
{
    (void)fclose(out);
    free(printed);
}

TestSuite(help_text, .init = set_up, .fini = tear_down);

static void expect(const char *want)
{
    (void)fflush(out);
    cr_expect_str_eq(printed, want);
}

Test(help_text, goes_on_below_its_own_column)
{
    help_text_row(out, "wait SWEEP", "wait until it has ended and say how", 14, 34);
    expect("  wait SWEEP  wait until it has \n"
           "              ended and say how\n");
}

Test(help_text, begins_below_a_head_that_is_long)
{
    help_text_row(out, "probe [SWEEP] TEXT", "on texts", 14, 34);
    help_text_row(out, "ten_bytes.", "touches", 12, 34);
    expect("  probe [SWEEP] TEXT\n"
           "              on texts\n"
           "  ten_bytes.\n"
           "            touches\n");
}

Test(help_text, keeps_a_layout_and_breaks_what_is_too_long)
{
    help_text_print(
        out, "Keys:\nname     letters, digits, and more of them\n           text\n\nend", 30);
    expect("Keys:\n"
           "name     letters, digits, and \n"
           "         more of them\n"
           "           text\n"
           "\n"
           "end\n");
}

Test(help_text, is_as_wide_as_the_terminal_within_reason)
{
    cr_expect_eq(help_text_width(0), 80);
    cr_expect_eq(help_text_width(20), 72);
    cr_expect_eq(help_text_width(100), 100);
    cr_expect_eq(help_text_width(500), 120);
}
