#include "worker/devices_command.h"

#include "kernels/plugin.h"
#include "worker/arguments.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEVICES = 64, NAME_SIZE = 16 };

static const char SUMMARY[] =
    "Devices of a backend: what --backend calls them, UUID, PCI address, memory.";

struct devices {
    char library[NAME_SIZE]; /* "cuda" */
    struct backend_place places[MAX_DEVICES];
    size_t n;
};

/* Whose devices: "cuda:1" and "auto" are backends of "cuda", the processors are no device. */
static status_t choose_library(const char *asked, char library[NAME_SIZE], struct error *err)
{
    const char *named = asked ? asked : getenv("INTERP_BACKEND");
    if (!named || !*named || strcmp(named, "auto") == 0) named = "cuda";
    if (strcmp(named, "cpu") == 0)
        return error_set(err, ST_BAD_INPUT,
                         "%s names the CPU, which has no devices: --backend cuda or emu",
                         asked ? "--backend" : "INTERP_BACKEND");
    (void)snprintf(library, NAME_SIZE, "%.*s", (int)strcspn(named, ":"), named);
    return ST_OK;
}

static status_t find_devices(struct devices *d, const char *asked, struct error *err)
{
    status_t status = choose_library(asked, d->library, err);
    if (status == ST_OK) status = backend_devices(d->library, d->places, MAX_DEVICES, &d->n, err);
    if (d->n > MAX_DEVICES) d->n = MAX_DEVICES;
    return status;
}

/* Names are last: they are as long as they like. */
static void print_table(const struct devices *d)
{
    (void)printf("%-8s %-40s %-12s %11s  %s\n", "DEVICE", "UUID", "PCI", "MEMORY", "NAME");
    for (size_t i = 0; i < d->n; i++) {
        const struct backend_place *place = &d->places[i];
        char device[2 * NAME_SIZE];
        (void)snprintf(device, sizeof device, "%s:%zu", d->library, place->index);
        (void)printf("%-8s %-40s %-12s %7.1f GiB  %s\n", device, place->uuid, place->pci,
                     (double)place->n_total / 0x1p30, place->name);
    }
}

static status_t print_json(const struct devices *d, struct error *err)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < d->n; i++) {
        const struct backend_place *place = &d->places[i];
        char device[2 * NAME_SIZE];
        (void)snprintf(device, sizeof device, "%s:%zu", d->library, place->index);
        (void)json_array_append_new(all,
                                    json_pack("{s:s, s:s, s:s, s:I, s:s}", "device", device, "uuid",
                                              place->uuid, "pci", place->pci, "total_bytes",
                                              (json_int_t)place->n_total, "name", place->name));
    }
    const bool is_written = all && json_dumpf(all, stdout, JSON_INDENT(1)) == 0;
    json_decref(all);
    if (!is_written) return error_set(err, ST_NO_MEMORY, "list of devices");
    (void)putchar('\n');
    return ST_OK;
}

int devices_command(int argc, char **argv)
{
    const char *backend = NULL, *format = NULL;
    const struct argument table[] = {
        {.name = "--backend",
         .value = "NAME",
         .help = "cuda (default, or INTERP_BACKEND) or emu",
         .text = &backend},
        {.name = "-o", .value = "FORMAT", .help = "table (default) or json", .text = &format}};
    const size_t n = sizeof table / sizeof table[0];
    struct devices devices = {.n = 0};
    struct error err = {0};
    bool is_help;
    status_t status = arguments_parse(table, n, argc, argv, &is_help, &err);
    if (is_help) arguments_print_help("devices", SUMMARY, table, n);
    const bool is_json = format && strcmp(format, "json") == 0;
    if (status == ST_OK && format && !is_json && strcmp(format, "table") != 0)
        status = error_set(&err, ST_BAD_INPUT, "-o '%s' is not table or json", format);
    if (status == ST_OK && !is_help) status = find_devices(&devices, backend, &err);
    if (status == ST_OK && !is_help && is_json) status = print_json(&devices, &err);
    if (status == ST_OK && !is_help && !is_json) print_table(&devices);
    if (status != ST_OK) (void)fprintf(stderr, "interp-worker devices: %s\n", err.text);
    return status_exit_code(status);
}
