/* The canonical result of one feature: what a sweep found, and nothing of how it got there.
 *
 * One line of JSON with sorted keys and fixed number formats: equal sweeps give equal bytes. No
 * time, worker, retry, call or cost is in it (those stand beside it). Scores have 12 significant
 * digits, activations 5; undefined values are null. Schema (every key is always there):
 *
 *   feature, target{model, hook_point, dictionary}, status, fire_threshold
 *   firing{n_tokens, n_firing_tokens, n_test_documents, density, max, position_f1, token_f1}
 *   label, no_label (why there is none, else null), type, explainer, judge, prompts{name: sha256}
 *   scores{detection{random{...}, hard{...}}, fuzzing{...}}, each
 *     {balanced_accuracy, interval[2], f1, precision, recall, auroc, n_documents, n_redrawn,
 *      counts{true_firing, missed, true_silent, false_alarm, failed_firing, failed_silent},
 *      neighbours{true_silent, false_alarm} (hard ones in which a neighbour fires) or null,
 *      null{n, mean, sd, z, p} or null, verdict or null,
 *      versus_lexical{difference, interval[2], beats} or null}
 *     simulation{random{form ("logprobs", "scale"), pearson, interval[2], r2, absdev, imputed,
 *      n_windows, n_failed, n_expected, n_tokens, n_documents, n_redrawn, null, verdict}}: firing
 *      windows with random silent ones; r2 and absdev null: they would need a calibration, and
 *      that calls about other windows
 *   lexical{label, family, held_out, scores{...}} or null
 *   neighbours[] (features of nearest decoder rows, nearest first; only where there are some)
 *   cut_prompts[] ("explainer", "refine", "experiments": those of the explainer's that had to be
 *     cut to max_prompt_tokens; only where there are some)
 *   typing{type, claimed, agrees, evidence{...}} or null (feature_type.h; `type` is the claim)
 *   meanings{n_test_firing, n_test_grouped, list[{label, no_label, n_windows,
 *     scores{detection{random{...}, hard{...}}}, lexical{label, scores{...}} or null}]} or null:
 *     where the firing windows fall into several groups. Scored on test windows of the group alone;
 *     without a null, so nothing is claimed of it (null and verdict are null)
 *   promoted[{token, id, logit}], suppressed[...]: what its direction does to the logits when
 *     nothing comes between (worker/model/logit_lens.h), or null; no_output: then why
 *   output_label: what the promoted tokens have in common (output_pattern.h), or null
 *   dropped{leaked, mislabelled, near_duplicates}, n_shared_documents, supported
 *   evidence[{document, document_key, offset, kind, max, text, tokens[], activations[]}]
 *
 * Only of a sweep that is a control: control ("permuted", "random_judge", "random_weights").
 * Only of one with more judges than one: agreement{judges[], detection{cohen[{kappa, interval[2],
 *   observed, expected, n_windows, n_left_out, n_documents}], fleiss{the same} or null}, ...}:
 *   cohen[i] is of the first judge and judges[i + 1], fleiss of all when they are more than two.
 * Only of one that asks for that score: intervention{accuracy (share of right choices),
 *   interval[2], p, n_prompts, n_right, n_failed, n_labels, strength, kl, wanted_kl, undefined
 *   (why there is no accuracy, else null)}; null where no score is claimed.
 * Only of one that waives the rule of two families: same_family_allowed (true).
 *
 * Not of a single pass, but of every other mode:
 *   session{mode, chosen_round (from 1, or null), settled, outlook (early, contested, settled,
 *     hopeless, decided: session_outlook.h; null unless agentic), supported_ood,
 *     ood{detection{random{...}, hard{...}}, ...} as in scores,
 *     refinement{difference, interval[2], beats} or null: the last tested round's label minus the
 *       first one's, on test windows,
 *     rounds[{label, type, failure, tested, validate{random{...}, hard{...}}, check{...},
 *       adversarial{n, right, p, passed}, n_dropped, design_failure,
 *       experiments[{kind, text, predicted, fired (null: not known), max}]}]}
 *     validate and check: {balanced_accuracy, counts{...}}, validate.random: interval[2] too
 *
 * Pure; any thread. */
#ifndef COORDINATOR_SESSION_LABEL_JSON_H
#define COORDINATOR_SESSION_LABEL_JSON_H

#include "common/buffer.h"
#include "common/logits.h"
#include "coordinator/session/feature_case.h"
#include "coordinator/session/feature_type.h"
#include "coordinator/session/intervention.h"
#include "coordinator/session/judge_panel.h"
#include "coordinator/session/lexical.h"
#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/score_summary.h"
#include "coordinator/session/session_outlook.h"
#include "coordinator/session/session_stages.h"
#include "coordinator/session/simulation_sheet.h"
#include "coordinator/session/support.h"

