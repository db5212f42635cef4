/* The numbers of a verdict under one ablation value (circuit_verdict.h). */
#include "coordinator/circuit/circuit_verdict_parts.h"

#include <math.h>
#include <stdlib.h>

/* What the estimates of one value share. */
struct estimate {
    const struct circuit_measures *measures;
    const struct value_measures *value;
    const struct verdict_thresholds *thresholds;
    size_t n_prompts;
    double *span;    /* [n_prompts] m(M) - m(empty) */
    double *scratch; /* [n_prompts] */
};

static const double *row_of(const double *rows, size_t row, size_t n_prompts)
{
    return rows + row * n_prompts;
}

/* out[i] = a[i] - b[i] */
static const double *subtract(const double *a, const double *b, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) out[i] = a[i] - b[i];
    return out;
}

/* --- the two ratios ----------------------------------------------------------------------- */

/* Of circuit C (given its run): m(C) - m(empty); of its complement: m(M) - m(M without C). */
static const double *gain_of(const struct estimate *estimate, const double *run, bool is_necessity)
{
    return is_necessity
               ? subtract(estimate->measures->full, run, estimate->n_prompts, estimate->scratch)
               : subtract(run, estimate->value->empty, estimate->n_prompts, estimate->scratch);
}

static status_t compare_with_random(const struct estimate *estimate, bool is_necessity,
                                    struct ratio_verdict *out, struct error *err)
{
    const size_t n_random = estimate->value->n_random, n = estimate->n_prompts;
    const double *runs =
        is_necessity ? estimate->value->random_complement : estimate->value->random_circuit;
    const double span = prompt_mean(estimate->span, n), own = out->of_means.value.value;
    double n_below = 0.0;
    if (n_random == 0) return ST_OK;
    double *ratios = malloc(n_random * sizeof *ratios);
    if (!ratios) return error_set(err, ST_NO_MEMORY, "%zu random circuits", n_random);
    for (size_t r = 0; r < n_random; r++) {
        const double *gain = gain_of(estimate, row_of(runs, r, n), is_necessity);
        ratios[r] = prompt_mean(gain, n) / span;
        n_below += ratios[r] < own ? 1.0 : (ratios[r] > own ? 0.0 : 0.5);
    }
    const double limit =
        bootstrap_quantile(ratios, n_random, estimate->thresholds->random_quantile);
    out->random_limit = (struct score_value){true, limit};
    out->percentile = (struct score_value){true, 100.0 * n_below / (double)n_random};
    out->is_above_random = own > limit;
    free(ratios);
    return ST_OK;
}

static status_t estimate_ratio(const struct estimate *estimate, bool is_necessity,
                               struct ratio_verdict *out, struct error *err)
{
    const double *run = is_necessity ? estimate->value->complement : estimate->value->circuit;
    const double *gain = gain_of(estimate, run, is_necessity);
    status_t status = prompt_ratio(&estimate->measures->units, gain, estimate->span,
                                   &estimate->thresholds->bootstrap, &out->of_means, err);
    if (status == ST_OK)
        status =
            prompt_ratio_spread(gain, estimate->span, estimate->n_prompts, &out->by_prompt, err);
    if (status == ST_OK && out->of_means.value.is_defined)
        status = compare_with_random(estimate, is_necessity, out, err);
    return status;
}

/* --- completeness, KL --------------------------------------------------------------------- */

static void estimate_completeness(const struct estimate *estimate, struct value_verdict *out)
{
    const struct value_measures *value = estimate->value;
    const size_t n = estimate->n_prompts;
    out->n_subsets = value->n_subsets;
    for (size_t k = 0; k < value->n_subsets; k++) {
        const double gap = fabs(prompt_mean(row_of(value->circuit_without_subset, k, n), n) -
                                prompt_mean(row_of(value->model_without_subset, k, n), n));
        if (out->completeness.is_defined && gap <= out->completeness.value) continue;
        out->completeness = (struct score_value){true, gap};
        out->completeness_subset = k;
    }
    if (out->completeness.is_defined && !out->is_flat)
        out->completeness_share =
            (struct score_value){true, out->completeness.value / fabs(out->difference)};
}

static status_t estimate_kl(const struct estimate *estimate, struct value_verdict *out,
                            struct error *err)
{
    const struct value_measures *value = estimate->value;
    const size_t n = estimate->n_prompts;
    if (!value->kl_circuit) return ST_OK;
    out->has_kl = true;
    out->kl_mean = prompt_mean(value->kl_circuit, n);
    for (size_t i = 0; i < n; i++) {
        estimate->scratch[i] = value->kl_circuit[i];
        if (i == 0 || value->kl_circuit[i] > out->kl_max) out->kl_max = value->kl_circuit[i];
    }
    out->kl_median = bootstrap_quantile(estimate->scratch, n, 0.5);
    return prompt_ratio(&estimate->measures->units,
                        subtract(value->kl_empty, value->kl_circuit, n, estimate->scratch),
                        value->kl_empty, &estimate->thresholds->bootstrap, &out->kl_sufficiency,
                        err);
}

/* --- members ------------------------------------------------------------------------------ */

static bool excludes_zero(const struct interval *interval)
{
    return interval->is_defined && (interval->low > 0.0 || interval->high < 0.0);
}

