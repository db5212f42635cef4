#include "kernels/plugin.h"

#include "kernels/selftest/op_selftest.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { NAME_SIZE = 16, MAX_DEVICES = 64, MAX_INDEX_DIGITS = 3 };

/* What follows "GPU-", or "MIG-" of a part of a device. */
static const char *digits_of(const char *uuid)
{
    const bool is_named = strncmp(uuid, "GPU-", 4) == 0 || strncmp(uuid, "MIG-", 4) == 0;
    return is_named ? uuid + 4 : uuid;
}

/* An index, or the beginning of a UUID: "GPU-5d1e2f...", "MIG-5d1e2f..." or "5d1e2f...". */
static bool is_device_name(const char *text)
{
    text = digits_of(text);
    return *text && strspn(text, "0123456789abcdefABCDEF-") == strlen(text);
}

/* "cuda:1" -> "cuda", "1"; which is "" for "cuda". */
static status_t parse_name(const char *text, char name[NAME_SIZE], const char **which,
                           struct error *err)
{
    const size_t n = strcspn(text, ":");
    if (n < NAME_SIZE) {
        memcpy(name, text, n);
        name[n] = '\0';
        *which = text + n + (text[n] ? 1 : 0);
        if ((!text[n] || is_device_name(*which)) &&
            (strcmp(name, "cuda") == 0 || strcmp(name, "emu") == 0))
            return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT,
                     "backend '%s' is not auto, cpu, cuda, cuda:N (N below %d), cuda:UUID or emu",
                     text, MAX_DEVICES);
}

static status_t library_path(const char *name, char path[PATH_MAX], struct error *err)
{
    const char *directory = getenv("INTERP_PLUGIN_DIR");
    char program[PATH_MAX] = "";
    if (!directory || !*directory) {
        const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
        if (n <= 0) return error_set(err, ST_IO, "the program's own path cannot be read");
        program[n] = '\0';
        *strrchr(program, '/') = '\0';
        directory = program;
    }
    if (snprintf(path, PATH_MAX, "%s/libinterp_%s.so", directory, name) >= PATH_MAX)
        return error_set(err, ST_TOO_LARGE, "the path of libinterp_%s.so", name);
    if (access(path, R_OK) != 0)
        return error_set(err, ST_NOT_FOUND,
                         "backend %s: there is no %s ('make %s' builds it; it belongs beside the "
                         "program, or where INTERP_PLUGIN_DIR says)",
                         name, path, strcmp(name, "emu") == 0 ? "emulator" : name);
    return ST_OK;
}

static status_t check_plugin(const struct backend_plugin *plugin, const char *path,
                             struct error *err)
{
    if (plugin->abi_version != BACKEND_ABI_VERSION)
        return error_set(err, ST_UNSUPPORTED, "%s has ABI version %u, this program %d", path,
                         (unsigned)plugin->abi_version, BACKEND_ABI_VERSION);
    if (plugin->ops_bytes != sizeof(struct backend_ops))
        return error_set(err, ST_UNSUPPORTED,
                         "%s is of another build (operations of %u bytes, here %zu)", path,
                         (unsigned)plugin->ops_bytes, sizeof(struct backend_ops));
    return ST_OK;
}

static status_t load_plugin(const char *name, const struct backend_plugin **out, struct error *err)
{
    char path[PATH_MAX];
    status_t status = library_path(name, path, err);
    if (status != ST_OK) return status;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return error_set(err, ST_UNSUPPORTED, "backend %s: %s", name, dlerror());
    const struct backend_plugin *plugin = dlsym(library, BACKEND_PLUGIN_SYMBOL);
    if (!plugin)
        return error_set(err, ST_UNSUPPORTED, "%s exports no %s", path, BACKEND_PLUGIN_SYMBOL);
    status = check_plugin(plugin, path, err);
    if (status == ST_OK) *out = plugin;
    return status;
}

/* The device whose UUID begins with `prefix`; 16 bytes that are different for all of them, so that
 * "GPU-" and "MIG-" tell nothing more. */
