/* Captures on disk: what is listed, what goes first, what never goes. */
#include "common/file.h"
#include "coordinator/sweep/captures.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 256, N_KEYS = 4, CAPTURE_BYTES = 1000 };

static char data[] = "/tmp/interp-captures-XXXXXX";
static struct error err;
static struct capture_entry *list;
static size_t n, n_removed;

/* 64 times the digit. */
static const char *key_of(unsigned number)
{
    static char keys[N_KEYS][HASH_HEX_SIZE];
    memset(keys[number], "0123"[number], HASH_HEX_SIZE - 1);
    return keys[number];
}

static void write_file(unsigned number, const char *name, size_t n_bytes, time_t seconds)
{
    char path[PATH_SIZE], bytes[CAPTURE_BYTES] = {0};
    (void)snprintf(path, sizeof path, "%s/captures/%s", data, key_of(number));
    cr_assert_eq(file_make_directories(path, &err), ST_OK, "%s", err.text);
    (void)snprintf(path, sizeof path, "%s/captures/%s/%s", data, key_of(number), name);
    cr_assert_eq(file_write_atomic(path, bytes, n_bytes, &err), ST_OK, "%s", err.text);
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Of CAPTURE_BYTES in all, made at 100 s. */
static void make_capture(unsigned number, bool is_complete, time_t used_seconds)
{
    write_file(number, "0-explain-0", CAPTURE_BYTES - 10, 100);
    if (is_complete) write_file(number, "complete", 10, used_seconds);
}

static void set_up(void)
{
    cr_assert(mkdtemp(data));
}

static void tear_down(void)
{
    char command[PATH_SIZE];
    free(list);
    (void)snprintf(command, sizeof command, "rm -rf %s", data);
    cr_expect_eq(system(command), 0);
}

TestSuite(captures, .init = set_up, .fini = tear_down, .timeout = 60);

static void look(void)
{
    free(list);
    cr_assert_eq(captures_list(data, &list, &n, &err), ST_OK, "%s", err.text);
}

static bool is_there(unsigned number)
{
    look();
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].key, key_of(number)) == 0) return true;
    return false;
}

static bool is_used(void *context, const char *key)
{
    return context && strcmp(key, context) == 0;
}

static void evict(uint64_t max_bytes, const char *used)
{
    char copy[HASH_HEX_SIZE] = "";
    if (used) memcpy(copy, used, sizeof copy);
    cr_assert_eq(captures_evict(data, max_bytes, is_used, used ? copy : NULL, &n_removed, &err),
                 ST_OK, "%s", err.text);
}

Test(captures, no_directory_is_no_captures)
{
    look();
    cr_expect_eq(n, 0);
    evict(1, NULL);
    cr_expect_eq(n_removed, 0);
}

Test(captures, are_listed_by_their_last_use_and_strangers_are_passed_over)
{
    char path[PATH_SIZE];
    make_capture(0, true, 200);
    make_capture(1, true, 400);
    make_capture(2, false, 0);
    make_capture(3, true, 300);
    (void)snprintf(path, sizeof path, "%s/captures/lost+found", data);
    cr_assert_eq(file_make_directories(path, &err), ST_OK);
    look();
    cr_assert_eq(n, 4);
    static const unsigned order[] = {1, 3, 0, 2};
    for (size_t i = 0; i < n; i++) cr_expect_str_eq(list[i].key, key_of(order[i]));
    cr_expect(list[0].is_complete && !list[3].is_complete);
    cr_expect_eq(list[0].n_bytes, CAPTURE_BYTES);
    cr_expect_eq(list[0].used_unix_ms, 400000);
    cr_expect_eq(list[0].created_unix_ms, 100000);
    cr_expect_eq(list[3].used_unix_ms, 0);
}

Test(captures, those_used_longest_ago_go_until_the_rest_fits)
{
    for (unsigned i = 0; i < N_KEYS; i++) make_capture(i, true, 1000 + 10 * (time_t)(i ^ 1));
    evict(4 * CAPTURE_BYTES, NULL);
    cr_expect_eq(n_removed, 0, "it fits");
    evict(2 * CAPTURE_BYTES + 5, NULL);
    cr_expect_eq(n_removed, 2);
    cr_expect(!is_there(1) && !is_there(0) && is_there(2) && is_there(3));
}

Test(captures, what_is_in_use_stays_and_what_is_not_whole_goes)
{
    for (unsigned i = 0; i < 3; i++) make_capture(i, true, 1000 + (time_t)i);
    make_capture(3, false, 0);
    evict(1, key_of(0));
    cr_expect_eq(n_removed, 3);
    cr_expect(is_there(0) && !is_there(1) && !is_there(2) && !is_there(3));
    make_capture(3, false, 0);
    evict(100 * CAPTURE_BYTES, key_of(3));
    cr_expect(is_there(3), "it is being written");
    evict(100 * CAPTURE_BYTES, NULL);
    cr_expect(is_there(0) && !is_there(3));
}

Test(captures, using_one_moves_it_to_the_front)
{
    make_capture(0, true, 1000);
    make_capture(1, true, 2000);
    captures_touch(data, key_of(0));
    captures_touch(data, key_of(2)); /* not there: nothing happens */
    evict(CAPTURE_BYTES, NULL);
    cr_expect(is_there(0) && !is_there(1) && !is_there(2));
}

Test(captures, one_that_cannot_be_removed_does_not_keep_the_others)
{
    char path[PATH_SIZE];
    make_capture(0, true, 1000);
    make_capture(1, true, 2000);
    (void)snprintf(path, sizeof path, "%s/captures/%s/folder", data, key_of(0));
    cr_assert_eq(file_make_directories(path, &err), ST_OK);
    cr_expect_eq(captures_evict(data, 1, is_used, NULL, &n_removed, &err), ST_IO);
    cr_expect(strstr(err.text, key_of(0)), "%s", err.text);
    cr_expect_eq(n_removed, 1);
    cr_expect(!is_there(1));
}
