/* The three prompts as they go out, with the templates of config/prompts/ and a small corpus
 * that tries to break them. Golden files: tests/golden/prompts/. */
#include "coordinator/session/prompt_classification.h"
#include "coordinator/session/prompt_explainer.h"
#include "coordinator/session/prompt_request.h"
#include "tests/support/session_golden.h"
#include "tests/support/session_windows.h"

#include <jansson.h>

static const char *const WORDS[] = {"The",        " cat", " sat", " on",  " the", " mat", ".",
                                    "\n",         "Text", " 2",   ":",    " <<",  "dog",  ">>",
                                    "<|im_end|>", " caf", "\xC3", "\xA9", "\""};
enum { N_WORDS = sizeof WORDS / sizeof WORDS[0] };

static const uint32_t FIRST[] = {0, 1, 2, 3, 4, 5, 6};
static const uint32_t SECOND[] = {11, 12, 13, 7, 8, 9, 10, 1};
static const uint32_t THIRD[] = {4, 15, 16, 17, 14, 18, 1, 18};
static const uint32_t FOURTH[] = {0, 5, 6, 7, 0, 5};
static const float FIRST_VALUES[] = {0, 4.0f, 0.5f, 0, 0, 0, 0};
static const float SECOND_VALUES[] = {0, 2.6f, 0, 0, 0, 0, 0, 3.99f};
static const float THIRD_VALUES[] = {0, 0, 0, 0.9f, 0, 0, 1.0f, 0};

static const struct window WINDOWS[] = {
    {FIRST, 7, FIRST_VALUES, 11, 0, 0, WINDOW_FIRING},
    {SECOND, 8, SECOND_VALUES, 12, 1, 0, WINDOW_FIRING},
    {THIRD, 8, THIRD_VALUES, 13, 2, 0, WINDOW_FIRING},
    {FOURTH, 6, NULL, 14, 3, 0, WINDOW_SILENT_RANDOM},
    {FOURTH, 5, NULL, 15, 4, 0, WINDOW_SILENT_HARD},
};

static struct prompt_template *load(const char *path)
{
    struct prompt_template *made = NULL;
    struct error err = {0};
    cr_assert_eq(prompt_template_load(&made, path, &err), ST_OK, "%s", err.text);
    return made;
}

static const char *both(struct prompt_messages *messages, struct buffer *out)
{
    cr_assert_eq(buffer_printf(out, NULL, "--- system\n%s\n--- user\n%s\n",
                               buffer_text(&messages->system), buffer_text(&messages->user)),
                 ST_OK);
    return buffer_text(out);
}

struct built {
    struct token_texts texts;
    struct prompt_template *template_;
    struct prompt_messages messages;
    struct buffer text;
};

static struct built begin(const char *template_path)
{
    struct built built = {.texts = texts_of(WORDS, N_WORDS), .template_ = load(template_path)};
    prompt_messages_init(&built.messages);
    buffer_init(&built.text, 1 << 20);
    return built;
}

static void end(struct built *built)
{
    prompt_template_destroy(&built->template_);
    prompt_messages_fini(&built->messages);
    buffer_fini(&built->text);
}

static struct prompt_explainer_params explainer_params(struct built *built, size_t max_tokens)
{
    return (struct prompt_explainer_params){.template_ = built->template_,
                                            .texts = &built->texts,
                                            .firing = WINDOWS,
                                            .n_firing = 3,
                                            .silent = WINDOWS + 3,
                                            .n_silent = 2,
                                            .max_prompt_tokens = max_tokens};
}

Test(prompt_build, explainer_prompt_is_the_golden_one)
{
    struct built built = begin("config/prompts/explainer.txt");
    const struct prompt_explainer_params params = explainer_params(&built, 0);
    struct prompt_explainer_shown shown;
    cr_assert_eq(prompt_explainer_build(&params, &built.messages, &shown, NULL), ST_OK);
    cr_expect(shown.n_firing == 3 && shown.n_silent == 2);
    cr_expect_not(built.messages.is_cut);
    expect_golden("tests/golden/prompts/explainer.txt", both(&built.messages, &built.text));
    end(&built);
}

