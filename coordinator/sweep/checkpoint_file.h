/* Merged evidence of a capture that is still running, with the units that are in it, as one file:
 * the old one or the new one, never half of one. It says what capture it is of; whatever does not
 * fit or is damaged is refused, and those units are captured again. Layout: checkpoint_file.c. */
#ifndef COORDINATOR_SWEEP_CHECKPOINT_FILE_H
#define COORDINATOR_SWEEP_CHECKPOINT_FILE_H

#include "common/error.h"
#include "common/evidence_state.h"
#include "common/hash.h"
#include "coordinator/queue/unit_set.h"

#include <stddef.h>

/* One target's part; everything borrowed. */
struct checkpoint_part {
    struct evidence_state *states[EVIDENCE_N_SPLITS]; /* NULL: split is not of this capture */
    struct unit_set *merged;                          /* units of the task, in all those states */
};

struct checkpoint {
    const char *key; /* hex: what the capture depends on, label_run's evidence_key */
    struct checkpoint_part *parts;
    size_t n_parts;
};

/* Replace `path`, through a name beside it, synced. Any thread that owns the parts. Errors: ST_IO,
 * ST_TOO_LARGE, ST_NO_MEMORY; then the file is what it was. */
MUST_CHECK status_t checkpoint_write(const char *path, const struct checkpoint *checkpoint,
                                     struct error *err);

/* Into empty states and empty sets. Errors: ST_NOT_FOUND; ST_PROTOCOL, ST_CORRUPT, ST_CONFLICT
 * (another capture), ST_IO, ST_NO_MEMORY: states and sets may hold a part and must be made anew. */
MUST_CHECK status_t checkpoint_read(const char *path, const struct checkpoint *checkpoint,
                                    struct error *err);

/* The file, and what a writer that died left beside it. No-op without. */
void checkpoint_remove(const char *path);

#endif
