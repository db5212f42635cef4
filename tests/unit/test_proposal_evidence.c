/* What an agent is shown where there is more than fits. */
#include "coordinator/circuit/proposal_evidence.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_LAYERS = 25, N_HEADS = 24, N_ALL = N_LAYERS * N_HEADS, N_LABELS = 1000 };

static struct head_scores scores;
static struct component heads[N_ALL];
static struct proposal_label labels[N_LABELS];

static void set_up(void)
{
    cr_assert_eq(head_scores_init(&scores, N_LAYERS, N_HEADS, NULL), ST_OK);
    scores.n_sequences = 1;
    scores.n_queries[PATTERN_INDUCTION] = 100;
    for (uint32_t i = 0; i < N_ALL; i++)
        heads[i] =
            (struct component){.type = COMPONENT_HEAD, .layer = i / N_HEADS, .index = i % N_HEADS};
    for (uint32_t i = 0; i < N_LABELS; i++)
        labels[i] = (struct proposal_label){.component = heads[i % N_ALL], .text = "words"};
}

static void tear_down(void)
{
    head_scores_fini(&scores);
}

TestSuite(proposal_evidence, .init = set_up, .fini = tear_down);

/* Attention to the pattern `induction`, a share of all queries. */
static void give(uint32_t head, double share)
{
    double *sums = scores.sums + ((size_t)head * HEAD_N_PATTERNS + PATTERN_INDUCTION) * 3;
    sums[2] = share * 100;
}

static struct proposal_evidence choose(size_t n_candidates, size_t n_labels)
{
    struct proposal_evidence evidence;
    const struct proposal_view view = {.candidates = heads,
                                       .n_candidates = n_candidates,
                                       .scores = &scores,
                                       .labels = labels,
                                       .n_labels = n_labels};
    cr_assert_eq(proposal_evidence_choose(&view, &evidence, NULL), ST_OK);
    for (size_t i = 1; i < evidence.n_heads_shown; i++)
        cr_assert_lt(evidence.heads[i - 1], evidence.heads[i], "in the order of the list");
    for (size_t i = 1; i < evidence.n_labels_shown; i++)
        cr_assert_lt(evidence.labels[i - 1], evidence.labels[i], "in the order of the list");
    return evidence;
}

static void expect(const struct proposal_evidence *evidence, size_t n_heads, size_t n_labels)
{
    cr_expect_eq(evidence->n_heads_shown, n_heads, "%zu heads", evidence->n_heads_shown);
    cr_expect_eq(evidence->n_labels_shown, n_labels, "%zu labels", evidence->n_labels_shown);
}

Test(proposal_evidence, that_fits_is_shown_whole)
{
    static const size_t cases[][2] = {{0, 0}, {400, 0}, {0, 400}, {390, 10}, {1, 399}, {200, 200}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proposal_evidence evidence = choose(cases[i][0], cases[i][1]);
        expect(&evidence, cases[i][0], cases[i][1]);
        proposal_evidence_fini(&evidence);
    }
}

Test(proposal_evidence, that_does_not_fit_leaves_each_kind_its_half)
{
    static const size_t cases[][4] = {{600, 0, 400, 0},
                                      {600, 50, 350, 50},
                                      {600, 1000, 200, 200},
                                      {150, 1000, 150, 250},
                                      {401, 0, 400, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proposal_evidence evidence = choose(cases[i][0], cases[i][1]);
        expect(&evidence, cases[i][2], cases[i][3]);
        cr_expect_eq(evidence.n_heads, cases[i][0]);
        cr_expect_eq(evidence.n_labels, cases[i][1]);
        proposal_evidence_fini(&evidence);
    }
}

Test(proposal_evidence, keeps_the_heads_that_attend_most)
{
    for (uint32_t i = 0; i < N_ALL; i++) give(i, i < 200 ? 0.01 : 0.5); /* the first are weak */
    give(3, 0.9);
    struct proposal_evidence evidence = choose(N_ALL, 0);
    cr_expect_eq(evidence.heads[0], 3, "the one strong head of the first two hundred");
    cr_expect_eq(evidence.heads[1], 200);
    cr_expect_eq(evidence.heads[399], 598, "ties: the first of the list");
    proposal_evidence_fini(&evidence);
}

Test(proposal_evidence, keeps_supported_labels_and_the_best_of_them)
{
    for (uint32_t i = 0; i < N_LABELS; i++) {
        labels[i].is_supported = i >= 500 && i < 800;
        labels[i].score = i == 900 ? 1.0 : i >= 600 ? 0.9 : 0.8;
    }
    struct proposal_evidence evidence = choose(N_ALL, N_LABELS);
    cr_assert_eq(evidence.n_labels_shown, 200);
    cr_expect_eq(evidence.labels[0], 600, "of 300 supported ones those of score 0.9");
    cr_expect_eq(evidence.labels[199], 799, "before one of score 1 that is not supported");
    proposal_evidence_fini(&evidence);
}

Test(proposal_evidence, has_a_head_once_wherever_it_is_ablated)
{
    struct component places[3] = {heads[7], heads[7], heads[8]};
    (void)snprintf(places[0].position, sizeof places[0].position, "a");
    (void)snprintf(places[1].position, sizeof places[1].position, "b");
    (void)snprintf(places[2].position, sizeof places[2].position, "a");
    struct proposal_evidence evidence;
    const struct proposal_view view = {.candidates = places, .n_candidates = 3, .scores = &scores};
    cr_assert_eq(proposal_evidence_choose(&view, &evidence, NULL), ST_OK);
    expect(&evidence, 2, 0);
    cr_expect_eq(evidence.heads[1], 2);
    proposal_evidence_fini(&evidence);
    proposal_evidence_fini(&evidence);
}
