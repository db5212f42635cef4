#include "coordinator/cli/wrapped_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(cli_wrapped_text, breaks_at_spaces_and_counts_columns_not_bytes)
{
    static const struct {
        const char *text;
        size_t indent, width;
        const char *want;
    } cases[] = {{"one two three", 0, 8, "one two \nthree\n"},
                 {"one two three", 2, 10, "  one two \n  three\n"},
                 {"one two three", 2, 0, "  one two three\n"},
                 {"abcdefghij", 0, 4, "abcd\nefgh\nij\n"},
                 {"\u21B5\u21B5\u21B5\u21B5\u21B5", 0, 3, "\u21B5\u21B5\u21B5\n\u21B5\u21B5\n"},
                 {"\033[31mred\033[0m ink", 0, 4, "\033[31mred\033[0m \nink\n"},
                 {"", 4, 80, "\n"},
                 {"narrow", 9, 10, "         narrow\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&got, &n);
        wrapped_text_print(out, cases[i].text, cases[i].indent, cases[i].width);
        (void)fclose(out);
        cr_expect_str_eq(got, cases[i].want, "case %zu", i);
        free(got);
    }
}

Test(cli_wrapped_text, goes_on_behind_what_stands_on_the_line)
{
    char *got = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&got, &n);
    const int indent = fprintf(out, "ab: ");
    wrapped_text_continue(out, "one two three four", (size_t)indent, 12);
    (void)fclose(out);
    cr_expect_str_eq(got, "ab: one two \n    three \n    four\n");
    free(got);
}
