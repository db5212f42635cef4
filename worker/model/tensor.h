/* A named n-dimensional array as it lies in a checkpoint, and its conversion to float.
 *
 * A view borrows its bytes (usually a memory-mapped file). Bytes are little-endian, row-major,
 * slowest axis first, and need not be aligned: read them by tensor_to_f32() or memcpy. */
#ifndef WORKER_MODEL_TENSOR_H
#define WORKER_MODEL_TENSOR_H

#include "common/error.h"

#include <stddef.h>

enum { TENSOR_MAX_DIMS = 8 };

enum tensor_dtype {
    TENSOR_F64,
    TENSOR_F32,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_F8_E4M3, /* listed so that it can be named when refused: no conversion */
    TENSOR_F8_E5M2,
    TENSOR_I64,
    TENSOR_I32,
    TENSOR_I16,
    TENSOR_I8,
    TENSOR_U64,
    TENSOR_U32,
    TENSOR_U16,
    TENSOR_U8,
    TENSOR_BOOL,
    TENSOR_N_DTYPES
};

struct tensor_view {
    const char *name; /* borrowed */
    enum tensor_dtype dtype;
    size_t n_dims; /* 0 is a scalar */
    size_t shape[TENSOR_MAX_DIMS];
    const void *data; /* [n_bytes], borrowed, perhaps unaligned */
    size_t n_bytes;   /* product of shape x size of dtype */
};

/* "F32", "BF16", ... as safetensors spells it; "?" outside the enum. */
const char *tensor_dtype_name(enum tensor_dtype dtype);

/* Bytes of one value; 0 outside the enum. */
size_t tensor_dtype_bytes(enum tensor_dtype dtype);

/* The dtype that safetensors spells so. Errors: ST_UNSUPPORTED names it. */
MUST_CHECK status_t tensor_dtype_parse(const char *name, enum tensor_dtype *out, struct error *err);

/* Values in the view: the product of its shape (1 for a scalar). The view's n_bytes was checked
 * against it, so this cannot overflow. */
size_t tensor_n_values(const struct tensor_view *view);

/* Bytes of a tensor of this dtype and shape. Errors: ST_TOO_LARGE (overflow, too many
 * dimensions), ST_BAD_INPUT (no such dtype). */
MUST_CHECK status_t tensor_measure(enum tensor_dtype dtype, const size_t *shape, size_t n_dims,
                                   size_t *n_bytes, struct error *err);

/* Copy all values into out [n_values] as f32: F32, F16 and BF16 exactly (NaN payloads and
 * denormals too), F64 rounded to nearest. n_values must be the view's own count.
 * Errors: ST_BAD_INPUT (another count), ST_UNSUPPORTED (another dtype); both name the tensor. */
MUST_CHECK status_t tensor_to_f32(const struct tensor_view *view, float *out, size_t n_values,
                                  struct error *err);

#endif
