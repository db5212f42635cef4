/* What the files of the scoring phase share. Private to coordinator/sweep/label_*.c. */
#ifndef COORDINATOR_SWEEP_LABEL_SCORING_PARTS_H
#define COORDINATOR_SWEEP_LABEL_SCORING_PARTS_H

#include "coordinator/session/feature_type.h"
#include "coordinator/session/judge_panel.h"
#include "coordinator/session/label_session.h"
#include "coordinator/session/null_model.h"
#include "coordinator/session/output_pattern.h"
#include "coordinator/session/score_summary.h"
#include "coordinator/session/support.h"
#include "coordinator/sweep/call_archive.h"
#include "coordinator/sweep/call_index.h"
#include "coordinator/sweep/generate_pool.h"
#include "coordinator/sweep/label_import.h"
#include "coordinator/sweep/label_run.h"
#include "coordinator/sweep/label_scoring.h"
#include "coordinator/sweep/probe_pool.h"

#include <jansson.h>

enum {
    KEPT_WINDOWS = 4,
    BLOCK_SESSIONS = 32,       /* brought on by one background job */
    OPEN_SESSIONS_MAX = 16384, /* a waiting one takes a few kilobytes */
    SCORING_N_TEMPLATES = 6 + CASE_N_SCORES
};

/* Scores of one label, by score and kind of negatives; only where has[] says so. */
struct slot_scores {
    bool has[CASE_N_SCORES][SCORE_N_NEGATIVES];
    struct score_summary summary[CASE_N_SCORES][SCORE_N_NEGATIVES];
};

/* What several judges said of the test windows, and how they agree. */
struct slot_panel {
    struct judge_panel answers[CASE_N_SCORES];
    struct panel_agreement agreement[CASE_N_SCORES];
};

/* What an agentic or score-only session has beside the result of a single pass. */
struct session_history {
    enum session_mode mode; /* of this feature */
    struct session_rounds rounds;
    size_t chosen; /* SESSION_NO_ROUND: none */
    enum session_outlook outlook;
    struct slot_scores ood; /* of the chosen label */
    bool has_refinement;
    struct score_comparison refinement; /* last tested round minus the first, on test */
};

/* One of several meanings of a feature: detection on test windows of its group alone. */
struct slot_meaning {
    bool has_label;
    struct prompt_label label;
    char no_label[SESSION_FAILURE_SIZE];
    size_t n_windows; /* explain windows of the group */
    bool has_lexical;
    char lexical[LEXICAL_LABEL_SIZE]; /* the pattern that tells the group from silent windows */
    bool has[SCORE_N_NEGATIVES];      /* of both */
    struct score_summary own[SCORE_N_NEGATIVES];
    bool has_baseline[SCORE_N_NEGATIVES]; /* beside an LLM judge's */
    struct score_summary baseline[SCORE_N_NEGATIVES];
};

struct slot_meanings {
    struct slot_meaning *list; /* [n], owned */
    size_t n;
    uint32_t n_test_firing, n_test_grouped; /* test windows looked at; those with a group */
};

/* What stays of a slot once its session is over: everything its record says. */
struct slot_result {
    bool is_done;
    enum feature_status status;
    struct triage_input counts;
    float max_value;
    bool has_label;
    struct prompt_label label;
    char no_label[SESSION_FAILURE_SIZE]; /* why there is no label */
    bool has_lexical;
    struct lexical_label lexical;
    struct slot_scores own;
    struct slot_scores baseline; /* of the lexical label, beside an LLM's */
    struct score_comparison versus[CASE_N_SCORES][SCORE_N_NEGATIVES]; /* where baseline.has */
    struct simulation_outcome simulation;
    struct intervention_outcome intervention;
    struct slot_panel *panel; /* owned; NULL: one judge */
    char *judged;             /* its line of judged.jsonl; owned; NULL: not kept */
    bool has_typing;
    struct feature_typing typing;
    bool has_output_label;
    char output_label[LEXICAL_LABEL_SIZE]; /* what the tokens that it promotes share */
    struct slot_meanings meanings;         /* none where there is one group of windows */
    struct session_history *history;       /* of more than a single pass; owned; NULL: none */
    unsigned cut_prompts;                  /* of the session */
    uint32_t n_leaked, n_mislabelled, n_near_duplicates, n_shared_documents;
    struct window kept[KEPT_WINDOWS]; /* evidence; point into the arenas */
    size_t n_kept;
    uint32_t *tokens; /* owned arenas of the kept windows */
    float *activations;
};

