#include "coordinator/intake/circuit_check.h"

#include "coordinator/intake/hash_key.h"

#include "coordinator/plan/feature_set.h"

#include <stdio.h>
#include <string.h>

enum { PATH_KEY_SIZE = 64 };

static status_t check_list(const struct yaml_tree *tree, const char *key, const char *list,
                           struct error *err)
{
    struct error cause = {.status = ST_OK};
    if (feature_set_check(list, &cause) == ST_OK) return ST_OK;
    return config_error(tree, key, err, cause.status, "%s", cause.text);
}

/* One dictionary at each hook point: features are named by it. */
static status_t check_dictionary(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                 size_t index, struct error *err)
{
    const struct circuit_dictionary_spec *dictionary = &spec->dictionaries[index];
    struct component place, other;
    char key[PATH_KEY_SIZE];
    (void)snprintf(key, sizeof key, "dictionaries[%zu].hook", index);
    if (!circuit_hook_read(dictionary->hook, &place))
        return config_error(tree, key, err, ST_BAD_INPUT,
                            "'%.60s' is no hook point of a dictionary, as blocks.6.hook_resid_pre",
                            dictionary->hook);
    for (size_t i = 0; i < index; i++)
        if (circuit_hook_read(spec->dictionaries[i].hook, &other) &&
            component_equal(&place, &other))
            return config_error(tree, key, err, ST_UNSUPPORTED,
                                "a second dictionary at %.60s: features are named by their hook "
                                "point",
                                dictionary->hook);
    (void)snprintf(key, sizeof key, "dictionaries[%zu].features", index);
    return check_list(tree, key, dictionary->features, err);
}

/* Edges are between heads and MLPs: what has none is refused by name. */
static status_t check_edge_ends(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                struct error *err)
{
    const char *what = spec->n_dictionaries                  ? "features of dictionaries"
                       : spec->candidates & CIRCUIT_NEURONS  ? "neurons"
                       : spec->candidates & CIRCUIT_RESIDUAL ? "residual dimensions"
                                                             : NULL;
    if (spec->search.edges == CIRCUIT_EDGES_NONE || !what) return ST_OK;
    return config_error(tree, "search.edges", err, ST_UNSUPPORTED,
                        "edges are searched between heads and MLPs; %s have none: leave them out",
                        what);
}

static status_t check_components(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                 struct error *err)
{
    status_t status = ST_OK;
    if (spec->candidates == 0 && spec->n_dictionaries == 0)
        return config_error(tree, "candidates", err, ST_BAD_INPUT,
                            "at least one kind of components is wanted");
    for (size_t i = 0; i < spec->n_dictionaries && status == ST_OK; i++)
        status = check_dictionary(tree, spec, i, err);
    if (status == ST_OK) status = check_edge_ends(tree, spec, err);
    if (status == ST_OK) status = check_list(tree, "neurons", spec->neurons, err);
    if (status == ST_OK) status = check_list(tree, "dimensions", spec->dimensions, err);
    return status == ST_OK ? check_list(tree, "layers", spec->layers, err) : status;
}

static status_t check_taus(const struct yaml_tree *tree, const struct circuit_search_spec *search,
                           struct error *err)
{
    for (size_t i = 0; i < search->n_taus; i++) {
        char key[PATH_KEY_SIZE];
        double tau;
        (void)snprintf(key, sizeof key, "search.taus[%zu]", i);
        if (!circuit_tau_read(search->taus[i], &tau))
            return config_error(tree, key, err, ST_BAD_INPUT, "'%.40s' is no number above 0",
                                search->taus[i]);
    }
    return ST_OK;
}

/* What has no slope cannot order. */
static status_t check_order(const struct yaml_tree *tree, const struct sweep_spec *spec,
                            struct error *err)
{
    const struct circuit_search_spec *search = &spec->search;
    if (search->order != CIRCUIT_ORDER_ATTRIBUTION) return ST_OK;
    if (spec->metric == METRIC_ACCURACY)
        return config_error(tree, "search.order", err, ST_BAD_INPUT,
                            "attribution follows slopes, and metric accuracy has none");
    if (spec->metric == METRIC_KL && search->method != ATTRIBUTE_EAP_IG)
        return config_error(tree, "search.method", err, ST_BAD_INPUT,
                            "metric kl has slope 0 at the clean run, where %s takes it: use eap_ig",
                            attribute_method_name(search->method));
    if (search->edges != CIRCUIT_EDGES_NONE && search->method == ATTRIBUTE_ATP)
        return config_error(tree, "search.method", err, ST_BAD_INPUT,
                            "atp orders no edges: use eap or eap_ig");
    return ST_OK;
}

