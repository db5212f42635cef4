/* Generators of prompt sets on the demo model's tokenizer and on the small vocabulary of the known
 * models: what a prompt says is where it says it, nothing comes twice, equal seeds give equal
 * bytes, and the coordinator reads the lines. */
#include "worker/prompts/prompt_generator.h"

#include "coordinator/circuit/prompt_set.h"
#include "worker/known/word_vocabulary.h"

#include <criterion/criterion.h>
#include <string.h>

static struct tokenizer *opened;
static struct prompt_tokenizer tokenizer;
static struct error err;

static void open_demo(void)
{
    error_clear(&err);
    cr_assert_eq(tokenizer_open(&opened, "config/demo/model", &err), ST_OK, "%s", err.text);
    tokenizer = (struct prompt_tokenizer){
        .tokenizer = opened, .n_vocab = tokenizer_vocab_size(opened), .n_positions = 256};
}

static void open_words(size_t n_vocab)
{
    json_t *json = word_tokenizer(n_vocab);
    char *text = json_dumps(json, 0);
    error_clear(&err);
    cr_assert_eq(tokenizer_parse(&opened, text, strlen(text), &err), ST_OK, "%s", err.text);
    tokenizer = (struct prompt_tokenizer){
        .tokenizer = opened, .n_vocab = n_vocab, .n_positions = n_vocab, .bos = {1, 0}};
    free(text);
    json_decref(json);
}

static void close_all(void)
{
    tokenizer_close(&opened);
}

TestSuite(prompt_generator, .fini = close_all, .timeout = 60);

static struct buffer run_bytes(const struct prompt_request *request)
{
    struct buffer out;
    buffer_init(&out, PROMPTS_MAX_RESULT_BYTES);
    cr_assert_eq(prompt_generator_run(request, &tokenizer, &out, &err), ST_OK, "%s", err.text);
    return out;
}

static struct prompt_set run(const struct prompt_request *request)
{
    struct prompt_set set;
    struct buffer out = run_bytes(request);
    cr_assert_eq(prompt_set_parse(&set, "made", (const char *)out.bytes, out.n_bytes,
                                  (uint32_t)tokenizer.n_vocab, &err),
                 ST_OK, "%s", err.text);
    cr_assert_eq(set.n_prompts, request->n_prompts);
    buffer_fini(&out);
    return set;
}

static void expect_refusal(const struct prompt_request *request, const char *text)
{
    struct buffer out;
    buffer_init(&out, PROMPTS_MAX_RESULT_BYTES);
    error_clear(&err);
    cr_expect_eq(prompt_generator_run(request, &tokenizer, &out, &err), ST_BAD_INPUT);
    cr_expect_not_null(strstr(err.text, text), "\"%s\" does not say \"%s\"", err.text, text);
    error_clear(&err);
    buffer_fini(&out);
}

/* The text of one token, its space included. */
static const char *text_of(uint32_t id)
{
    static char text[4][64];
    static size_t turn;
    struct buffer bytes;
    char *out = text[++turn % 4];
    buffer_init(&bytes, 4096);
    cr_assert_eq(tokenizer_token_text(opened, id, &bytes, &err), ST_OK, "%s", err.text);
    cr_assert_lt(bytes.n_bytes, sizeof text[0]);
    if (bytes.n_bytes) memcpy(out, bytes.bytes, bytes.n_bytes);
    out[bytes.n_bytes] = 0;
    buffer_fini(&bytes);
    return out;
}

static uint32_t at(const struct circuit_prompt *prompt, const char *name)
{
    uint32_t index = UINT32_MAX;
    cr_assert(circuit_prompt_position(prompt, name, &index), "no position %s", name);
    return index;
}

static size_t n_different(const struct circuit_prompt *prompt)
{
    size_t n = 0;
    for (size_t i = 0; i < prompt->n_tokens; i++) n += prompt->clean[i] != prompt->corrupted[i];
    return n;
}

static void expect_all_different(const struct prompt_set *set)
{
    for (size_t i = 0; i < set->n_prompts; i++)
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(set->prompts[i].key, set->prompts[j].key, "prompts %zu and %zu", i, j);
}

