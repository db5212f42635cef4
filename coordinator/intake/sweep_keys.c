#include "coordinator/intake/sweep_keys.h"

#include "coordinator/intake/sweep_spec.h"

const struct config_choice sweep_kind_choices[] = {{"label", SWEEP_KIND_LABEL, false},
                                                   {"circuit", SWEEP_KIND_CIRCUIT, false},
                                                   {"noop", SWEEP_KIND_NOOP, false},
                                                   {"audit", -2, true},
                                                   {"report", -3, true},
                                                   {NULL, 0, false}};
static const struct config_choice mode_choices[] = {{"single_pass", SWEEP_MODE_SINGLE_PASS, false},
                                                    {"agentic", SWEEP_MODE_AGENTIC, false},
                                                    {"score_only", SWEEP_MODE_SCORE_ONLY, false},
                                                    {NULL, 0, false}};
static const struct config_choice labels_format_choices[] = {
    {"auto", SWEEP_LABELS_AUTO, false},
    {"jsonl", SWEEP_LABELS_JSONL, false},
    {"neuronpedia", SWEEP_LABELS_NEURONPEDIA, false},
    {"delphi", SWEEP_LABELS_DELPHI, false},
    {NULL, 0, false}};
static const struct config_choice format_choices[] = {{"auto", CORPUS_FORMAT_AUTO, false},
                                                      {"jsonl", CORPUS_FORMAT_JSONL, false},
                                                      {"text", CORPUS_FORMAT_TEXT, false},
                                                      {"tokens", CORPUS_FORMAT_TOKENS, false},
                                                      {NULL, 0, false}};
static const struct config_choice document_choices[] = {
    {"file", CORPUS_DOCUMENT_FILE, false},
    {"blank_line", CORPUS_DOCUMENT_BLANK_LINE, false},
    {"separator", CORPUS_DOCUMENT_SEPARATOR, false},
    {NULL, 0, false}};
const struct config_choice sweep_bos_choices[] = {{"auto", SWEEP_BOS_AUTO, false},
                                                  {"true", SWEEP_BOS_TRUE, false},
                                                  {"false", SWEEP_BOS_FALSE, false},
                                                  {NULL, 0, false}};
static const struct config_choice packing_choices[] = {
    {"none", SWEEP_PACKING_NONE, false},
    {"concatenate", SWEEP_PACKING_CONCATENATE, false},
    {NULL, 0, false}};
const struct config_choice sweep_units_choices[] = {{"dictionary", SWEEP_UNITS_DICTIONARY, false},
                                                    {"neurons", SWEEP_UNITS_NEURONS, false},
                                                    {"residual", SWEEP_UNITS_RESIDUAL, false},
                                                    {"heads", SWEEP_UNITS_HEADS, false},
                                                    {NULL, 0, false}};
static const struct config_choice score_choices[] = {
    {"detection", SWEEP_SCORE_DETECTION, false},
    {"fuzzing", SWEEP_SCORE_FUZZING, false},
    {"simulation", SWEEP_SCORE_SIMULATION, false},
    {"intervention", SWEEP_SCORE_INTERVENTION, false},
    {NULL, 0, false}};
const struct config_choice sweep_control_choices[] = {
    {"none", SWEEP_CONTROL_NONE, false},
    {"permuted", SWEEP_CONTROL_PERMUTED, false},
    {"random_judge", SWEEP_CONTROL_RANDOM_JUDGE, false},
    {"random_weights", SWEEP_CONTROL_RANDOM_WEIGHTS, false},
    {NULL, 0, false}};
const struct config_choice sweep_compute_choices[] = {{"f32", SWEEP_COMPUTE_F32, false},
                                                      {"bf16x3", SWEEP_COMPUTE_BF16X3, false},
                                                      {"bf16", SWEEP_COMPUTE_BF16, false},
                                                      {"tf32", SWEEP_COMPUTE_TF32, false},
                                                      {NULL, 0, false}};
