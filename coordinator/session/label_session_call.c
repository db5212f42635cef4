/* Calls and probes of a session: bodies out, answers in. */
#include "coordinator/session/label_session_parts.h"

#include "coordinator/session/prompt_classification.h"
#include "coordinator/session/prompt_data.h"
#include "coordinator/session/prompt_explainer.h"
#include "coordinator/session/prompt_reply_experiments.h"
#include "coordinator/session/session_prompts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABEL_MAX_TOKENS = 200,
    DESIGN_BASE_TOKENS = 64,
    DESIGN_TEXT_TOKENS = 48, /* of one text */
    FIELD_MAX_BYTES = 1 << 20
};

/* --- bodies -------------------------------------------------------------------------------- */

/* The explain windows that a prompt shows: of the feature, or of one of its meanings. */
struct examples {
    const uint32_t *shown; /* [n_shown] into explain */
    size_t n_shown;
    const struct prompt_field *more; /* [n_more] further fields */
    size_t n_more;
};

static status_t build_shown(const struct label_session *session,
                            const struct feature_case *feature_case,
                            const struct prompt_template *template_,
                            const struct examples *examples, struct prompt_messages *messages,
                            struct error *err)
{
    struct window shown[CASE_N_TOP + CASE_N_QUANTILES];
    const size_t n_silent = feature_case->n_explain - feature_case->n_explain_firing;
    for (size_t i = 0; i < examples->n_shown; i++)
        shown[i] = feature_case->explain[examples->shown[i]];
    const struct prompt_explainer_params params = {
        .template_ = template_,
        .texts = session->rules->texts,
        .firing = shown,
        .n_firing = examples->n_shown,
        .silent = feature_case->explain + feature_case->n_explain_firing,
        .n_silent = n_silent < CASE_N_SHOWN_SILENT ? n_silent : (size_t)CASE_N_SHOWN_SILENT,
        .max_prompt_tokens = session->rules->max_prompt_tokens,
        .tokens_per_byte = session->rules->tokens_per_byte,
        .more = examples->more,
        .n_more = examples->n_more,
    };
    return prompt_explainer_build(&params, messages, NULL, err);
}

static status_t build_examples(const struct label_session *session,
                               const struct feature_case *feature_case,
                               const struct prompt_template *template_,
                               const struct prompt_field *more, size_t n_more,
                               struct prompt_messages *messages, struct error *err)
{
    const struct examples examples = {feature_case->shown, feature_case->n_shown, more, n_more};
    return build_shown(session, feature_case, template_, &examples, messages, err);
}

/* The first prompt of a feature, with the windows of one of its meanings alone. */
static status_t build_meaning(const struct label_session *session,
                              const struct feature_case *feature_case, size_t meaning,
                              struct prompt_messages *messages, struct error *err)
{
    const struct case_groups *groups = &feature_case->groups;
    if (meaning >= groups->n_meanings)
        return error_set(err, ST_INTERNAL, "session: a case without meaning %zu", meaning);
    const struct examples examples = {groups->meanings[meaning].shown,
                                      groups->meanings[meaning].n_shown, NULL, 0};
    return build_shown(session, feature_case, session->rules->explainer_template, &examples,
                       messages, err);
}

static const struct prompt_template *hypothesis_template(const struct label_session *session)
{
    return session->rounds.n > 1 ? session->rules->refine_template
                                 : session->rules->explainer_template;
}

static status_t build_first(const struct label_session *session,
                            const struct feature_case *feature_case,
                            struct prompt_messages *messages, struct error *err)
{
    return build_examples(session, feature_case, session->rules->explainer_template, NULL, 0,
                          messages, err);
}

static status_t build_refined(const struct label_session *session,
                              const struct feature_case *feature_case,
                              enum session_prompt_detail detail, struct prompt_messages *messages,
                              struct error *err)
{
    struct buffer history;
    buffer_init(&history, FIELD_MAX_BYTES);
    status_t status =
        session_prompt_history(&history, &session->rounds, &feature_case->splits[EVIDENCE_EXPLAIN],
                               session->rules->texts, detail, err);
    const struct prompt_field field = {PROMPT_REFINE_FIELDS[2], (const char *)history.bytes,
                                       history.n_bytes};
    if (status == ST_OK)
        status = build_examples(session, feature_case, session->rules->refine_template, &field, 1,
                                messages, err);
    buffer_fini(&history);
    return status;
}

