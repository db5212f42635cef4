/* A YAML text as a small tree whose nodes know their line.
 *
 * Made with libyaml for one purpose: errors that name file, line and key. Input is untrusted, so
 * the tree is bounded (bytes, nodes, depth) and one shape only: one document of mappings with
 * text keys, sequences and scalars. Anchors, aliases and tags are refused, which also ends
 * alias bombs. Values stay text here; common/config gives them types.
 * A tree belongs to one thread at a time and is constant once parsed. */
#ifndef COMMON_YAML_TREE_H
#define COMMON_YAML_TREE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    YAML_MAX_BYTES = 1 << 20,
    YAML_MAX_NODES = 1 << 16,
    YAML_MAX_DEPTH = 16 /* of mappings and sequences inside each other */
};

enum yaml_kind { YAML_SCALAR, YAML_MAPPING, YAML_SEQUENCE };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line;            /* 1-based; of the key where there is one, else of the value */
    char *key;                /* child of a mapping: its key; else NULL */
    char *text;               /* scalar: its text, NUL-free; else NULL */
    bool is_quoted;           /* scalar written with quotes or as a block */
    struct yaml_node *parent; /* NULL at the root */
    struct yaml_node *first;  /* first child */
    struct yaml_node *last;   /* last child */
    struct yaml_node *next;   /* next sibling */
    size_t n_children;
};

struct yaml_tree; /* opaque: defined in yaml_tree.c */

/* Parse `text`. `name` is how errors call it ("sweep.yaml"). On ST_OK the caller owns *out and
 * passes it to yaml_tree_destroy(). Errors: ST_BAD_INPUT (grammar, empty, two documents),
 * ST_UNSUPPORTED (anchor, alias, tag), ST_TOO_LARGE, ST_NO_MEMORY; each "name:line: ...". */
MUST_CHECK status_t yaml_tree_parse(struct yaml_tree **out, const char *text, size_t n_bytes,
                                    const char *name, struct error *err);
void yaml_tree_destroy(struct yaml_tree **tree); /* NULL-safe; sets *tree = NULL */

const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree);
const char *yaml_tree_name(const struct yaml_tree *tree);

/* The child of `mapping` under `key`, or NULL (also for a node that is no mapping). */
const struct yaml_node *yaml_node_child(const struct yaml_node *mapping, const char *key);

/* The node at "a.b[2].c", or NULL. If it is missing and `deepest` is not NULL, *deepest is the
 * last node on the way that exists (the root at least). */
const struct yaml_node *yaml_tree_find(const struct yaml_tree *tree, const char *path,
                                       const struct yaml_node **deepest);

#endif
