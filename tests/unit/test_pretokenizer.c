/* Expected pieces are those of HF tokenizers 0.23.3 for the same object and text. */
#include "worker/model/pretokenizer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* JSON is written with ' for ", so that the cases can be read. */
static json_t *parse_quoted(const char *text)
{
    char json[512];
    (void)snprintf(json, sizeof json, "%s", text);
    for (char *c = json; (c = strchr(c, '\''));) *c = '"';
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(value, "%s", text);
    return value;
}

static status_t load(const char *config, struct pretokenizer *out, struct error *err)
{
    json_t *value = parse_quoted(config);
    const status_t status = pretokenizer_load(out, value, err);
    json_decref(value);
    return status;
}

/* The pieces of `text`, joined by '|'. */
static void cut(const struct pretokenizer *pretokenizer, const char *text, char *out, size_t room)
{
    struct error err = {0};
    struct regex_cursor *cursor = NULL;
    struct pretokenizer_scratch scratch;
    size_t used = 0;
    pretokenizer_scratch_init(&scratch, 1 << 20);
    cr_assert_eq(regex_cursor_create(&cursor, &err), ST_OK);
    cr_assert_eq(pretokenizer_run(pretokenizer, &scratch, cursor, text, strlen(text), true, &err),
                 ST_OK, "%s", err.text);
    out[0] = '\0';
    for (size_t i = 0; i < scratch.pieces.n_pieces; i++) {
        const struct text_piece *piece = &scratch.pieces.pieces[i];
        used += (size_t)snprintf(out + used, room - used, "%s%.*s", i ? "|" : "",
                                 (int)(piece->end - piece->begin), scratch.text + piece->begin);
    }
    regex_cursor_destroy(&cursor);
    pretokenizer_scratch_fini(&scratch);
}

struct cut_case {
    const char *config, *text, *want;
};

static void check_cases(const struct cut_case *cases, size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++) {
        char got[512];
        struct error err = {0};
        struct pretokenizer pretokenizer;
        cr_assert_eq(load(cases[i].config, &pretokenizer, &err), ST_OK, "%s", err.text);
        cut(&pretokenizer, cases[i].text, got, sizeof got);
        cr_expect_str_eq(got, cases[i].want, "%s on '%s': got %s, want %s", cases[i].config,
                         cases[i].text, got, cases[i].want);
        pretokenizer_fini(&pretokenizer);
    }
}

#define SPLIT(behavior)                                                                            \
    "{'type':'Split','pattern':{'String':'-'},'behavior':'" behavior "','invert':false}"

