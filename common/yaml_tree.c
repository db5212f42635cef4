#include "common/yaml_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct yaml_tree {
    char *name;
    struct yaml_node *root;
    size_t n_nodes;
};

/* One parse in progress: where the next node goes. */
struct builder {
    struct yaml_tree *tree;
    struct yaml_node *open; /* the container being filled; NULL before the root */
    char *pending_key;      /* owned: a key whose value has not come yet */
    unsigned pending_line;
    unsigned depth;
    struct error *err;
};

static void node_free(struct yaml_node *root)
{
    struct yaml_node *node = root;
    while (node) { /* depth first without recursion: unlink each child before going down */
        struct yaml_node *child = node->first;
        if (child) {
            node->first = child->next;
            node = child;
            continue;
        }
        struct yaml_node *parent = node->parent;
        free(node->key);
        free(node->text);
        free(node);
        node = parent;
    }
}

static status_t builder_fail(const struct builder *builder, status_t status, size_t line,
                             const char *what)
{
    return error_set(builder->err, status, "%s:%zu: %s", builder->tree->name, line, what);
}

static char *copy_scalar(const yaml_event_t *event)
{
    const size_t n_bytes = event->data.scalar.length;
    char *text = malloc(n_bytes + 1);
    if (!text) return NULL;
    memcpy(text, event->data.scalar.value, n_bytes);
    text[n_bytes] = '\0';
    return text;
}

static void link_node(struct builder *builder, struct yaml_node *node)
{
    struct yaml_node *parent = builder->open;
    node->parent = parent;
    if (!parent) {
        builder->tree->root = node;
        return;
    }
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->n_children++;
    node->key = builder->pending_key;
    if (node->key) node->line = builder->pending_line;
    builder->pending_key = NULL;
}

static status_t add_node(struct builder *builder, enum yaml_kind kind, const yaml_event_t *event)
{
    const size_t line = event->start_mark.line + 1;
    struct yaml_node *node;
    if (builder->tree->n_nodes >= YAML_MAX_NODES)
        return builder_fail(builder, ST_TOO_LARGE, line, "more than 65536 values");
    if (kind != YAML_SCALAR && builder->depth >= YAML_MAX_DEPTH)
        return builder_fail(builder, ST_TOO_LARGE, line, "nested more than 16 deep");
    node = calloc(1, sizeof *node);
    if (!node) return builder_fail(builder, ST_NO_MEMORY, line, "no memory");
    builder->tree->n_nodes++;
    node->kind = kind;
    node->line = (unsigned)line;
    link_node(builder, node);
    if (kind == YAML_SCALAR) {
        node->text = copy_scalar(event);
        if (!node->text) return builder_fail(builder, ST_NO_MEMORY, line, "no memory");
        node->is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        return ST_OK;
    }
    builder->open = node;
    builder->depth++;
    return ST_OK;
}

static status_t on_scalar(struct builder *builder, const yaml_event_t *event)
{
    const size_t line = event->start_mark.line + 1;
    if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
        return builder_fail(builder, ST_BAD_INPUT, line, "a NUL inside a value");
    if (builder->open && builder->open->kind == YAML_MAPPING && !builder->pending_key) {
        builder->pending_key = copy_scalar(event);
        builder->pending_line = (unsigned)line;
        if (!builder->pending_key) return builder_fail(builder, ST_NO_MEMORY, line, "no memory");
        return ST_OK;
    }
    return add_node(builder, YAML_SCALAR, event);
}

static bool has_anchor_or_tag(const yaml_event_t *event)
{
    switch ((int)event->type) {
    case YAML_SCALAR_EVENT: return event->data.scalar.anchor || event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor || event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor || event->data.mapping_start.tag;
    default: return false;
    }
}

static status_t on_start(struct builder *builder, enum yaml_kind kind, const yaml_event_t *event)
{
    if (builder->open && builder->open->kind == YAML_MAPPING && !builder->pending_key)
        return builder_fail(builder, ST_BAD_INPUT, event->start_mark.line + 1,
                            "a key must be text, not a list or mapping");
    return add_node(builder, kind, event);
}

