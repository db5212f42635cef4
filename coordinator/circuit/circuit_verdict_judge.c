/* From numbers to `verified`, `partial` or `rejected` (circuit_verdict.h): the conditions, in the
 * order in which they are told. */
#include "coordinator/circuit/circuit_verdict_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASON_MAX_BYTES = 4096 };

/* A growing list of reasons; the first failure to get memory sticks. */
struct judge {
    struct circuit_verdict *verdict;
    const struct circuit_measures *measures;
    bool is_rejected;
    bool has_no_memory;
};

static void add_reason(struct judge *judge, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_reason(struct judge *judge, const char *format, ...)
{
    struct circuit_verdict *verdict = judge->verdict;
    char text[REASON_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char **reasons = realloc(verdict->reasons, (verdict->n_reasons + 1) * sizeof *reasons);
    if (reasons) verdict->reasons = reasons;
    char *copy = reasons ? strdup(text) : NULL;
    if (copy)
        reasons[verdict->n_reasons++] = copy;
    else
        judge->has_no_memory = true;
}

static void judge_ratio(struct judge *judge, const char *value_name, const char *name,
                        const struct ratio_verdict *ratio, size_t n_random)
{
    const struct verdict_thresholds *thresholds = &judge->verdict->thresholds;
    const struct interval *interval = &ratio->of_means.interval;
    if (!interval->is_defined)
        add_reason(judge, "%s: the interval of %s is undefined", value_name, name);
    else if (!(interval->low >= thresholds->ratio_min))
        add_reason(judge, "%s: %s %.4g, its lower bound %.4g is under %g", value_name, name,
                   ratio->of_means.value.value, interval->low, thresholds->ratio_min);
    if (n_random == 0) {
        add_reason(judge, "%s: no random circuits to compare %s with", value_name, name);
    } else if (!ratio->is_above_random) {
        add_reason(judge, "%s: %s %.4g is not above the random circuits (%g quantile %.4g of %zu)",
                   value_name, name, ratio->of_means.value.value, thresholds->random_quantile,
                   ratio->random_limit.value, n_random);
        judge->is_rejected = true;
    }
}

/* One line for all members whose conditional drop does not exclude 0, by name. */
static void judge_members(struct judge *judge, const char *value_name,
                          const struct value_verdict *value)
{
    const struct circuit *circuit = judge->measures->circuit;
    char names[REASON_MAX_BYTES - 128] = "", name[COMPONENT_NAME_SIZE];
    size_t n_used = 0, n_unclear = 0, n_shown = 0;
    for (size_t m = 0; m < circuit->n_nodes; m++) {
        if (value->members[m].is_conditional_clear) continue;
        n_unclear++;
        (void)component_name(&circuit->nodes[m].component, name);
        if (n_used + strlen(name) + 3 >= sizeof names) continue;
        n_used += (size_t)snprintf(names + n_used, sizeof names - n_used, "%s%s",
                                   n_shown ? ", " : "", name);
        n_shown++;
    }
    if (n_unclear == 0) return;
    add_reason(judge, "%s: conditional drop does not exclude 0: %s%s", value_name, names,
               n_shown < n_unclear ? " ..." : "");
}

static void judge_value(struct judge *judge, enum ablate_value which)
{
    const struct value_verdict *value = &judge->verdict->values[which];
    const char *name = ablate_value_name(which);
    if (!value->is_measured) {
        add_reason(judge, "%s: not measured", name);
        return;
    }
    if (value->is_flat) {
        add_reason(judge, "%s: undefined: flat metric", name);
        return;
    }
    judge_ratio(judge, name, "sufficiency", &value->sufficiency, value->n_random);
    judge_ratio(judge, name, "necessity", &value->necessity, value->n_random);
    if (value->has_conditional)
        judge_members(judge, name, value);
    else
        add_reason(judge, "%s: conditional drops not measured", name);
}

static void judge_stability(struct judge *judge)
{
    const struct circuit_verdict *verdict = judge->verdict;
    const struct verdict_thresholds *thresholds = &verdict->thresholds;
    const size_t n_wanted =
        verdict->is_adaptive_search ? thresholds->min_adaptive : thresholds->min_searches;
    if (judge->measures->is_brought)
        add_reason(judge, "stability: not measured, no search found this circuit");
    else if (verdict->n_researches < n_wanted)
        add_reason(judge, "stability: %zu searches run again, %zu are asked for",
                   verdict->n_researches, n_wanted);
    else if (!verdict->stability.is_defined)
        add_reason(judge, "stability: undefined");
    else if (!(verdict->stability.value >= thresholds->stability_min))
        add_reason(judge, "stability: %.4g is under %g", verdict->stability.value,
                   thresholds->stability_min);
}

status_t circuit_verdict_judge(struct circuit_verdict *verdict,
                               const struct circuit_measures *measures, struct error *err)
{
    struct judge judge = {.verdict = verdict, .measures = measures};
    judge_value(&judge, ABLATE_MEAN);
    judge_value(&judge, ABLATE_RESAMPLE);
    judge_stability(&judge);
    if (judge.has_no_memory) return error_set(err, ST_NO_MEMORY, "reasons of a verdict");
    verdict->outcome = CIRCUIT_VERIFIED;
    if (verdict->n_reasons > 0) verdict->outcome = CIRCUIT_PARTIAL;
    if (judge.is_rejected) verdict->outcome = CIRCUIT_REJECTED;
    return ST_OK;
}
