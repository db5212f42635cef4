#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "worker/temporary_directory.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPEN = 8 };

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

void temporary_directory_remove(struct temporary_directory *directory)
{
    if (directory->path[0])
        (void)nftw(directory->path, remove_one, MOST_OPEN, FTW_DEPTH | FTW_PHYS);
    directory->path[0] = '\0';
}

status_t temporary_directory_make(struct temporary_directory *out, struct error *err)
{
    const char *below = getenv("TMPDIR");
    if (!below || !*below) below = "/tmp";
    const int n = snprintf(out->path, sizeof out->path, "%s/interp-worker.XXXXXX", below);
    if (n >= (int)sizeof out->path) {
        out->path[0] = '\0';
        return error_set(err, ST_TOO_LARGE, "TMPDIR %s", below);
    }
    if (mkdtemp(out->path)) return ST_OK;
    out->path[0] = '\0';
    return error_set(err, ST_IO, "a directory below %s: %s", below, strerror(errno));
}
