/* A verdict as one line of canonical JSON: sorted keys, 12 significant digits, undefined is null.
 *
 *   circuit{...} (circuit.h)   outcome   reasons[]   metric   n_prompts   n_units
 *   interval_over "prompts"|"templates"   full
 *   stability{value, n_searches, adaptive}
 *   thresholds{ratio_min, random_quantile, stability_min, flat_errors, min_searches,
 *     min_adaptive, confidence, n_resamples, seed (text)}
 *   values{zero|mean|resample: null, or
 *     method{...} (ablation_method.h)   off_distribution   undefined ("flat metric" or null)
 *     empty   circuit   complement   difference   standard_error
 *     sufficiency, necessity {ratio, interval[2], n_redrawn, mean_of_ratios, n_ratios,
 *       quantiles{"0.05": ...} or null, random_limit, percentile, above_random}
 *     random{n, exhaustive}   completeness{value, share, subset, n_subsets} or null
 *     kl{sufficiency, interval[2], mean, median, max} or null
 *     members[{name, role, drop, conditional {value, interval[2]} or null, conditional_clear,
 *       minimality}]
 *     curves{undefined (CURVE_NOT_ORDERED or null), signed, absolute {...} (curve_json.h) or null}}
 *
 * Nothing of time, worker or cost is in it: equal measures give equal bytes. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_VERDICT_JSON_H
#define COORDINATOR_CIRCUIT_VERDICT_JSON_H

#include "coordinator/circuit/circuit_verdict.h"

/* A new reference, or NULL: memory is short, or text of the circuit is not UTF-8. `circuit` is
 * the one that was judged. */
json_t *verdict_json(const struct circuit_verdict *verdict, const struct circuit *circuit);

/* Append it and a line feed. Errors: ST_BAD_INPUT (text), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t verdict_json_write(const struct circuit_verdict *verdict,
                                       const struct circuit *circuit, struct buffer *out,
                                       struct error *err);

#endif
