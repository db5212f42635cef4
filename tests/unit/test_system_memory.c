/* Limits of control groups, in a folder that stands for /. */
#include "kernels/cpu/host_memory.h"
#include "kernels/cpu/system_memory.h"
#include "tests/unit/file_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char MEMINFO[] = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    900 kB\n";
enum { TOTAL = 1000 * 1024, AVAILABLE = 900 * 1024, N_FILES = 8 };

struct group_case {
    const char *what, *cgroup;
    const char *files[N_FILES][2]; /* below /sys/fs/cgroup: path and text */
    size_t n_free, n_total;
};

static const struct group_case CASES[] = {
    {"no group", NULL, {{0}}, AVAILABLE, TOTAL},
    {"v2: the group of a container is the mount",
     "0::/\n",
     {{"memory.max", "500000\n"}, {"memory.current", "200000\n"}},
     300000,
     500000},
    {"v2: its own group, not the mount's",
     "0::/a/b\n",
     {{"a/b/memory.max", "400000\n"},
      {"a/b/memory.current", "100000\n"},
      {"a/b/memory.stat", "anon 1\ninactive_file 30000\nactive_file 20000\n"},
      {"other/memory.max", "10\n"},
      {"other/memory.current", "1\n"}},
     350000,
     400000},
    {"v2: the smallest limit is above it",
     "0::/a/b/c\n",
     {{"a/b/c/memory.max", "max\n"},
      {"a/b/c/memory.current", "7\n"},
      {"a/b/memory.max", "600000\n"},
      {"a/b/memory.current", "500000\n"},
      {"a/memory.max", "450000\n"},
      {"a/memory.current", "50000\n"}},
     100000,  /* what is left of the one, */
     450000}, /* the limit of the other */
    {"v2: a limit over what the system has says nothing",
     "0::/a\n",
     {{"a/memory.max", "99000000\n"}, {"a/memory.current", "5\n"}},
     AVAILABLE,
     TOTAL},
    {"v2: a group out of sight",
     "0::/../../elsewhere\n",
     {{"memory.max", "500000\n"}, {"memory.current", "0\n"}},
     500000,
     500000},
    {"v1: the controller's own folder",
     "12:pids:/x\n5:cpu,memory:/docker/1\n1:name=systemd:/y\n",
     {{"memory/docker/1/memory.limit_in_bytes", "400000\n"},
      {"memory/docker/1/memory.usage_in_bytes", "300000\n"},
      {"memory/docker/1/memory.stat", "inactive_file 1\ntotal_inactive_file 50000\n"}},
     150000,
     400000},
    {"v1: the folder is out of sight, the mount is the container's",
     "5:memory:/docker/1\n",
     {{"memory/memory.limit_in_bytes", "400000\n"}, {"memory/memory.usage_in_bytes", "100000\n"}},
     300000,
     400000},
    {"v1: no limit is a large number",
     "5:memory:/\n",
     {{"memory/memory.limit_in_bytes", "9223372036854771712\n"},
      {"memory/memory.usage_in_bytes", "100000\n"}},
     AVAILABLE,
     TOTAL},
    {"both mounted: v2 has a folder of its own",
     "0::/a\n",
     {{"unified/a/memory.max", "300000\n"}, {"unified/a/memory.current", "0\n"}},
     300000,
     300000},
    {"a controller that only begins like it",
     "5:memoryless,cpu:/\n",
     {{"memory/memory.limit_in_bytes", "400000\n"}, {"memory/memory.usage_in_bytes", "1\n"}},
     AVAILABLE,
     TOTAL},
    {"more in use than allowed",
     "0::/a\n",
     {{"a/memory.max", "1000\n"}, {"a/memory.current", "2000\n"}},
     0,
     1000},
};

Test(system_memory, the_least_of_all_groups_above_counts)
{
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const struct group_case *c = &CASES[i];
        char root[FILE_TREE_ROOT_SIZE], path[128];
        file_tree_make(root);
        file_tree_write(root, "proc/meminfo", MEMINFO);
        if (c->cgroup) file_tree_write(root, "proc/self/cgroup", c->cgroup);
        for (size_t k = 0; k < N_FILES && c->files[k][0]; k++) {
            (void)snprintf(path, sizeof path, "sys/fs/cgroup/%s", c->files[k][0]);
            file_tree_write(root, path, c->files[k][1]);
        }
        const struct backend_memory memory = system_memory(root);
        cr_expect_eq(memory.n_free, c->n_free, "%s: %zu are free", c->what, memory.n_free);
        cr_expect_eq(memory.n_total, c->n_total, "%s: of %zu", c->what, memory.n_total);
        file_tree_remove(root);
    }
}

Test(system_memory, nothing_is_known_without_meminfo)
{
    char root[FILE_TREE_ROOT_SIZE];
    file_tree_make(root);
    file_tree_write(root, "proc/self/cgroup", "0::/\n");
    cr_expect_eq(system_memory(root).n_total, 0);
    cr_expect_eq(system_memory(root).n_free, 0);
    file_tree_remove(root);
}

/* --- the ledger ---------------------------------------------------------------------------- */

Test(memory_ledger, is_looked_at_before_anything_is_added)
{
    struct memory_ledger limited = {.limit = 1000}, unlimited = {.limit = 0};
    struct error err = {0};
    cr_expect_eq(memory_ledger_take(&limited, 600, &err), ST_OK);
    cr_expect_eq(memory_ledger_take(&limited, SIZE_MAX - 100, &err), ST_NO_MEMORY);
    cr_expect(strstr(err.text, "400 of 1000 are free"), "%s", err.text);
    cr_expect_eq(atomic_load(&limited.n_used), 600);
    cr_expect_eq(memory_ledger_take(&limited, 400, NULL), ST_OK);
    cr_expect_eq(memory_ledger_take(&limited, 1, NULL), ST_NO_MEMORY);
    cr_expect_eq(memory_ledger_take(&unlimited, SIZE_MAX - 10, NULL), ST_OK);
    cr_expect_eq(memory_ledger_take(&unlimited, 11, NULL), ST_NO_MEMORY, "the sum would wrap");
    cr_expect_eq(atomic_load(&unlimited.n_used), SIZE_MAX - 10);
}
