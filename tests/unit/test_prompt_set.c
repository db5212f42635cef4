/* Splits: tests/golden/circuit_verdicts/make_circuit_verdicts.py. */
#include "common/buffer.h"
#include "coordinator/circuit/prompt_split.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct prompt_set parse(const char *text)
{
    struct prompt_set set;
    struct error err = {.status = ST_OK};
    cr_assert_eq(prompt_set_parse(&set, "FILE", text, strlen(text), 100, &err), ST_OK, "%s",
                 err.text);
    return set;
}

Test(prompt_set, reads_all_that_a_line_may_say)
{
    struct prompt_set set = parse(
        "{\"clean\":[0,5,7,5],\"corrupted\":[0,6,7,5],\"answers\":[7,8],\"distractors\":[9]}\n\n"
        "{\"clean\":[0,1,2],\"corrupted\":[0,3,2],\"answer\":4,\"distractor\":[5],\"position\":-2,"
        "\"template\":\"t2\",\"id\":\"p\",\"positions\":{\"END\":-1,\"s1\":1},\"set\":\"search\","
        "\"clean_text\":\"a\"}\n");
    const struct circuit_prompt *first = &set.prompts[0], *second = &set.prompts[1];
    uint32_t at = 0;
    cr_assert_eq(set.n_prompts, 2);
    cr_expect(first->n_tokens == 4 && first->n_answers == 2 && first->n_distractors == 1);
    cr_expect(first->clean[1] == 5 && first->corrupted[1] == 6 && first->corrupted[3] == 5);
    cr_expect(first->answers[1] == 8 && first->distractors[0] == 9);
    cr_expect_eq(first->answer_position, 3);
    cr_expect_str_eq(first->id, "0");
    cr_expect_eq(first->use, USE_UNSAID);
    cr_expect_str_eq(set.templates[first->template_index], "default");
    cr_expect(second->answers[0] == 4 && second->distractors[0] == 5);
    cr_expect_eq(second->answer_position, 1);
    cr_expect_str_eq(second->id, "p");
    cr_expect_str_eq(set.templates[second->template_index], "t2");
    cr_expect_eq(second->use, USE_SEARCH);
    cr_expect(circuit_prompt_position(second, "end", &at) && at == 2);
    cr_expect(circuit_prompt_position(second, "s1", &at) && at == 1);
    cr_expect_not(circuit_prompt_position(second, "s2", &at));
    prompt_set_fini(&set);
}

#define PAIR "\"clean\":[0,1,2],\"corrupted\":[0,3,2]"
#define ENDS "\"answer\":4,\"distractor\":5"

