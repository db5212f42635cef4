/* Reads the tensors of a checkpoint for weights.c: names, checks, bookkeeping of what was used, the
 * way to the device. Private to worker/model/weights*.c; one thread. */
#ifndef WORKER_MODEL_WEIGHTS_LOADER_H
#define WORKER_MODEL_WEIGHTS_LOADER_H

#include "worker/model/weights.h"

enum { TENSOR_NAME_SIZE = 256 };

/* Where the loader is: the source, an exec to upload with, the prefix that this file uses. */
struct weights_loader {
    const struct weights_source *source;
    const struct backend_ops *ops;
    struct exec *exec; /* from the first upload on: it takes room on the device */
    const char *prefix;
    struct weights *weights;         /* its byte count grows; NULL if nobody counts */
    const struct tensor_view **used; /* [n_used] of [safetensors_count()], NULL: not kept */
    size_t n_used;
};

/* Errors: ST_NOT_FOUND if the checkpoint has no token embedding under any known prefix. */
MUST_CHECK status_t weights_loader_init(struct weights_loader *l,
                                        const struct weights_source *source, struct error *err);
void weights_loader_fini(struct weights_loader *l);

/* prefix + base with '#' replaced by the layer + suffix. Errors: ST_TOO_LARGE. */
MUST_CHECK status_t weights_tensor_name(char out[TENSOR_NAME_SIZE], const char *prefix,
                                        const char *base, size_t layer, const char *suffix,
                                        struct error *err);

/* The tensor of that name, noted as used. Errors: ST_NOT_FOUND, ST_UNSUPPORTED (no float). */
MUST_CHECK status_t weights_find_tensor(struct weights_loader *l, const char *name,
                                        const struct tensor_view **out, struct error *err);

/* Read a finite [rows, columns] tensor (rows = 0: a vector [columns]) as f32 into out. */
MUST_CHECK status_t weights_read_tensor(struct weights_loader *l, const char *name, size_t rows,
                                        size_t columns, float *out, struct error *err);

/* New host memory for [rows, columns] floats (rows = 0: a vector); the caller frees it. */
MUST_CHECK status_t weights_host_floats(size_t rows, size_t columns, float **out,
                                        struct error *err);

/* Move n host floats to newly allocated device memory. */
MUST_CHECK status_t weights_to_device(struct weights_loader *l, const float *host, size_t n,
                                      float **out, struct error *err);

/* A named table [rows, columns] (rows = 0: vector) on the device. */
MUST_CHECK status_t weights_load_table(struct weights_loader *l, const char *base, size_t layer,
                                       const char *suffix, size_t rows, size_t columns, float **out,
                                       struct error *err);

/* Every tensor of the checkpoint must have been used: one that we do not know would be a part of
 * the model that we do not compute. Errors: ST_UNSUPPORTED names it. */
MUST_CHECK status_t weights_check_all_used(struct weights_loader *l, struct error *err);

#endif
