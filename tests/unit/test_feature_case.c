/* Cases built from real captures of a corpus whose truth is known token by token. */
#include "coordinator/session/feature_case.h"

#include "coordinator/session/window_overlap.h"
#include "tests/support/session_windows.h"
#include "tests/unit/case_world.h"

static const enum evidence_split JUDGED[] = {EVIDENCE_VALIDATE, EVIDENCE_TEST, EVIDENCE_OOD};
enum { N_JUDGED = 3, ALL_JUDGED = CASE_PART_VALIDATE | CASE_PART_TEST | CASE_PART_OOD };

static struct feature_case build(uint32_t slot, unsigned parts)
{
    const struct feature_case_params params = case_world_params(case_world(), slot, parts);
    struct feature_case made;
    struct error err = {0};
    cr_assert_eq(feature_case_build(&made, &params, &err), ST_OK, "%s", err.text);
    return made;
}

/* Tokens and values are those of the corpus and of the rule, and the kind is true. */
static void expect_true(const struct window *window, uint32_t slot)
{
    const struct case_world *world = case_world();
    bool fires = false, has_cat = false, has_kin = false;
    cr_assert_leq(window->document_offset + window->n_tokens, CASE_DOCUMENT_TOKENS);
    for (uint32_t i = 0; i < window->n_tokens; i++) {
        const uint32_t offset = window->document_offset + i;
        const float want = case_world_value(world, slot, window->document_index, offset);
        cr_expect_eq(window->tokens[i], world->tokens[window->document_index][offset]);
        cr_expect_float_eq(window_activation(window, i), want, 0.0);
        fires = fires || want > 0;
        has_cat = has_cat || window->tokens[i] == 5;
        has_kin =
            has_kin || case_world_value(world, CASE_KIN, window->document_index, offset) > 2.0f;
    }
    cr_expect_eq(fires, window->kind == WINDOW_FIRING);
    if (window->kind == WINDOW_SILENT_HARD) cr_expect(has_cat, "a near miss holds the token");
    if (window->kind == WINDOW_SILENT_NEIGHBOUR) cr_expect(has_kin, "the neighbour is strong");
}

static const struct window_selection *judged_of(const struct feature_case *made,
                                                enum evidence_split split)
{
    return &made->splits[split].judged;
}

static bool is_same_window(const struct window *a, const struct window *b)
{
    return a->document_index == b->document_index && a->document_offset == b->document_offset &&
           a->n_tokens == b->n_tokens && a->kind == b->kind;
}

static void expect_same_windows(const struct window_selection *a, const struct window_selection *b)
{
    cr_assert_eq(a->n_windows, b->n_windows);
    for (size_t i = 0; i < a->n_windows; i++)
        cr_expect(is_same_window(&a->windows[i], &b->windows[i]), "window %zu", i);
}

/* --- windows ------------------------------------------------------------------------------- */

Test(feature_case, has_the_windows_that_are_wanted_and_their_kinds_are_true)
{
    struct feature_case made = build(CASE_CAT, ALL_JUDGED);
    cr_expect_eq(made.status, FEATURE_OPEN);
    for (size_t i = 0; i < N_JUDGED; i++) {
        const struct window_selection *judged = judged_of(&made, JUDGED[i]);
        cr_assert_eq(judged->n_windows, 36, "%zu", i);
        for (unsigned kind = 0; kind < WINDOW_N_KINDS; kind++)
            cr_expect_eq(judged->n_of_kind[kind], kind < WINDOW_SILENT_HARD ? 12 : 6);
        cr_expect_eq(judged->n_leaked + judged->n_mislabelled, 0);
        for (size_t w = 0; w < judged->n_windows; w++) {
            expect_true(&judged->windows[w], CASE_CAT);
            cr_expect_eq(judged->windows[w].kind, (enum window_kind)(w < 30 ? w / 12 : 3),
                         "by kind");
        }
        cr_expect_gt(window_max(&judged->windows[0]), window_max(&judged->windows[11]),
                     "from strong to weak");
    }
    feature_case_fini(&made);
    feature_case_fini(&made);
}

