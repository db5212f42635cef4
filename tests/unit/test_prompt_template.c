#include "coordinator/session/prompt_template.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char GOOD[] = "# what it is\n\n@system\nBe brief.\n\n@user\nLabel {{label}}:\n"
                           "{{windows}} ({{label}})\n";

static struct prompt_template *parsed(const char *text)
{
    struct prompt_template *made = NULL;
    struct error err = {0};
    cr_assert_eq(prompt_template_parse(&made, "t.txt", text, strlen(text), &err), ST_OK, "%s",
                 err.text);
    return made;
}

Test(prompt_template, fills_fields_once_and_never_rereads_them)
{
    struct prompt_template *made = parsed(GOOD);
    struct buffer system, user;
    buffer_init(&system, 1000);
    buffer_init(&user, 1000);
    const struct prompt_field fields[] = {{"windows", "{{label}}@user", 14}, {"label", "cats", 4}};
    cr_assert_eq(prompt_template_fill(made, fields, 2, &system, &user, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&system), "Be brief.");
    cr_expect_str_eq(buffer_text(&user), "Label cats:\n{{label}}@user (cats)");
    buffer_fini(&system);
    buffer_fini(&user);
    prompt_template_destroy(&made);
    cr_expect_null(made);
}

Test(prompt_template, a_field_too_many_or_too_few_is_an_error)
{
    struct prompt_template *made = parsed(GOOD);
    static const char *const names[] = {"label", "windows", "n_windows"};
    struct error err = {0};
    cr_expect_eq(prompt_template_check_fields(made, names, 2, &err), ST_OK);
    cr_expect_eq(prompt_template_check_fields(made, names, 1, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "t.txt: unknown field {{windows}}");
    error_clear(&err);
    cr_expect_eq(prompt_template_check_fields(made, names, 3, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "t.txt: the field {{n_windows}} is missing");
    struct buffer out;
    buffer_init(&out, 1000);
    const struct prompt_field one = {"label", "x", 1};
    cr_expect_eq(prompt_template_fill(made, &one, 1, &out, &out, NULL), ST_BAD_INPUT);
    cr_expect_eq(out.n_bytes, 0, "nothing half-written");
    prompt_template_destroy(&made);
}

Test(prompt_template, refuses_broken_files_and_names_the_line)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "t.txt: no @user section"},
        {"@system\nx\n", "t.txt: no @user section"},
        {"hello\n@user\nx", "t.txt:1: text before the first section (@system or @user)"},
        {"@user\nx\n@usr\ny", "t.txt:3: unknown section '@usr' (@system, @user)"},
        {"@user\nx\n@user\ny", "t.txt:3: a second @user"},
        {"@user\nx\n{{label", "t.txt:3: '{{' without a field name and '}}'"},
        {"@user\n{{ label }}", "t.txt:2: '{{' without a field name and '}}'"},
        {"@user\n{{}}", "t.txt:2: '{{' without a field name and '}}'"},
        {"@user\n{{a_name_that_is_much_longer_than_any_field_is}}",
         "t.txt:2: '{{' without a field name and '}}'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prompt_template *made = NULL;
        struct error err = {0};
        cr_expect_eq(
            prompt_template_parse(&made, "t.txt", cases[i].text, strlen(cases[i].text), &err),
            ST_BAD_INPUT);
        cr_expect_str_eq(err.text, cases[i].want);
        cr_expect_null(made);
    }
    struct error err = {0};
    struct prompt_template *made = NULL;
    cr_expect_eq(prompt_template_parse(&made, "t.txt", "@user\n\0x", 8, &err), ST_BAD_INPUT);
    cr_expect_eq(prompt_template_load(&made, "config/prompts/none.txt", NULL), ST_NOT_FOUND);
}

Test(prompt_template, every_truncation_is_parsed_or_refused)
{
    for (size_t n = 0; n < sizeof GOOD; n++) {
        struct prompt_template *made = NULL;
        char *copy = malloc(n + 1); /* exact size: a read past the end shows under asan */
        memcpy(copy, GOOD, n);
        const status_t status = prompt_template_parse(&made, "t.txt", copy, n, NULL);
        cr_expect((status == ST_OK) == (made != NULL));
        free(copy);
        prompt_template_destroy(&made);
    }
}

Test(prompt_template, hash_is_the_sha256_of_the_file)
{
    struct prompt_template *made = parsed("@user\nabc");
    char want[HASH_HEX_SIZE];
    cr_expect_str_eq(prompt_template_hash(made), hash_sha256_hex("@user\nabc", 9, want));
    prompt_template_destroy(&made);
}
