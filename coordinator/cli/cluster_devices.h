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

#endif