/* All prompts of a template have their parts at the same places. */
static void expect_aligned(const struct prompt_set *set)
{
    for (size_t i = 0; i < set->n_prompts; i++)
        for (size_t j = 0; j < i; j++) {
            const struct circuit_prompt *a = &set->prompts[i], *b = &set->prompts[j];
            if (a->template_index != b->template_index) continue;
            cr_assert_eq(a->n_tokens, b->n_tokens, "prompts %zu and %zu", i, j);
            cr_assert_eq(a->n_positions, b->n_positions);
            for (size_t p = 0; p < a->n_positions; p++)
                cr_expect_eq(a->positions[p].index, b->positions[p].index);
        }
}

/* --- induction ----------------------------------------------------------------------------- */

static void check_induction(const struct circuit_prompt *prompt, size_t n_bos)
{
    const uint32_t a = at(prompt, "a"), end = prompt->n_tokens - 1;
    bool has_distractor = false;
    cr_expect_eq(at(prompt, "end"), end);
    cr_expect_eq(at(prompt, "b"), a + 1);
    cr_expect_eq(prompt->clean[end], prompt->clean[a]);
    cr_expect_eq(prompt->answers[0], prompt->clean[a + 1]);
    cr_expect_eq(n_different(prompt), 1);
    cr_expect_neq(prompt->corrupted[a], prompt->clean[a]);
    for (size_t i = n_bos; i < end; i++) {
        for (size_t j = n_bos; j < i; j++) cr_expect_neq(prompt->clean[i], prompt->clean[j]);
        cr_expect_neq(prompt->corrupted[a], prompt->clean[i], "the new word is in the prompt");
        has_distractor |= i != a && i != a + 1 && prompt->clean[i] == prompt->distractors[0];
    }
    cr_expect(has_distractor);
}

Test(prompt_generator, induction_repeats_a_word_of_the_known_models)
{
    open_words(32);
    const struct prompt_request request = {
        .generator = GENERATOR_INDUCTION, .n_prompts = 200, .n_tokens = 24, .seed = 3};
    struct prompt_set set = run(&request);
    cr_expect_eq(set.n_templates, 200 / 16);
    for (size_t i = 0; i < set.n_prompts; i++) {
        cr_expect_eq(set.prompts[i].n_tokens, 24);
        cr_expect_eq(set.prompts[i].clean[0], 0, "BOS");
        cr_expect_eq(set.prompts[i].corrupted[0], 0, "BOS");
        check_induction(&set.prompts[i], 1);
    }
    expect_all_different(&set);
    expect_aligned(&set);
    prompt_set_fini(&set);
}

Test(prompt_generator, induction_finds_ordinary_words_in_a_real_vocabulary)
{
    open_demo();
    const struct prompt_request request = {
        .generator = GENERATOR_INDUCTION, .n_prompts = 50, .n_tokens = 48, .seed = 1};
    struct prompt_set set = run(&request);
    for (size_t i = 0; i < set.n_prompts; i++) {
        check_induction(&set.prompts[i], 0);
        for (size_t t = 0; t < 48; t++) {
            const char *text = text_of(set.prompts[i].clean[t]);
            cr_expect_eq(text[0], ' ', "\"%s\"", text);
            cr_expect_geq(strlen(text), 3, "\"%s\"", text);
        }
    }
    prompt_set_fini(&set);
}

Test(prompt_generator, induction_gives_every_prompt_that_there_is_and_says_how_many)
{
    open_words(16); /* 15 words: 15 x 14 x 13 sequences of 3, at one place of A each */
    struct prompt_request request = {
        .generator = GENERATOR_INDUCTION, .n_prompts = 2 * 2730, .n_tokens = 5, .seed = 3};
    struct prompt_set set = run(&request);
    expect_all_different(&set);
    prompt_set_fini(&set);
    request.n_prompts++;
    expect_refusal(&request, "n_prompts is 5461: 5460 different ones are possible");
    request.n_tokens = 17;
    expect_refusal(&request, "the model has 16 positions");
    request.n_tokens = 4;
    expect_refusal(&request, "n_tokens is 4, not from 5");
    tokenizer.n_positions = 64;
    request.n_tokens = 17;
    expect_refusal(&request, "need 16 different words, this tokenizer has 15");
}

