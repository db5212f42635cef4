/* The components that a circuit sweep searches through. */
#include "coordinator/plan/feature_set.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdio.h>
#include <stdlib.h>

/* A list under way; add() leaves it alone once something failed. */
struct listing {
    struct circuit_run *run;
    struct feature_set neurons, dimensions; /* of each layer, of each stream */
    size_t capacity;
    const char *position;
    status_t status;
    struct error *err;
};

static void add(struct listing *list, enum component_type type, enum component_site site,
                uint32_t layer, uint32_t index)
{
    struct circuit_run *run = list->run;
    if (list->status != ST_OK) return;
    if (run->n_candidates == CIRCUIT_MAX_NODES) {
        list->status =
            error_set(list->err, ST_TOO_LARGE,
                      "more than %d candidates; choose fewer layers or kinds", CIRCUIT_MAX_NODES);
        return;
    }
    if (run->n_candidates == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 256;
        struct component *grown = realloc(run->candidates, capacity * sizeof *grown);
        if (!grown) {
            list->status = error_set(list->err, ST_NO_MEMORY, "candidates");
            return;
        }
        run->candidates = grown;
        list->capacity = capacity;
    }
    struct component *added = &run->candidates[run->n_candidates++];
    *added = (struct component){.type = type, .site = site, .layer = layer, .index = index};
    (void)snprintf(added->position, sizeof added->position, "%s", list->position);
}

static void add_many(struct listing *list, enum component_type type, enum component_site site,
                     uint32_t layer, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) add(list, type, site, layer, i);
}

static void add_set(struct listing *list, enum component_type type, enum component_site site,
                    uint32_t layer, const struct feature_set *set)
{
    for (size_t i = 0; i < set->n; i++) add(list, type, site, layer, set->features[i]);
}

static void add_layer(struct listing *list, uint32_t layer)
{
    const struct model_shape *shape = &list->run->shape;
    const unsigned kinds = list->run->sweep->spec->candidates;
    if (kinds & CIRCUIT_HEADS) add_many(list, COMPONENT_HEAD, SITE_NONE, layer, shape->n_heads);
    if (kinds & CIRCUIT_KV_GROUPS) {
        add_many(list, COMPONENT_KEY_GROUP, SITE_NONE, layer, shape->n_kv_heads);
        add_many(list, COMPONENT_VALUE_GROUP, SITE_NONE, layer, shape->n_kv_heads);
    }
    if (kinds & CIRCUIT_MLPS) add(list, COMPONENT_MLP, SITE_NONE, layer, 0);
    if (kinds & CIRCUIT_NEURONS) add_set(list, COMPONENT_NEURON, SITE_NONE, layer, &list->neurons);
    if (kinds & CIRCUIT_RESIDUAL)
        add_set(list, COMPONENT_RESIDUAL, SITE_RESID_PRE, layer, &list->dimensions);
}

/* Every prompt must have the position. */
static status_t check_position(const struct circuit_run *run, const char *position,
                               struct error *err)
{
    for (size_t i = 0; i < run->prompts.n_prompts; i++) {
        uint32_t at;
        if (!circuit_prompt_position(&run->prompts.prompts[i], position, &at))
            return error_set(err, ST_BAD_INPUT, "positions: prompt %s has no position '%s'",
                             run->prompts.prompts[i].id, position);
    }
    return ST_OK;
}

/* Features of every dictionary, and its error term where it is asked for. */
static status_t add_dictionaries(struct listing *list, struct error *err)
{
    const struct circuit_run *run = list->run;
    const struct sweep_spec *spec = run->sweep->spec;
    status_t status = ST_OK;
    for (size_t d = 0; d < spec->n_dictionaries && status == ST_OK; d++) {
        const struct circuit_dictionary_spec *from = &spec->dictionaries[d];
        const struct component *place = &run->dictionaries.places[d];
        struct feature_set features = {0};
        status =
            feature_set_init(&features, from->features, run->dictionaries.n_features[d], 0, 0, err);
        if (status != ST_OK) return error_wrap(err, "dictionaries[%zu].features", d);
        add_set(list, COMPONENT_FEATURE, place->site, place->layer, &features);
        if (from->error_term) add(list, COMPONENT_ERROR, place->site, place->layer, 0);
        feature_set_fini(&features);
    }
    return status;
}

static status_t add_all(struct listing *list, const struct feature_set *layers,
                        const char *position, struct error *err)
{
    list->position = position;
    for (size_t i = 0; i < layers->n; i++) add_layer(list, layers->features[i]);
    return add_dictionaries(list, err);
}

static status_t choose(struct feature_set *out, const char *key, const char *list, uint32_t n,
                       struct error *err)
{
    const status_t status = feature_set_init(out, list, n, 0, 0, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", key);
}

static status_t add_everywhere(struct listing *list, const struct feature_set *layers,
                               struct error *err)
{
    const struct sweep_spec *spec = list->run->sweep->spec;
    status_t status = ST_OK;
    for (size_t k = 0; k < spec->n_positions && status == ST_OK; k++) {
        status = check_position(list->run, spec->positions[k], err);
        if (status == ST_OK) status = add_all(list, layers, spec->positions[k], err);
    }
    if (spec->n_positions == 0) status = add_all(list, layers, "", err);
    return status == ST_OK ? list->status : status;
}

status_t circuit_candidates_make(struct circuit_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    struct listing list = {.run = run, .status = ST_OK, .err = err};
    struct feature_set layers = {0};
    status_t status = choose(&layers, "layers", spec->layers, run->shape.n_layers, err);
    if (status == ST_OK && (spec->candidates & CIRCUIT_NEURONS))
        status = choose(&list.neurons, "neurons", spec->neurons, run->shape.d_mlp, err);
    if (status == ST_OK && (spec->candidates & CIRCUIT_RESIDUAL))
        status = choose(&list.dimensions, "dimensions", spec->dimensions, run->shape.d_model, err);
    if (status == ST_OK) status = add_everywhere(&list, &layers, err);
    feature_set_fini(&layers);
    feature_set_fini(&list.neurons);
    feature_set_fini(&list.dimensions);
    if (status == ST_OK)
        qsort(run->candidates, run->n_candidates, sizeof *run->candidates, component_compare_items);
    return status;
}

bool circuit_candidates_have(const struct circuit_run *run, const struct component *component)
{
    return bsearch(component, run->candidates, run->n_candidates, sizeof *component,
                   component_compare_items) != NULL;
}
