/* The device that a subcommand or the serving worker computes on: opened by name, with an
 * artificial limit of its memory where one is given, and this process kept near it. */
#ifndef WORKER_DEVICE_H
#define WORKER_DEVICE_H

#include "kernels/backend.h"
#include "worker/numa_place.h"

struct device_options {
    const char *backend; /* as backend_open(); NULL: the default */
    const char
        *memory;       /* "6442450944", "6GiB", "512MiB"; NULL: INTERP_DEVICE_MEMORY, or no limit */
    const char *sysfs; /* where the host's devices are described; NULL: "/sys" */
};

/* What to say about it once it is open. */
struct device_notes {
    struct error why_cpu;    /* "auto" took the CPU, because; ST_OK: it did not */
    struct numa_place place; /* that the calling thread was moved to */
};

/* The caller closes *out by device_close(), in the same thread; backend_close() will do where the
 * process ends with it. Errors: as backend_open(), ST_BAD_INPUT (a size). */
MUST_CHECK status_t device_open(struct backend **out, const struct device_options *options,
                                struct device_notes *notes, struct error *err);

/* Closes the backend and gives its place back. NULL-safe; sets *backend = NULL. `notes` are those
 * of device_open(), or of no place. */
void device_close(struct backend **backend, struct device_notes *notes);

/* Bytes: a whole number, or a number followed by KiB, MiB, GiB or TiB. */
MUST_CHECK status_t device_parse_bytes(const char *text, size_t *out, struct error *err);

#endif
