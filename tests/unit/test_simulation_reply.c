/* Expected values against the published package: tests/golden/simulation/, equal to 1e-9. */
#include "coordinator/session/simulation_reply.h"
#include "tests/support/session_windows.h"

#include <jansson.h>

enum { MAX_TOKENS = 64 };

static struct simulation_tokens tokens_of(const char *const *words, size_t n)
{
    const struct token_texts texts = texts_of(words, n);
    uint32_t ids[MAX_TOKENS];
    for (size_t i = 0; i < n; i++) ids[i] = (uint32_t)i;
    const struct window window = {.tokens = ids, .n_tokens = n};
    struct simulation_tokens made;
    cr_assert_eq(simulation_tokens_init(&made, &window, &texts, NULL), ST_OK);
    return made;
}

static void expect_case(const json_t *item)
{
    const json_t *list = json_object_get(item, "tokens");
    const json_t *expected = json_object_get(item, "expected");
    const size_t n = json_array_size(list);
    const char *words[MAX_TOKENS];
    double predicted[MAX_TOKENS];
    struct error err = {0};
    for (size_t i = 0; i < n; i++) words[i] = json_string_value(json_array_get(list, i));
    struct simulation_tokens tokens = tokens_of(words, n);
    const char *content = json_string_value(json_object_get(item, "content"));
    char *logprobs = json_dumps(json_object_get(item, "logprobs"), 0);
    cr_assert_eq(simulation_reply_logprobs(content, strlen(content), logprobs, strlen(logprobs),
                                           &tokens, predicted, &err),
                 ST_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        cr_expect_float_eq(predicted[i], json_number_value(json_array_get(expected, i)), 1e-9);
    free(logprobs);
    simulation_tokens_fini(&tokens);
}

Test(simulation_reply, expected_values_are_those_of_the_published_package)
{
    json_t *cases = json_load_file("tests/golden/simulation/cases.json", 0, NULL);
    const json_t *list = json_object_get(cases, "replies");
    cr_assert_eq(json_array_size(list), 4);
    for (size_t i = 0; i < json_array_size(list); i++) expect_case(json_array_get(list, i));
    json_decref(cases);
}

/* "cat" and " dog" with their numbers; every case is one reply and its tokens. */
#define PLAIN(text) "{\"token\":\"" text "\",\"logprob\":-0.1,\"top_logprobs\":[]}"
#define CAT PLAIN("cat") "," PLAIN("\\t") "," PLAIN("7") "," PLAIN("\\n") ","
#define DOG PLAIN(" dog") "," PLAIN("\\t") ","

static status_t read_pair(const char *reply, const char *content, double predicted[2],
                          struct error *err)
{
    static const char *const words[] = {"cat", " dog"};
    char logprobs[4096];
    struct simulation_tokens tokens = tokens_of(words, 2);
    (void)snprintf(logprobs, sizeof logprobs, "{\"content\":[%s]}", content);
    predicted[0] = predicted[1] = -1.0;
    const status_t status = simulation_reply_logprobs(reply, strlen(reply), logprobs,
                                                      strlen(logprobs), &tokens, predicted, err);
    simulation_tokens_fini(&tokens);
    return status;
}

Test(simulation_reply, reads_lines_that_tokens_spell)
{
    static const struct {
        const char *name, *reply, *content;
        double want;
    } cases[] = {
        {"plain", "cat\t7\n dog\t0", CAT DOG PLAIN("0"), 0.0},
        {"ten is one token", "cat\t7\n dog\t10", CAT DOG PLAIN("10"), 10.0},
        {"blank before the token is lost", "cat\t7\ndog\t3",
         CAT PLAIN("dog") "," PLAIN("\\t") "," PLAIN("3"), 3.0},
        {"end of the turn is a token", "cat\t7\n dog\t3", CAT DOG PLAIN("3") "," PLAIN("<|e|>"),
         3.0},
        {"blanks around the reply are lost", "cat\t7\n dog\t3",
         PLAIN("\\n") "," CAT DOG PLAIN("3") "," PLAIN("\\n\\n"), 3.0},
        {"fenced", "```\ncat\t7\n dog\t3\n```",
         PLAIN("```") "," PLAIN("\\n") "," CAT DOG PLAIN("3") "," PLAIN("\\n```"), 3.0},
        {"after thinking", "cat\t1\n</think>cat\t7\n dog\t3",
         PLAIN("cat\\t1\\n") "," PLAIN("</think>") "," CAT DOG PLAIN("3"), 3.0},
        {"bytes win over the token", "cat\t7\n dog\t3",
         CAT DOG "{\"token\":\"?\",\"bytes\":[51],\"logprob\":0,"
                 "\"top_logprobs\":[{\"token\":\"3\",\"logprob\":-1}]}",
         3.0},
        {"renormalised", "cat\t7\n dog\t0",
         CAT DOG "{\"token\":\"0\",\"logprob\":-0.5,\"top_logprobs\":["
                 "{\"token\":\"0\",\"logprob\":-1.3862943611198906},"
                 "{\"token\":\"the\",\"logprob\":-0.1},{\"token\":\" 9\",\"logprob\":-0.1},"
                 "{\"token\":\"8\",\"logprob\":-1.3862943611198906}]}",
         8.0 * 0.25 / (0.25 + 0.6065306597126334)},
        {"digit by digit", "cat\t7\n dog\t10",
         CAT DOG "{\"token\":\"1\",\"logprob\":-0.6931471805599453,\"top_logprobs\":["
                 "{\"token\":\"1\",\"logprob\":-0.6931471805599453},"
                 "{\"token\":\"4\",\"logprob\":-0.6931471805599453}]},"
                 "{\"token\":\"0\",\"logprob\":-0.2876820724517809,\"top_logprobs\":[]}",
         0.5 * (0.25 * 1 + 0.75 * 10) + 0.5 * 4},
        {"one, which may have gone on to ten", "cat\t7\n dog\t1\n",
         CAT DOG "{\"token\":\"1\",\"logprob\":-0.1,\"top_logprobs\":[]},"
                 "{\"token\":\"\\n\",\"logprob\":-0.3,\"top_logprobs\":["
                 "{\"token\":\"0\",\"logprob\":-1.3862943611198906}]}",
         0.75 * 1 + 0.25 * 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double predicted[2];
        struct error err = {0};
        cr_assert_eq(read_pair(cases[i].reply, cases[i].content, predicted, &err), ST_OK, "%s: %s",
                     cases[i].name, err.text);
        cr_expect_float_eq(predicted[0], 7.0, 1e-12, "%s", cases[i].name);
        cr_expect_float_eq(predicted[1], cases[i].want, 1e-12, "%s: %.17g", cases[i].name,
                           predicted[1]);
    }
}

Test(simulation_reply, refuses_lines_that_are_not_the_windows)
{
    static const struct {
        const char *name, *reply, *content, *why;
    } cases[] = {
        {"other text", "cat\t7\n dog\t4", CAT DOG PLAIN("3"), "spell"},
        {"text behind the reply", "cat\t7\n dog\t3",
         CAT DOG PLAIN("3") "," PLAIN("a") "," PLAIN("b"), "spell"},
        {"too few lines", "cat\t7", PLAIN("cat") "," PLAIN("\\t") "," PLAIN("7"), "1 lines for 2"},
        {"too many lines", "cat\t7\n dog\t3\nx\t1",
         CAT DOG PLAIN("3") "," PLAIN("\\n") "," PLAIN("x\\t") "," PLAIN("1"), "more lines"},
        {"another token", "cat\t7\n cow\t3", CAT PLAIN(" cow") "," PLAIN("\\t") "," PLAIN("3"),
         "line 1"},
        {"no number", "cat\t7\n dog\tx", CAT DOG PLAIN("x"), "no number"},
        {"eleven", "cat\t7\n dog\t11", CAT DOG PLAIN("11"), "no number"},
        {"leading zero", "cat\t7\n dog\t07", CAT DOG PLAIN("07"), "no number"},
        {"fraction", "cat\t7\n dog\t2.5", CAT DOG PLAIN("2.5"), "no number"},
        {"number inside a token", "cat\t7\n dog\t3", CAT PLAIN(" dog") "," PLAIN("\\t3"),
         "no token of the reply"},
        {"number with more in its token", "cat\t7\n dog\t3\n", CAT DOG PLAIN("3\\n"),
         "no token of the reply"},
        {"no probability", "cat\t7\n dog\t3",
         CAT DOG "{\"token\":\"3\",\"logprob\":null,\"top_logprobs\":[]}", "no token of the reply"},
        {"entry without a token", "cat\t7\n dog\t3", CAT DOG "{\"logprob\":0}", "no token"},
        {"bytes that are none", "cat\t7\n dog\t3", CAT DOG "{\"token\":\"3\",\"bytes\":[256]}",
         "no bytes"},
        {"nothing", "", "", "0 lines for 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double predicted[2];
        struct error err = {0};
        cr_expect_eq(read_pair(cases[i].reply, cases[i].content, predicted, &err), ST_BAD_INPUT,
                     "%s", cases[i].name);
        cr_expect(strstr(err.text, cases[i].why), "%s: %s", cases[i].name, err.text);
        cr_expect(predicted[0] < 0.0 && predicted[1] < 0.0, "%s: untouched", cases[i].name);
    }
}

Test(simulation_reply, refuses_log_probabilities_that_are_missing_or_no_json)
{
    static const char *const words[] = {"cat"};
    static const char *const bad[] = {NULL,
                                      "",
                                      "{}",
                                      "[]",
                                      "{\"content\":null}",
                                      "{\"content\":{}}",
                                      "{\"content\":[7]}",
                                      "{\"content\":["};
    struct simulation_tokens tokens = tokens_of(words, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double predicted = -1.0;
        cr_expect_eq(simulation_reply_logprobs("cat\t1", 5, bad[i], bad[i] ? strlen(bad[i]) : 0,
                                               &tokens, &predicted, NULL),
                     ST_BAD_INPUT, "%zu", i);
        cr_expect_lt(predicted, 0.0);
    }
    cr_expect_eq(
        simulation_reply_logprobs("cat\t1", 5, "{}", (1 << 20) + 1, &tokens, &(double){0}, NULL),
        ST_TOO_LARGE);
    simulation_tokens_fini(&tokens);
}

Test(simulation_reply, reads_a_scale)
{
    static const char *const words[] = {"cat", " dog", "\n"};
    static const struct {
        const char *name, *reply;
        status_t status;
    } cases[] = {
        {"plain",
         "{\"activations\":[{\"token\":\"cat\",\"value\":7},{\"token\":\" dog\",\"value\":0},"
         "{\"token\":\"\\u21b5\",\"value\":2.5}]}",
         ST_OK},
        {"prose around it, blanks lost",
         "Sure: {\"activations\":["
         "{\"token\":\"cat\",\"value\":7.0},{\"token\":\"dog\",\"value\":0},"
         "{\"token\":\"\xE2\x86\xB5\",\"value\":2.5}]} done",
         ST_OK},
        {"too short", "{\"activations\":[{\"token\":\"cat\",\"value\":7}]}", ST_BAD_INPUT},
        {"other order",
         "{\"activations\":[{\"token\":\" dog\",\"value\":0},{\"token\":\"cat\",\"value\":7},"
         "{\"token\":\"\xE2\x86\xB5\",\"value\":2.5}]}",
         ST_BAD_INPUT},
        {"above the scale",
         "{\"activations\":[{\"token\":\"cat\",\"value\":7},{\"token\":\" dog\",\"value\":11},"
         "{\"token\":\"\xE2\x86\xB5\",\"value\":2.5}]}",
         ST_BAD_INPUT},
        {"below the scale",
         "{\"activations\":[{\"token\":\"cat\",\"value\":7},{\"token\":\" dog\",\"value\":-1},"
         "{\"token\":\"\xE2\x86\xB5\",\"value\":2.5}]}",
         ST_BAD_INPUT},
        {"a string for a number",
         "{\"activations\":[{\"token\":\"cat\",\"value\":\"7\"},{\"token\":\" dog\",\"value\":0},"
         "{\"token\":\"\xE2\x86\xB5\",\"value\":2.5}]}",
         ST_BAD_INPUT},
        {"no list", "{\"activations\":7}", ST_BAD_INPUT},
        {"prose", "I would say 7, 0 and 2.5.", ST_BAD_INPUT},
    };
    struct simulation_tokens tokens = tokens_of(words, 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double predicted[3] = {-1, -1, -1};
        const status_t status = simulation_reply_scale(cases[i].reply, strlen(cases[i].reply),
                                                       &tokens, predicted, NULL);
        cr_expect_eq(status, cases[i].status, "%s", cases[i].name);
        cr_expect_float_eq(predicted[0], status == ST_OK ? 7.0 : -1.0, 0, "%s", cases[i].name);
        cr_expect_float_eq(predicted[2], status == ST_OK ? 2.5 : -1.0, 0, "%s", cases[i].name);
    }
    simulation_tokens_fini(&tokens);
}
