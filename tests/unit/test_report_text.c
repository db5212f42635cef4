/* Text on lines of a terminal. */
#include "worker/report_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is printed; the caller frees it. */
static char *printed(const char *text, size_t column, size_t indent)
{
    char *out = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&out, &n);
    cr_assert_not_null(to);
    report_text_wrap(to, text, column, indent);
    cr_assert_eq(fclose(to), 0);
    return out;
}

Test(report_text, is_broken_between_words_and_indented)
{
    static const char fill[] = "123456789 123456789 123456789 123456789 123456789 123456789 ";
    char text[128], want[160];
    (void)snprintf(text, sizeof text, "%s123456789 1234567890", fill);
    char *whole = printed(text, 0, 2);
    cr_expect_eq(strlen(whole), 81, "80 columns are a line");
    (void)snprintf(text, sizeof text, "%s123456789 12345678901", fill);
    (void)snprintf(want, sizeof want, "%s123456789\n  12345678901\n", fill);
    char *broken = printed(text, 0, 2);
    cr_expect_str_eq(broken, want);
    free(whole);
    free(broken);
}

Test(report_text, begins_where_the_line_is)
{
    char *same = printed("a  b\nc", 78, 4), *next = printed("", 3, 4);
    cr_expect_str_eq(same, "a\n    b c\n", "%s", same);
    cr_expect_str_eq(next, "\n");
    free(same);
    free(next);
}

Test(report_text, keeps_words_whole)
{
    char word[101] = "", text[128], want[128];
    memset(word, 'x', 100);
    (void)snprintf(text, sizeof text, "a %s b", word);
    (void)snprintf(want, sizeof want, "a\n %s\n b\n", word);
    char *out = printed(text, 0, 1);
    cr_expect_str_eq(out, want);
    free(out);
}

Test(report_text, counts_characters)
{
    char text[256] = "", *out;
    for (size_t i = 0; i < 39; i++) strcat(text, "\xc3\xa4 "); /* a-umlaut: 78 columns */
    out = printed(strcat(text, "bc"), 0, 0);
    cr_expect_null(strchr(strchr(out, 'b'), ' '));
    cr_expect_eq(strchr(out, '\n')[1], '\0', "one line");
    free(out);
}

Test(report_text, numbers_have_three_digits_and_a_prefix)
{
    static const struct {
        double value;
        const char *amount, *count, *memory;
    } CASES[] = {{0, "0 B", "0 tokens", "0.0 KiB"},
                 {512, "512 B", "512 tokens", "0.5 KiB"},
                 {999.6, "1 kB", "1 k tokens", "1.0 KiB"},
                 {315800, "316 kB", "316 k tokens", "308.4 KiB"},
                 {1048570, "1.05 MB", "1.05 M tokens", "1.0 MiB"},
                 {1.9283e6, "1.93 MB", "1.93 M tokens", "1.8 MiB"},
                 {80e9, "80 GB", "80 G tokens", "74.5 GiB"},
                 {5e15, "5 PB", "5 P tokens", "4547.5 TiB"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char out[REPORT_NUMBER_SIZE];
        cr_expect_str_eq(report_text_amount(CASES[i].value, "B", out), CASES[i].amount, "%s", out);
        cr_expect_str_eq(report_text_count(CASES[i].value, "tokens", out), CASES[i].count, "%s",
                         out);
        cr_expect_str_eq(report_text_memory(CASES[i].value, out), CASES[i].memory, "%s", out);
    }
}
