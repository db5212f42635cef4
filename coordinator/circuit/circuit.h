/* A circuit: which components are said to do a task, in which roles, and, where edges are
 * claimed, along which edges.
 *
 * Nodes of one role are one class (several name movers stand in for one another; the verdict
 * ablates a class together), a node without a role is a class of its own. Graph ends (embed,
 * logits) belong to every circuit and are never nodes; dropped when they are listed.
 *
 * The JSON form, keys sorted, what has no value null, ends with a line feed:
 *   {"edges":[{"input":"k","receiver":"L1H0","sender":"L0H0"}], "format":"interp-circuit",
 *    "model":{"d_mlp":N,"d_model":N,"fingerprint":HEX|null,"n_heads":N,"n_kv_heads":N,
 *             "n_layers":N}|null, "name":TEXT|null, "nodes":[{"name":"L0H0","role":TEXT|null}],
 *    "task":TEXT|null, "version":1}
 *
 * A value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_H
#define COORDINATOR_CIRCUIT_CIRCUIT_H

#include "common/buffer.h"
#include "common/hash.h"
#include "coordinator/circuit/circuit_edge.h"

#include <jansson.h>

enum {
    CIRCUIT_VERSION = 1,
    CIRCUIT_MAX_NODES = 65536,
    CIRCUIT_MAX_EDGES = 1048576,
    CIRCUIT_TEXT_SIZE = 64, /* of a name, task or role, with its NUL; UTF-8 */
    CIRCUIT_MAX_BYTES = 64 * 1024 * 1024
};

struct circuit_node {
    struct component component;
    char role[CIRCUIT_TEXT_SIZE]; /* "": none */
};

struct circuit {
    char name[CIRCUIT_TEXT_SIZE];
    char task[CIRCUIT_TEXT_SIZE];
    char fingerprint[HASH_HEX_SIZE]; /* of the model; "": not said */
    struct model_shape shape;        /* n_layers 0: not said */
    struct circuit_node *nodes;      /* [n_nodes], owned; sorted once finished */
    size_t n_nodes, max_nodes;
    struct circuit_edge *edges; /* [n_edges], owned; sorted once finished */
    size_t n_edges, max_edges;
};

void circuit_init(struct circuit *circuit);
void circuit_fini(struct circuit *circuit); /* fine twice */

/* Append; graph ends are taken and dropped. role NULL: none. Errors: ST_TOO_LARGE (cap, role
 * too long), ST_NO_MEMORY. */
MUST_CHECK status_t circuit_add_node(struct circuit *circuit, const struct component *component,
                                     const char *role, struct error *err);
MUST_CHECK status_t circuit_add_edge(struct circuit *circuit, const struct circuit_edge *edge,
                                     struct error *err);

/* Sort, and see that nothing is listed twice and every end of an edge is a node (at any
 * position). Without nodes they are the ends of the edges. Errors: ST_BAD_INPUT (by name; also
 * a circuit of nothing), ST_NO_MEMORY. */
MUST_CHECK status_t circuit_finish(struct circuit *circuit, struct error *err);

/* Does the circuit belong to this model, and does everything in it exist there? fingerprint
 * NULL or "": not compared. Errors: ST_CONFLICT (another model: which fingerprint or count
 * differs), those of component_check() and circuit_edge_check(). */
MUST_CHECK status_t circuit_check(const struct circuit *circuit, const struct model_shape *shape,
                                  const char *fingerprint, struct error *err);

/* The node that is that component, of a finished circuit; a component that names no position is
 * found at any, the first of them. NULL: there is none. */
const struct circuit_node *circuit_find_node(const struct circuit *circuit,
                                             const struct component *component);

/* classes [n_nodes]: the class of each node of a finished circuit, numbered from 0 in order of
 * first member. Returns how many. */
size_t circuit_classes(const struct circuit *circuit, uint32_t *classes);

/* A new reference, or NULL: memory is short, or text is not UTF-8. */
json_t *circuit_json(const struct circuit *circuit);
/* Append the JSON form. Errors: ST_NO_MEMORY, ST_TOO_LARGE, ST_BAD_INPUT (text). */
MUST_CHECK status_t circuit_write(const struct circuit *circuit, struct buffer *out,
                                  struct error *err);

#endif