static status_t find_uuid(const struct backend_plugin *plugin, const char *prefix, size_t n_devices,
                          size_t *out, struct error *err)
{
    size_t n_found = 0;
    for (size_t i = 0; i < n_devices; i++) {
        struct backend_place place;
        const status_t status = plugin->identify(i, &place, err);
        if (status != ST_OK) return status;
        const char *wanted = digits_of(prefix);
        if (strncasecmp(digits_of(place.uuid), wanted, strlen(wanted)) != 0) continue;
        *out = i;
        n_found++;
    }
    if (n_found == 1) return ST_OK;
    return error_set(err, ST_NOT_FOUND, "backend %s:%s: %zu of the %zu devices here have that UUID",
                     plugin->name, prefix, n_found, n_devices);
}

static status_t refuse_index(const char *name, const char *which, size_t n_devices,
                             struct error *err)
{
    if (n_devices == 1)
        return error_set(err, ST_NOT_FOUND, "backend %s:%s: this machine has 1 device, %s:0", name,
                         which, name);
    return error_set(err, ST_NOT_FOUND,
                     "backend %s:%s: this machine has %zu devices, %s:0 to %s:%zu", name, which,
                     n_devices, name, name, n_devices - 1);
}

static status_t find_device(const struct backend_plugin *plugin, const char *which,
                            size_t n_devices, size_t *out, struct error *err)
{
    char *end = NULL;
    *out = 0;
    if (!*which) return ST_OK;
    const unsigned long index = strtoul(which, &end, 10);
    if (which[0] < '0' || which[0] > '9' || *end || strlen(which) > MAX_INDEX_DIGITS)
        return find_uuid(plugin, which, n_devices, out, err);
    if (index >= n_devices) return refuse_index(plugin->name, which, n_devices, err);
    *out = index;
    return ST_OK;
}

/* Libraries, drivers and devices that this build cannot use are as good as none. */
static status_t as_absent(status_t status, struct error *err)
{
    if (status != ST_UNSUPPORTED) return status;
    if (err && err->status == ST_UNSUPPORTED) err->status = ST_NOT_FOUND;
    return ST_NOT_FOUND;
}

static status_t open_device(const char *name, const char *which, struct backend **out,
                            struct error *err)
{
    const struct backend_plugin *plugin = NULL;
    size_t n_devices = 0, device = 0;
    status_t status = load_plugin(name, &plugin, err);
    if (status == ST_OK) status = plugin->probe(&n_devices, err);
    if (status == ST_OK) status = find_device(plugin, which, n_devices, &device, err);
    if (status == ST_OK) status = plugin->open(out, device, err);
    return as_absent(status, err);
}

const char *backend_default_name(void)
{
    const char *name = getenv("INTERP_BACKEND");
    return name && *name ? name : "cpu";
}

static status_t open_named(const char *name, struct backend **out, struct error *why,
                           struct error *err)
{
    char library[NAME_SIZE];
    const char *which;
    error_clear(why);
    if (strcmp(name, "cpu") == 0) return backend_open_cpu(out, err);
    if (strcmp(name, "auto") == 0)
        return open_device("cuda", "", out, why) == ST_OK ? ST_OK : backend_open_cpu(out, err);
    const status_t status = parse_name(name, library, &which, err);
    return status == ST_OK ? open_device(library, which, out, err) : status;
}

status_t backend_open_untested(const char *name, struct backend **out, struct error *why,
                               struct error *err)
{
    return open_named(name, out, why, err);
}

status_t backend_devices(const char *name, struct backend_place *out, size_t cap, size_t *n,
                         struct error *err)
{
    const struct backend_plugin *plugin = NULL;
    char library[NAME_SIZE];
    const char *which;
    status_t status = parse_name(name, library, &which, err);
    if (status == ST_OK) status = load_plugin(library, &plugin, err);
    if (status == ST_OK) status = plugin->probe(n, err);
    for (size_t i = 0; status == ST_OK && i < *n && i < cap; i++)
        status = plugin->identify(i, &out[i], err);
    return as_absent(status, err);
}

status_t backend_open_saying(const char *name, struct backend **out, struct error *why,
                             struct error *err)
{
    struct backend *backend = NULL;
    status_t status = open_named(name, &backend, why, err);
    if (status == ST_OK && strcmp(backend->ops->name, "cpu") != 0)
        status = as_absent(op_selftest_short(backend, err), err);
    if (status == ST_OK)
        *out = backend;
    else
        backend_close(&backend);
    return status;
}

status_t backend_open(const char *name, struct backend **out, struct error *err)
{
    struct error why = {0};
    return backend_open_saying(name, out, &why, err);
}
