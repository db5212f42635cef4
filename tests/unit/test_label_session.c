/* The machine as a whole, with a scripted outside (session_play.h): which stages it passes, what it
 * asks, what is shown to whom, and that nothing depends on the order of answers. */
#include "coordinator/session/label_json.h"
#include "coordinator/session/prompt_explainer.h"
#include "coordinator/session/session_prompts.h"
#include "tests/unit/session_play.h"

#include <malloc.h>

/* --- stages -------------------------------------------------------------------------------- */

Test(label_session, single_pass_asks_one_label_and_judges_it)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    struct script *script = script_of((struct script){.labels = {"cats"}, .right_share = {1.0}});
    char stages[64];
    struct label_session session = play(world, script, stages);
    cr_expect_str_eq(stages, "ht");
    cr_expect_str_eq(label_session_label(&session)->text, "cats");
    cr_expect_null(session.sheets[SHEET_OOD][CASE_DETECTION].answers);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, a_good_label_is_tested_after_three_rounds)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of(
        (struct script){.labels = {"cats", "big cats", "felines"}, .right_share = {1.0, 0.9, 1.0}});
    char stages[64];
    struct label_session session = play(world, script, stages);
    cr_expect_str_eq(stages, "hdevhdevhdevt");
    cr_expect_eq(session.chosen, 0, "ties go to the earlier round");
    cr_expect(session.outlook == OUTLOOK_SETTLED);
    cr_expect(session.rounds.list[0].adversarial.has_passed);
    cr_expect_eq(session.rounds.list[0].experiments.n, 20);
    cr_expect_not_null(session.sheets[SHEET_OOD][CASE_DETECTION].answers);
    cr_expect_not_null(session.sheets[SHEET_LAST][CASE_DETECTION].answers);
    cr_expect_null(session.sheets[SHEET_FIRST][CASE_DETECTION].answers, "it is the chosen one");
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, a_label_that_does_not_hold_gets_five_rounds_and_the_best_is_tested)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"a b", "c d", "e f", "g h", "i j"},
                                                      .right_share = {0.5, 0.6, 0.8, 0.7, 0.8}});
    char stages[64];
    struct label_session session = play(world, script, stages);
    cr_expect_str_eq(stages, "hdevhdevhdevhdevhdevt");
    cr_expect_eq(session.chosen, 2);
    cr_expect(session.outlook != OUTLOOK_SETTLED);
    cr_expect_float_eq(session.rounds.list[2].accuracy.value, 0.8, 1e-12);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, a_feature_without_hope_is_not_paid_for_again)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"a b", "c d", "e f", "g h", "i j"},
                                                      .right_share = {0.5, 0.5, 0.5, 1.0, 1.0}});
    char stages[64];
    for (size_t patience = 0; patience < 5; patience += 2) {
        world->rules.rounds.patience = patience;
        world->rules.rounds.floor = 0.99; /* in this world a coin goes far: few windows */
        struct label_session session = play(world, script, stages);
        cr_expect_str_eq(stages, patience == 2 ? "hdevhdevhdevt" : "hdevhdevhdevhdevt",
                         "patience %zu: %s", patience, stages);
        cr_expect_eq(session.outlook, patience == 2 ? OUTLOOK_HOPELESS : OUTLOOK_SETTLED);
        label_session_fini(&session);
    }
    end_world(world);
}

