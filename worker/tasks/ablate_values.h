/* What ablations put in the place of an activation: means over the reference prompts, and what the
 * corrupted prompts have there. Computed when first asked for, all layers of a place at once.
 *
 *   overall   one mean over all tokens of all reference prompts
 *   position  one for every position
 *   template  one for every position of every template (Wang et al. 2022)
 *
 * Sums are in double, prompt by prompt in the order of the spec. Belongs to one run thread. */
#ifndef WORKER_TASKS_ABLATE_VALUES_H
#define WORKER_TASKS_ABLATE_VALUES_H

#include "worker/model/forward.h"
#include "worker/tasks/ablate_prompts.h"

struct ablate_values;

enum ablate_mean { ABLATE_MEAN_OVERALL, ABLATE_MEAN_POSITION, ABLATE_MEAN_TEMPLATE };

struct ablate_values_params {
    struct model *model;                  /* borrowed */
    const struct ablate_prompts *prompts; /* borrowed */
    enum ablate_mean mean;
    atomic_uint_fast64_t *progress;
};
MUST_CHECK status_t ablate_values_create(struct ablate_values **out,
                                         const struct ablate_values_params *params,
                                         struct error *err);
void ablate_values_destroy(struct ablate_values **values); /* NULL-safe */

/* Rows of the hook's whole width for the prompts' tokens: row r is at out + r * ld (ld 0: the same
 * for all). ABLATE_ZERO gives NULL. Borrowed until destroy. Errors: ST_BAD_INPUT (no reference
 * prompts, or none with that position or template), ST_NO_MEMORY. */
MUST_CHECK status_t ablate_values_get(struct ablate_values *values, struct hook_point hook,
                                      enum ablate_value value, const float **out, size_t *ld,
                                      struct error *err);

/* The rows that ablate_values_get() has given, as they lie on the model's device, where they are
 * brought once; NULL where memory is the host's, or the device has no room to spare. Borrowed until
 * destroy. Errors: those of the device. */
MUST_CHECK status_t ablate_values_on_device(struct ablate_values *values, struct hook_point hook,
                                            enum ablate_value value, const float **out,
                                            struct error *err);

/* --- for values that are not at a place of the model (ablate_features.h) --- */

/* Prompts [low, low + n) of a list, acts: host [n * n_ctx, width]; rows of padding mean nothing. */
typedef status_t ablate_pass_fn(void *context, size_t low, size_t n, const float *acts,
                                struct error *err);
/* `take` the activations of all prompts of a list, in order, as many at once as the task has. */
MUST_CHECK status_t ablate_values_pass(struct ablate_values *values, const struct ablate_rows *rows,
                                       struct hook_point hook, ablate_pass_fn *take, void *context,
                                       struct error *err);

/* Tokens that share a mean have one group. */
size_t ablate_values_n_groups(const struct ablate_values *values);
size_t ablate_values_group(const struct ablate_values *values, uint32_t template, size_t position);
/* Does every token of the prompts have a mean? counts [n_groups]: reference tokens. Errors:
 * ST_BAD_INPUT names the token. */
MUST_CHECK status_t ablate_values_check(const struct ablate_values *values, const size_t *counts,
                                        struct error *err);

#endif
