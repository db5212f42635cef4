#include "coordinator/session/null_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

status_t null_model_init(struct null_model *out, const double *scores, size_t n_scores,
                         struct error *err)
{
    struct null_model made = {.n_scores = n_scores};
    made.sorted = calloc(n_scores + 1, sizeof *made.sorted);
    if (!made.sorted) return error_set(err, ST_NO_MEMORY, "null of %zu scores", n_scores);
    for (size_t i = 0; i < n_scores; i++) {
        if (!isfinite(scores[i])) {
            free(made.sorted);
            return error_set(err, ST_BAD_INPUT, "null score %zu is %g", i, scores[i]);
        }
        made.sorted[i] = scores[i];
    }
    qsort(made.sorted, n_scores, sizeof *made.sorted, compare_doubles);
    double sum = 0.0, squares = 0.0; /* in sorted order: the same whatever came first */
    for (size_t i = 0; i < n_scores; i++) sum += made.sorted[i];
    if (n_scores > 0) made.mean = sum / (double)n_scores;
    for (size_t i = 0; i < n_scores; i++)
        squares += (made.sorted[i] - made.mean) * (made.sorted[i] - made.mean);
    made.is_constant =
        n_scores > 1 && !(made.sorted[n_scores - 1] > made.sorted[0]); /* exact: no rounding */
    if (n_scores > 1 && !made.is_constant) made.sd = sqrt(squares / (double)(n_scores - 1));
    *out = made;
    return ST_OK;
}

void null_model_fini(struct null_model *model)
{
    free(model->sorted);
    *model = (struct null_model){0};
}

struct score_value null_model_z(const struct null_model *model, double score)
{
    if (!(model->sd > 0.0)) return (struct score_value){false, 0.0};
    return (struct score_value){true, (score - model->mean) / model->sd};
}

double null_model_p(const struct null_model *model, double score)
{
    size_t low = 0, high = model->n_scores; /* first null score >= score */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (model->sorted[middle] < score)
            low = middle + 1;
        else
            high = middle;
    }
    return (1.0 + (double)(model->n_scores - low)) / (1.0 + (double)model->n_scores);
}

status_t null_benjamini_hochberg(const double *p, size_t n, double q, bool *is_discovery,
                                 struct error *err)
{
    if (!(q >= 0.0 && q <= 1.0))
        return error_set(err, ST_BAD_INPUT, "false discovery rate %g is not in [0, 1]", q);
    double *sorted = calloc(n + 1, sizeof *sorted);
    if (!sorted) return error_set(err, ST_NO_MEMORY, "%zu p values", n);
    double largest = -1.0;
    for (size_t i = 0; i < n; i++) {
        if (!(p[i] >= 0.0 && p[i] <= 1.0)) {
            free(sorted);
            return error_set(err, ST_BAD_INPUT, "p value %zu is %g", i, p[i]);
        }
        sorted[i] = p[i];
    }
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    for (size_t k = n; k > 0 && largest < 0.0; k--)
        if (sorted[k - 1] <= (double)k * q / (double)n) largest = sorted[k - 1];
    for (size_t i = 0; i < n; i++) is_discovery[i] = p[i] <= largest;
    free(sorted);
    return ST_OK;
}
