/* The runs that a unit's variants take. Most variants are one run over all prompts. Those that
 * change features alone are packed: a prompt on which all of a variant's features have their values
 * already (are silent, for zero) is not run, its outcome is the clean one; the others share runs,
 * each prompt of a run being another variant's (a prompt's bits depend on no other prompt).
 *
 *   variant   prompt 0  1  2  3         run     prompt 0  1  2  3
 *   0                x  .  .  x    ->   0              0  1  2  0
 *   1                .  x  .  x         1              2  2  .  1
 *   2                x  x  x  .         2: clean, for the seven that are silent
 *
 * Belongs to one run thread. */
#ifndef WORKER_TASKS_ABLATE_RUNS_H
#define WORKER_TASKS_ABLATE_RUNS_H

#include "worker/tasks/ablate_changes.h"
#include "worker/tasks/ablate_features.h"

#define ABLATE_NOBODY SIZE_MAX

struct ablate_runs_params { /* all borrowed */
    struct ablate_changes *changes;
    struct ablate_features *features;
    size_t n_prompts;
    bool is_naive; /* every variant a run of its own, every edge in its own run */
};

struct ablate_runs {
    size_t n;
    struct variant *variants; /* [n] */
    size_t *members;          /* [n, n_prompts]: the unit's variant that a prompt of a run is of, or
                      * ABLATE_NOBODY */
    bool has_clean;           /* the last run is clean, */
    uint8_t *is_skipped;      /* [n_variants, n_prompts], and these outcomes are its; NULL: none */
    uint64_t n_skipped;       /* pairs of prompt and feature */
    /* what variants borrow: */
    struct variant_change *changes;
    struct variant_edge *edges;
    struct variant_hook *hooks;
    struct feature_changes *by_prompt; /* [n, n_prompts] */
    size_t n_changes, n_edges, n_hooks;
};

/* On ST_OK the caller ends *out, and forgets what params->changes and params->features hold of the
 * unit; `unit` is borrowed until then. Errors: those of making changes, ST_NO_MEMORY; *out is then
 * ended. */
MUST_CHECK status_t ablate_runs_make(struct ablate_runs *out,
                                     const struct ablate_runs_params *params,
                                     const struct ablate_unit *unit, struct error *err);
void ablate_runs_fini(struct ablate_runs *runs);

#endif