const struct config_choice sweep_backend_choices[] = {{"any", SWEEP_BACKEND_ANY, false},
                                                      {"cpu", SWEEP_BACKEND_CPU, false},
                                                      {"cuda", SWEEP_BACKEND_CUDA, false},
                                                      {"emu", SWEEP_BACKEND_EMU, false},
                                                      {NULL, 0, false}};
const struct config_choice sweep_durability_choices[] = {
    {"memory", SWEEP_DURABILITY_MEMORY, false},
    {"everysec", SWEEP_DURABILITY_EVERYSEC, false},
    {"fsync", SWEEP_DURABILITY_FSYNC, false},
    {"replicated", -1, true},
    {NULL, 0, false}};

/* What the main corpus and the others have in common; S is the struct. */
#define SOURCE_KEYS(S)                                                                             \
    CONFIG_REQUIRED_TEXT(S, path, "a file, or a directory whose files are read in order of name"), \
        CONFIG_CHOICE(S, format, format_choices, "auto",                                           \
                      "auto goes by suffix: .jsonl, .tokens, else text; .gz and .zst are opened"), \
        CONFIG_CHOICE(S, document, document_choices, "file",                                       \
                      "what one document of plain text is"),                                       \
        CONFIG_TEXT(S, separator, NULL, "the text between documents (document: separator)"),       \
        CONFIG_COUNT(S, max_tokens, 0, 1e12, "0", "tokens", "stop after whole documents; 0: all")

static const struct config_key corpus_keys[] = {
    SOURCE_KEYS(struct sweep_corpus),
    CONFIG_CHOICE(struct sweep_corpus, bos, sweep_bos_choices, "auto",
                  "begin rows with the model's BOS token; auto: as its tokenizer does"),
    CONFIG_COUNT(struct sweep_corpus, context_tokens, 2, 131072, "128", "tokens",
                 "length of a row, BOS included"),
    CONFIG_CHOICE(struct sweep_corpus, packing, packing_choices, "none",
                  "none: a row holds one document; concatenate: BOS or EOS between documents"),
    CONFIG_COUNT(struct sweep_corpus, window_tokens, 1, EVIDENCE_MAX_WINDOW_TOKENS, "32", "tokens",
                 "length of the windows that evidence is made of"),
    CONFIG_COUNT(struct sweep_corpus, min_window_tokens, 1, EVIDENCE_MAX_WINDOW_TOKENS, "8",
                 "tokens", "shorter tails of a document are no windows"),
    CONFIG_TEXT(struct sweep_corpus, chat_template, NULL, "reserved"),
    CONFIG_END};

static const struct config_key ood_keys[] = {
    CONFIG_REQUIRED_TEXT(struct sweep_source, name, "how results call this corpus"),
    SOURCE_KEYS(struct sweep_source), CONFIG_END};

static const struct config_key target_keys[] = {
    CONFIG_REQUIRED_TEXT(struct sweep_target, hook, "hook point, as blocks.6.hook_resid_pre"),
    CONFIG_TEXT(struct sweep_target, dictionary, NULL, "directory of an SAE or transcoder"),
    CONFIG_NUMBER(struct sweep_target, norm_scaling_factor, 0.0, 1e6, "0", "factor",
                  "on what an expected_average_only_in dictionary reads, if not folded; 0: none"),
    CONFIG_CHOICE(struct sweep_target, units, sweep_units_choices, "dictionary",
                  "what the features are; all but dictionary need no file"),
    CONFIG_TEXT(struct sweep_target, features, "all", "all, or a list such as 0-99,105,200-300"),
    CONFIG_COUNT(struct sweep_target, sample, 0, EVIDENCE_MAX_SLOTS, "0", "features",
                 "label a random sample of so many; 0: no sampling"),
    CONFIG_COUNT(struct sweep_target, sample_seed, 0, SWEEP_SEED_MAX, "0", NULL, "of the sample"),
    CONFIG_NUMBER(struct sweep_target, density_min, 0.0, 1.0, "0", "firing share of tokens",
                  "label features that fire at least so often"),
    CONFIG_NUMBER(struct sweep_target, density_max, 0.0, 1.0, "1", "firing share of tokens",
                  "label features that fire at most so often"),
    CONFIG_END};