static status_t fill_design(const struct label_session *session, enum session_prompt_detail detail,
                            struct buffer *label, struct buffer *tried, struct error *err)
{
    const char *text = session_this_round(session)->label.text;
    const status_t status = prompt_data_append(label, text, strlen(text), NULL, 0, err);
    return status == ST_OK ? session_prompt_tried(tried, &session->rounds, detail, err) : status;
}

static status_t build_design(const struct label_session *session,
                             const struct feature_case *feature_case,
                             enum session_prompt_detail detail, struct prompt_messages *messages,
                             struct error *err)
{
    struct buffer label, tried;
    char n_each[24];
    const int n_digits = snprintf(n_each, sizeof n_each, "%zu", session->rules->n_experiments_each);
    buffer_init(&label, FIELD_MAX_BYTES);
    buffer_init(&tried, FIELD_MAX_BYTES);
    status_t status = fill_design(session, detail, &label, &tried, err);
    const struct prompt_field fields[] = {
        {PROMPT_DESIGN_FIELDS[2], (const char *)label.bytes, label.n_bytes},
        {PROMPT_DESIGN_FIELDS[3], (const char *)tried.bytes, tried.n_bytes},
        {PROMPT_DESIGN_FIELDS[4], n_each, (size_t)n_digits}};
    if (status == ST_OK)
        status = build_examples(session, feature_case, session->rules->design_template, fields,
                                sizeof fields / sizeof fields[0], messages, err);
    buffer_fini(&label);
    buffer_fini(&tried);
    return status;
}

typedef status_t build_fn(const struct label_session *session,
                          const struct feature_case *feature_case,
                          enum session_prompt_detail detail, struct prompt_messages *messages,
                          struct error *err);

/* What earlier rounds add grows from round to round: where it does not fit below
 * max_prompt_tokens any more, the labels alone are told. */
static status_t build_within(build_fn *build_it, const struct label_session *session,
                             const struct feature_case *feature_case,
                             struct prompt_messages *messages, struct error *err)
{
    struct error too_large = {.status = ST_OK};
    const size_t n_system = messages->system.n_bytes, n_user = messages->user.n_bytes;
    const status_t status =
        build_it(session, feature_case, SESSION_PROMPT_FULL, messages, &too_large);
    if (status == ST_OK) return ST_OK;
    if (status != ST_TOO_LARGE) return error_set(err, status, "%s", too_large.text);
    messages->system.n_bytes = n_system;
    messages->user.n_bytes = n_user;
    messages->is_cut = true;
    return build_it(session, feature_case, SESSION_PROMPT_BRIEF, messages, err);
}

static const struct case_split *judged_split(const struct feature_case *feature_case,
                                             const struct session_ask *ask)
{
    if (ask->kind != ASK_MEANING_JUDGE)
        return &feature_case->splits[session_sheet_split(ask->sheet)];
    return ask->meaning < feature_case->groups.n_meanings
               ? &feature_case->groups.meanings[ask->meaning].test
               : NULL;
}

static status_t build_judge(const struct label_session *session,
                            const struct feature_case *feature_case, const struct session_ask *ask,
                            struct prompt_messages *messages, struct error *err)
{
    const struct prompt_label *label = ask->kind == ASK_MEANING_JUDGE
                                           ? &session->meanings[ask->meaning].label
                                           : session_sheet_label(session, ask->sheet);
    const struct case_split *split = judged_split(feature_case, ask);
    if (!split || !label || ask->index >= split->plans[ask->score].n_prompts)
        return error_set(err, ST_INTERNAL, "session: a case without prompt %u", ask->index);
    const struct prompt_classification_params params = {
        .template_ = session->rules->judge_templates[ask->score],
        .texts = session->rules->texts,
        .label = label->text,
        .items = &split->items[ask->score],
        .plan = &split->plans[ask->score],
    };
    return prompt_classification_build(&params, ask->index, messages, err);
}

static status_t build(const struct label_session *session, const struct feature_case *feature_case,
                      const struct session_ask *ask, struct prompt_messages *messages,
                      struct error *err)
{
    switch (ask->kind) {
    case ASK_LABEL:
        if (session->rounds.n == 1) return build_first(session, feature_case, messages, err);
        return build_within(build_refined, session, feature_case, messages, err);
    case ASK_DESIGN: return build_within(build_design, session, feature_case, messages, err);
    case ASK_MEANING_LABEL:
        return build_meaning(session, feature_case, ask->meaning, messages, err);
    case ASK_MEANING_JUDGE:
    case ASK_JUDGE: return build_judge(session, feature_case, ask, messages, err);
    case ASK_CHOICE: return session_intervention_messages(session, ask, messages, err);
    case ASK_SIMULATE: /* label_session_simulate.c */
    case ASK_GENERATE:
    case ASK_PROBE: break;
    }
    return error_set(err, ST_INTERNAL, "session: a probe has no body");
}

