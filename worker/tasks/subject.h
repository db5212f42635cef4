/* What probe and generate tasks are about: an open model, its tokenizer, and the targets whose
 * slots are read or changed, as the task's spec names them:
 *
 *   "model", "shuffle_seed" (optional: model_spec.h), "fingerprint", "compute", "n_ctx", "bos",
 *   "with_pieces", "targets": [{"hook","units","dictionary","fingerprint","features","n_slots"}]
 *
 * Such a task stays open over many units and over other tasks of its spec (run_thread.c), so each
 * unit looks whether the files are still those that were opened: subject_stamp(). Belongs to one
 * run thread. */
#ifndef WORKER_TASKS_SUBJECT_H
#define WORKER_TASKS_SUBJECT_H

#include "common/describe.h"
#include "worker/tasks/capture_target.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/probe_texts.h"
#include "worker/tasks/task_handler.h"

enum { SUBJECT_MAX_TARGETS = DESCRIBE_MAX_TARGETS };

struct subject {
    struct model_cache *models;
    struct model *model;
    struct probe_texts *texts;
    size_t n_ctx; /* of the spec, at most the model's positions */
    size_t n_targets;
    struct capture_target *targets[SUBJECT_MAX_TARGETS];
};

/* `is_context_exact`: an n_ctx over the model's positions is an error; else it is lowered to them.
 * Errors: what in spec, model, tokenizer or dictionaries is wrong or does not fit; *out is then
 * closed. */
MUST_CHECK status_t subject_open(struct subject *out, struct model_cache *models,
                                 const json_t *spec, bool is_context_exact, struct error *err);
void subject_close(struct subject *subject); /* fine on a zeroed struct; leaves it zeroed */

/* A number of model and dictionaries as they are on disk. */
MUST_CHECK status_t subject_stamp(const json_t *spec, uint64_t *out, struct error *err);

#endif
