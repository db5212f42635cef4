#include "coordinator/session/simulation.h"

#include <math.h>
#include <stdlib.h>

/* --- the windows, in an order of their own --------------------------------------- */

static int compare_windows(const void *left, const void *right)
{
    return window_compare(((const struct simulated_window *)left)->window,
                          ((const struct simulated_window *)right)->window);
}

static status_t check_window(const struct simulated_window *simulated, size_t index,
                             struct error *err)
{
    struct error why = {0};
    if (window_check(simulated->window, 1, &why) != ST_OK)
        return error_set(err, ST_BAD_INPUT, "simulated window %zu: %s", index, why.text);
    for (size_t i = 0; simulated->predicted && i < simulated->window->n_tokens; i++)
        if (!(simulated->predicted[i] >= 0.0 && simulated->predicted[i] <= SIMULATION_MAX_VALUE))
            return error_set(err, ST_BAD_INPUT, "simulated window %zu: prediction %g at token %zu",
                             index, simulated->predicted[i], i);
    return ST_OK;
}

static status_t check_windows(const struct simulated_window *windows, size_t n_windows,
                              struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < n_windows && status == ST_OK; i++)
        status = check_window(&windows[i], i, err);
    return status;
}

/* --- sums ------------------------------------------------------------ */

/* Of one document, or of many. Values are taken from a centre near the means, so that little is
 * lost when squares are subtracted; correlation does not see the shift. */
struct sums {
    size_t n;            /* tokens */
    double t, tt;        /* truth, of all tokens */
    size_t n_answered;   /* tokens of answered windows: the next three are theirs */
    double p, pp, tp;    /* predictions */
    double t_failed;     /* truth in failed windows */
    double min_t, max_t; /* of all tokens */
    double min_p, max_p; /* of answered ones */
};

static const struct sums NO_SUMS = {
    .min_t = INFINITY, .max_t = -INFINITY, .min_p = INFINITY, .max_p = -INFINITY};

struct centre {
    double t, p;
};

static void add_window(struct sums *sums, const struct simulated_window *simulated,
                       struct centre centre)
{
    for (size_t i = 0; i < simulated->window->n_tokens; i++) {
        const double t = (double)window_activation(simulated->window, i) - centre.t;
        sums->n++;
        sums->t += t;
        sums->tt += t * t;
        sums->min_t = fmin(sums->min_t, t);
        sums->max_t = fmax(sums->max_t, t);
        if (!simulated->predicted) {
            sums->t_failed += t;
            continue;
        }
        const double p = simulated->predicted[i] - centre.p;
        sums->n_answered++;
        sums->p += p;
        sums->pp += p * p;
        sums->tp += t * p;
        sums->min_p = fmin(sums->min_p, p);
        sums->max_p = fmax(sums->max_p, p);
    }
}

static void add_sums(struct sums *sum, const struct sums *more)
{
    sum->n += more->n;
    sum->t += more->t;
    sum->tt += more->tt;
    sum->n_answered += more->n_answered;
    sum->p += more->p;
    sum->pp += more->pp;
    sum->tp += more->tp;
    sum->t_failed += more->t_failed;
    sum->min_t = fmin(sum->min_t, more->min_t);
    sum->max_t = fmax(sum->max_t, more->max_t);
    sum->min_p = fmin(sum->min_p, more->min_p);
    sum->max_p = fmax(sum->max_p, more->max_p);
}

static struct sums sum_windows(const struct simulated_window *windows, size_t n_windows,
                               struct centre centre)
{
    struct sums sums = NO_SUMS;
    for (size_t i = 0; i < n_windows; i++) add_window(&sums, &windows[i], centre);
    return sums;
}

/* The means; 0 where there is nothing to average. */
static struct centre centre_of(const struct simulated_window *windows, size_t n_windows)
{
    const struct sums plain = sum_windows(windows, n_windows, (struct centre){0.0, 0.0});
    return (struct centre){plain.n ? plain.t / (double)plain.n : 0.0,
                           plain.n_answered ? plain.p / (double)plain.n_answered : 0.0};
}

/* Failed windows stand at the mean of the answered ones, so the mean of all is that mean too. */
static struct score_value pearson_of(const struct sums *sums)
{
    const struct score_value undefined = {false, 0.0};
    if (sums->n_answered == 0 || !(sums->max_t > sums->min_t) || !(sums->max_p > sums->min_p))
        return undefined;
    const double n = (double)sums->n, n_answered = (double)sums->n_answered;
    const double mean_p = sums->p / n_answered;
    const double spread_t = sums->tt - sums->t * sums->t / n;
    const double spread_p = sums->pp - n_answered * mean_p * mean_p;
    const double shared = sums->tp + mean_p * sums->t_failed - mean_p * sums->t;
    if (!(spread_t > 0.0 && spread_p > 0.0)) return undefined; /* lost in rounding */
    const double r = shared / (sqrt(spread_t) * sqrt(spread_p));
    return (struct score_value){true, fmax(-1.0, fmin(1.0, r))};
}

/* --- the bootstrap ------------------------------------------------------------ */

