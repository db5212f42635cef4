/* More than one judge, and the simulation score: what is asked of whom at the test. */
#include "tests/unit/session_play.h"

#include <malloc.h>

static const struct bootstrap_params PARAMS = {200, 0.95, 17, 4};

static struct script *a_label(void)
{
    return script_of((struct script){.labels = {"w7", "w7", "w7", "w7", "w7"},
                                     .right_share = {0.8, 0.8, 0.8, 0.8, 0.8}});
}

/* Until it waits at the test, all else answered. */
static struct label_session open_at_test(struct stage_world *world, struct script *script)
{
    struct label_session session;
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, NULL, NULL), ST_OK);
    while (!(session.stage == SESSION_TEST && session.is_entered)) {
        cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
        if (session.is_entered && session.stage != SESSION_TEST)
            answer_all(world, &session, script);
    }
    return session;
}

struct tally {
    size_t n_of_judge[3], n_simulations;
};

static struct tally count_asks(const struct label_session *session)
{
    struct tally tally = {{0, 0, 0}, 0};
    for (size_t i = 0; i < session->n_asks; i++) {
        const struct session_ask *ask = &session->asks[i];
        tally.n_simulations += ask->kind == ASK_SIMULATE;
        if (ask->kind == ASK_JUDGE && ask->sheet == SHEET_TEST) tally.n_of_judge[ask->judge]++;
    }
    return tally;
}

Test(label_session_judges, the_test_asks_every_judge_the_same_and_simulates_once)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    struct script *script = a_label();
    add_judges(world, 4, 2);
    struct label_session session = open_at_test(world, script);
    const struct tally tally = count_asks(&session);
    cr_expect_eq(tally.n_of_judge[0], 3);
    cr_expect_eq(tally.n_of_judge[1], 3);
    cr_expect_eq(tally.n_of_judge[2], 3);
    cr_expect_eq(tally.n_simulations, 8);
    answer_all(world, &session, script);
    cr_expect_eq(session.n_failed_calls, 0);
    label_session_fini(&session);
    end_world(world);
}

