#include "coordinator/sweep/captures.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char complete_name[] = "complete";

static bool is_key(const char *name)
{
    return strlen(name) == HASH_HEX_SIZE - 1 &&
           strspn(name, "0123456789abcdef") == HASH_HEX_SIZE - 1;
}

static status_t path_of(const char *data_directory, const char *key, char out[PATH_MAX],
                        struct error *err)
{
    const int n = snprintf(out, PATH_MAX, "%s/captures/%s", data_directory, key);
    return n > 0 && n < PATH_MAX ? ST_OK : error_set(err, ST_TOO_LARGE, "data directory's name");
}

static int64_t unix_ms(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
}

/* --- listing ------------------------------------------------------------------------------- */

static void add_file(struct capture_entry *entry, const char *name, const struct stat *info)
{
    const int64_t written_ms = unix_ms(&info->st_mtim);
    entry->n_bytes += (uint64_t)info->st_size;
    if (strcmp(name, complete_name) == 0) {
        entry->is_complete = true;
        entry->used_unix_ms = written_ms;
    } else if (!entry->created_unix_ms || written_ms < entry->created_unix_ms) {
        entry->created_unix_ms = written_ms;
    }
}

/* False if it is no directory, or gone by now. */
static bool measure(const char *path, struct capture_entry *entry)
{
    DIR *directory = opendir(path);
    if (!directory) return false;
    for (const struct dirent *file; (file = readdir(directory));) {
        struct stat info;
        if (fstatat(dirfd(directory), file->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode))
            add_file(entry, file->d_name, &info);
    }
    (void)closedir(directory);
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const struct capture_entry *left = a, *right = b;
    if (left->used_unix_ms != right->used_unix_ms)
        return left->used_unix_ms > right->used_unix_ms ? -1 : 1;
    return strcmp(left->key, right->key);
}

static status_t append(struct capture_entry **list, size_t *n, const struct capture_entry *entry,
                       struct error *err)
{
    struct capture_entry *grown = realloc(*list, (*n + 1) * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%zu captures", *n);
    grown[(*n)++] = *entry;
    *list = grown;
    return ST_OK;
}

status_t captures_list(const char *data_directory, struct capture_entry **out, size_t *n,
                       struct error *err)
{
    char path[PATH_MAX];
    status_t status = path_of(data_directory, "", path, err);
    *out = NULL;
    *n = 0;
    if (status != ST_OK) return status;
    DIR *captures = opendir(path);
    if (!captures && errno == ENOENT) return ST_OK;
    if (!captures) return error_set(err, ST_IO, "open %s: %s", path, strerror(errno));
    for (const struct dirent *file; status == ST_OK && (file = readdir(captures));) {
        struct capture_entry entry = {.n_bytes = 0};
        if (!is_key(file->d_name)) continue;
        memcpy(entry.key, file->d_name, HASH_HEX_SIZE);
        status = path_of(data_directory, entry.key, path, err);
        if (status == ST_OK && measure(path, &entry)) status = append(out, n, &entry, err);
    }
    (void)closedir(captures);
    if (*n) qsort(*out, *n, sizeof **out, compare_entries);
    return status;
}

/* --- use and removal ----------------------------------------------------------------------- */

void captures_touch(const char *data_directory, const char *key)
{
    char path[PATH_MAX];
    const int n =
        snprintf(path, sizeof path, "%s/captures/%s/%s", data_directory, key, complete_name);
    if (n > 0 && n < PATH_MAX) (void)utimensat(AT_FDCWD, path, NULL, 0);
}

static status_t remove_capture(const char *data_directory, const char *key, struct error *err)
{
    char path[PATH_MAX];
    status_t status = path_of(data_directory, key, path, err);
    if (status != ST_OK) return status;
    DIR *directory = opendir(path);
    if (!directory) return error_set(err, ST_IO, "open %s: %s", path, strerror(errno));
    (void)unlinkat(dirfd(directory), complete_name, 0); /* from now on it counts as absent */
    for (const struct dirent *file; (file = readdir(directory));)
        (void)unlinkat(dirfd(directory), file->d_name, 0); /* rmdir tells what is left */
    (void)closedir(directory);
    if (rmdir(path) != 0) status = error_set(err, ST_IO, "remove %s: %s", path, strerror(errno));
    return status;
}

status_t captures_evict(const char *data_directory, uint64_t max_bytes, captures_in_use_fn *is_used,
                        void *context, size_t *n_removed, struct error *err)
{
    struct capture_entry *list;
    size_t n;
    uint64_t total = 0;
    *n_removed = 0;
    status_t status = captures_list(data_directory, &list, &n, err);
    for (size_t i = 0; i < n; i++) total += list[i].n_bytes;
    for (size_t i = n; i-- > 0 && status != ST_NO_MEMORY;) { /* the oldest is the last */
        if ((list[i].is_complete && total <= max_bytes) || is_used(context, list[i].key)) continue;
        struct error problem = {0};
        if (remove_capture(data_directory, list[i].key, &problem) != ST_OK) {
            status = error_set(err, ST_IO, "%s", problem.text);
            continue;
        }
        total -= list[i].n_bytes;
        (*n_removed)++;
    }
    free(list);
    return status;
}