Test(feature_case, explain_windows_come_with_what_is_shown_of_them)
{
    struct feature_case made = build(CASE_CAT, CASE_PART_EXPLAIN);
    cr_assert_geq(made.n_explain_firing, CASE_N_TOP + CASE_N_QUANTILES);
    cr_assert_eq(made.n_explain - made.n_explain_firing, 20, "explain_silent_k");
    for (size_t i = 0; i < made.n_explain; i++) {
        expect_true(&made.explain[i], CASE_CAT);
        cr_expect_eq(made.explain[i].kind,
                     i < made.n_explain_firing ? WINDOW_FIRING : WINDOW_SILENT_RANDOM);
        if (i > 0 && i < made.n_explain_firing)
            cr_expect_leq(window_max(&made.explain[i]), window_max(&made.explain[i - 1]));
    }
    cr_expect_gt(made.n_shown, CASE_N_TOP);
    for (size_t i = 0; i < made.n_shown; i++) {
        cr_expect_lt(made.shown[i], made.n_explain_firing);
        if (i < CASE_N_TOP) cr_expect_eq(made.shown[i], i, "the strongest first");
        for (size_t j = 0; j < i; j++) cr_expect_neq(made.shown[i], made.shown[j], "each once");
    }
    feature_case_fini(&made);
}

/* --- splits -------------------------------------------------------------------------------- */

Test(feature_case, no_judged_window_is_of_another_split_or_like_an_explain_window)
{
    struct feature_case made = build(CASE_CAT, ALL_JUDGED);
    for (size_t i = 0; i < made.n_explain; i++)
        cr_expect_eq(case_world_split(made.explain[i].document_index), EVIDENCE_EXPLAIN);
    for (size_t i = 0; i < N_JUDGED; i++) {
        const struct window_selection *judged = judged_of(&made, JUDGED[i]);
        for (size_t w = 0; w < judged->n_windows; w++)
            cr_expect_eq(case_world_split(judged->windows[w].document_index), JUDGED[i]);
    }
    const struct window_selection *test = judged_of(&made, EVIDENCE_TEST);
    const uint32_t first_test = CASE_N_EXPLAIN + CASE_N_VALIDATE;
    for (size_t w = 0; w < test->n_windows; w++)
        for (size_t i = 0; i < made.n_explain; i++)
            cr_expect(test->windows[w].document_index >= first_test + CASE_N_COPIES ||
                          memcmp(test->windows[w].tokens, made.explain[i].tokens,
                                 CASE_WINDOW_TOKENS * sizeof(uint32_t)) != 0,
                      "a copy of an explain window is judged");
    cr_expect_gt(test->n_near_duplicates, 0, "the copies are dropped, and counted");
    cr_expect_eq(judged_of(&made, EVIDENCE_VALIDATE)->n_near_duplicates, 0);
    feature_case_fini(&made);
}

Test(feature_case, evidence_of_explain_documents_in_the_place_of_test_is_a_leak_that_is_counted)
{
    struct feature_case_params params = case_world_params(case_world(), CASE_CAT, CASE_PART_TEST);
    struct feature_case made;
    params.states[EVIDENCE_TEST] = params.states[EVIDENCE_EXPLAIN];
    cr_assert_eq(feature_case_build(&made, &params, NULL), ST_OK);
    const struct window_selection *test = judged_of(&made, EVIDENCE_TEST);
    cr_expect_gt(test->n_leaked, 0);
    for (size_t w = 0; w < test->n_windows; w++)
        for (size_t i = 0; i < made.n_explain; i++)
            cr_expect_neq(test->windows[w].document_index, made.explain[i].document_index);
    feature_case_fini(&made);
}

/* --- parts --------------------------------------------------------------------------------- */

Test(feature_case, parts_change_nothing_in_each_other)
{
    struct lexical_vocabulary *vocabulary = NULL;
    struct lexical_workspace *workspace = NULL;
    const struct token_texts texts = numbered_texts(CASE_N_VOCABULARY);
    cr_assert_eq(lexical_vocabulary_create(&vocabulary, &texts, NULL), ST_OK);
    cr_assert_eq(lexical_workspace_create(&workspace, vocabulary, NULL), ST_OK);
    struct feature_case_params params =
        case_world_params(case_world(), CASE_CAT, ALL_JUDGED | CASE_PART_LEXICAL | CASE_PART_CHECK);
    struct feature_case all;
    params.workspace = workspace;
    cr_assert_eq(feature_case_build(&all, &params, NULL), ST_OK);
    cr_expect(all.has_lexical);
    static const enum case_part parts[] = {CASE_PART_VALIDATE, CASE_PART_TEST, CASE_PART_OOD};
    for (size_t i = 0; i < N_JUDGED; i++) {
        struct feature_case one = build(CASE_CAT, parts[i]);
        expect_same_windows(judged_of(&one, JUDGED[i]), judged_of(&all, JUDGED[i]));
        const struct prompt_plan *plan = &one.splits[JUDGED[i]].plans[CASE_DETECTION];
        cr_expect_arr_eq(plan->order, all.splits[JUDGED[i]].plans[CASE_DETECTION].order,
                         plan->n_items * sizeof *plan->order);
        for (size_t j = 0; j < N_JUDGED; j++)
            if (j != i) cr_expect_eq(judged_of(&one, JUDGED[j])->n_windows, 0, "not asked for");
        cr_expect_eq(one.n_shown, all.n_shown);
        cr_expect_not(one.has_lexical);
        feature_case_fini(&one);
    }
    feature_case_fini(&all);
    lexical_workspace_destroy(&workspace);
    lexical_vocabulary_destroy(&vocabulary);
}

