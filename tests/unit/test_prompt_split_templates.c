/* Splits within templates: every template that is searched or judged has a reference prompt. */
#include "common/buffer.h"
#include "coordinator/circuit/prompt_split.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PROMPTS = 400, MAX_TEMPLATES = 24 };

/* n_of[t] different prompts of template t, of 3 + (number % 3) tokens; uses: NULL or of template t
 * the set of its every prompt, "half": search and held out in turn. */
static struct prompt_set set_of(const uint32_t *n_of, size_t n_templates, const char *const *uses)
{
    struct prompt_set set;
    struct buffer text;
    struct error err = {.status = ST_OK};
    uint32_t next = 1;
    buffer_init(&text, 1 << 20);
    for (size_t t = 0; t < n_templates; t++)
        for (uint32_t i = 0; i < n_of[t]; i++, next++) {
            const char *use = uses ? uses[t] : NULL;
            if (use && strcmp(use, "half") == 0) use = i % 2 ? "held_out" : "search";
            const char *tail = i % 3 == 0 ? "" : i % 3 == 1 ? ",7" : ",7,7";
            cr_assert_eq(
                buffer_printf(&text, &err,
                              "{\"clean\":[%u,5,6%s],\"corrupted\":[%u,6,6%s],\"answer\":1,"
                              "\"distractor\":2,\"template\":\"t%zu\"%s%s%s}\n",
                              next, tail, next, tail, t, use ? ",\"set\":\"" : "", use ? use : "",
                              use ? "\"" : ""),
                ST_OK);
        }
    cr_assert_eq(prompt_set_parse(&set, "FILE", buffer_text(&text), text.n_bytes, 1000, &err),
                 ST_OK, "%s", err.text);
    buffer_fini(&text);
    return set;
}

static struct prompt_split_params by_template(uint64_t seed)
{
    struct prompt_split_params params = prompt_split_params_default(seed);
    params.is_by_template = true;
    return params;
}

/* Prompts of each part and template, and the longest of each part. */
struct told {
    size_t n[MAX_TEMPLATES][PROMPT_N_PARTS];
    uint32_t longest[MAX_TEMPLATES][PROMPT_N_PARTS];
};

static struct told count(const struct prompt_set *set, const enum prompt_part *parts)
{
    struct told told = {.n = {{0}}};
    for (size_t i = 0; i < set->n_prompts; i++) {
        const struct circuit_prompt *prompt = &set->prompts[i];
        uint32_t *longest = &told.longest[prompt->template_index][parts[i]];
        told.n[prompt->template_index][parts[i]]++;
        if (prompt->n_tokens > *longest) *longest = prompt->n_tokens;
    }
    return told;
}

Test(prompt_split_templates, each_has_a_reference_prompt_as_long_as_any)
{
    static const uint32_t n_of[] = {2, 3, 40, 5, 2, 2, 11, 4, 2, 100};
    enum { N = sizeof n_of / sizeof n_of[0] };
    struct prompt_set set = set_of(n_of, N, NULL);
    for (uint64_t seed = 0; seed < 50; seed++) {
        const struct prompt_split_params params = by_template(seed);
        enum prompt_part parts[MAX_PROMPTS];
        size_t n_in_part[PROMPT_N_PARTS];
        cr_assert_eq(prompt_split(&set, &params, parts, n_in_part, NULL), ST_OK);
        const struct told told = count(&set, parts);
        for (size_t t = 0; t < N; t++) {
            const uint32_t *longest = told.longest[t];
            cr_expect(told.n[t][PART_REFERENCE] > 0, "template %zu", t);
            cr_expect(longest[PART_REFERENCE] >= longest[PART_SEARCH] &&
                      longest[PART_REFERENCE] >= longest[PART_VERDICT]);
            cr_expect(n_of[t] < 3 || (told.n[t][PART_SEARCH] && told.n[t][PART_VERDICT]));
        }
        cr_expect(told.n[9][PART_SEARCH] == 40 && told.n[9][PART_REFERENCE] == 20 &&
                      told.n[9][PART_VERDICT] == 40,
                  "a large template is cut at the shares");
        cr_expect(n_in_part[PART_SEARCH] > 60 && n_in_part[PART_VERDICT] > 60);
    }
    prompt_set_fini(&set);
}

/* Templates of two prompts go to search and verdict in turn, whatever the hash. */
Test(prompt_split_templates, pairs_fill_search_and_verdict_alike)
{
    static const uint32_t n_of[] = {2, 2, 2, 2, 2, 2, 2, 2};
    struct prompt_set set = set_of(n_of, 8, NULL);
    const struct prompt_split_params params = by_template(4);
    enum prompt_part parts[MAX_PROMPTS];
    size_t n[PROMPT_N_PARTS];
    cr_assert_eq(prompt_split(&set, &params, parts, n, NULL), ST_OK);
    cr_expect(n[PART_SEARCH] == 4 && n[PART_REFERENCE] == 8 && n[PART_VERDICT] == 4);
    prompt_set_fini(&set);
}

