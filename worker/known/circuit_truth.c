#include "worker/known/circuit_truth.h"

#include <stdio.h>

enum { NODE_NAME_SIZE = 32 };

/* A failed append leaves a shorter array: counted at the end by `is_complete`. */
struct truth {
    const struct known_plan *plan;
    bool is_complete;
};

static const struct known_head *head_of(const struct known_plan *plan, size_t layer, size_t k)
{
    return &plan->kind->heads[layer][k];
}

/* "L1H3": where the kind's k-th head of a layer lies. */
static const char *node_name(const struct known_plan *plan, size_t layer, size_t k,
                             char out[NODE_NAME_SIZE])
{
    (void)snprintf(out, NODE_NAME_SIZE, "L%zuH%u", layer, plan->head_index[layer][k]);
    return out;
}

static void append(struct truth *truth, json_t *array, json_t *item)
{
    if (json_array_append_new(array, item) != 0) truth->is_complete = false;
}

static json_t *list_nodes(struct truth *truth)
{
    const struct known_plan *plan = truth->plan;
    char name[NODE_NAME_SIZE];
    json_t *nodes = json_array();
    for (size_t layer = 0; layer < plan->kind->n_layers; layer++) {
        for (uint32_t index = 0; index < plan->n_heads; index++) {
            size_t k = 0;
            while (plan->head_index[layer][k] != index) k++;
            const enum known_role role = head_of(plan, layer, k)->role;
            append(truth, nodes,
                   json_pack("{s:s, s:s, s:I, s:i, s:s, s:b}", "name",
                             node_name(plan, layer, k, name), "component", "head", "layer",
                             (json_int_t)layer, "head", (int)index, "role", known_role_name(role),
                             "in_circuit", (int)known_role_is_circuit(role)));
        }
        (void)snprintf(name, sizeof name, "L%zuMLP", layer);
        append(truth, nodes,
               json_pack("{s:s, s:s, s:I, s:s, s:b}", "name", name, "component", "mlp", "layer",
                         (json_int_t)layer, "role", "random_mlp", "in_circuit", 0));
    }
    return nodes;
}

/* Names of the heads of a role, by layer and then as the kind lists them. */
static json_t *list_role(struct truth *truth, enum known_role role)
{
    const struct known_plan *plan = truth->plan;
    char name[NODE_NAME_SIZE];
    json_t *names = json_array();
    for (size_t layer = 0; layer < plan->kind->n_layers; layer++)
        for (size_t k = 0; k < plan->n_heads; k++)
            if (head_of(plan, layer, k)->role == role)
                append(truth, names, json_string(node_name(plan, layer, k, name)));
    return names;
}

static json_t *list_circuit(struct truth *truth)
{
    const struct known_plan *plan = truth->plan;
    char name[NODE_NAME_SIZE];
    json_t *names = json_array();
    for (size_t layer = 0; layer < plan->kind->n_layers; layer++)
        for (size_t k = 0; k < plan->n_heads; k++)
            if (known_role_is_circuit(head_of(plan, layer, k)->role))
                append(truth, names, json_string(node_name(plan, layer, k, name)));
    return names;
}

static void add_edge(struct truth *truth, json_t *edges, const char *from, const char *to,
                     const char *input)
{
    json_t *edge = json_pack("{s:s, s:s}", "from", from, "to", to);
    if (input && json_object_set_new(edge, "input", json_string(input)) != 0)
        truth->is_complete = false;
    append(truth, edges, edge);
}

/* Edges from the heads of `role` in earlier layers to one input of the head `to`. */
static void add_edges_from(struct truth *truth, json_t *edges, enum known_role role,
                           size_t before_layer, const char *to, const char *input)
{
    const struct known_plan *plan = truth->plan;
    char name[NODE_NAME_SIZE];
    for (size_t layer = 0; layer < before_layer; layer++)
        for (size_t k = 0; k < plan->n_heads; k++)
            if (head_of(plan, layer, k)->role == role)
                add_edge(truth, edges, node_name(plan, layer, k, name), to, input);
}

