/* Sets of ablated things: each asked once, in the order of wanting. */
#include "coordinator/circuit/search_view.h"

#include <criterion/criterion.h>

static struct variant_values *values_of(size_t n_prompts, size_t max_variants)
{
    struct variant_values *values = NULL;
    cr_assert_eq(variant_values_create(&values, n_prompts, max_variants, NULL), ST_OK);
    return values;
}

static bool want(struct variant_values *values, const uint32_t *nodes, size_t n)
{
    bool is_refused;
    const struct search_variant variant = {.nodes = nodes, .n_nodes = n};
    cr_assert_eq(variant_values_want(values, &variant, &is_refused, NULL), ST_OK);
    return !is_refused;
}

Test(variant_values, a_set_is_asked_once_and_found_when_told)
{
    static const uint32_t nodes[] = {1, 4};
    static const double rows[] = {0.5, 1.5, 2.5, 3.5};
    struct variant_values *values = values_of(2, 10);
    const struct search_variant pair = {.nodes = nodes, .n_nodes = 2};
    const struct search_variant one = {.nodes = nodes, .n_nodes = 1};
    cr_expect(want(values, nodes, 2) && want(values, nodes, 1) && want(values, nodes, 2));
    cr_expect(variant_values_find(values, &pair) == NULL);
    cr_assert_eq(variant_values_batch(values, 10).n, 2);
    cr_expect_eq(variant_values_batch(values, 10).variants[0].n_nodes, 2);
    cr_assert_eq(variant_values_tell(values, rows, NULL), ST_OK);
    cr_expect_arr_eq(variant_values_find(values, &pair), rows, 2 * sizeof *rows);
    cr_expect_arr_eq(variant_values_find(values, &one), rows + 2, 2 * sizeof *rows);
    cr_expect(want(values, nodes, 1));
    cr_expect_eq(variant_values_batch(values, 10).n, 0);
    variant_values_destroy(&values);
}

/* Node 3 and edge 3 are two things. */
Test(variant_values, nodes_and_edges_are_told_apart)
{
    static const uint32_t three[] = {3};
    struct variant_values *values = values_of(1, 10);
    const struct search_variant node = {three, NULL, 1, 0}, edge = {NULL, three, 0, 1};
    const struct search_variant both = {three, three, 1, 1};
    bool is_refused;
    cr_assert_eq(variant_values_want(values, &node, &is_refused, NULL), ST_OK);
    cr_assert_eq(variant_values_want(values, &edge, &is_refused, NULL), ST_OK);
    cr_assert_eq(variant_values_want(values, &both, &is_refused, NULL), ST_OK);
    cr_expect_eq(variant_values_n_wanted(values), 3);
    variant_values_destroy(&values);
}

/* The batch stays until it is told; what is wanted meanwhile comes after it. */
Test(variant_values, batches_keep_their_order_and_size)
{
    struct variant_values *values = values_of(1, 2000);
    double rows[64];
    size_t n_seen = 0;
    for (uint32_t v = 0; v < 1000; v++) cr_assert(want(values, &v, 1));
    for (struct search_batch batch; (batch = variant_values_batch(values, 64)).n > 0;) {
        const uint32_t late = 5000 + (uint32_t)n_seen;
        if (n_seen < 640) cr_assert(want(values, &late, 1));
        cr_assert_eq(variant_values_batch(values, 7).n, batch.n);
        for (size_t v = 0; v < batch.n; v++) rows[v] = batch.variants[v].nodes[0];
        cr_assert_eq(variant_values_tell(values, rows, NULL), ST_OK);
        n_seen += batch.n;
    }
    cr_expect_eq(n_seen, 1010);
    for (uint32_t v = 0; v < 1000; v++)
        cr_expect_eq(
            *variant_values_find(values, &(struct search_variant){.nodes = &v, .n_nodes = 1}),
            (double)v);
    variant_values_destroy(&values);
}

Test(variant_values, refuses_more_than_it_may)
{
    struct variant_values *values = values_of(1, 3);
    for (uint32_t v = 0; v < 5; v++) cr_expect_eq(want(values, &v, 1), v < 3);
    for (uint32_t v = 0; v < 3; v++) cr_expect(want(values, &v, 1)); /* those it has */
    cr_expect_eq(variant_values_n_wanted(values), 3);
    variant_values_destroy(&values);
}

Test(variant_values, a_view_makes_sets_and_counts_what_is_missing)
{
    static const uint32_t first[] = {7, 2, 7}, second[] = {5, 2};
    static const double full[] = {9.0}, row[] = {1.0};
    struct variant_values *values = values_of(1, 10);
    struct search_view view;
    search_view_init(&view, values);
    view.full = full;
    search_view_begin(&view);
    cr_expect(search_view_nodes(&view, (struct index_span){NULL, 0},
                                (struct index_span){NULL, 0}) == full);
    cr_expect(search_view_nodes(&view, (struct index_span){first, 3},
                                (struct index_span){second, 2}) == NULL);
    cr_expect_eq(view.n_missing, 1);
    const struct search_variant *set = variant_values_batch(values, 10).variants;
    cr_assert_eq(set->n_nodes, 3);
    cr_expect(set->nodes[0] == 2 && set->nodes[1] == 5 && set->nodes[2] == 7);
    cr_assert_eq(variant_values_tell(values, row, NULL), ST_OK);
    search_view_begin(&view);
    cr_expect_eq(
        *search_view_nodes(&view, (struct index_span){second, 2}, (struct index_span){first, 3}),
        1.0);
    cr_expect_eq(view.n_missing, 0);
    search_view_fini(&view);
    variant_values_destroy(&values);
}
