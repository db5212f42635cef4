/* Rows changed and distributions compared on the CUDA backend, on the host emulator in each of its
 * modes, against the CPU. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

/* --- edits --------------------------------------------------------------------------------- */

enum { N_ROWS = 11, N_EDITS = 6, N_TERMS = 9 };

/* Rows set to others, rows that all get one, a column set to 0, rows that are added to, rows that
 * are sums: of rows in an order of their own, and of one that they share. */
static void make_edits(const float *from, size_t d, struct edit *out, const float **terms)
{
    const uint32_t width = (uint32_t)d;
    out[0] = (struct edit){.from = from, .n_rows = 3, .n_columns = width, .ld_from = width + 2};
    out[1] = (struct edit){.from = from + 1, .row = 3, .n_rows = 2, .n_columns = width};
    out[2] = (struct edit){.row = 5, .n_rows = 4, .column = width - 1, .n_columns = 1};
    out[3] = (struct edit){.from = from,
                           .row = 6,
                           .n_rows = 3,
                           .n_columns = width - 1,
                           .ld_from = width,
                           .is_added = 1,
                           .factor = 0.3F};
    out[4] = (struct edit){
        .row = 9, .n_rows = 1, .n_columns = width, .ld_from = width, .n_terms = N_TERMS - 1};
    out[5] = (struct edit){
        .row = 10, .n_rows = 1, .n_columns = width, .first_term = N_TERMS - 1, .n_terms = 1};
    for (size_t i = 0; i < N_TERMS; i++) terms[i] = from + (i * 4 % N_TERMS) * (d + 2);
}

ParameterizedTestParameters(kernels_emulated_rows, edits_have_the_bits_of_the_cpu)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_rows, edits_have_the_bits_of_the_cpu)
{
    static const size_t WIDTHS[] = {1, 31, 257, 768};
    struct emulated e;
    emulated_open(&e, mode, 16);
    for (size_t i = 0; i < sizeof WIDTHS / sizeof WIDTHS[0]; i++) {
        const size_t d = WIDTHS[i], ld = d + 5;
        struct pair x = pair_of(&e, N_ROWS * ld, 1), from = pair_of(&e, N_ROWS * (d + 2), 1);
        struct edit edits[2][N_EDITS];
        struct edit_params p[2];
        const float *terms[2][N_TERMS];
        for (size_t s = 0; s < 2; s++) {
            make_edits(from.on[s], d, edits[s], terms[s]);
            p[s] = (struct edit_params){.x = x.on[s],
                                        .n_rows = N_ROWS,
                                        .ld = ld,
                                        .edits = edits[s],
                                        .n_edits = N_EDITS,
                                        .terms = terms[s],
                                        .n_terms = N_TERMS};
        }
        ON_BOTH(&e, edit, p[side]);
        pair_expect_same(&e, &x, 0, "edit");
        pair_free(&e, &x);
        pair_free(&e, &from);
    }
    emulated_close(&e);
}

ParameterizedTestParameters(kernels_emulated_rows, any_number_of_edits_has_the_bits_of_the_cpu)
{
    return all_modes();
}

/* One of its own for every row: columns from another place on, every third row added to. */
ParameterizedTest(struct emulated_mode *mode, kernels_emulated_rows,
                  any_number_of_edits_has_the_bits_of_the_cpu)
{
    enum { MOST = 257, WIDTH = 37 };
    static const size_t NUMBERS[] = {1, 31, 64, 257};
    struct emulated e;
    emulated_open(&e, mode, 16);
    struct pair x = pair_of(&e, MOST * WIDTH, 1), from = pair_of(&e, MOST * WIDTH, 1);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        struct edit edits[2][MOST];
        struct edit_params p[2];
        for (size_t s = 0; s < 2; s++) {
            for (uint32_t k = 0; k < NUMBERS[i]; k++)
                edits[s][k] = (struct edit){.from = from.on[s] + (MOST - 1 - k) * WIDTH,
                                            .row = k,
                                            .n_rows = 1,
                                            .column = k % WIDTH,
                                            .n_columns = WIDTH - k % WIDTH,
                                            .is_added = k % 3 == 0,
                                            .factor = 0.3F};
            p[s] = (struct edit_params){.x = x.on[s],
                                        .n_rows = MOST,
                                        .ld = WIDTH,
                                        .edits = edits[s],
                                        .n_edits = NUMBERS[i]};
        }
        ON_BOTH(&e, edit, p[side]);
        pair_expect_same(&e, &x, 0, "edits");
    }
    pair_free(&e, &x);
    pair_free(&e, &from);
    emulated_close(&e);
}

