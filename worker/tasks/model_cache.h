/* Models and dictionaries that are open in this process, shared by its run threads.
 *
 * Opening a model takes seconds (weights are packed), so the last few stay open. Entries are
 * counted: what a task uses is never closed under it. A directory whose files were written again
 * is opened again. Thread-safe. */
#ifndef WORKER_TASKS_MODEL_CACHE_H
#define WORKER_TASKS_MODEL_CACHE_H

#include "common/error.h"
#include "kernels/backend.h"
#include "worker/model/dictionary.h"
#include "worker/model/fingerprint.h"
#include "worker/model/model.h"

struct model_cache;

MUST_CHECK status_t model_cache_create(struct model_cache **out, struct backend *backend,
                                       struct error *err);
void model_cache_destroy(struct model_cache **cache); /* nothing may be in use; NULL-safe */

struct backend *model_cache_backend(struct model_cache *cache);

/* Borrow an open model; give it back by model_cache_release_model(). */
MUST_CHECK status_t model_cache_model(struct model_cache *cache, const char *directory,
                                      enum compute compute, struct model **out, struct error *err);
void model_cache_release_model(struct model_cache *cache, struct model *model);

/* norm_scaling_factor: as struct dictionary_params has it. */
MUST_CHECK status_t model_cache_dictionary(struct model_cache *cache, const char *directory,
                                           double norm_scaling_factor, struct dictionary **out,
                                           struct error *err);
/* The fingerprint of a directory (worker/model/fingerprint.h); read once for each version of it. */
MUST_CHECK status_t model_cache_fingerprint(struct model_cache *cache, const char *directory,
                                            char out[HASH_HEX_SIZE], struct error *err);
/* Is the directory what the coordinator planned with? `wanted` "" asks nothing. ST_BAD_INPUT. */
MUST_CHECK status_t model_cache_check_fingerprint(struct model_cache *cache, const char *directory,
                                                  const char *wanted, struct error *err);
void model_cache_release_dictionary(struct model_cache *cache, struct dictionary *dictionary);

#endif
