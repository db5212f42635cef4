#include "coordinator/circuit/circuit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void circuit_init(struct circuit *circuit)
{
    *circuit = (struct circuit){.n_nodes = 0};
}

void circuit_fini(struct circuit *circuit)
{
    free(circuit->nodes);
    free(circuit->edges);
    circuit_init(circuit);
}

/* Room for one more of item_size bytes; returns the array, or NULL. */
static void *grown(void *items, size_t n, size_t *capacity, size_t item_size)
{
    if (n < *capacity) return items;
    const size_t more = *capacity ? *capacity * 2 : 16;
    void *larger = realloc(items, more * item_size);
    if (larger) *capacity = more;
    return larger;
}

status_t circuit_add_node(struct circuit *circuit, const struct component *component,
                          const char *role, struct error *err)
{
    const size_t n_role = role ? strlen(role) : 0;
    if (component_is_graph_end(component)) return ST_OK;
    if (circuit->n_nodes == CIRCUIT_MAX_NODES)
        return error_set(err, ST_TOO_LARGE, "more than %d nodes", CIRCUIT_MAX_NODES);
    if (n_role >= CIRCUIT_TEXT_SIZE)
        return error_set(err, ST_TOO_LARGE, "role \"%.30s...\" is longer than %d bytes", role,
                         CIRCUIT_TEXT_SIZE - 1);
    struct circuit_node *nodes =
        grown(circuit->nodes, circuit->n_nodes, &circuit->max_nodes, sizeof *nodes);
    if (!nodes) return error_set(err, ST_NO_MEMORY, "%zu nodes", circuit->n_nodes + 1);
    circuit->nodes = nodes;
    struct circuit_node *node = &nodes[circuit->n_nodes++];
    *node = (struct circuit_node){.component = *component};
    if (role) memcpy(node->role, role, n_role);
    return ST_OK;
}

status_t circuit_add_edge(struct circuit *circuit, const struct circuit_edge *edge,
                          struct error *err)
{
    if (circuit->n_edges == CIRCUIT_MAX_EDGES)
        return error_set(err, ST_TOO_LARGE, "more than %d edges", CIRCUIT_MAX_EDGES);
    struct circuit_edge *edges =
        grown(circuit->edges, circuit->n_edges, &circuit->max_edges, sizeof *edges);
    if (!edges) return error_set(err, ST_NO_MEMORY, "%zu edges", circuit->n_edges + 1);
    circuit->edges = edges;
    edges[circuit->n_edges++] = *edge;
    return ST_OK;
}

/* --- finishing ---------------------------------------------------------------------------- */

/* The component at no position: nodes are matched with ends of edges by it. */
static struct component base_of(const struct component *component)
{
    struct component base = *component;
    memset(base.position, 0, sizeof base.position);
    return base;
}

/* The ends of all edges, sorted, each once; the caller frees *out. */
static status_t collect_ends(const struct circuit *circuit, struct component **out, size_t *n_out,
                             struct error *err)
{
    struct component *ends = malloc((2 * circuit->n_edges + 1) * sizeof *ends);
    size_t n = 0, n_unique = 0;
    if (!ends) return error_set(err, ST_NO_MEMORY, "%zu edges", circuit->n_edges);
    for (size_t i = 0; i < circuit->n_edges; i++) {
        const struct circuit_edge *edge = &circuit->edges[i];
        if (!component_is_graph_end(&edge->sender)) ends[n++] = edge->sender;
        if (!component_is_graph_end(&edge->receiver)) ends[n++] = edge->receiver;
    }
    qsort(ends, n, sizeof *ends, component_compare_items);
    for (size_t i = 0; i < n; i++)
        if (n_unique == 0 || !component_equal(&ends[n_unique - 1], &ends[i]))
            ends[n_unique++] = ends[i];
    *out = ends;
    *n_out = n_unique;
    return ST_OK;
}

/* Nodes are sorted: the first that is not before the component is it, or none is. */
const struct circuit_node *circuit_find_node(const struct circuit *circuit,
                                             const struct component *component)
{
    size_t low = 0, high = circuit->n_nodes;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (component_compare(&circuit->nodes[middle].component, component) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == circuit->n_nodes) return NULL;
    const struct circuit_node *node = &circuit->nodes[low];
    const struct component found =
        component->position[0] ? node->component : base_of(&node->component);
    return component_equal(&found, component) ? node : NULL;
}

static status_t settle_ends(struct circuit *circuit, struct error *err)
{
    struct component *ends = NULL;
    size_t n_ends = 0;
    char name[COMPONENT_NAME_SIZE];
    const bool is_derived = circuit->n_nodes == 0;
    status_t status = collect_ends(circuit, &ends, &n_ends, err);
    for (size_t i = 0; i < n_ends && status == ST_OK; i++) {
        const struct component base = base_of(&ends[i]);
        if (is_derived)
            status = circuit_add_node(circuit, &ends[i], NULL, err);
        else if (!circuit_find_node(circuit, &base))
            status = error_set(err, ST_BAD_INPUT, "%s is an end of an edge, and no node",
                               component_name(&ends[i], name));
    }
    free(ends);
    return status;
}

static int compare_nodes(const void *a, const void *b)
{
    return component_compare(&((const struct circuit_node *)a)->component,
                             &((const struct circuit_node *)b)->component);
}

