#include "coordinator/session/window_traits.h"
#include "tests/support/session_windows.h"

enum { N_FIRING = 20, N_SILENT = 20, N_ALL = N_FIRING + N_SILENT, N_TOKENS = 16, N_WORDS = 300 };
enum { CAT, THE, FILLER };

struct bench {
    struct lexical_vocabulary *vocabulary;
    struct window windows[N_ALL];
    const struct window *all[N_ALL]; /* firing ones first */
};

/* Filler windows; every third token of all of them is " the". */
static void make_bench(struct bench *bench)
{
    struct draw draw = {21};
    struct token_texts *texts = keep_alloc(1, sizeof *texts);
    *texts = numbered_texts(N_WORDS);
    struct token_text *words = keep_alloc(N_WORDS, sizeof *words);
    memcpy(words, texts->texts, N_WORDS * sizeof *words);
    words[CAT] = (struct token_text){" cat", 4};
    words[THE] = (struct token_text){" the", 4};
    texts->texts = words;
    cr_assert_eq(lexical_vocabulary_create(&bench->vocabulary, texts, NULL), ST_OK);
    for (uint32_t i = 0; i < N_ALL; i++) {
        uint32_t *tokens = keep_alloc(N_TOKENS, sizeof *tokens);
        bench->windows[i] = drawn_window(&draw, N_TOKENS, N_WORDS - FILLER, i);
        for (size_t t = 0; t < N_TOKENS; t++)
            tokens[t] = t % 3 == 1 ? THE : FILLER + bench->windows[i].tokens[t];
        bench->windows[i].tokens = tokens;
        bench->all[i] = &bench->windows[i];
    }
}

static struct window_traits find(struct bench *bench)
{
    struct window_traits found;
    cr_assert_eq(window_traits_find(bench->vocabulary, bench->all, N_FIRING, bench->all, N_ALL,
                                    &found, NULL),
                 ST_OK);
    return found;
}

/* Traits of this kind, so many tokens before the strongest. */
static size_t n_traits_of(const struct window_traits *traits, enum lexical_term_kind kind,
                          unsigned distance)
{
    size_t n = 0;
    for (size_t t = 0; t < traits->n_traits; t++)
        n += traits->traits[t].term.kind == kind && traits->traits[t].term.distance == distance;
    return n;
}

Test(window_traits, a_word_is_one_trait_and_a_frequent_word_before_it_is_none)
{
    struct bench bench;
    make_bench(&bench);
    for (size_t i = 0; i < N_FIRING; i++)
        fire_at(&bench.windows[i], 2 + 3 * (i % 4), i < 12 ? CAT : FILLER + (uint32_t)i, 3.0f);
    struct window_traits found = find(&bench);
    cr_expect_eq(n_traits_of(&found, TERM_TOKEN, 0), 1);
    cr_expect_eq(n_traits_of(&found, TERM_FOLDED, 1), 0, "\" the\" stands before all of them");
    cr_expect_eq(n_traits_of(&found, TERM_PREFIX, 0) + n_traits_of(&found, TERM_SUFFIX, 0) +
                     n_traits_of(&found, TERM_FOLDED, 0),
                 0, "the token says it already");
    for (size_t t = 0; t < found.n_traits; t++) {
        if (found.traits[t].term.kind != TERM_TOKEN) continue;
        cr_expect(found.traits[t].n_firing == 12 && found.traits[t].background <= 0.0);
        for (size_t w = 0; w < N_FIRING; w++) cr_expect_eq(window_has_trait(&found, w, t), w < 12);
    }
    for (size_t w = 0; w < 12; w++) cr_expect(window_has_traits(&found, w));
    window_traits_fini(&found);
    lexical_vocabulary_destroy(&bench.vocabulary);
}

Test(window_traits, two_windows_of_twenty_are_too_few_for_a_trait)
{
    struct bench bench;
    make_bench(&bench);
    for (size_t i = 0; i < N_FIRING; i++)
        fire_at(&bench.windows[i], 2, i < 2 ? CAT : FILLER + 9 * (uint32_t)i, 3.0f);
    struct window_traits found = find(&bench);
    cr_expect_eq(n_traits_of(&found, TERM_TOKEN, 0), 0);
    cr_expect_eq(n_traits_of(&found, TERM_FOLDED, 0), 0);
    window_traits_fini(&found);
    lexical_vocabulary_destroy(&bench.vocabulary);
}

Test(window_traits, a_word_that_is_often_silent_is_none)
{
    struct bench bench;
    make_bench(&bench);
    for (size_t i = 0; i < N_FIRING; i++) fire_at(&bench.windows[i], 4, THE, 3.0f);
    struct window_traits found = find(&bench);
    cr_expect_eq(n_traits_of(&found, TERM_TOKEN, 0), 0);
    window_traits_fini(&found);
    lexical_vocabulary_destroy(&bench.vocabulary);
}

Test(window_traits, distance_is_one_minus_the_jaccard_index)
{
    uint64_t masks[4][WINDOW_TRAITS_WORDS] = {{7, 0, 1}, {6, 0, 1}, {0}, {0}};
    const struct window_traits traits = {.masks = masks, .n_firing = 4};
    cr_expect_float_eq(window_traits_distance(&traits, 0, 1), 0.25, 1e-15);
    cr_expect_float_eq(window_traits_distance(&traits, 1, 0), 0.25, 1e-15);
    cr_expect_float_eq(window_traits_distance(&traits, 0, 0), 0.0, 0);
    cr_expect_float_eq(window_traits_distance(&traits, 0, 2), 1.0, 0);
    cr_expect_float_eq(window_traits_distance(&traits, 2, 3), 0.0, 0, "both have none");
    cr_expect_not(window_has_traits(&traits, 2));
}

Test(window_traits, refuses_more_windows_than_it_has_room_for)
{
    struct bench bench;
    make_bench(&bench);
    const struct window *many[WINDOW_TRAITS_MAX_WINDOWS + 1];
    struct window_traits found = {.n_traits = 99};
    for (size_t i = 0; i <= WINDOW_TRAITS_MAX_WINDOWS; i++) many[i] = &bench.windows[0];
    cr_expect_eq(window_traits_find(bench.vocabulary, many, WINDOW_TRAITS_MAX_WINDOWS + 1,
                                    bench.all, N_ALL, &found, NULL),
                 ST_TOO_LARGE);
    cr_expect_eq(found.n_traits, 99);
    lexical_vocabulary_destroy(&bench.vocabulary);
}
