/* Sessions of the intervention score: they come after all labels are there, because each is shown
 * beside those of other features, and go through the same hands as the sessions that made them. */
#include "coordinator/session/label_session_parts.h"

#include <stdlib.h>

status_t label_session_open_intervention(struct label_session *out,
                                         const struct session_rules *rules,
                                         const struct intervention_params *params,
                                         struct error *err)
{
    struct intervention_params own = *params;
    own.rule = &rules->intervention;
    *out = (struct label_session){
        .rules = rules, .mode = rules->mode, .is_entered = true, .chosen = SESSION_NO_ROUND};
    out->intervention = calloc(1, sizeof *out->intervention);
    if (!out->intervention) return error_set(err, ST_NO_MEMORY, "intervention");
    const status_t status = intervention_init(out->intervention, &own, err);
    if (status != ST_OK) label_session_fini(out);
    return status;
}

/* An ask a pair that the model has continued. */
static status_t open_choices(struct label_session *session, struct error *err)
{
    struct intervention_trial *intervention = session->intervention;
    size_t n = 0;
    if (session->rules->has_random_judge) {
        intervention_draw_choices(intervention);
        return ST_OK;
    }
    const status_t status = session_make_asks(session, intervention->n_pairs, err);
    for (uint32_t i = 0; i < intervention->n_pairs && status == ST_OK; i++)
        if (intervention->pairs[i].can_judge)
            session->asks[n++] = (struct session_ask){.kind = ASK_CHOICE, .index = i};
    if (status == ST_OK) session->n_asks = n;
    return status;
}

static status_t enter(struct label_session *session, struct error *err)
{
    session->is_entered = true;
    session->n_asks = session->n_answered = 0;
    if (session->stage == SESSION_TEST) return open_choices(session, err);
    const status_t status = session_make_asks(session, 1, err);
    if (status == ST_OK) session->asks[0] = (struct session_ask){.kind = ASK_GENERATE};
    return status;
}

status_t session_intervention_advance(struct label_session *session, struct error *err)
{
    if (!session->is_entered) return enter(session, err);
    const bool has_failed = session->intervention->failure[0] != '\0';
    session->is_entered = false;
    if (has_failed || session->stage == SESSION_TEST)
        session->stage = SESSION_DONE;
    else
        session->stage = session->stage == SESSION_OPEN ? SESSION_EXPERIMENT : SESSION_TEST;
    return ST_OK;
}

void label_session_generation(const struct label_session *session, uint32_t target, uint32_t slot,
                              struct generate_job *out)
{
    intervention_job(session->intervention, target, slot, out);
}

status_t label_session_generation_answer(struct label_session *session, size_t index,
                                         const struct generate_answer *answer, struct error *err)
{
    if (index >= session->n_asks || session->asks[index].is_answered) return ST_OK;
    const status_t status = intervention_take(session->intervention, answer, err);
    if (status != ST_OK) return status;
    session->asks[index].is_answered = true;
    session->n_answered++;
    return ST_OK;
}

status_t session_intervention_messages(const struct label_session *session,
                                       const struct session_ask *ask,
                                       struct prompt_messages *messages, struct error *err)
{
    return intervention_messages(session->intervention, ask->index, messages, err);
}

void session_take_choice(struct label_session *session, const struct session_ask *ask,
                         const char *content, size_t n_bytes)
{
    session->n_failed_calls +=
        !intervention_answer(session->intervention, ask->index, content, n_bytes);
}
