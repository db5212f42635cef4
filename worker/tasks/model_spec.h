/* Which model a task's SPEC asks for: "model", and with random weights "shuffle_seed" (16
 * hexadecimal digits, not 0; left out for the weights as they are). */
#ifndef WORKER_TASKS_MODEL_SPEC_H
#define WORKER_TASKS_MODEL_SPEC_H

#include "worker/tasks/model_cache.h"

#include <jansson.h>

/* Directory and seed; what `spec` holds stays borrowed. Errors: ST_PROTOCOL. */
MUST_CHECK status_t model_spec_read(const json_t *spec, struct model_wanted *out,
                                    struct error *err);
/* "compute" too. Errors: also ST_BAD_INPUT. */
MUST_CHECK status_t model_spec_read_compute(const json_t *spec, struct model_wanted *out,
                                            struct error *err);
/* And what a task that runs passes will have on the device beside it: "n_ctx", "n_rows", the
 * dictionaries of "targets" (capture, probe, generate) or "dictionaries" (ablate), the prompts
 * whose clean pass is kept (ablate) or whose derivatives are taken (attribute), and whether
 * distributions are compared (ablate with "vocabulary", generate). What of that is missing or
 * wrong is left to who opens it and says so better. */
MUST_CHECK status_t model_spec_read_needs(const json_t *spec, struct model_wanted *out,
                                          struct error *err);

#endif
