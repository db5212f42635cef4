/* How many devices a local cluster's workers may have: asked of interp-worker, which alone knows
 * backends. One worker a device, each on its own. */
#ifndef COORDINATOR_CLI_CLUSTER_DEVICES_H
#define COORDINATOR_CLI_CLUSTER_DEVICES_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { CLUSTER_BACKEND_SIZE = 8, CLUSTER_BACKEND_NAME_SIZE = 64 };

/* `wanted` is a backend's name or NULL. "cuda" and "emu": *n devices, backend their name. "auto":
 * those of "cuda", or none, because of what *why_none says. Anything else: none, *n 0 and backend
 * "". Errors: ST_UNSUPPORTED with what `interp-worker devices` said, ST_NOT_FOUND (the program). */
MUST_CHECK status_t cluster_find_devices(const char *wanted, char backend[CLUSTER_BACKEND_SIZE],
                                         size_t *n, struct error *why_none, struct error *err);
/* Is it a name that a worker's --backend takes: auto, cpu, cuda, emu, or one device of the last
 * two, "cuda:1"? Whether it is there is another question. */
bool cluster_is_backend(const char *name);

/* What the program `worker` says of the devices of one backend, by `devices --backend NAME`: a line
 * "NAME:NUMBER ..." each. Other lines are a driver's and count for nothing. Errors: ST_UNSUPPORTED,
 * with why it failed in its own words; *n is 0 then. */
MUST_CHECK status_t cluster_count_devices(const char *worker, const char *backend, size_t *n,
                                          struct error *err);

#endif
