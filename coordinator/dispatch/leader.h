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
    struct store_script script, fenced;
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

/* What a script needs to refuse the writes of a leader that was deposed and does not know yet:
 * `keys` among its keys, `args` among its arguments. It writes only if interp:leader is the token
 * or nobody's, and interp:epoch has not passed the counter, else it returns an error "FENCED ..."
 * (ST_CONFLICT). */
struct leader_fence {
    const char *keys[2]; /* interp:leader, interp:epoch */
    const char *args[2]; /* token, counter */
    char counter[24];
};
/* A script that refuses so: `source` calls leads() and fenced() of fence.lua, which stands in front
 * of it. For store_register_script(). */
struct store_script leader_script(const char *name, const char *source);
/* Borrows from `leader`. */
void leader_fence(const struct leader *leader, struct leader_fence *out);
/* A fenced script refused us: the next leader_keep() asks at once whether we still lead. */
void leader_doubt(struct leader *leader);

/* Run commands in one step, all or none, if we still lead. ST_CONFLICT: another one does (and the
 * next leader_keep() says so); ST_BAD_INPUT: too many words in all. */
enum { LEADER_COMMAND_WORDS = 16, LEADER_WRITE_WORDS = 64 };
struct leader_command {
    const char *words[LEADER_COMMAND_WORDS]; /* NULL behind the last, if there is room */
};
MUST_CHECK status_t leader_write(struct leader *leader, const struct leader_command *commands,
                                 size_t n_commands, struct error *err);

#endif
