#include "common/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static struct error err;

static void set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/file-unit-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0);
}

TestSuite(file, .init = set_up, .fini = tear_down, .timeout = 20);

static int n_entries(void)
{
    DIR *open_directory = opendir(directory);
    int n = 0;
    while (readdir(open_directory)) n++;
    (void)closedir(open_directory);
    return n - 2;
}

Test(file, reads_back_what_was_written_and_leaves_no_temporary)
{
    const char bytes[] = {'a', 0, '\n', (char)0xff};
    char *path = file_join(directory, "f"), *read_bytes;
    size_t n;
    cr_assert_eq(file_write_atomic(path, "old", 3, &err), ST_OK, "%s", err.text);
    cr_assert_eq(file_write_atomic(path, bytes, sizeof bytes, &err), ST_OK, "%s", err.text);
    cr_assert_eq(file_read(path, 100, &read_bytes, &n, &err), ST_OK, "%s", err.text);
    cr_expect_eq(n, sizeof bytes);
    cr_expect_arr_eq(read_bytes, bytes, n);
    cr_expect_eq(read_bytes[n], '\0');
    cr_expect_eq(n_entries(), 1);
    free(read_bytes);
    free(path);
}

Test(file, an_empty_file_is_empty_text)
{
    char *path = file_join(directory, "f"), *bytes;
    cr_assert_eq(file_write_atomic(path, "", 0, &err), ST_OK);
    cr_assert_eq(file_read(path, 0, &bytes, NULL, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(bytes, "");
    free(bytes);
    free(path);
}

Test(file, says_what_is_wrong_with_a_path_and_touches_nothing)
{
    char *bytes = NULL, *path = file_join(directory, "f"), *fifo = file_join(directory, "fifo");
    cr_expect_eq(file_read(path, 10, &bytes, NULL, &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, path), "%s", err.text);
    error_clear(&err);
    cr_expect_eq(file_read(directory, 1 << 20, &bytes, NULL, &err), ST_IO);
    error_clear(&err);
    cr_assert_eq(file_write_atomic(path, "12345678901", 11, &err), ST_OK);
    cr_expect_eq(file_read(path, 10, &bytes, NULL, &err), ST_TOO_LARGE);
    error_clear(&err);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_expect_eq(file_read(fifo, 10, &bytes, NULL, &err), ST_IO, "and does not wait for a writer");
    cr_expect_null(bytes);
    free(fifo);
    free(path);
}

Test(file, a_failed_write_leaves_the_old_file_and_no_other)
{
    char *path = file_join(directory, "no/such/place");
    cr_expect_eq(file_write_atomic(path, "x", 1, &err), ST_IO);
    cr_expect_eq(n_entries(), 0);
    error_clear(&err);
    cr_assert_eq(mkdir(directory, 0755), -1);
    cr_expect_eq(file_write_atomic(directory, "x", 1, &err), ST_IO, "a directory is there");
    free(path);
}

/* A rename over /dev/null would take it away from every program of the machine. */
Test(file, what_is_no_file_is_never_replaced)
{
    struct stat info;
    char *fifo = file_join(directory, "fifo");
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_expect_eq(file_write_atomic(fifo, "x", 1, &err), ST_IO);
    cr_expect(strstr(err.text, "not a regular file"), "%s", err.text);
    cr_expect(stat(fifo, &info) == 0 && S_ISFIFO(info.st_mode));
    cr_expect_eq(n_entries(), 1);
    free(fifo);
}

Test(file, makes_directories_and_tells_a_file_in_the_way)
{
    struct stat info;
    char *deep = file_join(directory, "a/b//c"), *blocked = file_join(directory, "f");
    cr_expect_eq(file_make_directories(deep, &err), ST_OK, "%s", err.text);
    cr_expect_eq(file_make_directories(deep, &err), ST_OK, "again");
    cr_expect(stat(deep, &info) == 0 && S_ISDIR(info.st_mode));
    cr_assert_eq(file_write_atomic(blocked, "x", 1, &err), ST_OK);
    cr_expect_eq(file_make_directories(blocked, &err), ST_IO);
    free(blocked);
    free(deep);
}

Test(file, pieces_of_a_file_without_a_name)
{
    char bytes[8] = {0};
    int fd = -1;
    cr_assert_eq(file_create_unnamed(directory, &fd, &err), ST_OK, "%s", err.text);
    cr_assert_eq(file_write_at(fd, "world", 5, 3, &err), ST_OK, "%s", err.text);
    cr_assert_eq(file_write_at(fd, "far", 3, 0, &err), ST_OK, "%s", err.text);
    cr_assert_eq(file_read_at(fd, bytes, 8, 0, &err), ST_OK, "%s", err.text);
    cr_expect_eq(memcmp(bytes, "farworld", 8), 0);
    cr_expect_eq(file_read_at(fd, bytes, 5, 4, &err), ST_IO);
    cr_expect(strstr(err.text, "ends before"), "%s", err.text);
    (void)close(fd);
    cr_expect_eq(file_write_at(fd, "x", 1, 0, &err), ST_IO);
    cr_expect_eq(n_entries(), 0);
}