Test(kernels_emulated_rows, edits_that_leave_the_rows_are_refused)
{
    struct emulated e;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    struct pair x = pair_of(&e, 4 * 8, 1);
    const struct {
        struct edit edit;
        const char *want;
    } cases[] = {{{.row = 3, .n_rows = 2, .n_columns = 1}, "rows 3 and 2 on"},
                 {{.n_rows = 1, .column = 8, .n_columns = 1}, "columns 8 and 1 on"},
                 {{.n_rows = UINT32_MAX, .n_columns = 1}, "of 4 x 8"},
                 {{.n_rows = 1, .n_columns = 1, .is_added = 1}, "adds nothing"},
                 {{.n_rows = 1, .n_columns = 1, .first_term = 1, .n_terms = 2}, "terms 1 and 2 on"},
                 {{.n_rows = 1, .n_columns = 1, .from = x.on[0], .n_terms = 1}, "something else"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t s = 0; s < 2; s++) {
            struct error err = {0};
            const float *const terms[2] = {x.on[s], x.on[s]};
            const struct edit_params p = {.x = x.on[s],
                                          .n_rows = 4,
                                          .ld = 8,
                                          .edits = &cases[i].edit,
                                          .n_edits = 1,
                                          .terms = terms,
                                          .n_terms = 2};
            const struct backend_ops *ops = s ? e.emu->ops : e.cpu->ops;
            cr_expect_eq(ops->edit(s ? e.emu_exec : e.cpu_exec, &p, &err), ST_BAD_INPUT);
            cr_expect(strstr(err.text, cases[i].want), "case %zu: %s", i, err.text);
        }
    pair_free(&e, &x);
    emulated_close(&e);
}

/* --- distributions ------------------------------------------------------------------------- */

enum { ROW_BLOCK = 16, N_PAIRS = 5, N_COLUMNS = 3 };
static const struct row_pair pairs[N_PAIRS] = {{0, 1}, {1, 0}, {2, 2}, {0, 3}, {4, 1}};

/* A product with one input, so that both sides have the same logits to the bit: row r's are x[r]
 * times the weights. */
struct comparison {
    struct packed *packed[2];
    struct pair x, out, logits;
    uint32_t columns[N_COLUMNS];
    struct diverge_params p[2];
    size_t n_out;
};

static void open_comparison(struct emulated *e, struct comparison *c, size_t n_out, float scale)
{
    float *weights = malloc(n_out * sizeof *weights);
    cr_assert(weights);
    for (size_t i = 0; i < n_out; i++)
        weights[i] = ((float)emulated_random() * 0x1p-31F - 1) * scale;
    const struct pack_params pack = {.n_in = 1, .n_out = n_out, .weights = weights};
    *c = (struct comparison){.x = pair_of(e, ROW_BLOCK, 1),
                             .out = pair_of(e, 8 * N_PAIRS, 0),
                             .logits = pair_of(e, N_COLUMNS * N_PAIRS, 0),
                             .columns = {(uint32_t)n_out - 1, 0, (uint32_t)n_out / 2},
                             .n_out = n_out};
    for (size_t s = 0; s < 2; s++) {
        struct backend *backend = s ? e->emu : e->cpu;
        cr_assert_eq(backend->ops->packed_create(&c->packed[s], backend, &pack, &e->err), ST_OK);
        c->p[s] = (struct diverge_params){.weights = c->packed[s],
                                          .x = c->x.on[s],
                                          .ld_x = 1,
                                          .n_rows = ROW_BLOCK,
                                          .pairs = pairs,
                                          .columns = c->columns,
                                          .n_pairs = N_PAIRS,
                                          .n_columns = N_COLUMNS,
                                          .out = (struct divergence *)(void *)c->out.on[s],
                                          .logits = c->logits.on[s]};
    }
    free(weights);
}

static void close_comparison(struct emulated *e, struct comparison *c)
{
    for (size_t s = 0; s < 2; s++) (s ? e->emu : e->cpu)->ops->packed_destroy(c->packed[s]);
    pair_free(e, &c->x);
    pair_free(e, &c->out);
    pair_free(e, &c->logits);
}

static void fetch(struct emulated *e, const struct comparison *c, size_t n, struct divergence *out)
{
    cr_assert_eq(e->emu->ops->download(e->emu_exec, out, c->out.on[1], n * sizeof *out, &e->err),
                 ST_OK);
}

static void expect_close(double got, double want, double tolerance, const char *what, size_t pair)
{
    cr_expect(fabs(got - want) <= tolerance * (1e-2 + fabs(want)),
              "%s of pair %zu: %.17g, not %.17g", what, pair, got, want);
}

ParameterizedTestParameters(kernels_emulated_rows, kl_in_tiles_is_that_of_whole_rows)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_rows,
                  kl_in_tiles_is_that_of_whole_rows)
{
    static const size_t SIZES[] = {1, 31, 257, 2048, 2049, 50257};
    struct emulated e;
    emulated_open(&e, mode, ROW_BLOCK);
    for (size_t i = 0; i < 2 * sizeof SIZES / sizeof SIZES[0]; i++) {
        struct comparison c;
        struct divergence got[N_PAIRS];
        open_comparison(&e, &c, SIZES[i / 2], i % 2 ? 40 : 1e-3F);
        ON_BOTH(&e, diverge, c.p[side]);
        fetch(&e, &c, N_PAIRS, got);
        for (size_t k = 0; k < N_PAIRS; k++) {
            const struct divergence *want = &c.p[0].out[k];
            expect_close(got[k].kl, want->kl, 1e-10, "KL", k); /* 1e-12 nats near 0 */
            expect_close(got[k].sum, want->sum, 1e-12, "sum", k);
            cr_expect_eq(got[k].largest, want->largest);
            cr_expect_eq(got[k].n_not_finite, 0);
        }
        cr_expect_eq(got[2].kl, 0);
        cr_expect(SIZES[i / 2] == 1 || got[0].kl > 0, "%zu columns", SIZES[i / 2]);
        pair_expect_same(&e, &c.logits, 0, "asked logits");
        close_comparison(&e, &c);
    }
    emulated_close(&e);
}

