/* Files of users, kept under their hash. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "coordinator/sweep/kept_file.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static struct kept_folder folder;
static struct error err;

static void set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/interp-kept-file-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    folder = (struct kept_folder){directory, "things", 1000};
}

static void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0);
}

TestSuite(kept_file, .init = set_up, .fini = tear_down);

static void keep(const char *text, char hash[HASH_HEX_SIZE])
{
    hash_sha256_hex(text, strlen(text), hash);
    error_clear(&err);
    cr_assert_eq(kept_file_write(&folder, hash, text, strlen(text), &err), ST_OK, "%s", err.text);
}

static char *path_of(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/things/%s", directory, name);
    return path;
}

Test(kept_file, comes_back_as_it_was_or_not_at_all)
{
    char hash[HASH_HEX_SIZE], *bytes = NULL;
    size_t n_bytes = 0;
    keep("some bytes", hash);
    cr_expect(kept_file_is_there(&folder, hash));
    cr_assert_eq(kept_file_read(&folder, hash, &bytes, &n_bytes, &err), ST_OK);
    cr_expect_eq(n_bytes, 10);
    cr_expect_str_eq(bytes, "some bytes");
    free(bytes);
    cr_assert_eq(file_write_atomic(path_of(hash), "other bytes", 11, NULL), ST_OK);
    error_clear(&err);
    cr_expect_eq(kept_file_read(&folder, hash, &bytes, &n_bytes, &err), ST_CORRUPT);
    cr_expect(strstr(err.text, "its hash is not its name"), "%s", err.text);
    cr_expect_not(kept_file_is_there(&folder, hash));
    cr_assert_eq(unlink(path_of(hash)), 0);
    error_clear(&err);
    cr_expect_eq(kept_file_read(&folder, hash, &bytes, &n_bytes, &err), ST_NOT_FOUND);
}

static bool is_that(const void *context, const char *hash)
{
    return strcmp(context, hash) == 0;
}

Test(kept_file, that_nobody_names_goes_and_nothing_else)
{
    char named[HASH_HEX_SIZE], other[HASH_HEX_SIZE], half[HASH_HEX_SIZE + 16];
    size_t n_removed = 9;
    cr_assert_eq(kept_file_clean(&folder, is_that, "", &n_removed, &err), ST_OK, "no folder yet");
    cr_expect_eq(n_removed, 0);
    keep("named", named);
    keep("not named", other);
    (void)snprintf(half, sizeof half, "%s.123.abcdef", named); /* as a write that died leaves it */
    cr_assert_eq(file_write_atomic(path_of(half), "na", 2, NULL), ST_OK);
    cr_assert_eq(file_write_atomic(path_of("README"), "mine", 4, NULL), ST_OK);
    cr_assert_eq(kept_file_clean(&folder, is_that, named, &n_removed, &err), ST_OK, "%s", err.text);
    cr_expect_eq(n_removed, 2);
    cr_expect(kept_file_is_there(&folder, named));
    cr_expect_eq(access(path_of("README"), F_OK), 0, "none of ours");
    cr_expect_neq(access(path_of(other), F_OK), 0);
    cr_expect_neq(access(path_of(half), F_OK), 0);
}