Test(feature_case, without_parts_it_is_status_and_counts_alone)
{
    const struct case_world *world = case_world();
    struct feature_case made = build(CASE_CAT, 0);
    uint64_t n_firing = 0;
    for (uint32_t document = 0; document < CASE_N_DOCUMENTS - CASE_N_OOD; document++)
        for (uint32_t i = 0; i < CASE_DOCUMENT_TOKENS; i++)
            n_firing += case_world_value(world, CASE_CAT, document, i) > 0;
    cr_expect_eq(made.counts.n_firing_tokens, n_firing, "of all splits but ood");
    cr_expect_eq(made.counts.n_tokens,
                 (CASE_N_DOCUMENTS - CASE_N_OOD) * (uint64_t)CASE_DOCUMENT_TOKENS);
    cr_expect_float_eq(made.max_value, 7.0f, 0.0, "1 + the largest even residue");
    cr_expect_null(made.explain);
    feature_case_fini(&made);
}

/* --- items and prompts --------------------------------------------------------------------- */

Test(feature_case, every_window_is_asked_about_once_in_prompts_of_at_most_ten)
{
    struct feature_case made = build(CASE_CAT, ALL_JUDGED);
    for (size_t i = 0; i < N_JUDGED; i++) {
        const struct case_split *split = &made.splits[JUDGED[i]];
        const bool has_fuzzing = JUDGED[i] != EVIDENCE_VALIDATE;
        cr_assert_eq(split->items[CASE_DETECTION].n_items, 36);
        cr_expect_eq(split->plans[CASE_DETECTION].n_prompts, 4);
        for (size_t w = 0; w < 36; w++)
            cr_expect_eq(split->items[CASE_DETECTION].items[w].window, &split->judged.windows[w]);
        /* fuzzing asks about ten firing windows again, with wrong tokens */
        cr_expect_eq(split->items[CASE_FUZZING].n_items, has_fuzzing ? 46 : 0);
        cr_expect_eq(split->plans[CASE_FUZZING].n_prompts, has_fuzzing ? 5 : 0);
    }
    feature_case_fini(&made);
}

Test(feature_case, explain_windows_to_check_are_of_both_kinds_and_rather_not_shown)
{
    struct feature_case made = build(CASE_CAT, CASE_PART_CHECK);
    const struct case_split *check = &made.splits[EVIDENCE_EXPLAIN];
    cr_assert_eq(check->judged.n_windows, 2 * CASE_N_CHECK);
    cr_expect_eq(check->judged.n_of_kind[WINDOW_FIRING], CASE_N_CHECK);
    cr_expect_eq(check->judged.n_of_kind[WINDOW_SILENT_RANDOM], CASE_N_CHECK);
    cr_expect_eq(check->items[CASE_DETECTION].n_items, 2 * CASE_N_CHECK);
    cr_expect_eq(check->items[CASE_FUZZING].n_items, 0);
    for (size_t i = 0; i < check->judged.n_windows; i++) {
        expect_true(&check->judged.windows[i], CASE_CAT);
        for (size_t s = 0; s < made.n_shown; s++)
            cr_expect_not(is_same_window(&check->judged.windows[i], &made.explain[made.shown[s]]));
        for (size_t s = 0; s < CASE_N_SHOWN_SILENT; s++)
            cr_expect_not(is_same_window(&check->judged.windows[i],
                                         &made.explain[made.n_explain_firing + s]));
    }
    feature_case_fini(&made);
}