/* A product of several columns, whose logits differ from side to side as products do. */
struct mixture {
    size_t n_in, n_out, n_pairs;
    enum compute compute;
};

static float largest_of(const float *values, size_t n)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(values[i]));
    return largest;
}

/* Logits within +-largest change KL by at most 4 largest times what they change by. */
static void check_mixture(struct emulated *e, const struct mixture *m)
{
    enum { ROWS = 2 * ROW_BLOCK, MOST_PAIRS = 257 };
    static const double PRODUCT[COMPUTE_N] = {[COMPUTE_F32] = 1e-6,
                                              [COMPUTE_BF16X3] = 3e-6,
                                              [COMPUTE_BF16] = 1e-6,
                                              [COMPUTE_TF32] = 1e-3};
    const uint32_t column = (uint32_t)m->n_out - 1;
    struct row_pair named[MOST_PAIRS];
    struct divergence got[MOST_PAIRS];
    struct packed *packed[2];
    struct diverge_params p[2];
    struct pair x = pair_of(e, ROWS * m->n_in, 1), weights = pair_of(e, m->n_in * m->n_out, 0.5F),
                out = pair_of(e, 8 * m->n_pairs, 0), logits = pair_of(e, m->n_pairs, 0);
    for (size_t k = 0; k < m->n_pairs; k++)
        named[k] = (struct row_pair){emulated_random() % ROWS, emulated_random() % ROWS};
    const struct pack_params pack = {
        .n_in = m->n_in, .n_out = m->n_out, .weights = weights.on[0], .compute = m->compute};
    for (size_t s = 0; s < 2; s++) {
        struct backend *backend = s ? e->emu : e->cpu;
        cr_assert_eq(backend->ops->packed_create(&packed[s], backend, &pack, &e->err), ST_OK);
        p[s] = (struct diverge_params){.weights = packed[s],
                                       .x = x.on[s],
                                       .ld_x = m->n_in,
                                       .n_rows = ROWS,
                                       .pairs = named,
                                       .columns = &column,
                                       .n_pairs = m->n_pairs,
                                       .n_columns = 1,
                                       .out = (struct divergence *)(void *)out.on[s],
                                       .logits = logits.on[s]};
    }
    ON_BOTH(e, diverge, p[side]);
    cr_assert_eq(
        e->emu->ops->download(e->emu_exec, got, out.on[1], m->n_pairs * sizeof *got, &e->err),
        ST_OK);
    const double largest = (double)largest_of(x.on[0], x.n) *
                           (double)largest_of(weights.on[0], weights.n) * (double)m->n_in;
    const double allowed = 4 * largest * largest * PRODUCT[m->compute];
    for (size_t k = 0; k < m->n_pairs; k++) {
        const struct divergence *want = &p[0].out[k];
        cr_assert(fabs(got[k].kl - want->kl) <= allowed,
                  "%s, %s %zu x %zu: KL of pair %zu is %.9g, not %.9g", e->mode,
                  compute_name(m->compute), m->n_in, m->n_out, k, got[k].kl, want->kl);
        cr_assert(named[k].p != named[k].q || got[k].kl == 0);
    }
    pair_expect_same(e, &logits, 30 * PRODUCT[m->compute], "asked logits");
    for (size_t s = 0; s < 2; s++) (s ? e->emu : e->cpu)->ops->packed_destroy(packed[s]);
    struct pair *const pairs_of_it[] = {&x, &weights, &out, &logits};
    for (size_t i = 0; i < 4; i++) pair_free(e, pairs_of_it[i]);
}

