#include "coordinator/circuit/measures_json.h"

#include <stdlib.h>

static json_t *json_numbers(const double *numbers, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) (void)json_array_append_new(list, json_real(numbers[i]));
    return list;
}

/* One row or many of n_prompts; nothing of what was not measured. */
static void put_row(json_t *out, const char *key, const double *numbers, size_t n_prompts)
{
    if (numbers) (void)json_object_set_new(out, key, json_numbers(numbers, n_prompts));
}

static void put_rows(json_t *out, const char *key, const double *numbers, size_t n,
                     size_t n_prompts)
{
    if (!numbers) return;
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(rows, json_numbers(numbers + i * n_prompts, n_prompts));
    (void)json_object_set_new(out, key, rows);
}

static void put_indices(json_t *out, const char *key, const uint32_t *indices, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) (void)json_array_append_new(list, json_integer(indices[i]));
    (void)json_object_set_new(out, key, list);
}

static void put_curves(json_t *out, const struct value_measures *value, size_t n_prompts)
{
    uint32_t n_items[CURVE_N_FRACTIONS];
    for (size_t k = 0; k < CURVE_N_FRACTIONS; k++)
        n_items[k] = (uint32_t)curve_n_items(CURVE_FRACTIONS[k], value->n_curve_candidates);
    (void)json_object_set_new(out, "curve_fractions",
                              json_numbers(CURVE_FRACTIONS, CURVE_N_FRACTIONS));
    put_indices(out, "curve_n_items", n_items, CURVE_N_FRACTIONS);
    put_rows(out, "curve_signed", value->curve[CURVE_SIGNED], CURVE_N_FRACTIONS, n_prompts);
    put_rows(out, "curve_absolute", value->curve[CURVE_ABSOLUTE], CURVE_N_FRACTIONS, n_prompts);
}

static json_t *value_json(const struct value_measures *value, size_t n_members, size_t n_prompts)
{
    json_t *out = json_object();
    put_row(out, "empty", value->empty, n_prompts);
    put_row(out, "circuit", value->circuit, n_prompts);
    put_row(out, "complement", value->complement, n_prompts);
    put_rows(out, "without_member", value->without_member, n_members, n_prompts);
    put_rows(out, "without_class_rest", value->without_class_rest, n_members, n_prompts);
    put_rows(out, "without_class", value->without_class, n_members, n_prompts);
    put_rows(out, "circuit_without_subset", value->circuit_without_subset, value->n_subsets,
             n_prompts);
    put_rows(out, "model_without_subset", value->model_without_subset, value->n_subsets, n_prompts);
    if (value->n_minimality)
        put_indices(out, "minimality_member", value->minimality_member, value->n_minimality);
    put_rows(out, "minimality_without_subset", value->minimality_without_subset,
             value->n_minimality, n_prompts);
    put_rows(out, "minimality_without_both", value->minimality_without_both, value->n_minimality,
             n_prompts);
    put_rows(out, "random_circuit", value->random_circuit, value->n_random, n_prompts);
    put_rows(out, "random_complement", value->random_complement, value->n_random, n_prompts);
    (void)json_object_set_new(out, "random_exhaustive", json_boolean(value->is_random_exhaustive));
    if (value->n_curve_candidates > 0) put_curves(out, value, n_prompts);
    put_row(out, "kl_circuit", value->kl_circuit, n_prompts);
    put_row(out, "kl_empty", value->kl_empty, n_prompts);
    return out;
}

static json_t *members_json(const struct circuit *circuit)
{
    json_t *list = json_array();
    for (size_t i = 0; i < circuit->n_nodes; i++) {
        char name[COMPONENT_NAME_SIZE];
        (void)json_array_append_new(
            list, json_string(component_name(&circuit->nodes[i].component, name)));
    }
    return list;
}

static json_t *measures_json(const struct circuit_measures *measures, const struct prompt_set *set,
                             const struct prompt_choice *choice)
{
    const size_t n_prompts = measures->units.n_prompts;
    const struct score_value stability = measures->stability;
    json_t *out = json_object(), *values = json_object(), *ids = json_array();
    for (size_t i = 0; i < choice->n; i++)
        (void)json_array_append_new(ids, json_string(set->prompts[choice->prompts[i]].id));
    (void)json_object_set_new(out, "metric", json_string(circuit_metric_name(measures->metric)));
    (void)json_object_set_new(out, "prompts", ids);
    put_indices(out, "units", measures->units.unit_of, n_prompts);
    (void)json_object_set_new(out, "interval_over",
                              json_string(measures->is_by_template ? "templates" : "prompts"));
    put_row(out, "full", measures->full, n_prompts);
    (void)json_object_set_new(out, "members", members_json(measures->circuit));
    (void)json_object_set_new(out, "n_searches", json_integer((json_int_t)measures->n_researches));
    (void)json_object_set_new(out, "stability",
                              stability.is_defined ? json_real(stability.value) : json_null());
    for (unsigned v = 0; v < ABLATE_N_VALUES; v++)
        (void)json_object_set_new(
            values, ablate_value_name((enum ablate_value)v),
            measures->values[v].is_measured
                ? value_json(&measures->values[v], circuit_measures_n_members(measures), n_prompts)
                : json_null());
    (void)json_object_set_new(out, "values", values);
    return out;
}

status_t measures_json_write(const struct circuit_measures *measures, const struct prompt_set *set,
                             const struct prompt_choice *choice, struct buffer *out,
                             struct error *err)
{
    json_t *json = measures_json(measures, set, choice);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    json_decref(json);
    if (!text) return error_set(err, ST_NO_MEMORY, "measures as JSON");
    status_t status = buffer_append_text(out, text, err);
    if (status == ST_OK) status = buffer_append_text(out, "\n", err);
    free(text);
    return status;
}
