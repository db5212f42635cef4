/* The session of one feature: hypotheses, experiments, validation, one test. Stages and moves:
 * session_stages.h.
 *
 * A session takes half steps: it enters a stage, which opens its *asks* (calls to a provider,
 * probes of the target model), waits until every ask is answered, and leaves the stage. The owner
 * sends asks and hands answers in, in any order; nothing depends on the order, or on time. So a
 * session that is opened again and given the same answers is the same session: calls and probes
 * are stored by content, nothing else of a session needs to be, and a restarted coordinator
 * replays every session to where it was, at no cost.
 *
 *      open -> [case with label_session_needs()] -> advance -> asks? -> bodies -> wait
 *                        ^                                                          |
 *                        `---------- all answered <-- answer, probe_answer <--------'
 *
 * Entering and leaving need windows; waiting does not. A case (feature_case.h) is built for a
 * half step and thrown away: what stays of a waiting session is a few kilobytes.
 *
 * Pure: no Redis, no clock. One thread at a time. */
#ifndef COORDINATOR_SESSION_LABEL_SESSION_H
#define COORDINATOR_SESSION_LABEL_SESSION_H

#include "coordinator/session/answer_sheet.h"
#include "coordinator/session/feature_case.h"
#include "coordinator/session/intervention.h"
#include "coordinator/session/prompt_request.h"
#include "coordinator/session/prompt_template.h"
#include "coordinator/session/session_outlook.h"
#include "coordinator/session/session_reply.h"
#include "coordinator/session/session_rounds.h"
#include "coordinator/session/session_stages.h"
#include "coordinator/session/simulation_sheet.h"

#include <jansson.h>

/* Who is asked, and how; shared by all sessions of a sweep. */
struct session_provider {
    const char *name; /* NULL: lexical */
    const char *model;
    enum prompt_format format;
    bool has_logprobs;
};
enum { SESSION_MAX_MORE_JUDGES = 4 };
struct session_rules {
    enum session_mode mode;
    struct session_provider explainer, judge;
    struct session_provider more_judges[SESSION_MAX_MORE_JUDGES]; /* asked the same on test */
    size_t n_more_judges;
    const struct prompt_template *explainer_template;             /* if explainer is an LLM */
    const struct prompt_template *refine_template;                /* if agentic */
    const struct prompt_template *design_template;                /* if agentic */
    const struct prompt_template *judge_templates[CASE_N_SCORES]; /* if a judge is an LLM */
    const struct prompt_template *simulation_template;            /* if there is a simulation */
    const struct token_texts *texts;
    const struct lexical_vocabulary *vocabulary;
    unsigned scores;            /* bits 1 << enum case_score */
    enum case_score main_score; /* the one that decides support */
    size_t n_simulated;         /* test windows of each kind; 0: no simulation score */
    size_t max_prompt_tokens;   /* of an explainer's prompt; 0: no cap */
    double tokens_per_byte;     /* by which they are estimated; 0: a quarter */
    struct intervention_rule intervention;
    struct rounds_rule rounds; /* agentic */
    size_t n_experiments_each; /* texts of each kind; agentic */
    bool has_ood;              /* out-of-distribution windows are judged too */
    bool has_random_judge;     /* control: `judge` is nobody, its answers are coins */
    uint64_t seed;             /* of the coins */
};

/* What is judged, of which label. */
enum session_sheet {
    SHEET_CHECK,    /* explain windows, this round's label */
    SHEET_VALIDATE, /* validate windows, this round's label */
    SHEET_TEST,     /* test windows, the chosen label */
    SHEET_OOD,      /* out-of-distribution windows, the chosen label */
    SHEET_FIRST,    /* test windows, the first tested round's label: does refining pay? */
    SHEET_LAST      /* test windows, the last tested round's label */
};
enum { SESSION_N_SHEETS = 6 };

