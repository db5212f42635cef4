/* Searches on values of an independent forward pass (tests/golden/circuits, plain numpy): the sweep
 * of every component of each known model, and, where the golden file has every set that can be
 * asked, the whole search among the nodes of its circuit. */
#include "coordinator/circuit/circuit_search.h"
#include "tests/support/session_windows.h"

#include <jansson.h>

enum { MAX_NODES = 32, MAX_PROMPTS = 32 };

static const char *const MODELS[] = {
    "induction-32-1", "induction-32-2", "induction-16-3",       "induction-64-4",
    "negative-32-1",  "negative-24-2",  "graded-gate-32-1",     "graded-gate-24-2",
    "and-gate-32-1",  "and-gate-24-2",  "or-gate-32-1",         "or-gate-24-2",
    "backup-32-1",    "backup-24-2",    "llama-induction-16-1", "llama-induction-32-2"};
enum { N_MODELS = sizeof MODELS / sizeof MODELS[0] };
static const char *const VALUES[] = {"zero", "mean_position", "mean_overall", "mean_template",
                                     "resample"};

struct golden {
    json_t *root;
    const char *value;
    struct component candidates[MAX_NODES];
    size_t n;
    uint32_t n_prompts;
    double full[MAX_PROMPTS];
    const json_t *circuit; /* names of its nodes */
};

static bool is_listed(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) return true;
    return false;
}

/* The record of a set of names under the value; NULL if there is none. */
static const json_t *record_of(const struct golden *golden, const struct search_variant *set)
{
    const json_t *records = json_object_get(golden->root, "records"), *record;
    char name[COMPONENT_NAME_SIZE];
    size_t r;
    json_array_foreach(records, r, record)
    {
        const json_t *ablated = json_object_get(record, "ablated");
        bool is_same =
            json_array_size(ablated) == set->n_nodes &&
            strcmp(json_string_value(json_object_get(record, "value")), golden->value) == 0;
        for (size_t i = 0; i < set->n_nodes && is_same; i++)
            is_same = is_listed(ablated, component_name(&golden->candidates[set->nodes[i]], name));
        if (is_same) return record;
    }
    return NULL;
}

static void read_numbers(const json_t *list, double *out)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = json_number_value(json_array_get(list, i));
}

static const json_t *circuit_names(const json_t *root)
{
    const json_t *records = json_object_get(root, "records"), *record;
    size_t r;
    json_array_foreach(records, r, record)
    {
        if (strcmp(json_string_value(json_object_get(record, "what")), "complement") == 0)
            return json_object_get(record, "ablated");
    }
    return NULL;
}

/* Candidates: every node, or those of the circuit. */
static void open_golden(struct golden *golden, const char *model, const char *value,
                        bool of_circuit)
{
    char path[128];
    size_t r;
    const json_t *record, *nodes;
    (void)snprintf(path, sizeof path, "tests/golden/circuits/%s.json", model);
    *golden = (struct golden){.root = json_load_file(path, 0, NULL), .value = value};
    cr_assert(golden->root != NULL, "%s", path);
    const json_t *clean = json_object_get(golden->root, "clean_metric");
    golden->n_prompts = (uint32_t)json_array_size(clean);
    cr_assert_leq(golden->n_prompts, MAX_PROMPTS);
    read_numbers(clean, golden->full);
    golden->circuit = circuit_names(golden->root);
    json_array_foreach(json_object_get(golden->root, "records"), r, record)
    {
        nodes = json_object_get(record, "ablated");
        if (strcmp(json_string_value(json_object_get(record, "what")), "node") != 0 ||
            strcmp(json_string_value(json_object_get(record, "value")), value) != 0)
            continue;
        const char *name = json_string_value(json_array_get(nodes, 0));
        if (of_circuit && !is_listed(golden->circuit, name)) continue;
        cr_assert(golden->n < MAX_NODES);
        cr_assert_eq(component_parse(name, strlen(name), &golden->candidates[golden->n++], NULL),
                     ST_OK);
    }
    qsort(golden->candidates, golden->n, sizeof golden->candidates[0], component_compare_items);
}

