/* Sweeps in Redis: accepted once per client key, loaded again after a restart.
 *
 *   interp:sweep:ID      hash: spec, state, reason, created / started / finished_unix_ms; backend
 *                        and isa (dispatch/pin.c)
 *   interp:sweeps        zset of ids by creation time
 *   interp:active        set of ids that are not over, or not yet cleaned up after
 *   interp:sweep_serial  counter
 *   interp:client:KEY    id that a client's key made; expires
 *
 * Every write is fenced: ST_CONFLICT, with nothing written, if another coordinator leads by now. */
#ifndef COORDINATOR_SWEEP_SWEEP_STORE_H
#define COORDINATOR_SWEEP_SWEEP_STORE_H

#include "common/store.h"
#include "coordinator/dispatch/leader.h"
#include "coordinator/sweep/sweep.h"

struct sweep_store {
    struct store *store;   /* borrowed */
    struct leader *leader; /* borrowed */
    struct store_script submit;
};

MUST_CHECK status_t sweep_store_init(struct sweep_store *sweeps, struct store *store,
                                     struct leader *leader, struct error *err);

/* Store a sweep that is accepted (spec, state and times are set) and give it its id. Durable when
 * it returns ST_OK; *is_new is false if `client_key` had made sweep->id before, and then nothing is
 * stored. Errors: ST_BUSY, ST_UNREACHABLE. */
MUST_CHECK status_t sweep_store_submit(struct sweep_store *sweeps, struct sweep *sweep,
                                       const char *client_key, bool *is_new, struct error *err);
/* What `client_key` made before into id_out; "": nothing. Errors: ST_BAD_INPUT (the key is too
 * long), ST_UNREACHABLE. */
MUST_CHECK status_t sweep_store_find(struct sweep_store *sweeps, const char *client_key,
                                     char id_out[SWEEP_ID_SIZE], struct error *err);
/* Write state, reason and times. */
MUST_CHECK status_t sweep_store_save(struct sweep_store *sweeps, const struct sweep *sweep,
                                     struct error *err);
/* Write the spec anew: its budget changed. */
MUST_CHECK status_t sweep_store_save_spec(struct sweep_store *sweeps, const struct sweep *sweep,
                                          struct error *err);
/* Its keys are gone: no longer active. */
MUST_CHECK status_t sweep_store_forgotten(struct sweep_store *sweeps, const struct sweep *sweep,
                                          struct error *err);
/* Read one sweep into *out (spec parsed, engine not started). Errors: ST_NOT_FOUND (the store has
 * nothing of it); ST_CORRUPT: spec or state cannot be read, the rest is in *out. */
MUST_CHECK status_t sweep_store_load(struct sweep_store *sweeps, const char *id, struct sweep *out,
                                     struct error *err);
/* Ids, oldest first; free the array and each string by sweep_store_free_ids(). */
MUST_CHECK status_t sweep_store_ids(struct sweep_store *sweeps, char ***ids, size_t *n,
                                    struct error *err);
void sweep_store_free_ids(char **ids, size_t n);

#endif
