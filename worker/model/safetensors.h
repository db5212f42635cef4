/* Checkpoint files in the safetensors format, read by memory map.
 *
 *   8 bytes   length of the header, little-endian u64
 *   n bytes   header: JSON {"name": {"dtype", "shape", "data_offsets": [begin, end)}, ...}
 *   the rest  the tensors' bytes, back to back, offsets counted from here
 *
 * A path may be one file, an index (model.safetensors.index.json, which names the file of each
 * tensor), or a directory that holds model.safetensors, else the index, else exactly one
 * *.safetensors file. Everything that a header can lie about is checked at open, so that a view
 * never leaves its file: length and cap of the header, JSON, duplicate names, unknown dtypes,
 * shape x dtype against the byte range, ranges that overlap, leave gaps or pass the end, files
 * that are shorter or longer than their header says, an index that names a missing file, a
 * tensor its file lacks, or a path outside the directory. One line names file and tensor.
 *
 * The files must not shrink while they are mapped (as with any mapped program or library): the
 * size is compared once more after mapping, and a page that vanishes later raises SIGBUS.
 * Read-only after open; any thread. */
#ifndef WORKER_MODEL_SAFETENSORS_H
#define WORKER_MODEL_SAFETENSORS_H

#include "common/error.h"
#include "worker/model/tensor.h"

#include <stddef.h>

enum {
    SAFETENSORS_MAX_HEADER_BYTES = 100000000, /* the cap of the reference reader */
    SAFETENSORS_MAX_INDEX_BYTES = 64 << 20,
    SAFETENSORS_MAX_TENSORS = 1 << 20,
    SAFETENSORS_MAX_FILES = 4096
};

struct safetensors;

/* Map the checkpoint at `path` (file, index or directory, see above). On ST_OK the caller owns
 * *out. Errors: ST_NOT_FOUND, ST_IO, ST_CORRUPT, ST_UNSUPPORTED (dtype), ST_TOO_LARGE,
 * ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t safetensors_open(struct safetensors **out, const char *path, struct error *err);
/* NULL-safe; sets *checkpoint = NULL. Every view dies with it. */
void safetensors_close(struct safetensors **checkpoint);

/* Number of tensors, over all files. */
size_t safetensors_count(const struct safetensors *checkpoint);

/* Tensor `index` in the order of names (byte-wise); NULL past the end. Valid until close. */
const struct tensor_view *safetensors_at(const struct safetensors *checkpoint, size_t index);

/* The tensor of that name, by binary search; NULL if absent. Valid until close. */
const struct tensor_view *safetensors_find(const struct safetensors *checkpoint, const char *name);

/* Total bytes of all tensors. */
size_t safetensors_total_bytes(const struct safetensors *checkpoint);

#endif