/* --- requests ------------------------------------------------------------------------------ */

static bool is_judged(const struct session_ask *ask)
{
    return ask->kind == ASK_JUDGE || ask->kind == ASK_MEANING_JUDGE;
}

static void set_wanted(const struct label_session *session, const struct session_ask *ask,
                       struct prompt_request *request)
{
    if (is_judged(ask)) {
        request->wanted = PROMPT_WANTS_ANSWERS;
        request->n_answers = answer_sheet_n_of(session_answers(session, ask), ask->index);
        request->max_tokens = prompt_request_answer_tokens(request->n_answers);
    } else if (ask->kind == ASK_CHOICE) {
        request->wanted = PROMPT_WANTS_CHOICE;
        request->n_answers = INTERVENTION_N_LABELS;
        request->max_tokens = prompt_request_answer_tokens(1);
    } else if (ask->kind == ASK_DESIGN) {
        request->wanted = PROMPT_WANTS_EXPERIMENTS;
        request->n_answers = session->rules->n_experiments_each;
        request->max_tokens =
            (uint32_t)(DESIGN_BASE_TOKENS +
                       DESIGN_TEXT_TOKENS * EXPERIMENT_N_KINDS * request->n_answers);
    } else {
        request->wanted = PROMPT_WANTS_LABEL;
        request->max_tokens = LABEL_MAX_TOKENS;
    }
}

static const struct session_provider *provider_of(const struct session_rules *rules,
                                                  const struct session_ask *ask)
{
    if (ask->kind == ASK_SIMULATE || ask->kind == ASK_MEANING_JUDGE || ask->kind == ASK_CHOICE)
        return &rules->judge;
    if (ask->kind != ASK_JUDGE) return &rules->explainer;
    return ask->judge ? &rules->more_judges[ask->judge - 1] : &rules->judge;
}

/* Which of the explainer's prompts an ask is. */
static enum session_prompt_kind prompt_kind_of(const struct label_session *session,
                                               const struct session_ask *ask)
{
    if (ask->kind == ASK_DESIGN) return SESSION_PROMPT_EXPERIMENTS;
    return ask->kind == ASK_LABEL && session->rounds.n > 1 ? SESSION_PROMPT_REFINE
                                                           : SESSION_PROMPT_EXPLAINER;
}

static status_t write_request(struct label_session *session,
                              const struct feature_case *feature_case,
                              const struct session_ask *ask, struct buffer *out, struct error *err)
{
    const struct session_provider *provider = provider_of(session->rules, ask);
    struct prompt_messages messages;
    if (ask->kind == ASK_SIMULATE) return session_simulation_request(session, ask->index, out, err);
    prompt_messages_init(&messages);
    struct prompt_request request = {
        .model = provider->model, .messages = &messages, .format = provider->format};
    status_t status = build(session, feature_case, ask, &messages, err);
    if (messages.is_cut) session->cut_prompts |= 1u << prompt_kind_of(session, ask);
    if (status == ST_OK) {
        set_wanted(session, ask, &request);
        status = prompt_request_write(&request, out, err);
    }
    prompt_messages_fini(&messages);
    return status;
}

status_t label_session_body(struct label_session *session, const struct feature_case *feature_case,
                            size_t index, json_t **body, const struct session_provider **provider,
                            struct error *err)
{
    const struct session_ask *ask = &session->asks[index];
    struct buffer text;
    buffer_init(&text, PROMPT_MAX_MESSAGE_BYTES * (size_t)8);
    *provider = provider_of(session->rules, ask);
    status_t status = write_request(session, feature_case, ask, &text, err);
    if (status == ST_OK) {
        *body = json_loadb((const char *)text.bytes, text.n_bytes, 0, NULL);
        if (!*body) status = error_set(err, ST_INTERNAL, "request body is not JSON");
    }
    buffer_fini(&text);
    return status;
}

const struct experiment *label_session_probe(const struct label_session *session, size_t index)
{
    return &session_this_round(session)->experiments.list[session->asks[index].index];
}

/* --- answers ------------------------------------------------------------------------------- */

static void take_label(struct label_session *session, const char *content, size_t n_bytes)
{
    struct session_round *round = session_this_round(session);
    struct error why = {0};
    round->has_label = content && prompt_reply_label(content, n_bytes, hypothesis_template(session),
                                                     &round->label, &why) == ST_OK;
    if (round->has_label) return;
    session->n_failed_calls++;
    (void)snprintf(round->failure, sizeof round->failure, "the explainer gave no label: %.90s",
                   content ? why.text : "no reply");
}

