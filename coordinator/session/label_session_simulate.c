/* The simulation score of a session: one call about each window, token by token, at the test. */
#include "coordinator/session/label_session_parts.h"
#include "coordinator/session/random_judge.h"

#include <stdlib.h>

enum simulation_form session_simulation_form(const struct session_rules *rules)
{
    return rules->judge.has_logprobs ? SIMULATION_LOGPROBS : SIMULATION_SCALE;
}

static bool wants_simulation(const struct label_session *session,
                             const struct feature_case *feature_case)
{
    const struct case_split *test = &feature_case->splits[EVIDENCE_TEST];
    return session->rules->n_simulated > 0 && session_claims_score(session) &&
           test->judged.n_of_kind[WINDOW_FIRING] > 0;
}

static status_t init_sheet(const struct label_session *session,
                           const struct feature_case *feature_case, struct simulation_sheet *out,
                           struct error *err)
{
    return simulation_sheet_init(out, &feature_case->splits[EVIDENCE_TEST].judged,
                                 session->rules->n_simulated, session->rules->texts, err);
}

status_t session_open_simulation(struct label_session *session,
                                 const struct feature_case *feature_case, struct error *err)
{
    simulation_sheet_fini(&session->simulation);
    if (session->stage != SESSION_TEST || !session->rules->judge.name ||
        !wants_simulation(session, feature_case))
        return ST_OK;
    const status_t status = init_sheet(session, feature_case, &session->simulation, err);
    for (uint32_t i = 0; i < session->simulation.n_windows; i++)
        session->asks[session->n_asks++] = (struct session_ask){.kind = ASK_SIMULATE, .index = i};
    return status;
}

status_t session_simulation_request(const struct label_session *session, size_t index,
                                    struct buffer *out, struct error *err)
{
    const struct session_provider *judge = &session->rules->judge;
    const struct simulation_prompt prompt = {
        .form = session_simulation_form(session->rules),
        .template_ = session->rules->simulation_template,
        .label = label_session_label(session)->text,
        .tokens = &session->simulation.texts[index].tokens,
    };
    struct prompt_messages messages;
    prompt_messages_init(&messages);
    status_t status = simulation_prompt_build(&prompt, &messages, err);
    if (status == ST_OK)
        status =
            simulation_request_write(&prompt, &messages, judge->model, judge->format, out, err);
    prompt_messages_fini(&messages);
    return status;
}

/* A random judge's numbers are made when they are read. */
static status_t measure_coins(const struct label_session *session,
                              const struct feature_case *feature_case,
                              const struct bootstrap_params *params, struct simulation_outcome *out,
                              struct error *err)
{
    const uint64_t windows = UINT64_MAX / 2; /* apart from those of the sheets */
    const struct random_judge_params coins =
        session_coins(session, feature_case, SHEET_TEST, windows);
    struct simulation_sheet sheet = {NULL, 0};
    status_t status = init_sheet(session, feature_case, &sheet, err);
    if (status == ST_OK) status = random_judge_simulate(&coins, &sheet, err);
    if (status == ST_OK)
        status = simulation_sheet_measure(&sheet, &feature_case->splits[EVIDENCE_TEST].judged,
                                          session->rules->n_simulated, params, out, err);
    simulation_sheet_fini(&sheet);
    return status;
}

status_t label_session_simulation(const struct label_session *session,
                                  const struct feature_case *feature_case,
                                  const struct bootstrap_params *params,
                                  struct simulation_outcome *out, struct error *err)
{
    *out = (struct simulation_outcome){.is_there = false,
                                       .form = session_simulation_form(session->rules)};
    if (!wants_simulation(session, feature_case)) return ST_OK;
    if (session->rules->has_random_judge)
        return measure_coins(session, feature_case, params, out, err);
    if (!session->simulation.texts) return ST_OK;
    return simulation_sheet_measure(&session->simulation,
                                    &feature_case->splits[EVIDENCE_TEST].judged,
                                    session->rules->n_simulated, params, out, err);
}
