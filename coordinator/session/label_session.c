/* The machine: entering and leaving stages. */
#include "coordinator/session/label_session.h"

#include "coordinator/session/copied_examples.h"
#include "coordinator/session/label_session_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- opening ------------------------------------------------------------------------------- */

static status_t copy_lexical(struct label_session *session, const struct lexical_label *lexical,
                             struct error *err)
{
    session->lexical = malloc(sizeof *session->lexical);
    if (!session->lexical) return error_set(err, ST_NO_MEMORY, "lexical label");
    *session->lexical = *lexical;
    return ST_OK;
}

static status_t give_label(struct label_session *session, const struct prompt_label *label,
                           struct error *err)
{
    struct session_round *round;
    const status_t status = session_rounds_add(&session->rounds, &round, err);
    if (status != ST_OK) return status;
    round->has_label = true;
    round->label = *label;
    session->has_given_label = true;
    session->chosen = 0;
    return ST_OK;
}

static enum session_mode mode_of(const struct session_rules *rules, enum feature_status status)
{
    if (rules->mode == SESSION_AGENTIC && !feature_status_can_be_supported(status))
        return SESSION_SINGLE_PASS;
    return rules->mode;
}

static struct label_session begin(const struct session_rules *rules,
                                  const struct feature_case *feature_case)
{
    return (struct label_session){.rules = rules,
                                  .mode = mode_of(rules, feature_case->status),
                                  .is_entered = true,
                                  .status = feature_case->status,
                                  .n_explain_firing = feature_case->n_explain_firing,
                                  .chosen = SESSION_NO_ROUND};
}

status_t label_session_open(struct label_session *out, const struct session_rules *rules,
                            const struct feature_case *feature_case,
                            const struct prompt_label *given, struct error *err)
{
    *out = begin(rules, feature_case);
    status_t status = ST_OK;
    if (feature_case->has_lexical) status = copy_lexical(out, &feature_case->lexical, err);
    if (status == ST_OK && given) status = give_label(out, given, err);
    if (status == ST_OK) status = session_meanings_init(out, feature_case, err);
    if (status != ST_OK) label_session_fini(out);
    return status;
}

status_t label_session_open_foreign(struct label_session *out, const struct session_rules *rules,
                                    const struct feature_case *feature_case,
                                    const struct prompt_label *label,
                                    const struct lexical_label *lexical, struct error *err)
{
    *out = begin(rules, feature_case);
    out->is_foreign = true;
    status_t status = lexical ? copy_lexical(out, lexical, err) : ST_OK;
    if (status == ST_OK) status = give_label(out, label, err);
    if (status != ST_OK) label_session_fini(out);
    return status;
}

void label_session_fini(struct label_session *session)
{
    for (unsigned sheet = 0; sheet < SESSION_N_SHEETS; sheet++)
        for (unsigned score = 0; score < CASE_N_SCORES; score++)
            answer_sheet_fini(&session->sheets[sheet][score]);
    for (unsigned judge = 0; judge < SESSION_MAX_MORE_JUDGES; judge++)
        for (unsigned score = 0; score < CASE_N_SCORES; score++)
            answer_sheet_fini(&session->panel[judge][score]);
    simulation_sheet_fini(&session->simulation);
    session_rounds_fini(&session->rounds);
    session_meanings_fini(session);
    if (session->intervention) intervention_fini(session->intervention);
    free(session->intervention);
    free(session->lexical);
    free(session->asks);
    *session = (struct label_session){0};
}

/* --- asks of a stage ----------------------------------------------------------------------- */

status_t session_make_asks(struct label_session *session, size_t n, struct error *err)
{
    struct session_ask *asks = calloc(n + 1, sizeof *asks);
    if (!asks) return error_set(err, ST_NO_MEMORY, "%zu asks", n);
    free(session->asks);
    session->asks = asks;
    session->n_asks = n;
    session->n_answered = 0;
    return ST_OK;
}

static status_t open_one_call(struct label_session *session, enum session_ask_kind kind,
                              struct error *err)
{
    const status_t status = session_make_asks(session, 1, err);
    if (status == ST_OK) session->asks[0].kind = kind;
    return status;
}

