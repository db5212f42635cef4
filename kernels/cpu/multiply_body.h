/* Rows times one panel of weights (part of vector_body.h, where oneDNN does not multiply).
 *
 * MULTIPLY_ROWS rows of x times the two vectors of a panel's columns at a time: their sums stay in
 * registers while k goes up, and a weight that has been read serves every one of the rows. Each sum
 * is a chain of its own, so it does not matter which rows are taken together. The last rows are
 * filled up with the last of them, whose sums are then not stored. */

enum { MULTIPLY_ROWS = 6, MULTIPLY_VECS = 2, MULTIPLY_WIDTH = MULTIPLY_VECS * VEC_WIDTH };

struct multiply_tile {
    const float *x[MULTIPLY_ROWS]; /* [depth] */
    const float *panel;            /* [depth, MULTIPLY_WIDTH] */
    float *y;
    size_t ld_y, n_rows, n_columns, depth;
    bool is_added;
};

/* x in every lane: less 0 it is x to the bit, so nothing is computed (vec_set() adds 0). */
static inline vec multiply_lanes(float x)
{
    return x - (vec){0};
}

/* The first n of a row's sums. */
static inline void multiply_store(const vec *sums, size_t n, bool is_added, float *y)
{
    for (size_t v = 0; v < MULTIPLY_VECS && v * VEC_WIDTH < n; v++) {
        const size_t left = n - v * VEC_WIDTH;
        float *out = y + v * VEC_WIDTH;
        vec sum = sums[v];
        if (left >= VEC_WIDTH) {
            if (is_added) sum += vec_load(out);
            vec_store(out, sum);
        } else {
            if (is_added) sum += vec_load_part(out, left);
            vec_store_part(out, sum, left);
        }
    }
}

static inline void multiply_tile(const struct multiply_tile *t)
{
    vec sums[MULTIPLY_ROWS][MULTIPLY_VECS] = {{{0}}};
    for (size_t k = 0; k < t->depth; k++) {
        const vec left = vec_load(t->panel + k * MULTIPLY_WIDTH);
        const vec right = vec_load(t->panel + k * MULTIPLY_WIDTH + VEC_WIDTH);
#pragma GCC unroll 6
        for (size_t r = 0; r < MULTIPLY_ROWS; r++) {
            const vec each = multiply_lanes(t->x[r][k]);
            sums[r][0] = vec_madd(each, left, sums[r][0]);
            sums[r][1] = vec_madd(each, right, sums[r][1]);
        }
    }
    for (size_t r = 0; r < t->n_rows; r++)
        multiply_store(sums[r], t->n_columns, t->is_added, t->y + r * t->ld_y);
}

static void multiply(const struct multiply_params *p)
{
    struct multiply_tile t = {.panel = p->panel,
                              .ld_y = p->ld_y,
                              .n_columns = p->n_columns,
                              .depth = p->depth,
                              .is_added = p->is_added};
    for (size_t r = 0; r < p->n_rows; r += MULTIPLY_ROWS) {
        t.n_rows = p->n_rows - r < MULTIPLY_ROWS ? p->n_rows - r : MULTIPLY_ROWS;
        for (size_t i = 0; i < MULTIPLY_ROWS; i++)
            t.x[i] = p->x + (r + (i < t.n_rows ? i : t.n_rows - 1)) * p->ld_x;
        t.y = p->y + r * p->ld_y;
        multiply_tile(&t);
    }
}
