/* Dense products against sums in double, for every number type and shape, and what callers build
 * on: a row's result does not depend on the other rows, nor on the thread or the run. */
#include "kernels/backend.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
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

/* Errors as a share of |x| |w|, the scale that all three number types are judged by. */
static void check_product(size_t n_in, size_t n_out, enum compute compute, bool is_transposed,
                          double tolerance)
{
    struct product p;
    open_product(&p, n_in, n_out, compute, is_transposed, 32);
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
        cr_assert(fabs((double)p.y[i] - sum) <= tolerance * sqrt(xx * ww), "%s %zu -> %zu: %g",
                  compute_name(compute), n_in, n_out, ((double)p.y[i] - sum) / sqrt(xx * ww));
    }
    close_product(&p);
}

Test(kernels_matmul, matches_sums_in_double)
{
    static const size_t SHAPES[][2] = {{1, 1}, {31, 257}, {257, 31}, {64, 192}, {768, 130}};
    static const double TOLERANCE[COMPUTE_N] = {[COMPUTE_F32] = 1e-6,
                                                [COMPUTE_BF16X3] = 2e-5,
                                                [COMPUTE_BF16] = 1e-2,
                                                [COMPUTE_TF32] = 1e-6};
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) {
        for (unsigned compute = 0; compute < COMPUTE_N; compute++) {
            check_product(SHAPES[i][0], SHAPES[i][1], (enum compute)compute, false,
                          TOLERANCE[compute]);
            check_product(SHAPES[i][0], SHAPES[i][1], (enum compute)compute, true,
                          TOLERANCE[compute]);
        }
    }
}

Test(kernels_matmul, a_row_does_not_depend_on_its_neighbours_or_its_place)
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
        cr_expect_eq(memcmp(first, p.y + 77 * 300, 300 * sizeof *first), 0, "%s",
                     compute_name((enum compute)compute));
        free(first);
        close_product(&p);
    }
}

/* Every row of x as it was, `gap` floats of anything behind each. The caller frees it. */
static float *with_gaps(const struct product *p, size_t gap)
{
    float *x = random_floats(p->n_rows * (p->n_in + gap));
    for (size_t r = 0; r < p->n_rows; r++)
        memcpy(x + r * (p->n_in + gap), p->x + r * p->n_in, p->n_in * sizeof *x);
    return x;
}

Test(kernels_matmul, rows_with_gaps_are_as_rows_without)
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
            cr_expect_eq(memcmp(y, p.y, p.n_rows * p.n_out * sizeof *y), 0, "%s, gaps of %zu",
                         compute_name((enum compute)compute), GAPS[i]);
            free(x);
        }
        free(y);
        close_product(&p);
    }
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

Test(kernels_matmul, threads_share_weights_and_agree_to_the_bit)
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
        cr_expect_eq(memcmp(p.y, lanes[i].y, p.n_rows * p.n_out * sizeof *p.y), 0);
        free(lanes[i].y);
    }
    close_product(&p);
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