static status_t on_event(struct builder *builder, const yaml_event_t *event)
{
    const size_t line = event->start_mark.line + 1;
    if (has_anchor_or_tag(event))
        return builder_fail(builder, ST_UNSUPPORTED, line,
                            "anchors (&) and tags (!) are not allowed here");
    switch ((int)event->type) {
    case YAML_ALIAS_EVENT:
        return builder_fail(builder, ST_UNSUPPORTED, line, "aliases (*) are not allowed here");
    case YAML_DOCUMENT_START_EVENT:
        if (!builder->tree->root) return ST_OK;
        return builder_fail(builder, ST_BAD_INPUT, line, "a second document starts; one is wanted");
    case YAML_SCALAR_EVENT: return on_scalar(builder, event);
    case YAML_MAPPING_START_EVENT: return on_start(builder, YAML_MAPPING, event);
    case YAML_SEQUENCE_START_EVENT: return on_start(builder, YAML_SEQUENCE, event);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        if (!builder->open) return builder_fail(builder, ST_INTERNAL, line, "nothing is open");
        builder->open = builder->open->parent;
        builder->depth--;
        return ST_OK;
    default: return ST_OK;
    }
}

static status_t read_events(struct builder *builder, yaml_parser_t *parser)
{
    status_t status = ST_OK;
    bool is_end = false;
    while (status == ST_OK && !is_end) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return error_set(
                builder->err, parser->error == YAML_MEMORY_ERROR ? ST_NO_MEMORY : ST_BAD_INPUT,
                "%s:%zu: not YAML: %s", builder->tree->name, parser->problem_mark.line + 1,
                parser->problem ? parser->problem : "unreadable");
        is_end = event.type == YAML_STREAM_END_EVENT;
        status = on_event(builder, &event);
        yaml_event_delete(&event);
    }
    if (status == ST_OK && !builder->tree->root)
        status = error_set(builder->err, ST_BAD_INPUT, "%s:1: empty", builder->tree->name);
    return status;
}

status_t yaml_tree_parse(struct yaml_tree **out, const char *text, size_t n_bytes, const char *name,
                         struct error *err)
{
    status_t status;
    yaml_parser_t parser;
    struct yaml_tree *tree;
    struct builder builder = {.err = err};

    if (n_bytes > YAML_MAX_BYTES)
        return error_set(err, ST_TOO_LARGE, "%s: %zu bytes of YAML, at most %d", name, n_bytes,
                         YAML_MAX_BYTES);
    tree = calloc(1, sizeof *tree);
    if (!tree || !(tree->name = strdup(name))) {
        free(tree);
        return error_set(err, ST_NO_MEMORY, "%s: no memory", name);
    }
    if (!yaml_parser_initialize(&parser)) {
        yaml_tree_destroy(&tree);
        return error_set(err, ST_NO_MEMORY, "%s: no memory", name);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n_bytes);
    builder.tree = tree;
    status = read_events(&builder, &parser);
    yaml_parser_delete(&parser);
    free(builder.pending_key);
    if (status == ST_OK)
        *out = tree;
    else
        yaml_tree_destroy(&tree);
    return status;
}

void yaml_tree_destroy(struct yaml_tree **tree)
{
    if (!tree || !*tree) return;
    node_free((*tree)->root);
    free((*tree)->name);
    free(*tree);
    *tree = NULL;
}

const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree)
{
    return tree->root;
}

const char *yaml_tree_name(const struct yaml_tree *tree)
{
    return tree->name;
}

static const struct yaml_node *child_named(const struct yaml_node *mapping, const char *key,
                                           size_t n_key)
{
    if (!mapping || mapping->kind != YAML_MAPPING) return NULL;
    for (const struct yaml_node *child = mapping->first; child; child = child->next)
        if (strlen(child->key) == n_key && memcmp(child->key, key, n_key) == 0) return child;
    return NULL;
}

const struct yaml_node *yaml_node_child(const struct yaml_node *mapping, const char *key)
{
    return child_named(mapping, key, strlen(key));
}

static const struct yaml_node *child_at(const struct yaml_node *sequence, unsigned long index)
{
    const struct yaml_node *child = sequence->kind == YAML_SEQUENCE ? sequence->first : NULL;
    while (child && index--) child = child->next;
    return child;
}

const struct yaml_node *yaml_tree_find(const struct yaml_tree *tree, const char *path,
                                       const struct yaml_node **deepest)
{
    const struct yaml_node *node = tree->root;
    if (deepest) *deepest = node;
    while (node && *path) {
        if (*path == '[') {
            char *end;
            node = child_at(node, strtoul(path + 1, &end, 10));
            path = *end == ']' ? end + 1 : end;
        } else {
            if (*path == '.') path++;
            const size_t n_key = strcspn(path, ".[");
            node = child_named(node, path, n_key);
            path += n_key;
        }
        if (node && deepest) *deepest = node;
    }
    return node;
}
