/* Everything a session knows of one feature before anybody is asked: its windows, its status,
 * the windows it will be judged on, and the lexical baseline.
 *
 *   evidence views (explain, validate, test) + token corpus
 *     -> windows with tokens and activations
 *     -> status (triage.h), lexical label fitted to explain windows only
 *     -> test windows (window_select.h) -> items and prompts of each score
 *
 * Built on any thread from read-only evidence; owns everything it holds; then belongs to one
 * session. A pure function of its inputs. */
#ifndef COORDINATOR_SESSION_FEATURE_CASE_H
#define COORDINATOR_SESSION_FEATURE_CASE_H

#include "common/evidence_state.h"
#include "coordinator/plan/token_corpus.h"
#include "coordinator/session/lexical.h"
#include "coordinator/session/prompt_items.h"
#include "coordinator/session/triage.h"
#include "coordinator/session/window_select.h"

/* The two scores, in every array over scores. */
enum case_score { CASE_DETECTION, CASE_FUZZING, CASE_N_SCORES };
const char *case_score_name(enum case_score score); /* "detection", "fuzzing" */

struct feature_case_params {
    const struct token_corpus *corpus;
    const struct evidence_state *states[EVIDENCE_N_SPLITS]; /* of the target; NULL: none */
    float fire_threshold;
    uint32_t slot;
    uint64_t subject;           /* names the feature in every draw */
    uint64_t seed;              /* of the sweep */
    enum evidence_split judged; /* EVIDENCE_TEST, or EVIDENCE_VALIDATE, EVIDENCE_OOD */
    unsigned scores;            /* bits 1 << enum case_score */
    size_t n_firing, n_silent;  /* windows wanted of each kind */
    size_t windows_per_prompt;
    double overlap_jaccard;
    struct triage_thresholds thresholds;
    struct lexical_workspace *workspace; /* of this thread */
};

enum { CASE_N_TOP = 10, CASE_N_QUANTILES = 10, CASE_N_SHOWN_SILENT = 5 };

struct feature_case {
    uint32_t slot;
    uint64_t subject;
    enum feature_status status;
    struct triage_input counts;
    float max_value;

    struct window *explain; /* [n_explain]: n_explain_firing firing ones (largest first), silent */
    size_t n_explain, n_explain_firing;
    uint32_t shown[CASE_N_TOP + CASE_N_QUANTILES]; /* into explain, in order of importance */
    size_t n_shown;

    struct window_selection judged; /* windows of the judged split */
    struct prompt_items items[CASE_N_SCORES];
    struct prompt_plan plans[CASE_N_SCORES];

    bool has_lexical; /* a pattern was found */
    struct lexical_label lexical;

    struct window *pool; /* what `judged` borrows from */
    uint32_t *tokens;    /* arenas that windows point into */
    float *activations;
};

/* On ST_OK the caller owns *out (feature_case_fini). A dead feature has no windows. Errors:
 * ST_CORRUPT (evidence names tokens that do not exist), ST_NO_MEMORY. */
MUST_CHECK status_t feature_case_build(struct feature_case *out,
                                       const struct feature_case_params *params, struct error *err);
void feature_case_fini(struct feature_case *feature_case); /* fine on a zeroed struct or twice */

/* Judge the items of one score with a lexical pattern: judgements [items.n_items]. */
void feature_case_judge_lexically(const struct feature_case *feature_case, enum case_score score,
                                  const struct lexical_pattern *pattern,
                                  const struct lexical_vocabulary *vocabulary,
                                  struct judgement *judgements);

#endif
