#include "coordinator/circuit/circuit_dot.h"

#include <stdlib.h>

/* Brewer's pastels: told apart in print, dark text readable on each. */
static const char *const COLOURS[] = {"#b3cde3", "#ccebc5", "#fbb4ae", "#decbe4", "#fed9a6",
                                      "#ffffcc", "#e5d8bd", "#fddaec", "#f2f2f2"};

static status_t put_quoted(struct buffer *out, const char *text, struct error *err)
{
    status_t status = ST_OK;
    for (; *text && status == ST_OK; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            status = buffer_printf(out, err, "\\%c", c);
        else
            status = buffer_printf(out, err, "%c", c < 0x20 || c == 0x7F ? '?' : c);
    }
    return status;
}

static const char *shape_of(const struct component *component)
{
    switch (component->type) {
    case COMPONENT_MLP: return "box";
    case COMPONENT_HEAD:
    case COMPONENT_KEY_GROUP:
    case COMPONENT_VALUE_GROUP: return "ellipse";
    case COMPONENT_EMBED:
    case COMPONENT_POS_EMBED:
    case COMPONENT_LOGITS: return "plaintext";
    case COMPONENT_NEURON:
    case COMPONENT_RESIDUAL:
    case COMPONENT_FEATURE:
    case COMPONENT_ERROR: break;
    }
    return "hexagon";
}

/* What stands below the name: the role, then a note. */
struct node_label {
    uint32_t class_index;
    const char *note; /* "": none */
};

static status_t put_line_below(struct buffer *out, const char *text, struct error *err)
{
    if (!text[0]) return ST_OK;
    const status_t status = buffer_append_text(out, "\\n", err);
    return status == ST_OK ? put_quoted(out, text, err) : status;
}

static status_t put_node(struct buffer *out, const struct circuit_node *node,
                         const struct node_label *below, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    const size_t n_colours = sizeof COLOURS / sizeof COLOURS[0];
    (void)component_name(&node->component, name);
    status_t status = buffer_append_text(out, "  \"", err);
    if (status == ST_OK) status = put_quoted(out, name, err);
    if (status == ST_OK) status = buffer_append_text(out, "\" [label=\"", err);
    if (status == ST_OK) status = put_quoted(out, name, err);
    if (status == ST_OK) status = put_line_below(out, node->role, err);
    if (status == ST_OK) status = put_line_below(out, below->note, err);
    if (status != ST_OK) return status;
    return buffer_printf(out, err, "\", shape=%s, fillcolor=\"%s\"];\n", shape_of(&node->component),
                         COLOURS[below->class_index % n_colours]);
}

/* Nodes of one layer side by side. They are sorted by layer. */
static status_t put_ranks(struct buffer *out, const struct circuit *circuit, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    status_t status = ST_OK;
    for (size_t i = 0; i < circuit->n_nodes && status == ST_OK;) {
        const uint32_t layer = circuit->nodes[i].component.layer;
        status = buffer_append_text(out, "  { rank=same;", err);
        for (; i < circuit->n_nodes && circuit->nodes[i].component.layer == layer; i++) {
            (void)component_name(&circuit->nodes[i].component, name);
            if (status == ST_OK) status = buffer_printf(out, err, " \"%s\";", name);
        }
        if (status == ST_OK) status = buffer_append_text(out, " }\n", err);
    }
    return status;
}

static status_t put_edges(struct buffer *out, const struct circuit *circuit, struct error *err)
{
    char sender[COMPONENT_NAME_SIZE], receiver[COMPONENT_NAME_SIZE];
    status_t status = ST_OK;
    for (size_t i = 0; i < circuit->n_edges && status == ST_OK; i++) {
        const struct circuit_edge *edge = &circuit->edges[i];
        const bool is_labelled = edge->receiver.type == COMPONENT_HEAD;
        status = buffer_printf(
            out, err, "  \"%s\" -> \"%s\"%s%s%s;\n", component_name(&edge->sender, sender),
            component_name(&edge->receiver, receiver), is_labelled ? " [label=\"" : "",
            is_labelled ? edge_input_name(edge->input) : "", is_labelled ? "\"]" : "");
    }
    return status;
}

static status_t put_graph(struct buffer *out, const struct circuit *circuit,
                          const struct circuit_notes *notes, const uint32_t *classes,
                          struct error *err)
{
    status_t status = buffer_append_text(out, "digraph \"", err);
    if (status == ST_OK) status = put_quoted(out, circuit->name, err);
    if (status == ST_OK)
        status = buffer_append_text(
            out, "\" {\n  rankdir=BT;\n  node [style=filled, fontname=\"sans-serif\"];\n", err);
    for (size_t i = 0; i < circuit->n_nodes && status == ST_OK; i++) {
        char note[CIRCUIT_NOTE_SIZE] = "";
        if (notes) notes->write(notes->context, &circuit->nodes[i].component, note);
        const struct node_label below = {classes[i], note};
        status = put_node(out, &circuit->nodes[i], &below, err);
    }
    if (status == ST_OK) status = put_ranks(out, circuit, err);
    if (status == ST_OK) status = put_edges(out, circuit, err);
    return status == ST_OK ? buffer_append_text(out, "}\n", err) : status;
}

status_t circuit_dot_write(const struct circuit *circuit, const struct circuit_notes *notes,
                           struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    uint32_t *classes = calloc(circuit->n_nodes + 1, sizeof *classes);
    if (!classes) return error_set(err, ST_NO_MEMORY, "%zu nodes", circuit->n_nodes);
    (void)circuit_classes(circuit, classes);
    const status_t status = put_graph(out, circuit, notes, classes, err);
    if (status != ST_OK) out->n_bytes = n_before;
    free(classes);
    return status;
}
