/* The merged evidence that is on disk, DATA/captures/KEY/ (label_evidence.c): what is there, how
 * large, when it was used last, and which goes first when there is too much.
 *
 * `complete` is written last and removed first; its time is that of the last use. A directory
 * without it is what a coordinator left that died: worth nothing. Loop thread only. */
#ifndef COORDINATOR_SWEEP_CAPTURES_H
#define COORDINATOR_SWEEP_CAPTURES_H

#include "common/error.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sweep;

struct capture_entry {
    char key[HASH_HEX_SIZE];
    uint64_t n_bytes;
    bool is_complete;
    int64_t created_unix_ms; /* of its oldest file */
    int64_t used_unix_ms;    /* 0: never whole */
};

/* All of `data_directory`, the one used last first, then by key; others' files are passed over. The
 * caller frees *out. No directory is no captures. Errors: ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t captures_list(const char *data_directory, struct capture_entry **out, size_t *n,
                                  struct error *err);

/* It was used now. No-op if it is not whole. */
void captures_touch(const char *data_directory, const char *key);

/* The key of the capture that a sweep runs on; NULL while it has none (label_evidence.c). */
const char *captures_key_of(const struct sweep *sweep);

typedef bool captures_in_use_fn(void *context, const char *key);

/* Remove those that are not whole, and those used longest ago until at most max_bytes are left;
 * never one that is in use, however much they are. *n_removed counts. Errors: ST_IO (what can be
 * removed is, all the same), ST_NO_MEMORY. */
MUST_CHECK status_t captures_evict(const char *data_directory, uint64_t max_bytes,
                                   captures_in_use_fn *is_used, void *context, size_t *n_removed,
                                   struct error *err);

#endif
