#include "coordinator/circuit/circuit_verdict_parts.h"

#include <math.h>
#include <stdlib.h>

/* Every interval of a verdict is of the same resamples. */
enum { VERDICT_SUBJECT = 1 };

const char *circuit_outcome_name(enum circuit_outcome outcome)
{
    static const char *const names[] = {"verified", "partial", "rejected"};
    return (unsigned)outcome < sizeof names / sizeof names[0] ? names[outcome] : "unknown";
}

struct verdict_thresholds verdict_thresholds_default(uint64_t seed)
{
    return (struct verdict_thresholds){
        .ratio_min = 0.8,
        .random_quantile = 0.95,
        .stability_min = 0.8,
        .flat_errors = 3.0,
        .min_searches = 20,
        .min_adaptive = 5,
        .bootstrap = {BOOTSTRAP_RESAMPLES, 0.95, seed, VERDICT_SUBJECT}};
}

void circuit_verdict_fini(struct circuit_verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_reasons; i++) free(verdict->reasons[i]);
    free(verdict->reasons);
    for (int v = 0; v < ABLATE_N_VALUES; v++) {
        free(verdict->values[v].members);
        for (int order = 0; order < CURVE_N_ORDERS; order++)
            faithfulness_curve_fini(&verdict->values[v].curves[order]);
    }
    *verdict = (struct circuit_verdict){.n_reasons = 0};
}

static status_t check_thresholds(const struct verdict_thresholds *thresholds, struct error *err)
{
    const double quantile = thresholds->random_quantile, stability = thresholds->stability_min;
    if (!isfinite(thresholds->ratio_min))
        return error_set(err, ST_BAD_INPUT, "verdict: ratio_min is not finite");
    if (!(quantile >= 0.0 && quantile <= 1.0))
        return error_set(err, ST_BAD_INPUT, "verdict: random_quantile %g is not in [0, 1]",
                         quantile);
    if (!(stability >= 0.0 && stability <= 1.0))
        return error_set(err, ST_BAD_INPUT, "verdict: stability_min %g is not in [0, 1]",
                         stability);
    if (!(thresholds->flat_errors >= 0.0 && isfinite(thresholds->flat_errors)))
        return error_set(err, ST_BAD_INPUT, "verdict: flat_errors %g", thresholds->flat_errors);
    return ST_OK;
}

status_t circuit_verdict_decide(const struct circuit_measures *measures,
                                const struct verdict_thresholds *thresholds,
                                struct circuit_verdict *out, struct error *err)
{
    struct circuit_verdict made = {.metric = measures->metric,
                                   .n_prompts = measures->units.n_prompts,
                                   .n_units = measures->units.n_units,
                                   .n_members = circuit_measures_n_members(measures),
                                   .is_by_template = measures->is_by_template,
                                   .stability = measures->stability,
                                   .n_researches = measures->n_researches,
                                   .is_adaptive_search = measures->is_adaptive_search,
                                   .thresholds = *thresholds};
    status_t status = check_thresholds(thresholds, err);
    if (status == ST_OK) status = circuit_measures_check(measures, err);
    if (status == ST_OK) made.full = prompt_mean(measures->full, made.n_prompts);
    for (int v = 0; v < ABLATE_N_VALUES && status == ST_OK; v++)
        if (measures->values[v].is_measured)
            status = value_verdict_estimate(measures, &measures->values[v], thresholds,
                                            &made.values[v], err);
    if (status == ST_OK) status = circuit_verdict_judge(&made, measures, err);
    if (status != ST_OK) {
        circuit_verdict_fini(&made);
        return status;
    }
    *out = made;
    return ST_OK;
}
