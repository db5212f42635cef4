#include "coordinator/circuit/search_changes.h"

#include "coordinator/circuit/component_site.h"

#include <stdlib.h>
#include <string.h>

static size_t n_changes_of(const struct ablate_unit *unit)
{
    return unit->n_variants ? unit->ends[unit->n_variants - 1] : 0;
}

/* Room for so many more variants and changes, at once. */
static status_t make_room(struct ablate_unit *unit, size_t n_variants, size_t n_changes,
                          struct error *err)
{
    const size_t variants = unit->n_variants + n_variants;
    const size_t changes = n_changes_of(unit) + n_changes;
    if (changes > UINT32_MAX)
        return error_set(err, ST_TOO_LARGE, "%zu changes of activations", changes);
    uint32_t *ends = realloc(unit->ends, (variants + 1) * sizeof *ends);
    if (ends) unit->ends = ends;
    struct ablate_change *list = realloc(unit->changes, (changes + 1) * sizeof *list);
    if (list) unit->changes = list;
    return ends && list ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu variants", variants);
}

/* The number of a component's set of positions; 0: all. */
static status_t positions_of(const struct component *component, const struct search_things *things,
                             uint32_t *out, struct error *err)
{
    *out = 0;
    if (!component->position[0]) return ST_OK;
    for (size_t k = 0; k < things->n_positions; k++)
        if (strcmp(things->positions[k], component->position) == 0) *out = (uint32_t)k + 1;
    return *out ? ST_OK
                : error_set(err, ST_BAD_INPUT, "no position '%s' among those of the sweep",
                            component->position);
}

/* The number of the dictionary at the component's hook point. */
static status_t feature_site(const struct component *component, const struct search_things *things,
                             struct ablate_site *out, struct error *err)
{
    const bool is_error = component->type == COMPONENT_ERROR;
    char name[COMPONENT_NAME_SIZE];
    for (size_t d = 0; d < things->n_dictionaries; d++) {
        const struct component *dictionary = &things->dictionaries[d];
        if (dictionary->site != component->site || dictionary->layer != component->layer) continue;
        *out = (struct ablate_site){.place = is_error ? ABLATE_ERROR : ABLATE_FEATURE,
                                    .layer = (uint32_t)d,
                                    .column = is_error ? 0 : component->index,
                                    .n_columns = 1};
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "%s: the sweep has no dictionary there",
                     component_name(component, name));
}

static status_t node_change(const struct component *component, const struct search_things *things,
                            struct ablate_change *out, struct error *err)
{
    const bool is_of_dictionary =
        component->type == COMPONENT_FEATURE || component->type == COMPONENT_ERROR;
    const status_t status = is_of_dictionary
                                ? feature_site(component, things, &out->at, err)
                                : component_site(component, things->shape, &out->at, err);
    return status == ST_OK ? positions_of(component, things, &out->positions, err) : status;
}

static status_t edge_change(const struct circuit_edge *edge, const struct search_things *things,
                            struct ablate_change *out, struct error *err)
{
    status_t status = edge_receiver_site(edge, things->shape, &out->at, err);
    if (status == ST_OK) status = component_site(&edge->sender, things->shape, &out->sender, err);
    return status == ST_OK ? positions_of(&edge->sender, things, &out->positions, err) : status;
}

static status_t append(struct ablate_unit *unit, const struct search_variant *variant,
                       enum ablate_value value, const struct search_things *things,
                       struct error *err)
{
    size_t n = n_changes_of(unit);
    status_t status = ST_OK;
    for (size_t i = 0; i < variant->n_nodes && status == ST_OK; i++) {
        if (variant->nodes[i] >= things->n_nodes)
            return error_set(err, ST_BAD_INPUT, "a variant of a node that is none");
        unit->changes[n] = (struct ablate_change){.value = (uint32_t)value};
        status = node_change(&things->nodes[variant->nodes[i]], things, &unit->changes[n++], err);
    }
    for (size_t i = 0; i < variant->n_edges && status == ST_OK; i++) {
        if (variant->edges[i] >= things->n_edges)
            return error_set(err, ST_BAD_INPUT, "a variant of an edge that is none");
        unit->changes[n] = (struct ablate_change){.value = (uint32_t)value};
        status = edge_change(&things->edges[variant->edges[i]], things, &unit->changes[n++], err);
    }
    if (status == ST_OK) unit->ends[unit->n_variants++] = (uint32_t)n;
    return status;
}

status_t search_changes_append(struct ablate_unit *unit, const struct search_batch *batch,
                               enum ablate_value value, const struct search_things *things,
                               struct error *err)
{
    size_t n_changes = 0;
    for (size_t i = 0; i < batch->n; i++)
        n_changes += batch->variants[i].n_nodes + batch->variants[i].n_edges;
    status_t status = make_room(unit, batch->n, n_changes, err);
    for (size_t i = 0; i < batch->n && status == ST_OK; i++)
        status = append(unit, &batch->variants[i], value, things, err);
    return status;
}

status_t search_changes_append_clean(struct ablate_unit *unit, struct error *err)
{
    const struct search_variant nothing = {0};
    const struct search_batch batch = {&nothing, 1};
    return search_changes_append(unit, &batch, ABLATE_ZERO, NULL, err);
}
