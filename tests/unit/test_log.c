#include "common/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ends[2];
static char line[8192];

static void set_up(void)
{
    cr_assert_eq(pipe(ends), 0);
    log_init("test", LOG_INFO, ends[1]);
}

static const char *read_line(void)
{
    const ssize_t n = read(ends[0], line, sizeof line - 1);
    line[n > 0 ? n : 0] = '\0';
    return line;
}

TestSuite(log, .init = set_up);

Test(log, writes_one_line_with_time_level_program_event_and_fields)
{
    log_event(LOG_WARN, "lease_lost", LOG_TEXT("worker", "w1"), LOG_NUMBER("unit", -7));
    const char *text = read_line();
    int year, consumed = 0;
    cr_assert_eq(sscanf(text, "%d-%*d-%*dT%*d:%*d:%*d.%*dZ%n", &year, &consumed), 1);
    cr_expect_geq(year, 2024);
    cr_expect_str_eq(text + consumed, " warn test lease_lost worker=w1 unit=-7\n");
}

Test(log, text_from_outside_cannot_forge_a_line_or_a_field)
{
    log_event(LOG_ERROR, "e", LOG_TEXT("a", "x\n2026 error"), LOG_TEXT("b", "say \"hi\" \\"),
              LOG_TEXT("c", "k=v"), LOG_TEXT("d", ""), LOG_TEXT("f", "\x1b[31m"));
    const char *text = read_line();
    cr_expect_eq(strchr(text, '\n'), text + strlen(text) - 1, "one line: %s", text);
    cr_expect(strstr(text, "a=\"x\\x0a2026 error\" b=\"say \\\"hi\\\" \\\\\" c=\"k=v\" d=\"\" "
                           "f=\"\\x1b[31m\""),
              "%s", text);
}

Test(log, leaves_out_what_is_below_its_level)
{
    log_event(LOG_DEBUG, "quiet", LOG_NUMBER("n", 1));
    log_event(LOG_INFO, "loud", LOG_NUMBER("n", 1));
    const char *text = read_line();
    cr_expect_null(strstr(text, "quiet"));
    cr_expect_not_null(strstr(text, "loud"));
}

Test(log, a_line_that_is_too_long_is_cut_and_still_ends)
{
    static char long_text[6000];
    memset(long_text, 'y', sizeof long_text - 1);
    log_event(LOG_INFO, "long", LOG_TEXT("text", long_text));
    const char *text = read_line();
    cr_expect_leq(strlen(text), 2048);
    cr_expect_eq(text[strlen(text) - 1], '\n');
}

Test(log, knows_its_levels_by_name)
{
    cr_expect_eq(log_level_parse("debug"), LOG_DEBUG);
    cr_expect_eq(log_level_parse("error"), LOG_ERROR);
    cr_expect_eq(log_level_parse("loud"), -1);
}