static const struct config_key split_keys[] = {
    CONFIG_COUNT(struct sweep_splits, explain, 1, 99, "50", "percent",
                 "documents that an explainer may see"),
    CONFIG_COUNT(struct sweep_splits, validate, 0, 98, "20", "percent",
                 "documents that choose between rounds"),
    CONFIG_COUNT(struct sweep_splits, test, 1, 99, "30", "percent",
                 "documents that the reported score is measured on"),
    CONFIG_END};

static const struct config_key evidence_keys[] = {
    CONFIG_COUNT(struct sweep_evidence, top_k, 1, EVIDENCE_MAX_TOP_K, "20", "windows",
                 "of largest maximum, kept per feature and split"),
    CONFIG_COUNT(struct sweep_evidence, bin_k, 0, EVIDENCE_MAX_BIN_K, "6", "windows",
                 "kept per half-octave of the maximum"),
    CONFIG_COUNT(struct sweep_evidence, silent_k, 1, EVIDENCE_MAX_SILENT_K, "40", "windows",
                 "silent ones kept in validate, test and ood"),
    CONFIG_COUNT(struct sweep_evidence, near_miss_k, 0, EVIDENCE_MAX_SILENT_K, "40", "windows",
                 "silent ones that hold a token the feature fires on"),
    CONFIG_COUNT(struct sweep_evidence, neighbour_k, 0, EVIDENCE_MAX_SILENT_K, "24", "windows",
                 "silent ones in which a feature of a near decoder row fires strongly"),
    CONFIG_COUNT(struct sweep_evidence, doc_k, 1, EVIDENCE_MAX_DOC_K, "32", "documents",
                 "documents with firing are counted exactly below this"),
    CONFIG_COUNT(struct sweep_evidence, explain_silent_k, 1, EVIDENCE_MAX_SILENT_K, "20", "windows",
                 "silent ones kept in explain"),
    CONFIG_END};

static const struct config_key scoring_keys[] = {
    CONFIG_COUNT(struct sweep_scoring, n_firing, 1, 200, "20", "windows",
                 "firing test windows judged per feature and score"),
    CONFIG_COUNT(struct sweep_scoring, n_silent, 1, 200, "20", "windows",
                 "random silent ones, and as many hard ones (near misses, windows of neighbours)"),
    CONFIG_COUNT(struct sweep_scoring, n_simulated, 1, 100, "5", "windows",
                 "firing test windows simulated token by token, and as many random silent ones; "
                 "a call each"),
    CONFIG_COUNT(struct sweep_scoring, intervention_prompts, 1, 32, "10", "windows",
                 "test windows, cut at the strongest token, that the model continues with and "
                 "without the feature steered; a call each"),
    CONFIG_COUNT(struct sweep_scoring, intervention_tokens, 1, 256, "24", "tokens",
                 "of a continuation"),
    CONFIG_NUMBER(struct sweep_scoring, intervention_kl, 0.001, 20.0, "0.5", "nats",
                  "by which steering is to move the model: its strength is searched for"),
    CONFIG_NUMBER(struct sweep_scoring, intervention_temperature, 0.0, 10.0, "0", NULL,
                  "of the continuations; 0: always the likeliest token"),
    CONFIG_COUNT(struct sweep_scoring, windows_per_prompt, 1, 50, "10", "windows",
                 "shown to the judge in one call"),
    CONFIG_COUNT(struct sweep_scoring, bootstrap_resamples, 100, 100000, "2000", NULL,
                 "of documents, for the 95 % intervals"),
    CONFIG_COUNT(struct sweep_scoring, null_pairs, 0, 1000000, "1000", "pairs",
                 "labels judged on another feature's windows; 0: no null, nothing is supported"),
    CONFIG_COUNT(struct sweep_scoring, seed, 0, SWEEP_SEED_MAX, "0", NULL,
                 "of everything drawn here"),
    CONFIG_END};

