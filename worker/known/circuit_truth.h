/* What is true of a known model: circuit.json (README.md describes it). */
#ifndef WORKER_KNOWN_CIRCUIT_TRUTH_H
#define WORKER_KNOWN_CIRCUIT_TRUTH_H

#include "worker/known/known_plan.h"

#include <jansson.h>

/* A new reference, or NULL without memory. Pure; any thread. */
json_t *circuit_truth(const struct known_plan *plan);

#endif
