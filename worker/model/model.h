/* A target model, opened once and shared: config, checkpoint (memory-mapped), weights on the
 * backend. Read-only after open except for parts that are loaded on first use under a lock
 * (the output head, the heads' norm factors, the adjoint weights), so any number of threads may run
 * forward passes over one model, each through its own struct forward. */
#ifndef WORKER_MODEL_MODEL_H
#define WORKER_MODEL_MODEL_H

#include "kernels/backend.h"
#include "worker/model/adjoint_weights.h"
#include "worker/model/memory_plan.h"
#include "worker/model/model_config.h"
#include "worker/model/weights.h"

struct model;

struct model_params {
    const char *directory;            /* an HF directory; with `shape` a name for errors */
    const struct model_config *shape; /* NULL, or the shape of a model whose weights have no
                                       * values: for a backend that only counts (worker/paper) */
    struct backend *backend;          /* borrowed; must outlive the model */
    enum compute compute;
    uint64_t shuffle_seed; /* random weights: weight_shuffle.h; 0: those of the checkpoint */
    const struct memory_needs
        *needs; /* of whoever opens it, borrowed until it is open; NULL: none */
};

/* A model that the device has no room for is streamed through it, layer by layer, where the
 * backend can. On ST_OK the caller owns *out. Errors: as model_config_read(),
 * safetensors_open() and weights_load(), preceded by the directory's name; ST_NO_MEMORY if it
 * does not fit even streamed. */
MUST_CHECK status_t model_open(struct model **out, const struct model_params *params,
                               struct error *err);
void model_close(struct model **model); /* NULL-safe; sets *model = NULL */

const struct model_config *model_config(const struct model *model);
const struct weights *model_weights(const struct model *model);
struct backend *model_backend(const struct model *model);
enum compute model_compute(const struct model *model);
const char *model_directory(const struct model *model);
/* What its weights are read from, for whoever needs a tensor on the host. Borrowed. */
const struct weights_source *model_source(const struct model *model);
uint64_t model_shuffle_seed(const struct model *model); /* 0: not shuffled */

/* What was found to fit when it was opened, or planned again. */
const struct memory_plan *model_plan(const struct model *model);

/* Plan again for other needs, while nobody else uses the model. False if it would have to be opened
 * anew: it has to stream now, or does not fit. One that streams already goes on so. */
bool model_plan_again(struct model *model, const struct memory_needs *needs);

/* How often the batches of passes over this model are halved, and once more: after a device was
 * found full. False if no pass has been seen that would be smaller then. Thread-safe. */
unsigned model_n_halvings(const struct model *model);
bool model_halve(struct model *model);
/* A pass tells whether half of its batch would take less. */
void model_note_pass(struct model *model, bool can_shrink);

/* Layers could not be recorded (forward_replay.c) and are run one by one, for this reason. */
void model_note_unrecorded(struct model *model, const struct error *why);
/* True once for each model of which that was noted: the first reason, for a log. Thread-safe. */
bool model_take_unrecorded(struct model *model, struct error *why);

/* Bytes on the device, the head included once it is loaded. Thread-safe. */
size_t model_device_bytes(struct model *model);

/* The packed output head, loaded by the first caller. Thread-safe; lives until model_close(). */
MUST_CHECK status_t model_head(struct model *model, const struct packed **out, struct error *err);

/* Those of its columns that belong to the tokens ids [n]; the caller destroys it by
 * backend_ops.packed_destroy. Errors: ST_BAD_INPUT (an id outside the vocabulary). */
MUST_CHECK status_t model_head_columns(struct model *model, const uint32_t *ids, size_t n,
                                       struct packed **out, struct error *err);

/* Factors of a layer for backend_ops.head_norms, device [n_heads, d_head, d_head], made by the
 * first caller: the lower Cholesky factor of W_O,h W_O,h^T per head, in double, rounded once.
 * |z_h W_O,h| is then |z_h F_h|. Thread-safe; lives until model_close(). */
MUST_CHECK status_t model_head_factors(struct model *model, size_t layer, const float **out,
                                       struct error *err);

/* The weights packed for derivatives (adjoint_weights.h), with the maps of single heads if
 * has_heads, loaded by the first caller. Thread-safe; lives until model_close(). */
MUST_CHECK status_t model_adjoint(struct model *model, bool has_heads,
                                  const struct adjoint_weights **out, struct error *err);
/* Bytes on the device that model_adjoint() and model_head() would still take, without windows.
 * Thread-safe. */
size_t model_adjoint_missing(struct model *model, bool has_heads);

#endif