status_t circuit_finish(struct circuit *circuit, struct error *err)
{
    char name[EDGE_NAME_SIZE];
    if (circuit->n_nodes == 0 && circuit->n_edges == 0)
        return error_set(err, ST_BAD_INPUT, "the circuit has no nodes and no edges");
    if (circuit->n_nodes > 0)
        qsort(circuit->nodes, circuit->n_nodes, sizeof *circuit->nodes, compare_nodes);
    if (circuit->n_edges > 0)
        qsort(circuit->edges, circuit->n_edges, sizeof *circuit->edges, circuit_edge_compare_items);
    for (size_t i = 1; i < circuit->n_nodes; i++)
        if (compare_nodes(&circuit->nodes[i - 1], &circuit->nodes[i]) == 0)
            return error_set(err, ST_BAD_INPUT, "node %s is listed twice",
                             component_name(&circuit->nodes[i].component, name));
    for (size_t i = 1; i < circuit->n_edges; i++)
        if (circuit_edge_compare(&circuit->edges[i - 1], &circuit->edges[i]) == 0)
            return error_set(err, ST_BAD_INPUT, "edge %s is listed twice",
                             circuit_edge_name(&circuit->edges[i], name));
    return settle_ends(circuit, err);
}

/* --- of which model ----------------------------------------------------------------------- */

static status_t check_shape(const struct model_shape *said, const struct model_shape *shape,
                            struct error *err)
{
    const struct {
        const char *name;
        uint32_t said, is;
    } counts[] = {{"n_layers", said->n_layers, shape->n_layers},
                  {"n_heads", said->n_heads, shape->n_heads},
                  {"n_kv_heads", said->n_kv_heads, shape->n_kv_heads},
                  {"d_mlp", said->d_mlp, shape->d_mlp},
                  {"d_model", said->d_model, shape->d_model}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (counts[i].said > 0 && counts[i].is > 0 && counts[i].said != counts[i].is)
            return error_set(err, ST_CONFLICT,
                             "a circuit of another model: %s is %" PRIu32 " there, %" PRIu32
                             " in this one",
                             counts[i].name, counts[i].said, counts[i].is);
    return ST_OK;
}

status_t circuit_check(const struct circuit *circuit, const struct model_shape *shape,
                       const char *fingerprint, struct error *err)
{
    status_t status = check_shape(&circuit->shape, shape, err);
    if (status != ST_OK) return status;
    if (circuit->fingerprint[0] && fingerprint && fingerprint[0] &&
        strcmp(circuit->fingerprint, fingerprint) != 0)
        return error_set(err, ST_CONFLICT,
                         "a circuit of another model: fingerprint %.12s..., this one is %.12s...",
                         circuit->fingerprint, fingerprint);
    for (size_t i = 0; i < circuit->n_nodes && status == ST_OK; i++)
        status = component_check(&circuit->nodes[i].component, shape, err);
    for (size_t i = 0; i < circuit->n_edges && status == ST_OK; i++)
        status = circuit_edge_check(&circuit->edges[i], shape, err);
    return status;
}

size_t circuit_classes(const struct circuit *circuit, uint32_t *classes)
{
    uint32_t n_classes = 0;
    for (size_t i = 0; i < circuit->n_nodes; i++) {
        const char *role = circuit->nodes[i].role;
        size_t first = role[0] ? 0 : i;
        while (first < i && strcmp(circuit->nodes[first].role, role) != 0) first++;
        classes[i] = first < i ? classes[first] : n_classes++;
    }
    return n_classes;
}

/* --- writing ------------------------------------------------------------------------------ */

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *model_json(const struct circuit *circuit)
{
    const struct model_shape *shape = &circuit->shape;
    if (shape->n_layers == 0 && !circuit->fingerprint[0]) return json_null();
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "fingerprint",
                     text_or_null(circuit->fingerprint), "n_layers", (json_int_t)shape->n_layers,
                     "n_heads", (json_int_t)shape->n_heads, "n_kv_heads",
                     (json_int_t)shape->n_kv_heads, "d_mlp", (json_int_t)shape->d_mlp, "d_model",
                     (json_int_t)shape->d_model);
}

static json_t *node_json(const struct circuit_node *node)
{
    char name[COMPONENT_NAME_SIZE];
    return json_pack("{s:s, s:o}", "name", component_name(&node->component, name), "role",
                     text_or_null(node->role));
}

static json_t *edge_json(const struct circuit_edge *edge)
{
    char sender[COMPONENT_NAME_SIZE], receiver[COMPONENT_NAME_SIZE];
    return json_pack("{s:s, s:s, s:s}", "sender", component_name(&edge->sender, sender), "receiver",
                     component_name(&edge->receiver, receiver), "input",
                     edge_input_name(edge->input));
}

json_t *circuit_json(const struct circuit *circuit)
{
    json_t *nodes = json_array(), *edges = json_array();
    bool is_made = nodes && edges;
    for (size_t i = 0; is_made && i < circuit->n_nodes; i++)
        is_made = json_array_append_new(nodes, node_json(&circuit->nodes[i])) == 0;
    for (size_t i = 0; is_made && i < circuit->n_edges; i++)
        is_made = json_array_append_new(edges, edge_json(&circuit->edges[i])) == 0;
    if (!is_made) {
        json_decref(nodes);
        json_decref(edges);
        return NULL;
    }
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "format", "interp-circuit", "version",
                     CIRCUIT_VERSION, "name", text_or_null(circuit->name), "task",
                     text_or_null(circuit->task), "model", model_json(circuit), "nodes", nodes,
                     "edges", edges);
}

status_t circuit_write(const struct circuit *circuit, struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    json_t *json = circuit_json(circuit);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    if (!text) return error_set(err, ST_BAD_INPUT, "circuit: text that is not UTF-8, or no memory");
    status_t status = buffer_append_text(out, text, err);
    if (status == ST_OK) status = buffer_append_text(out, "\n", err);
    if (status != ST_OK) out->n_bytes = n_before;
    free(text);
    return status;
}
