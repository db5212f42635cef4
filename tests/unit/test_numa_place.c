/* Where sysfs says that a device's node is, in a directory that stands for /sys. */
#define _GNU_SOURCE /* sched_getaffinity, CPU_SET */
#include "tests/unit/file_tree.h"
#include "worker/device.h"
#include "worker/numa_place.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

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
    char root[FILE_TREE_ROOT_SIZE], list[32];
    struct error err = {0};
    cpu_set_t before, after;
    struct numa_place place;
    const size_t processor = first_processor();
    file_tree_make(root);
    (void)snprintf(list, sizeof list, "%zu\n", processor);
    file_tree_write(root, "bus/pci/devices/0000:3b:00.0/numa_node", "1\n");
    file_tree_write(root, "devices/system/node/node1/cpulist", list);
    cr_assert_eq(sched_getaffinity(0, sizeof before, &before), 0);
    cr_assert_eq(numa_place_near(root, "0000:3b:00.0", &place, &err), ST_OK, "%s", err.text);
    cr_expect_eq(place.node, 1);
    cr_assert_eq(sched_getaffinity(0, sizeof after, &after), 0);
    cr_expect(CPU_COUNT(&after) == 1 && CPU_ISSET(processor, &after));
    numa_place_return(&place);
    cr_assert_eq(sched_getaffinity(0, sizeof after, &after), 0);
    cr_expect(CPU_EQUAL(&before, &after));
    cr_expect_eq(place.node, NUMA_UNKNOWN);
    file_tree_remove(root);
}

/* As serve.c and inspect do when "auto" leaves a device that is too small. */
Test(numa_place, a_device_that_is_closed_gives_all_processors_back)
{
    char root[FILE_TREE_ROOT_SIZE], list[32];
    struct error err = {0};
    cpu_set_t before, during, after;
    struct backend *backend = NULL;
    struct device_notes notes;
    file_tree_make(root);
    (void)snprintf(list, sizeof list, "%zu\n", first_processor());
    file_tree_write(root, "bus/pci/devices/0000:01:00.0/numa_node",
                    "0\n"); /* the emulator's first */
    file_tree_write(root, "devices/system/node/node0/cpulist", list);
    const struct device_options options = {.backend = "emu", .sysfs = root};
    cr_assert_eq(sched_getaffinity(0, sizeof before, &before), 0);
    cr_assert_eq(device_open(&backend, &options, &notes, &err), ST_OK, "%s", err.text);
    cr_assert_eq(sched_getaffinity(0, sizeof during, &during), 0);
    cr_expect(CPU_COUNT(&during) == 1 && notes.place.node == 0);
    device_close(&backend, &notes);
    cr_assert_eq(sched_getaffinity(0, sizeof after, &after), 0);
    cr_expect(CPU_EQUAL(&before, &after));
    cr_expect_null(backend);
    file_tree_remove(root);
}

Test(numa_place, does_nothing_where_nobody_knows)
{
    static const struct {
        const char *node, *list;
    } CASES[] = {{"-1\n", "0\n"}, {"", "0\n"}, {"0\n", "\n"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char root[FILE_TREE_ROOT_SIZE];
        struct numa_place place = {.node = 7};
        file_tree_make(root);
        file_tree_write(root, "bus/pci/devices/0000:3b:00.0/numa_node", CASES[i].node);
        file_tree_write(root, "devices/system/node/node0/cpulist", CASES[i].list);
        cr_expect_eq(numa_place_near(root, "0000:3b:00.0", &place, NULL), ST_OK);
        cr_expect_eq(place.node, NUMA_UNKNOWN, "case %zu", i);
        cr_expect_eq(numa_place_near(root, "0000:99:00.0", &place, NULL), ST_OK);
        cr_expect_eq(place.node, NUMA_UNKNOWN);
        cr_expect_eq(numa_place_near(root, "../x", &place, NULL), ST_OK);
        file_tree_remove(root);
    }
}

Test(numa_place, a_list_that_is_none_is_named)
{
    static const char *const LISTS[] = {"x\n", "3-1\n", "0-\n", "0-99999\n"};
    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++) {
        char root[FILE_TREE_ROOT_SIZE];
        struct error err = {0};
        struct numa_place place;
        file_tree_make(root);
        file_tree_write(root, "bus/pci/devices/0000:3b:00.0/numa_node", "0");
        file_tree_write(root, "devices/system/node/node0/cpulist", LISTS[i]);
        cr_expect_eq(numa_place_near(root, "0000:3b:00.0", &place, &err), ST_CORRUPT, "%s",
                     LISTS[i]);
        cr_expect(strstr(err.text, "node0/cpulist is no list of processors"), "%s", err.text);
        file_tree_remove(root);
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
