/* The table of kind `circuit`. */
#include "coordinator/intake/sweep_keys.h"
#include "coordinator/intake/sweep_spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct config_choice generator_choices[] = {
    {"none", CIRCUIT_GENERATOR_NONE, false},
    {"induction", CIRCUIT_GENERATOR_INDUCTION, false},
    {"ioi", CIRCUIT_GENERATOR_IOI, false},
    {"greater_than", CIRCUIT_GENERATOR_GREATER_THAN, false},
    {"gendered_pronoun", CIRCUIT_GENERATOR_GENDERED_PRONOUN, false},
    {"subject_verb", CIRCUIT_GENERATOR_SUBJECT_VERB, false},
    {NULL, 0, false}};
static const struct config_choice metric_choices[] = {
    {"logit_difference", METRIC_LOGIT_DIFFERENCE, false},
    {"probability", METRIC_PROBABILITY, false},
    {"probability_difference", METRIC_PROBABILITY_DIFFERENCE, false},
    {"accuracy", METRIC_ACCURACY, false},
    {"kl", METRIC_KL, false},
    {NULL, 0, false}};
static const struct config_choice candidate_choices[] = {
    {"heads", CIRCUIT_HEADS, false},         {"mlps", CIRCUIT_MLPS, false},
    {"kv_groups", CIRCUIT_KV_GROUPS, false}, {"neurons", CIRCUIT_NEURONS, false},
    {"residual", CIRCUIT_RESIDUAL, false},   {NULL, 0, false}};
static const struct config_choice value_flags[] = {{"zero", 1 << ABLATE_ZERO, false},
                                                   {"mean", 1 << ABLATE_MEAN, false},
                                                   {"resample", 1 << ABLATE_RESAMPLE, false},
                                                   {NULL, 0, false}};
static const struct config_choice value_choices[] = {{"zero", ABLATE_ZERO, false},
                                                     {"mean", ABLATE_MEAN, false},
                                                     {"resample", ABLATE_RESAMPLE, false},
                                                     {NULL, 0, false}};
static const struct config_choice mean_choices[] = {{"overall", MEAN_OVERALL, false},
                                                    {"position", MEAN_PER_POSITION, false},
                                                    {"template", MEAN_PER_TEMPLATE, false},
                                                    {NULL, 0, false}};
static const struct config_choice edge_choices[] = {
    {"none", CIRCUIT_EDGES_NONE, false},
    {"path_patching", CIRCUIT_EDGES_PATH_PATCHING, false},
    {"acdc", CIRCUIT_EDGES_ACDC, false},
    {NULL, 0, false}};

static const struct config_choice order_choices[] = {
    {"listed", CIRCUIT_ORDER_LISTED, false},
    {"attribution", CIRCUIT_ORDER_ATTRIBUTION, false},
    {NULL, 0, false}};
static const struct config_choice method_choices[] = {{"atp", ATTRIBUTE_ATP, false},
                                                      {"eap", ATTRIBUTE_EAP, false},
                                                      {"eap_ig", ATTRIBUTE_EAP_IG, false},
                                                      {NULL, 0, false}};
static const struct config_choice when_choices[] = {{"auto", CIRCUIT_WHEN_AUTO, false},
                                                    {"always", CIRCUIT_WHEN_ALWAYS, false},
                                                    {"never", CIRCUIT_WHEN_NEVER, false},
                                                    {NULL, 0, false}};

static const struct config_key task_keys[] = {
    CONFIG_CHOICE(struct circuit_task_spec, generator, generator_choices, "none",
                  "makes the prompts; none: they are in the file 'prompts'"),
    CONFIG_TEXT(struct circuit_task_spec, prompts, NULL,
                "JSON lines {\"clean\", \"corrupted\", \"answer\", \"distractor\", ...}, texts or "
                "token ids"),
    CONFIG_TEXT(struct circuit_task_spec, prompts_sha256, NULL,
                "of that file: another one is refused; set when the sweep is accepted, from when "
                "on a copy counts"),
    CONFIG_COUNT(struct circuit_task_spec, n_prompts, 10, 10000, "250", "prompts",
                 "of a generator"),
    CONFIG_COUNT(struct circuit_task_spec, n_tokens, 6, 4096, "24", "tokens",
                 "of a prompt of generator induction, BOS included"),
    CONFIG_COUNT(struct circuit_task_spec, seed, 0, SWEEP_SEED_MAX, "0", NULL, "of a generator"),
    CONFIG_COUNT(struct circuit_task_spec, max_tokens, 2, 4096, "512", "tokens",
                 "a longer prompt is refused"),
    CONFIG_END};

