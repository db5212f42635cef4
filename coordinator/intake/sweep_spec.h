/* What a user submits: a sweep as a struct, out of YAML.
 *
 * The keys, their ranges, defaults and help are the tables of sweep_keys.c; sweep_spec_parse()
 * adds the checks that span keys. A parsed spec is complete (defaults filled in) and immutable.
 * Its canonical JSON names it: equal sweeps have equal JSON and equal keys, and the JSON is
 * itself a sweep file that parses to the same spec, so it is what the coordinator stores.
 * Whether files, hooks, features and providers exist is not known here. Any thread. */
#ifndef COORDINATOR_INTAKE_SWEEP_SPEC_H
#define COORDINATOR_INTAKE_SWEEP_SPEC_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/evidence.h"
#include "common/hash.h"
#include "coordinator/intake/circuit_spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sweep_kind { SWEEP_KIND_LABEL, SWEEP_KIND_NOOP, SWEEP_KIND_CIRCUIT };
enum sweep_mode { SWEEP_MODE_SINGLE_PASS, SWEEP_MODE_AGENTIC, SWEEP_MODE_SCORE_ONLY };
enum corpus_format {
    CORPUS_FORMAT_AUTO,
    CORPUS_FORMAT_JSONL,
    CORPUS_FORMAT_TEXT,
    CORPUS_FORMAT_TOKENS
};
enum corpus_document_unit {
    CORPUS_DOCUMENT_FILE,
    CORPUS_DOCUMENT_BLANK_LINE,
    CORPUS_DOCUMENT_SEPARATOR
};
enum sweep_bos { SWEEP_BOS_AUTO, SWEEP_BOS_TRUE, SWEEP_BOS_FALSE };
enum sweep_packing { SWEEP_PACKING_NONE, SWEEP_PACKING_CONCATENATE };
enum sweep_units {
    SWEEP_UNITS_DICTIONARY,
    SWEEP_UNITS_NEURONS,
    SWEEP_UNITS_RESIDUAL,
    SWEEP_UNITS_HEADS
};
/* Bits. The first two decide what is supported, and one of them is always there. */
enum sweep_score {
    SWEEP_SCORE_DETECTION = 1,
    SWEEP_SCORE_FUZZING = 2,
    SWEEP_SCORE_SIMULATION = 4,
    SWEEP_SCORE_INTERVENTION = 8
};
/* Who wrote the file of labels (sweep/label_formats.h). */
enum sweep_labels_format {
    SWEEP_LABELS_AUTO,
    SWEEP_LABELS_JSONL,
    SWEEP_LABELS_NEURONPEDIA,
    SWEEP_LABELS_DELPHI
};
/* Baselines that a sweep can be run as, to see what it says where there is nothing to find
 * (reference: statistics.md 3). */
enum sweep_control {
    SWEEP_CONTROL_NONE,
    SWEEP_CONTROL_PERMUTED,      /* a label is judged on another feature's windows */
    SWEEP_CONTROL_RANDOM_JUDGE,  /* every answer of the judge is a coin */
    SWEEP_CONTROL_RANDOM_WEIGHTS /* the model's weights are shuffled within each tensor */
};
enum sweep_compute {
    SWEEP_COMPUTE_F32,
    SWEEP_COMPUTE_BF16X3,
    SWEEP_COMPUTE_BF16,
    SWEEP_COMPUTE_TF32
};
enum sweep_backend { SWEEP_BACKEND_ANY, SWEEP_BACKEND_CPU, SWEEP_BACKEND_CUDA, SWEEP_BACKEND_EMU };
enum sweep_durability {
    SWEEP_DURABILITY_MEMORY,
    SWEEP_DURABILITY_EVERYSEC,
    SWEEP_DURABILITY_FSYNC
};

enum { SWEEP_MAX_ROUNDS = 20, SWEEP_MAX_MORE_JUDGES = 4 };
enum { SWEEP_NO_UNIT = 100000000 }; /* most units of a noop sweep, so the number of none */

const char *sweep_kind_name(enum sweep_kind kind);          /* "label", "noop", "circuit" */
const char *sweep_units_name(enum sweep_units units);       /* "neurons", ... */
const char *sweep_control_name(enum sweep_control control); /* "permuted"; NULL: none */
const char *sweep_compute_name(enum sweep_compute compute); /* "bf16x3", ... */
const char *sweep_bos_name(enum sweep_bos bos);             /* "auto", ... */
const char *sweep_durability_name(enum sweep_durability durability); /* "everysec", ... */

