/* Checkpoints of the capture phase that runs: what was merged so far goes to disk whenever the
 * results merged since pass a limit, and from then on Redis holds only a mark for each of those
 * units. So neither Redis nor a restart grows with the corpus.
 *
 *   merged -------- limit passed --> written (a job; results wait) --> kept --> marked in Redis
 *
 * A unit is kept when the file that says so is in place, and marked only then. Whoever starts
 * again takes the kept units as merged and reads the others; a mark whose unit is in no file is
 * a unit to be captured again. Loop thread, but for label_checkpoint_load(). */
#ifndef COORDINATOR_SWEEP_LABEL_CHECKPOINT_H
#define COORDINATOR_SWEEP_LABEL_CHECKPOINT_H

#include "coordinator/sweep/label_run.h"

/* Nothing merged yet, of a phase of n_units: run->checkpoint. Errors: ST_NO_MEMORY. */
status_t label_checkpoint_create(struct label_run *run, size_t n_units, struct error *err);
void label_checkpoint_destroy(struct label_run *run);

/* In a job: what an earlier life kept, into the phase's states, which are empty. A file that is
 * missing, damaged or of another capture leaves them empty. Errors: ST_NO_MEMORY. */
status_t label_checkpoint_load(struct label_run *run, struct error *err);
/* The units that are kept are done, before the dispatcher has the task. */
void label_checkpoint_settle(const struct label_run *run);

/* Which units each target has, so that none is merged twice: also not when a result failed halfway
 * and came again. */
bool label_checkpoint_has(const struct label_run *run, size_t target, size_t unit);
void label_checkpoint_note(struct label_run *run, size_t target, size_t unit);
/* A result of so many bytes was merged whole. */
void label_checkpoint_add(struct label_run *run, size_t n_bytes);

/* Write and mark what is due; *is_idle when nothing of it is under way. Errors: ST_UNREACHABLE,
 * ST_CONFLICT (another coordinator leads). A file that cannot be written is logged: results stay
 * in Redis until the next attempt. */
status_t label_checkpoint_step(struct label_run *run, bool *is_idle, struct error *err);

/* The files of all phases. No-op without. */
void label_checkpoint_remove_files(const struct sweep *sweep);

#endif
