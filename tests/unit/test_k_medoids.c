/* k-medoids against the best of all choices of medoids, on small random sets. */
#include "coordinator/session/draw.h"
#include "coordinator/session/k_medoids.h"

#include <criterion/criterion.h>
#include <math.h>

enum { MAX_ITEMS = 12 };

/* Points on a plane and their distances. */
static void draw_points(struct draw *draw, size_t n, double *distances)
{
    double x[MAX_ITEMS], y[MAX_ITEMS];
    for (size_t i = 0; i < n; i++) {
        x[i] = draw_below(draw, 100);
        y[i] = draw_below(draw, 100);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) distances[i * n + j] = hypot(x[i] - x[j], y[i] - y[j]);
}

static double cost_of(const double *distances, size_t n, const uint32_t *medoids, size_t k)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double least = INFINITY;
        for (size_t m = 0; m < k; m++) least = fmin(least, distances[i * n + medoids[m]]);
        sum += least;
    }
    return sum;
}

/* Over all k-subsets. */
static double best_cost(const double *distances, size_t n, size_t k)
{
    double best = INFINITY;
    for (uint32_t set = 0; set < 1u << n; set++) {
        uint32_t medoids[MAX_ITEMS];
        size_t n_in = 0;
        for (uint32_t i = 0; i < n; i++)
            if (set >> i & 1) medoids[n_in++] = i;
        if (n_in == k) best = fmin(best, cost_of(distances, n, medoids, k));
    }
    return best;
}

Test(k_medoids, comes_close_to_the_best_choice_of_medoids)
{
    struct draw draw = {4};
    unsigned n_best = 0;
    for (int trial = 0; trial < 200; trial++) {
        double distances[MAX_ITEMS * MAX_ITEMS];
        uint32_t group_of[MAX_ITEMS], medoids[MAX_ITEMS];
        const size_t n = 4 + draw_below(&draw, MAX_ITEMS - 3), k = 1 + draw_below(&draw, 4);
        draw_points(&draw, n, distances);
        k_medoids(distances, n, k, group_of, medoids);
        const double got = cost_of(distances, n, medoids, k);
        const double best = best_cost(distances, n, k);
        cr_assert_leq(got, 1.5 * best + 1e-9, "%g and %g", got, best);
        n_best += got <= best + 1e-9;
        for (size_t i = 0; i < n; i++) {
            cr_assert_lt(group_of[i], k);
            const double own = distances[i * n + medoids[group_of[i]]];
            for (size_t m = 0; m < k; m++) cr_expect_leq(own, distances[i * n + medoids[m]]);
        }
    }
    cr_expect_geq(n_best, 180, "%u of 200", n_best);
}

Test(k_medoids, separates_what_is_apart_and_numbers_groups_by_their_first_item)
{
    /* 0 2 4 together, 1 3 5 together */
    double distances[36];
    uint32_t group_of[6], medoids[2];
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++)
            distances[i * 6 + j] = i == j ? 0.0 : i % 2 == j % 2 ? 1.0 : 4.0;
    k_medoids(distances, 6, 2, group_of, medoids);
    for (size_t i = 0; i < 6; i++) cr_expect_eq(group_of[i], i % 2);
    cr_expect(medoids[0] % 2 == 0 && medoids[1] % 2 == 1);
    cr_expect_float_eq(k_medoids_silhouette(distances, 6, 2, group_of), 0.75, 1e-12);
}

Test(k_medoids, silhouette_is_the_definition_worked_by_hand)
{
    /* points 0, 1, 5, 7 on a line; groups {0, 1}, {5, 7} */
    static const double at[] = {0, 1, 5, 7};
    static const uint32_t group_of[] = {0, 0, 1, 1}, alone[] = {0, 0, 0, 1}, one[] = {0, 0, 0, 0};
    double distances[16];
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) distances[i * 4 + j] = fabs(at[i] - at[j]);
    const double want = (5.0 / 6 + 4.0 / 5 + 2.5 / 4.5 + 4.5 / 6.5) / 4;
    cr_expect_float_eq(k_medoids_silhouette(distances, 4, 2, group_of), want, 1e-12);
    const double with_one = ((7 - 3.0) / 7 + (6 - 2.5) / 6 + (2 - 4.5) / 4.5) / 4;
    cr_expect_float_eq(k_medoids_silhouette(distances, 4, 2, alone), with_one, 1e-12);
    cr_expect_float_eq(k_medoids_silhouette(distances, 4, 1, one), 0.0, 0);
}

Test(k_medoids, equal_items_still_make_k_groups_with_their_own_medoids)
{
    const double distances[16] = {0};
    uint32_t group_of[4], medoids[3];
    k_medoids(distances, 4, 3, group_of, medoids);
    for (size_t m = 0; m < 3; m++) cr_expect_eq(group_of[medoids[m]], m);
    cr_expect_float_eq(k_medoids_silhouette(distances, 4, 3, group_of), 0.0, 0);
}