/* Where documents come from. */
struct sweep_source {
    char *name; /* an out-of-distribution corpus; NULL for the main one */
    char *path; /* a file or a directory of files */
    enum corpus_format format;
    enum corpus_document_unit document; /* plain text only */
    char *separator;                    /* CORPUS_DOCUMENT_SEPARATOR only, else NULL */
    uint64_t max_tokens;                /* whole documents up to this; 0: all */
};

/* The main corpus, and how all corpora of the sweep are laid out in rows. */
struct sweep_corpus {
    char *path;
    enum corpus_format format;
    enum corpus_document_unit document;
    char *separator;
    uint64_t max_tokens;
    enum sweep_bos bos;
    uint32_t context_tokens;
    enum sweep_packing packing;
    uint32_t window_tokens;
    uint32_t min_window_tokens;
    char *chat_template; /* always NULL: refused by name */
};

struct sweep_target {
    char *hook;                 /* hook point, TransformerLens name */
    char *dictionary;           /* directory; NULL unless units is SWEEP_UNITS_DICTIONARY */
    double norm_scaling_factor; /* of a dictionary that has it not folded in; 0: none */
    enum sweep_units units;
    char *features;  /* "all" or "0-99,105": feature_set.h */
    uint32_t sample; /* at most so many of them, 0: no sampling */
    uint64_t sample_seed;
    double density_min; /* then those that fire on this share of explain tokens */
    double density_max;
};

struct sweep_splits {
    uint32_t explain, validate, test; /* percent of documents, 100 together */
};

struct sweep_evidence {
    uint32_t top_k, bin_k, silent_k, near_miss_k, neighbour_k, doc_k, explain_silent_k;
};

struct sweep_scoring {
    uint32_t n_firing;    /* test windows per feature and score */
    uint32_t n_silent;    /* random, and as many hard ones */
    uint32_t n_simulated; /* firing test windows simulated, and as many random silent ones */
    uint32_t intervention_prompts; /* test windows continued with the feature steered */
    uint32_t intervention_tokens;  /* of a continuation */
    double intervention_kl;        /* nats that the steering is to move the model */
    double intervention_temperature;
    uint32_t windows_per_prompt;
    uint32_t bootstrap_resamples;
    uint32_t null_pairs; /* foreign labels judged per score type; 0: no null */
    uint64_t seed;
};

struct sweep_rounds {
    uint32_t min, max; /* min <= max */
    uint32_t patience; /* rounds without hope that end a session; 0: only settled ones end */
};

struct sweep_experiments {
    uint32_t per_round; /* texts, in four kinds of equal number: a multiple of 4 */
};

/* Every threshold of statistics.md. */
struct sweep_thresholds {
    uint32_t min_test_documents;   /* fewer with firing: insufficient */
    double dense_share;            /* fires on more of the tokens: dense */
    double position_f1;            /* the position alone predicts it so well: position */
    double token_f1;               /* one token type alone predicts it so well: token */
    double unit_quantile;          /* of |value|: where a neuron, dimension or head fires */
    double near_duplicate_jaccard; /* 8-gram overlap with an explain window: dropped */
    double target_accuracy;        /* balanced accuracy on validate */
    double adversarial_p;          /* one-sided binomial, at most; 1: not required */
    double z_min;
    double fdr_q;
};

struct sweep_spec {
    enum sweep_kind kind;
    char *name;
    uint32_t priority;
    enum sweep_durability durability;

    /* label */
    enum sweep_mode mode;
    struct sweep_rounds rounds;           /* SWEEP_MODE_AGENTIC */
    struct sweep_experiments experiments; /* the same */
    char *labels;        /* SWEEP_MODE_SCORE_ONLY only, else NULL: a file, or a directory */
    char *labels_sha256; /* of them as they were accepted; NULL: not accepted yet */
    enum sweep_labels_format labels_format;
    char *model; /* HF directory */
    struct sweep_corpus corpus;
    struct sweep_source *ood; /* [n_ood] */
    size_t n_ood;
    struct sweep_target *targets; /* [n_targets] */
    size_t n_targets;
    char *explainer; /* "lexical" or a provider's name */
    char *judge;     /* the same; its answers decide */
    char **judges;   /* [n_judges] more of them, asked the same for their agreement */
    size_t n_judges;
    enum sweep_control control;
    bool keep_judged;       /* leave judged.jsonl */
    bool allow_same_family; /* explainer and judge may be of one family */
    unsigned scores;        /* enum sweep_score bits, never 0 */
    enum sweep_compute compute;
    enum sweep_backend backend;
    uint32_t rows_per_unit;
    struct sweep_splits splits;
    struct sweep_evidence evidence;
    struct sweep_scoring scoring;
    struct sweep_thresholds thresholds;
    double budget_dollars;      /* 0: nothing may be spent (coordinator/plan/budget.h) */
    uint64_t max_prompt_tokens; /* per feature; 0: no cap */
    uint64_t seed;              /* of the split and everything drawn without its own seed */