static const struct config_key round_keys[] = {
    CONFIG_COUNT(struct sweep_rounds, min, 1, SWEEP_MAX_ROUNDS, "3", "rounds",
                 "of hypothesis and experiments, also when the first label holds"),
    CONFIG_COUNT(struct sweep_rounds, max, 1, SWEEP_MAX_ROUNDS, "5", "rounds",
                 "then the best label is tested, settled or not"),
    CONFIG_COUNT(struct sweep_rounds, patience, 0, SWEEP_MAX_ROUNDS, "0", "rounds",
                 "in a row without hope that end a session, as does a clear result; 0: only "
                 "settled ones end"),
    CONFIG_END};

static const struct config_key experiment_keys[] = {
    CONFIG_COUNT(struct sweep_experiments, per_round, 4, 200, "20", "texts",
                 "per hypothesis, half of them adversarial; fewer than 20 prove nothing"),
    CONFIG_END};

static const struct config_key threshold_keys[] = {
    CONFIG_COUNT(struct sweep_thresholds, min_test_documents, 1, EVIDENCE_MAX_DOC_K, "20",
                 "documents", "a feature that fires in fewer is insufficient"),
    CONFIG_NUMBER(struct sweep_thresholds, dense_share, 0.0, 1.0, "0.5", "share of tokens",
                  "a feature that fires on more is dense"),
    CONFIG_NUMBER(struct sweep_thresholds, position_f1, 0.0, 1.0, "0.9", "F1 over tokens",
                  "a feature that the position alone predicts so well is position"),
    CONFIG_NUMBER(struct sweep_thresholds, token_f1, 0.0, 1.0, "0.9", "F1 over tokens",
                  "a feature that one token type alone predicts so well is token"),
    CONFIG_NUMBER(struct sweep_thresholds, unit_quantile, 0.5, 0.99999, "0.99", "quantile",
                  "of |value|, above which a neuron, dimension or head fires"),
    CONFIG_NUMBER(struct sweep_thresholds, near_duplicate_jaccard, 0.0, 1.0, "0.8", "Jaccard index",
                  "8-gram overlap with an explain window that drops a window"),
    CONFIG_NUMBER(struct sweep_thresholds, target_accuracy, 0.5, 1.0, "0.9", "balanced accuracy",
                  "wanted on validate"),
    CONFIG_NUMBER(struct sweep_thresholds, adversarial_p, 0.0, 1.0, "0.055", "probability",
                  "of so many right adversarial texts by chance, at most; 1: not required"),
    CONFIG_NUMBER(struct sweep_thresholds, z_min, 0.0, 100.0, "3", "standard deviations",
                  "above the null, for supported"),
    CONFIG_NUMBER(struct sweep_thresholds, fdr_q, 0.0, 1.0, "0.05", "share",
                  "false discoveries allowed among the supported"),
    CONFIG_END};