Test(label_session, rounds_without_a_label_do_not_count)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"", "cats", "", "cats", "cats"},
                                                      .right_share = {0, 1.0, 0, 1.0, 1.0}});
    char stages[64];
    struct label_session session = play(world, script, stages);
    cr_expect_str_eq(stages, "hhdevhhdevhdevt");
    cr_expect_eq(session.chosen, 1);
    cr_expect(session.outlook == OUTLOOK_SETTLED, "three tested rounds");
    cr_expect_eq(session.n_failed_calls, 2);
    cr_expect(strstr(script->prompts, "Round 1: your answer held no description"));
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, five_replies_of_prose_are_the_end)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"", "", "", "", ""}});
    char stages[64];
    struct label_session session = play(world, script, stages);
    cr_expect_str_eq(stages, "hhhhh");
    cr_expect_null(label_session_label(&session));
    cr_expect(strstr(session.failure, "the explainer gave no label"), "%s", session.failure);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, adversarial_texts_are_required_of_a_good_label)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    const struct script base = {.labels = {"a a", "b b", "c c", "d d", "e e"},
                                .right_share = {1.0, 1.0, 1.0, 1.0, 1.0}};
    for (int is_required = 0; is_required < 2; is_required++) {
        struct script confirming = base;
        confirming.is_confirming = true;
        if (!is_required)
            world->rules.rounds.adversarial = (struct adversarial_rule){1.0, 0};
        else
            world->rules.rounds.adversarial = (struct adversarial_rule){0.055, 10};
        struct label_session session = play(world, script_of(confirming), NULL);
        cr_expect_eq(session.outlook == OUTLOOK_SETTLED, !is_required);
        cr_expect_eq(session.rounds.list[0].adversarial.has_passed, !is_required);
        cr_expect_eq(session.rounds.n, is_required ? 5 : 3);
        label_session_fini(&session);
    }
    struct script silent = base;
    silent.is_model_silent = true; /* near misses alone would all come out right */
    struct label_session session = play(world, script_of(silent), NULL);
    cr_expect_eq(session.rounds.list[0].adversarial.n_right, 5);
    cr_expect(session.outlook != OUTLOOK_SETTLED);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, texts_copied_from_the_examples_are_no_experiments)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"a a", "b b", "c c", "d d", "e e"},
                                                      .right_share = {1.0, 1.0, 1.0, 1.0, 1.0},
                                                      .is_copying = true});
    struct label_session session = play(world, script, NULL);
    cr_expect_eq(session.rounds.list[0].experiments.n, 0);
    cr_expect_eq(session.rounds.list[0].experiments.n_dropped, 20);
    cr_expect(!session.rounds.list[0].adversarial.has_passed);
    cr_expect(session.outlook != OUTLOOK_SETTLED);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, features_that_cannot_be_supported_get_a_single_pass)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"cats"}, .right_share = {1.0}});
    char stages[64];
    world->full.status = FEATURE_DENSE;
    struct label_session session = play(world, script, stages);
    cr_expect_str_eq(stages, "ht");
    label_session_fini(&session);
    world->full.status = FEATURE_INSUFFICIENT; /* labelled, no score claimed */
    session = play(world, script, stages);
    cr_expect_str_eq(stages, "ht");
    cr_expect_eq(session.n_asks, 0, "and none paid for");
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, brought_labels_are_tested_at_once)
{
    struct stage_world *world = make_world(SESSION_SCORE_ONLY);
    struct script *script = script_of((struct script){.labels = {"mine"}, .right_share = {0.7}});
    const struct prompt_label given = {.text = "mine"};
    struct label_session session;
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, &given, NULL), ST_OK);
    cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
    cr_assert_eq(session.stage, SESSION_TEST);
    cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
    cr_expect_eq(session.n_asks, 6, "three prompts of test and of ood");
    answer_all(world, &session, script);
    label_session_fini(&session);
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, NULL, NULL), ST_OK);
    cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
    cr_expect_eq(session.stage, SESSION_DONE);
    cr_expect_str_eq(session.failure, "no label was given");
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, moves_while_answers_are_missing_are_refused)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct label_session session;
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, NULL, NULL), ST_OK);
    cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
    cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
    cr_assert(label_session_waits(&session));
    cr_expect_eq(label_session_advance(&session, &world->full, NULL), ST_INTERNAL);
    cr_assert_eq(label_session_answer(&session, 0, &(struct session_reply){0}, NULL), ST_OK,
                 "failed for good");
    cr_expect(!label_session_waits(&session));
    label_session_fini(&session);
    end_world(world);
}

/* --- what an agent is told ----------------------------------------------------------------- */

