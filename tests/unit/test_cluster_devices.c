/* How many devices a worker's program names: programs of the test's own say what drivers and
 * workers say. */
#include "coordinator/cli/cluster_devices.h"

#include "tests/unit/file_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char program_name[] = "interp-worker";
static char directory[FILE_TREE_ROOT_SIZE], program[128];

static void make_directory(void)
{
    file_tree_make(directory);
    (void)snprintf(program, sizeof program, "%s/%s", directory, program_name);
}

static void remove_directory(void)
{
    file_tree_remove(directory);
}

TestSuite(cluster_devices, .init = make_directory, .fini = remove_directory);

/* The program, from now on. */
static void write_program(const char *body)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    file_tree_write(directory, program_name, text);
    cr_assert_eq(chmod(program, 0700), 0);
}

static size_t count_of(const char *backend)
{
    struct error err = {.status = ST_OK};
    size_t n = 99;
    cr_assert_eq(cluster_count_devices(program, backend, &n, &err), ST_OK, "%s", err.text);
    return n;
}

Test(cluster_devices, are_the_lines_that_name_them)
{
    write_program("echo 'cuda:0 GPU-1 0000:01:00.0 85899345920 H100'\n"
                  "echo 'cuda:1 GPU-2 0000:02:00.0 85899345920 H100'\n"
                  "printf 'cuda:2 GPU-3 0000:03:00.0 85899345920 H100'");
    cr_expect_eq(count_of("cuda"), 3, "the last line needs no end");
    write_program("true");
    cr_expect_eq(count_of("cuda"), 0);
}

/* On both outputs, and with the backend's name in front. */
Test(cluster_devices, what_a_driver_says_is_none)
{
    write_program("echo 'cuda driver 12.4: persistence mode is off' >&2\n"
                  "echo 'cuda: 1 device is in use'\n"
                  "echo 'cudart: hello'\n"
                  "echo\n"
                  "echo 'cuda:0 GPU-1 0000:01:00.0 85899345920 H100'");
    cr_expect_eq(count_of("cuda"), 1);
}

Test(cluster_devices, are_asked_for_by_backend)
{
    write_program("[ \"$1 $2 $#\" = 'devices --backend 3' ] || exit 2\necho \"$3:0 uuid\"");
    cr_expect_eq(count_of("emu"), 1);
    cr_expect_eq(count_of("cuda"), 1);
}

/* More than is kept: read to its end all the same, or the program would die of it. */
Test(cluster_devices, are_counted_however_much_is_said)
{
    write_program("echo 'cuda:0 GPU-1'\nhead -c 300000 /dev/zero | tr '\\0' x\nexit $?");
    cr_expect_eq(count_of("cuda"), 1);
}

Test(cluster_devices, a_failure_is_told_in_the_workers_words)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        {"echo 'driver: loading' >&2\necho 'interp-worker devices: cuda: no driver' >&2\nexit 2",
         "interp-worker devices: cuda: no driver"},
        {"echo 'error while loading shared libraries' >&2\necho more\nexit 127",
         "error while loading shared libraries"},
        {"exit 1", "interp-worker devices failed"},
        {"echo 'cuda:0 GPU-1'\nkill -9 $$", "cuda:0 GPU-1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {.status = ST_OK};
        size_t n = 99;
        write_program(cases[i].body);
        cr_expect_eq(cluster_count_devices(program, "cuda", &n, &err), ST_UNSUPPORTED);
        cr_expect_str_eq(err.text, cases[i].want);
        cr_expect_eq(n, 0);
    }
    struct error err = {.status = ST_OK};
    size_t n = 99;
    cr_assert_eq(unlink(program), 0);
    cr_expect_eq(cluster_count_devices(program, "cuda", &n, &err), ST_UNSUPPORTED, "no program");
    cr_expect_eq(n, 0);
}

/* Whatever this machine has: nobody is asked unless a backend with devices is wanted. */
Test(cluster_devices, are_looked_for_where_a_backend_has_some)
{
    static const char *const none[] = {NULL, "", "cpu", "cud", "cuda:0", "AUTO"};
    char backend[CLUSTER_BACKEND_SIZE];
    struct error why = {.status = ST_OK}, err = {.status = ST_OK};
    size_t n;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        n = 99;
        cr_expect_eq(cluster_find_devices(none[i], backend, &n, &why, &err), ST_OK);
        cr_expect(n == 0 && backend[0] == '\0', "%s", none[i] ? none[i] : "unset");
    }
    cr_expect_eq(cluster_find_devices("auto", backend, &n, &why, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(backend, n ? "cuda" : "");
    cr_expect(n || why.text[0], "it says why there is none");
}

Test(cluster_devices, have_names_that_are_told_from_others)
{
    static const char *const good[] = {"auto",   "cpu",   "cuda",         "emu",
                                       "cuda:0", "emu:1", "cuda:GPU-8a1b"};
    static const char *const bad[] = {"", "gpu", "CPU", "cuda:", "cpu:0", "cudart", "auto:0"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(cluster_is_backend(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect(!cluster_is_backend(bad[i]), "%s", bad[i]);
}