/* --- other features ------------------------------------------------------------------------ */

Test(feature_case, a_feature_without_firing_has_no_windows_and_a_dense_one_no_silent_ones)
{
    struct feature_case never = build(CASE_NEVER, ALL_JUDGED | CASE_PART_CHECK);
    cr_expect_eq(never.status, FEATURE_DEAD);
    cr_expect(never.n_explain == 0 && judged_of(&never, EVIDENCE_TEST)->n_windows == 0);
    struct feature_case dense = build(CASE_DENSE, ALL_JUDGED);
    cr_expect_eq(dense.status, FEATURE_DENSE);
    cr_expect_eq(dense.n_explain, dense.n_explain_firing);
    cr_expect_eq(judged_of(&dense, EVIDENCE_TEST)->n_of_kind[WINDOW_SILENT_RANDOM], 0);
    struct feature_case dog = build(CASE_DOG, CASE_PART_TEST);
    cr_expect_eq(dog.status, FEATURE_TOKEN, "one token type says it all");
    cr_expect_eq(judged_of(&dog, EVIDENCE_TEST)->n_of_kind[WINDOW_SILENT_HARD], 0);
    feature_case_fini(&never);
    feature_case_fini(&dense);
    feature_case_fini(&dog);
}

Test(feature_case, a_stand_in_gives_the_test_windows_and_nothing_else)
{
    struct feature_case_params params = case_world_params(case_world(), CASE_CAT, ALL_JUDGED);
    struct feature_case own = build(CASE_CAT, ALL_JUDGED), made;
    params.stand_in = (struct case_stand_in){.is_used = true, .slot = CASE_DOG};
    memcpy(params.stand_in.states, params.states, sizeof params.states);
    cr_assert_eq(feature_case_build(&made, &params, NULL), ST_OK);
    cr_expect_eq(made.status, own.status);
    cr_expect_eq(made.n_shown, own.n_shown);
    expect_same_windows(judged_of(&made, EVIDENCE_VALIDATE), judged_of(&own, EVIDENCE_VALIDATE));
    for (size_t i = 1; i < N_JUDGED; i++) {
        const struct window_selection *judged = judged_of(&made, JUDGED[i]);
        cr_expect_eq(judged->n_of_kind[WINDOW_FIRING], 12);
        for (size_t w = 0; w < judged->n_windows; w++) expect_true(&judged->windows[w], CASE_DOG);
    }
    feature_case_fini(&made);
    feature_case_fini(&own);
}

Test(feature_case, a_firing_threshold_makes_weak_windows_silent)
{
    struct feature_case_params params = case_world_params(case_world(), CASE_CAT, CASE_PART_TEST);
    struct feature_case made;
    params.fire_threshold = 4.0f; /* 1, 3, 5 and 7 occur */
    cr_assert_eq(feature_case_build(&made, &params, NULL), ST_OK);
    const struct window_selection *test = judged_of(&made, EVIDENCE_TEST);
    cr_assert_gt(test->n_of_kind[WINDOW_FIRING], 0);
    for (size_t w = 0; w < test->n_of_kind[WINDOW_FIRING]; w++)
        for (size_t i = 0; i < test->windows[w].n_tokens; i++) {
            const float value = window_activation(&test->windows[w], i);
            cr_expect(value <= 0.0f || value > 4.0f);
        }
    for (size_t i = 0; i < made.n_explain_firing; i++)
        cr_expect_gt(window_max(&made.explain[i]), 4.0f);
    feature_case_fini(&made);
}

Test(feature_case, evidence_that_names_missing_tokens_is_corrupt)
{
    struct feature_case_params params = case_world_params(case_world(), CASE_CAT, CASE_PART_TEST);
    struct token_corpus *shorter = NULL;
    struct feature_case made;
    struct error err = {0};
    static const uint32_t tokens[] = {1, 2, 3};
    cr_assert_eq(token_corpus_create(&shorter, "/tmp", NULL), ST_OK);
    for (uint32_t i = 0; i < CASE_N_DOCUMENTS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "doc-%u", i);
        cr_assert_eq(token_corpus_add(shorter, 0, id, tokens, 3, NULL), ST_OK);
    }
    params.corpus = shorter;
    cr_expect_eq(feature_case_build(&made, &params, &err), ST_CORRUPT);
    cr_expect(strstr(err.text, "slot 0"), "%s", err.text);
    token_corpus_destroy(&shorter);
}
