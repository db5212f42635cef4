/* What a circuit sweep is asked: the keys of kind `circuit` beside those of every sweep. Plain
 * data, filled by the table of circuit_keys.c. */
#ifndef COORDINATOR_INTAKE_CIRCUIT_SPEC_H
#define COORDINATOR_INTAKE_CIRCUIT_SPEC_H

#include "common/attribute.h"
#include "common/error.h"
#include "coordinator/circuit/ablation_method.h"
#include "coordinator/circuit/circuit_metric.h"
#include "coordinator/circuit/component.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum circuit_generator {
    CIRCUIT_GENERATOR_NONE,
    CIRCUIT_GENERATOR_INDUCTION,
    CIRCUIT_GENERATOR_IOI,
    CIRCUIT_GENERATOR_GREATER_THAN,
    CIRCUIT_GENERATOR_GENDERED_PRONOUN,
    CIRCUIT_GENERATOR_SUBJECT_VERB
};

/* Bits: which kinds of components are searched through. */
enum circuit_candidate_kinds {
    CIRCUIT_HEADS = 1,
    CIRCUIT_MLPS = 2,
    CIRCUIT_KV_GROUPS = 4,
    CIRCUIT_NEURONS = 8,
    CIRCUIT_RESIDUAL = 16
};

enum circuit_edges { CIRCUIT_EDGES_NONE, CIRCUIT_EDGES_PATH_PATCHING, CIRCUIT_EDGES_ACDC };

enum circuit_when { CIRCUIT_WHEN_AUTO, CIRCUIT_WHEN_ALWAYS, CIRCUIT_WHEN_NEVER };

/* What heads attend to on random words said twice: told beside the circuit. */
struct circuit_head_scores_spec {
    enum circuit_when when; /* auto: with the generator induction, where heads are candidates */
    uint32_t n_sequences;
    uint32_t n_words; /* of one copy; 0: as many as fit in task.n_tokens */
    uint64_t seed;
};

struct circuit_task_spec {
    enum circuit_generator generator; /* or: */
    char *prompts;                    /* a file of prompt pairs, a line of JSON each; NULL: none */
    char *prompts_sha256;             /* of that file as it was accepted; NULL: not accepted yet */
    uint32_t n_prompts;               /* of a generator */
    uint32_t n_tokens;                /* of a prompt of the generator induction, BOS included */
    uint64_t seed;
    uint32_t max_tokens; /* of a prompt: a longer one is refused */
};

/* Features as components, beside `candidates`. What the dictionary does not explain stays as it is,
 * unless the error term is a component too. */
struct circuit_dictionary_spec {
    char *hook; /* hook point, TransformerLens name */
    char *dictionary;
    char *features; /* "all" or "0-99,105" */
    double norm_scaling_factor;
    bool error_term; /* the error term is a candidate */
};
enum { CIRCUIT_MAX_DICTIONARIES = 16 };

struct circuit_ablation_spec {
    unsigned values; /* bits 1 << enum ablate_value, never 0 */
    enum ablation_mean mean_over;
    uint32_t n_batch; /* variants of a unit of work */
};

struct circuit_splits {
    uint32_t search, reference, verdict; /* percent of prompts, 100 together */
};

/* What is tried first; exact ablation decides. */
enum circuit_order { CIRCUIT_ORDER_LISTED, CIRCUIT_ORDER_ATTRIBUTION };

enum { CIRCUIT_AGENT_MAX_TOKENS = 4000 }; /* the default */

/* A language model that is asked once, which candidates look promising: it orders the search. */
struct circuit_agent_spec {
    char *provider;      /* NULL: nobody is asked */
    char *labels;        /* a finished label sweep whose labels it is shown; NULL: none */
    uint32_t max_tokens; /* of its answer */
};

struct circuit_search_spec {
    struct circuit_agent_spec agent;
    enum ablate_value value; /* that effects are taken under; one of ablation.values */
    enum circuit_order order;
    enum attribute_method method; /* of CIRCUIT_ORDER_ATTRIBUTION */
    uint32_t steps;               /* of eap_ig */
    double fdr_q, share_min;
    bool is_signed;
    uint32_t max_nodes; /* 0: no limit */
    bool conditional;   /* look for components that only count when others are silent */
    enum circuit_edges edges;
    char **taus; /* [n_taus] ACDC's thresholds, numbers above 0 */
    size_t n_taus;
    double edge_sufficiency_min; /* on the search prompts, that the edges of the chosen tau reach */
    uint32_t n_searches;         /* bootstraps of the prompts on which the search is run again */
    uint32_t max_variants;       /* measured in a search, all rounds together */
};

struct circuit_verdict_spec {
    uint32_t n_random;    /* circuits of the same size */
    uint32_t n_subsets;   /* of the circuit, drawn for completeness and minimality */
    uint32_t n_resamples; /* bootstraps of an interval */
    double ratio_min, random_quantile, stability_min;
};

/* "induction", ...; NULL of CIRCUIT_GENERATOR_NONE. */
const char *circuit_generator_name(enum circuit_generator generator);
/* Where a dictionary at `hook` stands: its error term. False: no such hook point. */
bool circuit_hook_read(const char *hook, struct component *out);
/* False: it is no number above 0. */
bool circuit_tau_read(const char *text, double *out);
/* *out: the first key of `search` that is not as it is where the file says nothing; NULL: none.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t circuit_search_changed(const struct circuit_search_spec *search,
                                           const char **out, struct error *err);
const char *circuit_mean_name(enum ablation_mean mean); /* "overall", "position", "template" */

#endif
