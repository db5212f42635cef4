/* The gateway: takes calls that the limiter grants, journals them, sends them, journals what came
 * back, tells Redis. One loop thread; see README.md for the order of things and why a crash at
 * any point neither loses a reply nor pays twice without saying so. */
#ifndef COORDINATOR_GATEWAY_GATEWAY_H
#define COORDINATOR_GATEWAY_GATEWAY_H

#include "common/clock.h"
#include "common/error.h"
#include "coordinator/gateway/provider_config.h"

#include <stdint.h>

struct gateway;

struct gateway_options {
    const char *redis_url;
    const char *journal_directory; /* of this gateway alone is <directory>/<name> */
    const char *name;
    int signal_fd;          /* readable when the gateway should drain and stop; -1: none */
    uint32_t drain_seconds; /* how long calls in flight may finish then */
};

/* `config` and the texts of `options` are borrowed. Redis may be away; the journal may not.
 * Providers whose key is missing are left out with a warning. On ST_OK the caller owns *out.
 * Errors: ST_BAD_INPUT (no usable provider), ST_BUSY (journal in use), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t gateway_create(struct gateway **out, const struct provider_config *config,
                                   const struct gateway_options *options, const struct clock *clock,
                                   struct error *err);
void gateway_destroy(struct gateway **gateway); /* NULL-safe */

/* Work until signal_fd says stop, then drain. ST_TIMEOUT: calls were left in flight when the
 * drain time was over; they are in the journal. Errors: ST_INTERNAL. */
MUST_CHECK status_t gateway_run(struct gateway *gateway, struct error *err);

#endif
