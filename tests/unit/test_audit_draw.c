#include "coordinator/cli/audit_draw.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_LABELS = 200 };

struct world {
    struct audit_label labels[N_LABELS];
    char texts[N_LABELS][24];
    struct audit_pick *picks;
    size_t n_picks;
};

/* Densities fall geometrically with the index, so neighbours are the nearest. */
static void fill(struct world *world, size_t n_texts)
{
    double density = 0.5;
    for (size_t i = 0; i < N_LABELS; i++, density *= 0.97) {
        (void)snprintf(world->texts[i], sizeof world->texts[i], "label %zu", i % n_texts);
        world->labels[i] =
            (struct audit_label){.feature = i, .density = density, .text = world->texts[i]};
    }
}

static void draw(struct world *world, size_t n_labels, size_t n_items, size_t n_decoys,
                 uint64_t seed)
{
    const struct audit_draw_params params = {seed, n_items, n_decoys};
    world->picks = NULL;
    cr_assert_eq(audit_draw(world->labels, n_labels, &params, &world->picks, &world->n_picks, NULL),
                 ST_OK);
}

static bool is_decoy(struct audit_pick pick)
{
    return pick.evidence != pick.description;
}

static size_t count_decoys(const struct world *world)
{
    size_t n = 0;
    for (size_t i = 0; i < world->n_picks; i++) n += is_decoy(world->picks[i]);
    return n;
}

Test(audit_draw, no_window_and_no_description_comes_twice)
{
    struct world world;
    fill(&world, N_LABELS);
    for (uint64_t seed = 0; seed < 50; seed++) {
        unsigned n_evidence[N_LABELS] = {0}, n_descriptions[N_LABELS] = {0};
        draw(&world, N_LABELS, 50, 13, seed);
        cr_assert_eq(world.n_picks, 63);
        cr_assert_eq(count_decoys(&world), 13);
        for (size_t i = 0; i < world.n_picks; i++) {
            cr_expect_eq(n_evidence[world.picks[i].evidence]++, 0);
            cr_expect_eq(n_descriptions[world.picks[i].description]++, 0);
        }
        free(world.picks);
    }
}

Test(audit_draw, equal_seeds_draw_equally_and_others_do_not)
{
    struct world a, b, c;
    fill(&a, N_LABELS);
    b = c = a;
    draw(&a, N_LABELS, 50, 13, 7);
    draw(&b, N_LABELS, 50, 13, 7);
    draw(&c, N_LABELS, 50, 13, 8);
    const size_t n_bytes = a.n_picks * sizeof *a.picks;
    cr_expect_eq(memcmp(a.picks, b.picks, n_bytes), 0);
    cr_expect_neq(memcmp(a.picks, c.picks, n_bytes), 0);
    free(a.picks);
    free(b.picks);
    free(c.picks);
}

/* 4,000 draws of 20 from 200: each label is expected 400 times, sd 19; decoys stand anywhere. */
Test(audit_draw, every_label_and_every_place_is_as_likely)
{
    struct world world;
    unsigned n_drawn[N_LABELS] = {0}, n_decoys_at[25] = {0};
    fill(&world, N_LABELS);
    for (uint64_t seed = 0; seed < 4000; seed++) {
        draw(&world, N_LABELS, 20, 5, seed);
        cr_assert_eq(world.n_picks, 25);
        for (size_t i = 0; i < world.n_picks; i++)
            if (is_decoy(world.picks[i]))
                n_decoys_at[i]++;
            else
                n_drawn[world.picks[i].evidence]++;
        free(world.picks);
    }
    for (size_t i = 0; i < N_LABELS; i++)
        cr_expect(n_drawn[i] > 305 && n_drawn[i] < 495, "label %zu: %u", i, n_drawn[i]);
    for (size_t i = 0; i < 25; i++) /* expected 800, sd 25 */
        cr_expect(n_decoys_at[i] > 675 && n_decoys_at[i] < 925, "place %zu: %u", i, n_decoys_at[i]);
}

Test(audit_draw, a_decoy_has_the_label_of_a_feature_that_fires_as_often)
{
    struct world world;
    fill(&world, N_LABELS);
    draw(&world, N_LABELS, 20, 5, 3);
    for (size_t i = 0; i < world.n_picks; i++) {
        const int apart = abs((int)world.picks[i].evidence - (int)world.picks[i].description);
        cr_expect(apart <= 5, "%d places apart", apart);
    }
    free(world.picks);
}

Test(audit_draw, a_decoy_never_says_what_the_true_label_says)
{
    struct world world;
    fill(&world, 2); /* two texts in all, in two spellings */
    for (size_t i = 0; i < N_LABELS; i += 3) world.texts[i][0] = 'L';
    draw(&world, N_LABELS, 50, 40, 1);
    cr_expect_eq(count_decoys(&world), 40);
    for (size_t i = 0; i < world.n_picks; i++)
        cr_expect(!is_decoy(world.picks[i]) ||
                  world.picks[i].evidence % 2 != world.picks[i].description % 2);
    free(world.picks);
}

Test(audit_draw, small_populations_give_what_they_have)
{
    static const struct {
        size_t n_labels, n_texts, n_items, n_decoys;
    } cases[] = {{0, 1, 0, 0}, {1, 1, 1, 0}, {2, 2, 2, 2}, {5, 5, 5, 5}, {9, 1, 9, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        fill(&world, cases[i].n_texts);
        draw(&world, cases[i].n_labels, 50, 13, 1);
        cr_expect_eq(count_decoys(&world), cases[i].n_decoys, "case %zu", i);
        cr_expect_eq(world.n_picks - count_decoys(&world), cases[i].n_items, "case %zu", i);
        free(world.picks);
    }
}
