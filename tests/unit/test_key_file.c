#include "common/key_file.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUBLIC "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7" /* of ZeroMQ's CURVE test pair */
#define SECRET "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

static char directory[] = "/tmp/interp-keys-XXXXXX";

static void make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void)
{
    static const char *const names[] = {"w1.key", "w1.pub", "x.key", "x.pub"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(path_of(name), "w");
    cr_assert_not_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    cr_assert_eq(chmod(path_of(name), mode), 0);
}

static status_t parse(const char *text, struct key *key, struct error *err)
{
    *err = (struct error){0};
    return key_parse(text, strlen(text), key, err);
}

Test(key_file, a_file_in_any_order_with_comments_is_read)
{
    struct key key;
    struct error err;
    cr_assert_eq(
        parse("# a comment\n\npublic " PUBLIC "\r\nrole viewer \nname a.b-c_1", &key, &err), ST_OK,
        "%s", err.text);
    cr_expect_str_eq(key.name, "a.b-c_1");
    cr_expect_eq(key.role, KEY_VIEWER);
    cr_expect_str_eq(key.public_text, PUBLIC);
    cr_expect_str_eq(key.secret_text, "");
}

Test(key_file, what_is_wrong_is_named_with_its_line)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "\"name\" is missing"},
        {"name w1\n", "\"public\" is missing"},
        {"public " PUBLIC "\n", "\"name\" is missing"},
        {"name w1\ncolour red\n", "line 2: not one of"},
        {"name w1\nname w2\n", "line 2: \"name\" for the second time"},
        {"role worker\nrole worker\n", "line 2: \"role\" for the second time"},
        {"role king\n", "line 1: role: one of worker, operator, viewer"},
        {"role none\n", "role: one of"},
        {"name ../etc\n", "name: at most 64"},
        {"name -x\n", "name: at most 64"},
        {"name a:b\n", "name: at most 64"},
        {"name \n", "a word, a space and a value"},
        {"name\n", "a word, a space and a value"},
        {"public short\n", "40 characters of Z85"},
        {"public \"q:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n", "40 characters of Z85"},
        {"public #####:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]\n", "40 characters of Z85"},
        {"name 0123456789012345678901234567890123456789012345678901234567890123456789012345\n",
         "no line of a key file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct key key = {.name = "before"};
        struct error err;
        cr_expect_eq(parse(cases[i].text, &key, &err), ST_BAD_INPUT, "%s", cases[i].text);
        cr_expect(strstr(err.text, cases[i].want), "%s: %s", cases[i].text, err.text);
        cr_expect_str_eq(key.name, "before", "untouched on failure");
    }
}

Test(key_file, every_cut_of_a_file_is_an_error_or_a_whole_key)
{
    static const char text[] = "role worker\nname w1\npublic " PUBLIC "\nsecret " SECRET;
    const size_t n_secretless = strlen(text) - strlen("secret " SECRET);
    for (size_t n = 0; n < strlen(text); n++) {
        struct key key;
        struct error err = {0};
        const bool is_key = key_parse(text, n, &key, &err) == ST_OK;
        cr_expect_eq(is_key, n == n_secretless || n == n_secretless - 1, "%zu bytes", n);
    }
}

Test(key_file, a_new_pair_is_written_for_its_owner_alone_and_read_back, .init = make_directory,
     .fini = remove_directory)
{
    struct key key, secret, public;
    struct error err = {0};
    struct stat info;
    cr_assert_eq(key_generate("w1", KEY_WORKER, &key, &err), ST_OK, "%s", err.text);
    cr_assert_eq(key_write(&key, directory, &err), ST_OK, "%s", err.text);
    cr_assert_eq(key_load_secret(path_of("w1.key"), &secret, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(secret.secret_text, key.secret_text);
    cr_assert_eq(stat(path_of("w1.key"), &info), 0);
    cr_expect_eq(info.st_mode & 07777, 0600);
    cr_assert_eq(key_load_public(path_of("w1.pub"), &public, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(public.public_text, key.public_text);
    cr_expect_eq(public.role, KEY_WORKER);
    cr_expect_eq(key_write(&key, directory, &err), ST_CONFLICT, "never over a key that is there");
    cr_expect_eq(key_load_secret(path_of("w1.key"), &secret, &err), ST_OK);
}

Test(key_file, a_pair_of_which_one_half_is_there_is_not_written, .init = make_directory,
     .fini = remove_directory)
{
    struct key key;
    struct error err = {0};
    write_file("w1.pub", "mine", 0644);
    cr_assert_eq(key_generate("w1", KEY_NO_ROLE, &key, &err), ST_OK, "%s", err.text);
    cr_expect_eq(key_write(&key, directory, &err), ST_CONFLICT);
    cr_expect_neq(access(path_of("w1.key"), F_OK), 0, "no half is left");
    cr_expect_eq(key_generate("../x", KEY_NO_ROLE, &key, &err), ST_BAD_INPUT);
}

Test(key_file, a_secret_must_be_secret_and_fit_its_public_half, .init = make_directory,
     .fini = remove_directory)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *want; /* NULL: good */
    } cases[] = {
        {"name x\npublic " PUBLIC "\nsecret " SECRET "\n", 0400, NULL},
        {"name x\npublic " PUBLIC "\nsecret " SECRET "\n", 0640, "mode 0640): chmod 600"},
        {"name x\npublic " PUBLIC "\nsecret " SECRET "\n", 0604, "chmod 600"},
        {"name x\npublic " PUBLIC "\n", 0600, "holds no secret key"},
        {"name x\npublic " SECRET "\nsecret " SECRET "\n", 0600, "do not belong together"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct key key;
        struct error err = {0};
        write_file("x.key", cases[i].text, cases[i].mode);
        const status_t status = key_load_secret(path_of("x.key"), &key, &err);
        cr_expect_eq(status, cases[i].want ? ST_BAD_INPUT : ST_OK, "case %zu: %s", i, err.text);
        if (cases[i].want) cr_expect(strstr(err.text, cases[i].want), "%s", err.text);
        cr_expect_null(strstr(err.text, SECRET), "no secret in an error");
        (void)unlink(path_of("x.key"));
    }
}

Test(key_file, a_secret_is_not_taken_for_a_public_key, .init = make_directory,
     .fini = remove_directory)
{
    struct key key;
    struct error err = {0};
    write_file("x.pub", "name x\nrole worker\npublic " PUBLIC "\nsecret " SECRET "\n", 0600);
    cr_expect_eq(key_load_public(path_of("x.pub"), &key, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "holds a secret key"), "%s", err.text);
}