#include <jansson.h>

/* A score of the label over one kind of negatives. Pointers are borrowed; NULL: not there. */
struct label_score {
    const char *name; /* "detection", "fuzzing" */
    enum score_negatives negatives;
    const struct score_summary *summary;
    const struct null_model *null; /* of this score and kind */
    const struct support *support;
    const struct score_comparison *versus_lexical; /* of an LLM's label */
};

/* Its simulation score. Pointers as above. */
struct label_simulation {
    const struct simulation_outcome *outcome;
    const struct null_model *null;
    const struct support *support;
};

/* What several judges have in common; the first is the one that decides. */
struct label_agreement {
    const char *judges[JUDGE_PANEL_MAX]; /* "lexical", or the provider's model */
    size_t n_judges;
    const struct panel_agreement *panels; /* [CASE_N_SCORES] */
};

struct label_prompt {
    const char *name; /* "explainer", "detection", "fuzzing" */
    const char *hash; /* prompt_template_hash() */
};

struct label_evidence {
    const struct window *window;
    const char *document_id; /* UTF-8, or NULL */
};

/* One of several meanings of a feature. Borrowed. */
struct label_meaning {
    const char *label;                                 /* NULL: none */
    const char *no_label;                              /* then: why */
    size_t n_windows;                                  /* explain windows of its group */
    const char *lexical;                               /* the group's own pattern; NULL: none */
    const struct label_score *scores, *lexical_scores; /* [n_scores], [n_lexical_scores] */
    size_t n_scores, n_lexical_scores;
};

/* The tokens that a feature promotes and suppresses. Borrowed. */
struct label_output {
    const struct logits_entry *promoted, *suppressed; /* [n] each; NULL: not known */
    size_t n;
    const char *label;  /* NULL: they share nothing */
    const char *reason; /* why there are none; NULL: not known */
};

/* What a session did before its test. Borrowed. */
struct label_rounds {
    enum session_mode mode; /* of this feature */
    const struct session_rounds *rounds;
    size_t chosen; /* SESSION_NO_ROUND: none */
    enum session_outlook outlook;
    const struct label_score *ood; /* [n_ood] */
    size_t n_ood;
    bool is_supported_ood;
    const struct score_comparison *refinement; /* NULL: none */
};

struct label_record {
    uint64_t feature;
    const char *model;
    const char *hook_point;
    const char *dictionary; /* NULL: the feature needs none */
    enum feature_status status;
    float fire_threshold;
    float max_value;
    const struct triage_input *counts;
    const char *label;    /* NULL: none */
    const char *no_label; /* then: why; NULL: not known */
    enum feature_type type;
    const char *explainer; /* "lexical" or the provider's model; NULL: none */
    const char *judge;
    bool is_supported;                  /* the sweep's verdict over its main score */
    const struct label_prompt *prompts; /* [n_prompts] */
    size_t n_prompts;
    const struct label_score *scores; /* [n_scores] */
    size_t n_scores;
    const struct label_simulation *simulation;       /* NULL: none */
    const struct label_agreement *agreement;         /* NULL: one judge */
    const struct intervention_outcome *intervention; /* NULL: not asked for */
    double intervention_kl;                          /* that was wanted */
    const struct lexical_label *lexical;             /* NULL: none */
    const struct label_score *lexical_scores;        /* [n_lexical_scores] */
    size_t n_lexical_scores;
    const struct feature_typing *typing; /* NULL: nothing fires */
    struct label_output output;
    const struct label_meaning *meanings; /* [n_meanings]; none where there is one */
    size_t n_meanings;
    size_t n_test_firing, n_test_grouped; /* test windows looked at; those of some meaning */
    size_t n_leaked, n_mislabelled, n_near_duplicates; /* dropped test windows */
    size_t n_shared_documents;
    const struct label_evidence *evidence; /* [n_evidence] */
    size_t n_evidence;
    const uint64_t *neighbours; /* [n_neighbours] features of nearest decoder rows, nearest first */
    size_t n_neighbours;
    unsigned cut_prompts;              /* bits 1 << enum session_prompt_kind */
    const struct token_texts *texts;   /* for the evidence */
    const struct label_rounds *rounds; /* NULL: a single pass, and nothing is written of it */
    const char *control;               /* which one the sweep is; NULL: none */
    bool is_same_family_allowed;
};

/* "token", "sequence", ...: how a lexical label was found. */
const char *lexical_family_name(enum lexical_family family);

/* The same of a whole sweep, for its summary. A new reference; NULL without memory. */
json_t *label_json_agreement(const struct label_agreement *of);

/* Append the record and a line break. Errors: ST_BAD_INPUT (text that is not UTF-8, a number
 * that is not finite, two scores of one name and kind), ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t label_json_write(const struct label_record *record, struct buffer *out,
                                     struct error *err);

#endif