enum session_ask_kind {
    ASK_LABEL,
    ASK_DESIGN,
    ASK_JUDGE,
    ASK_SIMULATE,
    ASK_PROBE,
    ASK_MEANING_LABEL, /* of one meaning */
    ASK_MEANING_JUDGE, /* about one meaning: detection on its test windows */
    ASK_GENERATE,      /* continuations of the target model: label_session_generation() */
    ASK_CHOICE         /* which label explains a pair of them */
};
/* Else it is work for the target model. */
static inline bool session_ask_is_call(enum session_ask_kind kind)
{
    return kind != ASK_PROBE && kind != ASK_GENERATE;
}

/* A call or a probe that the session waits for. */
struct session_ask {
    enum session_ask_kind kind;
    enum session_sheet sheet; /* ASK_JUDGE */
    enum case_score score;    /* ASK_JUDGE */
    uint32_t index;           /* of the prompt, the simulated window, the round's experiment */
    uint8_t judge;            /* ASK_JUDGE: 0 the one that decides, else of more_judges, from 1 */
    uint32_t meaning;         /* ASK_MEANING_* */
    bool is_answered;
};

/* One of several meanings: a group of the firing windows with a label and scores of its own. */
struct session_meaning {
    bool has_label;
    struct prompt_label label;
    char failure[SESSION_FAILURE_SIZE]; /* why there is no label, "" if there is one */
    struct answer_sheet sheet;          /* owned; of its test windows */
};

struct label_session {
    const struct session_rules *rules; /* borrowed */
    enum session_mode mode;            /* of this feature: see label_session_open() */
    enum session_stage stage;
    bool is_entered; /* the asks of `stage` are open, or were */
    bool is_foreign;
    enum feature_status status;
    size_t n_explain_firing;
    struct lexical_label *lexical; /* the baseline, or what a lexical judge predicts with;
                                      owned; NULL: none */
    bool has_given_label;          /* foreign, or brought by the user: rounds.list[0] */
    struct session_rounds rounds;
    size_t chosen;                      /* round whose label is tested; SESSION_NO_ROUND: none */
    enum session_outlook outlook;       /* when the rounds ended */
    char failure[SESSION_FAILURE_SIZE]; /* why there is no label, "" if there is one */
    struct answer_sheet sheets[SESSION_N_SHEETS][CASE_N_SCORES];       /* owned */
    struct answer_sheet panel[SESSION_MAX_MORE_JUDGES][CASE_N_SCORES]; /* of SHEET_TEST, owned */
    struct simulation_sheet simulation;                                /* on test, owned */
    struct intervention_trial *intervention; /* owned; NULL: not a session of that score */
    struct session_meaning *meanings;        /* [n_meanings], owned; none for one meaning */
    size_t n_meanings;
    struct session_ask *asks; /* [n_asks] of the present stage, owned */
    size_t n_asks, n_answered;
    size_t n_failed_calls; /* replies that never came or did not parse */
    unsigned cut_prompts;  /* bits 1 << enum session_prompt_kind: cut to max_prompt_tokens */
};

/* A session about the feature of this case, whose CASE_PART_EXPLAIN and CASE_PART_LEXICAL are
 * there; with CASE_PART_CLUSTERS meanings are told apart once its label is tested. `given`: the
 * label that a user brought (mode score_only; NULL: none for this feature). Only features that
 * can be supported get all of the agentic loop; others a single pass. On ST_OK the caller owns
 * *out (label_session_fini). Errors: ST_NO_MEMORY. */
MUST_CHECK status_t label_session_open(struct label_session *out, const struct session_rules *rules,
                                       const struct feature_case *feature_case,
                                       const struct prompt_label *given, struct error *err);
/* With the label of another feature, for the null: its text for an LLM judge, its lexical label
 * (may be NULL) for the lexical one. */
MUST_CHECK status_t label_session_open_foreign(struct label_session *out,
                                               const struct session_rules *rules,
                                               const struct feature_case *feature_case,
                                               const struct prompt_label *label,
                                               const struct lexical_label *lexical,
                                               struct error *err);
/* For the intervention score alone: OPEN, EXPERIMENT (a generation), TEST (choices), DONE. It asks
 * about pairs, so nothing but its opening needs a case. `params` without its rule. */
MUST_CHECK status_t label_session_open_intervention(struct label_session *out,
                                                    const struct session_rules *rules,
                                                    const struct intervention_params *params,
                                                    struct error *err);
