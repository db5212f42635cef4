#include "kernels/selftest/reference.h"

#include <math.h>

status_t reference_edit(struct exec *exec, const struct edit_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t i = 0; i < p->n_edits; i++) {
        const struct edit *e = &p->edits[i];
        for (size_t k = 0; k < (size_t)e->n_rows * e->n_columns; k++) {
            const size_t row = k / e->n_columns, column = k % e->n_columns;
            float *to = &p->x[(e->row + row) * p->ld + e->column + column];
            const float from = e->from ? e->from[row * e->ld_from + column] : 0;
            const float product = e->factor * from; /* rounded, as backend.h says */
            float sum = 0;                          /* likewise */
            for (size_t t = 0; t < e->n_terms; t++)
                sum += p->terms[e->first_term + t][row * e->ld_from + column];
            *to = e->n_terms ? sum : e->is_added ? *to + product : from;
        }
    }
    return ST_OK;
}

/* log of the sum of exp(row - shift) */
static double log_sum(const float *row, size_t n, double shift)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)row[i] - shift);
    return sum > 0 ? log(sum) : 0; /* 1 at least, where there is any */
}

static double largest_of(const float *row, size_t n)
{
    double largest = -INFINITY;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, (double)row[i]);
    return largest;
}

void reference_divergences(const struct diverge_params *p, const float *logits, size_t n_out)
{
    for (size_t i = 0; i < p->n_pairs; i++) {
        const float *a = logits + p->pairs[i].p * n_out, *b = logits + p->pairs[i].q * n_out;
        const double a_most = largest_of(a, n_out), b_most = largest_of(b, n_out);
        const double a_log = log_sum(a, n_out, a_most), b_log = log_sum(b, n_out, b_most);
        double kl = 0;
        for (size_t k = 0; k < n_out; k++) {
            const double log_p = (double)a[k] - a_most - a_log;
            kl += exp(log_p) * (log_p - ((double)b[k] - b_most - b_log));
        }
        p->out[i] = (struct divergence){.kl = kl, .largest = b_most, .sum = exp(b_log)};
        for (size_t c = 0; c < p->n_columns; c++)
            p->logits[i * p->n_columns + c] = b[p->columns[c]];
    }
}