static bool shows(const struct stage_world *world, const struct script *script,
                  const struct window *window)
{
    char text[400] = "";
    for (size_t i = 0; i < window->n_tokens; i++) /* the tokens but the one that may be marked */
        if (i < 3)
            (void)strncat(text, world->texts.texts[window->tokens[i]].bytes,
                          sizeof text - strlen(text) - 1);
    return strstr(script->prompts, text) != NULL;
}

Test(label_session, later_prompts_show_failures_and_never_validate_or_test)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"a b", "c d", "e f", "g h", "i j"},
                                                      .right_share = {0.5, 0.5, 0.5, 0.5, 0.5},
                                                      .is_model_silent = true});
    struct label_session session = play(world, script, NULL);
    cr_expect(strstr(script->prompts, "Round 4: g h\nOf your 20 texts 10 came out as you said."));
    cr_expect(strstr(script->prompts, "- you said it fires, but it is silent: hard_fires text 0"));
    cr_expect(strstr(script->prompts, "A reader who knew only this description was wrong"));
    size_t n_explain = 0;
    for (unsigned split = 0; split < EVIDENCE_N_SPLITS; split++)
        for (size_t i = 0; i < 3 * N_EACH; i++) {
            const bool is_shown =
                shows(world, script, &world->full.splits[split].judged.windows[i]);
            n_explain += split == EVIDENCE_EXPLAIN && is_shown;
            cr_expect(split == EVIDENCE_EXPLAIN || !is_shown, "split %u, window %zu", split, i);
        }
    cr_expect(n_explain > 0 && n_explain <= 6, "%zu wrong explain windows are shown", n_explain);
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, prompts_that_may_not_be_long_tell_the_labels_alone)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"a b", "c d", "e f", "g h", "i j"},
                                                      .right_share = {0.5, 0.5, 0.5, 0.5, 0.5},
                                                      .is_model_silent = true});
    world->rules.max_prompt_tokens = 620; /* of about 800 */
    struct label_session session = play(world, script, NULL);
    cr_expect_eq(session.rounds.n, 5);
    cr_expect(strstr(script->prompts, "Round 3: e f\n\nRound 4: g h"));
    cr_expect(strstr(script->prompts, "(too many to list)"));
    cr_expect(session.cut_prompts & 1u << SESSION_PROMPT_REFINE, "and the session says so");
    cr_expect_not(session.cut_prompts & 1u << SESSION_PROMPT_EXPLAINER, "the first one fits");
    label_session_fini(&session);
    end_world(world);
}

Test(label_session, a_label_that_fits_only_its_examples_fails_on_unseen_windows)
{
    /* the judge, told such a label, is right about explain windows and about no other firing one */
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct script *script = script_of((struct script){.labels = {"a b", "c d", "e f", "g h", "i j"},
                                                      .right_share = {1.0, 1.0, 1.0, 1.0, 1.0}});
    struct label_session session;
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, NULL, NULL), ST_OK);
    while (session.stage != SESSION_DONE) {
        cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
        if (!session.is_entered) continue;
        for (size_t i = 0; i < session.n_asks; i++) {
            static const char text[] = "{\"answers\": [0,0,0,0,0,0,0,0,0,0]}";
            const struct session_reply no = {text, sizeof text - 1, NULL};
            const bool is_unseen =
                session.asks[i].kind == ASK_JUDGE && session.asks[i].sheet != SHEET_CHECK;
            if (!is_unseen)
                answer(world, &session, i, script);
            else
                cr_assert_eq(label_session_answer(&session, i, &no, NULL), ST_OK);
        }
    }
    const struct session_round *round = &session.rounds.list[0];
    cr_expect_float_eq(score_balanced_accuracy(&round->check).value, 1.0, 1e-12,
                       "measured on explain windows it would be perfect");
    cr_expect_float_eq(round->accuracy.value, 0.5, 1e-12);
    cr_expect(session.outlook != OUTLOOK_SETTLED);
    label_session_fini(&session);
    end_world(world);
}

