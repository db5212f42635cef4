#include "coordinator/circuit/verdict_json.h"

#include "coordinator/circuit/curve_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERDICT_DIGITS = 12 };

/* Every builder returns a new reference, or NULL when memory is short; json_pack() takes "o"
 * values over and fails on NULL, so one check at the end is enough. */

/* Never NaN: the verdict has none, and null is what a reader can bear. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *value_or_null(struct score_value value)
{
    return value.is_defined ? number(value.value) : json_null();
}

static json_t *interval_json(const struct interval *interval)
{
    if (!interval->is_defined) return json_null();
    return json_pack("[o, o]", number(interval->low), number(interval->high));
}

static json_t *count(size_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *quantiles_json(const struct ratio_spread *spread)
{
    char key[16];
    if (!spread->mean.is_defined) return json_null();
    json_t *quantiles = json_object();
    for (int q = 0; quantiles && q < RATIO_N_QUANTILES; q++) {
        (void)snprintf(key, sizeof key, "%g", RATIO_QUANTILES[q]);
        if (json_object_set_new(quantiles, key, number(spread->quantiles[q])) != 0) {
            json_decref(quantiles);
            return NULL;
        }
    }
    return quantiles;
}

static json_t *ratio_json(const struct ratio_verdict *ratio)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "ratio",
        value_or_null(ratio->of_means.value), "interval", interval_json(&ratio->of_means.interval),
        "n_redrawn", count(ratio->of_means.interval.n_redrawn), "mean_of_ratios",
        value_or_null(ratio->by_prompt.mean), "n_ratios", count(ratio->by_prompt.n_prompts),
        "quantiles", quantiles_json(&ratio->by_prompt), "random_limit",
        value_or_null(ratio->random_limit), "percentile", value_or_null(ratio->percentile),
        "above_random", ratio->is_above_random);
}

static json_t *completeness_json(const struct value_verdict *value)
{
    if (!value->completeness.is_defined) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "value", value_or_null(value->completeness), "share",
                     value_or_null(value->completeness_share), "subset",
                     count(value->completeness_subset), "n_subsets", count(value->n_subsets));
}

static json_t *kl_json(const struct value_verdict *value)
{
    if (!value->has_kl) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "sufficiency",
                     value_or_null(value->kl_sufficiency.value), "interval",
                     interval_json(&value->kl_sufficiency.interval), "mean", number(value->kl_mean),
                     "median", number(value->kl_median), "max", number(value->kl_max));
}

/* --- members ------------------------------------------------------------------------------ */

static json_t *drop_json(const struct ratio_estimate *drop)
{
    if (!drop->value.is_defined) return json_null();
    return json_pack("{s:o, s:o}", "value", value_or_null(drop->value), "interval",
                     interval_json(&drop->interval));
}

static json_t *member_json(const struct member_verdict *member, const struct circuit_node *node)
{
    char name[COMPONENT_NAME_SIZE];
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:b, s:o}", "name", component_name(&node->component, name), "role",
        node->role[0] ? json_string(node->role) : json_null(), "drop", drop_json(&member->drop),
        "conditional", drop_json(&member->conditional), "conditional_clear",
        member->is_conditional_clear, "minimality", value_or_null(member->minimality));
}

static json_t *members_json(const struct value_verdict *value, const struct circuit *circuit)
{
    json_t *members = json_array();
    for (size_t m = 0; members && m < circuit->n_nodes; m++)
        if (json_array_append_new(members, member_json(&value->members[m], &circuit->nodes[m])) !=
            0) {
            json_decref(members);
            return NULL;
        }
    return members;
}

/* --- curves ------------------------------------------------------------------------------- */

static json_t *one_curve_json(const struct value_verdict *value, enum curve_order order)
{
    const struct curve_measures measures = {.fractions = CURVE_FRACTIONS,
                                            .n_items = value->curve_items};
    return value->has_curves ? curve_json(&value->curves[order], &measures) : json_null();
}

static json_t *curves_json(const struct value_verdict *value)
{
    return json_pack("{s:o, s:o, s:o}", "undefined",
                     value->has_curves ? json_null() : json_string(CURVE_NOT_ORDERED), "signed",
                     one_curve_json(value, CURVE_SIGNED), "absolute",
                     one_curve_json(value, CURVE_ABSOLUTE));
}