/* A slot of a target, in the order of the results file. */
struct slot_name {
    uint32_t target;
    uint32_t slot;
    uint64_t feature; /* number of the feature or unit */
    int sign;         /* 0, or +1 / -1 for signed units */
};

/* What the null says of every slot. Made whole by a background job, then shown by the loop: a
 * record never has half of it. */
struct label_verdicts {
    struct null_model null_models[CASE_N_SCORES][SCORE_N_NEGATIVES];
    struct support (*support)[CASE_N_SCORES][SCORE_N_NEGATIVES]; /* [n_slots] */
    struct support *support_ood; /* [n_slots], of the main score; unless single pass */
    struct null_model simulation_null;
    struct support *simulation_support; /* [n_slots] */
    int64_t n_supported;
};

/* Where an open session is. Only a job touches the session of IN_JOB, only the loop any other. */
enum open_place {
    OPEN_IN_JOB,  /* a background job brings it to its next wait, or to its end */
    OPEN_ASKING,  /* its asks are to go out */
    OPEN_WAITING, /* for answers */
    OPEN_READY    /* a job is to take it */
};

/* A session from its first case to its last answer. */
struct open_session {
    struct label_session session;
    size_t index; /* of the slot, or of the pair for a foreign session */
    enum open_place place;
    bool is_new;                         /* the session is not opened yet: the first job does it */
    bool is_awaited;                     /* the calls of its stage are in scoring->waiters */
    size_t n_probes_asked;               /* of its stage's asks */
    size_t position;                     /* in scoring->open */
    struct open_session *next;           /* in the list of those that ask, or are ready */
    unsigned char (*ids)[CALL_ID_BYTES]; /* [n_ids] of the present asks, owned; a probe's when it
                                            was asked */
    size_t n_ids;
    struct call *calls;  /* [n_calls] prepared by the job, until they are out; owned */
    uint32_t *call_asks; /* [n_calls] the ask of each */
    size_t n_calls;
    int64_t check_ms;           /* when to ask the store what became of its calls */
    char *judged;               /* made when the test is over, if it is kept; owned */
    struct slot_result *result; /* made by the job when the session is done; owned */
    bool has_foreign[CASE_N_SCORES][SCORE_N_NEGATIVES]; /* scores of a foreign session */
    double foreign[CASE_N_SCORES][SCORE_N_NEGATIVES];
    struct score_value foreign_simulation;
    struct intervention_outcome intervention; /* of such a session, made by the job */
};

struct open_list {
    struct open_session *first, *last;
};

enum scoring_pass {
    PASS_CONTROL,
    PASS_LABELS,
    PASS_INTERVENE,
    PASS_NULL,
    PASS_DECIDE,
    PASS_WRITE,
    PASS_DONE
};

struct label_scoring {
    struct label_run *run;
    struct session_rules rules;
    struct prompt_template *templates[SCORING_N_TEMPLATES]; /* label_scoring.c names them; owned */
    struct label_import *import;                            /* mode score_only; owned */
    struct token_text *texts;                               /* owned array */
    struct token_texts token_texts;
    struct lexical_vocabulary *vocabulary;
    struct output_background *output_background; /* owned */
    struct lexical_workspace **workspaces;       /* free ones, owned */
    size_t n_workspaces;

    enum scoring_pass pass;
    size_t n_slots;              /* to be labelled, of all targets */
    size_t *slots;               /* [n_slots] number of the slot over all targets, ascending */
    uint32_t *partners;          /* [n_slots] control permuted: whose windows are judged; a slot
                                    itself where nothing is judged; NULL: no such control */
    struct slot_result *results; /* [n_slots] */
    size_t next_slot, n_done;
    size_t n_statuses[FEATURE_N_STATUSES];
    size_t n_types[FEATURE_N_TYPES]; /* of those that have a type */
    size_t n_labelled;

    size_t *steered; /* [n_steered] slots that have an intervention score; owned */
    size_t n_steered, next_steered, n_steered_done;
    struct generate_pool *generations; /* of that score; owned */

