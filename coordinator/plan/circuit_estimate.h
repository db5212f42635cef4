/* What a circuit sweep will measure, before it starts: bounds, since a search asks as it goes.
 *
 *   search    single components without edges: exactly each alone and all together; else at least
 *             that, and at most search.max_variants, or all sets of few components
 *   verdict   at most what the plan lists for a circuit of every component that may be found, under
 *             each ablation value (circuit_verdict_plan.h); sets that coincide are measured once
 *   tokens    variant-tokens: a variant on a prompt of T tokens counts T; at most, on the longest
 *             prompt; a clean run rides in every round of the search and in the verdict, uncounted
 *   units     of ablate tasks: at most a unit a variant in the search, full batches at least
 *   seconds   what those tokens take at the rate that the run threads of an earlier sweep of this
 *             model and number format had in its verdict, if all of them always have work: the
 *             time of a bound, and no bound on time. Waits, pauses and other sweeps come on top
 *   usual     what circuits of few components stay below: 100 variants and 20 a candidate in the
 *             search, CIRCUIT_USUAL_NODES members in the verdict. No bound, but every known model
 *             and closed form of the tests keeps it
 *
 * Where a count cannot be known beforehand (a model that is not here), what depends on it is 0 here
 * and null in JSON; the text says so or leaves it out. Pure, but for circuit_estimate_read(), which
 * reads files; any thread. */
#ifndef COORDINATOR_PLAN_CIRCUIT_ESTIMATE_H
#define COORDINATOR_PLAN_CIRCUIT_ESTIMATE_H

#include "common/buffer.h"
#include "coordinator/plan/ablate_rates.h"

#include <jansson.h>

struct circuit_estimate_input {
    const struct sweep_spec *spec; /* kind circuit; borrowed */
    uint64_t n_candidates;         /* 0: not known */
    uint64_t n_brought;            /* nodes of a circuit that is brought; 0: none, or not known */
    uint64_t n_search, n_verdict;  /* prompts, at most; 0: not known */
    uint64_t n_prompt_tokens;      /* of the longest prompt, at most; 0: not known */
    struct ablate_rate rate;       /* as measured in an earlier sweep; no threads: not known */
};

enum { CIRCUIT_USUAL_NODES = 8, CIRCUIT_USUAL_EACH = 20, CIRCUIT_USUAL_BASE = 100 };

struct circuit_range {
    uint64_t least, most;
    uint64_t usual; /* at most `most`; 0: not known */
};

struct circuit_estimate {
    uint64_t n_candidates;
    struct circuit_range search, verdict;   /* variants; of the verdict under all values together */
    struct circuit_range units;             /* of both; most 0: not known */
    uint64_t n_tasks_least;                 /* and one for every further round of the search */
    uint64_t n_tokens_most, n_tokens_usual; /* 0: not known */
    struct ablate_rate rate;                /* no threads: not known */
    double tokens_per_second, seconds_most, seconds_usual; /* 0: not known */
};

/* From the config.json beside the weights, the file of prompts and the circuit that is brought;
 * what cannot be read is not known: a worker will say why. `data_directory`: where rates of earlier
 * sweeps are (ablate_rates.h); NULL: nowhere. Errors: ST_BAD_INPUT (layers), ST_NO_MEMORY. */
MUST_CHECK status_t circuit_estimate_read(struct circuit_estimate_input *out,
                                          const struct sweep_spec *spec, const char *data_directory,
                                          struct error *err);

void circuit_estimate_make(const struct circuit_estimate_input *input,
                           struct circuit_estimate *out);

/* A new object; NULL without memory. */
json_t *circuit_estimate_json(const struct circuit_estimate *estimate);
/* The lines that a plan shows. */
MUST_CHECK status_t circuit_estimate_print(const struct circuit_estimate *estimate,
                                           struct buffer *out, struct error *err);

#endif
