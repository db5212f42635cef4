#include "kernels/plugin.h"

#include "kernels/selftest/op_selftest.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 16, MAX_DEVICES = 64 };

/* "cuda:1" -> "cuda", 1 */
static status_t parse_name(const char *text, char name[NAME_SIZE], size_t *device,
                           struct error *err)
{
    const size_t n = strcspn(text, ":");
    char *end = NULL;
    *device = 0;
    if (n < NAME_SIZE) {
        memcpy(name, text, n);
        name[n] = '\0';
        if (strcmp(name, "cuda") == 0 || strcmp(name, "emu") == 0) {
            if (!text[n]) return ST_OK;
            const unsigned long index = strtoul(text + n + 1, &end, 10);
            *device = index;
            if (text[n + 1] >= '0' && text[n + 1] <= '9' && !*end && index < MAX_DEVICES)
                return ST_OK;
        }
    }
    return error_set(err, ST_BAD_INPUT,
                     "backend '%s' is not auto, cpu, cuda, cuda:N (N below %d) or emu", text,
                     MAX_DEVICES);
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
        return error_set(err, ST_NOT_FOUND, "backend %s: there is no %s", name, path);
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

static status_t open_device(const char *name, size_t device, struct backend **out,
                            struct error *err)
{
    const struct backend_plugin *plugin = NULL;
    size_t n_devices = 0;
    status_t status = load_plugin(name, &plugin, err);
    if (status == ST_OK) status = plugin->probe(&n_devices, err);
    if (status != ST_OK) return status;
    if (device >= n_devices)
        return error_set(err, ST_BAD_INPUT, "backend %s:%zu: this machine has %zu", name, device,
                         n_devices);
    return plugin->open(out, device, err);
}

const char *backend_default_name(void)
{
    const char *name = getenv("INTERP_BACKEND");
    return name && *name ? name : "cpu";
}

status_t backend_open_untested(const char *name, struct backend **out, struct error *err)
{
    char library[NAME_SIZE];
    size_t device;
    if (strcmp(name, "cpu") == 0) return backend_open_cpu(out, err);
    if (strcmp(name, "auto") == 0)
        return open_device("cuda", 0, out, NULL) == ST_OK ? ST_OK : backend_open_cpu(out, err);
    const status_t status = parse_name(name, library, &device, err);
    return status == ST_OK ? open_device(library, device, out, err) : status;
}

status_t backend_open(const char *name, struct backend **out, struct error *err)
{
    struct backend *backend = NULL;
    status_t status = backend_open_untested(name, &backend, err);
    if (status == ST_OK && strcmp(backend->ops->name, "cpu") != 0)
        status = op_selftest_short(backend, err);
    if (status == ST_OK)
        *out = backend;
    else
        backend_close(&backend);
    return status;
}
