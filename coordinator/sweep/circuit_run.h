/* What the files of the circuit engine share. Private to coordinator/sweep/circuit_*.c.
 *
 *   describe -> prompts -> heads -> attribution -> agent -> search -> verdict
 *
 * `heads` asks what heads attend to; `attribution`, and `agent` of a language model, what to try
 * first; each where that is wanted, over at once elsewhere.
 * Where the sweep brings its circuit, it is read in the place of the search (circuit_brought.c);
 * `search` is NULL then.
 *
 * Each phase has begin() and poll(), as those of a label sweep; a phase reads only what earlier
 * ones left here. What workers answered is kept on disk, round by round, under a key that names
 * all it depends on: a restarted coordinator asks the same questions and finds the answers. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_RUN_H
#define COORDINATOR_SWEEP_CIRCUIT_RUN_H

#include "common/describe.h"
#include "common/head_scores.h"
#include "coordinator/circuit/attribution_scores.h"
#include "coordinator/circuit/circuit_search.h"
#include "coordinator/circuit/circuit_verdict.h"
#include "coordinator/circuit/circuit_verdict_plan.h"
#include "coordinator/circuit/head_report.h"
#include "coordinator/circuit/prompt_split.h"
#include "coordinator/circuit/search_changes.h"
#include "coordinator/sweep/circuit_agent.h"
#include "coordinator/sweep/circuit_measure.h"
#include "coordinator/sweep/sweep_task.h"

enum circuit_phase {
    CIRCUIT_DESCRIBE,
    CIRCUIT_PROMPTS,
    CIRCUIT_HEAD_SCORES,
    CIRCUIT_ATTRIBUTION,
    CIRCUIT_AGENT,
    CIRCUIT_SEARCH,
    CIRCUIT_VERDICT,
    CIRCUIT_DONE,
    CIRCUIT_N_PHASES
};

/* What intervals resample: prompts or templates of one part. */
struct circuit_units {
    struct prompt_units units; /* .unit_of is this one's */
    uint32_t *unit_of;         /* owned */
    bool is_by_template;
};

/* The dictionaries of the sweep, once they were described. */
struct circuit_dictionaries {
    struct component places[CIRCUIT_MAX_DICTIONARIES]; /* [spec's], as their error terms */
    uint32_t n_features[CIRCUIT_MAX_DICTIONARIES];
    char fingerprints[CIRCUIT_MAX_DICTIONARIES][HASH_HEX_SIZE];
};

/* What heads attend to. */
struct circuit_head_answers {
    struct kept_answer answer;
    struct head_scores_result *answers; /* [units] until all are in; owned */
    struct head_scores scores;
    bool has_scores;
};

/* What attribution estimates, and the order that it makes. */
struct circuit_attribution {
    struct kept_answer answer;
    struct attribute_result *answers; /* [units] that wait for one before them; owned */
    size_t n_added;                   /* units in the answer's numbers */
    struct attribution_scores scores; /* of the answer */
    uint32_t *order;                  /* [n_candidates] owned; NULL: there is none */
    size_t n_ordered;                 /* candidates that attribution says something about */
};

struct circuit_run {
    struct sweep *sweep;
    enum circuit_phase phase;
    bool has_begun; /* begin() of `phase` was called */
    struct sweep_task work;

    char fingerprint[HASH_HEX_SIZE]; /* of the model */
    uint32_t n_vocab;
    struct model_shape shape;
    struct circuit_dictionaries dictionaries;
    struct component *candidates; /* [n_candidates], ascending; owned */
    size_t n_candidates;

    struct buffer prompt_text; /* the prompts as a worker made them: JSON lines */
    struct prompt_set prompts;
    struct prompt_choice parts[PROMPT_N_PARTS]; /* .prompts are part_prompts */
    uint32_t *part_prompts[PROMPT_N_PARTS];     /* owned */

    struct circuit_head_answers heads;
    struct circuit_attribution attribution;
    struct circuit_agent agent;
    struct circuit_measurement measure; /* what is being measured; without work: nothing */
    struct circuit_units units[PROMPT_N_PARTS];
    struct circuit_search *search;
    size_t n_rounds; /* of the search, that were told */
    struct circuit_search_result found;
    struct circuit_verdict_plan *plan; /* of the verdict, once the search is over */
    double *verdict_rows[ABLATE_N_VALUES], *kl_rows[ABLATE_N_VALUES]; /* what the measures point
                                                                         to; owned */
};

struct circuit_phase_ops {
    const char *name;
    bool (*is_asked)(const struct sweep_spec *spec); /* NULL: always; else it may be passed over */
    status_t (*begin)(struct circuit_run *run, struct error *err);
    status_t (*poll)(struct circuit_run *run, bool *is_over, struct error *err);
};
extern const struct circuit_phase_ops circuit_describe_phase, circuit_prompts_phase,
    circuit_heads_phase, circuit_attribution_phase, circuit_agent_phase, circuit_search_phase,
    circuit_brought_phase, circuit_verdict_phase;

#define CIRCUIT_FIRST_TASK "describe"

/* circuit_candidates.c: the components that the sweep asks for, ascending. Errors: ST_BAD_INPUT (a
 * layer that is not there, a position that a prompt has not), ST_TOO_LARGE, ST_NO_MEMORY. */
status_t circuit_candidates_make(struct circuit_run *run, struct error *err);
/* Is `component` one of them? */
bool circuit_candidates_have(const struct circuit_run *run, const struct component *component);

/* circuit_heads_phase.c */
struct head_sequences circuit_head_sequences(const struct circuit_run *run);
void circuit_heads_phase_fini(struct circuit_run *run);

/* circuit_attribution_phase.c: the estimated drop; undefined: nothing is known. */
struct score_value circuit_attribution_of(const struct circuit_run *run,
                                          const struct component *component);
struct score_value circuit_attribution_of_edge(const struct circuit_run *run,
                                               const struct circuit_edge *edge);
void circuit_attribution_phase_fini(struct circuit_run *run);

/* circuit_order_report.c: how good the order of the search was. *out is the caller's, null where it
 * had none. Errors: ST_NO_MEMORY. */
status_t circuit_order_json(const struct circuit_run *run, json_t **out, struct error *err);
/* Append the same for a terminal, nothing where there was none. */
status_t circuit_order_text(const struct circuit_run *run, struct buffer *out, struct error *err);

/* circuit_search_phase.c */
enum { CIRCUIT_ROUND_NAME_SIZE = 32 };
void circuit_round_name(size_t round, char out[CIRCUIT_ROUND_NAME_SIZE]);
struct search_things circuit_things(const struct circuit_run *run); /* borrows from the run */
void circuit_search_phase_fini(struct circuit_run *run);

/* circuit_results.c: what the sweep leaves in DATA/sweeps/ID. Errors: ST_IO, ST_NO_MEMORY. */
status_t circuit_results_write(const struct circuit_run *run,
                               const struct circuit_measures *measures,
                               const struct circuit_verdict *verdict, struct error *err);

/* circuit_task_spec.c: what workers are told; the caller frees it; NULL without memory. */
char *circuit_describe_spec(const struct circuit_run *run);
char *circuit_prompts_spec(const struct circuit_run *run);
char *circuit_head_scores_spec(const struct circuit_run *run);
char *circuit_attribute_spec(const struct circuit_run *run); /* on the search prompts */
/* Of the task that ablates on the prompts of one part. */
char *circuit_ablate_spec(const struct circuit_run *run, enum prompt_part part,
                          bool needs_vocabulary);

#endif
