#include "coordinator/circuit/circuit_verdict_plan.h"

#include "common/size.h"
#include "coordinator/circuit/circuit_verdict_plan_parts.h"
#include "coordinator/session/draw.h"

#include <stdlib.h>
#include <string.h>

struct verdict_plan_params verdict_plan_params_default(uint64_t seed)
{
    return (struct verdict_plan_params){
        .seed = seed, .n_random = RANDOM_CIRCUITS_DEFAULT, .n_subsets = 16, .n_minimality = 4};
}

/* --- members and subsets ------------------------------------------------------------------ */

enum member_run { RUN_MEMBER, RUN_CLASS_REST, RUN_CLASS };

static status_t add_members(struct planning *planning, enum member_run run, struct error *err)
{
    status_t status = ST_OK;
    const size_t n = planning->plan->n_members;
    for (size_t m = 0; m < n && status == ST_OK; m++) {
        verdict_plan_switch_all(planning, false);
        for (size_t k = 0; k < n; k++) {
            const bool is_class = planning->classes[k] == planning->classes[m];
            planning->off[planning->members[k]] =
                run == RUN_MEMBER ? k == m : is_class && (run == RUN_CLASS || k != m);
        }
        status = verdict_plan_add_run(planning, 0, err);
    }
    return status;
}

static void draw_subset(struct draw *draw, size_t n, bool *subset)
{
    for (size_t m = 0; m < n; m++) subset[m] = draw_below(draw, 2) == 1;
}

