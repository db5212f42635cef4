/* Which files a corpus path means: itself, or all files below a directory in order of name.
 * Names that begin with a dot are left out; directories go 8 deep. Any thread. */
#ifndef COORDINATOR_INTAKE_CORPUS_FILES_H
#define COORDINATOR_INTAKE_CORPUS_FILES_H

#include "common/error.h"

#include <stddef.h>

enum { CORPUS_MAX_FILES = 1 << 20, CORPUS_MAX_DIRECTORY_DEPTH = 8 };

struct corpus_file {
    char *path;       /* to open */
    const char *name; /* inside `path`: relative to the directory, or the last component; ids
                         begin with it, so they do not depend on where the corpus lies */
};

struct corpus_files {
    struct corpus_file *files; /* [n], owned */
    size_t n, capacity;
};

/* Errors: ST_NOT_FOUND, ST_BAD_INPUT (neither file nor directory, no file in it), ST_IO,
 * ST_TOO_LARGE, ST_NO_MEMORY. The caller calls corpus_files_fini() on ST_OK. */
MUST_CHECK status_t corpus_files_init(struct corpus_files *out, const char *path,
                                      struct error *err);
void corpus_files_fini(struct corpus_files *files);

#endif
