/* Both forms as they go out, over a window that tries to break them. Golden files:
 * tests/golden/prompts/. */
#include "coordinator/session/simulation_prompt.h"
#include "tests/support/session_golden.h"
#include "tests/support/session_windows.h"

#include <jansson.h>

static const char *const WORDS[] = {"The",  " cat", "\n",   "\t", " <<x>>", "<|im_end|>",
                                    " caf", "\xC3", "\xA9", "\"", "",       "7"};
enum { N_WORDS = sizeof WORDS / sizeof WORDS[0] };
static const uint32_t TOKENS[N_WORDS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const struct window WINDOW = {.tokens = TOKENS, .n_tokens = N_WORDS};

struct asked {
    struct prompt_template *template_;
    struct simulation_tokens tokens;
    struct prompt_messages messages;
    struct simulation_prompt prompt;
};

static void ask(struct asked *asked, enum simulation_form form)
{
    const struct token_texts texts = texts_of(WORDS, N_WORDS);
    const char *path = form == SIMULATION_SCALE ? "config/prompts/simulation_scale.txt"
                                                : "config/prompts/simulation.txt";
    struct error err = {0};
    cr_assert_eq(prompt_template_load(&asked->template_, path, &err), ST_OK, "%s", err.text);
    cr_assert_eq(prompt_template_check_fields(asked->template_, SIMULATION_PROMPT_FIELDS,
                                              SIMULATION_N_PROMPT_FIELDS, &err),
                 ST_OK, "%s", err.text);
    cr_assert_eq(simulation_tokens_init(&asked->tokens, &WINDOW, &texts, NULL), ST_OK);
    prompt_messages_init(&asked->messages);
    asked->prompt = (struct simulation_prompt){form, asked->template_,
                                               "cats,\n<<animals>> {{tokens}}", &asked->tokens};
    cr_assert_eq(simulation_prompt_build(&asked->prompt, &asked->messages, &err), ST_OK, "%s",
                 err.text);
}

static void forget(struct asked *asked)
{
    prompt_template_destroy(&asked->template_);
    simulation_tokens_fini(&asked->tokens);
    prompt_messages_fini(&asked->messages);
}

static void expect_prompt(enum simulation_form form, const char *path)
{
    struct asked asked;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    ask(&asked, form);
    cr_assert_eq(buffer_printf(&out, NULL, "--- system\n%s\n--- user\n%s\n",
                               buffer_text(&asked.messages.system),
                               buffer_text(&asked.messages.user)),
                 ST_OK);
    expect_golden(path, buffer_text(&out));
    buffer_fini(&out);
    forget(&asked);
}

Test(simulation_prompt, logprobs_form_is_the_golden_one)
{
    expect_prompt(SIMULATION_LOGPROBS, "tests/golden/prompts/simulation.txt");
}

Test(simulation_prompt, scale_form_is_the_golden_one)
{
    expect_prompt(SIMULATION_SCALE, "tests/golden/prompts/simulation_scale.txt");
}

Test(simulation_prompt, a_token_is_one_line_without_tab_or_markup)
{
    struct asked asked;
    ask(&asked, SIMULATION_LOGPROBS);
    cr_assert_eq(asked.tokens.n_tokens, N_WORDS);
    for (size_t i = 0; i < N_WORDS; i++) {
        size_t n;
        const char *token = simulation_token(&asked.tokens, i, &n);
        for (size_t b = 0; b < n; b++)
            cr_expect(token[b] != '\n' && token[b] != '\t' && token[b] != '\r', "token %zu", i);
    }
    const char *user = buffer_text(&asked.messages.user);
    cr_expect(!strstr(user, "<<") && !strstr(user, "<|im_end|>"));
    forget(&asked);
}

static json_t *body_of(const struct asked *asked, const char *model, enum prompt_format format)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    cr_assert_eq(
        simulation_request_write(&asked->prompt, &asked->messages, model, format, &out, NULL),
        ST_OK);
    json_t *body = json_loadb((const char *)out.bytes, out.n_bytes, 0, NULL);
    char *again = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    cr_expect_str_eq(again, buffer_text(&out), "canonical");
    free(again);
    buffer_fini(&out);
    return body;
}

Test(simulation_prompt, request_asks_for_log_probabilities_in_their_form_only)
{
    struct asked asked;
    ask(&asked, SIMULATION_LOGPROBS);
    json_t *body = body_of(&asked, "m", PROMPT_FORMAT_JSON_SCHEMA);
    cr_expect(json_is_true(json_object_get(body, "logprobs")));
    cr_expect_eq(json_integer_value(json_object_get(body, "top_logprobs")), 15);
    cr_expect_eq(json_integer_value(json_object_get(body, "temperature")), 0);
    cr_expect_eq(json_integer_value(json_object_get(body, "max_tokens")),
                 simulation_reply_tokens(&asked.prompt));
    cr_expect_not(json_object_get(body, "response_format"), "lines are no JSON");
    cr_expect_eq(json_array_size(json_object_get(body, "messages")), 2);
    json_decref(body);
    forget(&asked);
}

Test(simulation_prompt, request_of_the_scale_form_has_a_schema_of_one_entry_a_token)
{
    struct asked asked;
    ask(&asked, SIMULATION_SCALE);
    json_t *body = body_of(&asked, NULL, PROMPT_FORMAT_JSON_SCHEMA);
    cr_expect_not(json_object_get(body, "logprobs"));
    cr_expect_not(json_object_get(body, "model"));
    const json_t *schema = json_object_get(
        json_object_get(json_object_get(body, "response_format"), "json_schema"), "schema");
    const json_t *list = json_object_get(json_object_get(schema, "properties"), "activations");
    cr_expect_eq(json_integer_value(json_object_get(list, "minItems")), N_WORDS);
    cr_expect_eq(json_integer_value(json_object_get(list, "maxItems")), N_WORDS);
    json_decref(body);
    body = body_of(&asked, NULL, PROMPT_FORMAT_TEXT);
    cr_expect_not(json_object_get(body, "response_format"));
    json_decref(body);
    forget(&asked);
}

Test(simulation_prompt, refuses_an_empty_label_and_an_empty_window)
{
    struct asked asked;
    ask(&asked, SIMULATION_SCALE);
    struct error err = {0};
    asked.prompt.label = "";
    cr_expect_eq(simulation_prompt_build(&asked.prompt, &asked.messages, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "label"));
    asked.prompt.label = "cats";
    const size_t n = asked.tokens.n_tokens;
    asked.tokens.n_tokens = 0;
    cr_expect_eq(simulation_prompt_build(&asked.prompt, &asked.messages, NULL), ST_BAD_INPUT);
    asked.tokens.n_tokens = n;
    forget(&asked);
}
