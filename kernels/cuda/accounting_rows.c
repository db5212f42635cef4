/* The launches that change rows and compare distributions. */
#include "kernels/cuda/accounting.h"

static void add_cost(struct launch_costs *to, enum launch_kind kind, double n_bytes, double flops)
{
    struct launch_cost *cost = &to->of[kind];
    cost->n_launches++;
    cost->n_bytes += n_bytes;
    cost->flops += flops;
}

/* What edits read is taken as different from edit to edit. */
void account_edit(struct launch_costs *to, const struct edit_params *p)
{
    /* what follows the last field of an edit is not read */
    const size_t n_read = offsetof(struct edit, n_terms) + sizeof(uint32_t);
    double n_bytes = (double)(p->n_edits * n_read), flops = 0;
    account_transfer(to, LAUNCH_UPLOAD, p->n_edits * sizeof *p->edits);
    if (p->n_terms) account_transfer(to, LAUNCH_UPLOAD, p->n_terms * sizeof *p->terms);
    for (size_t i = 0; i < p->n_edits; i++) {
        const struct edit *e = &p->edits[i];
        const double values = (double)e->n_rows * (double)e->n_columns;
        const double n_terms = (double)e->n_terms, n_from = e->from ? 1 : n_terms;
        const double read = n_from * (e->ld_from ? values : (double)e->n_columns);
        n_bytes += (values * (e->is_added ? 2 : 1) + read) * 4 + n_terms * sizeof *p->terms;
        flops += values * (e->is_added ? 2 : n_terms);
    }
    add_cost(to, LAUNCH_EDIT, n_bytes, flops);
}

/* As row_operations.h and row_launch.h have them. */
enum { TILE = 2048, STATE_BYTES = 48 };

void account_diverge(struct launch_costs *to, const struct accounted_divergence *p)
{
    const double n_pairs = (double)p->n_pairs, n_columns = (double)p->n_columns;
    const size_t n_out = p->product.n_out;
    account_transfer(to, LAUNCH_UPLOAD, p->n_pairs * sizeof(struct row_pair));
    if (p->n_columns) account_transfer(to, LAUNCH_UPLOAD, p->n_columns * sizeof(uint32_t));
    for (size_t first = 0; first < n_out; first += TILE) {
        struct accounted_product tile = p->product;
        tile.n_out = n_out - first < TILE ? n_out - first : TILE;
        const bool is_last = first + tile.n_out == n_out;
        const double lists = n_pairs * sizeof(struct row_pair) + n_columns * sizeof(uint32_t);
        const double states = n_pairs * STATE_BYTES * ((first ? 1 : 0) + (is_last ? 0 : 1));
        const double out = is_last ? n_pairs * (sizeof(struct divergence) + n_columns * 4) : 0;
        const double values = (double)tile.n_out;
        account_matmul(to, &tile);
        /* finite, largest: 4; differences 3, exponentials 2, product 1, sums 3 */
        add_cost(to, LAUNCH_DIVERGE, (double)p->n_named * values * 4 + lists + states + out,
                 n_pairs * values * 13);
    }
}