static status_t estimate_member(const struct estimate *estimate, size_t m,
                                struct member_verdict *out, struct error *err)
{
    const struct value_measures *value = estimate->value;
    const struct prompt_units *units = &estimate->measures->units;
    const struct bootstrap_params *params = &estimate->thresholds->bootstrap;
    const size_t n = estimate->n_prompts;
    double *drop = estimate->scratch;
    status_t status = ST_OK;
    if (value->without_member) {
        (void)subtract(estimate->measures->full, row_of(value->without_member, m, n), n, drop);
        status = prompt_ratio(units, drop, NULL, params, &out->drop, err);
    }
    if (status == ST_OK && value->without_class) {
        (void)subtract(row_of(value->without_class_rest, m, n), row_of(value->without_class, m, n),
                       n, drop);
        status = prompt_ratio(units, drop, NULL, params, &out->conditional, err);
        out->is_conditional_clear = excludes_zero(&out->conditional.interval);
    }
    return status;
}

static void estimate_minimality(const struct estimate *estimate, struct value_verdict *out)
{
    const struct value_measures *value = estimate->value;
    const size_t n = estimate->n_prompts;
    const double full = fabs(prompt_mean(estimate->measures->full, n));
    if (!(full > 0.0)) return;
    for (size_t k = 0; k < value->n_minimality; k++) {
        struct score_value *best = &out->members[value->minimality_member[k]].minimality;
        const double change = fabs(prompt_mean(row_of(value->minimality_without_subset, k, n), n) -
                                   prompt_mean(row_of(value->minimality_without_both, k, n), n)) /
                              full;
        if (!best->is_defined || change > best->value) *best = (struct score_value){true, change};
    }
}

static status_t estimate_members(const struct estimate *estimate, struct value_verdict *out,
                                 struct error *err)
{
    const size_t n_members = circuit_measures_n_members(estimate->measures);
    status_t status = ST_OK;
    out->members = calloc(n_members + 1, sizeof *out->members);
    if (!out->members) return error_set(err, ST_NO_MEMORY, "%zu members", n_members);
    out->has_drops = estimate->value->without_member != NULL;
    out->has_conditional = estimate->value->without_class != NULL;
    for (size_t m = 0; m < n_members && status == ST_OK; m++)
        status = estimate_member(estimate, m, &out->members[m], err);
    estimate_minimality(estimate, out);
    return status;
}

/* --- curves ------------------------------------------------------------------------------- */

static status_t estimate_curves(const struct estimate *estimate, struct value_verdict *out,
                                struct error *err)
{
    const struct value_measures *value = estimate->value;
    status_t status = ST_OK;
    out->has_curves = value->n_curve_candidates > 0;
    for (size_t k = 0; k < CURVE_N_FRACTIONS && out->has_curves; k++)
        out->curve_items[k] = curve_n_items(CURVE_FRACTIONS[k], value->n_curve_candidates);
    for (int order = 0; order < CURVE_N_ORDERS && out->has_curves && status == ST_OK; order++) {
        const struct curve_measures measures = {.order = (enum curve_order)order,
                                                .fractions = CURVE_FRACTIONS,
                                                .n_items = out->curve_items,
                                                .n_points = CURVE_N_FRACTIONS,
                                                .units = estimate->measures->units,
                                                .full = estimate->measures->full,
                                                .empty = value->empty,
                                                .runs = value->curve[order]};
        status = faithfulness_curve_make(&out->curves[order], &measures,
                                         estimate->thresholds->flat_errors, err);
    }
    return status;
}

/* --- all of it ---------------------------------------------------------------------------- */

static status_t estimate_span(const struct estimate *estimate, struct value_verdict *out,
                              struct error *err)
{
    const double *span = subtract(estimate->measures->full, estimate->value->empty,
                                  estimate->n_prompts, estimate->span);
    const status_t status =
        prompt_standard_error(&estimate->measures->units, span, &out->standard_error, err);
    out->difference = prompt_mean(span, estimate->n_prompts);
    out->is_flat =
        !out->standard_error.is_defined || out->difference == 0.0 ||
        fabs(out->difference) < estimate->thresholds->flat_errors * out->standard_error.value;
    return status;
}

static status_t estimate_all(const struct estimate *estimate, struct value_verdict *out,
                             struct error *err)
{
    const struct value_measures *value = estimate->value;
    out->is_measured = true;
    out->method = value->method;
    out->n_random = value->n_random;
    out->is_random_exhaustive = value->is_random_exhaustive;
    out->empty = prompt_mean(value->empty, estimate->n_prompts);
    out->circuit = prompt_mean(value->circuit, estimate->n_prompts);
    out->complement = prompt_mean(value->complement, estimate->n_prompts);
    status_t status = estimate_span(estimate, out, err);
    if (status == ST_OK && !out->is_flat)
        status = estimate_ratio(estimate, false, &out->sufficiency, err);
    if (status == ST_OK && !out->is_flat)
        status = estimate_ratio(estimate, true, &out->necessity, err);
    if (status == ST_OK) status = estimate_kl(estimate, out, err);
    if (status == ST_OK) status = estimate_members(estimate, out, err);
    if (status == ST_OK) estimate_completeness(estimate, out);
    if (status == ST_OK) status = estimate_curves(estimate, out, err);
    return status;
}

status_t value_verdict_estimate(const struct circuit_measures *measures,
                                const struct value_measures *value,
                                const struct verdict_thresholds *thresholds,
                                struct value_verdict *out, struct error *err)
{
    const size_t n = measures->units.n_prompts;
    double *room = malloc(2 * n * sizeof *room);
    if (!room) return error_set(err, ST_NO_MEMORY, "%zu prompts", n);
    const struct estimate estimate = {measures, value, thresholds, n, room, room + n};
    const status_t status = estimate_all(&estimate, out, err);
    free(room);
    return status;
}
