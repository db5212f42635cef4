/* Files that users bring with a sweep, kept as DATA/FOLDER/SHA256 from the moment it is accepted:
 * what happens to the user's file afterwards changes nothing. Equal files are one file. Loop thread
 * only. */
#ifndef COORDINATOR_SWEEP_KEPT_FILE_H
#define COORDINATOR_SWEEP_KEPT_FILE_H

#include "common/error.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>

/* One kind of them. */
struct kept_folder {
    const char *data_directory; /* borrowed */
    const char *name;           /* "circuits": DATA/circuits */
    size_t max_bytes;           /* of a file */
};

/* Keep those bytes, whose hash is `hash`. Errors: ST_TOO_LARGE (the path), ST_IO. */
MUST_CHECK status_t kept_file_write(const struct kept_folder *folder, const char *hash,
                                    const char *bytes, size_t n_bytes, struct error *err);

/* The bytes of a hash, with a NUL behind them; *bytes is the caller's. Errors: ST_CORRUPT (other
 * bytes are there), those of file_read(). */
MUST_CHECK status_t kept_file_read(const struct kept_folder *folder, const char *hash, char **bytes,
                                   size_t *n_bytes, struct error *err);
/* Could they be read? */
bool kept_file_is_there(const struct kept_folder *folder, const char *hash);

/* Remove files of this folder that `is_named` does not know, and what a process that died left of
 * one; names that are none of ours stay. *n_removed counts. Nothing without the folder. Errors:
 * ST_IO. */
typedef bool kept_file_is_named_fn(const void *context, const char *hash);
MUST_CHECK status_t kept_file_clean(const struct kept_folder *folder,
                                    kept_file_is_named_fn *is_named, const void *context,
                                    size_t *n_removed, struct error *err);

#endif
