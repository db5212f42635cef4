#include "coordinator/session/random_judge.h"

#include "coordinator/session/label_session.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4000 };

struct scene {
    struct window windows[N];
    struct prompt_item list[N];
    struct prompt_items items;
    struct judgement judgements[N];
};

static struct scene *begin(void)
{
    static struct scene scene; /* too large for the stack; every test is a process of its own */
    for (size_t i = 0; i < N; i++) {
        scene.windows[i] = (struct window){.document_key = 100 + i};
        scene.list[i].window = &scene.windows[i];
        scene.list[i].truth = i % 2 ? WINDOW_FIRING : WINDOW_SILENT_RANDOM;
    }
    scene.items = (struct prompt_items){.items = scene.list, .n_items = N};
    return &scene;
}

static size_t n_firing(const struct scene *scene)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++) n += scene->judgements[i].answer == ANSWER_FIRES;
    return n;
}

static size_t n_equal(struct scene *scene, const struct random_judge_params *a,
                      const struct random_judge_params *b)
{
    static struct judgement first[N];
    size_t n = 0;
    random_judge(a, &scene->items, scene->judgements);
    memcpy(first, scene->judgements, sizeof first);
    random_judge(b, &scene->items, scene->judgements);
    for (size_t i = 0; i < N; i++) n += first[i].answer == scene->judgements[i].answer;
    return n;
}

/* 4,000 fair coins: 2,000 +- 32 (one sd); 200 is more than six. */
Test(random_judge, is_a_fair_coin_that_knows_no_truth)
{
    struct scene *scene = begin();
    const struct random_judge_params params = {1, 2, 3, "cats"};
    size_t n_right = 0;
    random_judge(&params, &scene->items, scene->judgements);
    for (size_t i = 0; i < N; i++) {
        const struct judgement *one = &scene->judgements[i];
        cr_assert(one->answer == ANSWER_FIRES || one->answer == ANSWER_SILENT, "never a failure");
        cr_assert_eq(one->document_key, 100 + i);
        cr_assert_eq(one->truth, scene->list[i].truth);
        n_right += (one->answer == ANSWER_FIRES) == (one->truth == WINDOW_FIRING);
    }
    cr_expect(n_firing(scene) > N / 2 - 200 && n_firing(scene) < N / 2 + 200);
    cr_expect(n_right > N / 2 - 200 && n_right < N / 2 + 200, "%zu", n_right);
}

Test(random_judge, says_the_same_of_the_same_and_else_something_else)
{
    struct scene *scene = begin();
    static const struct random_judge_params params = {1, 2, 3, "cats"};
    static const struct random_judge_params others[] = {
        {2, 2, 3, "cats"}, {1, 3, 3, "cats"}, {1, 2, 4, "cats"}, {1, 2, 3, "dogs"}};
    cr_expect_eq(n_equal(scene, &params, &params), (size_t)N);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const size_t n = n_equal(scene, &params, &others[i]);
        cr_expect(n > N / 2 - 200 && n < N / 2 + 200, "%zu: %zu equal answers", i, n);
    }
}

/* A session whose judge is the coin: from the label to judgements without an ask. */
Test(random_judge, a_session_asks_nobody_and_is_judged)
{
    struct scene *scene = begin();
    const struct session_rules rules = {.mode = SESSION_SINGLE_PASS,
                                        .scores = 1u << CASE_DETECTION,
                                        .has_random_judge = true,
                                        .seed = 1};
    const struct prompt_label cats = {.text = "cats"}, dogs = {.text = "dogs"};
    static struct feature_case of; /* large */
    struct label_session session;
    struct judgement *judged[2] = {NULL};
    size_t n = 0;
    of.status = FEATURE_OPEN;
    of.splits[EVIDENCE_TEST].items[CASE_DETECTION] = scene->items;
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(label_session_open(&session, &rules, &of, i ? &dogs : &cats, NULL), ST_OK);
        while (session.stage != SESSION_DONE) {
            cr_assert_eq(label_session_advance(&session, &of, NULL), ST_OK);
            cr_expect(!label_session_waits(&session) && session.n_asks == 0);
        }
        cr_assert_eq(label_session_judgements(&session, &of, SHEET_TEST, CASE_DETECTION, &judged[i],
                                              &n, NULL),
                     ST_OK);
        cr_assert(judged[i] && n == N, "judged all the same");
        label_session_fini(&session);
    }
    cr_expect_neq(memcmp(judged[0], judged[1], N * sizeof *judged[0]), 0, "by label");
    free(judged[0]);
    free(judged[1]);
}