static const struct config_key label_keys[] = {
    SWEEP_COMMON_KEYS,
    CONFIG_CHOICE(struct sweep_spec, mode, mode_choices, "single_pass",
                  "single_pass: one label, scored; agentic: rounds of labels and experiments; "
                  "score_only: labels of yours"),
    CONFIG_SECTION(struct sweep_spec, rounds, round_keys, "mode agentic: how often"),
    CONFIG_SECTION(struct sweep_spec, experiments, experiment_keys, "mode agentic: what is tried"),
    CONFIG_TEXT(
        struct sweep_spec, labels, NULL,
        "mode score_only: JSON lines {\"feature\": 7, \"label\": \"...\"}, \"target\" from 0; or "
        "a Neuronpedia export, or delphi's directory"),
    CONFIG_TEXT(struct sweep_spec, labels_sha256, NULL,
                "of those labels: others are refused; set when the sweep is accepted, from when on "
                "a copy counts"),
    CONFIG_CHOICE(struct sweep_spec, labels_format, labels_format_choices, "auto",
                  "of `labels`; auto: by the names in a directory, the first line of a file"),
    CONFIG_REQUIRED_TEXT(struct sweep_spec, model, "directory of the checkpoint"),
    CONFIG_SECTION(struct sweep_spec, corpus, corpus_keys, "documents, and their layout in rows"),
    CONFIG_LIST(struct sweep_spec, ood, ood_keys, 0, 16, "out-of-distribution corpora"),
    CONFIG_LIST(struct sweep_spec, targets, target_keys, 1, 64, "what is labelled, and where"),
    CONFIG_TEXT(struct sweep_spec, explainer, "lexical", "lexical, or a provider's name"),
    CONFIG_TEXT(struct sweep_spec, judge, "lexical", "lexical, or a provider's name"),
    CONFIG_TEXTS(struct sweep_spec, judges, 0, SWEEP_MAX_MORE_JUDGES,
                 "more judges, asked the same of the test windows to see whether they agree; "
                 "'judge' decides"),
    CONFIG_BOOL(struct sweep_spec, allow_same_family, "false",
                "explainer and judge may be of one family; every output then says so"),
    CONFIG_CHOICE(struct sweep_spec, control, sweep_control_choices, "none",
                  "permuted: judged on another feature's windows; random_judge: answers are coins; "
                  "random_weights: the model's weights shuffled"),
    CONFIG_FLAGS(struct sweep_spec, scores, score_choices, "detection,fuzzing", "what is measured"),
    CONFIG_CHOICE(struct sweep_spec, compute, sweep_compute_choices, "f32",
                  "number format of the products; part of the result's identity"),
    CONFIG_CHOICE(struct sweep_spec, backend, sweep_backend_choices, "any",
                  "workers that may run the model; any: the kind that takes it first, and no "
                  "other from then on"),
    CONFIG_COUNT(struct sweep_spec, rows_per_unit, 1, 4096, "16", "rows",
                 "rows of a unit; fixes batch shapes, so part of the result's identity"),
    CONFIG_SECTION(struct sweep_spec, splits, split_keys, "shares of documents"),
    CONFIG_SECTION(struct sweep_spec, evidence, evidence_keys, "what a capture keeps"),
    CONFIG_SECTION(struct sweep_spec, scoring, scoring_keys, "how labels are scored"),
    CONFIG_BOOL(struct sweep_spec, keep_judged, "false",
                "leave judged.jsonl: every test window that was judged with its truth and the call "
                "that judged it, so that scores can be computed again; about 20 kB a feature"),
    CONFIG_SECTION(struct sweep_spec, thresholds, threshold_keys, "what may be believed"),
    CONFIG_NUMBER(struct sweep_spec, budget_dollars, 0.0, 1e6, "10", "USD",
                  "when it is spent the sweep pauses; 0: nothing may be spent"),
    CONFIG_COUNT(struct sweep_spec, max_prompt_tokens, 0, 10000000, "0", "tokens",
                 "prompt tokens per feature; 0: no cap"),
    CONFIG_COUNT(struct sweep_spec, seed, 0, SWEEP_SEED_MAX, "0", NULL,
                 "of the split of documents"),
    CONFIG_END};
const struct config_schema sweep_label_schema = {"label sweep", label_keys,
                                                 sizeof(struct sweep_spec)};

static const struct config_key noop_keys[] = {
    SWEEP_COMMON_KEYS,
    CONFIG_COUNT(struct sweep_spec, n_units, 1, SWEEP_NO_UNIT, "1000", "units",
                 "units of work that do nothing"),
    CONFIG_COUNT(struct sweep_spec, payload_bytes, 0, 1 << 20, "0", "bytes",
                 "size of the result of each"),
    CONFIG_COUNT(struct sweep_spec, unit_ms, 0, 60000, "0", "ms", "how long each takes"),
    CONFIG_COUNT(struct sweep_spec, fail_unit, 0, SWEEP_NO_UNIT, "100000000", NULL,
                 "the unit that always fails, to see how that looks; past the last: none"),
    CONFIG_COUNT(struct sweep_spec, kill_unit, 0, SWEEP_NO_UNIT, "100000000", NULL,
                 "the unit that always kills its worker; past the last: none"),
    CONFIG_END};
const struct config_schema sweep_noop_schema = {"noop sweep", noop_keys, sizeof(struct sweep_spec)};
