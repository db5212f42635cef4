/* Dense products against sums in double, on every instruction set of this machine, for every number
 * type and shape, and what callers build on: a row's result does not depend on the other rows,
 * their number or its place among them, nor on the thread or the run. */
#include "kernels/backend.h"
#include "kernels/cpu/vector.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 3;

static float uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(random_state >> 40) / (double)(1 << 24)) * 2 - 1;
}

static float *random_floats(size_t n)
{
    float *values = malloc(n * sizeof *values);
    cr_assert(values);
    for (size_t i = 0; i < n; i++) values[i] = uniform();
    return values;
}

/* Call `check` with the backend limited to each instruction set that runs here, which it names. */
static void on_every_isa(void (*check)(const char *isa))
{
    for (unsigned isa = 0; isa < CPU_ISA_N; isa++) {
        if (cpu_isa_detect((enum cpu_isa)isa) != (enum cpu_isa)isa) continue;
        const char *name = vector_kernels_of((enum cpu_isa)isa)->name;
        cr_assert_eq(setenv("INTERP_CPU_ISA", name, 1), 0); /* of this test's process */
        check(name);
    }
}

struct product {
    struct backend *backend;
    struct packed *packed;
    struct exec *exec;
    float *weights, *x, *y;
    size_t n_in, n_out, n_rows;
    struct error err;
};

static void open_product(struct product *p, size_t n_in, size_t n_out, enum compute compute,
                         bool is_transposed, size_t row_block)
{
    *p = (struct product){.n_in = n_in, .n_out = n_out, .n_rows = 2 * row_block};
    p->weights = random_floats(n_in * n_out);
    p->x = random_floats(p->n_rows * n_in);
    p->y = random_floats(p->n_rows * n_out);
    cr_assert_eq(backend_open_cpu(&p->backend, &p->err), ST_OK, "%s", p->err.text);
    const struct pack_params pack = {.n_in = n_in,
                                     .n_out = n_out,
                                     .weights = p->weights,
                                     .is_transposed = is_transposed,
                                     .compute = compute};
    cr_assert_eq(p->backend->ops->packed_create(&p->packed, p->backend, &pack, &p->err), ST_OK,
                 "%s", p->err.text);
    const struct exec_params exec = {.row_block = row_block};
    cr_assert_eq(p->backend->ops->exec_create(&p->exec, p->backend, &exec, &p->err), ST_OK);
}

static void run_product(struct product *p)
{
    const struct matmul_params params = {.weights = p->packed,
                                         .x = p->x,
                                         .y = p->y,
                                         .ld_x = p->n_in,
                                         .ld_y = p->n_out,
                                         .n_rows = p->n_rows};
    cr_assert_eq(p->backend->ops->matmul(p->exec, &params, &p->err), ST_OK, "%s", p->err.text);
}

static void close_product(struct product *p)
{
    p->backend->ops->exec_destroy(p->exec);
    p->backend->ops->packed_destroy(p->packed);
    backend_close(&p->backend);
    free(p->weights);
    free(p->x);
    free(p->y);
}

struct shape {
    size_t n_in, n_out, row_block;
};

/* Errors as a share of |x| |w|, the scale that all number types are judged by. */
static void check_product(const char *isa, const struct shape *shape, enum compute compute,
                          bool is_transposed)
{
    static const double TOLERANCE[COMPUTE_N] = {[COMPUTE_F32] = 1e-6,
                                                [COMPUTE_BF16X3] = 2e-5,
                                                [COMPUTE_BF16] = 1e-2,
                                                [COMPUTE_TF32] = 1e-6};
    const size_t n_in = shape->n_in, n_out = shape->n_out;
    struct product p;
    open_product(&p, n_in, n_out, compute, is_transposed, shape->row_block);
    run_product(&p);
    for (size_t i = 0; i < p.n_rows * n_out; i++) {
        double sum = 0, xx = 0, ww = 0;
        for (size_t k = 0; k < n_in; k++) {
            const size_t column = i % n_out;
            const double x = (double)p.x[i / n_out * n_in + k];
            const double w =
                (double)p.weights[is_transposed ? column * n_in + k : k * n_out + column];
            sum += x * w;
            xx += x * x;
            ww += w * w;
        }
        cr_assert(fabs((double)p.y[i] - sum) <= TOLERANCE[compute] * sqrt(xx * ww),
                  "%s, %s %zu -> %zu: %g", isa, compute_name(compute), n_in, n_out,
                  ((double)p.y[i] - sum) / sqrt(xx * ww));
    }
    close_product(&p);
}

static void check_products(const char *isa)
{
    static const struct shape SHAPES[] = {{1, 1, 1},     {31, 257, 31},  {257, 31, 257},
                                          {64, 192, 32}, {768, 130, 32}, {768, 768, 7}};
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) {
        for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
            check_product(isa, &SHAPES[i], (enum compute)compute, false);
            check_product(isa, &SHAPES[i], (enum compute)compute, true);
        }
    }
}

