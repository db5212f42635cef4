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
 *      null{n, mean, sd, z, p} or null, verdict or null,
 *      versus_lexical{difference, interval[2], beats} or null}
 *   lexical{label, family, held_out, scores{...}} or null
 *   dropped{leaked, mislabelled, near_duplicates}, n_shared_documents, supported
 *   evidence[{document, document_key, offset, kind, max, text, tokens[], activations[]}]
 *
 * Pure; any thread. */
#ifndef COORDINATOR_SESSION_LABEL_JSON_H
#define COORDINATOR_SESSION_LABEL_JSON_H

#include "common/buffer.h"
#include "coordinator/session/lexical.h"
#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/score_summary.h"
#include "coordinator/session/support.h"

/* A score of the label over one kind of negatives. Pointers are borrowed; NULL: not there. */
struct label_score {
    const char *name; /* "detection", "fuzzing" */
    enum score_negatives negatives;
    const struct score_summary *summary;
    const struct null_model *null; /* of this score and kind */
    const struct support *support;
    const struct score_comparison *versus_lexical; /* of an LLM's label */
};

struct label_prompt {
    const char *name; /* "explainer", "detection", "fuzzing" */
    const char *hash; /* prompt_template_hash() */
};

struct label_evidence {
    const struct window *window;
    const char *document_id; /* UTF-8, or NULL */
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
    const struct lexical_label *lexical;      /* NULL: none */
    const struct label_score *lexical_scores; /* [n_lexical_scores] */
    size_t n_lexical_scores;
    size_t n_leaked, n_mislabelled, n_near_duplicates; /* dropped test windows */
    size_t n_shared_documents;
    const struct label_evidence *evidence; /* [n_evidence] */
    size_t n_evidence;
    const struct token_texts *texts; /* for the evidence */
};

/* "token", "sequence", ...: how a lexical label was found. */
const char *lexical_family_name(enum lexical_family family);

/* Append the record and a line break. Errors: ST_BAD_INPUT (text that is not UTF-8, a number
 * that is not finite, two scores of one name and kind), ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t label_json_write(const struct label_record *record, struct buffer *out,
                                     struct error *err);

#endif
