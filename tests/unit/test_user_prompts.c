/* A user's prompt set: texts become tokens, ids pass, and everything that is wrong is named with
 * its line and key. */
#include "worker/prompts/user_prompts.h"

#include "coordinator/circuit/prompt_set.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct tokenizer *opened;
static struct prompt_tokenizer tokenizer;
static struct error err;

static void open_path(const char *path)
{
    error_clear(&err);
    tokenizer_close(&opened);
    cr_assert_eq(tokenizer_open(&opened, path, &err), ST_OK, "%s", err.text);
    tokenizer = (struct prompt_tokenizer){
        .tokenizer = opened, .n_vocab = tokenizer_vocab_size(opened), .n_positions = 64};
}

static void set_up(void)
{
    open_path("config/demo/model");
}

static void tear_down(void)
{
    tokenizer_close(&opened);
}

TestSuite(user_prompts, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t tokenize(const char *text, struct buffer *out)
{
    error_clear(&err);
    buffer_init(out, PROMPTS_MAX_RESULT_BYTES);
    return user_prompts_tokenize(&tokenizer, "mine", text, strlen(text), out, &err);
}

static struct prompt_set read_all(const char *text)
{
    struct prompt_set set;
    struct buffer out;
    cr_assert_eq(tokenize(text, &out), ST_OK, "%s", err.text);
    cr_assert_eq(prompt_set_parse(&set, "made", (const char *)out.bytes, out.n_bytes,
                                  (uint32_t)tokenizer.n_vocab, &err),
                 ST_OK, "%s", err.text);
    buffer_fini(&out);
    return set;
}

static void expect_refusal(const char *text, const char *why)
{
    struct buffer out;
    cr_expect_eq(tokenize(text, &out), ST_BAD_INPUT, "%s", text);
    cr_expect_str_eq(err.text, why);
    cr_expect_eq(out.n_bytes, 0);
    buffer_fini(&out);
}

static uint32_t find(const char *spelling)
{
    uint32_t id = UINT32_MAX;
    cr_assert(tokenizer_find(opened, spelling, &id), "%s", spelling);
    return id;
}

static uint32_t at(const struct circuit_prompt *prompt, const char *name)
{
    uint32_t index = UINT32_MAX;
    cr_assert(circuit_prompt_position(prompt, name, &index), "no position %s", name);
    return index;
}

#define TEXTS                                                                                      \
    "\"clean\": \"Then Jane and John left. John gave it to\", "                                    \
    "\"corrupted\": \"Then Jane and John left. Jane gave it to\", "
#define IDS "\"clean\": [5, 6, 7], \"corrupted\": [5, 8, 7], "
#define ANSWERS "\"answer\": \" Jane\", \"distractor\": \" John\""

Test(user_prompts, texts_become_tokens_with_their_positions)
{
    struct prompt_set set =
        read_all("{" TEXTS ANSWERS ", \"positions\": {\"s1\": \" John#1\", \"s2\": \" John#2\", "
                 "\"io\": \"Jane\", \"end\": -1}, \"template\": \"t\", \"id\": \"first\"}\n");
    const struct circuit_prompt *prompt = &set.prompts[0];
    cr_assert_eq(set.n_prompts, 1);
    cr_expect_eq(prompt->answers[0], find("\u0120Jane"));
    cr_expect_eq(prompt->distractors[0], find("\u0120John"));
    cr_expect_eq(prompt->clean[at(prompt, "io")], find("\u0120Jane"));
    cr_expect_eq(prompt->clean[at(prompt, "s1")], find("\u0120John"));
    cr_expect_eq(prompt->clean[at(prompt, "s2")], find("\u0120John"));
    cr_expect_lt(at(prompt, "s1"), at(prompt, "s2"));
    cr_expect_eq(at(prompt, "end"), prompt->n_tokens - 1);
    cr_expect_eq(prompt->answer_position, prompt->n_tokens - 1);
    cr_expect_str_eq(prompt->id, "first");
    cr_expect_str_eq(set.templates[0], "t");
    prompt_set_fini(&set);
}

Test(user_prompts, texts_get_bos_and_ids_do_not)
{
    tokenizer.bos = (struct bos_choice){1, 9};
    struct prompt_set set =
        read_all("{" TEXTS ANSWERS ", \"positions\": {\"io\": \"Jane\"}}\n"
                 "{" IDS "\"answers\": [1, 2], \"distractors\": [3, \" John\"], \"position\": 1}");
    cr_expect_eq(set.prompts[0].clean[0], 9);
    cr_expect_eq(set.prompts[0].corrupted[0], 9);
    cr_expect_eq(set.prompts[0].clean[at(&set.prompts[0], "io")], find("\u0120Jane"));
    cr_expect_eq(set.prompts[1].clean[0], 5);
    cr_expect_eq(set.prompts[1].n_tokens, 3);
    cr_expect_eq(set.prompts[1].n_answers, 2);
    cr_expect_eq(set.prompts[1].distractors[1], find("\u0120John"));
    cr_expect_eq(set.prompts[1].answer_position, 1);
    prompt_set_fini(&set);
}

Test(user_prompts, lines_keep_their_numbers)
{
    struct buffer out;
    cr_assert_eq(tokenize("\n  \n{" TEXTS ANSWERS "}\n\n{" TEXTS ANSWERS "}", &out), ST_OK, "%s",
                 err.text);
    size_t n = 0;
    for (size_t i = 0; i < out.n_bytes; i++) n += out.bytes[i] == '\n';
    cr_expect_eq(n, 5);
    cr_expect_eq(memcmp(out.bytes, "\n\n{", 3), 0);
    buffer_fini(&out);
}

/* A tokenizer that puts a space in front of a text, and one without. */
Test(user_prompts, answers_continue_the_prompt_in_every_family)
{
    static const char *const folders[] = {
        "gpt2", "llama3", "smollm2", "llama2", "llama2-metaspace-first", "metaspace-always"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s/tokenizer.json", folders[i]);
        open_path(path);
        struct prompt_set set =
            read_all("{\"clean\": \"so was the\", \"corrupted\": \"so are the\", "
                     "\"answer\": \" the\", \"distractor\": \" to\", "
                     "\"positions\": {\"the\": \" the\", \"first\": 0}}");
        const struct circuit_prompt *prompt = &set.prompts[0];
        cr_expect_eq(prompt->answers[0], prompt->clean[prompt->n_tokens - 1], "%s", folders[i]);
        cr_expect_eq(at(prompt, "the"), prompt->n_tokens - 1, "%s", folders[i]);
        prompt_set_fini(&set);
    }
}

Test(user_prompts, what_is_wrong_is_named_with_its_line)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "mine: the prompt set is empty"},
        {"\n \r\n", "mine: the prompt set is empty"},
        {"\n[1]", "mine: line 2: no JSON object"},
        {"{" TEXTS ANSWERS "}\n{" TEXTS ANSWERS ", \"anwser\": 3}",
         "mine: line 2: unknown key \"anwser\""},
        {"{\"clean\": \"so\", " ANSWERS "}", "mine: line 1: corrupted is missing"},
        {"{\"clean\": \"so\", \"corrupted\": \"so so\", " ANSWERS "}",
         "mine: line 1: clean has 1 tokens, corrupted 2"},
        {"{\"clean\": \"so\", \"corrupted\": [5, 6], " ANSWERS "}",
         "mine: line 1: one of clean and corrupted is text, the other ids"},
        {"{\"clean\": \"\", \"corrupted\": \"\", " ANSWERS "}",
         "mine: line 1: clean: has no token"},
        {"{\"clean\": [], \"corrupted\": [], " ANSWERS "}", "mine: line 1: clean: is empty"},
        {"{\"clean\": 5, \"corrupted\": 5, " ANSWERS "}",
         "mine: line 1: clean: is no text and no list of token ids"},
        {"{\"clean\": [5, -1], \"corrupted\": [5, 6], " ANSWERS "}",
         "mine: line 1: clean: [1]: -1 is no token id"},
        {"{\"clean\": [5, 4096], \"corrupted\": [5, 6], " ANSWERS "}",
         "mine: line 1: clean: [1]: token 4096: the model has 4096"},
        {"{" TEXTS "\"answer\": \" Jane Eyre\", \"distractor\": \" John\"}",
         "mine: line 1: answer[0]: \" Jane Eyre\" is 4 tokens behind the prompt: an answer is one "
         "token (alternatives go in a list)"},
        {"{" TEXTS "\"answer\": \"wn\", \"distractor\": \" John\"}",
         "mine: line 1: answer[0]: \"wn\" behind the prompt changes the prompt's own tokens"},
        {"{" TEXTS "\"answer\": [1, 2], \"distractor\": \" John\"}",
         "mine: line 1: answer has 2 tokens: an answer is one token (alternatives go in "
         "\"answers\")"},
        {"{" TEXTS "\"answers\": [], \"distractor\": \" John\"}", "mine: line 1: answers is empty"},
        {"{" TEXTS "\"answer\": 1, \"answers\": [1], \"distractor\": \" John\"}",
         "mine: line 1: answers and answer are given"},
        {"{" TEXTS "\"answer\": 1}", "mine: line 1: distractors is missing"},
        {"{" IDS "\"answer\": 1, \"distractors\": [2, 1]}",
         "mine: line 1: token 1 is answer and distractor"},
        {"{" IDS "\"answer\": 1, \"distractor\": 2, \"position\": 3}",
         "mine: line 1: position: is 3: the prompt has 3 tokens"},
        {"{" TEXTS ANSWERS ", \"positions\": {\"s\": \" John\"}}",
         "mine: line 1: positions: s: \" John\" comes 2 times: \" John#1\" is the first"},
        {"{" TEXTS ANSWERS ", \"positions\": {\"s\": \" John#3\"}}",
         "mine: line 1: positions: s: \" John\" comes 2 times in clean"},
        {"{" TEXTS ANSWERS ", \"positions\": {\"s\": \" Emma\"}}",
         "mine: line 1: positions: s: \" Emma\" comes 0 times in clean"},
        {"{" IDS "\"answer\": 1, \"distractor\": 2, \"positions\": {\"s\": \" Emma\"}}",
         "mine: line 1: positions: s: is text, where clean is not text as the tokenizer keeps it: "
         "give a number"},
        {"{" TEXTS ANSWERS ", \"positions\": {\"s\": 99}}",
         "mine: line 1: positions: s: is 99: the prompt has 11 tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refusal(cases[i].text, cases[i].why);
}

Test(user_prompts, a_prompt_longer_than_the_model_is_refused)
{
    tokenizer.n_positions = 8;
    expect_refusal("{" TEXTS ANSWERS "}",
                   "mine: line 1: clean: has 11 tokens: the model has 8 positions");
    tokenizer.n_positions = 2;
    expect_refusal("{" IDS ANSWERS "}",
                   "mine: line 1: clean: has 3 tokens: the model has 2 positions");
}
