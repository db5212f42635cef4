/* Where a search did not look: the bounds that it came to (node_search.h: max_variants, max_pairs),
 * said beside what it found. A circuit that was found where not all was looked at may lack members;
 * its verdict, on prompts of its own, knows nothing of that. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_SEARCH_LIMITS_H
#define COORDINATOR_CIRCUIT_SEARCH_LIMITS_H

#include "common/buffer.h"
#include "coordinator/circuit/circuit_search.h"

#include <jansson.h>

/* An array of sentences, empty where nothing was cut short. NULL without memory. */
json_t *search_limits_json(const struct circuit_search_result *found);

/* {"others": {"n_tested", "n"}, "chosen": the same}: pairs of components that were not chosen, and
 * of chosen ones; null of a search that asks for none. NULL without memory. */
json_t *search_pairs_json(const struct circuit_search_result *found);

/* The same sentences for a terminal, a line each at least; nothing where there are none. Errors:
 * ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t search_limits_text(const struct circuit_search_result *found,
                                       struct buffer *out, struct error *err);

#endif
