#include "worker/model/regex.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Length of the match at the start of the text, -1 if there is none. */
static int match_length(const char *pattern, const char *text)
{
    bool found;
    size_t begin = 0, end = 0;
    struct error err = {0};
    struct regex *regex = NULL;
    struct regex_cursor *cursor = NULL;
    cr_assert_eq(regex_create(&regex, pattern, &err), ST_OK, "%s: %s", pattern, err.text);
    cr_assert_eq(regex_cursor_create(&cursor, &err), ST_OK);
    cr_assert_eq(regex_find(regex, cursor, text, strlen(text), 0, &found, &begin, &end, &err),
                 ST_OK);
    regex_cursor_destroy(&cursor);
    regex_destroy(&regex);
    cr_expect_null(regex);
    return found && begin == 0 ? (int)(end - begin) : -1;
}

Test(regex, classes_are_those_of_oniguruma_not_of_pcre2)
{
    static const struct {
        const char *pattern, *text;
        int want;
    } cases[] = {
        {"\\s", "\u180e", -1}, /* PCRE2: white space */
        {"\\s", "\u2028", 3},
        {"\\s", "\v", 1},
        {"\\s", "\xc2\x85", 2},
        {"\\S", "\u180e", 3},
        {"[^\\s]", "\u3000", -1},
        {"[\\S]", "\u200b", 3},
        {"\\w", "\u0301", 2}, /* PCRE2 10.42: a mark is no word character */
        {"\\w", "²", 2},
        {"[\\w]", "²", -1}, /* Oniguruma's own inconsistency */
        {"\\w", "\u203f", 3},
        {"\\w", "\u200d", -1},
        {"\\d", "٣", 2},
        {"\\d", "²", -1},
        {"\\v", "\n", -1},          /* PCRE2: any vertical space */
        {"\\p{Han}", "\u301c", -1}, /* PCRE2: Han by script extension */
        {"\\p{Han}", "漢", 3},
        {"\\p{^L}", "1", 1},
        {"\\P{N}", "1", -1},
        {"[\\s-a]+", "- a", 3},
        {"(?i:'S)", "'\u017f", 3},
        {"(?i)k", "\u212a", 3},
        {"a$", "a\nb", 1},
        {".", "\n", -1},
        {"\\u00e9|\\x41", "é", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(match_length(cases[i].pattern, cases[i].text), cases[i].want, "%s: got %d",
                     cases[i].pattern, match_length(cases[i].pattern, cases[i].text));
}

Test(regex, constructs_of_another_or_unknown_meaning_are_refused_by_name)
{
    static const struct {
        const char *pattern, *says;
    } cases[] = {
        {"\\h", "\\h"},     {"\\bfoo", "\\b"},   {"(a)\\1", "\\1"}, {"[\\W]", "\\W"},
        {"a{2}+", "}+"},    {"[a[b]]", "[b"},    {"[a&&b]", "&&"},  {"(?m)a", "(?m)"},
        {"a(?i)b", "(?i)"}, {"(?<n>a)", "(?<n"}, {"[]a]", "[]"},    {"\\pL", "\\pL"},
        {"\\x80", "\\x80"}, {"\\u12", "\\u12"},  {"(?R)", "(?R)"},  {"\\K", "\\K"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct regex *regex = NULL;
        cr_expect_eq(regex_create(&regex, cases[i].pattern, &err), ST_UNSUPPORTED, "%s",
                     cases[i].pattern);
        cr_expect(strstr(err.text, cases[i].says), "%s: %s", cases[i].pattern, err.text);
        cr_expect_null(regex);
    }
}

Test(regex, bad_syntax_is_bad_input)
{
    static const char *const patterns[] = {"(", "a\\", "[a", "*", "\\p{NoSuchThing}"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct error err = {0};
        struct regex *regex = NULL;
        cr_expect_eq(regex_create(&regex, patterns[i], &err), ST_BAD_INPUT, "%s", patterns[i]);
        cr_expect(strstr(err.text, "regex"), "%s", err.text);
    }
}

Test(regex, a_search_without_end_is_stopped, .timeout = 30)
{
    enum { N = 40 };
    char text[N + 2]; /* a "b" out of reach keeps the search from ending before it starts */
    bool found;
    size_t begin, end;
    struct error err = {0};
    struct regex *regex = NULL;
    struct regex_cursor *cursor = NULL;
    memset(text, 'a', N);
    memcpy(text + N, "cb", 2);
    cr_assert_eq(regex_create(&regex, "(?:a|aa)+(?:a|aa)+(?:a|aa)+b\\z", &err), ST_OK);
    cr_assert_eq(regex_cursor_create(&cursor, &err), ST_OK);
    cr_expect_eq(regex_find(regex, cursor, text, sizeof text, 0, &found, &begin, &end, &err),
                 ST_TOO_LARGE);
    cr_expect(strstr(err.text, "limit"), "%s", err.text);
    regex_cursor_destroy(&cursor);
    regex_destroy(&regex);
}
