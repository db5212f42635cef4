#include "coordinator/sweep/kept_file.h"

#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* DATA/FOLDER, or the file of a hash in it. */
static status_t path_of(const struct kept_folder *folder, const char *hash, char out[PATH_SIZE],
                        struct error *err)
{
    const int n = snprintf(out, PATH_SIZE, "%s/%s%s%s", folder->data_directory, folder->name,
                           hash ? "/" : "", hash ? hash : "");
    return n > 0 && n < PATH_SIZE
               ? ST_OK
               : error_set(err, ST_TOO_LARGE, "%s: too long", folder->data_directory);
}

status_t kept_file_write(const struct kept_folder *folder, const char *hash, const char *bytes,
                         size_t n_bytes, struct error *err)
{
    char path[PATH_SIZE];
    status_t status = path_of(folder, NULL, path, err);
    if (status == ST_OK) status = file_make_directories(path, err);
    if (status == ST_OK) status = path_of(folder, hash, path, err);
    return status == ST_OK ? file_write_atomic(path, bytes, n_bytes, err) : status;
}

status_t kept_file_keep(const struct kept_folder *folder, const struct kept_brought *brought,
                        const char *bytes, size_t n_bytes, char **hash_out, struct error *err)
{
    char hash[HASH_HEX_SIZE];
    hash_sha256_hex(bytes, n_bytes, hash);
    if (brought->hash && strcmp(brought->hash, hash) != 0)
        return error_set(err, ST_BAD_INPUT, "%s: its SHA-256 is %s, %s says %s", brought->path,
                         hash, brought->hash_key, brought->hash);
    const status_t status = kept_file_write(folder, hash, bytes, n_bytes, err);
    if (status != ST_OK || *hash_out) return status;
    *hash_out = strdup(hash);
    return *hash_out ? ST_OK : error_set(err, ST_NO_MEMORY, "%s", brought->path);
}

status_t kept_file_compare(const char *path, const char *found, const char *accepted,
                           const char *id, struct error *err)
{
    if (strcmp(found, accepted) == 0) return ST_OK;
    return error_set(err, ST_CONFLICT,
                     "%s is not as it was when this client key made %s: a new sweep needs a key of "
                     "its own",
                     path, id);
}

status_t kept_file_read(const struct kept_folder *folder, const char *hash, char **bytes,
                        size_t *n_bytes, struct error *err)
{
    char path[PATH_SIZE], found[HASH_HEX_SIZE];
    status_t status = path_of(folder, hash, path, err);
    if (status == ST_OK) status = file_read(path, folder->max_bytes, bytes, n_bytes, err);
    if (status != ST_OK) return status;
    hash_sha256_hex(*bytes, *n_bytes, found);
    if (strcmp(found, hash) == 0) return ST_OK;
    free(*bytes);
    *bytes = NULL;
    return error_set(err, ST_CORRUPT, "%s: its hash is not its name", path);
}

bool kept_file_is_there(const struct kept_folder *folder, const char *hash)
{
    struct error ignored = {.status = ST_OK};
    char *bytes = NULL;
    size_t n_bytes;
    const bool is_there = kept_file_read(folder, hash, &bytes, &n_bytes, &ignored) == ST_OK;
    free(bytes);
    return is_there;
}

/* --- cleaning ----------------------------------------------------------------------------- */

/* A hash, alone or with what file_write_atomic() puts behind a name while it writes. */
static bool read_name(const char *name, char hash[HASH_HEX_SIZE])
{
    const size_t n = strspn(name, "0123456789abcdef");
    if (n != HASH_HEX_SIZE - 1 || (name[n] && name[n] != '.')) return false;
    memcpy(hash, name, n);
    hash[n] = '\0';
    return true;
}

static bool is_kept(const char *name, const char *hash, kept_file_is_named_fn *is_named,
                    const void *context)
{
    return !name[HASH_HEX_SIZE - 1] && is_named(context, hash);
}

status_t kept_file_clean(const struct kept_folder *folder, kept_file_is_named_fn *is_named,
                         const void *context, size_t *n_removed, struct error *err)
{
    char path[PATH_SIZE], hash[HASH_HEX_SIZE];
    *n_removed = 0;
    status_t status = path_of(folder, NULL, path, err);
    DIR *directory = status == ST_OK ? opendir(path) : NULL;
    if (status != ST_OK) return status;
    if (!directory)
        return errno == ENOENT ? ST_OK
                               : error_set(err, ST_IO, "open %s: %s", path, strerror(errno));
    for (const struct dirent *file; (file = readdir(directory)) && status == ST_OK;) {
        if (!read_name(file->d_name, hash) || is_kept(file->d_name, hash, is_named, context))
            continue;
        if (unlinkat(dirfd(directory), file->d_name, 0) != 0)
            status = error_set(err, ST_IO, "remove %s/%s: %s", path, file->d_name, strerror(errno));
        else
            ++*n_removed;
    }
    (void)closedir(directory);
    return status;
}
