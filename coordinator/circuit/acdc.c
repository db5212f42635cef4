#include "coordinator/circuit/acdc.h"

#include <math.h>
#include <stdlib.h>

status_t acdc_init(struct acdc *out, const struct acdc_params *params, struct error *err)
{
    struct acdc acdc = {.params = *params, .window = ACDC_FIRST_WINDOW, .is_over = params->n == 0};
    if (!isfinite(params->tau)) return error_set(err, ST_BAD_INPUT, "acdc: tau is not finite");
    acdc.is_kept = malloc((params->n + 1) * sizeof *acdc.is_kept);
    acdc.removed = malloc((params->n + 1) * sizeof *acdc.removed);
    if (!acdc.is_kept || !acdc.removed) {
        acdc_fini(&acdc);
        return error_set(err, ST_NO_MEMORY, "acdc: %zu edges", params->n);
    }
    for (size_t e = 0; e < params->n; e++) acdc.is_kept[e] = true;
    *out = acdc;
    return ST_OK;
}

void acdc_fini(struct acdc *acdc)
{
    free(acdc->is_kept);
    free(acdc->removed);
    acdc->is_kept = NULL;
    acdc->removed = NULL;
}

/* Of a graph without the first n of `removed`; false while its row is missing or refused. */
static bool find_loss(const struct acdc *acdc, size_t n, struct search_view *view,
                      const struct effect_sample *sample, double *out)
{
    const struct index_span edges = {acdc->removed, n};
    const double *row = search_view_mixed(view, acdc->params.base, edges);
    if (!row) return false;
    *out = effect_sample_mean(sample, row);
    if (!sample->is_divergence) *out = -*out;
    return true;
}

static bool is_cheap(const struct acdc *acdc, double loss)
{
    const double cost = loss - acdc->loss;
    return (acdc->params.is_absolute ? fabs(cost) : cost) < acdc->params.tau;
}

static bool is_predicted_kept(const struct acdc *acdc, uint32_t edge)
{
    const double *hints = acdc->params.hints;
    if (!hints) return false;
    return (acdc->params.is_absolute ? fabs(hints[edge]) : hints[edge]) >= acdc->params.tau;
}

static size_t window_of(const struct acdc *acdc)
{
    const size_t n_left = acdc->params.n - acdc->n_tried;
    return acdc->window < n_left ? acdc->window : n_left;
}

/* --- one at a time, ahead ----------------------------------------------------------------- */

/* Want every row of the window; `removed` past n_removed is scratch. False if one is missing. */
static bool evaluate_window(struct acdc *acdc, struct search_view *view,
                            const struct effect_sample *sample)
{
    const size_t n_missing = view->n_missing, n = window_of(acdc);
    size_t at = acdc->n_removed;
    double loss;
    for (size_t k = 0; k < n; k++) {
        const uint32_t edge = acdc->params.order[acdc->n_tried + k];
        acdc->removed[at] = edge;
        (void)find_loss(acdc, at + 1, view, sample, &loss);
        if (!is_predicted_kept(acdc, edge)) at++;
    }
    return view->n_missing == n_missing;
}

/* Decide in order, up to the first that is not as predicted. */
static void decide_window(struct acdc *acdc, struct search_view *view,
                          const struct effect_sample *sample)
{
    const size_t n = window_of(acdc);
    bool is_as_predicted = true;
    for (size_t k = 0; k < n && is_as_predicted; k++) {
        const uint32_t edge = acdc->params.order[acdc->n_tried];
        double loss = 0.0;
        acdc->removed[acdc->n_removed] = edge;
        acdc->is_over = !find_loss(acdc, acdc->n_removed + 1, view, sample, &loss);
        if (acdc->is_over) return;
        const bool is_removed = is_cheap(acdc, loss);
        is_as_predicted = is_removed != is_predicted_kept(acdc, edge);
        acdc->n_tried++;
        acdc->is_kept[edge] = !is_removed;
        if (!is_removed) continue;
        acdc->n_removed++;
        acdc->loss = loss;
    }
    if (is_as_predicted && acdc->window < ACDC_MAX_WINDOW)
        acdc->window *= 2;
    else if (!is_as_predicted && acdc->window > ACDC_FIRST_WINDOW)
        acdc->window /= 2;
}

/* --- in groups ---------------------------------------------------------------------------- */

/* The longest run that is cheap, as all shorter ones are; 0: not even the first edge. Runs of 1,
 * 2, 4 .. and the whole window. */
static size_t longest_run(struct acdc *acdc, struct search_view *view,
                          const struct effect_sample *sample, double *loss)
{
    const size_t n = window_of(acdc);
    size_t longest = 0;
    bool is_short = false;
    for (size_t k = 0; k < n; k++)
        acdc->removed[acdc->n_removed + k] = acdc->params.order[acdc->n_tried + k];
    for (size_t length = 1; length <= n; length = length < n && 2 * length > n ? n : 2 * length) {
        double of_run;
        const bool is_known = find_loss(acdc, acdc->n_removed + length, view, sample, &of_run);
        is_short = is_short || !is_known || !is_cheap(acdc, of_run);
        if (is_short) continue;
        longest = length;
        *loss = of_run;
    }
    return longest;
}

static void advance_group(struct acdc *acdc, struct search_view *view,
                          const struct effect_sample *sample)
{
    const size_t n_missing = view->n_missing, n = window_of(acdc);
    double loss = acdc->loss, first;
    const size_t n_run = longest_run(acdc, view, sample, &loss);
    if (view->n_missing > n_missing) return;
    acdc->n_rounds++;
    acdc->is_over = !find_loss(acdc, acdc->n_removed + 1, view, sample, &first);
    if (acdc->is_over) return;
    for (size_t k = 0; k < n_run; k++) acdc->is_kept[acdc->removed[acdc->n_removed + k]] = false;
    acdc->n_removed += n_run;
    acdc->n_tried += n_run > 0 ? n_run : 1;
    acdc->loss = loss;
    if (n_run < n)
        acdc->window = n_run > 0 ? n_run : ACDC_FIRST_WINDOW; /* a dear one is within n_run */
    else if (acdc->window < ACDC_MAX_WINDOW)
        acdc->window *= 2;
}

void acdc_advance(struct acdc *acdc, struct search_view *view, const struct effect_sample *sample)
{
    const size_t n_missing = view->n_missing;
    if (!acdc->has_loss) acdc->has_loss = find_loss(acdc, 0, view, sample, &acdc->loss);
    if (!acdc->has_loss) acdc->is_over = view->n_missing == n_missing;
    while (acdc->has_loss && !acdc->is_over && view->n_missing == n_missing &&
           view->status == ST_OK) {
        if (acdc->params.is_grouped) {
            advance_group(acdc, view, sample);
        } else if (evaluate_window(acdc, view, sample)) {
            acdc->n_rounds++;
            decide_window(acdc, view, sample);
        }
        acdc->is_over = acdc->is_over || acdc->n_tried == acdc->params.n;
    }
}
