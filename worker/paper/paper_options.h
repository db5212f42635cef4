/* The options of `interp-worker --bench`, with what they stand for where they are not given. */
#ifndef WORKER_PAPER_PAPER_OPTIONS_H
#define WORKER_PAPER_PAPER_OPTIONS_H

#include "worker/arguments.h"
#include "worker/paper/paper_plan.h"

enum { PAPER_TALLY_K = 20 };

struct paper_options {
    struct argument_list shapes, computes;
    enum paper_work works[WORK_N];
    size_t n_works;
    const char *device, *hook, *backend, *dictionary;
    size_t n_rows, n_features, k, n_windows;
    size_t n_ctx;     /* 0: not given */
    bool is_most_ctx; /* not given: a context is cut to the model's positions */
    double candidates, fired, evidence, seconds;
    bool is_dry, is_json;
};

/* Errors: ST_BAD_INPUT names the option. */
MUST_CHECK status_t paper_options_read(struct paper_options *out, int argc, char **argv,
                                       bool *is_help, struct error *err);

/* Tokens of a row, or of a prompt, that the work is counted at. */
struct paper_contexts {
    size_t n_ctx[2], n;
};
struct paper_contexts paper_options_contexts(const struct paper_options *options,
                                             enum paper_work work);

#endif
