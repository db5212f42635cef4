/* What kind of feature it is, from evidence and not from what a language model says of it.
 *
 *   polysemantic  its firing windows fall into two to four groups that each have something of
 *                 their own in common (window_clusters.h)
 *   concrete      certain words or spellings decide: a lexical pattern of them predicts the
 *                 tokens; or, where no pattern of eight terms can, a token that fires once fires
 *                 wherever it stands
 *   syntactic     a lexical pattern predicts the tokens by something else: the word or the class
 *                 before, the class of the token (punctuation, capitals, line breaks), position,
 *                 repetition
 *   abstract      none of these: the same token fires in one context and is silent in another,
 *                 and nothing written nearby says which
 *
 * The first that holds, from the top; tokens count as firing from half of the largest activation
 * on, weaker ones say nothing (features often fire weakly on anything). The evidence stays
 * beside the answer, so that whoever draws the line elsewhere can draw it again. A model's own
 * claim is only compared. Windows for this are not those the pattern was fitted to, or its F1 is
 * too good (reference: statistics.md 1: explain and validate windows may be used, test windows
 * only at the end). Pure; any thread. */
#ifndef COORDINATOR_SESSION_FEATURE_TYPE_H
#define COORDINATOR_SESSION_FEATURE_TYPE_H

#include "coordinator/session/lexical_pattern.h"
#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/window_clusters.h"

struct feature_type_thresholds {
    double token_f1;  /* 0.7: a pattern predicts the tokens */
    double spelled;   /* 0.5: at least this share of what it finds is found by spelling */
    double constancy; /* 0.8: a token that fires, fires wherever it stands */
};
struct feature_type_thresholds feature_type_thresholds_default(void);

enum { FEATURE_TYPE_MIN_REPEATS = 8 };

struct feature_type_evidence {
    size_t n_clusters; /* 1 to 4 */
    bool is_founded;   /* window_clusters: something holds each of them together */
    struct score_value silhouette;
    struct score_value token_f1;  /* of the pattern over all tokens; undefined without a pattern
                                    or a firing token */
    struct score_value spelled;   /* of the firing tokens it finds, the share that a term about
                                    words or spellings finds */
    struct score_value constancy; /* of words that fire and stand more than once in the windows:
                                     the share of their places that fire. Undefined below
                                     FEATURE_TYPE_MIN_REPEATS places */
    size_t n_words;               /* different ones that fire */
};

struct feature_typing {
    enum feature_type type;    /* never FEATURE_TYPE_NONE */
    enum feature_type claimed; /* by a language model; FEATURE_TYPE_NONE: not said */
    struct feature_type_evidence evidence;
};

struct feature_type_params {
    const struct lexical_vocabulary *vocabulary;
    const struct window *windows; /* [n_windows], firing and silent */
    size_t n_windows;
    const struct window_clusters *clusters; /* of the explain windows */
    const struct lexical_pattern *pattern;  /* NULL: none was found */
    enum feature_type claimed;
    struct feature_type_thresholds thresholds;
};

/* Does not depend on the order of the windows. Errors: ST_BAD_INPUT (window_check()),
 * ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t feature_type_find(const struct feature_type_params *params,
                                      struct feature_typing *out, struct error *err);

/* The decision alone. */
enum feature_type feature_type_of(const struct feature_type_evidence *evidence,
                                  const struct feature_type_thresholds *thresholds);

/* For a result: {"type", "claimed", "agrees", "evidence": {...}}; what is undefined is null. A
 * new reference, or NULL without memory. */
json_t *feature_typing_json(const struct feature_typing *typing);

#endif