/* The requests of two judges differ in the model alone, so that they are of the same windows. */
Test(label_session_judges, judges_get_one_prompt)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    add_judges(world, 0, 1);
    struct label_session session = open_at_test(world, a_label());
    const struct session_provider *provider;
    json_t *a = NULL, *b = NULL;
    cr_assert_eq(session.n_asks, 6);
    cr_assert_eq(label_session_body(&session, &world->full, 1, &a, &provider, NULL), ST_OK);
    cr_expect_str_eq(provider->name, "j");
    cr_assert_eq(label_session_body(&session, &world->full, 4, &b, &provider, NULL), ST_OK);
    cr_expect_str_eq(provider->name, "k");
    cr_expect(json_equal(json_object_get(a, "messages"), json_object_get(b, "messages")));
    cr_expect(!json_equal(a, b));
    json_decref(a);
    json_decref(b);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session_judges, answers_and_values_are_read_back)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    add_judges(world, 4, 1);
    struct label_session session = play(world, a_label(), NULL);
    struct simulation_outcome got;
    struct judgement *first, *second;
    size_t n, n_other;
    cr_assert_eq(label_session_simulation(&session, &world->full, &PARAMS, &got, NULL), ST_OK);
    cr_expect(got.is_there);
    cr_expect_eq(got.score.n_windows, 8);
    cr_expect_eq(got.score.n_failed, 0);
    cr_expect_eq(got.n_expected, 0, "there are no log probabilities, the numbers are read");
    cr_expect_gt(got.score.pearson.value, 0.7); /* places are right, strengths vary */
    cr_assert_eq(label_session_judgements(&session, &world->full, SHEET_TEST, CASE_DETECTION,
                                          &first, &n, NULL),
                 ST_OK);
    cr_assert_eq(
        label_session_panel(&session, &world->full, 0, CASE_DETECTION, &second, &n_other, NULL),
        ST_OK);
    cr_assert(first && second && n == n_other && n == 3 * N_EACH);
    for (size_t i = 0; i < n; i++) cr_expect_eq(first[i].answer, second[i].answer);
    free(first);
    free(second);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session_judges, a_reply_that_leaves_a_token_out_is_a_failed_window)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    struct script *script = a_label();
    script->is_mumbling = true;
    add_judges(world, 4, 0);
    struct label_session session = play(world, script, NULL);
    struct simulation_outcome got;
    cr_assert_eq(label_session_simulation(&session, &world->full, &PARAMS, &got, NULL), ST_OK);
    cr_expect(got.is_there && !got.score.pearson.is_defined);
    cr_expect_eq(got.score.n_failed, 8);
    cr_expect_eq(session.n_failed_calls, 8);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session_judges, a_foreign_label_is_simulated_but_no_further_judge_is_asked)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    const struct prompt_label label = {.text = "w7"};
    struct label_session session;
    struct judgement *none;
    size_t n;
    add_judges(world, 4, 2);
    cr_assert_eq(
        label_session_open_foreign(&session, &world->rules, &world->full, &label, NULL, NULL),
        ST_OK);
    while (!label_session_waits(&session))
        cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
    const struct tally tally = count_asks(&session);
    cr_expect_eq(tally.n_of_judge[0], 3);
    cr_expect_eq(tally.n_of_judge[1] + tally.n_of_judge[2], 0);
    cr_expect_eq(tally.n_simulations, 8);
    cr_assert_eq(label_session_panel(&session, &world->full, 0, CASE_DETECTION, &none, &n, NULL),
                 ST_OK);
    cr_expect_null(none);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session_judges, a_random_judge_simulates_with_dice_of_its_own)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    add_judges(world, 10, 1);
    world->rules.has_random_judge = true;
    world->rules.judge = world->rules.more_judges[0] = (struct session_provider){0};
    struct label_session session = play(world, a_label(), NULL);
    struct simulation_outcome got, again;
    struct judgement *first, *second;
    size_t n, n_equal = 0;
    cr_assert_eq(label_session_simulation(&session, &world->full, &PARAMS, &got, NULL), ST_OK);
    cr_assert_eq(label_session_simulation(&session, &world->full, &PARAMS, &again, NULL), ST_OK);
    cr_expect(got.is_there && got.score.n_failed == 0 && got.score.pearson.is_defined);
    cr_expect_lt(got.score.pearson.value, 0.4);
    cr_expect_float_eq(got.score.pearson.value, again.score.pearson.value, 1e-15);
    cr_assert_eq(label_session_judgements(&session, &world->full, SHEET_TEST, CASE_DETECTION,
                                          &first, &n, NULL),
                 ST_OK);
    cr_assert_eq(label_session_panel(&session, &world->full, 0, CASE_DETECTION, &second, &n, NULL),
                 ST_OK);
    for (size_t i = 0; i < n; i++) n_equal += first[i].answer == second[i].answer;
    cr_expect(n_equal > 5 && n_equal < 25, "each judge has its own: %zu of 30", n_equal);
    free(first);
    free(second);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session_judges, with_a_simulation_open_a_session_still_takes_a_few_kilobytes)
{
    enum { N_SESSIONS = 20, MOST_BYTES = 24 * 1024 };
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct label_session sessions[N_SESSIONS];
    struct script *script = a_label();
    add_judges(world, 5, 2);
    sessions[0] = open_at_test(world, script);
    const struct mallinfo2 before = mallinfo2();
    for (size_t i = 1; i < N_SESSIONS; i++) sessions[i] = open_at_test(world, script);
    const struct mallinfo2 after = mallinfo2();
    const size_t each = (after.uordblks - before.uordblks) / (N_SESSIONS - 1);
    cr_expect_eq(count_asks(&sessions[1]).n_simulations, 10);
    cr_expect_leq(each + sizeof(struct label_session), MOST_BYTES, "%zu bytes", each);
    for (size_t i = 0; i < N_SESSIONS; i++) label_session_fini(&sessions[i]);
    end_world(world);
}
