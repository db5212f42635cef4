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

/* As many threads compute with what is here, each with buffers of its own: plans count them. One
 * where nobody says so. may_be_fewer: a model whose plan has no room for all of them is one
 * thread's at a time, and whoever wants it too waits. Before the first model. */
void model_cache_share(struct model_cache *cache, size_t n_threads, bool may_be_fewer);

/* How many threads may be given work: as many as the model that was asked for last is planned for;
 * before the first one, one if they may be fewer. Does not wait. */
size_t model_cache_n_seats(struct model_cache *cache);
/* Somebody waits for a model that somebody else uses: who has come to the end of a lease closes its
 * task. Does not wait. */
bool model_cache_is_awaited(struct model_cache *cache);

struct backend *model_cache_backend(struct model_cache *cache);

/* A device was found full. The first time (of a unit) close what nobody uses, but for the model
 * that was used last; then, or if there is nothing to close, halve the batches of passes over
 * the open models (model.h); then, where threads may be fewer, make models that several use one
 * thread's at a time. False if nothing gives anything back. What is open must be opened anew to
 * take less. */
bool model_cache_relieve(struct model_cache *cache, bool is_first);

/* Log, once for each model, that its layers cannot be recorded (model.h). For whoever runs units,
 * behind a unit; does not wait. */
void model_cache_log_unrecorded(struct model_cache *cache);

/* Which model. */
struct model_wanted {
    const char *directory; /* borrowed */
    enum compute compute;
    uint64_t shuffle_seed;     /* as struct model_params has it */
    struct memory_needs needs; /* of the task, for a model that is not open yet */
};

/* Borrow an open model; give it back by model_cache_release_model(). A thread has one at a time,
 * for one that is planned for a single thread is waited for until its user gives it back. */
MUST_CHECK status_t model_cache_model(struct model_cache *cache, const struct model_wanted *wanted,
                                      struct model **out, struct error *err);
void model_cache_release_model(struct model_cache *cache, struct model *model);

/* norm_scaling_factor: as struct dictionary_params has it. */
MUST_CHECK status_t model_cache_dictionary(struct model_cache *cache, const char *directory,
                                           double norm_scaling_factor, struct dictionary **out,
                                           struct error *err);
/* The fingerprint of a directory (worker/model/fingerprint.h); read once for each version of it. */
MUST_CHECK status_t model_cache_fingerprint(struct model_cache *cache, const char *directory,
                                            char out[HASH_HEX_SIZE], struct error *err);
/* The same of a model, whose weights may be shuffled. */
MUST_CHECK status_t model_cache_model_fingerprint(struct model_cache *cache,
                                                  const struct model_wanted *wanted,
                                                  char out[HASH_HEX_SIZE], struct error *err);
/* Is the model (the dictionary in `directory`) what the coordinator planned with? `planned` "" asks
 * nothing. ST_BAD_INPUT. */
MUST_CHECK status_t model_cache_check_model(struct model_cache *cache,
                                            const struct model_wanted *wanted, const char *planned,
                                            struct error *err);
MUST_CHECK status_t model_cache_check_fingerprint(struct model_cache *cache, const char *directory,
                                                  const char *planned, struct error *err);
void model_cache_release_dictionary(struct model_cache *cache, struct dictionary *dictionary);

#endif