void label_session_fini(struct label_session *session); /* fine on a zeroed struct */

/* Does it wait for answers? */
bool label_session_waits(const struct label_session *session);
/* enum case_part bits that the next half step needs, also for the bodies of the asks that it
 * opens; when the session is done, those that its result needs; 0: no case at all. */
unsigned label_session_needs(const struct label_session *session);
/* The next half step; not while it waits, nor when done. Errors: ST_NO_MEMORY, ST_INTERNAL (a
 * case that is not this session's, a move that the table does not have). */
MUST_CHECK status_t label_session_advance(struct label_session *session,
                                          const struct feature_case *feature_case,
                                          struct error *err);

/* The request body of ask `index`, a call that is not answered (new reference), and whom it goes
 * to. The case is that of the half step that opened it, or one with
 * label_session_needs_of_asks(). Notes in session->cut_prompts if it had to be cut. */
MUST_CHECK status_t label_session_body(struct label_session *session,
                                       const struct feature_case *feature_case, size_t index,
                                       json_t **body, const struct session_provider **provider,
                                       struct error *err);
/* Parts that the bodies of the present asks need: to ask again. */
unsigned label_session_needs_of_asks(const struct label_session *session);
/* The text of ask `index`, a probe; borrowed. */
const struct experiment *label_session_probe(const struct label_session *session, size_t index);

/* The reply of call `index`. Answering twice is ignored. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t label_session_answer(struct label_session *session, size_t index,
                                         const struct session_reply *reply, struct error *err);
/* What the target model did on the text of probe `index`. */
struct session_probe {
    bool has_failed; /* then nothing else counts */
    bool fires;
    float max_value;
    uint32_t peak_begin, peak_bytes; /* strongest token within the text; 0, 0: not known */
};
void label_session_probe_answer(struct label_session *session, size_t index,
                                const struct session_probe *answer);

/* The generation that an ASK_GENERATE is, for this slot of this target; texts are borrowed. */
void label_session_generation(const struct label_session *session, uint32_t target, uint32_t slot,
                              struct generate_job *out);
/* What came of it. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t label_session_generation_answer(struct label_session *session, size_t index,
                                                    const struct generate_answer *answer,
                                                    struct error *err);

/* The label that is (to be) tested; NULL without one. */
const struct prompt_label *label_session_label(const struct label_session *session);

/* Judgements of one sheet, [n_items of the case's split]; *out is NULL if nothing was judged
 * (no such windows, no claim). The caller frees it. `feature_case` has what label_session_needs()
 * says. FIRST and LAST are the chosen label's where the texts are equal. Errors: ST_NO_MEMORY,
 * ST_INTERNAL. */
MUST_CHECK status_t label_session_judgements(const struct label_session *session,
                                             const struct feature_case *feature_case,
                                             enum session_sheet sheet, enum case_score score,
                                             struct judgement **out, size_t *n_out,
                                             struct error *err);
/* The same of SHEET_TEST by one of more_judges[0, n). *out is NULL also for a foreign label. */
MUST_CHECK status_t label_session_panel(const struct label_session *session,
                                        const struct feature_case *feature_case, size_t judge,
                                        enum case_score score, struct judgement **out,
                                        size_t *n_out, struct error *err);
/* The simulation score of the chosen label; out->is_there is false where there is none. Errors:
 * ST_BAD_INPUT (params), ST_NO_MEMORY, ST_INTERNAL. */
MUST_CHECK status_t label_session_simulation(const struct label_session *session,
                                             const struct feature_case *feature_case,
                                             const struct bootstrap_params *params,
                                             struct simulation_outcome *out, struct error *err);
/* The same of a meaning, about the items of its test windows (detection). The case has
 * CASE_PART_MEANINGS and CASE_PART_TEST. */
MUST_CHECK status_t label_session_meaning_judgements(const struct label_session *session,
                                                     const struct feature_case *feature_case,
                                                     size_t meaning, struct judgement **out,
                                                     size_t *n_out, struct error *err);
/* The split that a sheet is about. */
enum evidence_split session_sheet_split(enum session_sheet sheet);

#endif