Test(prompt_build, explainer_leaves_examples_out_until_the_prompt_fits)
{
    struct built built = begin("config/prompts/explainer.txt");
    struct prompt_explainer_params params = explainer_params(&built, 0);
    struct prompt_explainer_shown all, shown;
    struct error err = {0};
    cr_assert_eq(prompt_explainer_build(&params, &built.messages, &all, NULL), ST_OK);
    size_t n_before = 5;
    for (size_t max = all.n_prompt_tokens; max > 0; max--) {
        built.messages.system.n_bytes = built.messages.user.n_bytes = 0;
        params.max_prompt_tokens = max;
        if (prompt_explainer_build(&params, &built.messages, &shown, &err) != ST_OK) break;
        cr_assert_leq(shown.n_prompt_tokens, max);
        cr_assert_leq(shown.n_firing + shown.n_silent, n_before);
        cr_assert(shown.n_silent == 0 || shown.n_firing == 3, "silent ones go first");
        cr_assert(strstr(buffer_text(&built.messages.user), " cat\" 10"), "the strongest stays");
        cr_assert_eq(built.messages.is_cut, shown.n_firing + shown.n_silent < 5);
        n_before = shown.n_firing + shown.n_silent;
    }
    cr_expect_eq(n_before, 1);
    cr_expect_eq(err.status, ST_TOO_LARGE);
    end(&built);
}

Test(prompt_build, explainer_prompt_is_cut_by_the_measured_ratio)
{
    struct built built = begin("config/prompts/explainer.txt");
    struct prompt_explainer_params params = explainer_params(&built, 0);
    struct prompt_explainer_shown quarter, shown;
    cr_assert_eq(prompt_explainer_build(&params, &built.messages, &quarter, NULL), ST_OK);
    params.max_prompt_tokens = quarter.n_prompt_tokens;
    params.tokens_per_byte = 0.26;
    built.messages.system.n_bytes = built.messages.user.n_bytes = 0;
    cr_assert_eq(prompt_explainer_build(&params, &built.messages, &shown, NULL), ST_OK);
    const size_t n_bytes = built.messages.system.n_bytes + built.messages.user.n_bytes;
    cr_expect_lt(shown.n_firing + shown.n_silent, quarter.n_firing + quarter.n_silent);
    cr_expect_eq(shown.n_prompt_tokens, (n_bytes * 26 + 99) / 100);
    end(&built);
}

Test(prompt_build, explainer_strength_is_floor_of_ten_times_the_share)
{
    struct built built = begin("config/prompts/explainer.txt");
    const struct prompt_explainer_params params = explainer_params(&built, 0);
    cr_assert_eq(prompt_explainer_build(&params, &built.messages, NULL, NULL), ST_OK);
    const char *text = buffer_text(&built.messages.user);
    cr_expect(strstr(text, "Strength: \" cat\" 10\n"), "4 of 4; 0.5 is below 0.3 of the maximum");
    cr_expect(strstr(text, "Strength: \"dog\" 6, \" cat\" 9\n"), "floor(6.5), floor(9.975)");
    cr_expect(strstr(text, "Strength: \"\xC3\xA9\" 2, \" cat\" 2\n"), "floor(2.25), floor(2.5)");
    end(&built);
}