static struct circuit_search *search_golden(const struct golden *golden, bool is_conditional,
                                            struct circuit_search_result *result)
{
    static uint32_t units[MAX_PROMPTS];
    struct circuit_search_params params = circuit_search_params_default(1);
    struct circuit_search *search = NULL;
    struct search_batch batch;
    for (uint32_t i = 0; i < MAX_PROMPTS; i++) units[i] = i;
    params.candidates = golden->candidates;
    params.nodes.n = golden->n;
    params.nodes.is_conditional = is_conditional;
    params.units = (struct prompt_units){units, golden->n_prompts, golden->n_prompts};
    cr_assert_eq(circuit_search_create(&search, &params, NULL), ST_OK);
    for (;;) {
        double rows[MAX_NODES * MAX_PROMPTS];
        cr_assert_eq(circuit_search_ask(search, &batch, NULL), ST_OK);
        if (batch.n == 0) break;
        cr_assert_leq(batch.n, MAX_NODES);
        for (size_t v = 0; v < batch.n; v++) {
            const json_t *record = record_of(golden, &batch.variants[v]);
            cr_assert(record != NULL, "a set of %zu nodes", batch.variants[v].n_nodes);
            read_numbers(json_object_get(record, "metric"), rows + v * golden->n_prompts);
        }
        cr_assert_eq(circuit_search_tell(search, rows, golden->full, NULL), ST_OK);
    }
    cr_assert_eq(circuit_search_finish(search, result, NULL), ST_OK);
    return search;
}

static const char *gate_of(const char *model)
{
    if (strncmp(model, "or-gate", 7) == 0) return "or";
    return strncmp(model, "backup", 6) == 0 ? "backup" : NULL;
}

/* Where a gate has routes that stand in for one another, the sweep finds the rest alone: a node. */
Test(circuit_search_golden, a_sweep_finds_what_shows_alone)
{
    for (size_t m = 0; m < N_MODELS; m++)
        for (size_t v = 0; v < sizeof VALUES / sizeof VALUES[0]; v++) {
            struct golden golden;
            struct circuit_search_result result;
            char name[COMPONENT_NAME_SIZE];
            size_t n_found = 0;
            open_golden(&golden, MODELS[m], VALUES[v], false);
            struct circuit_search *search = search_golden(&golden, false, &result);
            for (size_t i = 0; i < golden.n; i++) {
                const bool is_true =
                    is_listed(golden.circuit, component_name(&golden.candidates[i], name));
                n_found += result.nodes[i].is_chosen;
                cr_expect(!result.nodes[i].is_chosen || is_true, "%s, %s, %s", MODELS[m], VALUES[v],
                          name);
            }
            cr_expect_eq(n_found, gate_of(MODELS[m]) ? 1 : json_array_size(golden.circuit),
                         "%s, %s: %zu", MODELS[m], VALUES[v], n_found);
            circuit_search_result_fini(&result);
            circuit_search_destroy(&search);
            json_decref(golden.root);
        }
}

/* Among its nodes every set is on file: all are found, and the two routes are one class. */
Test(circuit_search_golden, the_whole_search_finds_the_routes_too)
{
    for (size_t m = 0; m < N_MODELS; m++)
        for (size_t v = 0; v < sizeof VALUES / sizeof VALUES[0]; v++) {
            struct golden golden;
            struct circuit_search_result result;
            uint32_t classes[MAX_NODES];
            open_golden(&golden, MODELS[m], VALUES[v], true);
            cr_assert(golden.n >= 2 && golden.n <= 3);
            struct circuit_search *search = search_golden(&golden, true, &result);
            cr_expect_eq(result.circuit.n_nodes, golden.n, "%s, %s", MODELS[m], VALUES[v]);
            cr_expect_eq(circuit_classes(&result.circuit, classes),
                         gate_of(MODELS[m]) ? golden.n - 1 : golden.n, "%s, %s", MODELS[m],
                         VALUES[v]);
            cr_expect(result.stability.value >= 0.99, "%s, %s: %g", MODELS[m], VALUES[v],
                      result.stability.value);
            circuit_search_result_fini(&result);
            circuit_search_destroy(&search);
            json_decref(golden.root);
        }
}