    /* circuit; model, compute, backend and seed are those above */
    struct circuit_task_spec task;
    char *circuit;        /* a file: judged in place of one that is searched; NULL: none */
    char *circuit_sha256; /* of that file as it was accepted; NULL: not accepted yet */
    enum circuit_metric metric;
    unsigned candidates; /* enum circuit_candidate_kinds bits; 0 only with dictionaries */
    char *layers;        /* whose components: "all", or a list such as 0-3,7 */
    char *neurons;       /* of a layer, where neurons are candidates: the same */
    char *dimensions;    /* of a stream, where residual dimensions are */
    struct circuit_dictionary_spec *dictionaries; /* [n_dictionaries] */
    size_t n_dictionaries;
    char **positions; /* [n_positions] named ones of the prompts; none: all together */
    size_t n_positions;
    struct circuit_head_scores_spec head_scores;
    struct circuit_ablation_spec ablation;
    struct circuit_splits prompt_splits;
    struct circuit_search_spec search;
    struct circuit_verdict_spec verdict;

    /* noop */
    uint64_t n_units;
    uint32_t payload_bytes;
    uint32_t unit_ms;
    uint64_t fail_unit, kill_unit; /* n_units or more: none */
};

struct sweep_text {
    const char *yaml; /* [n_bytes] */
    size_t n_bytes;
    const char *name; /* for errors: the file's name */
    /* Absolute, without symbolic links; relative paths start here; NULL: paths stay as given. */
    const char *directory;
};

/* On ST_OK the caller owns *out and passes it to sweep_spec_free(). Errors, one line each as
 * "name:line: key: ...": ST_BAD_INPUT, ST_UNSUPPORTED (a reserved word, chat_template),
 * ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t sweep_spec_parse(struct sweep_spec **out, const struct sweep_text *text,
                                     struct error *err);
/* The same of a sweep that was accepted: keys that change nothing are no reason to lose it. */
MUST_CHECK status_t sweep_spec_parse_accepted(struct sweep_spec **out,
                                              const struct sweep_text *text, struct error *err);
void sweep_spec_free(struct sweep_spec **spec); /* NULL-safe; sets *spec = NULL */

/* Canonical JSON (sorted keys, compact, values in force); the caller frees it; NULL without
 * memory. */
char *sweep_spec_to_json(const struct sweep_spec *spec);
/* Hex SHA-256 of the canonical JSON into out; false without memory. */
MUST_CHECK bool sweep_spec_key(const struct sweep_spec *spec, char out[HASH_HEX_SIZE]);

/* The table of keys of every kind. */
MUST_CHECK status_t sweep_spec_help(struct buffer *out, struct error *err);

/* The backend that its workers must have; NULL: any. */
const char *sweep_spec_backend_name(const struct sweep_spec *spec);
/* Does explainer, judge or agent ask a provider (so that calls and dollars arise)? */
bool sweep_spec_uses_provider(const struct sweep_spec *spec);
/* Does a search ask an agent? Not where the circuit is brought: there is no search. */
bool sweep_spec_asks_agent(const struct sweep_spec *spec);
bool sweep_spec_asks_judge(const struct sweep_spec *spec); /* `judge` is a provider */
/* Judge `index` of 1 + n_judges: "lexical" or a provider's name; the first one decides. */
const char *sweep_spec_judge(const struct sweep_spec *spec, size_t index);
/* Is that one a provider that is asked (control random_judge asks nobody)? */
bool sweep_spec_asks(const struct sweep_spec *spec, size_t index);

/* What the model's weights are shuffled with (control: random_weights); 0: they are not. */
uint64_t sweep_spec_shuffle_seed(const struct sweep_spec *spec);

/* What the spec keeps of a split: explain_silent_k and no near misses in explain. */
struct evidence_limits sweep_spec_evidence_limits(const struct sweep_spec *spec,
                                                  enum evidence_split split);

/* The main corpus as a source. Borrows from the spec. */
struct sweep_source sweep_spec_main_source(const struct sweep_spec *spec);

#endif
