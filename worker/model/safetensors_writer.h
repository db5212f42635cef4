/* Write one safetensors file, whole or piece by piece, so that a reader sees it complete or not
 * at all: bytes go to a temporary name beside `path`, which finish() syncs and renames.
 *
 * Shapes are known up front; the values of several tensors may arrive interleaved (each tensor
 * has its own write position), so memory stays bounded however large the file is. In the file,
 * tensors lie by falling dtype size, then by name, so every tensor is aligned.
 * One thread at a time. */
#ifndef WORKER_MODEL_SAFETENSORS_WRITER_H
#define WORKER_MODEL_SAFETENSORS_WRITER_H

#include "common/error.h"
#include "worker/model/tensor.h"

#include <stddef.h>

struct safetensors_writer;

/* Write `tensors` [n] to `path` in one call. Errors as below. */
MUST_CHECK status_t safetensors_write(const char *path, const struct tensor_view *tensors,
                                      size_t n_tensors, struct error *err);

/* Begin a file of `tensors` [n]: name, dtype and shape are read (and copied), data and n_bytes
 * ignored. On ST_OK the caller owns *out and ends it by finish() or abort().
 * Errors: ST_BAD_INPUT (empty or duplicate name), ST_TOO_LARGE, ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t safetensors_writer_open(struct safetensors_writer **out, const char *path,
                                            const struct tensor_view *tensors, size_t n_tensors,
                                            struct error *err);

/* Append bytes to tensor `index` (its place in the array given to open).
 * Errors: ST_BAD_INPUT (no such tensor, more bytes than its shape holds), ST_IO. */
MUST_CHECK status_t safetensors_writer_append(struct safetensors_writer *writer, size_t index,
                                              const void *bytes, size_t n_bytes, struct error *err);

/* Check that every tensor is full, sync, rename to the final name, free; sets *writer = NULL
 * whatever happens. Errors: ST_BAD_INPUT (a tensor is not full: names it), ST_IO; then nothing
 * is left under either name. */
MUST_CHECK status_t safetensors_writer_finish(struct safetensors_writer **writer,
                                              struct error *err);

/* Drop the temporary file and free. NULL-safe; sets *writer = NULL. */
void safetensors_writer_abort(struct safetensors_writer **writer);

#endif
