#include "coordinator/report/results_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct results_file {
    char *bytes; /* mapped, read-only */
    size_t n_bytes;
    size_t *starts; /* [n_records + 1] */
    size_t n_records;
};

static status_t map_file(struct results_file *file, const char *path, struct error *err)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", path,
                         strerror(errno));
    status_t status =
        fstat(fd, &info) == 0 ? ST_OK : error_set(err, ST_IO, "stat %s: %s", path, strerror(errno));
    if (status == ST_OK && info.st_size > 0) {
        file->n_bytes = (size_t)info.st_size;
        void *map = mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            status = error_set(err, ST_IO, "map %s: %s", path, strerror(errno));
        else
            file->bytes = map;
    }
    (void)close(fd);
    return status;
}

static size_t count_lines(const char *bytes, size_t n_bytes)
{
    size_t n = 0;
    for (const char *at = bytes; n_bytes && (at = memchr(at, '\n', (size_t)(bytes + n_bytes - at)));
         at++)
        n++;
    return n;
}

static status_t index_lines(struct results_file *file, struct error *err)
{
    file->n_records = count_lines(file->bytes, file->n_bytes);
    file->starts = malloc((file->n_records + 1) * sizeof *file->starts);
    if (!file->starts) return error_set(err, ST_NO_MEMORY, "%zu records", file->n_records);
    size_t start = 0;
    for (size_t i = 0; i < file->n_records; i++) {
        file->starts[i] = start;
        const char *end = memchr(file->bytes + start, '\n', file->n_bytes - start);
        start = (size_t)(end - file->bytes) + 1;
    }
    file->starts[file->n_records] = start;
    return ST_OK;
}

status_t results_file_open(struct results_file **out, const char *path, struct error *err)
{
    struct results_file *file = calloc(1, sizeof *file);
    if (!file) return error_set(err, ST_NO_MEMORY, "%s", path);
    status_t status = map_file(file, path, err);
    if (status == ST_OK) status = index_lines(file, err);
    if (status != ST_OK) {
        results_file_close(&file);
        return status;
    }
    *out = file;
    return ST_OK;
}

void results_file_close(struct results_file **file)
{
    if (!*file) return;
    if ((*file)->bytes) (void)munmap((*file)->bytes, (*file)->n_bytes);
    free((*file)->starts);
    free(*file);
    *file = NULL;
}

size_t results_file_n_records(const struct results_file *file)
{
    return file->n_records;
}

json_t *results_file_record(const struct results_file *file, size_t index)
{
    if (index >= file->n_records) return NULL;
    const size_t start = file->starts[index];
    return json_loadb(file->bytes + start, file->starts[index + 1] - start - 1, 0, NULL);
}
