#include "coordinator/dispatch/allow_list.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

static char directory[] = "/tmp/interp-allow-XXXXXX";
static struct key ann, bob;

static char *path_of(const char *file)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, file);
    return path;
}

static void allow(const struct key *key, const char *file, const char *role)
{
    char text[256];
    struct error err = {0};
    (void)snprintf(text, sizeof text, "name %s\npublic %s\n%s%s\n", key->name, key->public_text,
                   role ? "role " : "", role ? role : "");
    cr_assert_eq(file_write_atomic(path_of(file), text, strlen(text), &err), ST_OK, "%s", err.text);
}

static void begin(void)
{
    struct error err = {0};
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(key_generate("ann", KEY_NO_ROLE, &ann, &err), ST_OK, "%s", err.text);
    cr_assert_eq(key_generate("bob", KEY_NO_ROLE, &bob, &err), ST_OK, "%s", err.text);
}

static void end(void)
{
    char command[160];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

/* Its role, or KEY_NO_ROLE if it is not allowed. */
static enum key_role role_of(struct allow_list *list, const struct key *key, struct error *problem)
{
    unsigned char bytes[PUBLIC_KEY_BYTES];
    cr_assert_not_null(zmq_z85_decode(bytes, key->public_text));
    const struct key *found = allow_list_find(list, bytes, problem);
    if (found) cr_expect_str_eq(found->name, key->name);
    return found ? found->role : KEY_NO_ROLE;
}

static struct allow_list *open_list(void)
{
    struct allow_list *list = NULL;
    struct error err = {0};
    cr_assert_eq(allow_list_open(&list, directory, &err), ST_OK, "%s", err.text);
    return list;
}

Test(allow_list, a_key_is_what_its_file_says_and_others_are_nobody, .init = begin, .fini = end)
{
    struct error problem = {0};
    allow(&ann, "ann.pub", "operator");
    allow(&bob, "bob.key", "operator");
    allow(&bob, ".bob.pub", "operator");
    struct allow_list *list = open_list();
    cr_expect_eq(allow_list_count(list), 1);
    cr_expect_eq(role_of(list, &ann, &problem), KEY_OPERATOR);
    cr_expect_eq(role_of(list, &bob, &problem), KEY_NO_ROLE, "only *.pub counts");
    cr_expect_eq(problem.status, ST_OK, "%s", problem.text);
    allow_list_close(&list);
}

Test(allow_list, changes_count_at_once, .init = begin, .fini = end)
{
    struct error problem = {0};
    allow(&ann, "ann.pub", "viewer");
    struct allow_list *list = open_list();
    cr_expect_eq(role_of(list, &bob, &problem), KEY_NO_ROLE);
    allow(&bob, "bob.pub", "worker");
    cr_expect_eq(role_of(list, &bob, &problem), KEY_WORKER, "a new file");
    allow(&ann, "ann.pub", "operator");
    cr_expect_eq(role_of(list, &ann, &problem), KEY_OPERATOR, "another role");
    (void)unlink(path_of("ann.pub"));
    cr_expect_eq(role_of(list, &ann, &problem), KEY_NO_ROLE, "a removed file");
    cr_expect_eq(role_of(list, &bob, &problem), KEY_WORKER, "the other stays");
    cr_expect_eq(problem.status, ST_OK, "%s", problem.text);
    allow_list_close(&list);
}

Test(allow_list, a_bad_file_allows_nobody_and_is_told, .init = begin, .fini = end)
{
    static const struct {
        const char *role, *want;
        bool is_ann;
    } cases[] = {{NULL, "has no line \"role worker\"", false},
                 {"king", "role: one of", false},
                 {"worker", "has the same key as", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct allow_list *list = NULL;
        struct error err = {0}, problem = {0};
        allow(&ann, "ann.pub", "viewer");
        allow(cases[i].is_ann ? &ann : &bob, "bob.pub", cases[i].role);
        cr_expect_eq(allow_list_open(&list, directory, &err), ST_BAD_INPUT);
        cr_expect(strstr(err.text, cases[i].want) && strstr(err.text, "bob.pub"), "%s", err.text);
        (void)unlink(path_of("bob.pub")); /* while it runs: the rest counts */
        list = open_list();
        allow(cases[i].is_ann ? &ann : &bob, "bob.pub", cases[i].role);
        cr_expect_eq(role_of(list, &bob, &problem), KEY_NO_ROLE);
        cr_expect_eq(problem.status, ST_BAD_INPUT);
        cr_expect_eq(role_of(list, &ann, &problem), KEY_VIEWER);
        allow_list_close(&list);
    }
}

Test(allow_list, without_its_directory_nobody_is_allowed, .init = begin, .fini = end)
{
    struct error problem = {0};
    struct allow_list *list = NULL, *other = NULL;
    allow(&ann, "ann.pub", "viewer");
    list = open_list();
    end();
    cr_expect_eq(role_of(list, &ann, &problem), KEY_NO_ROLE);
    cr_expect_eq(problem.status, ST_NOT_FOUND);
    cr_expect_eq(allow_list_open(&other, directory, &problem), ST_NOT_FOUND);
    cr_expect_null(other);
    allow_list_close(&list);
    cr_assert_eq(mkdir(directory, 0700), 0);
}