/* --- sentences ----------------------------------------------------------------------------- */

static void check_ioi(const struct circuit_prompt *prompt, bool is_abc)
{
    const uint32_t io = at(prompt, "io"), s1 = at(prompt, "s1"), s2 = at(prompt, "s2");
    const uint32_t *clean = prompt->clean, *corrupted = prompt->corrupted;
    cr_expect_eq(clean[io], prompt->answers[0]);
    cr_expect_eq(clean[s1], prompt->distractors[0]);
    cr_expect_eq(clean[s2], prompt->distractors[0]);
    cr_expect_neq(clean[io], clean[s1]);
    cr_expect_eq(at(prompt, "s1+1"), s1 + 1);
    cr_expect_eq(at(prompt, "end"), prompt->n_tokens - 1);
    cr_expect(s2 > s1 && s2 > io);
    cr_expect_eq(n_different(prompt), is_abc ? 3 : 1);
    if (!is_abc) cr_expect_eq(corrupted[s2], clean[io]);
    if (!is_abc) return;
    cr_expect(corrupted[io] != corrupted[s1] && corrupted[s1] != corrupted[s2] &&
              corrupted[io] != corrupted[s2]);
    cr_expect(corrupted[io] != clean[s1] && corrupted[s1] != clean[io]);
}

Test(prompt_generator, ioi_names_are_where_their_positions_say)
{
    static const char *const corruptions[] = {NULL, "s2_io_flip", "abc"};
    open_demo();
    for (size_t c = 0; c < 3; c++) {
        const struct prompt_request request = {
            .generator = GENERATOR_IOI, .corruption = corruptions[c], .n_prompts = 320, .seed = 7};
        struct prompt_set set = run(&request);
        size_t n_io_first = 0;
        cr_expect_geq(set.n_templates, 30);
        for (size_t i = 0; i < set.n_prompts; i++) {
            check_ioi(&set.prompts[i], c == 2);
            n_io_first += at(&set.prompts[i], "io") < at(&set.prompts[i], "s1");
        }
        cr_expect_eq(n_io_first, 160, "ABBA and BABA");
        expect_all_different(&set);
        expect_aligned(&set);
        prompt_set_fini(&set);
    }
}

Test(prompt_generator, greater_than_counts_from_the_year)
{
    open_demo();
    const struct prompt_request request = {
        .generator = GENERATOR_GREATER_THAN, .n_prompts = 120, .seed = 2};
    struct prompt_set set = run(&request);
    for (size_t i = 0; i < set.n_prompts; i++) {
        const struct circuit_prompt *prompt = &set.prompts[i];
        const uint32_t year = at(prompt, "year"), end = at(prompt, "end");
        const int own = atoi(text_of(prompt->clean[year]));
        cr_expect_eq(prompt->clean[end], prompt->clean[year - 1], "the century");
        cr_expect_str_eq(text_of(prompt->corrupted[year]), "01");
        cr_expect_eq(n_different(prompt), 1);
        for (size_t a = 0; a < prompt->n_answers; a++)
            cr_expect_gt(atoi(text_of(prompt->answers[a])), own);
        for (size_t d = 0; d < prompt->n_distractors; d++)
            cr_expect_leq(atoi(text_of(prompt->distractors[d])), own);
    }
    expect_all_different(&set);
    expect_aligned(&set);
    prompt_set_fini(&set);
}

Test(prompt_generator, pronouns_follow_the_name)
{
    open_demo();
    const struct prompt_request request = {
        .generator = GENERATOR_GENDERED_PRONOUN, .n_prompts = 100, .seed = 2};
    struct prompt_set set = run(&request);
    for (size_t i = 0; i < set.n_prompts; i++) {
        const struct circuit_prompt *prompt = &set.prompts[i];
        const char *name = text_of(prompt->clean[at(prompt, "name")]);
        const bool is_male = !strcmp(name, " John") || !strcmp(name, " Henry");
        const bool is_female = !strcmp(name, " Jane") || !strcmp(name, " Emma");
        const char *answer = text_of(prompt->answers[0]);
        cr_expect(!is_male || !strcmp(answer, " he"), "%s:%s", name, answer);
        cr_expect(!is_female || !strcmp(answer, " she"), "%s:%s", name, answer);
        cr_expect_eq(n_different(prompt), 1);
        cr_expect_neq(prompt->answers[0], prompt->distractors[0]);
    }
    expect_all_different(&set);
    expect_aligned(&set);
    prompt_set_fini(&set);
}

