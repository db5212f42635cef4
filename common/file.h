/* Whole small files: read with a cap, written so that a reader sees the old or the new one. And
 * large ones by the piece, without a name. */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* Read `path` (a regular file of at most max_bytes) into *out, with a NUL behind the last byte
 * that *n_bytes does not count. The caller frees *out. n_bytes may be NULL.
 * Errors: ST_NOT_FOUND, ST_IO, ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t file_read(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
                              struct error *err);

/* May a rename put a new file at `path`? ST_IO where something that is no file is there (a device,
 * a pipe, a directory): /dev/null must stay what it is. */
MUST_CHECK status_t file_check_replaceable(const char *path, struct error *err);

/* Write through a temporary name beside `path`, fdatasync, rename. Errors: ST_IO. */
MUST_CHECK status_t file_write_atomic(const char *path, const void *bytes, size_t n_bytes,
                                      struct error *err);

/* A new file in `directory`, open for reading and writing and already without a name: nothing is
 * left of it once *fd is closed, however the process ends. The caller closes. Errors: ST_IO,
 * ST_NO_MEMORY. */
MUST_CHECK status_t file_create_unnamed(const char *directory, int *fd, struct error *err);

/* All n_bytes at `offset` of an open file. A file that ends before is ST_IO, as all else is. */
MUST_CHECK status_t file_read_at(int fd, void *out, size_t n_bytes, uint64_t offset,
                                 struct error *err);
MUST_CHECK status_t file_write_at(int fd, const void *bytes, size_t n_bytes, uint64_t offset,
                                  struct error *err);

/* mkdir -p, mode 0755. Errors: ST_IO. */
MUST_CHECK status_t file_make_directories(const char *path, struct error *err);

/* "directory/name" in newly allocated memory (caller frees), NULL without memory. */
char *file_join(const char *directory, const char *name);

#endif
