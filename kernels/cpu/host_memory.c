#include "kernels/cpu/host_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIB = 1024, LINE_SIZE = 128 };

status_t memory_ledger_take(struct memory_ledger *ledger, size_t n_bytes, struct error *err)
{
    const size_t n_before = atomic_fetch_add(&ledger->n_used, n_bytes);
    if (!ledger->limit) return ST_OK;
    const size_t n_free = ledger->limit > n_before ? ledger->limit - n_before : 0;
    if (n_bytes <= n_free) return ST_OK;
    memory_ledger_give(ledger, n_bytes);
    return error_set(err, ST_NO_MEMORY, "%zu bytes on the device, %zu of %zu are free", n_bytes,
                     n_free, ledger->limit);
}

void memory_ledger_give(struct memory_ledger *ledger, size_t n_bytes)
{
    (void)atomic_fetch_sub(&ledger->n_used, n_bytes);
}

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

/* What a control group has left. Cached files count as used there, and go when memory is wanted. */
static size_t group_free(size_t limit, size_t used)
{
    static const char *const cached[] = {"inactive_file ", "active_file "};
    for (size_t i = 0; i < sizeof cached / sizeof cached[0]; i++) {
        const size_t n = read_number("/sys/fs/cgroup/memory.stat", cached[i]);
        if (n != SIZE_MAX) used = used > n ? used - n : 0;
    }
    return limit > used ? limit - used : 0;
}

static struct backend_memory system_memory(void)
{
    const size_t available = read_number("/proc/meminfo", "MemAvailable:");
    const size_t total = read_number("/proc/meminfo", "MemTotal:");
    const size_t group_limit = read_number("/sys/fs/cgroup/memory.max", "");
    const size_t group_used = read_number("/sys/fs/cgroup/memory.current", "");
    struct backend_memory memory = {0};
    if (available == SIZE_MAX || total == SIZE_MAX) return memory;
    memory = (struct backend_memory){available * KIB, total * KIB};
    if (group_limit == SIZE_MAX || group_used == SIZE_MAX) return memory;
    const size_t n_free = group_free(group_limit, group_used);
    if (n_free < memory.n_free) memory.n_free = n_free;
    if (group_limit < memory.n_total) memory.n_total = group_limit;
    return memory;
}

struct backend_memory host_memory(const struct memory_ledger *ledger)
{
    const struct backend_memory memory = system_memory();
    const size_t n_used = atomic_load(&ledger->n_used);
    if (!ledger->limit) return memory;
    const size_t n_free = ledger->limit > n_used ? ledger->limit - n_used : 0;
    return (struct backend_memory){
        .n_free = n_free < memory.n_free || !memory.n_total ? n_free : memory.n_free,
        .n_total = ledger->limit};
}
