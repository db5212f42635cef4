/* What the files of the scoring phase share. Private to coordinator/sweep/label_*.c. */
#ifndef COORDINATOR_SWEEP_LABEL_SCORING_PARTS_H
#define COORDINATOR_SWEEP_LABEL_SCORING_PARTS_H

#include "coordinator/session/label_session.h"
#include "coordinator/session/null_model.h"
#include "coordinator/session/score_summary.h"
#include "coordinator/session/support.h"
#include "coordinator/sweep/label_run.h"
#include "coordinator/sweep/label_scoring.h"

#include <jansson.h>

enum { KEPT_WINDOWS = 4 };

/* Scores of one label, by score and kind of negatives; only where has[] says so. */
struct slot_scores {
    bool has[CASE_N_SCORES][SCORE_N_NEGATIVES];
    struct score_summary summary[CASE_N_SCORES][SCORE_N_NEGATIVES];
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
    int64_t n_supported;
};

/* A session that waits for replies. */
struct open_session {
    struct label_session session;
    size_t index;               /* of the slot, or of the pair for a foreign session */
    char (*ids)[HASH_HEX_SIZE]; /* [session.n_calls] ids of its present calls, owned */
    size_t n_ids;
    bool must_ask; /* its present calls are not in the store yet */
};

enum scoring_pass { PASS_LABELS, PASS_NULL, PASS_DECIDE, PASS_WRITE, PASS_DONE };

struct label_scoring {
    struct label_run *run;
    struct session_rules rules;
    struct prompt_template *templates[1 + CASE_N_SCORES]; /* explainer, judges; owned */
    struct token_text *texts;                             /* owned array */
    struct token_texts token_texts;
    struct lexical_vocabulary *vocabulary;
    struct lexical_workspace **workspaces; /* free ones, owned */
    size_t n_workspaces;

    enum scoring_pass pass;
    size_t n_slots;              /* to be labelled, of all targets */
    size_t *slots;               /* [n_slots] number of the slot over all targets, ascending */
    struct slot_result *results; /* [n_slots] */
    size_t next_slot, n_done;
    size_t n_statuses[FEATURE_N_STATUSES];
    size_t n_labelled;

    struct null_pair *pairs; /* [n_pairs]; indices into scored[] */
    size_t n_pairs, next_pair, n_pairs_done;
    size_t *scored; /* slots that have label and score */
    size_t n_scored;
    double *null_scores[CASE_N_SCORES][SCORE_N_NEGATIVES]; /* [n_null] of room n_pairs */
    size_t n_null[CASE_N_SCORES][SCORE_N_NEGATIVES];
    struct label_verdicts *verdicts; /* owned; NULL until decided, or without a null model */
    struct label_verdicts *decided;  /* owned; of the job that runs */

    bool has_budget;            /* the ledger knows it */
    struct open_session **open; /* [n_open], each owned */
    size_t n_open, open_capacity;
    char cursor[CALL_CURSOR_SIZE];
    bool has_cursor;
    int64_t next_check_ms, next_ask_ms;
    size_t n_jobs;                   /* blocks of cases in the background */
    char problem[SWEEP_REASON_SIZE]; /* why calls do not move, "" if they do */
};

/* label_slots.c: which slots are labelled, and what they are called */
status_t label_slots_choose(struct label_scoring *scoring, struct error *err);
struct slot_name label_slot_name(const struct label_scoring *scoring, size_t index);
/* The feature's number in records: the unit's own, or for signed units 2 * unit for the positive
 * side and 2 * unit + 1 for the negative. */
uint64_t label_slot_feature(const struct label_scoring *scoring, size_t index);
/* The number that names the slot in every draw: the same whichever other slots are labelled. */
uint64_t label_slot_subject(const struct label_scoring *scoring, size_t index);

/* label_cases.c: background blocks of cases */
status_t label_cases_submit(struct label_scoring *scoring, struct error *err);

/* label_calls.c: open sessions and their calls */
/* Takes the session on ST_OK; its calls go out at the next step. Errors: ST_NO_MEMORY. */
status_t label_calls_add(struct label_scoring *scoring, struct label_session *session, size_t index,
                         struct error *err);
status_t label_calls_step(struct label_scoring *scoring, struct error *err);
/* Paused because calls did not move: has that changed? */
status_t label_calls_recheck(struct label_scoring *scoring, bool *may_go_on, struct error *err);
void label_calls_fini(struct label_scoring *scoring);

/* label_result.c: from a finished session to what stays of it */
status_t label_result_make(const struct label_scoring *scoring, const struct label_session *session,
                           size_t index, struct slot_result *out, struct error *err);
void label_result_fini(struct slot_result *result);
/* Takes the result (zeroing it). */
void label_scoring_take(struct label_scoring *scoring, size_t index, struct slot_result *result);
void label_scoring_take_foreign(struct label_scoring *scoring, const struct label_session *session);

/* label_record.c: a result as its canonical line */
status_t label_record_write(const struct label_scoring *scoring, size_t index, struct buffer *out,
                            struct error *err);

/* label_null.c */
status_t label_null_begin(struct label_scoring *scoring, struct error *err);
/* Null models from the scores of the pairs; z, p and verdict of every slot, into
 * scoring->decided (NULL if the sweep has no null). Background. */
status_t label_null_decide(struct label_scoring *scoring, struct error *err);
void label_verdicts_destroy(struct label_verdicts **verdicts); /* NULL-safe */
/* The score that decides whether a label is supported. */
enum case_score label_main_score(const struct label_scoring *scoring);

/* label_results.c: results.jsonl and summary.json. Background. */
status_t label_results_write(struct label_scoring *scoring, struct error *err);

#endif