Test(kernels_matmul, matches_sums_in_double)
{
    on_every_isa(check_products);
}

static void check_neighbours(const char *isa)
{
    for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
        struct product p;
        open_product(&p, 200, 300, (enum compute)compute, false, 64);
        run_product(&p);
        float *first = malloc(300 * sizeof *first);
        cr_assert(first);
        memcpy(first, p.y + 5 * 300, 300 * sizeof *first);
        memcpy(p.x + 77 * 200, p.x + 5 * 200, 200 * sizeof *p.x);
        for (size_t i = 0; i < 77 * 200; i++) p.x[i] = uniform() * 50;
        run_product(&p);
        cr_expect_eq(memcmp(first, p.y + 77 * 300, 300 * sizeof *first), 0, "%s, %s", isa,
                     compute_name((enum compute)compute));
        free(first);
        close_product(&p);
    }
}

Test(kernels_matmul, a_row_does_not_depend_on_its_neighbours)
{
    on_every_isa(check_neighbours);
}

/* One row, n_rows times over, in blocks of row_block: is every product `want`? */
static void expect_alike(struct product *p, size_t row_block, const float *want, const char *what)
{
    const struct exec_params params = {.row_block = row_block};
    struct exec *exec;
    cr_assert_eq(p->backend->ops->exec_create(&exec, p->backend, &params, &p->err), ST_OK);
    const struct matmul_params matmul = {p->packed, p->x, p->y, p->n_in, p->n_out, 2 * row_block};
    cr_assert_eq(p->backend->ops->matmul(exec, &matmul, &p->err), ST_OK, "%s", p->err.text);
    for (size_t r = 0; r < 2 * row_block; r++)
        cr_expect_eq(memcmp(want, p->y + r * p->n_out, p->n_out * sizeof *want), 0,
                     "%s: row %zu in blocks of %zu", what, r, row_block);
    p->backend->ops->exec_destroy(exec);
}

static void check_places(const char *isa)
{
    static const size_t ROW_BLOCKS[] = {1, 2, 3, 4, 5, 6, 7, 11, 31, 64, 200, 257};
    static const size_t WIDTHS[][2] = {{31, 257}, {257, 31}, {768, 130}};
    for (unsigned i = 0; i < 3 * COMPUTE_N; i++) {
        const enum compute compute = (enum compute)(i % COMPUTE_N);
        const size_t n_in = WIDTHS[i / COMPUTE_N][0], n_out = WIDTHS[i / COMPUTE_N][1];
        struct product p;
        char what[64];
        open_product(&p, n_in, n_out, compute, false, 257);
        for (size_t r = 1; r < p.n_rows; r++) memcpy(p.x + r * n_in, p.x, n_in * sizeof *p.x);
        run_product(&p);
        float *want = malloc(n_out * sizeof *want);
        cr_assert(want);
        memcpy(want, p.y, n_out * sizeof *want);
        (void)snprintf(what, sizeof what, "%s, %s %zu -> %zu", isa, compute_name(compute), n_in,
                       n_out);
        for (size_t b = 0; b < sizeof ROW_BLOCKS / sizeof ROW_BLOCKS[0]; b++)
            expect_alike(&p, ROW_BLOCKS[b], want, what);
        free(want);
        close_product(&p);
    }
}

/* Also of those that a kernel takes in another way because they are left over. */
Test(kernels_matmul, a_row_has_the_same_bits_at_any_place_and_in_blocks_of_any_size)
{
    on_every_isa(check_places);
}

/* Every row of x as it was, `gap` floats of anything behind each. The caller frees it. */
static float *with_gaps(const struct product *p, size_t gap)
{
    float *x = random_floats(p->n_rows * (p->n_in + gap));
    for (size_t r = 0; r < p->n_rows; r++)
        memcpy(x + r * (p->n_in + gap), p->x + r * p->n_in, p->n_in * sizeof *x);
    return x;
}

static void check_gaps(const char *isa)
{
    static const size_t GAPS[] = {1, 12, 1920};
    for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
        struct product p;
        open_product(&p, 196, 320, (enum compute)compute, false, 64);
        run_product(&p);
        float *y = random_floats(p.n_rows * p.n_out);
        for (size_t i = 0; i < sizeof GAPS / sizeof GAPS[0]; i++) {
            float *x = with_gaps(&p, GAPS[i]);
            const struct matmul_params params = {p.packed,         x,       y,
                                                 p.n_in + GAPS[i], p.n_out, p.n_rows};
            cr_assert_eq(p.backend->ops->matmul(p.exec, &params, &p.err), ST_OK, "%s", p.err.text);
            cr_expect_eq(memcmp(y, p.y, p.n_rows * p.n_out * sizeof *y), 0, "%s, %s, gaps of %zu",
                         isa, compute_name((enum compute)compute), GAPS[i]);
            free(x);
        }
        free(y);
        close_product(&p);
    }
}

