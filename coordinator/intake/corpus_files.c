#include "coordinator/intake/corpus_files.h"

#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static status_t add_file(struct corpus_files *files, char *path, size_t name_offset,
                         struct error *err)
{
    if (files->n >= CORPUS_MAX_FILES) {
        free(path);
        return error_set(err, ST_TOO_LARGE, "more than %d files", CORPUS_MAX_FILES);
    }
    if (files->n == files->capacity) {
        const size_t capacity = files->capacity ? 2 * files->capacity : 16;
        struct corpus_file *grown = realloc(files->files, capacity * sizeof *grown);
        if (!grown) {
            free(path);
            return error_set(err, ST_NO_MEMORY, "%zu files", capacity);
        }
        files->files = grown;
        files->capacity = capacity;
    }
    files->files[files->n++] = (struct corpus_file){path, path + name_offset};
    return ST_OK;
}

static status_t walk(struct corpus_files *files, const char *directory, size_t name_offset,
                     unsigned depth, struct error *err);

static status_t visit(struct corpus_files *files, const char *directory, const char *name,
                      size_t name_offset, unsigned depth, struct error *err)
{
    struct stat stat_of;
    char *path = file_join(directory, name);
    status_t status = ST_OK;
    if (!path) return error_set(err, ST_NO_MEMORY, "%s/%s", directory, name);
    if (stat(path, &stat_of) != 0)
        status = error_set(err, ST_IO, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(stat_of.st_mode))
        status = walk(files, path, name_offset, depth + 1, err);
    else if (S_ISREG(stat_of.st_mode))
        return add_file(files, path, name_offset, err);
    free(path);
    return status;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* not by locale: the same on every machine */
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static status_t walk(struct corpus_files *files, const char *directory, size_t name_offset,
                     unsigned depth, struct error *err)
{
    struct dirent **entries = NULL;
    status_t status = ST_OK;
    int n;
    if (depth > CORPUS_MAX_DIRECTORY_DEPTH)
        return error_set(err, ST_TOO_LARGE, "%s: directories more than %d deep", directory,
                         CORPUS_MAX_DIRECTORY_DEPTH);
    n = scandir(directory, &entries, is_visible, by_bytes);
    if (n < 0) return error_set(err, ST_IO, "%s: %s", directory, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (status == ST_OK)
            status = visit(files, directory, entries[i]->d_name, name_offset, depth, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static status_t add_single(struct corpus_files *files, const char *path, struct error *err)
{
    char *copy = strdup(path);
    const char *slash = strrchr(path, '/');
    if (!copy) return error_set(err, ST_NO_MEMORY, "%s", path);
    return add_file(files, copy, slash ? (size_t)(slash + 1 - path) : 0, err);
}

status_t corpus_files_init(struct corpus_files *out, const char *path, struct error *err)
{
    struct corpus_files files = {0};
    struct stat stat_of;
    status_t status;
    if (stat(path, &stat_of) != 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "corpus %s: %s", path,
                         strerror(errno));
    if (S_ISREG(stat_of.st_mode))
        status = add_single(&files, path, err);
    else if (S_ISDIR(stat_of.st_mode))
        status = walk(&files, path, strlen(path) + 1, 0, err);
    else
        status = error_set(err, ST_BAD_INPUT, "corpus %s: neither file nor directory", path);
    if (status == ST_OK && files.n == 0)
        status = error_set(err, ST_BAD_INPUT, "corpus %s: no file in this directory", path);
    if (status == ST_OK)
        *out = files;
    else
        corpus_files_fini(&files);
    return status;
}

void corpus_files_fini(struct corpus_files *files)
{
    for (size_t i = 0; i < files->n; i++) free(files->files[i].path);
    free(files->files);
    *files = (struct corpus_files){0};
}