Test(pretokenizer, each_split_behavior_places_matches_as_the_reference)
{
    static const struct cut_case cases[] = {
        {SPLIT("Isolated"), "-a--b-c-", "-|a|-|-|b|-|c|-"},
        {SPLIT("Removed"), "-a--b-c-", "a|b|c"},
        {SPLIT("Contiguous"), "-a--b-c-", "-|a|--|b|-|c|-"},
        {SPLIT("MergedWithPrevious"), "-a--b-c-", "-|a-|-|b-|c-"},
        {SPLIT("MergedWithNext"), "-a--b-c-", "-a|-|-b|-c|-"},
        {"{'type':'Split','pattern':{'Regex':'\\\\d+'},'behavior':'Removed','invert':true}",
         "a12b3", "12|3"},
        {"{'type':'Split','pattern':{'Regex':'x*'},'behavior':'Isolated'}", "axxb", "a|xx|b"},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

Test(pretokenizer, character_classes_are_unicode)
{
    static const struct cut_case cases[] = {
        {"{'type':'Digits','individual_digits':true}", "a12²½٣b", "a|1|2|²|½|٣|b"},
        {"{'type':'Digits','individual_digits':false}", "a12²½٣b", "a|12²½٣|b"},
        {"{'type':'Punctuation','behavior':'Isolated'}", "a,b!?«c»$^+", "a|,|b|!|?|«|c|»|$|^|+"},
        {"{'type':'WhitespaceSplit'}", " a\u3000b\u180ec\u200bd ", "a|b\u180ec\u200bd"},
        {"{'type':'Whitespace'}", "a_b\u200dc, d!? e\u0301", "a_b\u200dc|,|d|!?|e\u0301"},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

Test(pretokenizer, metaspace_marks_spaces_by_its_scheme)
{
    static const struct cut_case cases[] = {
        {"{'type':'Metaspace','replacement':'▁','prepend_scheme':'always','split':true}", "a  b ▁c",
         "▁a|▁|▁b|▁|▁c"},
        {"{'type':'Metaspace','replacement':'▁','prepend_scheme':'never','split':true}", "a  b",
         "a|▁|▁b"},
        {"{'type':'Metaspace','replacement':'_','prepend_scheme':'first','split':false}", "a b",
         "_a_b"},
        {"{'type':'Sequence','pretokenizers':[{'type':'WhitespaceSplit'},"
         "{'type':'Metaspace','replacement':'▁','prepend_scheme':'first','split':true}]}",
         "a b c", "▁a|b|c"},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

Test(pretokenizer, steps_of_a_sequence_cut_the_pieces_of_the_step_before)
{
    static const struct cut_case cases[] = {
        {"{'type':'Sequence','pretokenizers':[{'type':'Split','pattern':{'String':'.'},"
         "'behavior':'MergedWithPrevious'},{'type':'Digits','individual_digits':true}]}",
         "a1.2b.c", "a|1|.|2|b.|c"},
        {"{'type':'ByteLevel','add_prefix_space':true}", "it's  12x", " it|'s| | 12|x"},
        {"{'type':'ByteLevel','add_prefix_space':false,'use_regex':false}", "it's  12x",
         "it's  12x"},
        {"{'type':'Sequence','pretokenizers':[]}", "a b", "a b"},
        {"null", "a b", "a b"},
        {"{'type':'WhitespaceSplit'}", "", ""},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

Test(pretokenizer, cuts_in_front_of_marks_that_follow_something_else)
{
    char got[64];
    struct pretokenizer pretokenizer = {0};
    cr_assert_eq(pretokenizer_add_cut(&pretokenizer, "▁", NULL), ST_OK);
    cut(&pretokenizer, "▁a▁▁b▁é▁", got, sizeof got);
    cr_expect_str_eq(got, "▁a|▁▁b|▁é|▁");
    cr_expect_eq(pretokenizer_add_cut(&pretokenizer, "12345", NULL), ST_TOO_LARGE);
    pretokenizer_fini(&pretokenizer);
}

Test(pretokenizer, what_is_not_understood_is_refused_by_name)
{
    static const struct {
        const char *config, *says;
        status_t want;
    } cases[] = {
        {"{'type':'BertPreTokenizer'}", "BertPreTokenizer", ST_UNSUPPORTED},
        {"{'type':'Sequence','pretokenizers':[{'type':'ByteLevel'},{'type':'Digits'}]}", "Digits",
         ST_UNSUPPORTED},
        {"{'type':'Split','pattern':{'String':'a'},'behavior':'Sideways'}", "Sideways",
         ST_UNSUPPORTED},
        {"{'type':'Split','pattern':{'Regex':'a(?#b)'},'behavior':'Isolated'}", "(?#b",
         ST_UNSUPPORTED},
        {"{'type':'Split','pattern':{'String':''},'behavior':'Isolated'}", "pattern", ST_CORRUPT},
        {"{'type':'Metaspace','replacement':'ab'}", "replacement", ST_CORRUPT},
        {"{'type':'Metaspace','prepend_scheme':'last'}", "last", ST_UNSUPPORTED},
        {"{'type':'Digits','individual_digits':1}", "individual_digits", ST_CORRUPT},
        {"{'pattern':1}", "type", ST_CORRUPT},
        {"{'type':'Sequence','pretokenizers':3}", "pretokenizers", ST_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct pretokenizer pretokenizer;
        cr_expect_eq(load(cases[i].config, &pretokenizer, &err), cases[i].want, "%s",
                     cases[i].config);
        cr_expect(strstr(err.text, cases[i].says) && strstr(err.text, "pre_tokenizer"), "%s",
                  err.text);
    }
}
