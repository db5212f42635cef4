/* One coordinator leads, others stand by.
 *
 * Leadership is a key in Redis that expires unless renewed; every change raises the epoch, which
 * is part of every lease id. A leader that cannot renew in time must stop acting at once: its
 * lease would be taken by the standby. Loop thread only. */
#ifndef COORDINATOR_DISPATCH_LEADER_H
#define COORDINATOR_DISPATCH_LEADER_H

#include "common/clock.h"
#include "common/error.h"
#include "common/store.h"

#include <stdbool.h>
#include <stdint.h>

enum { LEADER_LEASE_MS = 3000, LEADER_RENEW_MS = 1000 };

struct leader {
    struct store *store; /* borrowed */
    const struct clock *clock;
    struct store_script script;
    char token[64];
    uint64_t epoch;     /* 0 while another one leads */
    uint64_t counter;   /* of changes of leader, as the store counted at our last word */
    int64_t renewed_ms; /* monotonic, when the last renewal was sent */
};

MUST_CHECK status_t leader_init(struct leader *leader, struct store *store,
                                const struct clock *clock, struct error *err);
/* Try once; leader->epoch > 0 if this process leads now. */
MUST_CHECK status_t leader_take(struct leader *leader, struct error *err);
/* Renew when due. ST_CONFLICT: leadership is lost, stop. ST_UNREACHABLE: Redis is away; another
 * one cannot have taken over before LEADER_LEASE_MS after the last renewal. */
MUST_CHECK status_t leader_keep(struct leader *leader, struct error *err);
void leader_release(struct leader *leader);

#endif
