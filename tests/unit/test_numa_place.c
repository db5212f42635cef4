/* Where sysfs says that a device's node is, in a directory that stands for /sys. */
#define _GNU_SOURCE /* sched_getaffinity, CPU_SET */
#include "worker/device.h"
#include "worker/numa_place.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void write_file(const char *root, const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    cr_assert(file, "%s", full);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void make_root(char root[64])
{
    (void)snprintf(root, 64, "/tmp/interp-sysfs-XXXXXX");
    cr_assert(mkdtemp(root));
}

static void remove_root(const char *root)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    cr_expect_eq(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
}

static size_t first_processor(void)
{
    cpu_set_t processors;
    cr_assert_eq(sched_getaffinity(0, sizeof processors, &processors), 0);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &processors)) return i;
    return 0;
}

Test(numa_place, moves_to_the_processors_of_the_devices_node)
{
    char root[64], list[32];
    struct error err = {0};
    cpu_set_t after;
    int node;
    const size_t processor = first_processor();
    make_root(root);
    (void)snprintf(list, sizeof list, "%zu\n", processor);
    write_file(root, "bus/pci/devices/0000:3b:00.0/numa_node", "1\n");
    write_file(root, "devices/system/node/node1/cpulist", list);
    cr_assert_eq(numa_place_near(root, "0000:3b:00.0", &node, &err), ST_OK, "%s", err.text);
    cr_expect_eq(node, 1);
    cr_assert_eq(sched_getaffinity(0, sizeof after, &after), 0);
    cr_expect(CPU_COUNT(&after) == 1 && CPU_ISSET(processor, &after));
    remove_root(root);
}

Test(numa_place, does_nothing_where_nobody_knows)
{
    static const struct {
        const char *node, *list;
    } CASES[] = {{"-1\n", "0\n"}, {"", "0\n"}, {"0\n", "\n"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char root[64];
        int node = 7;
        make_root(root);
        write_file(root, "bus/pci/devices/0000:3b:00.0/numa_node", CASES[i].node);
        write_file(root, "devices/system/node/node0/cpulist", CASES[i].list);
        cr_expect_eq(numa_place_near(root, "0000:3b:00.0", &node, NULL), ST_OK);
        cr_expect_eq(node, NUMA_UNKNOWN, "case %zu", i);
        cr_expect_eq(numa_place_near(root, "0000:99:00.0", &node, NULL), ST_OK);
        cr_expect_eq(node, NUMA_UNKNOWN);
        cr_expect_eq(numa_place_near(root, "../x", &node, NULL), ST_OK);
        remove_root(root);
    }
}

Test(numa_place, a_list_that_is_none_is_named)
{
    static const char *const LISTS[] = {"x\n", "3-1\n", "0-\n", "0-99999\n"};
    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++) {
        char root[64];
        struct error err = {0};
        int node;
        make_root(root);
        write_file(root, "bus/pci/devices/0000:3b:00.0/numa_node", "0");
        write_file(root, "devices/system/node/node0/cpulist", LISTS[i]);
        cr_expect_eq(numa_place_near(root, "0000:3b:00.0", &node, &err), ST_CORRUPT, "%s",
                     LISTS[i]);
        cr_expect(strstr(err.text, "node0/cpulist is no list of processors"), "%s", err.text);
        remove_root(root);
    }
}

Test(device, memory_is_bytes_or_a_number_with_a_unit)
{
    static const struct {
        const char *text;
        size_t n_bytes; /* 0: refused */
    } CASES[] = {{"1", 1},
                 {"65536", 65536},
                 {"2KiB", 2048},
                 {"1.5MiB", 1572864},
                 {"80GiB", 80ull << 30},
                 {"1TiB", 1ull << 40},
                 {"", 0},
                 {"0", 0},
                 {"-1", 0},
                 {"3GB", 0},
                 {"GiB", 0},
                 {"1e300", 0},
                 {"nan", 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        size_t n_bytes = 0;
        const status_t status = device_parse_bytes(CASES[i].text, &n_bytes, NULL);
        cr_expect_eq(status, CASES[i].n_bytes ? ST_OK : ST_BAD_INPUT, "'%s'", CASES[i].text);
        cr_expect_eq(n_bytes, CASES[i].n_bytes, "'%s': %zu", CASES[i].text, n_bytes);
    }
}
