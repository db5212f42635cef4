#include "kernels/cpu/edit.h"

#include "kernels/row_checks.h"

static void edit_row(const struct edit *e, const float *from, float *to)
{
    for (uint32_t i = 0; i < e->n_columns; i++) {
        const float value = from ? from[i] : 0.0F;
        to[i] = e->is_added ? to[i] + e->factor * value : value;
    }
}

/* Row r of the edit: 0, and one term after the other. */
static void sum_row(const struct edit *e, const float *const *terms, size_t r, float *to)
{
    for (uint32_t i = 0; i < e->n_columns; i++) to[i] = 0.0F;
    for (uint32_t k = 0; k < e->n_terms; k++) {
        const float *from = terms[e->first_term + k] + r * e->ld_from;
        for (uint32_t i = 0; i < e->n_columns; i++) to[i] += from[i];
    }
}

status_t edit_rows(const struct edit_params *p, struct error *err)
{
    const status_t status = edit_check(p, err);
    for (size_t i = 0; i < p->n_edits && status == ST_OK; i++) {
        const struct edit *e = &p->edits[i];
        for (size_t r = 0; r < e->n_rows; r++) {
            float *to = p->x + (e->row + r) * p->ld + e->column;
            if (e->n_terms)
                sum_row(e, p->terms, r, to);
            else
                edit_row(e, e->from ? e->from + r * e->ld_from : NULL, to);
        }
    }
    return status;
}
