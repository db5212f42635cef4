#include "coordinator/session/label_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPLAINER_MAX_TOKENS = 200 };

/* --- judging ------------------------------------------------------------------------------- */

static bool wants(const struct label_session *session, enum case_score score)
{
    return (session->rules->scores & (1u << score)) &&
           session->feature_case.items[score].n_items > 0;
}

static status_t allocate_judgements(struct label_session *session, struct judgement **list,
                                    struct error *err)
{
    for (unsigned score = 0; score < CASE_N_SCORES; score++) {
        const size_t n = session->feature_case.items[score].n_items;
        if (!wants(session, (enum case_score)score)) continue;
        list[score] = calloc(n, sizeof *list[score]);
        if (!list[score]) return error_set(err, ST_NO_MEMORY, "%zu judgements", n);
    }
    return ST_OK;
}

static void judge_lexically(struct label_session *session, const struct lexical_pattern *pattern,
                            struct judgement **list)
{
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        if (list[score])
            feature_case_judge_lexically(&session->feature_case, (enum case_score)score, pattern,
                                         session->rules->vocabulary, list[score]);
}

static status_t open_judge_calls(struct label_session *session, struct error *err)
{
    size_t n = 0;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        if (wants(session, (enum case_score)score))
            n += session->feature_case.plans[score].n_prompts;
    struct session_call *calls = calloc(n + 1, sizeof *calls);
    if (!calls) return error_set(err, ST_NO_MEMORY, "%zu calls", n);
    free(session->calls);
    session->calls = calls;
    session->n_calls = session->n_answered = 0;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (size_t i = 0; wants(session, (enum case_score)score) &&
                           i < session->feature_case.plans[score].n_prompts;
             i++)
            calls[session->n_calls++] =
                (struct session_call){.score = (enum case_score)score, .prompt = i};
    session->stage = n ? SESSION_JUDGING : SESSION_DONE;
    return ST_OK;
}

static const struct lexical_pattern *own_pattern(const struct label_session *session)
{
    return session->is_foreign ? &session->foreign_pattern : &session->feature_case.lexical.pattern;
}

/* Where no score may be claimed, none is paid for. */
static status_t start_judging(struct label_session *session, struct error *err)
{
    session->stage = SESSION_DONE;
    if (!feature_status_claims_score(session->feature_case.status)) return ST_OK;
    status_t status = allocate_judgements(session, session->judgements, err);
    if (status != ST_OK) return status;
    if (session->rules->judge.name) return open_judge_calls(session, err);
    judge_lexically(session, own_pattern(session), session->judgements);
    session->stage = SESSION_DONE;
    return ST_OK;
}

/* --- opening ------------------------------------------------------------------------------- */

static void take_lexical_label(struct label_session *session)
{
    session->has_label = session->feature_case.has_lexical;
    (void)snprintf(session->label.text, sizeof session->label.text, "%s",
                   session->feature_case.lexical.text);
    if (!session->has_label)
        (void)snprintf(session->failure, sizeof session->failure,
                       "no token pattern separates its windows");
}

static status_t open_explainer_call(struct label_session *session, struct error *err)
{
    session->calls = calloc(1, sizeof *session->calls);
    if (!session->calls) return error_set(err, ST_NO_MEMORY, "call");
    session->calls[0].is_explainer = true;
    session->n_calls = 1;
    session->stage = SESSION_EXPLAINING;
    return ST_OK;
}

static status_t label_it(struct label_session *session, struct error *err)
{
    const struct feature_case *feature_case = &session->feature_case;
    session->stage = SESSION_DONE;
    if (feature_case->n_explain_firing == 0) {
        (void)snprintf(session->failure, sizeof session->failure,
                       feature_case->status == FEATURE_DEAD ? "never fires"
                                                            : "no explain window fires");
        return ST_OK;
    }
    if (session->rules->explainer.name) return open_explainer_call(session, err);
    take_lexical_label(session);
    return session->has_label ? start_judging(session, err) : ST_OK;
}

static status_t judge_baseline(struct label_session *session, struct error *err)
{
    if (!session->feature_case.has_lexical) return ST_OK;
    const status_t status = allocate_judgements(session, session->lexical_judgements, err);
    if (status == ST_OK)
        judge_lexically(session, &session->feature_case.lexical.pattern,
                        session->lexical_judgements);
    return status;
}

status_t label_session_open(struct label_session *out, const struct session_rules *rules,
                            struct feature_case *feature_case, struct error *err)
{
    *out = (struct label_session){.rules = rules, .feature_case = *feature_case};
    *feature_case = (struct feature_case){0};
    status_t status = judge_baseline(out, err);
    if (status == ST_OK) status = label_it(out, err);
    if (status != ST_OK) label_session_fini(out);
    return status;
}

status_t label_session_open_foreign(struct label_session *out, const struct session_rules *rules,
                                    struct feature_case *feature_case,
                                    const struct prompt_label *label,
                                    const struct lexical_pattern *pattern, struct error *err)
{
    *out = (struct label_session){.rules = rules,
                                  .feature_case = *feature_case,
                                  .has_label = true,
                                  .label = *label,
                                  .is_foreign = true};
    *feature_case = (struct feature_case){0};
    if (pattern) out->foreign_pattern = *pattern;
    const status_t status = start_judging(out, err);
    if (status != ST_OK) label_session_fini(out);
    return status;
}

