#define _GNU_SOURCE /* sched_setaffinity, CPU_SET */
#include "worker/numa_place.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_SIZE = 4096 };

/* The first line of a file; false if there is none. */
static bool read_line(const char *path, char line[LIST_SIZE])
{
    FILE *file = fopen(path, "r");
    if (!file) return false;
    const bool is_read = fgets(line, LIST_SIZE, file) != NULL;
    (void)fclose(file);
    return is_read;
}

static int node_of(const char *sysfs, const char *pci)
{
    char path[PATH_MAX], line[LIST_SIZE];
    char *end;
    if (!pci[0] || strchr(pci, '/')) return NUMA_UNKNOWN;
    if (snprintf(path, sizeof path, "%s/bus/pci/devices/%s/numa_node", sysfs, pci) >=
            (int)sizeof path ||
        !read_line(path, line))
        return NUMA_UNKNOWN;
    const long node = strtol(line, &end, 10);
    return end != line && node >= 0 && node < INT_MAX ? (int)node : NUMA_UNKNOWN;
}

/* "0-3,8,10-11" */
static bool parse_list(const char *text, cpu_set_t *out)
{
    CPU_ZERO(out);
    while (*text && *text != '\n') {
        char *end;
        const unsigned long low = strtoul(text, &end, 10);
        unsigned long high = low;
        if (end == text) return false;
        if (*end == '-') {
            text = end + 1;
            high = strtoul(text, &end, 10);
            if (end == text) return false;
        }
        if (high < low || high >= CPU_SETSIZE) return false;
        for (unsigned long cpu = low; cpu <= high; cpu++) CPU_SET(cpu, out);
        if (*end == ',') end++;
        text = end;
    }
    return CPU_COUNT(out) > 0;
}

/* Onto those of the processors on which the thread may run anyway: a place is a matter of speed,
 * never of starting. */
static bool move_to(cpu_set_t *processors, struct numa_place *place)
{
    cpu_set_t allowed;
    _Static_assert(sizeof allowed == NUMA_SET_BYTES, "a set of processors");
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
    CPU_AND(processors, processors, &allowed);
    if (CPU_COUNT(processors) == 0 || sched_setaffinity(0, sizeof *processors, processors) != 0)
        return false;
    memcpy(place->before, &allowed, sizeof allowed);
    return true;
}

status_t numa_place_near(const char *sysfs, const char *pci, struct numa_place *place,
                         struct error *err)
{
    char path[PATH_MAX], line[LIST_SIZE];
    cpu_set_t processors;
    const int node = node_of(sysfs, pci);
    *place = (struct numa_place){.node = NUMA_UNKNOWN};
    if (node == NUMA_UNKNOWN) return ST_OK;
    if (snprintf(path, sizeof path, "%s/devices/system/node/node%d/cpulist", sysfs, node) >=
            (int)sizeof path ||
        !read_line(path, line) || line[0] == '\n')
        return ST_OK; /* a node without processors */
    if (!parse_list(line, &processors))
        return error_set(err, ST_CORRUPT, "%s is no list of processors", path);
    if (move_to(&processors, place)) place->node = node;
    return ST_OK;
}

void numa_place_return(struct numa_place *place)
{
    cpu_set_t before;
    memcpy(&before, place->before, sizeof before);
    if (place->node != NUMA_UNKNOWN) (void)sched_setaffinity(0, sizeof before, &before);
    place->node = NUMA_UNKNOWN;
}
