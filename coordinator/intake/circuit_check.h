/* What a circuit sweep asks, beyond what its table of keys can say: lists that read, choices that
 * go together. Whether hooks, features and files exist is not known here. Pure; any thread. */
#ifndef COORDINATOR_INTAKE_CIRCUIT_CHECK_H
#define COORDINATOR_INTAKE_CIRCUIT_CHECK_H

#include "common/config.h"
#include "coordinator/intake/sweep_spec.h"

/* Errors, by key: ST_BAD_INPUT, ST_UNSUPPORTED (what cannot be combined). */
MUST_CHECK status_t circuit_check_keys(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                       struct error *err);

/* Keys that would change nothing: those of an agent where none is asked, those of a search where
 * the circuit is brought. ST_BAD_INPUT by key; ST_NO_MEMORY. */
MUST_CHECK status_t circuit_check_unused(const struct yaml_tree *tree,
                                         const struct sweep_spec *spec, struct error *err);

#endif
