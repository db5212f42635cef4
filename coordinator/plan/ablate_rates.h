/* How fast models were ablated last, for estimates: DATA/ablate-rates.json, {"COMPUTE MODEL":
 * variant-tokens per second of all workers together}. No result depends on it, and losing it costs
 * an estimate of time. */
#ifndef COORDINATOR_PLAN_ABLATE_RATES_H
#define COORDINATOR_PLAN_ABLATE_RATES_H

#include "coordinator/intake/sweep_spec.h"

enum { ABLATE_RATES_MAX = 1000 }; /* models; then the file begins anew */

/* Of the sweep's model and number format; 0: it was never measured, or the file cannot be read. */
double ablate_rate_read(const char *data_directory, const struct sweep_spec *spec);

/* Note what was measured. Errors: ST_BAD_INPUT (no number above 0), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t ablate_rate_note(const char *data_directory, const struct sweep_spec *spec,
                                     double tokens_per_second, struct error *err);

#endif
