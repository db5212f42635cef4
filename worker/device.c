#include "worker/device.h"

#include "kernels/plugin.h"
#include "worker/numa_place.h"

#include <stdlib.h>
#include <string.h>

static const char SYSFS[] = "/sys";

status_t device_parse_bytes(const char *text, size_t *out, struct error *err)
{
    static const struct {
        const char *name;
        double n_bytes;
    } UNITS[] = {{"", 1}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    static const double MOST = 0x1p50;
    char *end;
    const double number = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof UNITS / sizeof UNITS[0]; i++) {
        const double n_bytes = number * UNITS[i].n_bytes;
        if (strcmp(end, UNITS[i].name) != 0) continue;
        if (!(n_bytes >= 1 && n_bytes <= MOST)) break;
        *out = (size_t)n_bytes;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT,
                     "device memory '%s' is no number of bytes, KiB, MiB, GiB or TiB", text);
}

static status_t limit(struct backend *backend, const char *memory, struct error *err)
{
    size_t n_bytes;
    if (!memory || !*memory) return ST_OK;
    const status_t status = device_parse_bytes(memory, &n_bytes, err);
    if (status == ST_OK) backend->ops->limit_memory(backend, n_bytes);
    return status;
}

static status_t place_near(const struct backend *backend, const char *sysfs,
                           struct numa_place *place, struct error *err)
{
    if (!backend->ops->place) return ST_OK;
    return numa_place_near(sysfs ? sysfs : SYSFS, backend->ops->place(backend)->pci, place, err);
}

status_t device_open(struct backend **out, const struct device_options *options,
                     struct device_notes *notes, struct error *err)
{
    const char *name = options->backend ? options->backend : backend_default_name();
    const char *memory = options->memory ? options->memory : getenv("INTERP_DEVICE_MEMORY");
    struct backend *backend = NULL;
    notes->place.node = NUMA_UNKNOWN;
    status_t status = backend_open_saying(name, &backend, &notes->why_cpu, err);
    if (status == ST_OK) status = limit(backend, memory, err);
    if (status == ST_OK) status = place_near(backend, options->sysfs, &notes->place, err);
    if (status == ST_OK)
        *out = backend;
    else
        backend_close(&backend);
    return status;
}

void device_close(struct backend **backend, struct device_notes *notes)
{
    backend_close(backend);
    numa_place_return(&notes->place);
}
