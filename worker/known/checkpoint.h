/* The weights of a plan as the tensors of an ordinary HF checkpoint, and its config.json. One
 * function per family, for families differ in names, layouts and what a head is built from. Pure;
 * any thread. */
#ifndef WORKER_KNOWN_CHECKPOINT_H
#define WORKER_KNOWN_CHECKPOINT_H

#include "worker/known/known_plan.h"
#include "worker/known/tensor_set.h"

#include <jansson.h>

/* Add all tensors to `out` (which the caller ends in any case). basis [d_model - 1, d_model].
 * Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t checkpoint_fill_gpt2(struct tensor_set *out, const struct known_plan *plan,
                                         const double *basis, struct error *err);
MUST_CHECK status_t checkpoint_fill_llama(struct tensor_set *out, const struct known_plan *plan,
                                          const double *basis, struct error *err);

/* A new reference, or NULL without memory. */
json_t *checkpoint_config_gpt2(const struct known_plan *plan);
json_t *checkpoint_config_llama(const struct known_plan *plan);

#endif
