/* The launches of adjoints and of what attribution does with them. */
#include "kernels/cuda/accounting.h"

static void add_cost(struct launch_costs *to, enum launch_kind kind, double n_bytes, double flops)
{
    struct launch_cost *cost = &to->of[kind];
    cost->n_launches++;
    cost->n_bytes += n_bytes;
    cost->flops += flops;
}

/* Mean, moment, the two sums and the result. */
void account_norm_backward(struct launch_costs *to, const struct norm_backward_params *p)
{
    const double n = (double)p->forward.n_rows, d = (double)p->forward.d;
    const bool has_weight = p->forward.weight != NULL;
    const double a_value = (p->forward.kind == NORM_LAYER ? 2 : 0) + 3 + 4 + 6 + 2 * has_weight;
    add_cost(to, LAUNCH_NORM_BACKWARD, 3 * n * d * 4 + (has_weight ? d * 4 : 0), n * d * a_value);
}

void account_activate_backward(struct launch_costs *to, const struct activate_backward_params *p)
{
    static const double A_VALUE[ACTIVATION_N] = {16, 10, 8, 1};
    const struct activate_params *f = &p->forward;
    const double n = (double)f->n_rows, d = (double)f->d;
    const double n_vectors = (f->bias ? 1 : 0) + (f->up && f->up_bias ? 1 : 0);
    add_cost(to, LAUNCH_ACTIVATE_BACKWARD, n * d * 4 * (f->up ? 5 : 3) + n_vectors * d * 4,
             n * d * (A_VALUE[f->kind] + (f->up ? 4 : 2)));
}

void account_blend(struct launch_costs *to, const struct blend_params *p)
{
    add_cost(to, LAUNCH_BLEND, 12 * (double)p->n, 2 * (double)p->n);
}

void account_group_dots(struct launch_costs *to, const struct group_dots_params *p)
{
    const double n = (double)p->n_rows * (double)p->n_groups, d = (double)p->d;
    add_cost(to, LAUNCH_GROUP_DOTS, (2 * n * d + n) * 4, 2 * n * d);
}

/* As contract.cu has them: parts of the terms, rows of a tile. */
enum { MAX_PARTS = 16, TILE = 32 };

void account_contract(struct launch_costs *to, const struct contract_params *p)
{
    const double n_parts = (double)(p->n_terms < MAX_PARTS ? p->n_terms : MAX_PARTS);
    const double sums = (double)p->n_a * (double)p->n_b, width = (double)(p->n_terms * p->d);
    const size_t tiles_a = (p->n_a + TILE - 1) / TILE, tiles_b = (p->n_b + TILE - 1) / TILE;
    add_cost(to, LAUNCH_CONTRACT,
             ((double)p->n_a + (double)p->n_b) * width * 4 + n_parts * sums * 8,
             2 * (double)(tiles_a * tiles_b) * TILE * TILE * width);
    add_cost(to, LAUNCH_ADD_PARTS, (n_parts + 2) * sums * 8, (n_parts + 1) * sums);
}

/* As launch_attend_backward() chooses them: columns computed, rows that a block owns. */
struct pair_plan {
    size_t width, n_own;
};

static struct pair_plan plan_of(size_t d_head)
{
    if (d_head <= 32) return (struct pair_plan){32, 32};
    if (d_head <= 64) return (struct pair_plan){64, 32};
    if (d_head <= 128) return (struct pair_plan){128, 16};
    return (struct pair_plan){256, 8};
}

/* Pairs of query and key of one head that a kernel's blocks compute: each block against the tiles
 * at or before its own rows, or at or behind them. */
static double pairs_of(const struct pair_plan *plan, size_t length, bool is_before)
{
    size_t n_tiles = 0;
    for (size_t first = 0; first < length; first += plan->n_own) {
        const size_t end = first + plan->n_own < length ? first + plan->n_own : length;
        n_tiles +=
            is_before ? (end + TILE - 1) / TILE : (length - first / TILE * TILE + TILE - 1) / TILE;
    }
    return (double)(n_tiles * TILE * plan->n_own);
}

void account_attend_backward(struct launch_costs *to, const struct attend_backward_params *p)
{
    const struct attend_params *f = &p->forward;
    const struct pair_plan plan = plan_of(f->d_head);
    const double heads = (double)f->n_heads, width = (double)plan.width;
    const double d_q = heads * (double)f->d_head, d_kv = (double)(f->n_kv_heads * f->d_head);
    double queries = (double)f->n_sequences * 4, keys = queries, before = 0, behind = 0;
    for (size_t s = 0; s < f->n_sequences; s++) {
        const double length = (double)f->lengths[s], n_ctx = (double)f->n_ctx;
        queries += (length * (2 * d_q + 2 * d_kv + 3 * heads) + n_ctx * d_q) * 4;
        keys += (length * (2 * d_q + 2 * d_kv + 3 * heads) + n_ctx * 2 * d_kv) * 4;
        before += pairs_of(&plan, f->lengths[s], true);
        behind += pairs_of(&plan, f->lengths[s], false);
    }
    add_cost(to, LAUNCH_ATTEND_QUERIES, queries, before * heads * 10 * width);
    add_cost(to, LAUNCH_ATTEND_KEYS, keys, behind * heads * 8 * width);
}
