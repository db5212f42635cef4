/* How fast models were ablated last, for estimates: DATA/ablate-rates.json, an object of
 *
 *   "COMPUTE BACKEND ISA MODEL": {"model", "compute", "backend", "isa",
 *       "thread_tokens_per_second", "n_threads", "noted_unix_ms"}
 *
 * What is noted is work alone: variant-tokens over the seconds that workers say they computed for
 * (wire: SETTLED). Pauses, waits, the opening of models and what an earlier life of the coordinator
 * saw are in neither. No result depends on it, and losing it costs an estimate of time. */
#ifndef COORDINATOR_PLAN_ABLATE_RATES_H
#define COORDINATOR_PLAN_ABLATE_RATES_H

#include "coordinator/intake/sweep_spec.h"

enum {
    ABLATE_RATES_MAX = 1000, /* entries; then the file begins anew */
    ABLATE_BACKEND_SIZE = 16,
    ABLATE_ISA_SIZE = 32
};

/* Units of one task, as far as workers told this life of the coordinator how long they took. */
struct ablate_work {
    size_t n_variants, n_units; /* of the task: units are as large as each other, about */
    double n_prompt_tokens;     /* of all prompts together: what one variant costs */
    size_t n_units_timed;       /* a unit that ran twice counts twice, and so do its seconds */
    double worker_seconds;      /* of those, of one run thread after the other */
};
/* Variant-tokens per second of one run thread; 0: nothing was timed. */
double ablate_work_rate(const struct ablate_work *work);

struct ablate_rate {
    double thread_tokens_per_second; /* of one run thread; > 0 */
    uint32_t n_threads;              /* run threads of that kind that there were; > 0 */
    char backend[ABLATE_BACKEND_SIZE], isa[ABLATE_ISA_SIZE]; /* of the workers: "cpu",
                                                                "cpu avx512" */
    int64_t noted_unix_ms;
};

/* Of the sweep's model and number format: what was noted last, on whatever backend. False: it was
 * never measured, or the file cannot be read; *out is all 0 then. */
bool ablate_rate_read(const char *data_directory, const struct sweep_spec *spec,
                      struct ablate_rate *out);

/* Note what was measured, in the place of the last one on that backend and instruction set. Errors:
 * ST_BAD_INPUT (no rate, threads or backend), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t ablate_rate_note(const char *data_directory, const struct sweep_spec *spec,
                                     const struct ablate_rate *rate, struct error *err);

#endif