static const struct config_key head_scores_keys[] = {
    CONFIG_CHOICE(struct circuit_head_scores_spec, when, when_choices, "auto",
                  "auto: with the generator induction, where heads are candidates"),
    CONFIG_COUNT(struct circuit_head_scores_spec, n_sequences, 1, 16384, "64", "sequences",
                 "[BOS] r1 .. rk r1 .. rk of random words"),
    CONFIG_COUNT(struct circuit_head_scores_spec, n_words, 0, 2047, "0", "words",
                 "of one copy, all different; 0: as many as fit in task.n_tokens"),
    CONFIG_COUNT(struct circuit_head_scores_spec, seed, 0, SWEEP_SEED_MAX, "0", NULL,
                 "of the words"),
    CONFIG_END};

static const struct config_key ablation_keys[] = {
    CONFIG_FLAGS(struct circuit_ablation_spec, values, value_flags, "zero,mean,resample",
                 "what stands in for an ablated activation; mean and resample decide"),
    CONFIG_CHOICE(struct circuit_ablation_spec, mean_over, mean_choices, "position",
                  "means over the reference prompts: overall, of each position, of each position "
                  "of each template"),
    CONFIG_COUNT(struct circuit_ablation_spec, n_batch, 1, 1024, "32", "variants",
                 "of a unit of work; changes no number"),
    CONFIG_END};

static const struct config_key split_keys[] = {
    CONFIG_COUNT(struct circuit_splits, search, 1, 98, "40", "percent",
                 "prompts that the circuit is searched on"),
    CONFIG_COUNT(struct circuit_splits, reference, 1, 98, "20", "percent",
                 "prompts that means are taken over"),
    CONFIG_COUNT(struct circuit_splits, verdict, 1, 98, "40", "percent",
                 "held-out prompts that the verdict is measured on"),
    CONFIG_END};

static const struct config_key agent_keys[] = {
    CONFIG_TEXT(
        struct circuit_agent_spec, provider, NULL,
        "a provider's name; it is asked once, and orders the search: what it names goes first; not "
        "beside a circuit that is brought"),
    CONFIG_TEXT(
        struct circuit_agent_spec, labels, NULL,
        "the id of a finished label sweep, no control, of the same model and dictionaries: its "
        "labels of candidates are shown to the provider"),
    CONFIG_COUNT(struct circuit_agent_spec, max_tokens, 64, 65536, "4000", "tokens",
                 "of the answer"),
    CONFIG_END};

static const struct config_key search_keys[] = {
    CONFIG_SECTION(struct circuit_search_spec, agent, agent_keys,
                   "a language model that proposes candidates; no say in the verdict"),
    CONFIG_CHOICE(struct circuit_search_spec, value, value_choices, "resample",
                  "the ablation that effects are taken under"),
    CONFIG_CHOICE(struct circuit_search_spec, order, order_choices, "listed",
                  "what is tried first: as listed, or the largest by attribution; exact ablation "
                  "decides"),
    CONFIG_CHOICE(struct circuit_search_spec, method, method_choices, "eap_ig",
                  "of the attribution: atp (components), eap, eap_ig (edges too)"),
    CONFIG_COUNT(struct circuit_search_spec, steps, 1, ATTRIBUTE_MAX_STEPS, "5", "steps",
                 "of eap_ig, from corrupted to clean"),
    CONFIG_NUMBER(struct circuit_search_spec, fdr_q, 1e-9, 0.5, "0.05", "share",
                  "false discoveries allowed among the chosen components"),
    CONFIG_NUMBER(struct circuit_search_spec, share_min, 0.0, 1.0, "0.02", "share",
                  "of the effect of ablating everything, that a component must have"),
    CONFIG_BOOL(struct circuit_search_spec, is_signed, "false",
                "only components that help: negative heads are then lost"),
    CONFIG_COUNT(struct circuit_search_spec, max_nodes, 0, 65536, "0", "components",
                 "of largest effect; 0: no limit"),
    CONFIG_BOOL(struct circuit_search_spec, conditional, "true",
                "look for backups and gates: components that count when others are silent"),
    CONFIG_CHOICE(struct circuit_search_spec, edges, edge_choices, "none",
                  "between the components that were found: none, path_patching, acdc"),
    CONFIG_TEXTS(
        struct circuit_search_spec, taus, 0, 32,
        "thresholds of acdc, in units of the metric: an edge goes whose removal costs less; "
        "the largest that suffices is taken; none: 0.01"),
    CONFIG_NUMBER(struct circuit_search_spec, edge_sufficiency_min, 0.0, 1.0, "0.8", "ratio",
                  "on the search prompts, that the edges of a tau must reach to be taken"),
    CONFIG_COUNT(struct circuit_search_spec, n_searches, 0, 1000, "5", "searches",
                 "on bootstraps of the prompts, for the stability; one that is free, without "
                 "conditional and edges, is run at least 20 times"),
    CONFIG_COUNT(struct circuit_search_spec, max_variants, 1, 10000000, "200000", "variants",
                 "measured in a search; then it stops and says so"),
    CONFIG_END};