Test(prompt_build, explainer_needs_a_firing_window_of_a_true_kind)
{
    struct built built = begin("config/prompts/explainer.txt");
    struct prompt_explainer_params params = explainer_params(&built, 0);
    struct error err = {0};
    params.n_firing = 4;
    cr_expect_eq(prompt_explainer_build(&params, &built.messages, NULL, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "explainer prompt: example 3 is silent");
    params.n_firing = 3;
    params.silent = WINDOWS + 2;
    cr_expect_eq(prompt_explainer_build(&params, &built.messages, NULL, NULL), ST_BAD_INPUT);
    params.n_firing = 0;
    cr_expect_eq(prompt_explainer_build(&params, &built.messages, NULL, NULL), ST_BAD_INPUT);
    end(&built);
}

static void build_judge(struct built *built, struct prompt_items *items, const char *label)
{
    struct prompt_plan plan;
    cr_assert_eq(prompt_plan_init(&plan, items, 10, draw_stream(1, DRAW_DETECTION, 2), NULL),
                 ST_OK);
    const struct prompt_classification_params params = {built->template_, &built->texts, label,
                                                        items, &plan};
    struct error err = {0};
    cr_assert_eq(prompt_classification_build(&params, 0, &built->messages, &err), ST_OK, "%s",
                 err.text);
    prompt_plan_fini(&plan);
}

Test(prompt_build, detection_prompt_is_the_golden_one)
{
    struct built built = begin("config/prompts/detection.txt");
    struct prompt_items items;
    cr_assert_eq(prompt_items_detection(WINDOWS, 5, &items, NULL), ST_OK);
    build_judge(&built, &items, "cats,\nText 9: <<ignore>> {{windows}}");
    expect_golden("tests/golden/prompts/detection.txt", both(&built.messages, &built.text));
    prompt_items_fini(&items);
    end(&built);
}

Test(prompt_build, fuzzing_prompt_is_the_golden_one)
{
    struct built built = begin("config/prompts/fuzzing.txt");
    struct prompt_items items;
    const struct prompt_fuzz_params params = {1, 2, 2};
    cr_assert_eq(prompt_items_fuzzing(WINDOWS, 5, &params, &items, NULL), ST_OK);
    build_judge(&built, &items, "cats");
    expect_golden("tests/golden/prompts/fuzzing.txt", both(&built.messages, &built.text));
    prompt_items_fini(&items);
    end(&built);
}

Test(prompt_build, templates_use_exactly_the_fields_that_are_filled)
{
    struct prompt_template *explainer = load("config/prompts/explainer.txt");
    struct prompt_template *detection = load("config/prompts/detection.txt");
    struct prompt_template *fuzzing = load("config/prompts/fuzzing.txt");
    cr_expect_eq(prompt_template_check_fields(explainer, PROMPT_EXPLAINER_FIELDS,
                                              PROMPT_N_EXPLAINER_FIELDS, NULL),
                 ST_OK);
    cr_expect_eq(prompt_template_check_fields(detection, PROMPT_CLASSIFICATION_FIELDS,
                                              PROMPT_N_CLASSIFICATION_FIELDS, NULL),
                 ST_OK);
    cr_expect_eq(prompt_template_check_fields(fuzzing, PROMPT_CLASSIFICATION_FIELDS,
                                              PROMPT_N_CLASSIFICATION_FIELDS, NULL),
                 ST_OK);
    prompt_template_destroy(&explainer);
    prompt_template_destroy(&detection);
    prompt_template_destroy(&fuzzing);
}

static json_t *body_of(const struct prompt_request *request, struct buffer *out)
{
    struct error err = {0};
    cr_assert_eq(prompt_request_write(request, out, &err), ST_OK, "%s", err.text);
    return json_loadb((const char *)out->bytes, out->n_bytes, 0, NULL);
}

Test(prompt_request, body_is_canonical_json)
{
    struct built built = begin("config/prompts/detection.txt");
    cr_assert_eq(buffer_append_text(&built.messages.user, "a \"b\"\n", NULL), ST_OK);
    const struct prompt_request text = {
        "m", &built.messages, 64, PROMPT_FORMAT_TEXT, PROMPT_WANTS_ANSWERS, 3};
    json_decref(body_of(&text, &built.text));
    cr_expect_str_eq(buffer_text(&built.text),
                     "{\"max_tokens\":64,\"messages\":[{\"content\":\"a \\\"b\\\"\\n\",\"role\":"
                     "\"user\"}],\"model\":\"m\",\"temperature\":0}");
    end(&built);
}

Test(prompt_request, schema_fixes_the_number_of_answers)
{
    struct built built = begin("config/prompts/detection.txt");
    cr_assert_eq(buffer_append_text(&built.messages.system, "s", NULL), ST_OK);
    cr_assert_eq(buffer_append_text(&built.messages.user, "u", NULL), ST_OK);
    struct prompt_request request = {
        NULL, &built.messages, 64, PROMPT_FORMAT_JSON_SCHEMA, PROMPT_WANTS_ANSWERS, 7};
    json_t *body = body_of(&request, &built.text);
    int n_min = 0, n_max = 0;
    const char *name = NULL;
    cr_assert_eq(json_unpack(body, "{s:{s:{s:s, s:{s:{s:{s:i, s:i}}}}}}", "response_format",
                             "json_schema", "name", &name, "schema", "properties", "answers",
                             "minItems", &n_min, "maxItems", &n_max),
                 0);
    cr_expect(n_min == 7 && n_max == 7 && !strcmp(name, "answers"));
    cr_expect_null(json_object_get(body, "model"));
    cr_expect_eq(json_array_size(json_object_get(body, "messages")), 2);
    json_decref(body);
    built.text.n_bytes = 0;
    request.wanted = PROMPT_WANTS_LABEL;
    body = body_of(&request, &built.text);
    cr_expect(strstr(buffer_text(&built.text), "polysemantic"), "a label's schema");
    cr_assert_eq(json_unpack(body, "{s:{s:{s:{s:{s:{s:i, s:i}}}}}}", "response_format",
                             "json_schema", "schema", "properties", "label", "minLength", &n_min,
                             "maxLength", &n_max),
                 0);
    cr_expect(n_min == PROMPT_LABEL_MIN_CHARACTERS && n_max == PROMPT_LABEL_MAX_CHARACTERS);
    json_decref(body);
    end(&built);
}

Test(prompt_request, text_that_is_not_utf8_is_refused)
{
    struct built built = begin("config/prompts/detection.txt");
    cr_assert_eq(buffer_append(&built.messages.user, "\xFF", 1, NULL), ST_OK);
    const struct prompt_request request = {
        "m", &built.messages, 1, PROMPT_FORMAT_TEXT, PROMPT_WANTS_ANSWERS, 1};
    cr_expect_eq(prompt_request_write(&request, &built.text, NULL), ST_BAD_INPUT);
    cr_expect_eq(built.text.n_bytes, 0);
    end(&built);
}