void label_session_fini(struct label_session *session)
{
    feature_case_fini(&session->feature_case);
    for (unsigned score = 0; score < CASE_N_SCORES; score++) {
        free(session->judgements[score]);
        free(session->lexical_judgements[score]);
    }
    free(session->calls);
    *session = (struct label_session){0};
}

/* --- asking -------------------------------------------------------------------------------- */

static status_t build_explainer(const struct label_session *session,
                                struct prompt_messages *messages, struct error *err)
{
    const struct feature_case *fc = &session->feature_case;
    struct window shown[CASE_N_TOP + CASE_N_QUANTILES];
    const size_t n_silent = fc->n_explain - fc->n_explain_firing;
    for (size_t i = 0; i < fc->n_shown; i++) shown[i] = fc->explain[fc->shown[i]];
    const struct prompt_explainer_params params = {
        .template_ = session->rules->explainer_template,
        .texts = session->rules->texts,
        .firing = shown,
        .n_firing = fc->n_shown,
        .silent = fc->explain + fc->n_explain_firing,
        .n_silent = n_silent < CASE_N_SHOWN_SILENT ? n_silent : (size_t)CASE_N_SHOWN_SILENT,
        .max_prompt_tokens = session->rules->max_prompt_tokens,
    };
    return prompt_explainer_build(&params, messages, NULL, err);
}

static status_t build_judge(const struct label_session *session, const struct session_call *call,
                            struct prompt_messages *messages, struct error *err)
{
    const struct prompt_classification_params params = {
        .template_ = session->rules->judge_templates[call->score],
        .texts = session->rules->texts,
        .label = session->label.text,
        .items = &session->feature_case.items[call->score],
        .plan = &session->feature_case.plans[call->score],
    };
    return prompt_classification_build(&params, call->prompt, messages, err);
}

static size_t n_answers_of(const struct label_session *session, const struct session_call *call)
{
    size_t n = 0;
    if (!call->is_explainer)
        (void)prompt_plan_range(&session->feature_case.plans[call->score], call->prompt, &n);
    return n;
}

static status_t write_body(const struct session_provider *provider, size_t n_answers,
                           const struct prompt_messages *messages, json_t **body, struct error *err)
{
    struct buffer text;
    buffer_init(&text, PROMPT_MAX_MESSAGE_BYTES * (size_t)8);
    const struct prompt_request request = {
        .model = provider->model,
        .messages = messages,
        .max_tokens =
            n_answers ? prompt_request_answer_tokens(n_answers) : (uint32_t)EXPLAINER_MAX_TOKENS,
        .format = provider->format,
        .n_answers = n_answers,
    };
    status_t status = prompt_request_write(&request, &text, err);
    if (status == ST_OK) {
        *body = json_loadb((const char *)text.bytes, text.n_bytes, 0, NULL);
        if (!*body) status = error_set(err, ST_INTERNAL, "request body is not JSON");
    }
    buffer_fini(&text);
    return status;
}

status_t label_session_body(const struct label_session *session, size_t index, json_t **body,
                            const struct session_provider **provider, struct error *err)
{
    const struct session_call *call = &session->calls[index];
    struct prompt_messages messages;
    prompt_messages_init(&messages);
    *provider = call->is_explainer ? &session->rules->explainer : &session->rules->judge;
    status_t status = call->is_explainer ? build_explainer(session, &messages, err)
                                         : build_judge(session, call, &messages, err);
    if (status == ST_OK)
        status = write_body(*provider, n_answers_of(session, call), &messages, body, err);
    prompt_messages_fini(&messages);
    return status;
}

/* --- answers ------------------------------------------------------------------------------- */

static status_t take_label(struct label_session *session, const char *content, size_t n_bytes,
                           struct error *err)
{
    struct error why = {0};
    session->has_label =
        content && prompt_reply_label(content, n_bytes, session->rules->explainer_template,
                                      &session->label, &why) == ST_OK;
    session->stage = SESSION_DONE;
    if (session->has_label) return start_judging(session, err);
    session->n_failed_calls++;
    (void)snprintf(session->failure, sizeof session->failure, "the explainer gave no label: %.90s",
                   content ? why.text : "no reply");
    return ST_OK;
}

static status_t take_answers(struct label_session *session, const struct session_call *call,
                             const char *content, size_t n_bytes, struct error *err)
{
    const size_t n = n_answers_of(session, call);
    enum judge_answer *answers = malloc((n + 1) * sizeof *answers);
    if (!answers) return error_set(err, ST_NO_MEMORY, "%zu answers", n);
    const bool is_good =
        content && prompt_reply_answers(content, n_bytes, n, answers, NULL, NULL) == ST_OK;
    if (!is_good) session->n_failed_calls++;
    prompt_plan_judge(&session->feature_case.plans[call->score],
                      &session->feature_case.items[call->score], call->prompt,
                      is_good ? answers : NULL, session->judgements[call->score]);
    free(answers);
    if (session->n_answered == session->n_calls) session->stage = SESSION_DONE;
    return ST_OK;
}

status_t label_session_answer(struct label_session *session, size_t index, const char *content,
                              size_t n_bytes, struct error *err)
{
    if (index >= session->n_calls || session->calls[index].is_answered) return ST_OK;
    session->calls[index].is_answered = true;
    session->n_answered++;
    const struct session_call call = session->calls[index];
    return call.is_explainer ? take_label(session, content, n_bytes, err)
                             : take_answers(session, &call, content, n_bytes, err);
}