Test(kernels_matmul, rows_with_gaps_are_as_rows_without)
{
    on_every_isa(check_gaps);
}

/* y's rows `gap` floats apart. oneDNN may sum otherwise then, so values are compared, not bits. */
static void check_gap_of_y(const char *isa, struct product *p, size_t gap)
{
    const size_t ld_y = p->n_out + gap;
    float *y = random_floats(p->n_rows * ld_y), *before = malloc(p->n_rows * ld_y * sizeof *before);
    cr_assert(before);
    memcpy(before, y, p->n_rows * ld_y * sizeof *before);
    const struct matmul_params params = {p->packed, p->x, y, p->n_in, ld_y, p->n_rows};
    cr_assert_eq(p->backend->ops->matmul(p->exec, &params, &p->err), ST_OK, "%s", p->err.text);
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t c = 0; c < p->n_out; c++)
            cr_assert_float_eq((double)y[r * ld_y + c], (double)p->y[r * p->n_out + c], 1e-4,
                               "%s, row %zu, gaps of %zu", isa, r, gap);
        cr_assert_eq(memcmp(y + r * ld_y + p->n_out, before + r * ld_y + p->n_out, gap * sizeof *y),
                     0, "%s, behind row %zu, gaps of %zu", isa, r, gap);
    }
    free(y);
    free(before);
}

static void check_gaps_of_y(const char *isa)
{
    for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
        struct product p;
        open_product(&p, 196, 317, (enum compute)compute, false, 32);
        run_product(&p);
        check_gap_of_y(isa, &p, 3);
        check_gap_of_y(isa, &p, 64);
        close_product(&p);
    }
}

Test(kernels_matmul, nothing_is_written_between_rows)
{
    on_every_isa(check_gaps_of_y);
}

struct lane {
    const struct product *shared;
    float *y;
};

static void *lane_run(void *context)
{
    struct lane *lane = context;
    const struct product *p = lane->shared;
    const struct exec_params params = {.row_block = p->n_rows / 2};
    struct exec *exec;
    struct error err = {0};
    const struct matmul_params matmul = {p->packed, p->x, lane->y, p->n_in, p->n_out, p->n_rows};
    if (p->backend->ops->exec_create(&exec, p->backend, &params, &err) != ST_OK) return NULL;
    for (int i = 0; i < 20; i++) {
        if (p->backend->ops->matmul(exec, &matmul, &err) != ST_OK) return NULL;
    }
    p->backend->ops->exec_destroy(exec);
    return lane;
}

static void check_threads(const char *isa)
{
    struct product p;
    struct lane lanes[3];
    pthread_t threads[3];
    open_product(&p, 96, 384, COMPUTE_BF16X3, false, 64);
    run_product(&p);
    for (size_t i = 0; i < 3; i++) {
        lanes[i] = (struct lane){&p, random_floats(p.n_rows * p.n_out)};
        cr_assert_eq(pthread_create(&threads[i], NULL, lane_run, &lanes[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        void *done = NULL;
        (void)pthread_join(threads[i], &done);
        cr_expect_not_null(done);
        cr_expect_eq(memcmp(p.y, lanes[i].y, p.n_rows * p.n_out * sizeof *p.y), 0, "%s", isa);
        free(lanes[i].y);
    }
    close_product(&p);
}

Test(kernels_matmul, threads_share_weights_and_agree_to_the_bit)
{
    on_every_isa(check_threads);
}

Test(kernels_matmul, refuses_rows_that_are_no_whole_blocks)
{
    struct product p;
    open_product(&p, 8, 8, COMPUTE_F32, false, 16);
    p.n_rows = 20;
    const struct matmul_params params = {p.packed, p.x, p.y, 8, 8, 20};
    cr_expect_eq(p.backend->ops->matmul(p.exec, &params, &p.err), ST_BAD_INPUT);
    struct exec *exec = NULL;
    const struct exec_params none = {.row_block = 0};
    cr_expect_eq(p.backend->ops->exec_create(&exec, p.backend, &none, NULL), ST_BAD_INPUT);
    close_product(&p);
}

Test(kernels_matmul, names_of_compute_and_screen_round_trip)
{
    for (unsigned i = 0; i < COMPUTE_N; i++) {
        enum compute got = COMPUTE_N;
        cr_assert_eq(compute_parse(compute_name((enum compute)i), &got, NULL), ST_OK);
        cr_expect_eq(got, (enum compute)i);
    }
    for (unsigned i = 0; i < SCREEN_N; i++) {
        enum screen got = SCREEN_N;
        cr_assert_eq(screen_parse(screen_name((enum screen)i), &got, NULL), ST_OK);
        cr_expect_eq(got, (enum screen)i);
    }
    struct error err = {0};
    enum compute compute;
    cr_expect_eq(compute_parse("f64", &compute, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "f64"));
}
