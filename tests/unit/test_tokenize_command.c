#include "worker/model/tokenizer.h"
#include "worker/tokenize_command.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Run one of the loops on `input`; the caller frees the output. */
static status_t run(const char *name, bool is_decode, bool add_special, const char *input,
                    size_t n_input, char **output, struct error *err)
{
    char path[256];
    size_t n_output = 0;
    struct tokenizer *tokenizer = NULL;
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s", name);
    cr_assert_eq(tokenizer_open(&tokenizer, path, err), ST_OK, "%s", err->text);
    FILE *in = tmpfile();
    FILE *out = open_memstream(output, &n_output);
    cr_assert(in && out);
    cr_assert_eq(fwrite(input, 1, n_input, in), n_input);
    rewind(in);
    const status_t status = is_decode ? detokenize_lines(tokenizer, in, out, err)
                                      : tokenize_lines(tokenizer, add_special, in, out, err);
    (void)fclose(in);
    (void)fclose(out);
    tokenizer_close(&tokenizer);
    return status;
}

Test(tokenize_command, each_line_of_bytes_becomes_one_array)
{
    static const char input[] = "hello\n\na\r\n\xff\0b\nlast";
    char *output = NULL;
    struct error err = {0};
    cr_assert_eq(run("llama3", false, false, input, sizeof input - 1, &output, &err), ST_OK);
    cr_expect_str_eq(output, "[1601]\n[]\n[64, 201]\n[171, 123, 121, 188, 65]\n[75, 468]\n");
    free(output);
}

Test(tokenize_command, special_tokens_are_added_on_request)
{
    char *output = NULL;
    struct error err = {0};
    cr_assert_eq(run("llama3", false, true, "hello\n\n", 7, &output, &err), ST_OK);
    cr_expect_str_eq(output, "[1608, 1601]\n[1608]\n");
    free(output);
}

Test(tokenize_command, arrays_decode_to_json_strings)
{
    static const char input[] = "[1601]\n[]\n[64, 201]\n[171, 123]\n [1608]";
    char *output = NULL;
    struct error err = {0};
    cr_assert_eq(run("llama3", true, false, input, sizeof input - 1, &output, &err), ST_OK);
    cr_expect_str_eq(output, "\"hello\"\n\"\"\n\"a\\r\"\n\"\ufffd\"\n\"<|begin_of_text|>\"\n");
    free(output);
}

Test(tokenize_command, what_is_no_array_of_ids_is_refused_naming_the_line)
{
    static const struct {
        const char *line, *says;
    } cases[] = {{"{}", "array"},          {"[1", "array"},      {"[-1]", "entry 0"},
                 {"[1, 2.5]", "entry 1"},  {"[\"a\"]", "entry"}, {"[99999]", "99999"},
                 {"[4294967296]", "entry"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char input[64];
        char *output = NULL;
        struct error err = {0};
        const int n = snprintf(input, sizeof input, "[64]\n%s\n", cases[i].line);
        cr_expect_eq(run("llama3", true, false, input, (size_t)n, &output, &err), ST_BAD_INPUT,
                     "%s", cases[i].line);
        cr_expect(strstr(err.text, "line 2") && strstr(err.text, cases[i].says), "%s", err.text);
        cr_expect_str_eq(output, "\"a\"\n", "lines before it are done");
        free(output);
    }
}

static int run_with(int argc, const char *const *arguments)
{
    char *argv[8] = {0};
    for (int i = 0; i < argc; i++) cr_assert_not_null(argv[i] = strdup(arguments[i]));
    const int code = tokenize_command(argc, argv);
    for (int i = 0; i < argc; i++) free(argv[i]);
    return code;
}

Test(tokenize_command, arguments_are_checked)
{
    static const char *const none[] = {"tokenize"};
    static const char *const option[] = {"tokenize", "m", "--dekode"};
    static const char *const two[] = {"tokenize", "m", "n"};
    static const char *const absent[] = {"tokenize", "/no/such/model"};
    static const char *const help[] = {"tokenize", "--help"};
    cr_expect_eq(run_with(1, none), 2);
    cr_expect_eq(run_with(3, option), 2);
    cr_expect_eq(run_with(3, two), 2);
    cr_expect_eq(run_with(2, absent), 3);
    cr_expect_eq(run_with(2, help), 0);
}
