/* Circuits that have nothing to do with the task, as large as the one that is judged.
 *
 * A random circuit is the circuit with its components exchanged for others of the same layer and
 * type (and site), drawn from the candidates of the search that are not in the circuit (from all of
 * them where a layer has too few others: the only MLP of its layer stays): every component keeps
 * its positions and its edges. So the count per layer and type is the same, edges stay legal, and
 * what was connected stays connected. All of them are equally likely; none is drawn twice, and the
 * circuit itself never. When there are no more than wanted, all are enumerated, exactly.
 *
 * Enumeration goes up to RANDOM_CIRCUITS_MAX_LISTED arrangements; beyond it they are drawn, and a
 * draw that was seen before is thrown away, at most 100 times for every wanted circuit. Pure; any
 * thread; a value belongs to one. */
#ifndef COORDINATOR_CIRCUIT_RANDOM_CIRCUITS_H
#define COORDINATOR_CIRCUIT_RANDOM_CIRCUITS_H

#include "coordinator/circuit/circuit.h"

enum { RANDOM_CIRCUITS_DEFAULT = 200, RANDOM_CIRCUITS_MAX = 10000 };
enum { RANDOM_CIRCUITS_MAX_LISTED = 20000 };

/* What may be drawn: components without positions, in any order, the circuit's own among them. */
struct circuit_candidates {
    const struct component *components; /* [n] */
    size_t n;
};

struct random_circuits {
    size_t n;
    size_t n_nodes, n_edges;    /* those of the circuit */
    struct component *nodes;    /* [n, n_nodes], owned; column k stands in for node k */
    struct circuit_edge *edges; /* [n, n_edges], owned; column k stands in for edge k */
    bool is_exhaustive;         /* these are all that there are */
};

/* Draw n_wanted circuits (RANDOM_CIRCUITS_DEFAULT). On ST_OK the caller owns *out; n may be 0:
 * there is no other circuit. Errors: ST_BAD_INPUT (n_wanted; a candidate twice or with a position;
 * a node that is no candidate), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t random_circuits_draw(struct random_circuits *out, const struct circuit *circuit,
                                         const struct circuit_candidates *candidates,
                                         size_t n_wanted, uint64_t seed, struct error *err);
void random_circuits_fini(struct random_circuits *circuits); /* fine twice */

#endif