/* --- order and replay ---------------------------------------------------------------------- */

static void write_session(const struct stage_world *world, const struct label_session *session,
                          struct buffer *out)
{
    static const struct triage_input counts = {0};
    const struct label_rounds rounds = {.mode = session->mode,
                                        .rounds = &session->rounds,
                                        .chosen = session->chosen,
                                        .outlook = session->outlook};
    const struct label_record record = {.feature = 1,
                                        .counts = &counts,
                                        .texts = &world->texts,
                                        .label = label_session_label(session)->text,
                                        .rounds = &rounds};
    struct judgement *judgements;
    size_t n;
    buffer_init(out, 1 << 20);
    cr_assert_eq(label_json_write(&record, out, NULL), ST_OK);
    for (unsigned sheet = SHEET_TEST; sheet < SESSION_N_SHEETS; sheet++) {
        cr_assert_eq(label_session_judgements(session, &world->full, (enum session_sheet)sheet,
                                              CASE_DETECTION, &judgements, &n, NULL),
                     ST_OK);
        cr_expect_eq(n, 3 * N_EACH);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(buffer_printf(out, NULL, "%d", (int)judgements[i].answer), ST_OK);
        free(judgements);
    }
}

Test(label_session, the_same_answers_in_any_order_give_the_same_bytes)
{
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct buffer first;
    for (uint64_t order = 0; order < 6; order++) {
        struct script *script =
            script_of((struct script){.labels = {"a b", "c d", "e f", "g h", "i j"},
                                      .order = order,
                                      .right_share = {0.5, 0.8, 0.6, 0.7, 0.5}});
        struct label_session session = play(world, script, NULL);
        struct buffer mine;
        write_session(world, &session, &mine);
        cr_expect(order == 0 || (mine.n_bytes == first.n_bytes &&
                                 memcmp(mine.bytes, first.bytes, mine.n_bytes) == 0),
                  "order %d", (int)order);
        if (order == 0)
            first = mine;
        else
            buffer_fini(&mine);
        label_session_fini(&session);
    }
    buffer_fini(&first);
    end_world(world);
}

/* --- memory -------------------------------------------------------------------------------- */

static struct label_session waiting_in_round_five(struct stage_world *world)
{
    struct script *script = script_of((struct script){.labels = {"a b", "c d", "e f", "g h", "i j"},
                                                      .right_share = {0.5, 0.5, 0.5, 0.5, 0.5}});
    struct label_session session;
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, NULL, NULL), ST_OK);
    while (!(session.stage == SESSION_VALIDATE && session.is_entered && session.rounds.n == 5)) {
        cr_assert_eq(label_session_advance(&session, &world->full, NULL), ST_OK);
        if (session.is_entered && (session.stage != SESSION_VALIDATE || session.rounds.n < 5))
            answer_all(world, &session, script);
    }
    return session;
}

Test(label_session, a_session_that_waits_takes_a_few_kilobytes)
{
    enum { N_SESSIONS = 20, MOST_BYTES = 24 * 1024 };
    struct stage_world *world = make_world(SESSION_AGENTIC);
    struct label_session sessions[N_SESSIONS];
    sessions[0] = waiting_in_round_five(world); /* once, for what is allocated once */
    const struct mallinfo2 before = mallinfo2();
    for (size_t i = 1; i < N_SESSIONS; i++) sessions[i] = waiting_in_round_five(world);
    const struct mallinfo2 after = mallinfo2();
    const size_t n_prompts = (N_SESSIONS - 1) * (size_t)PROMPTS_SIZE; /* of the scripts: mapped */
    const size_t n_used = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    const size_t each = n_used > n_prompts ? (n_used - n_prompts) / (N_SESSIONS - 1) : 0;
    /* 16,384 of them under 400 MB; an allocator that does not count says 0 */
    cr_expect_leq(each + sizeof(struct label_session), MOST_BYTES, "%zu bytes", each);
    for (size_t i = 0; i < N_SESSIONS; i++) label_session_fini(&sessions[i]);
    end_world(world);
}
