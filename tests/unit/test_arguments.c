/* Options of interp-worker's subcommands: lists, and what they leave for a positional one. */
#include "worker/arguments.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MOST_WORDS = 10, WORD_SIZE = 16 };

struct parsed {
    const char *model, *format;
    struct argument_list dictionaries, shapes;
    status_t status;
    struct error err;
};

/* As `inspect` has it: a model, and options of one word and of several. */
static struct parsed parse(char words[MOST_WORDS][WORD_SIZE]) /* "" ends them */
{
    struct parsed p = {.model = NULL};
    const struct argument table[] = {
        {.value = "MODEL", .help = "", .text = &p.model, .is_required = true},
        {.name = "--dictionary", .value = "DIR", .help = "", .list = &p.dictionaries},
        {.name = "--shape", .value = "NAME", .help = "", .list = &p.shapes},
        {.name = "-o", .value = "FORMAT", .help = "", .text = &p.format}};
    char *argv[MOST_WORDS + 1] = {NULL};
    int argc = 0;
    bool is_help;
    for (; argc < MOST_WORDS && words[argc][0]; argc++) argv[argc] = words[argc];
    p.status = arguments_parse(table, sizeof table / sizeof table[0], argc, argv, &is_help, &p.err);
    return p;
}

Test(arguments, a_list_leaves_the_last_word_to_a_model_that_is_missing)
{
    static struct {
        char words[MOST_WORDS][WORD_SIZE];
        size_t n_dictionaries;
    } CASES[] = {
        {{"inspect", "--dictionary", "D", "MODEL"}, 1},
        {{"inspect", "--dictionary", "D", "E", "MODEL", "-o", "json"}, 2},
        {{"inspect", "MODEL", "--dictionary", "D", "E"}, 2},
        {{"inspect", "--dictionary", "D", "E", "-o", "json", "MODEL"}, 2},
        {{"inspect", "--dictionary", "D", "--", "MODEL"}, 1},
        {{"inspect", "--shape", "S", "T", "--dictionary", "D", "--", "MODEL"}, 1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const struct parsed p = parse(CASES[i].words);
        cr_assert_eq(p.status, ST_OK, "case %zu: %s", i, p.err.text);
        cr_expect_str_eq(p.model, "MODEL", "case %zu", i);
        cr_expect_eq(p.dictionaries.n_items, CASES[i].n_dictionaries, "case %zu", i);
        cr_expect_str_eq(p.dictionaries.items[0], "D", "case %zu", i);
    }
}

Test(arguments, a_word_that_may_be_one_of_two_lists_is_nobodys)
{
    static char WORDS[][MOST_WORDS][WORD_SIZE] = {
        {"inspect", "--dictionary", "D", "E", "--shape", "S", "T"},
        {"inspect", "--dictionary", "D"},
        {"inspect", "--dictionary", "D", "E", "--dictionary", "F"}};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        const struct parsed p = parse(WORDS[i]);
        cr_expect_eq(p.status, ST_BAD_INPUT, "case %zu", i);
        cr_expect_str_eq(p.err.text, "MODEL is missing (--help shows the usage)", "case %zu", i);
    }
}

Test(arguments, what_is_unknown_doubled_or_without_its_value_is_named)
{
    static struct {
        char words[MOST_WORDS][WORD_SIZE];
        const char *says;
    } CASES[] = {{{"inspect", "MODEL", "--colour"}, "unknown argument --colour"},
                 {{"inspect", "MODEL", "-o"}, "-o needs a value (FORMAT)"},
                 {{"inspect", "A", "B"}, "MODEL is given twice: B"},
                 {{"inspect", "A", "--dictionary", "D", "--", "B"}, "MODEL is given twice: B"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const struct parsed p = parse(CASES[i].words);
        cr_expect_eq(p.status, ST_BAD_INPUT, "case %zu", i);
        cr_expect_str_eq(p.err.text, CASES[i].says, "case %zu", i);
    }
}
