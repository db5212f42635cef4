/* Many dot products of long rows with long rows (part of vector_body.h).
 *
 * Four rows of a times four of b at a time, so a load serves four products; stretches of columns
 * are summed in f32, the stretches in f64. Those of b's rows stay in the second-level cache while
 * a's rows pass by. */

enum { CONTRACT_TILE = 4, CONTRACT_STRETCH = 512 };

struct contract_tile {
    const float *a[CONTRACT_TILE], *b[CONTRACT_TILE]; /* [d]; the last row is repeated */
    double *out;
    size_t n_a, n_b, d, ld_out;
};

static inline void contract_tile(const struct contract_tile *t)
{
    vec sums[CONTRACT_TILE][CONTRACT_TILE];
    float rest[CONTRACT_TILE][CONTRACT_TILE] = {{0}};
    const size_t whole = t->d / VEC_WIDTH * VEC_WIDTH;
    memset(sums, 0, sizeof sums);
    for (size_t k = 0; k < whole; k += VEC_WIDTH) {
        vec b[CONTRACT_TILE];
        for (size_t j = 0; j < CONTRACT_TILE; j++) b[j] = vec_load(t->b[j] + k);
        for (size_t i = 0; i < CONTRACT_TILE; i++) {
            const vec a = vec_load(t->a[i] + k);
            for (size_t j = 0; j < CONTRACT_TILE; j++) sums[i][j] = vec_madd(a, b[j], sums[i][j]);
        }
    }
    for (size_t k = whole; k < t->d; k++) {
        for (size_t i = 0; i < CONTRACT_TILE; i++) {
            for (size_t j = 0; j < CONTRACT_TILE; j++) rest[i][j] += t->a[i][k] * t->b[j][k];
        }
    }
    for (size_t i = 0; i < t->n_a; i++) {
        for (size_t j = 0; j < t->n_b; j++)
            t->out[i * t->ld_out + j] += (double)(vec_sum(sums[i][j]) + rest[i][j]);
    }
}

static inline size_t tile_rows(const float *first, size_t n_left, size_t ld,
                               const float *rows[CONTRACT_TILE])
{
    const size_t n = n_left < CONTRACT_TILE ? n_left : CONTRACT_TILE;
    for (size_t i = 0; i < CONTRACT_TILE; i++) rows[i] = first + (i < n ? i : n - 1) * ld;
    return n;
}

/* Columns [first, first + d) of every row. */
static void contract_stretch(const struct contract_params *p, size_t first, size_t d)
{
    struct contract_tile t = {.d = d, .ld_out = p->ld_out};
    for (size_t i = 0; i < p->n_a; i += CONTRACT_TILE) {
        t.n_a = tile_rows(p->a + first + i * p->ld_a, p->n_a - i, p->ld_a, t.a);
        for (size_t j = 0; j < p->n_b; j += CONTRACT_TILE) {
            t.n_b = tile_rows(p->b + first + j * p->ld_b, p->n_b - j, p->ld_b, t.b);
            t.out = p->out + i * p->ld_out + j;
            contract_tile(&t);
        }
    }
}

static void contract(const struct contract_params *p)
{
    for (size_t term = 0; term < p->n_terms; term++) {
        for (size_t k = 0; k < p->d; k += CONTRACT_STRETCH)
            contract_stretch(p, term * p->d + k,
                             p->d - k < CONTRACT_STRETCH ? p->d - k : CONTRACT_STRETCH);
    }
}
