/* Backends by name, and the line between the worker and a backend of its own library.
 *
 *   "cpu"          built in
 *   "cuda"         libinterp_cuda.so, device 0; "cuda:1" the second device, "cuda:GPU-5d1e..."
 *                  (of a part of a device "cuda:MIG-5d1e...") the one whose UUID begins so
 *   "emu"          libinterp_emu.so: the CUDA backend on the host emulator, for tests; "emu:1"
 *                  likewise
 *   "auto"         cuda if its library is there and finds a device, else cpu
 *
 * The CPU is the default while the CUDA backend has not run on hardware; INTERP_BACKEND names
 * another one.
 *
 * A library is looked for in $INTERP_PLUGIN_DIR if that is set, else beside the program. It is
 * never unloaded: its threads and its driver may outlive the backend. The program itself is not
 * linked with CUDA and starts on any machine. Any thread. */
#ifndef KERNELS_PLUGIN_H
#define KERNELS_PLUGIN_H

#include "kernels/backend.h"

/* What a library exports as `interp_backend_plugin`. The first field stays where it is for ever;
 * the others are read only if it is the reader's own. */
struct backend_plugin {
    uint32_t abi_version; /* BACKEND_ABI_VERSION */
    uint32_t ops_bytes;   /* sizeof(struct backend_ops): a table of another build is refused */
    const char *name;
    /* ST_OK and the number of devices (at least 1), or why there is none. */
    status_t (*probe)(size_t *n_devices, struct error *err);
    status_t (*open)(struct backend **out, size_t device_index, struct error *err);
    /* Which device that is, without opening it. */
    status_t (*identify)(size_t device_index, struct backend_place *out, struct error *err);
};

#define BACKEND_PLUGIN_SYMBOL "interp_backend_plugin"

/* $INTERP_BACKEND, or "cpu". */
const char *backend_default_name(void);

/* Open, and let a library's backend compute every operation once, beside the CPU (a fraction of a
 * second; kernels/selftest). The caller closes *out by backend_close(). Errors: ST_BAD_INPUT (a
 * name that is none of the above), ST_NOT_FOUND (it cannot be had here, and why: no library, one of
 * another version; no driver, no usable device, not that one; one that computes wrongly, which
 * "auto" does not hide: the operation and its error). */
MUST_CHECK status_t backend_open(const char *name, struct backend **out, struct error *err);

/* The same; where "auto" takes the CPU, *why says in one line why no device was taken (else it is
 * empty). */
MUST_CHECK status_t backend_open_saying(const char *name, struct backend **out, struct error *why,
                                        struct error *err);

/* The devices of "cuda" or "emu": the first `cap` of *n into `out`. Errors: as backend_open(). */
MUST_CHECK status_t backend_devices(const char *name, struct backend_place *out, size_t cap,
                                    size_t *n, struct error *err);

/* As backend_open_saying() without a look at what it computes: for the self-test, which says
 * more. */
MUST_CHECK status_t backend_open_untested(const char *name, struct backend **out, struct error *why,
                                          struct error *err);

#endif
