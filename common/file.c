#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static status_t read_all(int fd, const char *path, size_t n_bytes, char *out, struct error *err)
{
    for (size_t done = 0; done < n_bytes;) {
        const ssize_t n = read(fd, out + done, n_bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set(err, ST_IO, "read %s: %s", path, strerror(errno));
        if (n == 0) return error_set(err, ST_IO, "read %s: shorter than %zu bytes", path, n_bytes);
        done += (size_t)n;
    }
    out[n_bytes] = '\0';
    return ST_OK;
}

static status_t open_regular(const char *path, size_t max_bytes, int *fd, size_t *size,
                             struct error *err)
{
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not wait */
    if (*fd < 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", path,
                         strerror(errno));
    if (fstat(*fd, &info) != 0) return error_set(err, ST_IO, "stat %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return error_set(err, ST_IO, "%s: not a regular file", path);
    *size = (size_t)info.st_size;
    if (*size > max_bytes)
        return error_set(err, ST_TOO_LARGE, "%s: %zu bytes, at most %zu are read", path, *size,
                         max_bytes);
    return ST_OK;
}

status_t file_read(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
                   struct error *err)
{
    int fd = -1;
    size_t size = 0;
    char *bytes = NULL;
    status_t status = open_regular(path, max_bytes, &fd, &size, err);
    if (status != ST_OK) goto done;
    bytes = malloc(size + 1);
    if (!bytes) {
        status = error_set(err, ST_NO_MEMORY, "%s: %zu bytes", path, size);
        goto done;
    }
    status = read_all(fd, path, size, bytes, err);
    if (status != ST_OK) goto done;
    *out = bytes;
    if (n_bytes) *n_bytes = size;
    bytes = NULL;
done:
    if (fd >= 0) (void)close(fd);
    free(bytes);
    return status;
}

static status_t write_all(int fd, const char *path, const char *bytes, size_t n_bytes,
                          struct error *err)
{
    for (size_t done = 0; done < n_bytes;) {
        const ssize_t n = write(fd, bytes + done, n_bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set(err, ST_IO, "write %s: %s", path, strerror(errno));
        done += (size_t)n;
    }
    if (fdatasync(fd) != 0) return error_set(err, ST_IO, "sync %s: %s", path, strerror(errno));
    return ST_OK;
}

status_t file_check_replaceable(const char *path, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0 || S_ISREG(info.st_mode)) return ST_OK;
    return error_set(err, ST_IO, "%s: not a regular file, and only such a one is written anew",
                     path);
}

status_t file_write_atomic(const char *path, const void *bytes, size_t n_bytes, struct error *err)
{
    char temporary[4096];
    const int n = snprintf(temporary, sizeof temporary, "%s.%ld.XXXXXX", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary)
        return error_set(err, ST_TOO_LARGE, "path too long: %s", path);
    status_t status = file_check_replaceable(path, err);
    if (status != ST_OK) return status;
    const int fd = mkstemp(temporary);
    if (fd < 0) return error_set(err, ST_IO, "create %s: %s", temporary, strerror(errno));
    status = write_all(fd, temporary, bytes, n_bytes, err);
    if (fchmod(fd, 0644) != 0 && status == ST_OK)
        status = error_set(err, ST_IO, "chmod %s: %s", temporary, strerror(errno));
    if (close(fd) != 0 && status == ST_OK)
        status = error_set(err, ST_IO, "close %s: %s", temporary, strerror(errno));
    if (status == ST_OK && rename(temporary, path) != 0)
        status = error_set(err, ST_IO, "rename %s: %s", path, strerror(errno));
    if (status != ST_OK) (void)unlink(temporary);
    return status;
}

status_t file_create_unnamed(const char *directory, int *fd, struct error *err)
{
    char *path = file_join(directory, "unnamed-XXXXXX");
    if (!path) return error_set(err, ST_NO_MEMORY, "file in %s", directory);
    status_t status = ST_OK;
    *fd = mkstemp(path);
    if (*fd < 0) status = error_set(err, ST_IO, "create %s: %s", path, strerror(errno));
    if (*fd >= 0 && unlink(path) != 0) {
        status = error_set(err, ST_IO, "unlink %s: %s", path, strerror(errno));
        (void)close(*fd);
        *fd = -1;
    }
    free(path);
    return status;
}

status_t file_read_at(int fd, void *out, size_t n_bytes, uint64_t offset, struct error *err)
{
    for (size_t done = 0; done < n_bytes;) {
        const ssize_t n = pread(fd, (char *)out + done, n_bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return error_set(err, ST_IO, "read %zu bytes at %llu: %s", n_bytes,
                             (unsigned long long)offset, n ? strerror(errno) : "it ends before");
        done += (size_t)n;
    }
    return ST_OK;
}

status_t file_write_at(int fd, const void *bytes, size_t n_bytes, uint64_t offset,
                       struct error *err)
{
    for (size_t done = 0; done < n_bytes;) {
        const ssize_t n =
            pwrite(fd, (const char *)bytes + done, n_bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return error_set(err, ST_IO, "write %zu bytes at %llu: %s", n_bytes,
                             (unsigned long long)offset, strerror(errno));
        done += (size_t)n;
    }
    return ST_OK;
}

status_t file_make_directories(const char *path, struct error *err)
{
    char partial[4096];
    const size_t length = strlen(path);
    if (length >= sizeof partial) return error_set(err, ST_TOO_LARGE, "path too long: %s", path);
    for (size_t i = 1; i <= length; i++) {
        if (i < length && path[i] != '/') continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0755) != 0 && errno != EEXIST)
            return error_set(err, ST_IO, "mkdir %s: %s", partial, strerror(errno));
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return error_set(err, ST_IO, "mkdir %s: something else is there", path);
    return ST_OK;
}

char *file_join(const char *directory, const char *name)
{
    const size_t n = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n);
    if (path) (void)snprintf(path, n, "%s/%s", directory, name);
    return path;
}