Test(prompt_set, bad_prompts_are_refused_by_line_and_field)
{
    static const char *const cases[][2] = {
        {"", "FILE: the prompt set is empty"},
        {"\n \n", "the prompt set is empty"},
        {"{" PAIR "," ENDS "}\n{\"clean\":[0,1],\"corrupted\":[0,1,2]," ENDS "}",
         "line 2: clean has 2 tokens, corrupted 3"},
        {"{\"clean\":[],\"corrupted\":[]," ENDS "}", "clean is empty"},
        {"{\"clean\":[0]," ENDS "}", "corrupted is missing"},
        {"{" PAIR ",\"distractor\":5}", "answers is missing"},
        {"{" PAIR ",\"answers\":[],\"distractor\":5}", "answers is empty"},
        {"{" PAIR ",\"answer\":[4,6],\"distractor\":5}", "answer has 2 tokens: an answer is one"},
        {"{" PAIR ",\"answers\":[[4,6]],\"distractor\":5}", "answers[0] has 2 tokens"},
        {"{" PAIR ",\"answer\":5,\"distractor\":5}", "token 5 is answer and distractor"},
        {"{" PAIR ",\"answers\":[4,5],\"distractors\":[6,4]}", "token 4 is answer and distractor"},
        {"{" PAIR ",\"answer\":4,\"answers\":[4],\"distractor\":5}", "answers and answer"},
        {"{" PAIR ",\"answer\":100,\"distractor\":5}", "the vocabulary has 100 tokens"},
        {"{\"clean\":[0,1,100],\"corrupted\":[0,3,2]," ENDS "}", "clean[2] is 100"},
        {"{\"clean\":[0,1,-1],\"corrupted\":[0,3,2]," ENDS "}", "clean[2] is no token id"},
        {"{\"clean\":[0,1,2],\"corrupted\":[0,3,\"a\"]," ENDS "}", "corrupted[2] is no token id"},
        {"{" PAIR "," ENDS ",\"position\":3}", "position is 3: the prompt has 3 tokens"},
        {"{" PAIR "," ENDS ",\"position\":-4}", "position is -4"},
        {"{" PAIR "," ENDS ",\"positions\":{\"s1\":3}}", "s1 is 3"},
        {"{" PAIR "," ENDS ",\"positions\":{\"a b\":1}}", "\"a b\" is no word"},
        {"{" PAIR "," ENDS ",\"positions\":{\"a\":1,\"A\":1}}", "position a is given twice"},
        {"{" PAIR "," ENDS ",\"answr\":1}", "unknown key \"answr\""},
        {"{" PAIR "," ENDS ",\"set\":\"test\"}", "set is not"},
        {"{" PAIR "," ENDS ",\"id\":\"1\"}\n{" PAIR "," ENDS "}", "two prompts have the id \"1\""},
        {"[1]", "no JSON object"},
        {"{\"clean\":", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prompt_set set;
        struct error err = {.status = ST_OK};
        cr_expect_neq(prompt_set_parse(&set, "FILE", cases[i][0], strlen(cases[i][0]), 100, &err),
                      ST_OK, "%s", cases[i][0]);
        cr_expect(strstr(err.text, "FILE") == err.text, "%s", err.text);
        cr_expect(strstr(err.text, cases[i][1]) != NULL, "%s: %s", cases[i][1], err.text);
    }
}

Test(prompt_set, units_are_templates_where_there_are_enough)
{
    struct prompt_set set = parse("{" PAIR "," ENDS ",\"template\":\"a\"}\n{" PAIR "," ENDS
                                  ",\"template\":\"b\"}\n{" PAIR "," ENDS ",\"template\":\"a\"}\n");
    static const uint32_t all[] = {0, 1, 2}, last[] = {1, 2};
    const struct prompt_choice every = {all, 3}, two = {last, 2};
    struct prompt_unit_count count;
    uint32_t units[3];
    cr_assert_eq(prompt_set_units(&set, &every, 2, units, &count, NULL), ST_OK);
    cr_expect(count.is_by_template && count.n_units == 2);
    cr_expect(units[0] == 0 && units[1] == 1 && units[2] == 0);
    cr_assert_eq(prompt_set_units(&set, &every, 3, units, &count, NULL), ST_OK);
    cr_expect(!count.is_by_template && count.n_units == 3 && units[2] == 2);
    cr_assert_eq(prompt_set_units(&set, &two, 2, units, &count, NULL), ST_OK);
    cr_expect(count.n_units == 2 && units[0] == 0 && units[1] == 1, "numbered as they come");
    prompt_set_fini(&set);
}

/* --- splits ------------------------------------------------------------------------------- */

static struct prompt_set set_of(const json_t *prompts, const char *const *uses)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (size_t i = 0; i < json_array_size(prompts); i++) {
        char *ids = json_dumps(json_array_get(prompts, i), 0);
        cr_assert_eq(buffer_printf(&text, NULL, "{\"clean\":%s,\"corrupted\":%s," ENDS "%s%s%s}\n",
                                   ids, ids, uses ? ",\"set\":\"" : "", uses ? uses[i] : "",
                                   uses ? "\"" : ""),
                     ST_OK);
        free(ids);
    }
    struct prompt_set set = parse(buffer_text(&text));
    buffer_fini(&text);
    return set;
}

