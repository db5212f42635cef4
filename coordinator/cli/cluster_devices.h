/* How many devices a local cluster's workers may have: asked of interp-worker, which alone knows
 * backends. One worker a device, each on its own. */
#ifndef COORDINATOR_CLI_CLUSTER_DEVICES_H
#define COORDINATOR_CLI_CLUSTER_DEVICES_H

#include "common/error.h"

#include <stddef.h>

enum { CLUSTER_BACKEND_SIZE = 8 };

/* `wanted` is INTERP_BACKEND or NULL. "cuda" and "emu": *n devices, backend their name. "auto":
 * those of "cuda", or none. Anything else: none, *n 0 and backend "". Errors: ST_UNSUPPORTED
 * with what `interp-worker devices` said, ST_NOT_FOUND (the program). */
MUST_CHECK status_t cluster_find_devices(const char *wanted, char backend[CLUSTER_BACKEND_SIZE],
                                         size_t *n, struct error *err);

/* What the program `worker` says of the devices of one backend, by `devices --backend NAME`: a line
 * "NAME:NUMBER ..." each. Other lines are a driver's and count for nothing. Errors: ST_UNSUPPORTED,
 * with why it failed in its own words; *n is 0 then. */
MUST_CHECK status_t cluster_count_devices(const char *worker, const char *backend, size_t *n,
                                          struct error *err);

#endif