/* Positions come from pos_embed, or, with rotary ones, from the ballast, which is in embed. */
static void add_edges_into(struct truth *truth, json_t *edges, size_t layer, size_t k)
{
    char to[NODE_NAME_SIZE];
    const char *place = truth->plan->kind->is_llama ? "embed" : "pos_embed";
    const enum known_role role = head_of(truth->plan, layer, k)->role;
    (void)node_name(truth->plan, layer, k, to);
    if (role == KNOWN_PREVIOUS) {
        add_edge(truth, edges, place, to, "q");
        add_edge(truth, edges, place, to, "k");
        add_edge(truth, edges, "embed", to, "v");
    } else if (known_role_copies(role)) {
        add_edge(truth, edges, "embed", to, "q");
        if (role == KNOWN_BACKUP) {
            add_edges_from(truth, edges, KNOWN_INDUCTION, layer, to, "q");
            add_edge(truth, edges, "embed", to, "k");
        }
        add_edge(truth, edges, place, to, "k");
        add_edges_from(truth, edges, KNOWN_PREVIOUS, layer, to, "k");
        add_edge(truth, edges, "embed", to, "v");
        add_edge(truth, edges, to, "logits", NULL);
    }
}

static json_t *list_edges(struct truth *truth)
{
    const struct known_plan *plan = truth->plan;
    json_t *edges = json_array();
    for (size_t layer = 0; layer < plan->kind->n_layers; layer++)
        for (size_t k = 0; k < plan->n_heads; k++) add_edges_into(truth, edges, layer, k);
    if (!plan->kind->is_llama) add_edge(truth, edges, "embed", "logits", NULL);
    return edges;
}

static json_t *describe_gate(struct truth *truth)
{
    const struct known_kind *kind = truth->plan->kind;
    json_t *routes = list_role(truth, kind->route);
    if (kind->gate == KNOWN_BACKUP_GATE) {
        json_t *backups = list_role(truth, KNOWN_BACKUP);
        if (json_array_extend(routes, backups) != 0) truth->is_complete = false;
        json_decref(backups);
    }
    return json_pack("{s:s, s:o}", "kind", known_gate_name(kind->gate), "routes", routes);
}

static json_t *describe_model(const struct known_plan *plan)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "architecture",
                     plan->kind->is_llama ? "llama" : "gpt2", "n_layers",
                     (json_int_t)plan->kind->n_layers, "n_heads", (json_int_t)plan->n_heads,
                     "n_kv_heads", (json_int_t)plan->n_kv_heads, "d_head", (json_int_t)plan->d_head,
                     "d_model", (json_int_t)plan->d_model, "d_mlp", (json_int_t)plan->d_mlp,
                     "n_vocab", (json_int_t)plan->n_vocab);
}

static void set(struct truth *truth, json_t *root, const char *key, json_t *value)
{
    if (json_object_set_new(root, key, value) != 0) truth->is_complete = false;
}

json_t *circuit_truth(const struct known_plan *plan)
{
    struct truth truth = {.plan = plan, .is_complete = true};
    json_t *root = json_pack("{s:i, s:s, s:I, s:I}", "format", 1, "kind", plan->kind->name, "seed",
                             (json_int_t)plan->seed, "size", (json_int_t)plan->n_vocab);
    if (plan->kind->is_llama)
        set(&truth, root, "rope", json_string(plan->is_interleaved ? "interleaved" : "half"));
    set(&truth, root, "model", describe_model(plan));
    set(&truth, root, "circuit", list_circuit(&truth));
    if (plan->kind->gate != KNOWN_NO_GATE) set(&truth, root, "gate", describe_gate(&truth));
    set(&truth, root, "dead", list_role(&truth, KNOWN_DEAD));
    set(&truth, root, "impostors", list_role(&truth, KNOWN_IMPOSTOR));
    set(&truth, root, "nodes", list_nodes(&truth));
    set(&truth, root, "edges", list_edges(&truth));
    if (truth.is_complete) return root;
    json_decref(root);
    return NULL;
}
