#include "worker/model/safetensors.h"

#include "common/file.h"
#include "worker/model/safetensors_header.h"
#include "worker/model/safetensors_index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char index_suffix[] = ".index.json";

struct mapped_file {
    void *bytes; /* [n_bytes], mapped read-only */
    size_t n_bytes;
    struct tensor_view *views; /* [n_views], owned; sorted by name once parsed */
    size_t n_views;
};

struct safetensors {
    struct mapped_file *files; /* [n_files] */
    size_t n_files;
    struct tensor_view *views; /* [n_views] by name; names belong to the files */
    size_t n_views;
};

static int compare_names(const void *left, const void *right)
{
    const struct tensor_view *a = left;
    const struct tensor_view *b = right;
    return strcmp(a->name, b->name);
}

static const struct tensor_view *find_view(const struct tensor_view *views, size_t n_views,
                                           const char *name)
{
    const struct tensor_view key = {.name = name};
    if (n_views == 0) return NULL;
    return bsearch(&key, views, n_views, sizeof *views, compare_names);
}

static status_t map_descriptor(int fd, const char *path, struct mapped_file *file,
                               struct error *err)
{
    struct stat before, after;
    if (fstat(fd, &before) != 0) return error_set(err, ST_IO, "stat %s: %s", path, strerror(errno));
    if (!S_ISREG(before.st_mode)) return error_set(err, ST_IO, "%s: not a regular file", path);
    if (before.st_size == 0) return error_set(err, ST_CORRUPT, "%s: the file is empty", path);
    file->n_bytes = (size_t)before.st_size;
    file->bytes = mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file->bytes == MAP_FAILED) {
        file->bytes = NULL;
        return error_set(err, ST_IO, "map %s: %s", path, strerror(errno));
    }
    if (fstat(fd, &after) != 0 || after.st_size != before.st_size)
        return error_set(err, ST_CORRUPT, "%s: its size changed while it was opened", path);
    return ST_OK;
}

static status_t map_file(const char *path, struct mapped_file *file, struct error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", path,
                         strerror(errno));
    status_t status = map_descriptor(fd, path, file, err);
    (void)close(fd); /* the map keeps the file */
    if (status == ST_OK)
        status =
            safetensors_parse(path, file->bytes, file->n_bytes, &file->views, &file->n_views, err);
    if (status == ST_OK && file->n_views > 1)
        qsort(file->views, file->n_views, sizeof *file->views, compare_names);
    return status;
}

static status_t open_single(struct safetensors *checkpoint, const char *path, struct error *err)
{
    checkpoint->files = calloc(1, sizeof *checkpoint->files);
    if (!checkpoint->files) return error_set(err, ST_NO_MEMORY, "open %s", path);
    checkpoint->n_files = 1;
    struct mapped_file *file = &checkpoint->files[0];
    const status_t status = map_file(path, file, err);
    if (status != ST_OK) return status;
    checkpoint->views = calloc(file->n_views + 1, sizeof *checkpoint->views);
    if (!checkpoint->views) return error_set(err, ST_NO_MEMORY, "open %s", path);
    if (file->n_views) memcpy(checkpoint->views, file->views, file->n_views * sizeof *file->views);
    checkpoint->n_views = file->n_views;
    return ST_OK;
}

/* Map the shard that entries [begin, end) name and take their views. */
static status_t open_shard(struct safetensors *checkpoint, const char *directory,
                           const struct safetensors_index *index, size_t begin, size_t end,
                           struct error *err)
{
    char *path = file_join(directory, index->entries[begin].file);
    if (!path) return error_set(err, ST_NO_MEMORY, "open a shard in %s", directory);
    struct mapped_file *file = &checkpoint->files[checkpoint->n_files++];
    status_t status = map_file(path, file, err);
    if (status == ST_NOT_FOUND) {
        error_wrap(err, "the index names a missing shard (tensor '%.128s')",
                   index->entries[begin].tensor);
    }
    for (size_t i = begin; status == ST_OK && i < end; i++) {
        const char *name = index->entries[i].tensor;
        const struct tensor_view *view = find_view(file->views, file->n_views, name);
        if (!view)
            status = error_set(err, ST_CORRUPT,
                               "%s: tensor '%.128s': the index puts it here, "
                               "the file lacks it",
                               path, name);
        else
            checkpoint->views[checkpoint->n_views++] = *view;
    }
    free(path);
    return status;
}

