#include "coordinator/circuit/group_split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool effect_is_clear(const struct node_effect *effect, const struct clear_rule *rule)
{
    return effect->mean != 0.0 && fabs(effect->mean) >= rule->least && effect->p <= rule->p;
}

/* Cut [first, end) into `ways` runs as equal as can be; empty ones are left out. */
static size_t cut(size_t first, size_t end, size_t ways, struct split_run *out)
{
    const size_t n = end - first;
    size_t n_runs = 0;
    if (ways > n) ways = n;
    for (size_t w = 0; w < ways; w++)
        out[n_runs++] = (struct split_run){first + n * w / ways, first + n * (w + 1) / ways};
    return n_runs;
}

status_t group_split_init(struct group_split *out, const struct split_plan *plan, struct error *err)
{
    const size_t n_items = plan->base.n + plan->list.n;
    struct group_split split = {
        .n_base = plan->base.n, .n = plan->list.n, .is_cumulative = plan->is_cumulative};
    split.items = malloc((n_items + 1) * sizeof *split.items);
    split.runs = malloc((plan->list.n + 1) * sizeof *split.runs);
    split.hits = malloc((plan->list.n + 1) * sizeof *split.hits);
    split.p = malloc((plan->list.n + 1) * sizeof *split.p);
    if (!split.items || !split.runs || !split.hits || !split.p) {
        group_split_fini(&split);
        return error_set(err, ST_NO_MEMORY, "search: %zu nodes", n_items);
    }
    if (plan->base.n > 0) memcpy(split.items, plan->base.items, plan->base.n * sizeof *split.items);
    if (plan->list.n > 0)
        memcpy(split.items + plan->base.n, plan->list.items, plan->list.n * sizeof *split.items);
    split.n_runs = cut(0, split.n, plan->n_first_runs, split.runs);
    *out = split;
    return ST_OK;
}

void group_split_fini(struct group_split *split)
{
    free(split->items);
    free(split->runs);
    free(split->hits);
    free(split->p);
    *split = (struct group_split){.items = NULL};
}

struct index_span group_split_context(const struct group_split *split, size_t place)
{
    return (struct index_span){split->items, split->n_base + (split->is_cumulative ? place : 0)};
}

uint32_t group_split_node(const struct group_split *split, size_t place)
{
    return split->items[split->n_base + place];
}

/* Of nothing while a row is missing, or refused. */
static struct node_effect measure_run(const struct group_split *split, struct split_run run,
                                      struct search_view *view, const struct effect_sample *sample)
{
    const struct index_span none = {NULL, 0};
    const struct index_span context = group_split_context(split, run.first);
    const struct index_span more = {split->items + split->n_base + run.first, run.end - run.first};
    const double *before = search_view_nodes(view, context, none);
    const double *after = search_view_nodes(view, context, more);
    return before && after ? effect_between(sample, before, after) : (struct node_effect){.p = 1.0};
}

/* Runs that show become their parts, or hits. */
static size_t split_clear(struct group_split *split, const struct node_effect *effects,
                          const struct clear_rule *rule, struct split_run *next)
{
    size_t n_next = 0;
    for (size_t r = 0; r < split->n_runs; r++) {
        const struct split_run run = split->runs[r];
        const bool is_clear = effect_is_clear(&effects[r], rule), is_one = run.end - run.first == 1;
        if (is_one) split->p[split->n_tested++] = effects[r].p;
        if (is_one && is_clear)
            split->hits[split->n_hits++] = (struct split_hit){run.first, fabs(effects[r].mean)};
        else if (is_clear)
            n_next += cut(run.first, run.end, SPLIT_WAYS, next + n_next);
    }
    return n_next;
}

status_t group_split_advance(struct group_split *split, struct search_view *view,
                             const struct effect_sample *sample, const struct clear_rule *rule,
                             bool *is_over, struct error *err)
{
    const size_t n_missing = view->n_missing;
    struct node_effect *effects = calloc(split->n_runs + 1, sizeof *effects);
    struct split_run *next = malloc((split->n + 1) * sizeof *next);
    if (!effects || !next) {
        free(effects);
        free(next);
        return error_set(err, ST_NO_MEMORY, "search: %zu runs", split->n_runs);
    }
    for (size_t r = 0; r < split->n_runs; r++)
        effects[r] = measure_run(split, split->runs[r], view, sample);
    if (view->n_missing == n_missing) {
        const size_t n_next = split_clear(split, effects, rule, next);
        struct split_run *old = split->runs;
        split->runs = next;
        split->n_runs = n_next;
        next = old;
    }
    *is_over = split->n_runs == 0;
    free(effects);
    free(next);
    return ST_OK;
}
