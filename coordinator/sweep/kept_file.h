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

/* What a user brings, and what the spec says of it. */
struct kept_brought {
    const char *path;     /* the user's; NULL: nothing is brought */
    const char *hash;     /* of what was accepted; NULL: not accepted yet */
    const char *hash_key; /* the key of the spec that names it */
};

/* Keep the bytes of `brought`, which have the hash that the spec names if it names one. Their hash
 * goes to *hash_out, the caller's, unless that is set. Errors: ST_BAD_INPUT (another hash), those
 * of kept_file_write(), ST_NO_MEMORY. */
MUST_CHECK status_t kept_file_keep(const struct kept_folder *folder,
                                   const struct kept_brought *brought, const char *bytes,
                                   size_t n_bytes, char **hash_out, struct error *err);

/* Is what has the hash `found` what sweep `id` was made of, `accepted`? ST_CONFLICT, by `path`. */
MUST_CHECK status_t kept_file_compare(const char *path, const char *found, const char *accepted,
                                      const char *id, struct error *err);

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
