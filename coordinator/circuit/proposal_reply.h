/* What a language model proposed for a circuit, read from its reply:
 *   {"proposals": [{"component": "L5H1", "role": "copies B"}, "L0MLP", ...]}
 * the most promising first.
 *
 * Untrusted bytes: the object is looked for as prompt_reply.h does, an entry that names no
 * component is counted and skipped, a component named twice counts once, at most PROPOSALS_MAX
 * entries are read. Whatever the reply, the outcome is a list that may order a search, or nothing.
 * Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_PROPOSAL_REPLY_H
#define COORDINATOR_CIRCUIT_PROPOSAL_REPLY_H

#include "coordinator/circuit/component.h"

enum { PROPOSALS_MAX = 2000, PROPOSAL_ROLE_SIZE = 64 };

struct proposal {
    struct component component;
    char role[PROPOSAL_ROLE_SIZE]; /* one clean line; "": none was named */
};

struct proposals {
    struct proposal *items; /* [n], each component once; owned */
    size_t n;
    size_t n_unreadable; /* entries that name no component */
    size_t n_repeated;
    size_t n_beyond;  /* entries behind PROPOSALS_MAX */
    bool is_repaired; /* the reply was not the object alone */
};

/* On ST_OK the caller owns *out (fini); n may be 0. Errors: ST_BAD_INPUT (no object with a list
 * "proposals"), ST_TOO_LARGE, ST_NO_MEMORY; *out is then zeroed. */
MUST_CHECK status_t proposal_reply_read(const char *reply, size_t n_bytes, struct proposals *out,
                                        struct error *err);
void proposals_fini(struct proposals *proposals); /* fine twice */

#endif
