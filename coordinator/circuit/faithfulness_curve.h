/* How faithful are circuits of growing size: CPR and CMD (MIB, Mueller et al. 2025).
 *
 * Items (edges or nodes) are put in order of a score. For each fraction k the first int(k n)
 * make the circuit C_k; of edges those that dangle are then dropped (curve_prune). With
 *   f_k = (m(C_k) - m(empty)) / (m(M) - m(empty)), ratios of means,
 *   CPR = area under f over k, CMD = area under |1 - f|, by trapezoids on the linear axis from
 * the first fraction to the last: CPR large is good and can exceed 1, CMD 0 is best, and where
 * f <= 1 everywhere they add up to the last fraction less the first (.999 of MIB's ten).
 *
 * Published CPR orders by signed scores, published CMD by absolute ones: every curve says which
 * it is, and both areas are given for both. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_FAITHFULNESS_CURVE_H
#define COORDINATOR_CIRCUIT_FAITHFULNESS_CURVE_H

#include "coordinator/circuit/circuit_edge.h"
#include "coordinator/circuit/prompt_ratio.h"

enum curve_order { CURVE_SIGNED, CURVE_ABSOLUTE };
enum { CURVE_N_ORDERS = CURVE_ABSOLUTE + 1, CURVE_N_FRACTIONS = 10 };
/* 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1 */
extern const double CURVE_FRACTIONS[CURVE_N_FRACTIONS];

/* "signed", "absolute". */
const char *curve_order_name(enum curve_order order);

/* int(fraction * n_items), as MIB rounds. */
size_t curve_n_items(double fraction, size_t n_items);

/* is_kept [n]: the n_top items of highest score (or |score|); of equal ones the first. Errors:
 * ST_BAD_INPUT (a score that is not finite), ST_NO_MEMORY. */
MUST_CHECK status_t curve_select(const double *scores, size_t n, size_t n_top,
                                 enum curve_order order, bool *is_kept, struct error *err);

/* Drop kept edges that dangle, until none does: edges from a head or MLP that no kept edge
 * enters, and edges into one that no kept edge leaves. Embeddings, neurons, residual dimensions,
 * features and error terms need nothing to enter them. A K/V group is entered for all its heads,
 * and left by any of them (shape: n_heads, n_kv_heads). Returns how many stay in *n_kept. Errors:
 * ST_NO_MEMORY. */
MUST_CHECK status_t curve_prune(const struct circuit_edge *edges, size_t n_edges,
                                const struct model_shape *shape, bool *is_kept, size_t *n_kept,
                                struct error *err);

/* What a curve is made of. Borrowed. */
struct curve_measures {
    enum curve_order order;
    const double *fractions; /* [n_points], ascending */
    const size_t *n_items;   /* [n_points] after pruning */
    size_t n_points;         /* 2 .. */
    struct prompt_units units;
    const double *full, *empty; /* [n_prompts] */
    const double *runs;         /* [n_points, n_prompts] m(C_k) */
};

struct faithfulness_curve {
    enum curve_order order;
    bool is_flat;          /* |m(M) - m(empty)| < flat_errors standard errors: no f, no areas */
    struct score_value *f; /* [n_points], owned */
    size_t n_points;
    struct score_value cpr, cmd;
};

/* The caller owns *out (fini). Errors: ST_BAD_INPUT (fewer than two points, fractions that do
 * not ascend, a value that is not finite, units), ST_NO_MEMORY. */
MUST_CHECK status_t faithfulness_curve_make(struct faithfulness_curve *out,
                                            const struct curve_measures *measures,
                                            double flat_errors, struct error *err);
void faithfulness_curve_fini(struct faithfulness_curve *curve); /* fine twice */

/* The two areas of f [n] over fractions [n], n >= 2. */
void faithfulness_curve_areas(const double *fractions, const double *f, size_t n, double *cpr,
                              double *cmd);

#endif
