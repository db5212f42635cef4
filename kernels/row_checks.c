#include "kernels/row_checks.h"

static status_t check_terms(const struct edit_params *p, size_t i, struct error *err)
{
    const struct edit *e = &p->edits[i];
    if (e->first_term > p->n_terms || e->n_terms > p->n_terms - e->first_term)
        return error_set(err, ST_BAD_INPUT, "edit %zu: terms %u and %u on, of %zu", i,
                         (unsigned)e->first_term, (unsigned)e->n_terms, p->n_terms);
    return e->n_terms && (e->from || e->is_added)
               ? error_set(err, ST_BAD_INPUT, "edit %zu is a sum and something else", i)
               : ST_OK;
}

status_t edit_check(const struct edit_params *p, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < p->n_edits && status == ST_OK; i++) {
        const struct edit *e = &p->edits[i];
        if (e->row > p->n_rows || e->n_rows > p->n_rows - e->row || e->column > p->ld ||
            e->n_columns > p->ld - e->column)
            return error_set(err, ST_BAD_INPUT,
                             "edit %zu: rows %u and %u on, columns %u and %u on, of %zu x %zu", i,
                             (unsigned)e->row, (unsigned)e->n_rows, (unsigned)e->column,
                             (unsigned)e->n_columns, p->n_rows, p->ld);
        if (e->is_added && !e->from)
            return error_set(err, ST_BAD_INPUT, "edit %zu adds nothing", i);
        status = check_terms(p, i, err);
    }
    return status;
}

status_t divergence_check(const struct diverge_params *params, size_t n_out, struct error *err)
{
    for (size_t i = 0; i < params->n_pairs; i++) {
        const struct row_pair *pair = &params->pairs[i];
        if (pair->p >= params->n_rows || pair->q >= params->n_rows)
            return error_set(err, ST_BAD_INPUT, "pair %zu: rows %u and %u of %zu", i,
                             (unsigned)pair->p, (unsigned)pair->q, params->n_rows);
    }
    for (size_t i = 0; i < params->n_columns; i++)
        if (params->columns[i] >= n_out)
            return error_set(err, ST_BAD_INPUT, "column %u of %zu", (unsigned)params->columns[i],
                             n_out);
    return ST_OK;
}
