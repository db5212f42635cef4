/* A directory of the process's own below $TMPDIR (/tmp), gone when it is done. One thread. */
#ifndef WORKER_TEMPORARY_DIRECTORY_H
#define WORKER_TEMPORARY_DIRECTORY_H

#include "common/error.h"

enum { TEMPORARY_PATH_SIZE = 512 };

struct temporary_directory {
    char path[TEMPORARY_PATH_SIZE]; /* "": none */
};

/* Errors: ST_IO, ST_TOO_LARGE; then *out is none. */
MUST_CHECK status_t temporary_directory_make(struct temporary_directory *out, struct error *err);
/* With all that is in it; safe on none. */
void temporary_directory_remove(struct temporary_directory *directory);

#endif
