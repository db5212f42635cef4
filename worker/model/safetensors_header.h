/* The header of one safetensors file: bytes in, checked views out. Pure: no file access, so the
 * fuzzer calls it directly. */
#ifndef WORKER_MODEL_SAFETENSORS_HEADER_H
#define WORKER_MODEL_SAFETENSORS_HEADER_H

#include "common/error.h"
#include "worker/model/tensor.h"

#include <stddef.h>

/* Parse a whole file's bytes (the header and the tensors behind it). On ST_OK *views is a new
 * array [*n_views] in the order of the file, NULL when it is empty; names are owned by the
 * array, data borrows `bytes`. Release with safetensors_views_free(). `path` is only for error
 * texts. Errors: ST_CORRUPT, ST_TOO_LARGE, ST_UNSUPPORTED, ST_NO_MEMORY; outputs untouched. */
MUST_CHECK status_t safetensors_parse(const char *path, const void *bytes, size_t n_bytes,
                                      struct tensor_view **views, size_t *n_views,
                                      struct error *err);

/* Free the names and the array. NULL-safe. */
void safetensors_views_free(struct tensor_view *views, size_t n_views);

#endif
