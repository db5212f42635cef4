/* The simulation score: how well a label lets a judge predict a feature's activation at every
 * token (Bills et al. 2023; reference: labeling.md 2.1, statistics.md 2).
 *
 * The judge says a value from 0 to 10 for each token of a window (simulation_reply.h). All
 * tokens of all windows are one series, never a mean over windows:
 *
 *   pearson   correlation of true and predicted: the score; its interval is over documents
 *   r2        1 - mean (t - p)^2 / mean t^2     about zero, not about the mean
 *   absdev    1 - mean |t - p| / mean |t|
 *
 * A window whose reply could not be read is predicted to be the mean of what the judge said of
 * this feature elsewhere, at every token: that adds to the truth's spread and nothing to the
 * correlation. Such windows are counted. Inside the bootstrap the mean is taken anew in every
 * resample. A constant series, true or predicted, has no correlation: undefined, never 0 and
 * never NaN; and so it is when no window was answered. r2 and absdev compare values on the
 * feature's own scale, so they mean something only behind a calibration (a straight line from
 * judge to feature, fitted on other windows, which leaves pearson as it is).
 *
 * The result does not depend on the order of the windows. Pure functions; any thread. */
#ifndef COORDINATOR_SESSION_SIMULATION_H
#define COORDINATOR_SESSION_SIMULATION_H

#include "coordinator/session/bootstrap.h"
#include "coordinator/session/window.h"

enum { SIMULATION_MAX_VALUE = 10 };

struct simulated_window {
    const struct window *window; /* borrowed: the truth */
    const double *predicted;     /* [window->n_tokens], 0 to 10, borrowed; NULL: failed */
};

/* feature's value = slope * judge's value + intercept. */
struct simulation_fit {
    bool is_defined;
    double slope;
    double intercept;
};

struct simulation_score {
    struct score_value pearson;
    struct interval interval; /* of pearson */
    struct score_value r2;
    struct score_value absdev;
    struct score_value imputed; /* the judge's mean, which stands in for failed windows */
    size_t n_windows;
    size_t n_failed; /* of them */
    size_t n_tokens;
    size_t n_documents;
};

/* Least squares over the tokens of the answered windows, which must not be those of the score.
 * Undefined without an answer or when the judge always says the same. Errors: ST_BAD_INPUT
 * (window_check(); a prediction outside 0 to 10). */
MUST_CHECK status_t simulation_calibrate(const struct simulated_window *windows, size_t n_windows,
                                         struct simulation_fit *out, struct error *err);

/* `fit` maps predictions for r2 and absdev; NULL or undefined: they are taken as they are.
 * `params` NULL: no interval is wanted.
 * Errors: as above, ST_BAD_INPUT (bootstrap), ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t simulation_measure(const struct simulated_window *windows, size_t n_windows,
                                       const struct simulation_fit *fit,
                                       const struct bootstrap_params *params,
                                       struct simulation_score *out, struct error *err);

#endif
