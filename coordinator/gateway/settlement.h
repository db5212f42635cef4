/* What became of one send, as it is told to the journal and to settle.lua.
 *
 * A struct settlement is a plain description; settlement_encode() turns it into the six
 * arguments of settle.lua. The journal keeps exactly these, so that a replay tells Redis the
 * same story again. */
#ifndef COORDINATOR_GATEWAY_SETTLEMENT_H
#define COORDINATOR_GATEWAY_SETTLEMENT_H

#include "common/error.h"
#include "coordinator/gateway/completion.h"
#include "coordinator/gateway/limiter.h"
#include "coordinator/gateway/rate_headers.h"

#include <stdbool.h>
#include <stdint.h>

enum settlement_charge {
    CHARGE_USAGE,  /* tokens are known: spent */
    CHARGE_NONE,   /* certainly not charged */
    CHARGE_UNSENT, /* the request never left */
    CHARGE_UNKNOWN /* perhaps charged: uncertain */
};
enum settlement_next { NEXT_DONE, NEXT_AGAIN, NEXT_FAIL };
enum settlement_health {
    HEALTH_SILENT, /* says nothing about the provider */
    HEALTH_OK,
    HEALTH_BAD,   /* many in a row open the breaker */
    HEALTH_CONFIG /* opens the breaker at once: somebody must change something */
};

struct settlement {
    enum settlement_charge charge;
    enum settlement_next next;
    enum settlement_health health;
    bool is_strike;         /* counts against the call */
    bool is_limited;        /* 429, 529 */
    int http_status;        /* 0: none came */
    int64_t retry_after_ms; /* stop the provider for so long; -1: do not */
    int64_t delay_ms;       /* the call is due again after so long */
    int64_t latency_ms;
    int64_t remaining[N_RATE_DIMENSIONS]; /* provider's word; -1: not told */
    struct completion completion;         /* CHARGE_USAGE */
    int64_t microdollars;                 /* CHARGE_USAGE */
    char reason[320];                     /* unless done */
};

enum { SETTLE_N_ARGS = 6 };

/* The arguments of settle.lua; texts[] are owned. */
struct settle_args {
    char *texts[SETTLE_N_ARGS];
    size_t n_bytes[SETTLE_N_ARGS];
};

/* Describe how `grant`, served by `serving`, ended. On ST_OK the caller owns *out. */
MUST_CHECK status_t settlement_encode(const struct settlement *settlement,
                                      const struct limiter *limiter, const struct grant *grant,
                                      const struct limited_provider *serving,
                                      struct settle_args *out, struct error *err);
void settle_args_fini(struct settle_args *args);

#endif