static status_t check_circuit_search(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                     struct error *err)
{
    if (spec->ablation.values == 0)
        return config_error(tree, "ablation.values", err, ST_BAD_INPUT,
                            "at least one of zero, mean, resample is wanted");
    if (!spec->circuit && !(spec->ablation.values >> spec->search.value & 1u))
        return config_error(tree, "ablation.values", err, ST_BAD_INPUT,
                            "search.value, '%s', is not among them",
                            ablate_value_name(spec->search.value));
    if (spec->n_positions > 0 && spec->search.edges != CIRCUIT_EDGES_NONE)
        return config_error(tree, "search.edges", err, ST_UNSUPPORTED,
                            "edges are not searched between components at named positions");
    status_t status = check_order(tree, spec, err);
    if (status == ST_OK) status = check_taus(tree, &spec->search, err);
    return status == ST_OK ? check_components(tree, spec, err) : status;
}

/* --- what would be passed over in silence ------------------------------------------------- */

static status_t check_agent(const struct yaml_tree *tree, const struct sweep_spec *spec,
                            struct error *err)
{
    const struct circuit_agent_spec *agent = &spec->search.agent;
    const char *key = agent->labels                                   ? "search.agent.labels"
                      : agent->max_tokens != CIRCUIT_AGENT_MAX_TOKENS ? "search.agent.max_tokens"
                                                                      : NULL;
    if (!key || agent->provider) return ST_OK;
    return config_error(tree, key, err, ST_BAD_INPUT,
                        "is of an agent, and nobody is asked: give search.agent.provider too, or "
                        "leave it out");
}

/* Keys of a search beside a circuit that is brought. */
static status_t check_not_searched(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                   struct error *err)
{
    const char *changed = NULL;
    char key[PATH_KEY_SIZE];
    if (!spec->circuit) return ST_OK;
    const status_t status = circuit_search_changed(&spec->search, &changed, err);
    if (status != ST_OK || !changed) return status;
    (void)snprintf(key, sizeof key, "search.%s%s", changed,
                   spec->search.agent.provider ? ".provider" : "");
    return config_error(tree, key, err, ST_BAD_INPUT,
                        "is of a search, and a circuit that is brought is not searched: leave it "
                        "out");
}

status_t circuit_check_unused(const struct yaml_tree *tree, const struct sweep_spec *spec,
                              struct error *err)
{
    const status_t status = check_agent(tree, spec, err);
    return status == ST_OK ? check_not_searched(tree, spec, err) : status;
}

/* --- what cannot be ------------------------------------------------------------------------ */

static status_t check_brought(const struct yaml_tree *tree, const struct sweep_spec *spec,
                              struct error *err)
{
    const struct circuit_task_spec *task = &spec->task;
    status_t status =
        hash_key_check(tree, "circuit_sha256", spec->circuit_sha256, spec->circuit, err);
    if (status == ST_OK)
        status =
            hash_key_check(tree, "task.prompts_sha256", task->prompts_sha256, task->prompts, err);
    return status;
}

status_t circuit_check_keys(const struct yaml_tree *tree, const struct sweep_spec *spec,
                            struct error *err)
{
    const struct circuit_splits *splits = &spec->prompt_splits;
    const uint32_t sum = splits->search + splits->reference + splits->verdict;
    const bool has_generator = spec->task.generator != CIRCUIT_GENERATOR_NONE;
    if (!has_generator && !spec->task.prompts)
        return config_error(tree, "task", err, ST_BAD_INPUT,
                            "prompts are missing; give a generator, or a file of prompts");
    if (has_generator && spec->task.prompts)
        return config_error(tree, "task.prompts", err, ST_BAD_INPUT,
                            "a task has a generator or a file of prompts, not both");
    if (sum != 100)
        return config_error(tree, "prompt_splits", err, ST_BAD_INPUT,
                            "search %u, reference %u and verdict %u make %u percent, not 100",
                            splits->search, splits->reference, splits->verdict, sum);
    if (spec->head_scores.n_words == 1)
        return config_error(tree, "head_scores.n_words", err, ST_BAD_INPUT,
                            "two words at least are wanted, or 0");
    const status_t status = check_brought(tree, spec, err);
    return status == ST_OK ? check_circuit_search(tree, spec, err) : status;
}
