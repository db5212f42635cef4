/* What the files of the label engine share. Private to coordinator/sweep/label_*.c.
 *
 *   describe + read corpus -> tokenize -> capture explain -> neighbours -> freeze
 *     -> capture the rest -> logits -> label
 *
 * Each phase has begin() and poll(); poll() says when it is over. A phase reads only what
 * earlier phases left here. What is captured is kept on disk, in checkpoints while it grows and
 * then whole: a restarted coordinator tokenizes again, and captures nothing twice. */
#ifndef COORDINATOR_SWEEP_LABEL_RUN_H
#define COORDINATOR_SWEEP_LABEL_RUN_H

#include "common/describe.h"
#include "common/evidence_frozen.h"
#include "common/evidence_state.h"
#include "common/hash.h"
#include "coordinator/plan/capture_plan.h"
#include "coordinator/plan/feature_set.h"
#include "coordinator/plan/token_corpus.h"
#include "coordinator/plan/tokenize_plan.h"
#include "coordinator/sweep/label_engine.h"
#include "coordinator/sweep/label_outputs.h"
#include "coordinator/sweep/sweep_task.h"

enum label_phase {
    LABEL_DESCRIBE,
    LABEL_TOKENIZE,
    LABEL_CAPTURE_EXPLAIN,
    LABEL_NEIGHBOURS,
    LABEL_CAPTURE_REST,
    LABEL_LOGITS,
    LABEL_SCORE,
    LABEL_DONE,
    LABEL_N_PHASES
};
const char *label_phase_name(enum label_phase phase);

enum { LABEL_WHOLE_CAPTURE_SLOTS = 65536 };

/* One hook point with its dictionary or units. Slots are the captured features in order; a signed
 * unit (neuron, residual dimension) has two, + then -. Up to LABEL_WHOLE_CAPTURE_SLOTS all
 * features are captured whatever is to be labelled: then evidence and prompts of a feature do
 * not depend on which others were chosen, another sweep over the same dictionary captures
 * nothing, and a sweep that is submitted again with more features pays for the new ones only. */
struct label_target {
    struct feature_set chosen;   /* to be labelled */
    struct feature_set captured; /* contains `chosen` */
    bool is_signed;
    uint32_t n_slots;
    uint64_t key;
    struct evidence_frozen frozen;
    struct buffer frozen_packed; /* `frozen` as it goes out with every lease of the other splits */
    struct evidence_state *states[EVIDENCE_N_SPLITS]; /* NULL: no unit of that split */
    struct label_outputs outputs;                     /* from the phase `logits` on */
};

struct label_checkpoint; /* label_checkpoint.h: what a capture has merged so far */
struct unit_set;
struct text_batches;  /* label_corpus.c: the corpus as payloads of the tokenize task */
struct label_scoring; /* label_scoring.h: the phase LABEL_SCORE and the records */

enum capture_stage { CAPTURE_LOADING, CAPTURE_RUNNING, CAPTURE_SAVING };

struct label_run {
    struct sweep *sweep;
    enum label_phase phase;
    bool has_begun;         /* begin() of `phase` was called */
    struct sweep_task work; /* of the phase that runs */
    bool is_keeping;        /* what the phase found is being written to disk, or was */
    size_t n_jobs;          /* background jobs that will still call done() */
    struct error failure;   /* of a background job: fails the sweep at the next step */
    int64_t phase_began_ms;

    bool has_description;
    struct description description;
    struct text_batches *batches;
    size_t n_taken_bytes; /* results of the tokenize task that are here and still in Redis */
    struct token_corpus *corpus;
    struct evidence_documents documents; /* of corpus; states point here */
    struct capture_plan *plan;
    struct capture_plan_stats plan_stats;
    uint64_t n_leaks;
    char evidence_key[HASH_HEX_SIZE]; /* names all that it depends on; made with the plan */
    bool has_said_lost;               /* that kept results are gone: once a phase */
    bool has_evidence;                /* all of it was on disk: nothing is captured */
    struct worker_pin evidence_pin;   /* of that, what it was captured on */
    enum capture_stage capture_stage;
    struct label_checkpoint *checkpoint; /* of the capture phase that runs */
    uint64_t first_unit;                 /* plan unit of the capture task's unit 0 */
    uint32_t *unit_tokens;               /* scratch [rows_per_unit * context_tokens] */
    struct label_target *targets;        /* [spec->n_targets] */
    struct label_scoring *scoring;
};

/* One phase. begin() starts it and touches nothing that may be away (no store): it is called
 * once. poll() is called again and again, also after ST_UNREACHABLE; it sets *is_over when the
 * phase is. */
struct label_phase_ops {
    const char *name;
    status_t (*begin)(struct label_run *run, struct error *err);
    status_t (*poll)(struct label_run *run, bool *is_over, struct error *err);
};
extern const struct label_phase_ops label_describe_phase, label_tokenize_phase,
    label_capture_explain_phase, label_neighbours_phase, label_capture_rest_phase,
    label_logits_phase, label_score_phase;

#define LABEL_FIRST_TASK "describe"
/* The phase's task ends when all its results are here: poll() of most phases. */
status_t label_task_poll(struct label_run *run, bool *is_over, struct error *err);

/* label_spec.c: what workers are told */
char *label_spec_json(const struct label_run *run, enum task_kind kind); /* caller frees */
/* run->work's next task, of `params` without spec and owner: those are the run's. */
MUST_CHECK status_t label_task_begin(struct label_run *run, struct sweep_task_params params,
                                     struct error *err);

/* label_corpus.c */
status_t label_corpus_read(struct label_run *run, struct error *err); /* starts the job */
void text_batches_destroy(struct text_batches **batches);
size_t text_batches_count(const struct text_batches *batches);
/* Append the payload of that index. Errors: ST_IO, ST_TOO_LARGE, ST_NO_MEMORY. */
status_t text_batches_payload(const struct text_batches *batches, size_t index, struct buffer *out,
                              struct error *err);
/* The batch that payload `index` was made from. */
uint64_t text_batches_batch(const struct text_batches *batches, size_t index);
struct tokenize_collector *text_batches_collector(struct text_batches *batches);
/* Units of the tokenize task whose results left Redis; for label_tokenize.c. */
struct unit_set *text_batches_dropped(struct text_batches *batches);

/* label_plan.c: token corpus -> plan and targets, in the background */
status_t label_plan_begin(struct label_run *run, struct error *err);
status_t label_targets_init(struct label_run *run, struct error *err);
void label_targets_fini(struct label_run *run);

/* label_capture.c */
/* Does the phase that runs capture this split? */
bool label_capture_covers(const struct label_run *run, enum evidence_split split);
/* The states of those splits, made anew. */
status_t label_capture_empty_states(struct label_run *run, struct error *err);

/* label_freeze.c: thresholds and hard tokens, from the explain states into every target */
status_t label_freeze(struct label_run *run, struct error *err);

/* label_evidence.c: merged evidence on disk */
status_t label_evidence_save(struct label_run *run, struct error *err);
status_t label_evidence_load(struct label_run *run, bool *was_there, struct error *err);
/* An empty state of target and split. */
status_t label_evidence_state(struct label_run *run, size_t target, enum evidence_split split,
                              struct evidence_state **out, struct error *err);
/* From the numbers of corpus and capture: what names evidence that may be used again. */
status_t label_evidence_set_key(struct label_run *run, struct error *err);

#endif
