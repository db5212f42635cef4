#include "coordinator/circuit/node_selection.h"

#include "coordinator/circuit/circuit_stability.h"
#include "coordinator/session/draw.h"
#include "coordinator/session/null_model.h"

#include "common/size.h"

#include <math.h>
#include <stdlib.h>

struct node_selection_params node_selection_params_default(void)
{
    return (struct node_selection_params){.fdr_q = 0.05, .share_min = 0.02};
}

/* Sums over units, once; a search on a bootstrap only weighs them. */
struct sweep_sums {
    const struct node_effects *effects;
    const struct node_selection_params *params;
    double *sums;       /* [n, n_units] of effects */
    double *totals;     /* [n_units] */
    double *sizes;      /* [n_units] prompts */
    double *weights;    /* [n_units] how often a unit counts */
    double *p;          /* [n] */
    bool *is_discovery; /* [n] */
};

/* --- checks ------------------------------------------------------------------------------- */

static status_t check_params(const struct node_selection_params *params, struct error *err)
{
    if (!(params->fdr_q > 0.0 && params->fdr_q < 1.0))
        return error_set(err, ST_BAD_INPUT, "selection: fdr_q %g is not in (0, 1)", params->fdr_q);
    if (!(params->share_min >= 0.0 && isfinite(params->share_min)))
        return error_set(err, ST_BAD_INPUT, "selection: share_min %g", params->share_min);
    return ST_OK;
}

static status_t check_effects(const struct node_effects *effects, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    const size_t n_prompts = effects->units.n_prompts;
    const status_t status = prompt_units_check(&effects->units, err);
    if (status != ST_OK) return status;
    for (size_t c = 0; c < effects->n; c++) {
        const struct component *component = &effects->components[c];
        if (c > 0 && component_compare(component - 1, component) >= 0)
            return error_set(err, ST_BAD_INPUT, "selection: component %s is out of order",
                             component_name(component, name));
        for (size_t i = 0; i < n_prompts; i++)
            if (!isfinite(effects->effects[c * n_prompts + i]))
                return error_set(err, ST_BAD_INPUT, "selection: %s, prompt %zu is not finite",
                                 component_name(component, name), i);
    }
    for (size_t i = 0; i < n_prompts; i++)
        if (!isfinite(effects->total[i]))
            return error_set(err, ST_BAD_INPUT, "selection: total, prompt %zu is not finite", i);
    return ST_OK;
}

/* --- sums --------------------------------------------------------------------------------- */

static void sweep_sums_fini(struct sweep_sums *sweep)
{
    free(sweep->sums);
    free(sweep->totals);
    free(sweep->p);
    free(sweep->is_discovery);
}

static void add_up(struct sweep_sums *sweep)
{
    const struct prompt_units *units = &sweep->effects->units;
    for (size_t i = 0; i < units->n_prompts; i++) {
        sweep->totals[units->unit_of[i]] += sweep->effects->total[i];
        sweep->sizes[units->unit_of[i]] += 1.0;
    }
    for (size_t c = 0; c < sweep->effects->n; c++)
        for (size_t i = 0; i < units->n_prompts; i++)
            sweep->sums[c * units->n_units + units->unit_of[i]] +=
                sweep->effects->effects[c * units->n_prompts + i];
}

static status_t sweep_sums_init(struct sweep_sums *sweep, const struct node_effects *effects,
                                const struct node_selection_params *params, struct error *err)
{
    const size_t n = effects->n, n_units = effects->units.n_units;
    size_t n_sums;
    *sweep = (struct sweep_sums){.effects = effects, .params = params};
    status_t status = check_params(params, err);
    if (status == ST_OK) status = check_effects(effects, err);
    if (status != ST_OK) return status;
    if (!size_mul(n + 1, n_units, &n_sums))
        return error_set(err, ST_TOO_LARGE, "%zu components", n);
    sweep->sums = calloc(n_sums, sizeof *sweep->sums);
    sweep->totals = calloc(3 * n_units, sizeof *sweep->totals);
    sweep->p = calloc(n + 1, sizeof *sweep->p);
    sweep->is_discovery = calloc(n + 1, sizeof *sweep->is_discovery);
    if (!sweep->sums || !sweep->totals || !sweep->p || !sweep->is_discovery) {
        sweep_sums_fini(sweep);
        return error_set(err, ST_NO_MEMORY, "%zu components", n);
    }
    sweep->sizes = sweep->totals + n_units;
    sweep->weights = sweep->totals + 2 * n_units;
    add_up(sweep);
    return ST_OK;
}

/* --- one search --------------------------------------------------------------------------- */

double node_effect_p(double mean, struct score_value standard_error)
{
    if (!standard_error.is_defined || mean == 0.0) return 1.0;
    if (!(standard_error.value > 0.0)) return 0.0;
    return erfc(fabs(mean) / standard_error.value / sqrt(2.0));
}

/* Mean and standard error of component c; n_drawn units, n prompts, counted with weights. */
static struct node_effect estimate_effect(const struct sweep_sums *sweep, size_t c, double n_drawn,
                                          double n)
{
    const size_t n_units = sweep->effects->units.n_units;
    const double *sums = sweep->sums + c * n_units;
    double sum = 0.0, squares = 0.0;
    for (size_t u = 0; u < n_units; u++) sum += sweep->weights[u] * sums[u];
    struct node_effect effect = {.mean = sum / n};
    for (size_t u = 0; u < n_units; u++) {
        const double off = sums[u] - effect.mean * sweep->sizes[u];
        squares += sweep->weights[u] * off * off;
    }
    effect.standard_error.is_defined = n_drawn >= 2.0;
    if (n_drawn >= 2.0) effect.standard_error.value = sqrt(n_drawn / (n_drawn - 1.0) * squares) / n;
    effect.p = node_effect_p(effect.mean, effect.standard_error);
    return effect;
}