static status_t open_shards(struct safetensors *checkpoint, const char *directory,
                            const struct safetensors_index *index, struct error *err)
{
    status_t status = ST_OK;
    size_t n_files = 1;
    for (size_t i = 1; i < index->n_entries; i++)
        n_files += strcmp(index->entries[i].file, index->entries[i - 1].file) != 0;
    if (n_files > SAFETENSORS_MAX_FILES)
        return error_set(err, ST_TOO_LARGE, "%s: the index names %zu files, at most %d are read",
                         directory, n_files, (int)SAFETENSORS_MAX_FILES);
    checkpoint->files = calloc(n_files, sizeof *checkpoint->files);
    checkpoint->views = calloc(index->n_entries, sizeof *checkpoint->views);
    if (!checkpoint->files || !checkpoint->views)
        return error_set(err, ST_NO_MEMORY, "open the shards in %s", directory);
    for (size_t begin = 0, end; status == ST_OK && begin < index->n_entries; begin = end) {
        const char *file = index->entries[begin].file;
        for (end = begin + 1; end < index->n_entries; end++)
            if (strcmp(index->entries[end].file, file) != 0) break;
        status = open_shard(checkpoint, directory, index, begin, end, err);
    }
    if (status == ST_OK)
        qsort(checkpoint->views, checkpoint->n_views, sizeof *checkpoint->views, compare_names);
    return status;
}

static status_t open_index(struct safetensors *checkpoint, const char *path, struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    struct safetensors_index index = {0};
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    status_t status = directory ? ST_OK : error_set(err, ST_NO_MEMORY, "open %s", path);
    if (status == ST_OK)
        status = file_read(path, SAFETENSORS_MAX_INDEX_BYTES, &text, &n_bytes, err);
    if (status == ST_OK) status = safetensors_index_parse(&index, path, text, n_bytes, err);
    if (status == ST_OK) status = open_shards(checkpoint, directory, &index, err);
    safetensors_index_fini(&index);
    free(text);
    free(directory);
    return status;
}

static bool has_suffix(const char *text, const char *suffix)
{
    const size_t n = strlen(text);
    const size_t n_suffix = strlen(suffix);
    return n >= n_suffix && strcmp(text + n - n_suffix, suffix) == 0;
}

/* The directory's only *.safetensors file, for checkpoints that use another name. */
static status_t find_only_file(const char *directory, char **out, struct error *err)
{
    size_t n_found = 0;
    char *found = NULL;
    DIR *listing = opendir(directory);
    if (!listing) return error_set(err, ST_IO, "list %s: %s", directory, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(listing));) {
        if (!has_suffix(entry->d_name, ".safetensors") || n_found++ > 0) continue;
        found = file_join(directory, entry->d_name);
    }
    (void)closedir(listing);
    if (n_found == 1 && found) {
        *out = found;
        return ST_OK;
    }
    free(found);
    if (n_found == 1) return error_set(err, ST_NO_MEMORY, "list %s", directory);
    return error_set(err, ST_NOT_FOUND,
                     "%s: no model.safetensors, no index of one, and %zu other .safetensors files",
                     directory, n_found);
}

static status_t choose_in_directory(const char *directory, char **out, struct error *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = file_join(directory, names[i]);
        if (!path) return error_set(err, ST_NO_MEMORY, "open %s", directory);
        if (access(path, F_OK) == 0) {
            *out = path;
            return ST_OK;
        }
        free(path);
    }
    return find_only_file(directory, out, err);
}

static status_t resolve_path(const char *path, char **out, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", path,
                         strerror(errno));
    if (S_ISDIR(info.st_mode)) return choose_in_directory(path, out, err);
    *out = strdup(path);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "open %s", path);
}

status_t safetensors_open(struct safetensors **out, const char *path, struct error *err)
{
    char *chosen = NULL;
    struct safetensors *checkpoint = NULL;
    status_t status = resolve_path(path, &chosen, err);
    if (status != ST_OK) return status;
    checkpoint = calloc(1, sizeof *checkpoint);
    if (!checkpoint)
        status = error_set(err, ST_NO_MEMORY, "open %s", path);
    else if (has_suffix(chosen, index_suffix))
        status = open_index(checkpoint, chosen, err);
    else
        status = open_single(checkpoint, chosen, err);
    free(chosen);
    if (status == ST_OK)
        *out = checkpoint;
    else
        safetensors_close(&checkpoint);
    return status;
}

void safetensors_close(struct safetensors **checkpoint)
{
    struct safetensors *old = *checkpoint;
    if (!old) return;
    for (size_t i = 0; i < old->n_files; i++) {
        safetensors_views_free(old->files[i].views, old->files[i].n_views);
        if (old->files[i].bytes) (void)munmap(old->files[i].bytes, old->files[i].n_bytes);
    }
    free(old->files);
    free(old->views);
    free(old);
    *checkpoint = NULL;
}

size_t safetensors_count(const struct safetensors *checkpoint)
{
    return checkpoint->n_views;
}

const struct tensor_view *safetensors_at(const struct safetensors *checkpoint, size_t index)
{
    return index < checkpoint->n_views ? &checkpoint->views[index] : NULL;
}

const struct tensor_view *safetensors_find(const struct safetensors *checkpoint, const char *name)
{
    return find_view(checkpoint->views, checkpoint->n_views, name);
}

size_t safetensors_total_bytes(const struct safetensors *checkpoint)
{
    size_t total = 0;
    for (size_t i = 0; i < checkpoint->n_views; i++) total += checkpoint->views[i].n_bytes;
    return total;
}
