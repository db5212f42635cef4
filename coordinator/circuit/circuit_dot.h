/* A circuit as Graphviz DOT: layers from bottom to top, one colour a role, edges labelled with
 * the input that they reach (q, k, v). `dot -Tsvg` draws it. Names and roles are escaped: a role
 * is text from outside. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_DOT_H
#define COORDINATOR_CIRCUIT_CIRCUIT_DOT_H

#include "coordinator/circuit/circuit.h"

enum { CIRCUIT_NOTE_SIZE = 48 };

/* A line of its own below the name of a node: NUL-terminated into note[CIRCUIT_NOTE_SIZE], left
 * empty where there is nothing to say. */
struct circuit_notes {
    void (*write)(const void *context, const struct component *component, char *note);
    const void *context;
};

/* Append the graph of a finished circuit; notes may be NULL. Errors: ST_TOO_LARGE, ST_NO_MEMORY;
 * then nothing is appended. */
MUST_CHECK status_t circuit_dot_write(const struct circuit *circuit,
                                      const struct circuit_notes *notes, struct buffer *out,
                                      struct error *err);

#endif