static status_t open_probes(struct label_session *session, struct error *err)
{
    const size_t n = session_this_round(session)->experiments.n;
    const status_t status = session_make_asks(session, n, err);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        session->asks[i] = (struct session_ask){.kind = ASK_PROBE, .index = (uint32_t)i};
    return status;
}

/* --- entering ------------------------------------------------------------------------------ */

static void take_lexical_label(struct label_session *session, struct session_round *round)
{
    round->has_label = session->lexical != NULL;
    if (round->has_label)
        (void)snprintf(round->label.text, sizeof round->label.text, "%s", session->lexical->text);
    else
        (void)snprintf(round->failure, sizeof round->failure,
                       "no token pattern separates its windows");
}

static status_t enter_hypothesise(struct label_session *session, struct error *err)
{
    struct session_round *round;
    const status_t status = session_rounds_add(&session->rounds, &round, err);
    if (status != ST_OK) return status;
    if (session->rules->explainer.name) return open_one_call(session, ASK_LABEL, err);
    take_lexical_label(session, round);
    return ST_OK;
}

static status_t enter(struct label_session *session, const struct feature_case *feature_case,
                      struct error *err)
{
    session->is_entered = true;
    session->n_asks = session->n_answered = 0;
    switch (session->stage) {
    case SESSION_HYPOTHESISE: return enter_hypothesise(session, err);
    case SESSION_DESIGN: return open_one_call(session, ASK_DESIGN, err);
    case SESSION_EXPERIMENT: return open_probes(session, err);
    case SESSION_VALIDATE:
    case SESSION_TEST: return session_open_sheets(session, feature_case, err);
    case SESSION_DISTINGUISH: return session_enter_distinguish(session, feature_case, err);
    case SESSION_MEANINGS: return session_enter_meanings(session, feature_case, err);
    case SESSION_OPEN:
    case SESSION_DONE: break;
    }
    return error_set(err, ST_INTERNAL, "session: nothing to enter");
}

/* --- leaving: what comes next -------------------------------------------------------------- */

static enum session_stage after_open(struct label_session *session)
{
    if (session->has_given_label) return SESSION_TEST;
    if (session->mode == SESSION_SCORE_ONLY) {
        (void)snprintf(session->failure, sizeof session->failure, "no label was given");
        return SESSION_DONE;
    }
    if (session->n_explain_firing > 0) return SESSION_HYPOTHESISE;
    (void)snprintf(session->failure, sizeof session->failure,
                   session->status == FEATURE_DEAD ? "never fires" : "no explain window fires");
    return SESSION_DONE;
}

/* The rounds are over: test the best label, if there is one. */
static enum session_stage after_rounds(struct label_session *session)
{
    session->outlook = session_outlook(&session->rounds, &session->rules->rounds);
    session->chosen = session_rounds_best(&session->rounds);
    if (session->chosen != SESSION_NO_ROUND) return SESSION_TEST;
    (void)snprintf(session->failure, sizeof session->failure, "%s",
                   session_this_round(session)->failure);
    return SESSION_DONE;
}

static enum session_stage after_hypothesise(struct label_session *session)
{
    const struct session_round *round = session_this_round(session);
    if (session->mode == SESSION_AGENTIC) {
        if (round->has_label) return SESSION_DESIGN;
        return session->rounds.n < session->rules->rounds.max ? SESSION_HYPOTHESISE
                                                              : after_rounds(session);
    }
    if (round->has_label) {
        session->chosen = 0;
        return SESSION_TEST;
    }
    (void)snprintf(session->failure, sizeof session->failure, "%s", round->failure);
    return SESSION_DONE;
}

static enum session_stage after_validate(struct label_session *session)
{
    const struct rounds_rule *rule = &session->rules->rounds;
    const bool goes_on = session_outlook_goes_on(session_outlook(&session->rounds, rule));
    return goes_on && session->rounds.n < rule->max ? SESSION_HYPOTHESISE : after_rounds(session);
}