static status_t take_design(struct label_session *session, const char *content, size_t n_bytes,
                            struct error *err)
{
    struct session_round *round = session_this_round(session);
    struct error why = {0};
    const status_t status =
        content ? prompt_reply_experiments(content, n_bytes, session->rules->n_experiments_each,
                                           &session->rounds, &round->experiments, &why)
                : error_set(&why, ST_NOT_FOUND, "no reply");
    if (status == ST_OK) return ST_OK;
    if (status == ST_NO_MEMORY) return error_set(err, status, "%s", why.text);
    session->n_failed_calls++;
    const size_t n_dropped = round->experiments.n_dropped;
    experiments_fini(&round->experiments);
    round->experiments.n_dropped = n_dropped;
    (void)snprintf(round->design_failure, sizeof round->design_failure, "%.100s", why.text);
    return ST_OK;
}

static status_t take_answers(struct label_session *session, const struct session_ask *ask,
                             const char *content, size_t n_bytes, struct error *err)
{
    struct answer_sheet *sheet = session_answers_open(session, ask);
    const size_t n = answer_sheet_n_of(sheet, ask->index);
    enum judge_answer *answers = malloc((n + 1) * sizeof *answers);
    if (!answers) return error_set(err, ST_NO_MEMORY, "%zu answers", n);
    if (content && prompt_reply_answers(content, n_bytes, n, answers, NULL, NULL) == ST_OK)
        answer_sheet_fill(sheet, ask->index, answers);
    else
        session->n_failed_calls++;
    free(answers);
    return ST_OK;
}

static status_t take_simulation(struct label_session *session, const struct session_ask *ask,
                                const struct session_reply *reply, struct error *err)
{
    bool was_read;
    const status_t status =
        simulation_sheet_fill(&session->simulation, ask->index,
                              session_simulation_form(session->rules), reply, &was_read, err);
    session->n_failed_calls += !was_read;
    return status;
}

status_t label_session_answer(struct label_session *session, size_t index,
                              const struct session_reply *reply, struct error *err)
{
    const char *content = reply->content;
    const size_t n_bytes = reply->n_bytes;
    if (index >= session->n_asks || session->asks[index].is_answered) return ST_OK;
    const struct session_ask ask = session->asks[index];
    status_t status = ST_OK;
    if (ask.kind == ASK_LABEL)
        take_label(session, content, n_bytes);
    else if (ask.kind == ASK_DESIGN)
        status = take_design(session, content, n_bytes, err);
    else if (ask.kind == ASK_MEANING_LABEL)
        session_take_meaning_label(session, ask.meaning, content, n_bytes);
    else if (is_judged(&ask))
        status = take_answers(session, &ask, content, n_bytes, err);
    else if (ask.kind == ASK_CHOICE)
        session_take_choice(session, &ask, content, n_bytes);
    else if (ask.kind == ASK_SIMULATE)
        status = take_simulation(session, &ask, reply, err);
    if (status != ST_OK) return status;
    session->asks[index].is_answered = true;
    session->n_answered++;
    return ST_OK;
}

/* A highlight must begin and end between characters. */
static void set_peak(struct experiment *experiment, const struct session_probe *answer)
{
    const size_t begin = answer->peak_begin, end = begin + answer->peak_bytes;
    const char *text = experiment->text;
    if (answer->peak_bytes == 0 || end > experiment->n_bytes ||
        ((unsigned char)text[begin] & 0xC0) == 0x80 || ((unsigned char)text[end] & 0xC0) == 0x80)
        return;
    experiment->peak_begin = (uint32_t)begin;
    experiment->peak_bytes = answer->peak_bytes;
}

void label_session_probe_answer(struct label_session *session, size_t index,
                                const struct session_probe *answer)
{
    if (index >= session->n_asks || session->asks[index].is_answered) return;
    struct experiment *experiment =
        &session_this_round(session)->experiments.list[session->asks[index].index];
    if (answer->has_failed) {
        experiment->truth = EXPERIMENT_FAILED;
    } else if (answer->fires) {
        experiment->truth = EXPERIMENT_FIRED;
        experiment->max_value = answer->max_value;
        set_peak(experiment, answer);
    } else {
        experiment->truth = EXPERIMENT_STAYED_SILENT;
    }
    session->asks[index].is_answered = true;
    session->n_answered++;
}