ParameterizedTestParameters(kernels_emulated_rows, kl_matches_in_every_number_type)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_rows,
                  kl_matches_in_every_number_type)
{
    static const size_t MIXTURES[][3] = {{1, 31, 1}, {31, 257, 31}, {257, 31, 257}, {64, 2100, 5}};
    struct emulated e;
    emulated_open(&e, mode, ROW_BLOCK);
    for (size_t i = 0; i < sizeof MIXTURES / sizeof MIXTURES[0]; i++)
        for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
            const struct mixture m = {MIXTURES[i][0], MIXTURES[i][1], MIXTURES[i][2],
                                      (enum compute)compute};
            check_mixture(&e, &m);
        }
    emulated_close(&e);
}

ParameterizedTestParameters(kernels_emulated_rows, kl_has_the_same_bits_in_any_batch)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_emulated_rows,
                  kl_has_the_same_bits_in_any_batch)
{
    struct emulated e;
    struct comparison c;
    struct divergence all[N_PAIRS], one;
    emulated_open(&e, mode, ROW_BLOCK);
    open_comparison(&e, &c, 5000, 7);
    struct diverge_params p = c.p[1];
    cr_assert_eq(e.emu->ops->diverge(e.emu_exec, &p, &e.err), ST_OK, "%s", e.err.text);
    fetch(&e, &c, N_PAIRS, all);
    for (size_t k = 0; k < N_PAIRS; k++) {
        p.pairs = &pairs[k];
        p.n_pairs = 1;
        cr_assert_eq(e.emu->ops->diverge(e.emu_exec, &p, &e.err), ST_OK, "%s", e.err.text);
        fetch(&e, &c, 1, &one);
        cr_expect_eq(memcmp(&one, &all[k], sizeof one), 0, "%s: pair %zu", mode->name, k);
    }
    close_comparison(&e, &c);
    emulated_close(&e);
}

Test(kernels_emulated_rows, logits_that_are_not_finite_are_counted)
{
    struct emulated e;
    struct comparison c;
    struct divergence got[N_PAIRS];
    emulated_open(&e, &EMULATED_MODES[0], ROW_BLOCK);
    open_comparison(&e, &c, 3000, 7);
    c.x.on[0][0] = INFINITY;
    cr_assert_eq(e.emu->ops->upload(e.emu_exec, c.x.on[1], c.x.on[0], sizeof(float), &e.err),
                 ST_OK);
    ON_BOTH(&e, diverge, c.p[side]);
    fetch(&e, &c, N_PAIRS, got);
    for (size_t k = 0; k < N_PAIRS; k++) {
        const bool is_bad = pairs[k].p == 0 || pairs[k].q == 0;
        cr_expect_eq(got[k].n_not_finite, is_bad ? 3000 : 0, "pair %zu: %g", k,
                     got[k].n_not_finite);
        cr_expect_eq(c.p[0].out[k].n_not_finite, got[k].n_not_finite);
        cr_expect_eq(isnan(got[k].kl) != 0, is_bad);
    }
    close_comparison(&e, &c);
    emulated_close(&e);
}

Test(kernels_emulated_rows, pairs_and_columns_that_do_not_exist_are_refused)
{
    static const struct row_pair beyond = {0, ROW_BLOCK};
    struct emulated e;
    struct comparison c;
    emulated_open(&e, &EMULATED_MODES[0], ROW_BLOCK);
    open_comparison(&e, &c, 31, 1);
    for (size_t s = 0; s < 2; s++) {
        const struct backend_ops *ops = s ? e.emu->ops : e.cpu->ops;
        struct exec *exec = s ? e.emu_exec : e.cpu_exec;
        struct diverge_params p = c.p[s];
        struct error pair = {0}, column = {0};
        p.pairs = &beyond;
        p.n_pairs = 1;
        cr_expect_eq(ops->diverge(exec, &p, &pair), ST_BAD_INPUT);
        cr_expect_str_eq(pair.text, "pair 0: rows 0 and 16 of 16");
        p = c.p[s];
        c.columns[1] = 31;
        cr_expect_eq(ops->diverge(exec, &p, &column), ST_BAD_INPUT);
        cr_expect_str_eq(column.text, "column 31 of 31");
    }
    close_comparison(&e, &c);
    emulated_close(&e);
}