/* Parts follow the tokens, not the lines. */
Test(prompt_split_templates, the_order_of_the_file_does_not_matter)
{
    static const char *const lines[] = {
        "{\"clean\":[1,2],\"corrupted\":[3,2],\"answer\":1,\"distractor\":2,\"template\":\"a\"}\n",
        "{\"clean\":[4,2],\"corrupted\":[3,2],\"answer\":1,\"distractor\":2,\"template\":\"a\"}\n",
        "{\"clean\":[5,2],\"corrupted\":[3,2],\"answer\":1,\"distractor\":2,\"template\":\"a\"}\n",
        "{\"clean\":[6,2],\"corrupted\":[3,2],\"answer\":1,\"distractor\":2,\"template\":\"b\"}\n",
        "{\"clean\":[7,2],\"corrupted\":[3,2],\"answer\":1,\"distractor\":2,\"template\":\"b\"}\n",
        "{\"clean\":[8,2],\"corrupted\":[3,2],\"answer\":1,\"distractor\":2,\"template\":\"b\"}\n"};
    static const size_t orders[2][6] = {{0, 1, 2, 3, 4, 5}, {5, 3, 1, 0, 4, 2}};
    enum prompt_part parts[2][6];
    const struct prompt_split_params params = by_template(7);
    for (int o = 0; o < 2; o++) {
        char text[2048] = "";
        struct prompt_set set;
        size_t n[PROMPT_N_PARTS];
        for (int i = 0; i < 6; i++) strcat(text, lines[orders[o][i]]);
        cr_assert_eq(prompt_set_parse(&set, "FILE", text, strlen(text), 100, NULL), ST_OK);
        cr_assert_eq(prompt_split(&set, &params, parts[o], n, NULL), ST_OK);
        prompt_set_fini(&set);
    }
    for (size_t i = 0; i < 6; i++) cr_expect_eq(parts[1][i], parts[0][orders[1][i]]);
}

Test(prompt_split_templates, a_lonely_prompt_is_refused_by_its_template)
{
    static const uint32_t lonely[] = {3, 1, 3}, pair[] = {2};
    struct prompt_set set = set_of(lonely, 3, NULL), two = set_of(pair, 1, NULL);
    const struct prompt_split_params params = by_template(1);
    enum prompt_part parts[MAX_PROMPTS];
    size_t n[PROMPT_N_PARTS];
    struct error err = {.status = ST_OK};
    cr_expect_eq(prompt_split(&set, &params, parts, n, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "split: template t1 has one prompt; a mean over templates needs a "
                               "reference prompt beside it");
    error_clear(&err);
    cr_expect_eq(prompt_split(&two, &params, parts, n, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "no verdict prompt is left"), "%s", err.text);
    prompt_set_fini(&set);
    prompt_set_fini(&two);
}

/* Equal clean tokens count once and stay together. */
Test(prompt_split_templates, copies_are_one_prompt)
{
    static const char text[] =
        "{\"clean\":[1,2],\"corrupted\":[3,2],\"answer\":1,\"distractor\":2,\"template\":\"a\"}\n"
        "{\"clean\":[1,2],\"corrupted\":[4,2],\"answer\":1,\"distractor\":2,\"template\":\"a\"}\n";
    struct prompt_set set;
    struct error err = {.status = ST_OK};
    const struct prompt_split_params params = by_template(1);
    enum prompt_part parts[2];
    size_t n[PROMPT_N_PARTS];
    cr_assert_eq(prompt_set_parse(&set, "FILE", text, strlen(text), 100, NULL), ST_OK);
    cr_expect_eq(prompt_split(&set, &params, parts, n, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "template a has one prompt"), "%s", err.text);
    prompt_set_fini(&set);
}

/* Held-out prompts stay held out; the search prompts of each template give its reference. */
Test(prompt_split_templates, sets_of_the_file_hold)
{
    static const uint32_t n_of[] = {8, 4, 12};
    static const char *const uses[] = {"half", "half", "half"};
    struct prompt_set set = set_of(n_of, 3, uses);
    const struct prompt_split_params params = by_template(2);
    enum prompt_part parts[MAX_PROMPTS];
    size_t n[PROMPT_N_PARTS];
    cr_assert_eq(prompt_split(&set, &params, parts, n, NULL), ST_OK);
    for (size_t i = 0; i < set.n_prompts; i++)
        cr_expect_eq(set.prompts[i].use == USE_HELD_OUT, parts[i] == PART_VERDICT);
    const struct told told = count(&set, parts);
    for (size_t t = 0; t < 3; t++)
        cr_expect(told.n[t][PART_SEARCH] > 0 && told.n[t][PART_REFERENCE] > 0);
    prompt_set_fini(&set);
    static const uint32_t lonely[] = {8, 2};
    set = set_of(lonely, 2, uses);
    struct error err = {.status = ST_OK};
    cr_expect_eq(prompt_split(&set, &params, parts, n, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "template t1 has one search prompt"), "%s", err.text);
    prompt_set_fini(&set);
}
