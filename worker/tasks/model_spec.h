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

#endif
