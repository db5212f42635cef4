/* A small model of a known circuit in a directory that lives as long as the test. One thread. */
#ifndef WORKER_SELFTEST_SELFTEST_MODELS_H
#define WORKER_SELFTEST_SELFTEST_MODELS_H

#include "common/error.h"

enum { SELFTEST_PATH_SIZE = 512 };

struct selftest_model {
    char home[SELFTEST_PATH_SIZE];      /* a new directory, or "" */
    char directory[SELFTEST_PATH_SIZE]; /* the model in it */
};

/* Write the kind's smallest model (worker/known). Errors: ST_IO, ST_TOO_LARGE, ST_NO_MEMORY;
 * then nothing is left. */
MUST_CHECK status_t selftest_model_make(struct selftest_model *out, const char *kind,
                                        struct error *err);
void selftest_model_remove(struct selftest_model *model); /* safe on zeroed */

#endif
