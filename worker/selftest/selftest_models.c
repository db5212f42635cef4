#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "worker/selftest/selftest_models.h"

#include "worker/known/known_model.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPEN = 8, N_PROMPTS = 1 };

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

void selftest_model_remove(struct selftest_model *model)
{
    if (model->home[0]) (void)nftw(model->home, remove_one, MOST_OPEN, FTW_DEPTH | FTW_PHYS);
    model->home[0] = '\0';
}

status_t selftest_model_make(struct selftest_model *out, const char *kind, struct error *err)
{
    const char *below = getenv("TMPDIR");
    const struct known_params params = {.kind = kind, .seed = 1, .size = KNOWN_MIN_SIZE};
    *out = (struct selftest_model){.home = ""};
    if (!below || !*below) below = "/tmp";
    if (snprintf(out->home, sizeof out->home, "%s/interp-selftest.XXXXXX", below) >=
        (int)sizeof out->home - 8) {
        out->home[0] = '\0';
        return error_set(err, ST_TOO_LARGE, "TMPDIR %s", below);
    }
    if (!mkdtemp(out->home)) {
        out->home[0] = '\0';
        return error_set(err, ST_IO, "a directory below %s: %s", below, strerror(errno));
    }
    (void)snprintf(out->directory, sizeof out->directory, "%.*s/model",
                   (int)sizeof out->directory - 8, out->home);
    const status_t status = known_model_write(&params, N_PROMPTS, out->directory, err);
    if (status != ST_OK) selftest_model_remove(out);
    return status;
}
