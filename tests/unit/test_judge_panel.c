#include "coordinator/session/judge_panel.h"

#include "tests/support/session_windows.h"

enum { N = 40, N_JUDGES = 3 };

static const struct bootstrap_params PARAMS = {300, 0.95, 17, 4};

struct scene {
    struct judgement said[N_JUDGES][N];
    const struct judgement *judges[N_JUDGES];
};

/* The second judge agrees with the first nine times of ten, the third half of the time. */
static struct scene *make_scene(uint64_t seed)
{
    struct scene *made = keep_alloc(1, sizeof *made);
    struct draw draw = {seed};
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N_JUDGES; j++) {
            const bool first = made->said[0][i].answer == ANSWER_FIRES;
            const bool agrees = draw_below(&draw, 10) < (j == 1 ? 9 : 5);
            const bool fires = j == 0 ? draw_below(&draw, 2) : first == agrees;
            made->said[j][i] = (struct judgement){.document_key = 7 + i / 3,
                                                  .truth = (enum window_kind)(i % 3),
                                                  .answer = fires ? ANSWER_FIRES : ANSWER_SILENT};
        }
    made->said[2][5].answer = ANSWER_FAILED;
    for (size_t j = 0; j < N_JUDGES; j++) made->judges[j] = made->said[j];
    return made;
}

static struct judge_panel panel_of(const struct scene *scene, size_t n_judges, size_t n)
{
    struct judge_panel panel;
    cr_assert_eq(judge_panel_init(&panel, scene->judges, n_judges, n, NULL), ST_OK);
    return panel;
}

static void expect_same(const struct agreement *got, const struct agreement *want)
{
    cr_expect_float_eq(got->kappa.value, want->kappa.value, 1e-15);
    cr_expect_float_eq(got->interval.low, want->interval.low, 1e-15);
    cr_expect_float_eq(got->interval.high, want->interval.high, 1e-15);
    cr_expect_eq(got->n_windows, want->n_windows);
    cr_expect_eq(got->n_left_out, want->n_left_out);
}

Test(judge_panel, one_feature_is_measured_as_agreement_h_says)
{
    const struct scene *scene = make_scene(1);
    struct judge_panel panel = panel_of(scene, N_JUDGES, N);
    const struct judge_panel *only = &panel;
    struct panel_agreement got;
    struct agreement want;
    cr_assert_eq(judge_panel_agree(&only, 1, &PARAMS, &got, NULL), ST_OK);
    cr_expect_eq(got.n_judges, N_JUDGES);
    for (size_t j = 1; j < N_JUDGES; j++) {
        cr_assert_eq(agreement_cohen(scene->judges[0], scene->judges[j], N, &PARAMS, &want, NULL),
                     ST_OK);
        cr_expect(want.kappa.is_defined && want.interval.is_defined);
        expect_same(&got.cohen[j - 1], &want);
    }
    cr_assert_eq(agreement_fleiss(scene->judges, N_JUDGES, N, &PARAMS, &want, NULL), ST_OK);
    expect_same(&got.fleiss, &want);
    cr_expect_gt(got.cohen[0].kappa.value, got.cohen[1].kappa.value);
    judge_panel_fini(&panel);
}

Test(judge_panel, a_sweep_is_all_windows_together_in_any_order)
{
    const struct scene *a = make_scene(1), *b = make_scene(2);
    struct judge_panel one = panel_of(a, 2, N), two = panel_of(b, 2, N), none = {NULL, NULL, 0, 0};
    const struct judge_panel *list[] = {&one, &none, &two}, *turned[] = {&two, &one, &none};
    struct judgement together[2][2 * N];
    struct panel_agreement got, again;
    struct agreement want;
    for (size_t j = 0; j < 2; j++) {
        memcpy(together[j], a->said[j], sizeof a->said[j]);
        memcpy(together[j] + N, b->said[j], sizeof b->said[j]);
    }
    cr_assert_eq(judge_panel_agree(list, 3, &PARAMS, &got, NULL), ST_OK);
    cr_assert_eq(judge_panel_agree(turned, 3, &PARAMS, &again, NULL), ST_OK);
    cr_assert_eq(agreement_cohen(together[0], together[1], 2 * N, &PARAMS, &want, NULL), ST_OK);
    expect_same(&got.cohen[0], &want);
    expect_same(&again.cohen[0], &want);
    cr_expect_eq(want.n_documents, (N + 2) / 3, "documents are shared");
    judge_panel_fini(&one);
    judge_panel_fini(&two);
}

Test(judge_panel, nothing_and_other_numbers_of_judges_are_told_apart)
{
    const struct scene *scene = make_scene(3);
    struct judge_panel two = panel_of(scene, 2, N), three = panel_of(scene, 3, N), made;
    const struct judge_panel *mixed[] = {&two, &three};
    struct panel_agreement got = {.n_judges = 9};
    cr_expect_eq(judge_panel_agree(mixed, 2, &PARAMS, &got, NULL), ST_BAD_INPUT);
    cr_expect_eq(got.n_judges, 9, "untouched");
    cr_assert_eq(judge_panel_agree(mixed, 0, &PARAMS, &got, NULL), ST_OK);
    cr_expect_eq(got.n_judges, 0);
    cr_expect_eq(judge_panel_init(&made, scene->judges, 1, N, NULL), ST_BAD_INPUT);
    cr_expect_eq(judge_panel_init(&made, scene->judges, 6, N, NULL), ST_BAD_INPUT);
    judge_panel_fini(&two);
    judge_panel_fini(&three);
    judge_panel_fini(&three);
}
