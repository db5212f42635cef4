/* What a short phase found, kept so that a restarted coordinator does not have it computed again:
 * DATA/sweeps/ID/kept-PHASE, one zstd frame of
 *
 *   the evidence key (what it depends on: model, dictionaries, corpus), a line break, the bytes
 *
 * Written whole or not at all. A file that is missing, damaged or of another capture counts as
 * none: the phase runs again. Removed with the sweep's checkpoints, at the latest when it is
 * over. */
#ifndef COORDINATOR_SWEEP_LABEL_KEPT_H
#define COORDINATOR_SWEEP_LABEL_KEPT_H

#include "coordinator/sweep/label_job.h"

/* Appends what was found for one target. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
typedef status_t label_encode_fn(const struct label_run *run, size_t target, struct buffer *out,
                                 struct error *err);
/* Takes it back. Any error refuses the file; what was taken by then is written over. */
typedef status_t label_decode_fn(struct label_run *run, size_t target, const struct buffer *bytes,
                                 struct error *err);

/* Of every target. Background or loop. Errors: ST_IO, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t label_kept_write(const struct label_run *run, const char *phase,
                                     label_encode_fn *encode, struct error *err);
/* *is_there: every target was decoded. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t label_kept_read(struct label_run *run, const char *phase,
                                    label_decode_fn *decode, bool *is_there, struct error *err);

/* The poll() of a phase that keeps what it found: its task, then `keep` as a background job; over
 * at once where there is no task (it was kept, or there was nothing to find). */
MUST_CHECK status_t label_kept_poll(struct label_run *run, label_job_fn *keep, bool *is_over,
                                    struct error *err);

void label_kept_remove(const struct sweep *sweep, const char *phase); /* fine if there is none */

#endif
