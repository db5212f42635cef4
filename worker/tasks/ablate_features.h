/* Features of dictionaries as components: x += (value - a) d at the dictionary's hook point, a
 * being what the dictionary encodes there in the variant's own run, so an upstream ablation changes
 * it; what the dictionary does not explain, the error, stays, and is a component too (circuits.md
 * 6.7).
 *
 *   zero      0
 *   mean      of the activation (the error) over the reference prompts, grouped as other means
 *   resample  the activation (the error) on the corrupted prompt
 *
 * All changes of one variant at one dictionary see the values before any of them. What a change
 * sets to the value that is there, it leaves alone to the bit.
 *
 * Spec: "dictionaries": [{"hook", "units": "dictionary", "dictionary", "fingerprint",
 * "norm_scaling_factor"}...], each as a target of a capture. Belongs to one run thread. */
#ifndef WORKER_TASKS_ABLATE_FEATURES_H
#define WORKER_TASKS_ABLATE_FEATURES_H

#include "worker/model/variants.h"
#include "worker/tasks/ablate_values.h"
#include "worker/tasks/model_cache.h"

enum { ABLATE_MAX_DICTIONARIES = 64 };

struct ablate_features;

struct ablate_features_params { /* all borrowed */
    struct model_cache *models;
    struct model *model;
    const struct ablate_prompts *prompts;
    struct ablate_values *values;
    struct variants *variants; /* loaded with the prompts */
};
/* Errors: ST_BAD_INPUT, ST_UNSUPPORTED and those of opening a dictionary; each names which. */
MUST_CHECK status_t ablate_features_create(struct ablate_features **out,
                                           const struct ablate_features_params *params,
                                           const json_t *spec, struct error *err);
void ablate_features_destroy(struct ablate_features **features); /* NULL-safe */

bool ablate_is_feature(const struct ablate_change *change); /* a feature or an error */

/* Read what the changes [n] of a unit that are features need: directions, values, and the clean
 * activations. Errors: ST_BAD_INPUT (a dictionary, feature or positions that do not exist; a mean
 * without reference prompts), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t ablate_features_prepare(struct ablate_features *features,
                                            const struct ablate_change *changes, size_t n,
                                            struct error *err);

/* Does a prompt of the clean run have the change's value already, wherever it is made? */
bool ablate_features_is_silent(const struct ablate_features *features,
                               const struct ablate_change *change, size_t prompt);

/* What one run of variants does at one dictionary: of each prompt, the changes of one variant. */
struct feature_changes {
    const struct ablate_change *changes; /* borrowed; those that are no features, or of another
                                          * dictionary, are passed over */
    size_t n;
};
/* *out for a variant; it borrows `by_prompt` [n_prompts] until ablate_features_forget(). Errors:
 * ST_NO_MEMORY. */
MUST_CHECK status_t ablate_features_hook(struct ablate_features *features, uint32_t dictionary,
                                         const struct feature_changes *by_prompt,
                                         struct variant_hook *out, struct error *err);
uint32_t ablate_features_n_dictionaries(const struct ablate_features *features);
/* The unit is over. */
void ablate_features_forget(struct ablate_features *features);

#endif
