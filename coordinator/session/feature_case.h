/* Everything a session knows of one feature before anybody is asked: its windows, its status,
 * the windows it will be judged on, and the lexical baseline.
 *
 *   evidence views (explain, validate, test, ood) + token corpus
 *     -> windows with tokens and activations
 *     -> status (triage.h), lexical label fitted to explain windows only
 *     -> windows of validate, test, ood (window_select.h) -> items and prompts of each score
 *     -> some explain windows as items too: what a judge gets wrong there may be shown
 *     -> groups of the firing explain windows, and what each needs as a meaning of its own
 *
 * A case is built in the parts that a stage needs and thrown away while a session waits: it is a
 * pure function of its inputs, so the next stage builds it again, and thousands of waiting
 * sessions hold no windows. The parts asked for change nothing in each other. Built on any
 * thread from read-only evidence; owns everything it holds. */
#ifndef COORDINATOR_SESSION_FEATURE_CASE_H
#define COORDINATOR_SESSION_FEATURE_CASE_H

#include "common/evidence_state.h"
#include "coordinator/plan/token_corpus.h"
#include "coordinator/session/lexical.h"
#include "coordinator/session/prompt_items.h"
#include "coordinator/session/triage.h"
#include "coordinator/session/window_clusters.h"
#include "coordinator/session/window_select.h"

/* The two scores, in every array over scores. */
enum case_score { CASE_DETECTION, CASE_FUZZING, CASE_N_SCORES };
const char *case_score_name(enum case_score score); /* "detection", "fuzzing" */

/* Another feature, whose test and out-of-distribution windows are judged in place of this one's:
 * the permuted control. Everything else of the case stays its own. */
struct case_stand_in {
    bool is_used;
    const struct evidence_state *states[EVIDENCE_N_SPLITS]; /* of its target */
    float fire_threshold;
    uint32_t slot;
};

struct feature_case_params {
    const struct token_corpus *corpus;
    const struct evidence_state *states[EVIDENCE_N_SPLITS]; /* of the target; NULL: none */
    float fire_threshold;
    uint32_t slot;
    uint64_t subject;          /* names the feature in every draw */
    uint64_t seed;             /* of the sweep */
    unsigned parts;            /* enum case_part bits */
    unsigned scores;           /* bits 1 << enum case_score, of test and ood */
    size_t n_firing, n_silent; /* windows wanted: firing; random silent, and as many hard ones */
    size_t windows_per_prompt;
    double overlap_jaccard;
    struct triage_thresholds thresholds;
    struct lexical_workspace *workspace; /* of this thread */
    struct case_stand_in stand_in;
};

/* What a case holds beside status and counts. Judged windows need explain windows, which are then
 * there too. */
enum case_part {
    CASE_PART_EXPLAIN = 1,    /* explain windows, and which of them are shown */
    CASE_PART_LEXICAL = 2,    /* the lexical label */
    CASE_PART_CHECK = 4,      /* explain windows to be judged (detection) */
    CASE_PART_VALIDATE = 8,   /* validate windows (detection) */
    CASE_PART_TEST = 16,      /* test windows, all scores */
    CASE_PART_OOD = 32,       /* out-of-distribution windows, all scores */
    CASE_PART_HELD_OUT = 64,  /* validate windows without a question: for the type */
    CASE_PART_CLUSTERS = 128, /* groups of the explain windows */
    CASE_PART_MEANINGS = 256  /* what each of several groups needs; test windows with
                                 CASE_PART_TEST */
};

enum { CASE_N_TOP = 10, CASE_N_QUANTILES = 10, CASE_N_SHOWN_SILENT = 5, CASE_N_CHECK = 10 };

/* The windows of one split that are judged. */
struct case_split {
    struct window_selection judged;
    struct prompt_items items[CASE_N_SCORES]; /* empty: not asked about */
    struct prompt_plan plans[CASE_N_SCORES];
    struct window *pool; /* [n_pool], what `judged` borrows from */
    size_t n_pool;
};

/* One of several groups of windows. */
struct case_meaning {
    uint32_t
        shown[CASE_N_TOP + CASE_N_QUANTILES]; /* into explain: of this group, strongest first */
    size_t n_shown;
    bool has_lexical;
    struct lexical_label lexical; /* of the group's explain windows against silent ones */
    struct case_split test;       /* its firing test windows beside silent ones (detection) */
};

/* CASE_PART_CLUSTERS and CASE_PART_MEANINGS. */
struct case_groups {
    struct window_clusters clusters;
    struct case_meaning *meanings; /* [n_meanings], owned: none where there is one group */
    size_t n_meanings;
    size_t n_test_firing, n_test_grouped; /* test windows of the pool; those that have a group */
};

struct feature_case {
    uint32_t slot;
    uint64_t subject;
    unsigned parts; /* that were asked for */
    enum feature_status status;
    struct triage_input counts;
    float max_value;

    struct window *explain; /* [n_explain]: n_explain_firing firing ones (largest first), silent */
    size_t n_explain, n_explain_firing;
    uint32_t shown[CASE_N_TOP + CASE_N_QUANTILES]; /* into explain, in order of importance */
    size_t n_shown;

    struct case_split held_out; /* validate windows as they were drawn: a pool alone */
    struct case_split splits[EVIDENCE_N_SPLITS]; /* of explain: CASE_N_CHECK firing and silent */

    bool has_lexical; /* a pattern was found */
    struct lexical_label lexical;
    struct case_groups groups;

    uint32_t *tokens; /* arenas that windows point into */
    float *activations;
};

/* On ST_OK the caller owns *out (feature_case_fini). A dead feature has no windows. Errors:
 * ST_CORRUPT (evidence names tokens that do not exist), ST_NO_MEMORY. */
MUST_CHECK status_t feature_case_build(struct feature_case *out,
                                       const struct feature_case_params *params, struct error *err);
void feature_case_fini(struct feature_case *feature_case); /* fine on a zeroed struct or twice */

/* Judge items with a lexical pattern: judgements [items->n_items]. */
void feature_case_judge_lexically(const struct prompt_items *items,
                                  const struct lexical_pattern *pattern,
                                  const struct lexical_vocabulary *vocabulary,
                                  struct judgement *judgements);

#endif