Test(prompt_split, parts_are_those_of_the_reference)
{
    json_t *cases = json_load_file("tests/golden/circuit_verdicts/cases.json", 0, NULL);
    const json_t *splits = json_object_get(cases, "splits"), *split;
    size_t s;
    cr_assert_eq(json_array_size(splits), 2);
    json_array_foreach(splits, s, split)
    {
        struct prompt_set set = set_of(json_object_get(split, "prompts"), NULL);
        const struct prompt_split_params params = prompt_split_params_default(
            (uint64_t)json_integer_value(json_object_get(split, "seed")));
        enum prompt_part parts[32];
        size_t n_in_part[PROMPT_N_PARTS];
        cr_assert_eq(prompt_split(&set, &params, parts, n_in_part, NULL), ST_OK);
        for (size_t i = 0; i < set.n_prompts; i++)
            cr_expect_eq(parts[i], (enum prompt_part)json_integer_value(
                                       json_array_get(json_object_get(split, "parts"), i)));
        cr_expect_eq(parts[0], parts[set.n_prompts / 2], "equal prompts stay together");
        cr_expect_eq(n_in_part[0] + n_in_part[1] + n_in_part[2], set.n_prompts);
        prompt_set_fini(&set);
    }
    json_decref(cases);
}

Test(prompt_split, what_the_file_says_holds)
{
    static const char *const uses[] = {"search",   "held_out", "search", "search",
                                       "held_out", "search",   "search"};
    static const char *const three[] = {"search",   "held_out",  "search", "search",
                                        "held_out", "reference", "search"};
    json_t *prompts = json_pack("[[i],[i],[i],[i],[i],[i],[i]]", 1, 2, 3, 4, 5, 6, 7);
    struct prompt_set set = set_of(prompts, uses), given = set_of(prompts, three);
    const struct prompt_split_params params = prompt_split_params_default(3);
    enum prompt_part parts[7];
    size_t n[PROMPT_N_PARTS];
    cr_assert_eq(prompt_split(&set, &params, parts, n, NULL), ST_OK);
    cr_expect(n[PART_SEARCH] == 3 && n[PART_REFERENCE] == 2 && n[PART_VERDICT] == 2);
    cr_expect(parts[1] == PART_VERDICT && parts[4] == PART_VERDICT);
    cr_assert_eq(prompt_split(&given, &params, parts, n, NULL), ST_OK);
    cr_expect(n[PART_SEARCH] == 4 && n[PART_REFERENCE] == 1 && parts[5] == PART_REFERENCE);
    prompt_set_fini(&set);
    prompt_set_fini(&given);
    json_decref(prompts);
}

Test(prompt_split, refuses_what_cannot_be_three_sets)
{
    json_t *few = json_pack("[[i],[i],[i]]", 1, 2, 2), *same = json_pack("[[i],[i],[i]]", 1, 1, 2);
    static const char *const uses[] = {"search", "held_out", "search"};
    struct prompt_set two = set_of(few, NULL), leak = set_of(same, uses);
    struct prompt_split_params params = prompt_split_params_default(3);
    enum prompt_part parts[3];
    size_t n[PROMPT_N_PARTS];
    struct error err = {.status = ST_OK};
    cr_expect_eq(prompt_split(&two, &params, parts, n, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "2 different prompts"), "%s", err.text);
    error_clear(&err);
    cr_expect_eq(prompt_split(&leak, &params, parts, n, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "the same clean tokens and two sets"), "%s", err.text);
    error_clear(&err);
    params.shares[0] = 0.9;
    cr_expect_eq(prompt_split(&two, &params, parts, n, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "add up"), "%s", err.text);
    prompt_set_fini(&two);
    prompt_set_fini(&leak);
    json_decref(few);
    json_decref(same);
}
