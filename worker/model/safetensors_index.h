/* model.safetensors.index.json: which file of the directory holds each tensor. */
#ifndef WORKER_MODEL_SAFETENSORS_INDEX_H
#define WORKER_MODEL_SAFETENSORS_INDEX_H

#include "common/error.h"

#include <stddef.h>

struct safetensors_index_entry {
    const char *tensor;
    const char *file; /* a plain name, no directory part */
};

struct safetensors_index {
    struct safetensors_index_entry *entries; /* [n_entries], by file, then by tensor */
    size_t n_entries;
    void *document; /* owns the strings */
};

/* Parse the index's text. On ST_OK the caller releases it with safetensors_index_fini().
 * `path` is only for error texts. Errors: ST_CORRUPT (JSON, duplicates, a file name that leaves
 * the directory), ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t safetensors_index_parse(struct safetensors_index *out, const char *path,
                                            const char *text, size_t n_bytes, struct error *err);
void safetensors_index_fini(struct safetensors_index *index);

#endif
