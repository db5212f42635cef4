/* Automatic circuit discovery (Conmy et al. 2023), evaluated ahead of itself.
 *
 * Edges are tried in an order. Each is removed (ablated) for good if
 *   loss(without all that was removed, and it) - loss(without all that was removed) < tau
 * signed, or its absolute value; at equality it stays. The loss is the mean of KL, or minus the
 * mean of another metric.
 *
 * Speculation: the next `window` edges are evaluated at once, each on the graph that there will be
 * if those before it go as predicted: kept where their hint reaches tau, else removed. Decisions
 * are taken in order up to the first that was not as predicted; it is right too, what comes behind
 * is evaluated again. So the result is that of the sequential algorithm, exactly, in as many
 * rounds as predictions fail, and some. A window that held doubles.
 *
 * Grouped: only runs of 1, 2, 4 .. edges are evaluated, and the longest that costs less than tau
 * goes, together: about (edges kept) log(edges) evaluations. The same result where removing more
 * never lowers the loss; else a step that costs tau can hide behind one that gains.
 *
 * A value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_ACDC_H
#define COORDINATOR_CIRCUIT_ACDC_H

#include "coordinator/circuit/paired_effect.h"
#include "coordinator/circuit/search_view.h"

enum { ACDC_FIRST_WINDOW = 16, ACDC_MAX_WINDOW = 1024 };

struct acdc_params {
    size_t n;               /* edges */
    const uint32_t *order;  /* [n] a permutation: the first is tried first. Borrowed */
    const double *hints;    /* [n edges], what removing each is thought to cost; NULL. Borrowed */
    struct index_span base; /* nodes that are ablated all along. Borrowed */
    double tau;             /* finite */
    bool is_absolute, is_grouped;
};

struct acdc {
    struct acdc_params params;
    bool *is_kept;     /* [n edges], owned: those not yet tried are */
    uint32_t *removed; /* [n], owned: the first n_removed, in the order of removal */
    size_t n_removed;
    size_t n_tried; /* of the order */
    size_t window;
    double loss; /* of what was removed up to now */
    bool has_loss;
    size_t n_rounds; /* windows */
    bool is_over;
};

/* Errors: ST_BAD_INPUT (tau), ST_NO_MEMORY. On ST_OK the caller passes *out to acdc_fini(). */
MUST_CHECK status_t acdc_init(struct acdc *out, const struct acdc_params *params,
                              struct error *err);
void acdc_fini(struct acdc *acdc); /* fine twice */

/* As far as known rows allow; what is missing was wanted. Where a row is refused it ends, and
 * what was not tried stays. */
void acdc_advance(struct acdc *acdc, struct search_view *view, const struct effect_sample *sample);

#endif