Test(prompt_generator, verbs_agree_with_the_subject)
{
    open_demo();
    const struct prompt_request request = {
        .generator = GENERATOR_SUBJECT_VERB, .n_prompts = 200, .seed = 2};
    struct prompt_set set = run(&request);
    size_t n_plural = 0;
    for (size_t i = 0; i < set.n_prompts; i++) {
        const struct circuit_prompt *prompt = &set.prompts[i];
        const char *noun = text_of(prompt->clean[at(prompt, "subject")]);
        const bool is_plural = noun[strlen(noun) - 1] == 's' || !strcmp(noun, " men") ||
                               !strcmp(noun, " women") || !strcmp(noun, " children");
        cr_expect_str_eq(text_of(prompt->answers[0]), is_plural ? " are" : " is", "%s", noun);
        cr_expect_str_eq(text_of(prompt->distractors[0]), is_plural ? " is" : " are", "%s", noun);
        cr_expect_eq(n_different(prompt), 1);
        n_plural += is_plural;
    }
    cr_expect(n_plural > 50 && n_plural < 150);
    expect_all_different(&set);
    expect_aligned(&set);
    prompt_set_fini(&set);
}

/* --- all of them --------------------------------------------------------------------------- */

Test(prompt_generator, equal_seeds_give_equal_bytes_and_other_seeds_others)
{
    open_demo();
    for (unsigned g = 0; g < PROMPT_N_GENERATORS; g++) {
        struct prompt_request request = {
            .generator = (enum prompt_generator)g, .n_prompts = 40, .n_tokens = 16, .seed = 5};
        struct buffer first = run_bytes(&request), second = run_bytes(&request);
        request.seed = 6;
        struct buffer other = run_bytes(&request);
        cr_assert_eq(first.n_bytes, second.n_bytes);
        cr_expect_eq(memcmp(first.bytes, second.bytes, first.n_bytes), 0);
        cr_expect(other.n_bytes != first.n_bytes ||
                  memcmp(first.bytes, other.bytes, first.n_bytes) != 0);
        buffer_fini(&first);
        buffer_fini(&second);
        buffer_fini(&other);
    }
}

Test(prompt_generator, a_vocabulary_without_the_words_is_refused_with_its_count)
{
    open_words(64);
    struct prompt_request request = {.generator = GENERATOR_IOI, .n_prompts = 4};
    expect_refusal(&request, "ioi: 0 of 124 names are one token of this tokenizer");
    request.generator = GENERATOR_GENDERED_PRONOUN;
    expect_refusal(&request, "gendered_pronoun: 0 of 2 pronouns");
    request.generator = GENERATOR_SUBJECT_VERB;
    expect_refusal(&request, "subject_verb: 0 of 32 pairs of nouns");
    request.generator = GENERATOR_GREATER_THAN;
    expect_refusal(&request, "greater_than: years must be tokens of two digits");
}

Test(prompt_generator, what_a_request_gets_wrong_is_named)
{
    open_demo();
    struct prompt_request request = {
        .generator = GENERATOR_IOI, .corruption = "swap", .n_prompts = 4};
    expect_refusal(&request, "corruption \"swap\" is not s2_io_flip or abc");
    request.generator = GENERATOR_SUBJECT_VERB;
    expect_refusal(&request, "corruption \"swap\"");
    request = (struct prompt_request){.generator = GENERATOR_GENDERED_PRONOUN, .n_prompts = 0};
    expect_refusal(&request, "n_prompts is 0, not from 1 to 100000");
    request.n_prompts = 100000;
    expect_refusal(&request, "different ones are possible");
}
