/* A faithfulness curve as JSON: {"order": "signed"|"absolute", "undefined": "flat metric"|null,
 * "cpr", "cmd" (null where undefined), "points": [{"fraction", "n_items", "f"}]}. `n_items` counts
 * what is left after dangling edges were dropped. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_CURVE_JSON_H
#define COORDINATOR_CIRCUIT_CURVE_JSON_H

#include "coordinator/circuit/faithfulness_curve.h"

#include <jansson.h>

/* Why a circuit that nothing searched has no curves. */
#define CURVE_NOT_ORDERED "no search ordered the candidates"

/* Of a curve and the measures that it was made of. A new reference, or NULL without memory. */
json_t *curve_json(const struct faithfulness_curve *curve, const struct curve_measures *measures);

#endif