    struct null_pair *pairs; /* [n_pairs]; indices into scored[] */
    size_t n_pairs, next_pair, n_pairs_done;
    char **null_judged; /* [n_pairs] lines of judged-null.jsonl, each owned; NULL: not kept */
    size_t *scored;     /* slots that have label and score */
    size_t n_scored;
    double *null_scores[CASE_N_SCORES][SCORE_N_NEGATIVES]; /* [n_null] of room n_pairs */
    size_t n_null[CASE_N_SCORES][SCORE_N_NEGATIVES];
    double *null_simulation; /* [n_null_simulation] of room n_pairs */
    size_t n_null_simulation;
    struct label_verdicts *verdicts; /* owned; NULL until decided, or without a null model */
    struct label_verdicts *decided;  /* owned; of the job that runs */

    bool has_budget;            /* the ledger knows it */
    bool has_token_ratio;       /* rules.tokens_per_byte is what the sweep keeps */
    struct open_session **open; /* [n_open], each owned */
    size_t n_open, open_capacity;
    struct open_list asking, ready;
    size_t n_ready;
    struct call_index *waiters;   /* owned */
    struct probe_pool *probes;    /* mode agentic; owned */
    struct call_archive *archive; /* what was asked; owned; NULL: nobody is asked */
    size_t next_checked;          /* position in open of the next one to check */
    char cursor[CALL_CURSOR_SIZE];
    bool has_cursor;
    int64_t next_check_ms;
    size_t n_jobs;                   /* blocks of sessions in the background */
    char problem[SWEEP_REASON_SIZE]; /* why calls do not move, "" if they do */
};

/* label_slots.c: which slots are labelled, and what they are called */
status_t label_slots_choose(struct label_scoring *scoring, struct error *err);
struct slot_name label_slot_name(const struct label_scoring *scoring, size_t index);
/* The feature's number in records: the unit's own, or for signed units 2 * unit for the positive
 * side and 2 * unit + 1 for the negative. */
uint64_t label_slot_feature(const struct label_scoring *scoring, size_t index);
/* Which of the slots that are labelled has that number in records; false if none. */
bool label_slots_find(const struct label_scoring *scoring, size_t target, uint64_t feature,
                      size_t *index);
/* The number that names the slot in every draw: the same whichever other slots are labelled. */
uint64_t label_slot_subject(const struct label_scoring *scoring, size_t index);

/* label_cases.c: background blocks of sessions */
status_t label_cases_submit(struct label_scoring *scoring, struct error *err);
/* What a case of slot `index` is built from; workspace: of this thread, NULL without
 * CASE_PART_LEXICAL. */
struct feature_case_params label_case_params(const struct label_scoring *scoring, size_t index,
                                             unsigned parts, struct lexical_workspace *workspace);

/* label_control.c: control sweeps (reference: statistics.md 3) */
/* Whose windows are judged, if they are permuted: a background job of the run chooses. */
status_t label_control_begin(struct label_scoring *scoring, struct error *err);
/* Adds to a summary that the sweep is a control, or waives the rule of two families; nothing to
 * that of any other sweep. `summary` may be NULL. */
void label_control_describe(const struct sweep_spec *spec, json_t *summary);
/* The windows that are judged in place of those of slot `index`. */
struct case_stand_in label_control_stand_in(const struct label_scoring *scoring, size_t index);

/* label_open.c: the open sessions, and the lists they are in */
status_t label_open_add(struct label_scoring *scoring, size_t index, struct open_session **out,
                        struct error *err);
void label_open_drop(struct label_scoring *scoring, struct open_session *open);
void label_open_push(struct open_list *list, struct open_session *open);
struct open_session *label_open_pop(struct open_list *list); /* NULL: empty */
void label_open_drop_calls(struct open_session *open);
void label_open_fini(struct label_scoring *scoring);

/* label_calls.c: asks out, answers in */
/* The job is done with it: it ends, or its asks go out at the next step. */
status_t label_calls_take(struct label_scoring *scoring, struct open_session *open,
                          struct error *err);
status_t label_calls_step(struct label_scoring *scoring, struct error *err);
/* Paused because calls did not move: has that changed? */
status_t label_calls_recheck(struct label_scoring *scoring, bool *may_go_on, struct error *err);

/* label_trail.c: what is asked is kept for an audit */
status_t label_trail_begin(struct label_scoring *scoring, struct error *err);
/* The calls that the session is about to make. Background. */
status_t label_trail_keep(struct label_scoring *scoring, const struct open_session *open,
                          struct error *err);
status_t label_trail_save(struct label_scoring *scoring, struct error *err); /* Background. */