static enum session_stage next_stage(struct label_session *session)
{
    switch (session->stage) {
    case SESSION_OPEN: return after_open(session);
    case SESSION_HYPOTHESISE: return after_hypothesise(session);
    case SESSION_DESIGN:
        return session_this_round(session)->experiments.n ? SESSION_EXPERIMENT : SESSION_VALIDATE;
    case SESSION_EXPERIMENT: return SESSION_VALIDATE;
    case SESSION_VALIDATE: return after_validate(session);
    case SESSION_TEST: return session->n_meanings > 0 ? SESSION_DISTINGUISH : SESSION_DONE;
    case SESSION_DISTINGUISH: return SESSION_MEANINGS;
    case SESSION_MEANINGS:
    case SESSION_DONE: break;
    }
    return SESSION_DONE;
}

static status_t leave(struct label_session *session, const struct feature_case *feature_case,
                      struct error *err)
{
    status_t status = ST_OK;
    if (session->stage == SESSION_DESIGN)
        status = copied_examples_drop(&session_this_round(session)->experiments, feature_case,
                                      session->rules->texts, err);
    if (session->stage == SESSION_EXPERIMENT) {
        struct session_round *round = session_this_round(session);
        round->adversarial =
            experiments_adversarial(&round->experiments, &session->rules->rounds.adversarial);
    }
    if (session->stage == SESSION_VALIDATE)
        status = session_score_round(session, feature_case, err);
    if (status != ST_OK) return status;
    const enum session_stage next = next_stage(session);
    if (!session_stage_may_move(session->mode, session->stage, next))
        return error_set(err, ST_INTERNAL, "session: no move from %s to %s",
                         session_stage_name(session->stage), session_stage_name(next));
    session->stage = next;
    session->is_entered = false;
    return ST_OK;
}

/* --- half steps ---------------------------------------------------------------------------- */

bool label_session_waits(const struct label_session *session)
{
    return session->is_entered && session->n_answered < session->n_asks;
}

static bool shows_checked(const struct label_session *session)
{
    return session_rounds_last(&session->rounds) != SESSION_NO_ROUND;
}

static unsigned test_parts(const struct label_session *session)
{
    const bool has_ood =
        session->rules->has_ood && !session->is_foreign && session->mode != SESSION_SINGLE_PASS;
    return CASE_PART_TEST | (has_ood ? CASE_PART_OOD : 0u);
}

unsigned label_session_needs_of_asks(const struct label_session *session)
{
    if (session->intervention) return 0;
    switch (session->stage) {
    case SESSION_HYPOTHESISE:
        return CASE_PART_EXPLAIN | (shows_checked(session) ? CASE_PART_CHECK : 0u);
    case SESSION_DESIGN: return CASE_PART_EXPLAIN;
    case SESSION_VALIDATE: return CASE_PART_CHECK | CASE_PART_VALIDATE;
    case SESSION_TEST: return test_parts(session);
    case SESSION_DISTINGUISH: return CASE_PART_EXPLAIN | CASE_PART_MEANINGS;
    case SESSION_MEANINGS: return CASE_PART_MEANINGS | CASE_PART_TEST;
    case SESSION_OPEN:
    case SESSION_EXPERIMENT:
    case SESSION_DONE: break;
    }
    return 0;
}

unsigned label_session_needs(const struct label_session *session)
{
    if (session->intervention) return 0;
    if (session->stage == SESSION_DONE)
        return CASE_PART_EXPLAIN | test_parts(session) |
               (session->is_foreign ? 0u : CASE_PART_CLUSTERS | CASE_PART_HELD_OUT) |
               (session->n_meanings > 0 ? CASE_PART_MEANINGS : 0u);
    if (!session->is_entered || session->stage == SESSION_DESIGN ||
        session->stage == SESSION_VALIDATE)
        return label_session_needs_of_asks(session);
    return 0;
}

status_t label_session_advance(struct label_session *session,
                               const struct feature_case *feature_case, struct error *err)
{
    if (session->stage == SESSION_DONE || label_session_waits(session))
        return error_set(err, ST_INTERNAL, "session: cannot go on from %s",
                         session_stage_name(session->stage));
    if (session->intervention) return session_intervention_advance(session, err);
    return session->is_entered ? leave(session, feature_case, err)
                               : enter(session, feature_case, err);
}

const struct prompt_label *label_session_label(const struct label_session *session)
{
    return session->chosen == SESSION_NO_ROUND ? NULL
                                               : &session->rounds.list[session->chosen].label;
}
