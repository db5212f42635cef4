#include "worker/devices_command.h"

#include "kernels/plugin.h"
#include "worker/arguments.h"

#include <stdio.h>

enum { MAX_DEVICES = 64 };

static const char SUMMARY[] = "Devices: index, UUID, PCI address, bytes of memory, name.";

static status_t print_devices(const char *backend, struct error *err)
{
    struct backend_place places[MAX_DEVICES];
    size_t n = 0;
    const status_t status = backend_devices(backend, places, MAX_DEVICES, &n, err);
    for (size_t i = 0; status == ST_OK && i < n && i < MAX_DEVICES; i++)
        (void)printf("%s:%zu %s %s %zu %s\n", backend, places[i].index, places[i].uuid,
                     places[i].pci, places[i].n_total, places[i].name);
    return status;
}

int devices_command(int argc, char **argv)
{
    const char *backend = NULL;
    const struct argument table[] = {
        {.name = "--backend", .value = "NAME", .help = "cuda (default) or emu", .text = &backend}};
    struct error err = {0};
    bool is_help;
    status_t status = arguments_parse(table, 1, argc, argv, &is_help, &err);
    if (is_help) arguments_print_help("devices", SUMMARY, table, 1);
    if (status == ST_OK && !is_help) status = print_devices(backend ? backend : "cuda", &err);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker devices: %s\n", err.text);
    return status_exit_code(status);
}
