#include "coordinator/circuit/prompt_ratio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double RATIO_QUANTILES[RATIO_N_QUANTILES] = {0.05, 0.25, 0.5, 0.75, 0.95};

status_t prompt_units_check(const struct prompt_units *units, struct error *err)
{
    status_t status = ST_OK;
    if (units->n_prompts == 0) return error_set(err, ST_BAD_INPUT, "no prompts");
    if (units->n_units == 0 || units->n_units > units->n_prompts)
        return error_set(err, ST_BAD_INPUT, "%zu units of %zu prompts", units->n_units,
                         units->n_prompts);
    bool *is_used = calloc(units->n_units, sizeof *is_used);
    if (!is_used) return error_set(err, ST_NO_MEMORY, "%zu units", units->n_units);
    for (size_t i = 0; i < units->n_prompts && status == ST_OK; i++) {
        if (units->unit_of[i] < units->n_units)
            is_used[units->unit_of[i]] = true;
        else
            status = error_set(err, ST_BAD_INPUT, "prompt %zu is of unit %u: there are %zu", i,
                               units->unit_of[i], units->n_units);
    }
    for (size_t u = 0; u < units->n_units && status == ST_OK; u++)
        if (!is_used[u]) status = error_set(err, ST_BAD_INPUT, "unit %zu has no prompt", u);
    free(is_used);
    return status;
}

double prompt_mean(const double *values, size_t n_prompts)
{
    double sum = 0.0;
    for (size_t i = 0; i < n_prompts; i++) sum += values[i];
    return n_prompts > 0 ? sum / (double)n_prompts : 0.0;
}

/* sums [n_units] of values - centre; values NULL: of ones. */
static void sum_units(const struct prompt_units *units, const double *values, double centre,
                      double *sums)
{
    memset(sums, 0, units->n_units * sizeof *sums);
    for (size_t i = 0; i < units->n_prompts; i++)
        sums[units->unit_of[i]] += values ? values[i] - centre : 1.0;
}

status_t prompt_standard_error(const struct prompt_units *units, const double *values,
                               struct score_value *out, struct error *err)
{
    const double n = (double)units->n_prompts, n_units = (double)units->n_units;
    double sum = 0.0;
    *out = (struct score_value){false, 0.0};
    if (units->n_units < 2) return ST_OK;
    double *sums = malloc(units->n_units * sizeof *sums);
    if (!sums) return error_set(err, ST_NO_MEMORY, "%zu units", units->n_units);
    sum_units(units, values, prompt_mean(values, units->n_prompts), sums);
    for (size_t u = 0; u < units->n_units; u++) sum += sums[u] * sums[u];
    free(sums);
    *out = (struct score_value){true, sqrt(n_units / (n_units - 1.0) * sum) / n};
    return ST_OK;
}

/* --- ratios ------------------------------------------------------------------------------- */

struct unit_sums {
    const double *numerator;   /* [n_units] */
    const double *denominator; /* [n_units] */
};

static bool drawn_ratio(void *context, const uint32_t *drawn, size_t n_units, double *value)
{
    const struct unit_sums *sums = context;
    double numerator = 0.0, denominator = 0.0;
    for (size_t i = 0; i < n_units; i++) {
        numerator += sums->numerator[drawn[i]];
        denominator += sums->denominator[drawn[i]];
    }
    *value = denominator != 0.0 ? numerator / denominator : 0.0;
    return denominator != 0.0 && isfinite(*value);
}

status_t prompt_ratio(const struct prompt_units *units, const double *numerator,
                      const double *denominator, const struct bootstrap_params *params,
                      struct ratio_estimate *out, struct error *err)
{
    const double above = prompt_mean(numerator, units->n_prompts);
    const double below = denominator ? prompt_mean(denominator, units->n_prompts) : 1.0;
    const bool is_defined = below != 0.0 && isfinite(above / below);
    *out = (struct ratio_estimate){.value = {is_defined, is_defined ? above / below : 0.0}};
    if (!is_defined) return ST_OK;
    double *sums = malloc(2 * units->n_units * sizeof *sums);
    if (!sums) return error_set(err, ST_NO_MEMORY, "%zu units", units->n_units);
    sum_units(units, numerator, 0.0, sums);
    sum_units(units, denominator, 0.0, sums + units->n_units);
    struct unit_sums context = {sums, sums + units->n_units};
    const status_t status =
        bootstrap_documents(drawn_ratio, &context, units->n_units, params, &out->interval, err);
    free(sums);
    return status;
}

status_t prompt_ratio_spread(const double *numerator, const double *denominator, size_t n_prompts,
                             struct ratio_spread *out, struct error *err)
{
    size_t n = 0;
    *out = (struct ratio_spread){.n_prompts = 0};
    double *ratios = malloc((n_prompts + 1) * sizeof *ratios);
    if (!ratios) return error_set(err, ST_NO_MEMORY, "%zu prompts", n_prompts);
    for (size_t i = 0; i < n_prompts; i++) {
        const double ratio = denominator[i] != 0.0 ? numerator[i] / denominator[i] : NAN;
        if (isfinite(ratio)) ratios[n++] = ratio;
    }
    out->n_prompts = n;
    if (n > 0) {
        out->mean = (struct score_value){true, prompt_mean(ratios, n)};
        for (int q = 0; q < RATIO_N_QUANTILES; q++)
            out->quantiles[q] = bootstrap_quantile(ratios, n, RATIO_QUANTILES[q]);
    }
    free(ratios);
    return ST_OK;
}
