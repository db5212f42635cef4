#include "coordinator/circuit/attribution_scores.h"

static const struct score_value nothing_said = {false, 0.0};

static struct score_value drop_of(const struct attribution_scores *scores, double sum)
{
    const double change = sum / (double)scores->n_prompts;
    return (struct score_value){true, scores->is_divergence ? change : -change};
}

/* --- nodes -------------------------------------------------------------------------------- */

/* Place of the first such node of a layer behind attribute_layer_node(), and how many there are. */
static bool node_block(const struct attribute_shape *shape, enum component_type type, size_t *first,
                       size_t *n)
{
    const size_t keys = shape->n_heads, values = keys + shape->n_kv_heads;
    *first = 0;
    *n = shape->n_kv_heads;
    if (type == COMPONENT_HEAD) *n = shape->n_heads;
    if (type == COMPONENT_KEY_GROUP) *first = keys;
    if (type == COMPONENT_VALUE_GROUP) *first = values;
    if (type == COMPONENT_MLP) {
        *first = values + shape->n_kv_heads;
        *n = 1;
    }
    return type == COMPONENT_HEAD || type == COMPONENT_KEY_GROUP || type == COMPONENT_VALUE_GROUP ||
           type == COMPONENT_MLP;
}

struct score_value attribution_of_node(const struct attribution_scores *scores,
                                       const struct component *component)
{
    size_t first, n;
    if (component->type == COMPONENT_EMBED) return drop_of(scores, scores->nodes[0]);
    if (!node_block(&scores->shape, component->type, &first, &n) || component->index >= n ||
        component->layer >= scores->shape.n_layers)
        return nothing_said;
    const size_t at = attribute_layer_node(&scores->shape, component->layer) + first;
    return drop_of(scores, scores->nodes[at + component->index]);
}

/* --- edges -------------------------------------------------------------------------------- */

/* Place among the senders; false: it is none. */
static bool sender_place(const struct attribute_shape *shape, const struct component *sender,
                         size_t *out)
{
    const bool is_head = sender->type == COMPONENT_HEAD && sender->index < shape->n_heads;
    *out = 0;
    if (sender->type == COMPONENT_EMBED) return true;
    if ((!is_head && sender->type != COMPONENT_MLP) || sender->layer >= shape->n_layers)
        return false;
    *out =
        attribute_layer_sender(shape, sender->layer) + (is_head ? sender->index : shape->n_heads);
    return true;
}

/* Of a layer's receivers in attention: queries of heads, keys of groups, values of groups. */
static bool attention_place(const struct attribute_shape *shape, const struct circuit_edge *edge,
                            size_t *out)
{
    const struct component *to = &edge->receiver;
    const bool is_head = to->type == COMPONENT_HEAD;
    const size_t group = is_head ? to->index / (shape->n_heads / shape->n_kv_heads) : to->index;
    if (to->index >= (is_head ? shape->n_heads : shape->n_kv_heads)) return false;
    *out = edge->input == EDGE_Q   ? to->index
           : edge->input == EDGE_K ? shape->n_heads + group
                                   : shape->n_heads + shape->n_kv_heads + group;
    return is_head || to->type == COMPONENT_KEY_GROUP || to->type == COMPONENT_VALUE_GROUP;
}

/* First edge into the receiver, and how many senders it has. */
static bool receiver_place(const struct attribute_shape *shape, const struct circuit_edge *edge,
                           size_t *first, size_t *n_senders)
{
    const size_t layer = edge->receiver.layer;
    size_t place = 0;
    if (edge->input == EDGE_LOGITS) {
        *first = attribute_attention_edge(shape, shape->n_layers);
        *n_senders = attribute_n_senders(shape);
        return true;
    }
    if (layer >= shape->n_layers) return false;
    *n_senders = attribute_layer_sender(shape, layer);
    if (edge->input == EDGE_MLP) {
        *first = attribute_mlp_edge(shape, layer);
        *n_senders += shape->n_heads;
        return true;
    }
    if (!attention_place(shape, edge, &place)) return false;
    *first = attribute_attention_edge(shape, layer) + place * *n_senders;
    return true;
}

struct score_value attribution_of_edge(const struct attribution_scores *scores,
                                       const struct circuit_edge *edge)
{
    size_t first, n_senders, sender;
    if (!scores->edges || !sender_place(&scores->shape, &edge->sender, &sender) ||
        !receiver_place(&scores->shape, edge, &first, &n_senders) || sender >= n_senders)
        return nothing_said;
    return drop_of(scores, scores->edges[first + sender]);
}