static bool pearson_of_drawn(void *context, const uint32_t *drawn, size_t n_documents,
                             double *value)
{
    const struct sums *documents = context;
    struct sums sums = NO_SUMS;
    for (size_t i = 0; i < n_documents; i++) add_sums(&sums, &documents[drawn[i]]);
    const struct score_value pearson = pearson_of(&sums);
    *value = pearson.value;
    return pearson.is_defined;
}

/* Windows stand in order of their documents. */
static size_t sum_documents(const struct simulated_window *windows, size_t n_windows,
                            struct centre centre, struct sums *documents)
{
    size_t n = 0;
    for (size_t i = 0; i < n_windows; i++) {
        if (i == 0 || windows[i].window->document_key != windows[i - 1].window->document_key)
            documents[n++] = NO_SUMS;
        add_window(&documents[n - 1], &windows[i], centre);
    }
    return n;
}

/* --- r2, absdev ------------------------------------------------------------ */

static void measure_distance(const struct simulated_window *windows, size_t n_windows,
                             const struct simulation_fit *fit, double imputed,
                             struct simulation_score *out)
{
    const bool is_fitted = fit && fit->is_defined;
    double truth2 = 0.0, truth1 = 0.0, distance2 = 0.0, distance1 = 0.0;
    for (size_t w = 0; w < n_windows; w++)
        for (size_t i = 0; i < windows[w].window->n_tokens; i++) {
            const double t = (double)window_activation(windows[w].window, i);
            double p = windows[w].predicted ? windows[w].predicted[i] : imputed;
            if (is_fitted) p = fit->slope * p + fit->intercept;
            truth2 += t * t;
            truth1 += fabs(t);
            distance2 += (t - p) * (t - p);
            distance1 += fabs(t - p);
        }
    if (truth2 > 0.0) out->r2 = (struct score_value){true, 1.0 - distance2 / truth2};
    if (truth1 > 0.0) out->absdev = (struct score_value){true, 1.0 - distance1 / truth1};
}

/* --- the two functions ------------------------------------------------------------ */

status_t simulation_calibrate(const struct simulated_window *windows, size_t n_windows,
                              struct simulation_fit *out, struct error *err)
{
    const status_t status = check_windows(windows, n_windows, err);
    if (status != ST_OK) return status;
    const struct centre centre = centre_of(windows, n_windows);
    const struct sums sums = sum_windows(windows, n_windows, centre);
    *out = (struct simulation_fit){false, 0.0, 0.0};
    if (sums.n_answered == 0 || !(sums.max_p > sums.min_p)) return ST_OK;
    const double n = (double)sums.n_answered;
    const double mean_t = (sums.t - sums.t_failed) / n, mean_p = sums.p / n;
    const double slope = (sums.tp - n * mean_t * mean_p) / (sums.pp - n * mean_p * mean_p);
    const double intercept = centre.t + mean_t - slope * (centre.p + mean_p);
    if (isfinite(slope) && isfinite(intercept))
        *out = (struct simulation_fit){true, slope, intercept};
    return ST_OK;
}

static status_t measure_sorted(const struct simulated_window *windows, size_t n_windows,
                               const struct simulation_fit *fit, struct sums *documents,
                               const struct bootstrap_params *params, struct simulation_score *out,
                               struct error *err)
{
    const struct centre centre = centre_of(windows, n_windows);
    const struct sums sums = sum_windows(windows, n_windows, centre);
    out->n_windows = n_windows;
    out->n_tokens = sums.n;
    for (size_t i = 0; i < n_windows; i++) out->n_failed += !windows[i].predicted;
    out->n_documents = sum_documents(windows, n_windows, centre, documents);
    if (sums.n_answered == 0) return ST_OK;
    out->imputed = (struct score_value){true, centre.p};
    measure_distance(windows, n_windows, fit, centre.p, out);
    out->pearson = pearson_of(&sums);
    if (!out->pearson.is_defined || !params) return ST_OK;
    return bootstrap_documents(pearson_of_drawn, documents, out->n_documents, params,
                               &out->interval, err);
}

status_t simulation_measure(const struct simulated_window *windows, size_t n_windows,
                            const struct simulation_fit *fit, const struct bootstrap_params *params,
                            struct simulation_score *out, struct error *err)
{
    status_t status = check_windows(windows, n_windows, err);
    if (status != ST_OK) return status;
    struct simulated_window *sorted = calloc(n_windows + 1, sizeof *sorted);
    struct sums *documents = calloc(n_windows + 1, sizeof *documents);
    struct simulation_score made = {.n_windows = 0};
    if (sorted && documents) {
        for (size_t i = 0; i < n_windows; i++) sorted[i] = windows[i];
        qsort(sorted, n_windows, sizeof *sorted, compare_windows);
        status = measure_sorted(sorted, n_windows, fit, documents, params, &made, err);
    } else {
        status = error_set(err, ST_NO_MEMORY, "simulation score of %zu windows", n_windows);
    }
    free(sorted);
    free(documents);
    if (status == ST_OK) *out = made;
    return status;
}
