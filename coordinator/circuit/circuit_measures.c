#include "coordinator/circuit/circuit_measures.h"

#include <math.h>

struct named_array {
    const char *name;
    const double *values; /* [n_rows, n_prompts] */
    size_t n_rows;
    bool is_wanted;
};

static status_t check_array(const struct named_array *array, size_t n_prompts, struct error *err)
{
    if (!array->values && array->is_wanted && array->n_rows > 0)
        return error_set(err, ST_BAD_INPUT, "%s is missing", array->name);
    if (!array->values) return ST_OK;
    for (size_t row = 0; row < array->n_rows; row++)
        for (size_t i = 0; i < n_prompts; i++)
            if (!isfinite(array->values[row * n_prompts + i]))
                return error_set(err, ST_BAD_INPUT, "%s, row %zu, prompt %zu: not finite",
                                 array->name, row, i);
    return ST_OK;
}

/* The three of a member come together, and so do the two of KL. */
static status_t check_pairs(const struct value_measures *value, struct error *err)
{
    if (!value->without_class_rest != !value->without_class)
        return error_set(err, ST_BAD_INPUT,
                         "one of without_class_rest and without_class is missing");
    if (!value->kl_circuit != !value->kl_empty)
        return error_set(err, ST_BAD_INPUT, "one of kl_circuit and kl_empty is missing");
    if (value->n_minimality > 0 && !value->minimality_member)
        return error_set(err, ST_BAD_INPUT, "minimality_member is missing");
    return ST_OK;
}

static status_t check_value(const struct value_measures *value, size_t n_members, size_t n_prompts,
                            struct error *err)
{
    const size_t n_subsets = value->n_subsets, n_random = value->n_random;
    const size_t n_minimality = value->n_minimality;
    const size_t n_points = value->n_curve_candidates > 0 ? CURVE_N_FRACTIONS : 0;
    const struct named_array arrays[] = {
        {"empty", value->empty, 1, true},
        {"circuit", value->circuit, 1, true},
        {"complement", value->complement, 1, true},
        {"without_member", value->without_member, n_members, false},
        {"without_class_rest", value->without_class_rest, n_members, false},
        {"without_class", value->without_class, n_members, false},
        {"circuit_without_subset", value->circuit_without_subset, n_subsets, true},
        {"model_without_subset", value->model_without_subset, n_subsets, true},
        {"minimality_without_subset", value->minimality_without_subset, n_minimality, true},
        {"minimality_without_both", value->minimality_without_both, n_minimality, true},
        {"random_circuit", value->random_circuit, n_random, true},
        {"random_complement", value->random_complement, n_random, true},
        {"curve_signed", value->curve[CURVE_SIGNED], n_points, true},
        {"curve_absolute", value->curve[CURVE_ABSOLUTE], n_points, true},
        {"kl_circuit", value->kl_circuit, 1, false},
        {"kl_empty", value->kl_empty, 1, false}};
    status_t status = check_pairs(value, err);
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0] && status == ST_OK; i++)
        status = check_array(&arrays[i], n_prompts, err);
    for (size_t i = 0; i < n_minimality && status == ST_OK; i++)
        if (value->minimality_member[i] >= n_members)
            status = error_set(err, ST_BAD_INPUT, "minimality_member[%zu] is %u: %zu members", i,
                               value->minimality_member[i], n_members);
    return status;
}

status_t circuit_measures_check(const struct circuit_measures *measures, struct error *err)
{
    const struct named_array full = {"full", measures->full, 1, true};
    const size_t n_prompts = measures->units.n_prompts;
    status_t status = prompt_units_check(&measures->units, err);
    if (status == ST_OK) status = check_array(&full, n_prompts, err);
    for (int v = 0; v < ABLATE_N_VALUES && status == ST_OK; v++) {
        const struct value_measures *value = &measures->values[v];
        if (!value->is_measured) continue;
        if (value->method.value != (enum ablate_value)v)
            status = error_set(err, ST_BAD_INPUT, "its method says %s",
                               ablate_value_name(value->method.value));
        else
            status = check_value(value, circuit_measures_n_members(measures), n_prompts, err);
        if (status != ST_OK)
            return error_wrap(err, "measures under %s", ablate_value_name((enum ablate_value)v));
    }
    return status;
}
