/* Places in a list where the metric drops, and what such a drop needs. */
#include "coordinator/circuit/context_search.h"
#include "coordinator/circuit/paired_effect.h"
#include "tests/unit/search_world.h"

enum { N = 64, N_EACH = 8 };

static struct search_setup {
    struct variant_values *values;
    struct effect_sample sample;
    struct search_view view;
    double full[N_EACH];
    uint32_t all[N];
} setup;

static void begin(void)
{
    const struct world world = {.n = N, .n_prompts = N_EACH};
    const struct prompt_units units = world_units(&world);
    cr_assert_eq(variant_values_create(&setup.values, N_EACH, 100000, NULL), ST_OK);
    cr_assert_eq(effect_sample_init(&setup.sample, &units, 1, 0, NULL), ST_OK);
    search_view_init(&setup.view, setup.values);
    for (int i = 0; i < N_EACH; i++) setup.full[i] = 1.0 + 0.01 * i;
    for (uint32_t v = 0; v < N; v++) setup.all[v] = v;
    setup.view.full = setup.full;
}

static void end(void)
{
    search_view_fini(&setup.view);
    effect_sample_fini(&setup.sample);
    variant_values_destroy(&setup.values);
}

/* Nothing is left once all of `needed` is ablated; 50 alone takes a tenth. */
static void answer(const uint32_t *needed, size_t n_needed)
{
    const struct search_batch batch = variant_values_batch(setup.values, 100000);
    double *rows = calloc(batch.n + 1, sizeof setup.full);
    cr_assert(rows != NULL);
    for (size_t v = 0; v < batch.n; v++) {
        size_t n_off = 0;
        double left = 1.0;
        for (size_t i = 0; i < batch.variants[v].n_nodes; i++) {
            for (size_t k = 0; k < n_needed; k++) n_off += batch.variants[v].nodes[i] == needed[k];
            if (batch.variants[v].nodes[i] == 50) left = 0.9;
        }
        for (int i = 0; i < N_EACH; i++)
            rows[v * N_EACH + (size_t)i] = n_off < n_needed ? left * setup.full[i] : 0.0;
    }
    cr_assert_eq(variant_values_tell(setup.values, rows, NULL), ST_OK);
    free(rows);
}

static const struct clear_rule RULE = {0.02, 0.05};

static void run_split(struct group_split *split, bool is_cumulative, const uint32_t *needed,
                      size_t n_needed)
{
    const struct split_plan plan = {{NULL, 0}, {setup.all, N}, is_cumulative, 4};
    bool is_over = false;
    cr_assert_eq(group_split_init(split, &plan, NULL), ST_OK);
    while (!is_over) {
        search_view_begin(&setup.view);
        cr_assert_eq(group_split_advance(split, &setup.view, &setup.sample, &RULE, &is_over, NULL),
                     ST_OK);
        answer(needed, n_needed);
    }
}

Test(group_split, finds_each_that_shows_alone, .init = begin, .fini = end)
{
    static const uint32_t needed[] = {17};
    struct group_split split;
    run_split(&split, false, needed, 1);
    cr_assert_eq(split.n_hits, 2);
    cr_expect_eq(split.hits[0].place, 17);
    cr_expect_eq(split.hits[1].place, 50);
    cr_expect(variant_values_n_known(setup.values) < N / 2);
    group_split_fini(&split);
}

/* Of three that stand in for one another none shows alone; after the others the last does. */
Test(group_split, shows_the_last_of_those_that_stand_in, .init = begin, .fini = end)
{
    static const uint32_t needed[] = {5, 30, 41};
    struct group_split apart, cumulative;
    run_split(&apart, false, needed, 3);
    cr_expect_eq(apart.n_hits, 1); /* 50 */
    run_split(&cumulative, true, needed, 3);
    cr_assert_eq(cumulative.n_hits, 1);
    cr_expect_eq(group_split_node(&cumulative, cumulative.hits[0].place), 41);
    cr_expect_eq(group_split_context(&cumulative, cumulative.hits[0].place).n, 41);
    group_split_fini(&apart);
    group_split_fini(&cumulative);
}

static struct context_search run_context(const uint32_t *needed, size_t n_needed,
                                         size_t max_context)
{
    const struct context_rule rule = {RULE, max_context};
    struct context_search search;
    cr_assert_eq(context_search_init(&search, needed[n_needed - 1],
                                     (struct index_span){setup.all, 41}, NULL),
                 ST_OK);
    while (!search.is_over) {
        search_view_begin(&setup.view);
        context_search_advance(&search, &setup.view, &setup.sample, &rule);
        answer(needed, n_needed);
    }
    return search;
}

Test(context_search, keeps_just_what_the_drop_needs, .init = begin, .fini = end)
{
    static const uint32_t needed[] = {5, 22, 30, 41};
    struct context_search search = run_context(needed, 4, 4);
    cr_assert(search.is_found);
    cr_assert_eq(search.n_kept, 3);
    cr_expect_eq(search.kept[0], 30);
    cr_expect_eq(search.kept[1], 22);
    cr_expect_eq(search.kept[2], 5);
    cr_expect(variant_values_n_known(setup.values) < 60);
    context_search_fini(&search);
}

Test(context_search, gives_up_beyond_its_limit, .init = begin, .fini = end)
{
    static const uint32_t needed[] = {5, 22, 30, 41};
    struct context_search search = run_context(needed, 4, 2);
    cr_expect_not(search.is_found);
    context_search_fini(&search);
}

/* --- drops -------------------------------------------------------------------------------- */

Test(paired_effect, roots_of_divergences_add_up, .init = begin, .fini = end)
{
    double zero[N_EACH] = {0.0}, one[N_EACH], both[N_EACH];
    setup.sample.is_divergence = true;
    for (int i = 0; i < N_EACH; i++) {
        const double shift = 0.5 + 0.05 * i;
        one[i] = shift * shift;
        both[i] = 4.0 * shift * shift; /* two equal shifts, together: nothing beyond the sum */
    }
    const struct pair_values pair = {zero, one, one, both};
    const struct node_effect beyond = effect_beyond_sum(&setup.sample, &pair);
    cr_expect_float_eq(beyond.mean, 0.0, 1e-12);
    cr_expect_gt(effect_between(&setup.sample, zero, one).mean, 0.3);
}

/* A bootstrap counts its units as often as they were drawn. */
Test(paired_effect, a_bootstrap_is_the_mean_of_what_it_drew, .init = begin, .fini = end)
{
    const struct world world = {.n = N, .n_prompts = N_EACH};
    const struct prompt_units units = world_units(&world);
    struct draw draw = draw_stream(7, DRAW_CIRCUIT, 3);
    struct effect_sample sample;
    double sum = 0.0, zero[N_EACH] = {0.0};
    for (int i = 0; i < N_EACH; i++) sum += setup.full[draw_below(&draw, N_EACH)];
    cr_assert_eq(effect_sample_init(&sample, &units, 7, 3, NULL), ST_OK);
    cr_expect_float_eq(effect_between(&sample, setup.full, zero).mean, sum / N_EACH, 1e-12);
    cr_expect_float_eq(effect_sample_mean(&sample, setup.full), sum / N_EACH, 1e-12);
    effect_sample_fini(&sample);
}
