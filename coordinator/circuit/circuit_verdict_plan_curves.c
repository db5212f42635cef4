/* Growing circuits of a verdict plan: the candidates in the order of their effects, the first of
 * them kept, all others ablated (faithfulness_curve.h). */
#include "coordinator/circuit/circuit_verdict_plan_parts.h"

#include <stdlib.h>

static status_t add_curve(struct planning *planning, enum curve_order order, bool *is_kept,
                          struct error *err)
{
    const size_t n = planning->plan->n_candidates;
    status_t status = ST_OK;
    for (size_t k = 0; k < CURVE_N_FRACTIONS && status == ST_OK; k++) {
        status = curve_select(planning->params->effects, n, curve_n_items(CURVE_FRACTIONS[k], n),
                              order, is_kept, err);
        for (size_t i = 0; i < n; i++) planning->off[i] = !is_kept[i];
        if (status == ST_OK) status = verdict_plan_add_run(planning, 0, err);
    }
    return status;
}

status_t verdict_plan_add_curves(struct planning *planning, struct error *err)
{
    status_t status = ST_OK;
    if (!planning->params->effects) return ST_OK;
    bool *is_kept = calloc(planning->plan->n_candidates + 1, sizeof *is_kept);
    if (!is_kept) return error_set(err, ST_NO_MEMORY, "verdict plan: curves");
    for (int order = 0; order < CURVE_N_ORDERS && status == ST_OK; order++)
        status = add_curve(planning, (enum curve_order)order, is_kept, err);
    planning->plan->has_curves = status == ST_OK;
    free(is_kept);
    return status;
}
