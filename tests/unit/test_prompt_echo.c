#include "coordinator/session/prompt_echo.h"
#include "coordinator/session/prompt_reply.h"

#include <criterion/criterion.h>
#include <string.h>

static const char TEMPLATE[] =
    "# comments are no part of the prompt at all\n@system\nYou study one feature.\n@user\n"
    "Texts:\n{{examples}}\nFind the one description that covers the tokens. Answer with JSON: "
    "{\"label\": \"the description, at most 20 words\"} or {\"type\": 1, \"label\" :\n"
    " \"caf\xC3\xA9 \\\"noir\\\"\"}. A \"label\" may be short.";

static struct prompt_template *asked(void)
{
    struct prompt_template *made = NULL;
    struct error err = {0};
    cr_assert_eq(prompt_template_parse(&made, "t", TEMPLATE, sizeof TEMPLATE - 1, &err), ST_OK,
                 "%s", err.text);
    return made;
}

Test(prompt_echo, refuses_what_the_prompt_said_itself)
{
    static const struct {
        const char *label, *why;
    } cases[] = {
        {"...", "holds no word"},
        {"\xE2\x80\xA6 \xE2\x80\x94 \xE3\x80\x82", "holds no word"}, /* ellipsis, dash, CJK stop */
        {"Label", "is only a name from the answer's form"},
        {"\"polysemantic\".", "is only a name from the answer's form"},
        {"The description (at most 20 words)", "is one that stands in the prompt"},
        {"the description, at most 20 words", "is one that stands in the prompt"},
        {"caf\xC3\xA9 noir", "is one that stands in the prompt"},
        {"find the one description that covers", "repeats the prompt's own words"},
        {"Find THE one description that cov", "repeats the prompt's own words"},
        {"one feature. @user Texts: {{examples}}", "repeats the prompt's own words"},
    };
    struct prompt_template *template_ = asked();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = prompt_echo_find(cases[i].label, template_);
        cr_assert_not_null(why, "%s", cases[i].label);
        cr_expect_str_eq(why, cases[i].why, "%s: %s", cases[i].label, why);
    }
    prompt_template_destroy(&template_);
}

Test(prompt_echo, lets_labels_through_that_share_words_with_the_prompt)
{
    static const char *const labels[] = {
        "tokens",
        "the one description",
        "the words \"the\" and \"at\"",
        "find the one description", /* four words */
        "find the one description of cats",
        "the description, at most 30 words",
        "the description, at most",
        "at most 20 words of description",
        "comments are no part of the prompt", /* the file's comment is not sent */
        "caf\xC3\xA9",
        "noir",
        "\xE6\x95\xB0\xE5\xAD\x97", /* Chinese for "numbers" */
        "1",
    };
    struct prompt_template *template_ = asked();
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        const char *why = prompt_echo_find(labels[i], template_);
        cr_expect_null(why, "%s: %s", labels[i], why);
    }
    prompt_template_destroy(&template_);
}

Test(prompt_echo, without_a_template_only_the_form_is_known)
{
    cr_expect_null(prompt_echo_find("the description, at most 20 words", NULL));
    cr_expect_not_null(prompt_echo_find("---", NULL));
    cr_expect_not_null(prompt_echo_find("label", NULL));
}

Test(prompt_echo, an_echo_is_no_label_and_the_error_says_so)
{
    struct prompt_template *template_ = asked();
    static const struct {
        const char *reply, *why;
    } cases[] = {
        {"{\"label\": \"the description, at most 20 words\", \"type\": \"concrete\"}",
         "reply: the label is one that stands in the prompt"},
        {"{\"label\": \"...\"}", "reply: the label holds no word"},
        {"Sure: {\"label\": \"...\"} {\"label\": \"cats\"}", "reply: the label holds no word"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prompt_label label = {.text = "untouched"};
        struct error err = {0};
        const status_t status =
            prompt_reply_label(cases[i].reply, strlen(cases[i].reply), template_, &label, &err);
        cr_expect_eq(status, ST_BAD_INPUT, "%s", cases[i].reply);
        cr_expect_str_eq(err.text, cases[i].why, "%s", err.text);
        cr_expect_str_eq(label.text, "untouched");
    }
    prompt_template_destroy(&template_);
}

static const char STOPS[] = ".:?\n";

static size_t words_in(const char *text)
{
    size_t n = 0;
    for (const char *at = text; *at; at++) n += at[0] != ' ' && (at[1] == ' ' || !at[1]);
    return n;
}

/* Nothing in the shipped prompt can come back and pass for a label. */
Test(prompt_echo, every_sentence_of_the_shipped_prompt_is_recognised)
{
    struct prompt_template *template_ = NULL;
    struct error err = {0};
    size_t n_sentences = 0;
    cr_assert_eq(prompt_template_load(&template_, "config/prompts/explainer.txt", &err), ST_OK,
                 "%s", err.text);
    const char *text = prompt_template_text(template_);
    cr_expect_null(strstr(text, "\"label\":"), "a label to copy");
    for (const char *part = text; *part; part += strspn(part, STOPS)) {
        char label[PROMPT_MAX_LABEL_BYTES + 1];
        const size_t n_bytes = strcspn(part, STOPS);
        (void)prompt_label_clean(part, n_bytes, label);
        part += n_bytes;
        if (words_in(label) < PROMPT_ECHO_RUN_WORDS) continue;
        n_sentences++;
        const char *why = prompt_echo_find(label, template_);
        cr_expect(why && strcmp(why, "repeats the prompt's own words") == 0, "%s", label);
    }
    cr_expect_geq(n_sentences, 10);
    prompt_template_destroy(&template_);
}
