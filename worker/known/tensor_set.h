/* The tensors of a checkpoint while they are built: named, zeroed, in double precision; written as
 * float32. One thread. */
#ifndef WORKER_KNOWN_TENSOR_SET_H
#define WORKER_KNOWN_TENSOR_SET_H

#include "worker/model/tensor.h"

enum { TENSOR_SET_MAX = 48, TENSOR_SET_NAME_SIZE = 64 };

/* Zero-initialise; the owner calls tensor_set_fini(). */
struct tensor_set {
    struct tensor_view views[TENSOR_SET_MAX]; /* name, dtype F32 and shape; no data */
    char names[TENSOR_SET_MAX][TENSOR_SET_NAME_SIZE];
    double *values[TENSOR_SET_MAX];
    size_t n_tensors;
};

/* A new tensor [rows, columns], or [columns] if rows is 0, called `format` printed; *out is its
 * zeroed memory, which the set owns. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t tensor_set_add(struct tensor_set *set, double **out, size_t rows,
                                   size_t columns, struct error *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Write all as one safetensors file. Errors: ST_IO, ST_NO_MEMORY; then there is no file. */
MUST_CHECK status_t tensor_set_write(const struct tensor_set *set, const char *path,
                                     struct error *err);

void tensor_set_fini(struct tensor_set *set);

#endif
