/* The device that a subcommand or the serving worker computes on: opened by name, with an
 * artificial limit of its memory where one is given, and this process kept near it. */
#ifndef WORKER_DEVICE_H
#define WORKER_DEVICE_H

#include "kernels/backend.h"

struct device_options {
    const char *backend; /* as backend_open(); NULL: the default */
    const char
        *memory; /* "6442450944", "6GiB", "512MiB"; NULL: INTERP_DEVICE_MEMORY, or no limit */
};

/* What to say about it once it is open. */
struct device_notes {
    struct error why_cpu; /* "auto" took the CPU, because; ST_OK: it did not */
    int numa_node;        /* that the process was moved to, or NUMA_UNKNOWN */
};

/* The caller closes *out by backend_close(). Errors: as backend_open(), ST_BAD_INPUT (a size). */
MUST_CHECK status_t device_open(struct backend **out, const struct device_options *options,
                                struct device_notes *notes, struct error *err);

/* Bytes: a whole number, or a number followed by KiB, MiB, GiB or TiB. */
MUST_CHECK status_t device_parse_bytes(const char *text, size_t *out, struct error *err);

#endif