static const struct config_key verdict_keys[] = {
    CONFIG_COUNT(struct circuit_verdict_spec, n_random, 0, 10000, "200", "circuits",
                 "of the same size that it is compared with"),
    CONFIG_COUNT(struct circuit_verdict_spec, n_subsets, 0, 1000, "20", "subsets",
                 "of the circuit, for completeness and minimality"),
    CONFIG_COUNT(struct circuit_verdict_spec, n_resamples, 100, 100000, "2000", NULL,
                 "of prompts, for the 95 % intervals"),
    CONFIG_NUMBER(struct circuit_verdict_spec, ratio_min, 0.0, 1.0, "0.8", "ratio",
                  "that the lower bounds of sufficiency and necessity must reach"),
    CONFIG_NUMBER(struct circuit_verdict_spec, random_quantile, 0.5, 1.0, "0.95", "quantile",
                  "of the random circuits, that both must exceed"),
    CONFIG_NUMBER(struct circuit_verdict_spec, stability_min, 0.0, 1.0, "0.8", "Jaccard index",
                  "mean over pairs of searches, that must be reached"),
    CONFIG_END};

static const struct config_key dictionary_keys[] = {
    CONFIG_REQUIRED_TEXT(struct circuit_dictionary_spec, hook,
                         "hook point, as blocks.6.hook_resid_pre; one dictionary at each"),
    CONFIG_REQUIRED_TEXT(struct circuit_dictionary_spec, dictionary, "directory of an SAE"),
    CONFIG_TEXT(struct circuit_dictionary_spec, features, "all",
                "that are candidates: all, or a list such as 0-99,105,200-300"),
    CONFIG_NUMBER(struct circuit_dictionary_spec, norm_scaling_factor, 0.0, 1e6, "0", "factor",
                  "on what an expected_average_only_in dictionary reads, if not folded; 0: none"),
    CONFIG_BOOL(struct circuit_dictionary_spec, error_term, "false",
                "what the dictionary does not explain is a candidate too; else it stays as it is"),
    CONFIG_END};