/* --- the whole ---------------------------------------------------------------------------- */

static json_t *value_json(const struct value_verdict *value, const struct circuit *circuit)
{
    json_t *random = json_pack("{s:o, s:b}", "n", count(value->n_random), "exhaustive",
                               value->is_random_exhaustive);
    if (!value->is_measured) {
        json_decref(random);
        return json_null();
    }
    return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "method", ablation_method_json(&value->method), "off_distribution",
                     value->method.value == ABLATE_ZERO, "undefined",
                     value->is_flat ? json_string("flat metric") : json_null(), "empty",
                     number(value->empty), "circuit", number(value->circuit), "complement",
                     number(value->complement), "difference", number(value->difference),
                     "standard_error", value_or_null(value->standard_error), "sufficiency",
                     value->is_flat ? json_null() : ratio_json(&value->sufficiency), "necessity",
                     value->is_flat ? json_null() : ratio_json(&value->necessity), "random", random,
                     "completeness", completeness_json(value), "kl", kl_json(value), "members",
                     members_json(value, circuit), "curves", curves_json(value));
}

static json_t *values_json(const struct circuit_verdict *verdict, const struct circuit *circuit)
{
    json_t *values = json_object();
    for (int v = 0; values && v < ABLATE_N_VALUES; v++)
        if (json_object_set_new(values, ablate_value_name((enum ablate_value)v),
                                value_json(&verdict->values[v], circuit)) != 0) {
            json_decref(values);
            return NULL;
        }
    return values;
}

static json_t *thresholds_json(const struct verdict_thresholds *thresholds)
{
    char seed[24]; /* as text: JSON readers lose the low bits of 64 */
    (void)snprintf(seed, sizeof seed, "%" PRIu64, thresholds->bootstrap.seed);
    return json_pack("{s:f, s:f, s:f, s:f, s:o, s:o, s:f, s:o, s:s}", "ratio_min",
                     thresholds->ratio_min, "random_quantile", thresholds->random_quantile,
                     "stability_min", thresholds->stability_min, "flat_errors",
                     thresholds->flat_errors, "min_searches", count(thresholds->min_searches),
                     "min_adaptive", count(thresholds->min_adaptive), "confidence",
                     thresholds->bootstrap.confidence, "n_resamples",
                     count(thresholds->bootstrap.n_resamples), "seed", seed);
}

static json_t *reasons_json(const struct circuit_verdict *verdict)
{
    json_t *reasons = json_array();
    for (size_t i = 0; reasons && i < verdict->n_reasons; i++)
        if (json_array_append_new(reasons, json_string(verdict->reasons[i])) != 0) {
            json_decref(reasons);
            return NULL;
        }
    return reasons;
}

json_t *verdict_json(const struct circuit_verdict *verdict, const struct circuit *circuit)
{
    json_t *stability =
        json_pack("{s:o, s:o, s:b}", "value", value_or_null(verdict->stability), "n_searches",
                  count(verdict->n_researches), "adaptive", verdict->is_adaptive_search);
    return json_pack(
        "{s:o, s:s, s:o, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "circuit", circuit_json(circuit),
        "outcome", circuit_outcome_name(verdict->outcome), "reasons", reasons_json(verdict),
        "metric", circuit_metric_name(verdict->metric), "n_prompts", count(verdict->n_prompts),
        "n_units", count(verdict->n_units), "interval_over",
        verdict->is_by_template ? "templates" : "prompts", "full", number(verdict->full),
        "stability", stability, "thresholds", thresholds_json(&verdict->thresholds), "values",
        values_json(verdict, circuit));
}

status_t verdict_json_write(const struct circuit_verdict *verdict, const struct circuit *circuit,
                            struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    json_t *json = verdict_json(verdict, circuit);
    char *text =
        json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(VERDICT_DIGITS))
             : NULL;
    json_decref(json);
    if (!text) return error_set(err, ST_BAD_INPUT, "verdict: text that is not UTF-8, or no memory");
    status_t status = buffer_append_text(out, text, err);
    if (status == ST_OK) status = buffer_append_text(out, "\n", err);
    if (status != ST_OK) out->n_bytes = n_before;
    free(text);
    return status;
}
