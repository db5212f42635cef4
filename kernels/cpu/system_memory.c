#include "kernels/cpu/system_memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIB = 1024, LINE_SIZE = PATH_MAX };

/* What a version calls its files, and what may go when memory is wanted: cached files count as
 * used. */
struct group_version {
    const char *mount, *limit, *used;
    const char *cached[2]; /* keys of memory.stat */
};
static const struct group_version V1 = {"/sys/fs/cgroup/memory",
                                        "memory.limit_in_bytes",
                                        "memory.usage_in_bytes",
                                        {"total_inactive_file ", "total_active_file "}};
static const struct group_version V2 = {
    "/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file ", "active_file "}};
/* Where v1 and v2 are both mounted, v2 has a folder of its own. */
static const struct group_version V2_BESIDE_V1 = {
    "/sys/fs/cgroup/unified", "memory.max", "memory.current", {"inactive_file ", "active_file "}};

/* The number behind `key` in a file of lines "key N ..."; `key` "": the first number. SIZE_MAX:
 * none ("max" in a control group's file). */
static size_t read_number(const char *path, const char *key)
{
    char line[LINE_SIZE];
    size_t number = SIZE_MAX;
    FILE *file = fopen(path, "r");
    if (!file) return SIZE_MAX;
    while (number == SIZE_MAX && fgets(line, sizeof line, file)) {
        char *end, *text = line + strlen(key);
        if (strncmp(line, key, strlen(key)) != 0) continue;
        const unsigned long long value = strtoull(text, &end, 10);
        if (end != text) number = (size_t)value;
    }
    (void)fclose(file);
    return number;
}

static size_t read_in(const char *folder, const char *file, const char *key)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path) return SIZE_MAX;
    return read_number(path, key);
}

/* One group's limit and what is left of it, where they are less than what `memory` says. */
static void narrow_to_group(struct backend_memory *memory, const char *folder,
                            const struct group_version *version)
{
    const size_t limit = read_in(folder, version->limit, "");
    size_t used = read_in(folder, version->used, "");
    if (limit == SIZE_MAX || used == SIZE_MAX) return;
    for (size_t i = 0; i < sizeof version->cached / sizeof version->cached[0]; i++) {
        const size_t n = read_in(folder, "memory.stat", version->cached[i]);
        if (n != SIZE_MAX) used = used > n ? used - n : 0;
    }
    const size_t n_free = limit > used ? limit - used : 0;
    if (n_free < memory->n_free) memory->n_free = n_free;
    if (limit < memory->n_total) memory->n_total = limit;
}

/* The group and all above it. */
static void narrow_to_groups(struct backend_memory *memory, const char *root, const char *group,
                             const struct group_version *version)
{
    char folder[PATH_MAX];
    /* outside of what this process' namespace shows: all it sees is the mount */
    if (strstr(group, "/..")) group = "";
    const int n_mount = snprintf(folder, sizeof folder, "%s%s", root, version->mount);
    if (n_mount < 0 || (size_t)n_mount + strlen(group) >= sizeof folder) return;
    memcpy(folder + n_mount, group, strlen(group) + 1);
    for (char *end = folder + strlen(folder); end > folder + n_mount;) {
        *end = '\0';
        narrow_to_group(memory, folder, version);
        while (end > folder + n_mount && *--end != '/') continue;
    }
    folder[n_mount] = '\0';
    narrow_to_group(memory, folder, version);
}

/* True of "cpu,memory" and the like. */
static bool has_memory(const char *controllers)
{
    static const char MEMORY[] = "memory";
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strcspn(at, ",") == sizeof MEMORY - 1 && strncmp(at, MEMORY, sizeof MEMORY - 1) == 0)
            return true;
    }
    return false;
}

/* "5:cpu,memory:/user.slice" */
static void read_group_line(struct backend_memory *memory, const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return;
    *group++ = '\0';
    controllers++;
    if (!*controllers) {
        narrow_to_groups(memory, root, group, &V2);
        narrow_to_groups(memory, root, group, &V2_BESIDE_V1);
    } else if (has_memory(controllers)) {
        narrow_to_groups(memory, root, group, &V1);
    }
}

struct backend_memory system_memory(const char *root)
{
    char proc[PATH_MAX], line[LINE_SIZE];
    if (snprintf(proc, sizeof proc, "%s/proc", root) >= (int)sizeof proc)
        return (struct backend_memory){0};
    const size_t available = read_in(proc, "meminfo", "MemAvailable:");
    const size_t total = read_in(proc, "meminfo", "MemTotal:");
    if (available == SIZE_MAX || total == SIZE_MAX) return (struct backend_memory){0};
    struct backend_memory memory = {available * KIB, total * KIB};
    if (snprintf(proc, sizeof proc, "%s/proc/self/cgroup", root) >= (int)sizeof proc) return memory;
    FILE *file = fopen(proc, "r");
    if (!file) return memory;
    while (fgets(line, sizeof line, file)) read_group_line(&memory, root, line);
    (void)fclose(file);
    return memory;
}