struct ranked {
    double size;
    size_t component;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *left = a, *right = b;
    if (left->size != right->size) return left->size > right->size ? -1 : 1;
    return (left->component > right->component) - (left->component < right->component);
}

static status_t keep_largest(struct node_effect *out, size_t n, size_t max_nodes, struct error *err)
{
    size_t n_chosen = 0;
    struct ranked *ranked = malloc((n + 1) * sizeof *ranked);
    if (!ranked) return error_set(err, ST_NO_MEMORY, "%zu components", n);
    for (size_t c = 0; c < n; c++)
        if (out[c].is_chosen) ranked[n_chosen++] = (struct ranked){fabs(out[c].mean), c};
    qsort(ranked, n_chosen, sizeof *ranked, compare_ranked);
    for (size_t i = max_nodes; i < n_chosen; i++) out[ranked[i].component].is_chosen = false;
    free(ranked);
    return ST_OK;
}

/* The rule, with the units weighed as they are. */
static status_t search(const struct sweep_sums *sweep, struct node_effect *out, struct error *err)
{
    const struct node_selection_params *params = sweep->params;
    const size_t n = sweep->effects->n, n_units = sweep->effects->units.n_units;
    double n_drawn = 0.0, n_prompts = 0.0, total = 0.0;
    for (size_t u = 0; u < n_units; u++) {
        n_drawn += sweep->weights[u];
        n_prompts += sweep->weights[u] * sweep->sizes[u];
        total += sweep->weights[u] * sweep->totals[u];
    }
    const double least = params->share_min * fabs(total / n_prompts);
    for (size_t c = 0; c < n; c++) {
        out[c] = estimate_effect(sweep, c, n_drawn, n_prompts);
        sweep->p[c] = out[c].p;
    }
    const status_t status =
        null_benjamini_hochberg(sweep->p, n, params->fdr_q, sweep->is_discovery, err);
    if (status != ST_OK) return status;
    for (size_t c = 0; c < n; c++)
        out[c].is_chosen = sweep->is_discovery[c] && fabs(out[c].mean) >= least &&
                           (!params->is_signed || out[c].mean > 0.0);
    return params->max_nodes > 0 ? keep_largest(out, n, params->max_nodes, err) : ST_OK;
}

status_t node_selection(const struct node_effects *effects,
                        const struct node_selection_params *params, struct node_effect *out,
                        struct error *err)
{
    struct sweep_sums sweep;
    status_t status = sweep_sums_init(&sweep, effects, params, err);
    if (status != ST_OK) return status;
    for (size_t u = 0; u < effects->units.n_units; u++) sweep.weights[u] = 1.0;
    status = search(&sweep, out, err);
    sweep_sums_fini(&sweep);
    return status;
}

/* --- again -------------------------------------------------------------------------------- */

status_t node_selection_again(const struct node_effects *effects,
                              const struct node_selection_params *params, size_t n_searches,
                              uint64_t seed, bool *is_chosen, struct error *err)
{
    const uint32_t n_units = (uint32_t)effects->units.n_units;
    struct sweep_sums sweep;
    status_t status = sweep_sums_init(&sweep, effects, params, err);
    if (status != ST_OK) return status;
    struct node_effect *found = calloc(effects->n + 1, sizeof *found);
    if (!found) status = error_set(err, ST_NO_MEMORY, "%zu components", effects->n);
    for (size_t s = 0; s < n_searches && status == ST_OK; s++) {
        struct draw draw = draw_stream(seed, DRAW_CIRCUIT, 1 + s);
        for (uint32_t u = 0; u < n_units; u++) sweep.weights[u] = 0.0;
        for (uint32_t u = 0; u < n_units; u++) sweep.weights[draw_below(&draw, n_units)] += 1.0;
        status = search(&sweep, found, err);
        for (size_t c = 0; c < effects->n && status == ST_OK; c++)
            is_chosen[s * effects->n + c] = found[c].is_chosen;
    }
    free(found);
    sweep_sums_fini(&sweep);
    return status;
}

status_t node_selection_stability(const struct node_effects *effects, const bool *is_chosen,
                                  size_t n_searches, struct score_value *out, struct error *err)
{
    const struct found_kind kind = {sizeof *effects->components, component_compare_items};
    struct found_set *sets = calloc(n_searches + 1, sizeof *sets);
    size_t n_room = 0, n_used = 0;
    for (size_t i = 0; i < n_searches * effects->n; i++) n_room += is_chosen[i];
    struct component *room = malloc((n_room + 1) * sizeof *room);
    if (!sets || !room) {
        free(sets);
        free(room);
        return error_set(err, ST_NO_MEMORY, "%zu searches", n_searches);
    }
    for (size_t s = 0; s < n_searches; s++) {
        sets[s].items = room + n_used;
        for (size_t c = 0; c < effects->n; c++)
            if (is_chosen[s * effects->n + c]) room[n_used++] = effects->components[c];
        sets[s].n = (size_t)(room + n_used - (const struct component *)sets[s].items);
    }
    const status_t status = circuit_stability(sets, n_searches, &kind, out, err);
    free(sets);
    free(room);
    return status;
}
