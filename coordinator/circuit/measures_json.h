/* Everything that a verdict was computed from, as one line of JSON, so that anybody can compute it
 * again: one number a prompt, 17 digits.
 *
 *   metric   prompts[id of each]   units[unit of each]   interval_over "prompts"|"templates"
 *   full[]   members[name]   n_searches   stability (or null)
 *   values{zero|mean|resample: null, or empty[] circuit[] complement[] without_member[][]
 *     without_class_rest[][] without_class[][] circuit_without_subset[][] model_without_subset[][]
 *     minimality_member[] minimality_without_subset[][] minimality_without_both[][]
 *     random_circuit[][] random_complement[][] random_exhaustive curve_fractions[] curve_n_items[]
 *     curve_signed[][] curve_absolute[][] kl_circuit[] kl_empty[]; what was not measured is absent}
 *
 * Field for field struct circuit_measures; rows are runs. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_MEASURES_JSON_H
#define COORDINATOR_CIRCUIT_MEASURES_JSON_H

#include "common/buffer.h"
#include "coordinator/circuit/circuit_measures.h"
#include "coordinator/circuit/prompt_set.h"

/* Append it and a line feed. `choice` are the prompts that were measured, in order. Errors:
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t measures_json_write(const struct circuit_measures *measures,
                                        const struct prompt_set *set,
                                        const struct prompt_choice *choice, struct buffer *out,
                                        struct error *err);

#endif
