/* A circuit as Graphviz DOT: layers from bottom to top, one colour a role, edges labelled with
 * the input that they reach (q, k, v). `dot -Tsvg` draws it. Names and roles are escaped: a role
 * is text from outside. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_DOT_H
#define COORDINATOR_CIRCUIT_CIRCUIT_DOT_H

#include "coordinator/circuit/circuit.h"

/* Append the graph of a finished circuit. Errors: ST_TOO_LARGE, ST_NO_MEMORY; then nothing is
 * appended. */
MUST_CHECK status_t circuit_dot_write(const struct circuit *circuit, struct buffer *out,
                                      struct error *err);

#endif