/* label_result.c: from a finished session to what stays of it */
/* `feature_case` has what the session, which is done, needs. Moves its rounds out. Background. */
status_t label_result_make(const struct label_scoring *scoring, struct label_session *session,
                           const struct feature_case *feature_case, size_t index,
                           struct slot_result *out, struct error *err);
void label_result_fini(struct slot_result *result);
/* The scores of a foreign session that is done. Background. */
status_t label_result_foreign(struct open_session *open, const struct feature_case *feature_case,
                              struct error *err);
/* Takes the result (zeroing it). */
void label_scoring_take(struct label_scoring *scoring, size_t index, struct slot_result *result);
void label_scoring_take_foreign(struct label_scoring *scoring, struct open_session *open);

/* Of the bootstrap over the documents of one slot. `score` is one of the enum or BOOTSTRAP_*. */
enum {
    BOOTSTRAP_SIMULATION = CASE_N_SCORES,
    BOOTSTRAP_AGREEMENT,
    BOOTSTRAP_MEANINGS,
    BOOTSTRAP_INTERVENTION
};
struct bootstrap_params label_bootstrap(const struct label_scoring *scoring, size_t index,
                                        unsigned score);

/* label_panel.c: agreement of several judges */
/* Of one finished session; *out stays NULL where one judge is all. Background. */
status_t label_panel_make(const struct label_scoring *scoring, const struct label_session *session,
                          const struct feature_case *feature_case, size_t index,
                          struct slot_panel **out, struct error *err);
void label_panel_destroy(struct slot_panel **panel); /* NULL-safe */
/* Over all slots that are done: out [CASE_N_SCORES]. Background. */
status_t label_panel_pool(const struct label_scoring *scoring, struct panel_agreement *out,
                          struct error *err);

/* label_result_kinds.c: what kind of feature it is, and its meanings */
status_t label_result_kinds(const struct label_scoring *scoring,
                            const struct label_session *session,
                            const struct feature_case *feature_case, size_t index,
                            struct slot_result *out, struct error *err);

/* Per type: how many features, and how many of them have a supported label (null before that is
 * decided). A new reference, or NULL. */
json_t *label_types_json(const struct label_scoring *scoring);

/* label_record.c: a result as its canonical line */
/* Agreement with the judges' names; borrows panels [CASE_N_SCORES]. */
struct label_agreement;
void label_record_agreement(const struct label_scoring *scoring,
                            const struct panel_agreement *panels, struct label_agreement *out);
status_t label_record_write(const struct label_scoring *scoring, size_t index, struct buffer *out,
                            struct error *err);

/* label_intervene.c: the intervention score (session/intervention.h) */
/* Which labels have it; all labels are there. Loop. */
status_t label_intervene_begin(struct label_scoring *scoring, struct error *err);
/* A session about steered[open->index], whose case has CASE_PART_TEST. Background. */
status_t label_intervene_open(const struct label_scoring *scoring, struct open_session *open,
                              const struct feature_case *feature_case, struct error *err);
/* Its outcome, once it is done. Background; then taken by the loop. */
status_t label_intervene_finish(const struct label_scoring *scoring, struct open_session *open,
                                struct error *err);
void label_intervene_take(struct label_scoring *scoring, const struct open_session *open);
/* Ask the workers for the generation that ask `ask` of the session is. Loop. */
status_t label_intervene_ask(struct label_scoring *scoring, struct open_session *open, uint32_t ask,
                             struct error *err);

/* label_null.c */
/* Has the slot a label whose score is claimed? */
bool label_is_scored(const struct label_scoring *scoring, size_t index);
status_t label_null_begin(struct label_scoring *scoring, struct error *err);
/* Null models from the scores of the pairs; z, p and verdict of every slot, into
 * scoring->decided (NULL if the sweep has no null). Background. */
status_t label_null_decide(struct label_scoring *scoring, struct error *err);
void label_verdicts_destroy(struct label_verdicts **verdicts); /* NULL-safe */
/* The score that decides whether a label is supported. */
enum case_score label_main_score(const struct label_scoring *scoring);

/* label_judged.c: what was judged, for others to compute the scores again */
/* The line of a session that leaves its test: a new text; NULL where no call judged anything. */
status_t label_judged_make(const struct label_scoring *scoring, const struct open_session *open,
                           const struct feature_case *feature_case, char **out, struct error *err);

/* label_results.c: results.jsonl, summary.json and, if wanted, judged.jsonl. Background. */
status_t label_results_write(struct label_scoring *scoring, struct error *err);

#endif
