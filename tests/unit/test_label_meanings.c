/* A feature of two meanings goes through a session: each is labelled from its own windows and
 * judged on its own, after the one label of the feature was tested and whatever became of it. */
#include "tests/unit/session_play.h"

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) n++;
    return n;
}

static struct score_value accuracy(const struct stage_world *world,
                                   const struct label_session *session, size_t meaning)
{
    struct judgement *judgements = NULL;
    size_t n = 0;
    cr_assert_eq(
        label_session_meaning_judgements(session, &world->full, meaning, &judgements, &n, NULL),
        ST_OK);
    const struct confusion counts = score_count(judgements, n, NEGATIVES_RANDOM);
    cr_expect_eq(n, 3 * N_EACH);
    free(judgements);
    return score_balanced_accuracy(&counts);
}

Test(label_meanings, each_is_labelled_and_judged_on_its_own)
{
    static const enum session_mode modes[] = {SESSION_SINGLE_PASS, SESSION_AGENTIC};
    for (size_t m = 0; m < 2; m++) {
        struct stage_world *world = make_world(modes[m]);
        struct script *script = script_of((struct script){
            {"cats", "cats", "cats", "cats", "cats"}, .right_share = {1, 1, 1, 1, 1}, .order = 7});
        char stages[64];
        plant_meanings(world);
        struct label_session session = play(world, script, stages);
        cr_expect_str_eq(stages + strlen(stages) - 3, "tdm", "%s", stages);
        cr_assert_eq(session.n_meanings, 2);
        cr_expect_str_eq(session.meanings[0].label.text, "meaning 0");
        cr_expect_str_eq(session.meanings[1].label.text, "meaning 1");
        cr_expect_str_eq(label_session_label(&session)->text, "cats");
        const struct score_value good = accuracy(world, &session, 0),
                                 prose = accuracy(world, &session, 1);
        cr_expect(good.is_defined && good.value > 0.999, "%g", good.value);
        cr_expect(prose.is_defined && prose.value < 0.001, "what does not parse is wrong");
        label_session_fini(&session);
        end_world(world);
    }
}

/* Marked tokens in all prompts of the explainer; each window has one. */
static size_t count_marks(size_t n_shown_of_first)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    struct script *script = script_of((struct script){{"cats"}, .right_share = {1}});
    plant_meanings(world);
    world->full.groups.meanings[0].n_shown = n_shown_of_first;
    struct label_session session = play(world, script, NULL);
    const size_t n = count_of(script->prompts, "<<");
    label_session_fini(&session);
    end_world(world);
    return n;
}

Test(label_meanings, a_prompt_shows_windows_of_its_group_alone)
{
    cr_expect_eq(count_marks(5) - count_marks(2), 3);
}

Test(label_meanings, patterns_name_them_where_nobody_explains)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    struct lexical_label found = {.text = "the token \" cat\""};
    struct script *script = script_of((struct script){{"cats"}, .right_share = {1}});
    plant_meanings(world);
    world->rules.explainer = (struct session_provider){.name = NULL};
    world->full.has_lexical = world->full.groups.meanings[1].has_lexical = true;
    world->full.lexical = world->full.groups.meanings[1].lexical = found;
    struct label_session session = play(world, script, NULL);
    cr_expect(!session.meanings[0].has_label);
    cr_expect_str_eq(session.meanings[0].failure, "no token pattern separates its windows");
    cr_expect_str_eq(session.meanings[1].label.text, found.text);
    struct judgement *judgements;
    size_t n;
    cr_expect_eq(label_session_meaning_judgements(&session, &world->full, 0, &judgements, &n, NULL),
                 ST_OK);
    cr_expect_null(judgements, "nothing is judged of what has no label");
    label_session_fini(&session);
    end_world(world);
}

Test(label_meanings, a_case_without_them_is_refused)
{
    struct stage_world *world = make_world(SESSION_SINGLE_PASS);
    struct label_session session;
    struct error err = {.status = ST_OK};
    plant_meanings(world);
    cr_assert_eq(label_session_open(&session, &world->rules, &world->full, NULL, NULL), ST_OK);
    session.stage = SESSION_DISTINGUISH;
    session.is_entered = false;
    const size_t n = world->full.groups.n_meanings;
    world->full.groups.n_meanings = 1;
    cr_expect_eq(label_session_advance(&session, &world->full, &err), ST_INTERNAL);
    cr_expect_str_eq(err.text, "session: 2 meanings, the case has 1");
    world->full.groups.n_meanings = n;
    label_session_fini(&session);
    end_world(world);
}
