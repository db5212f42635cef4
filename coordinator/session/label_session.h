/* The single-pass session of one feature: hypothesis, then score (mode: single_pass).
 *
 *      case built
 *          |  explainer lexical: the label is there        explainer LLM: one call
 *          v                                                        v
 *       LABELLED <------------------------------------------- EXPLAINING --(no label)--> DONE
 *          |  judge lexical: computed at once              judge LLM: a call per prompt
 *          v                                                        v
 *        DONE <--------------------------------------------------- JUDGING
 *
 * A feature whose status claims no score (triage.h) is DONE as soon as it has a label.
 *
 * Pure: no Redis, no clock. The owner asks for the calls that are open, sends them, and hands
 * replies in as they come, in any order; the result depends on the replies, not on their order.
 * A foreign session (the null) starts LABELLED with another feature's label. One thread. */
#ifndef COORDINATOR_SESSION_LABEL_SESSION_H
#define COORDINATOR_SESSION_LABEL_SESSION_H

#include "coordinator/session/feature_case.h"
#include "coordinator/session/prompt_classification.h"
#include "coordinator/session/prompt_explainer.h"
#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/prompt_request.h"
#include "coordinator/session/prompt_template.h"

#include <jansson.h>

/* Who is asked, and how; shared by all sessions of a sweep. */
struct session_provider {
    const char *name; /* NULL: lexical */
    const char *model;
    enum prompt_format format;
};
struct session_rules {
    struct session_provider explainer, judge;
    const struct prompt_template *explainer_template;             /* if explainer is an LLM */
    const struct prompt_template *judge_templates[CASE_N_SCORES]; /* if judge is an LLM */
    const struct token_texts *texts;
    const struct lexical_vocabulary *vocabulary;
    unsigned scores;          /* bits 1 << enum case_score */
    size_t max_prompt_tokens; /* of the explainer's prompt; 0: no cap */
};

enum session_stage { SESSION_EXPLAINING, SESSION_LABELLED, SESSION_JUDGING, SESSION_DONE };

enum { SESSION_FAILURE_SIZE = 128 };

/* A call that the session waits for. */
struct session_call {
    bool is_explainer;
    enum case_score score; /* of a judge's call */
    size_t prompt;         /* number within its plan */
    bool is_answered;
};

struct label_session {
    const struct session_rules *rules; /* borrowed */
    struct feature_case feature_case;  /* owned */
    enum session_stage stage;
    bool has_label;
    struct prompt_label label;
    char failure[SESSION_FAILURE_SIZE]; /* why there is no label, "" if there is one */
    bool is_foreign;
    struct lexical_pattern foreign_pattern;
    struct judgement *judgements[CASE_N_SCORES];         /* [items.n_items], owned */
    struct judgement *lexical_judgements[CASE_N_SCORES]; /* the baseline's; NULL: none */
    struct session_call *calls;                          /* [n_calls] of the present stage, owned */
    size_t n_calls, n_answered;
    size_t n_failed_calls; /* replies that never came or did not parse */
};

/* Takes the case (zeroing *feature_case) and goes as far as possible without a call. On ST_OK the
 * caller owns *out. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t label_session_open(struct label_session *out, const struct session_rules *rules,
                                       struct feature_case *feature_case, struct error *err);
/* The same with the label of another feature: its text for an LLM judge, its pattern for the
 * lexical one. */
MUST_CHECK status_t label_session_open_foreign(
    struct label_session *out, const struct session_rules *rules, struct feature_case *feature_case,
    const struct prompt_label *label, const struct lexical_pattern *pattern, struct error *err);
void label_session_fini(struct label_session *session);

/* The request body of call `index` < n_calls (new reference), and whom it goes to. */
MUST_CHECK status_t label_session_body(const struct label_session *session, size_t index,
                                       json_t **body, const struct session_provider **provider,
                                       struct error *err);

/* The reply of call `index`; NULL content: it failed for good. Answering twice is ignored. May
 * move to the next stage, whose calls are then new. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t label_session_answer(struct label_session *session, size_t index,
                                         const char *content, size_t n_bytes, struct error *err);

#endif
