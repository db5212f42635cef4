#include "coordinator/circuit/ablation_method.h"

#include <string.h>

enum { N_METHOD_KEYS = 7 };

static const char *const GRANULARITIES[] = {"node", "edge", NULL};
static const char *const VALUES[] = {"zero", "mean", "resample", NULL};
static const char *const MEANS[] = {"", "overall", "position", "template", NULL};
static const char *const POSITIONS[] = {"all", "named", NULL};
static const char *const DIRECTIONS[] = {"destroy", "restore", NULL};
static const char *const SETS[] = {"none", "member", "class", "circuit", "complement", "all", NULL};

static int find_word(const char *const *words, const char *text, size_t n_bytes)
{
    for (int i = 0; words[i]; i++)
        if (strlen(words[i]) == n_bytes && memcmp(words[i], text, n_bytes) == 0) return i;
    return -1;
}

bool ablation_value_parse(const char *text, size_t n_bytes, enum ablate_value *out)
{
    const int found = n_bytes > 0 ? find_word(VALUES, text, n_bytes) : -1;
    if (found < 0) return false;
    *out = (enum ablate_value)found;
    return true;
}

static json_t *types_json(uint32_t types)
{
    json_t *all = json_array();
    for (unsigned type = 0; all && type < COMPONENT_N_TYPES; type++) {
        if (!(types >> type & 1u)) continue;
        if (json_array_append_new(all, json_string(component_type_name(type))) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

json_t *ablation_method_json(const struct ablation_method *method)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:s, s:s, s:s}", "granularity",
                     GRANULARITIES[method->granularity], "types", types_json(method->types),
                     "value", VALUES[method->value], "mean_over",
                     method->mean == MEAN_NONE ? json_null() : json_string(MEANS[method->mean]),
                     "positions", POSITIONS[method->is_at_named_positions], "direction",
                     DIRECTIONS[method->direction], "set", SETS[method->set]);
}

/* --- reading ------------------------------------------------------------------------------ */

static status_t read_word(const json_t *json, const char *key, const char *const *words, int *out,
                          struct error *err)
{
    const json_t *value = json_object_get(json, key);
    const char *text = json_string_value(value);
    *out = text ? find_word(words, text, json_string_length(value)) : -1;
    if (!value) return error_set(err, ST_BAD_INPUT, "method: %s is missing", key);
    if (*out < 0)
        return error_set(err, ST_BAD_INPUT, "method: %s \"%.30s\" is unknown", key,
                         text ? text : "");
    return ST_OK;
}

static status_t read_types(const json_t *json, uint32_t *out, struct error *err)
{
    const json_t *types = json_object_get(json, "types");
    if (!json_is_array(types)) return error_set(err, ST_BAD_INPUT, "method: types is no array");
    *out = 0;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *name = json_string_value(json_array_get(types, i));
        unsigned type = 0;
        while (name && type < COMPONENT_N_TYPES && strcmp(name, component_type_name(type)) != 0)
            type++;
        if (!name || type == COMPONENT_N_TYPES)
            return error_set(err, ST_BAD_INPUT, "method: types[%zu] \"%.30s\" is unknown", i,
                             name ? name : "");
        *out |= 1u << type;
    }
    return ST_OK;
}

static status_t read_mean(const json_t *json, bool is_mean, int *mean, struct error *err)
{
    *mean = MEAN_NONE;
    if (!json_is_null(json_object_get(json, "mean_over"))) {
        const status_t status = read_word(json, "mean_over", MEANS, mean, err);
        if (status != ST_OK) return status;
    }
    if (is_mean != (*mean != MEAN_NONE))
        return error_set(err, ST_BAD_INPUT, "method: mean_over goes with value \"mean\" alone");
    return ST_OK;
}

status_t ablation_method_parse(const json_t *json, struct ablation_method *out, struct error *err)
{
    int granularity = 0, value = 0, mean = 0, positions = 0, direction = 0, set = 0;
    uint32_t types = 0;
    if (json_object_size(json) != N_METHOD_KEYS)
        return error_set(err, ST_BAD_INPUT, "method: an object of %d keys is wanted",
                         N_METHOD_KEYS);
    status_t status = read_word(json, "granularity", GRANULARITIES, &granularity, err);
    if (status == ST_OK) status = read_types(json, &types, err);
    if (status == ST_OK) status = read_word(json, "value", VALUES, &value, err);
    if (status == ST_OK) status = read_mean(json, value == ABLATE_MEAN, &mean, err);
    if (status == ST_OK) status = read_word(json, "positions", POSITIONS, &positions, err);
    if (status == ST_OK) status = read_word(json, "direction", DIRECTIONS, &direction, err);
    if (status == ST_OK) status = read_word(json, "set", SETS, &set, err);
    if (status != ST_OK) return status;
    *out = (struct ablation_method){(enum ablation_granularity)granularity,
                                    types,
                                    (enum ablate_value)value,
                                    (enum ablation_mean)mean,
                                    positions == 1,
                                    (enum ablation_direction)direction,
                                    (enum ablation_set)set};
    return ST_OK;
}
