/* What a sweep will cost before it starts: work, calls, tokens, dollars, hours.
 *
 * Counts of calls and prompts follow from the spec exactly, given how many features reach an
 * explainer; nobody knows that before the capture, so all features are assumed and the figures
 * are upper bounds ("at most") there. An agentic sweep is counted with rounds.max rounds of every
 * feature, and once more as if every label settled after rounds.min ("at least"): what it will
 * be lies between, and nearer to the lower figure the better the explainer.
 *
 * What features of several meanings cost more (a label and detection for each: README of session/)
 * is a figure of its own beside the sum, for the most meanings of every feature: nobody knows
 * before the capture which features have them, and few do.
 *
 * Tokens of the corpus are exact when a plan exists, else bytes divided by a ratio. Lengths of
 * prompts are the constants below, in provider tokens. Every result says which of its parts were
 * assumed. Pure; any thread. */
#ifndef COORDINATOR_PLAN_ESTIMATE_H
#define COORDINATOR_PLAN_ESTIMATE_H

#include "coordinator/intake/sweep_spec.h"
#include "coordinator/plan/capture_plan.h"

#include "common/buffer.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Prompt lengths, in tokens. Instructions as the reference counts them for Delphi's prompts;
 * a window's text grows by a quarter with marks, numbers and another tokenizer. */
enum {
    ESTIMATE_EXPLAINER_INSTRUCTIONS = 620,
    ESTIMATE_EXPLAINER_WINDOWS = 40,
    ESTIMATE_EXPLAINER_REPLY = 120,
    ESTIMATE_DESIGN_REPLY = 40,    /* and for every text of an experiment: */
    ESTIMATE_EXPERIMENT_TEXT = 25, /* a sentence */
    ESTIMATE_HISTORY_ROUND = 500,  /* shown of every earlier round */
    ESTIMATE_MOST_MEANINGS = 4,    /* of a feature: WINDOW_CLUSTERS_MAX */
    ESTIMATE_CHECK_WINDOWS = 20,   /* explain windows judged in a round */
    ESTIMATE_FUZZ_WRONG = 10,      /* firing windows asked about again, wrong tokens marked */
    ESTIMATE_JUDGE_INSTRUCTIONS = 600,
    ESTIMATE_WINDOW_OVERHEAD = 6,    /* number and line ends around a window */
    ESTIMATE_JUDGE_REPLY_WINDOW = 4, /* per window */
    ESTIMATE_JUDGE_REPLY = 12,
    ESTIMATE_SIMULATION_INSTRUCTIONS = 170,
    ESTIMATE_CHOICE_INSTRUCTIONS = 320,  /* with the labels */
    ESTIMATE_SIMULATION_TOKEN = 2,       /* shown, a line for each token of a window */
    ESTIMATE_SIMULATION_REPLY = 5,       /* for each of them: itself, a tab, a number, a line end */
    ESTIMATE_SIMULATION_REPLY_JSON = 14, /* where there are no log probabilities */
    ESTIMATE_NULL_PAIRS_PER_FEATURE = 5, /* at least so many per feature ... */
    ESTIMATE_NULL_FEW_FEATURES = 200     /* ... when there are fewer features than this */
};
#define ESTIMATE_WINDOW_GROWTH 1.25
#define ESTIMATE_BYTES_PER_TOKEN 4.0 /* English, byte-level BPE of 50,000 pieces */

/* A provider's prices and limits; zeroed for the lexical explainer and judge. */
struct estimate_provider {
    bool is_used;
    double dollars_per_million_input, dollars_per_million_output;
    uint64_t requests_per_minute; /* 0: no such limit */
    uint64_t tokens_per_minute;   /* input and output together; 0: no such limit */
    bool has_logprobs;            /* the form that a simulation is asked in */
};

struct estimate_input {
    const struct sweep_spec *spec;
    uint64_t n_documents;                        /* of all corpora */
    uint64_t n_text_bytes;                       /* of all corpora; 0 if they are token ids */
    uint64_t n_tokens;                           /* of all corpora; 0: not known yet */
    double bytes_per_token;                      /* 0: ESTIMATE_BYTES_PER_TOKEN */
    const struct capture_plan_stats *plan_stats; /* NULL: not planned yet */
    uint64_t n_features;                         /* selected, all targets; 0: not known */
    double capture_tokens_per_second;            /* of one worker; 0: not known */
    uint32_t n_workers;                          /* 0 counts as 1 */
    struct estimate_provider explainer, judge;
    struct estimate_provider more_judges[SWEEP_MAX_MORE_JUDGES]; /* asked on test windows */
};

struct estimate_calls {
    uint64_t n_calls;
    uint64_t n_tokens_in, n_tokens_out;
    double dollars;
    double hours; /* at the provider's limits; 0 if it has none */
};

struct estimate {
    uint64_t n_tokens;
    bool is_tokens_exact;
    uint64_t n_units; /* capture units */
    bool is_units_exact;
    uint64_t n_tokenize_batches;
    uint64_t n_features;                              /* 0: not known, then no calls are counted */
    uint64_t calls_per_feature;                       /* explainer, judges, without the null */
    struct estimate_calls explain, judge, null_pairs; /* all features */
    struct estimate_calls agreement;                  /* more judges than one, together */
    struct estimate_calls meanings; /* at most, in no sum: ESTIMATE_MOST_MEANINGS of each feature */
    uint64_t n_calls;
    double dollars;
    uint64_t n_calls_least; /* agentic: every label settles after rounds.min; else as above */
    double dollars_least;
    bool is_over_budget;
    double capture_hours; /* 0: not known */
    double call_hours;
    bool is_prompt_capped; /* max_prompt_tokens is less than the prompts would take */
    uint64_t n_null_pairs; /* foreign labels judged per score */
    /* Fewest labels that Benjamini-Hochberg can believe at once. A p is at least 1 / (pairs + 1),
     * and the k-th smallest of m must be at most q k / m: so k >= m / (q (pairs + 1)). 1: a label
     * can stand alone; more than n_features: nothing can ever be supported. 0: not known, or no
     * null. All features are taken as eligible: an upper bound. */
    uint64_t n_supported_least;
};

void estimate_make(const struct estimate_input *input, struct estimate *out);

/* A new object; NULL without memory. */
json_t *estimate_to_json(const struct estimate *estimate);

/* The table that `submit --dry-run` prints. */
MUST_CHECK status_t estimate_print(const struct estimate *estimate, double budget_dollars,
                                   struct buffer *out, struct error *err);

#endif