/* Every class, then drawn ones; none twice, none empty, so fewer of a small circuit. */
static status_t choose_subsets(struct planning *planning, struct error *err)
{
    const size_t n = planning->plan->n_members;
    const size_t n_wanted = planning->n_classes + planning->params->n_subsets;
    struct draw draw = draw_stream(planning->params->seed, DRAW_VERDICT, 0);
    size_t n_bytes;
    if (!size_mul(n_wanted + 1, n, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "verdict plan: %zu subsets", n_wanted);
    planning->subsets = calloc(n_bytes, sizeof *planning->subsets);
    if (!planning->subsets)
        return error_set(err, ST_NO_MEMORY, "verdict plan: %zu subsets", n_wanted);
    for (size_t k = 0; k < n_wanted; k++) {
        bool *subset = planning->subsets + planning->n_all_subsets * n;
        bool is_new = false;
        for (size_t m = 0; m < n && k < planning->n_classes; m++)
            subset[m] = planning->classes[m] == k;
        if (k >= planning->n_classes) draw_subset(&draw, n, subset);
        for (size_t m = 0; m < n; m++) is_new = is_new || subset[m];
        for (size_t j = 0; j < planning->n_all_subsets && is_new; j++)
            is_new = memcmp(planning->subsets + j * n, subset, n * sizeof *subset) != 0;
        planning->n_all_subsets += is_new;
    }
    return ST_OK;
}

static status_t add_subsets(struct planning *planning, struct error *err)
{
    const size_t n = planning->plan->n_members, n_all = planning->n_all_subsets;
    const struct planned_circuit own = verdict_plan_own_circuit(planning);
    status_t status = ST_OK;
    for (size_t k = 0; k < n_all && status == ST_OK; k++)
        status = verdict_plan_add_circuit(planning, &own, planning->subsets + k * n, err);
    for (size_t k = 0; k < n_all && status == ST_OK; k++) {
        verdict_plan_switch_all(planning, false);
        for (size_t m = 0; m < n; m++)
            planning->off[planning->members[m]] = planning->subsets[k * n + m];
        status = verdict_plan_add_run(planning, 0, err);
    }
    planning->plan->n_subsets = n_all;
    return status;
}

/* The j-th K of a member: nothing, the rest of its class, then drawn ones. */
static void minimality_subset(const struct planning *planning, size_t member, size_t j,
                              bool *subset)
{
    const size_t n = planning->plan->n_members;
    struct draw draw = draw_stream(planning->params->seed, DRAW_VERDICT,
                                   1 + member * (planning->params->n_minimality + 2) + j);
    for (size_t m = 0; m < n && j < 2; m++)
        subset[m] = j == 1 && planning->classes[m] == planning->classes[member];
    if (j >= 2) draw_subset(&draw, n, subset);
    subset[member] = false;
}

static status_t add_minimality(struct planning *planning, struct error *err)
{
    struct circuit_verdict_plan *plan = planning->plan;
    const size_t n = plan->n_members, n_each = planning->params->n_minimality + 2;
    const struct planned_circuit own = verdict_plan_own_circuit(planning);
    status_t status = ST_OK;
    plan->minimality_member = malloc(n * n_each * sizeof *plan->minimality_member);
    bool *subset = calloc(n, sizeof *subset);
    if (!plan->minimality_member || !subset)
        status = error_set(err, ST_NO_MEMORY, "verdict plan: minimality of %zu members", n);
    for (int with_member = 0; with_member < 2; with_member++)
        for (size_t q = 0; q < n * n_each && status == ST_OK; q++) {
            const size_t member = q / n_each;
            minimality_subset(planning, member, q % n_each, subset);
            subset[member] = with_member == 1;
            plan->minimality_member[q] = (uint32_t)member;
            status = verdict_plan_add_circuit(planning, &own, subset, err);
        }
    plan->n_minimality = n * n_each;
    free(subset);
    return status;
}

/* --- the plan ----------------------------------------------------------------------------- */

static status_t check_params(const struct verdict_plan_params *params, struct error *err)
{
    const struct circuit_candidates *candidates = &params->candidates;
    char name[COMPONENT_NAME_SIZE];
    if (params->circuit->n_nodes == 0 || params->circuit->n_nodes > CIRCUIT_MAX_NODES)
        return error_set(err, ST_BAD_INPUT, "verdict plan: a circuit of %zu nodes",
                         params->circuit->n_nodes);
    if (params->n_subsets > RANDOM_CIRCUITS_MAX || params->n_minimality > RANDOM_CIRCUITS_MAX)
        return error_set(err, ST_BAD_INPUT, "verdict plan: more than %d subsets",
                         (int)RANDOM_CIRCUITS_MAX);
    for (size_t i = 1; i < candidates->n; i++)
        if (component_compare(&candidates->components[i - 1], &candidates->components[i]) >= 0)
            return error_set(err, ST_BAD_INPUT, "verdict plan: candidate %s is out of order",
                             component_name(&candidates->components[i], name));
    for (size_t m = 0; m < params->circuit->n_nodes && params->circuit->n_edges > 0; m++)
        if (params->circuit->nodes[m].component.position[0])
            return error_set(err, ST_UNSUPPORTED,
                             "verdict plan: edges are claimed, and %s is at a named position",
                             component_name(&params->circuit->nodes[m].component, name));
    return ST_OK;
}

static status_t find_members(struct planning *planning, struct error *err)
{
    const struct circuit *circuit = planning->params->circuit;
    char name[COMPONENT_NAME_SIZE];
    for (size_t m = 0; m < circuit->n_nodes; m++) {
        const size_t at = verdict_plan_find(planning, &circuit->nodes[m].component);
        if (at == planning->params->candidates.n)
            return error_set(err, ST_BAD_INPUT, "%s is in the circuit, and no candidate",
                             component_name(&circuit->nodes[m].component, name));
        planning->members[m] = (uint32_t)at;
    }
    planning->n_classes = circuit_classes(circuit, planning->classes);
    return ST_OK;
}

/* Random circuits exchange components and leave positions where they are: they are drawn from the
 * candidates without positions, each once. */
static status_t draw_random(struct planning *planning, struct error *err)
{
    const struct verdict_plan_params *params = planning->params;
    struct circuit_candidates bases = {.n = 0};
    struct component *list = malloc((params->candidates.n + 1) * sizeof *list);
    if (!list) return error_set(err, ST_NO_MEMORY, "verdict plan: %zu nodes", params->candidates.n);
    for (size_t i = 0; i < params->candidates.n; i++) {
        list[bases.n] = params->candidates.components[i];
        memset(list[bases.n].position, 0, sizeof list->position);
        bases.n += bases.n == 0 || !component_equal(&list[bases.n - 1], &list[bases.n]);
    }
    bases.components = list;
    const status_t status = random_circuits_draw(&planning->random, params->circuit, &bases,
                                                 params->n_random, params->seed, err);
    free(list);
    return status;
}

static status_t planning_init(struct planning *planning, struct error *err)
{
    const struct verdict_plan_params *params = planning->params;
    const size_t n = params->candidates.n, n_members = params->circuit->n_nodes;
    planning->members = calloc(n_members, sizeof *planning->members);
    planning->classes = calloc(n_members, sizeof *planning->classes);
    planning->off = calloc(n + 1, sizeof *planning->off);
    planning->nodes = calloc(n + 1, sizeof *planning->nodes);
    if (!planning->members || !planning->classes || !planning->off || !planning->nodes)
        return error_set(err, ST_NO_MEMORY, "verdict plan: %zu candidates", n);
    status_t status = find_members(planning, err);
    if (status == ST_OK) status = draw_random(planning, err);
    if (status == ST_OK) status = verdict_plan_collect_edges(planning, err);
    if (status == ST_OK) status = choose_subsets(planning, err);
    return status;
}

static void planning_fini(struct planning *planning)
{
    random_circuits_fini(&planning->random);
    free(planning->members);
    free(planning->classes);
    free(planning->off);
    free(planning->nodes);
    free(planning->left_out);
    free(planning->subsets);
}

/* In the order in which circuit_verdict_plan_fill() reads them. */
static status_t add_all(struct planning *planning, struct error *err)
{
    const struct planned_circuit own = verdict_plan_own_circuit(planning);
    verdict_plan_switch_all(planning, true);
    status_t status = verdict_plan_add_run(planning, 0, err);
    if (status == ST_OK) status = verdict_plan_add_circuit(planning, &own, NULL, err);
    if (status == ST_OK) status = verdict_plan_add_complement(planning, &own, err);
    if (status == ST_OK) status = add_members(planning, RUN_MEMBER, err);
    if (status == ST_OK) status = add_members(planning, RUN_CLASS_REST, err);
    if (status == ST_OK) status = add_members(planning, RUN_CLASS, err);
    if (status == ST_OK) status = add_subsets(planning, err);
    if (status == ST_OK) status = add_minimality(planning, err);
    if (status == ST_OK) status = verdict_plan_add_random(planning, err);
    if (status == ST_OK) status = verdict_plan_add_curves(planning, err);
    planning->plan->n_random = planning->random.n;
    planning->plan->is_random_exhaustive = planning->random.is_exhaustive;
    return status;
}

status_t circuit_verdict_plan_create(struct circuit_verdict_plan **out,
                                     const struct verdict_plan_params *params, struct error *err)
{
    status_t status = check_params(params, err);
    if (status != ST_OK) return status;
    struct circuit_verdict_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return error_set(err, ST_NO_MEMORY, "verdict plan");
    struct planning planning = {.params = params, .plan = plan};
    plan->n_candidates = params->candidates.n;
    plan->n_members = params->circuit->n_nodes;
    status = variant_values_create(&plan->sets, 1, VARIANT_VALUES_MAX, err);
    if (status == ST_OK) status = planning_init(&planning, err);
    if (status == ST_OK) status = add_all(&planning, err);
    planning_fini(&planning);
    if (status != ST_OK) {
        circuit_verdict_plan_destroy(&plan);
        return status;
    }
    *out = plan;
    return ST_OK;
}

void circuit_verdict_plan_destroy(struct circuit_verdict_plan **plan)
{
    if (!*plan) return;
    variant_values_destroy(&(*plan)->sets);
    free((*plan)->places);
    free((*plan)->minimality_member);
    free((*plan)->edges);
    free(*plan);
    *plan = NULL;
}

struct search_batch circuit_verdict_plan_variants(struct circuit_verdict_plan *plan)
{
    return variant_values_batch(plan->sets, VARIANT_VALUES_MAX);
}

const struct circuit_edge *circuit_verdict_plan_edges(const struct circuit_verdict_plan *plan,
                                                      size_t *n)
{
    *n = plan->n_edges;
    return plan->edges;
}

/* --- filling ------------------------------------------------------------------------------ */

/* The next n runs, as rows. */
static const double *next_rows(const double **at, size_t n, size_t n_prompts)
{
    const double *rows = *at;
    *at += n * n_prompts;
    return n > 0 ? rows : NULL;
}

static void point_into(const struct circuit_verdict_plan *plan, const double *at, size_t n_prompts,
                       struct value_measures *out)
{
    const size_t n_members = plan->n_members;
    out->is_measured = true;
    out->empty = next_rows(&at, 1, n_prompts);
    out->circuit = next_rows(&at, 1, n_prompts);
    out->complement = next_rows(&at, 1, n_prompts);
    out->without_member = next_rows(&at, n_members, n_prompts);
    out->without_class_rest = next_rows(&at, n_members, n_prompts);
    out->without_class = next_rows(&at, n_members, n_prompts);
    out->n_subsets = plan->n_subsets;
    out->circuit_without_subset = next_rows(&at, plan->n_subsets, n_prompts);
    out->model_without_subset = next_rows(&at, plan->n_subsets, n_prompts);
    out->n_minimality = plan->n_minimality;
    out->minimality_member = plan->minimality_member;
    out->minimality_without_subset = next_rows(&at, plan->n_minimality, n_prompts);
    out->minimality_without_both = next_rows(&at, plan->n_minimality, n_prompts);
    out->n_random = plan->n_random;
    out->is_random_exhaustive = plan->is_random_exhaustive;
    out->random_circuit = next_rows(&at, plan->n_random, n_prompts);
    out->random_complement = next_rows(&at, plan->n_random, n_prompts);
    out->n_curve_candidates = plan->has_curves ? plan->n_candidates : 0;
    for (int order = 0; order < CURVE_N_ORDERS; order++)
        out->curve[order] = next_rows(&at, plan->has_curves ? CURVE_N_FRACTIONS : 0, n_prompts);
}

status_t circuit_verdict_plan_fill(const struct circuit_verdict_plan *plan,
                                   const struct plan_values *given, struct value_measures *out,
                                   double **rows, struct error *err)
{
    const size_t n_prompts = given->n_prompts;
    size_t n_bytes;
    if (!size_tensor(plan->n_runs, n_prompts, sizeof **rows, &n_bytes))
        return error_set(err, ST_NO_MEMORY, "verdict plan: %zu runs", plan->n_runs);
    double *all = malloc(n_bytes + sizeof *all);
    if (!all) return error_set(err, ST_NO_MEMORY, "verdict plan: %zu runs", plan->n_runs);
    for (size_t r = 0; r < plan->n_runs; r++) {
        const double *row = plan->places[r] == ROW_OF_FULL
                                ? given->full
                                : given->values + (size_t)plan->places[r] * n_prompts;
        memcpy(all + r * n_prompts, row, n_prompts * sizeof *row);
    }
    point_into(plan, all, n_prompts, out);
    *rows = all;
    return ST_OK;
}