static const struct config_key circuit_keys[] = {
    SWEEP_COMMON_KEYS,
    CONFIG_REQUIRED_TEXT(struct sweep_spec, model, "directory of the checkpoint"),
    CONFIG_SECTION(struct sweep_spec, task, task_keys, "prompts: a generator, or a file"),
    CONFIG_TEXT(struct sweep_spec, circuit, NULL,
                "a file with a circuit: nothing is searched, the verdict is on this one"),
    CONFIG_TEXT(struct sweep_spec, circuit_sha256, NULL,
                "of that file: another one is refused; set when the sweep is accepted, from when "
                "on a copy counts"),
    CONFIG_CHOICE(struct sweep_spec, metric, metric_choices, "logit_difference",
                  "what is measured at the answer position"),
    CONFIG_FLAGS(struct sweep_spec, candidates, candidate_choices, "heads,mlps",
                 "what is searched through; everything else stays as it is"),
    CONFIG_TEXT(struct sweep_spec, layers, "all",
                "of the candidates: all, or a list such as 0-3,7"),
    CONFIG_TEXT(struct sweep_spec, neurons, "all",
                "of each layer, where neurons are candidates: all, or a list such as 0-99"),
    CONFIG_TEXT(struct sweep_spec, dimensions, "all",
                "of each stream, where residual dimensions are candidates"),
    CONFIG_LIST(struct sweep_spec, dictionaries, dictionary_keys, 0, CIRCUIT_MAX_DICTIONARIES,
                "whose features are candidates too, whatever `layers` says"),
    CONFIG_TEXTS(struct sweep_spec, positions, 0, 32,
                 "named positions of the prompts: a component at each of them is a candidate of "
                 "its own; none: at all positions together"),
    CONFIG_SECTION(struct sweep_spec, head_scores, head_scores_keys,
                   "previous-token, duplicate-token and induction scores of every head, beside the "
                   "circuit"),
    CONFIG_SECTION(struct sweep_spec, ablation, ablation_keys, "what takes a component's place"),
    CONFIG_SECTION(struct sweep_spec, prompt_splits, split_keys, "which share no prompt"),
    CONFIG_SECTION(struct sweep_spec, search, search_keys, "how the circuit is looked for"),
    CONFIG_SECTION(struct sweep_spec, verdict, verdict_keys, "when it is believed"),
    CONFIG_NUMBER(struct sweep_spec, budget_dollars, 0.0, 1e6, "10", "USD",
                  "of search.agent; when it is spent the sweep pauses; 0: nothing may be spent"),
    CONFIG_CHOICE(struct sweep_spec, compute, sweep_compute_choices, "f32",
                  "number format of the products; part of the result's identity"),
    CONFIG_CHOICE(struct sweep_spec, backend, sweep_backend_choices, "any",
                  "workers that may run the model; any: the kind that takes it first, and no "
                  "other from then on"),
    CONFIG_COUNT(struct sweep_spec, seed, 0, SWEEP_SEED_MAX, "0", NULL,
                 "of splits, bootstraps and everything drawn"),
    CONFIG_END};
const struct config_schema sweep_circuit_schema = {"circuit sweep", circuit_keys,
                                                   sizeof(struct sweep_spec)};

/* The first key whose value differs. */
static const char *first_changed(const struct config_key *keys, const json_t *values,
                                 const json_t *defaults)
{
    for (; keys->name; keys++)
        if (!json_equal(json_object_get(values, keys->name), json_object_get(defaults, keys->name)))
            return keys->name;
    return NULL;
}

status_t circuit_search_changed(const struct circuit_search_spec *search, const char **out,
                                struct error *err)
{
    static const struct config_schema schema = {"search", search_keys,
                                                sizeof(struct circuit_search_spec)};
    void *unset = NULL;
    const status_t status = config_load_text(&unset, &schema, "{}", 2, "search", err);
    if (status != ST_OK) return status;
    json_t *values = config_to_json(&schema, search), *defaults = config_to_json(&schema, unset);
    const bool is_told = values && defaults;
    *out = is_told ? first_changed(search_keys, values, defaults) : NULL;
    json_decref(values);
    json_decref(defaults);
    config_destroy(&unset, &schema);
    return is_told ? ST_OK : error_set(err, ST_NO_MEMORY, "search");
}

static const char *name_in(const struct config_choice *choices, int value)
{
    while (choices->name && choices->value != value) choices++;
    return choices->name;
}

const char *circuit_generator_name(enum circuit_generator generator)
{
    return generator == CIRCUIT_GENERATOR_NONE ? NULL : name_in(generator_choices, (int)generator);
}

bool circuit_hook_read(const char *hook, struct component *out)
{
    char name[COMPONENT_NAME_SIZE];
    struct error ignored = {.status = ST_OK};
    const int n = snprintf(name, sizeof name, "%s.error", hook);
    return n > 0 && (size_t)n < sizeof name &&
           component_parse(name, (size_t)n, out, &ignored) == ST_OK &&
           out->type == COMPONENT_ERROR && !out->position[0];
}

bool circuit_tau_read(const char *text, double *out)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value <= 0 || *text == ' ') return false;
    *out = value;
    return true;
}

const char *circuit_mean_name(enum ablation_mean mean)
{
    return name_in(mean_choices, (int)mean);
}
