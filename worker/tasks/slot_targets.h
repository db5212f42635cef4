/* The targets of a task that reads what their slots are (decoder rows, units) and runs no pass,
 * with the model that they are of. Spec keys: "model", "shuffle_seed" (optional), "fingerprint",
 * "compute", "targets", as capture's. One thread at a time. */
#ifndef WORKER_TASKS_SLOT_TARGETS_H
#define WORKER_TASKS_SLOT_TARGETS_H

#include "common/describe.h"
#include "worker/tasks/capture_target.h"
#include "worker/tasks/model_cache.h"

struct slot_targets {
    struct model_cache *models; /* borrowed */
    struct model *model;        /* held in `models` */
    size_t n;
    struct capture_target *item[DESCRIBE_MAX_TARGETS]; /* own */
};

/* Fills `out`, which is all zeros; on failure too it has to be closed. Errors: ST_PROTOCOL (spec),
 * ST_TOO_LARGE (targets), ST_CONFLICT (another model than was planned), those of opening files. */
MUST_CHECK status_t slot_targets_open(struct slot_targets *out, struct model_cache *models,
                                      const json_t *spec, struct error *err);
void slot_targets_close(struct slot_targets *targets); /* also where nothing was opened */

#endif
