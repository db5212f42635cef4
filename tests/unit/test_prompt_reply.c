#include "coordinator/session/prompt_reply.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static status_t label_of(const char *reply, struct prompt_label *out, struct error *err)
{
    return prompt_reply_label(reply, strlen(reply), NULL, out, err);
}

Test(prompt_reply, reads_a_label_strictly_or_after_one_repair)
{
    static const struct {
        const char *name, *reply, *text;
        enum feature_type type;
        bool is_repaired;
    } cases[] = {
        {"strict", "{\"label\": \"cats\", \"type\": \"concrete\"}", "cats", FEATURE_TYPE_CONCRETE,
         false},
        {"no type", " {\"label\":\"cats\"} \n", "cats", FEATURE_TYPE_NONE, false},
        {"unknown type", "{\"label\":\"cats\",\"type\":\"lovely\"}", "cats", FEATURE_TYPE_NONE,
         false},
        {"type of a wrong kind", "{\"label\":\"cats\",\"type\":3}", "cats", FEATURE_TYPE_NONE,
         false},
        {"fenced", "Sure!\n```json\n{\"label\": \"cats\"}\n```\nBye", "cats", FEATURE_TYPE_NONE,
         true},
        {"after thinking", "<think>{\"label\":\"dogs\"}</think>{\"label\":\"cats\"}", "cats",
         FEATURE_TYPE_NONE, true},
        {"braces before", "a {thing} and {\"x\":1} {\"label\":\"cats\"}", "cats", FEATURE_TYPE_NONE,
         true},
        {"white space", "{\"label\":\"  a\\n\\n b\\tc \"}", "a b c", FEATURE_TYPE_NONE, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prompt_label label = {.text = "untouched"};
        struct error err = {0};
        cr_assert_eq(label_of(cases[i].reply, &label, &err), ST_OK, "%s: %s", cases[i].name,
                     err.text);
        cr_expect_str_eq(label.text, cases[i].text, "%s", cases[i].name);
        cr_expect_eq(label.type, cases[i].type, "%s", cases[i].name);
        cr_expect_eq(label.is_repaired, cases[i].is_repaired, "%s", cases[i].name);
    }
}

Test(prompt_reply, refuses_what_is_no_label)
{
    static const char *const replies[] = {
        "",
        "cats",
        "{\"label\": \"cats\"",
        "{\"label\": 7}",
        "{\"label\": null}",
        "{\"label\": \"\"}",
        "{\"label\": \" \\n\\u200b \"}",
        "{\"Label\": \"cats\"}",
        "[\"label\", \"cats\"]",
        "{\"label\": \"a\", \"label\": \"b\"}",
        "{\"label\": \"bad \xFF byte\"}",
        "{\"label\": \"nul \\u0000\"}",
        "<html><body>502 Bad Gateway</body></html>",
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct prompt_label label = {.text = "untouched"};
        struct error err = {0};
        cr_expect_eq(label_of(replies[i], &label, &err), ST_BAD_INPUT, "%s", replies[i]);
        cr_expect_str_eq(label.text, "untouched");
        cr_expect(err.text[0] != '\0');
    }
}

Test(prompt_reply, label_is_one_visible_line_of_at_most_512_bytes)
{
    char out[PROMPT_MAX_LABEL_BYTES + 1], text[2000];
    cr_expect_eq(prompt_label_clean("\a\x1B[31mred\xE2\x80\xAE!", 13, out), 9);
    cr_expect_str_eq(out, "[31mred !");
    for (size_t i = 0; i + 3 <= sizeof text; i += 3) memcpy(text + i, "\xE2\x82\xAC", 3);
    const size_t n = prompt_label_clean(text, 1998, out);
    cr_expect_eq(n, 510, "cut between characters: %zu", n);
    cr_expect_eq(strlen(out), n);
    memset(text, 'x', sizeof text);
    cr_expect_eq(prompt_label_clean(text, sizeof text, out), 512);
    cr_expect_eq(prompt_label_clean("a\xC3", 2, out), 4, "half a character becomes U+FFFD");
}

Test(prompt_reply, answers_must_be_exactly_n_zeros_and_ones)
{
    enum judge_answer answers[3];
    bool is_repaired = true;
    cr_assert_eq(
        prompt_reply_answers("{\"answers\":[1,0,true]}", 22, 3, answers, &is_repaired, NULL),
        ST_OK);
    cr_expect(answers[0] == ANSWER_FIRES && answers[1] == ANSWER_SILENT &&
              answers[2] == ANSWER_FIRES && !is_repaired);
    static const char *const bad[] = {
        "{\"answers\":[1,0]}",
        "{\"answers\":[1,0,1,0]}",
        "{\"answers\":[1,0,2]}",
        "{\"answers\":[1,0,-1]}",
        "{\"answers\":[1,0,0.5]}",
        "{\"answers\":[1,0,\"1\"]}",
        "{\"answers\":[1,0,null]}",
        "{\"answers\":[1,0,[1]]}",
        "{\"answers\":\"101\"}",
        "{\"answers\":{\"0\":1}}",
        "[1,0,1]",
        "1 0 1",
        "{\"answers\":[1,0,99999999999999999999]}",
        "",
        "{\"answers\":[1,0,1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum judge_answer untouched[3] = {ANSWER_FAILED, ANSWER_FAILED, ANSWER_FAILED};
        cr_expect_eq(prompt_reply_answers(bad[i], strlen(bad[i]), 3, untouched, NULL, NULL),
                     ST_BAD_INPUT, "%s", bad[i]);
        cr_expect_eq(untouched[0], ANSWER_FAILED, "%s", bad[i]);
    }
}

Test(prompt_reply, every_truncation_and_every_changed_byte_is_survived)
{
    static const char good[] = "Well: {\"answers\": [1, 0, 1], \"why\": \"\\u00e9\"} ok";
    const size_t n = sizeof good - 1;
    for (size_t cut = 0; cut <= n; cut++) {
        char *copy = malloc(cut + 1);
        enum judge_answer answers[3];
        memcpy(copy, good, cut);
        (void)!prompt_reply_answers(copy, cut, 3, answers, NULL, NULL);
        free(copy);
    }
    for (size_t at = 0; at < n; at++)
        for (int byte = 0; byte < 256; byte += 5) {
            char changed[sizeof good];
            struct prompt_label label;
            memcpy(changed, good, sizeof good);
            changed[at] = (char)byte;
            (void)!prompt_reply_label(changed, n, NULL, &label, NULL);
        }
}

Test(prompt_reply, hostile_sizes_are_bounded)
{
    const size_t n = PROMPT_MAX_REPLY_BYTES;
    char *deep = malloc(n + 1);
    struct prompt_label label;
    memset(deep, '{', n + 1);
    cr_expect_eq(prompt_reply_label(deep, n, NULL, &label, NULL), ST_BAD_INPUT);
    cr_expect_eq(prompt_reply_label(deep, n + 1, NULL, &label, NULL), ST_TOO_LARGE);
    memset(deep, '[', n);
    memcpy(deep, "{\"label\":", 9);
    cr_expect_eq(prompt_reply_label(deep, n, NULL, &label, NULL), ST_BAD_INPUT);
    free(deep);
}
