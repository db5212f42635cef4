#include "coordinator/cli/arguments.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct cli_accepts everything = {.options = ~UINT64_C(0) >> (64 - CLI_N_OPTIONS),
                                              .formats = CLI_FORMAT_BIT(CLI_FORMAT_TABLE) |
                                                         CLI_FORMAT_BIT(CLI_FORMAT_JSON),
                                              .n_min = 1,
                                              .n_max = 2,
                                              .positional = "SWEEP [FEATURE]"};

static status_t parse(const struct cli_accepts *accepts, struct cli_arguments *out,
                      struct error *err, const char *const *words)
{
    static char storage[16][64];
    char *argv[17];
    int argc = 0;
    for (; words[argc] && argc < 16; argc++) {
        (void)snprintf(storage[argc], sizeof storage[argc], "%s", words[argc]);
        argv[argc] = storage[argc];
    }
    argv[argc] = NULL;
    *err = (struct error){0};
    return cli_arguments_parse(out, accepts, argc, argv, err);
}
#define PARSE(out, err, ...)                                                                       \
    parse(&everything, (out), (err), (const char *const[]){"command", __VA_ARGS__, NULL})

Test(cli_arguments, takes_options_before_and_after_positionals)
{
    struct cli_arguments got;
    struct error err;
    cr_assert_eq(PARSE(&got, &err, "demo-1", "--timeout", "5m", "-n", "20", "17", "--min-score=0.8",
                       "-w", "-o", "json"),
                 ST_OK, "%s", err.text);
    cr_expect_eq(got.n_positional, 2);
    cr_expect_str_eq(got.positional[0], "demo-1");
    cr_expect_str_eq(got.positional[1], "17");
    cr_expect_float_eq(got.timeout_s, 300, 1e-9);
    cr_expect_float_eq(got.min_score, 0.8, 1e-12);
    cr_expect_eq(got.limit, 20);
    cr_expect(got.watch && !got.wait);
    cr_expect_eq(got.format, CLI_FORMAT_JSON);
}

Test(cli_arguments, what_is_not_given_is_marked_so)
{
    struct cli_arguments got;
    struct error err;
    cr_assert_eq(PARSE(&got, &err, "demo-1"), ST_OK);
    cr_expect(isnan(got.timeout_s) && isnan(got.min_score));
    cr_expect(got.limit == -1 && got.workers == -1 && got.port == -1);
    cr_expect_null(got.endpoint);
    cr_expect_eq(got.format, CLI_FORMAT_TABLE, "the lowest format is the default");
}

Test(cli_arguments, a_list_keeps_every_value_in_order)
{
    struct cli_arguments got;
    struct error err;
    cr_assert_eq(PARSE(&got, &err, "demo-1", "--read", "a.csv", "--read=b.csv"), ST_OK);
    cr_assert_eq(got.read.n, 2);
    cr_expect_str_eq(got.read.items[0], "a.csv");
    cr_expect_str_eq(got.read.items[1], "b.csv");
    cr_expect_eq(PARSE(&got, &err, "demo-1", "--read="), ST_BAD_INPUT);
}

Test(cli_arguments, a_list_has_a_bound)
{
    struct cli_arguments got;
    struct error err = {0};
    char word[] = "--read=a.csv", name[] = "demo-1";
    char *argv[CLI_MAX_LIST + 4] = {name, name};
    for (int i = 0; i <= CLI_MAX_LIST; i++) argv[i + 2] = word;
    cr_expect_eq(cli_arguments_parse(&got, &everything, CLI_MAX_LIST + 2, argv, &err), ST_OK);
    cr_expect_eq(cli_arguments_parse(&got, &everything, CLI_MAX_LIST + 3, argv, &err),
                 ST_BAD_INPUT);
    cr_expect(strstr(err.text, "--read: more than 16 times"), "%s", err.text);
}

Test(cli_arguments, refuses_by_name)
{
    static const struct {
        const char *words[4];
        const char *says;
    } cases[] = {
        {{"x", "--wiat"}, "--wait"},
        {{"x", "--timeout", "soon"}, "--timeout \"soon\""},
        {{"x", "--timeout", "-3"}, "--timeout \"-3\""},
        {{"x", "--limit", "12x"}, "--limit \"12x\""},
        {{"x", "--limit", "99999999999999999999"}, "--limit"},
        {{"x", "--port", "65536"}, "from 0 to 65535"},
        {{"x", "--min-score", "nan"}, "--min-score"},
        {{"x", "--durability", "every"}, "memory|everysec|fsync"},
        {{"x", "-o", "yaml"}, "table, json"},
        {{"x", "--timeout"}, "--timeout needs a value"},
        {{"x", "--wait=yes"}, "--wait takes no value"},
        {{"x", "-Z"}, "-Z"},
        {{"x", "y", "z"}, "unexpected argument \"z\""},
        {{"x", ""}, "empty"},
        {{"--wait"}, "SWEEP [FEATURE]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cli_arguments got;
        struct error err;
        const char *const words[] = {"command",         cases[i].words[0], cases[i].words[1],
                                     cases[i].words[2], cases[i].words[3], NULL};
        cr_expect_eq(parse(&everything, &got, &err, words), ST_BAD_INPUT, "%s", cases[i].says);
        cr_expect(strstr(err.text, cases[i].says), "\"%s\" is not in: %s", cases[i].says, err.text);
    }
}

Test(cli_arguments, an_option_of_another_command_is_unknown)
{
    const struct cli_accepts few = {.options = CLI_COMMON_OPTIONS, .n_max = 1};
    struct cli_arguments got;
    struct error err;
    const char *const words[] = {"command", "--dry-run", NULL};
    cr_expect_eq(parse(&few, &got, &err, words), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "--dry-run"), "%s", err.text);
}

Test(cli_arguments, help_needs_nothing_else)
{
    struct cli_arguments got;
    struct error err;
    cr_assert_eq(PARSE(&got, &err, "--help"), ST_OK, "%s", err.text);
    cr_expect(got.help);
}

Test(cli_arguments, after_two_dashes_all_is_positional)
{
    struct cli_arguments got;
    struct error err;
    cr_assert_eq(PARSE(&got, &err, "--", "--wait"), ST_OK, "%s", err.text);
    cr_expect_str_eq(got.positional[0], "--wait");
    cr_expect_not(got.wait);
}
