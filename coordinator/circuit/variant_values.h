/* What was measured so far, by set: every search that shares this asks for a set once.
 *
 *   unknown --want--> wanted --batch--> asked --tell--> known
 *
 * Sets are told apart by 128 bits: the sum over their members of two mixes each, so that sets
 * need not be kept once they were measured. At most max_variants are ever wanted; what comes
 * later is refused, and said. A value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_VARIANT_VALUES_H
#define COORDINATOR_CIRCUIT_VARIANT_VALUES_H

#include "common/error.h"
#include "coordinator/circuit/search_variant.h"

#include <stdbool.h>

enum { VARIANT_VALUES_MAX = 1 << 24 };

struct variant_values;

/* For rows of n_prompts values. On ST_OK the caller owns *out. Errors: ST_BAD_INPUT (a count of
 * 0, max_variants over VARIANT_VALUES_MAX), ST_NO_MEMORY. */
MUST_CHECK status_t variant_values_create(struct variant_values **out, size_t n_prompts,
                                          size_t max_variants, struct error *err);
void variant_values_destroy(struct variant_values **values); /* NULL-safe */

/* The row [n_prompts] of a set, or NULL while it is not known. Borrowed until the next tell. */
const double *variant_values_find(const struct variant_values *values,
                                  const struct search_variant *variant);

/* Queue a set, copied, unless it is known, asked or queued. *is_refused: max_variants are taken.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t variant_values_want(struct variant_values *values,
                                        const struct search_variant *variant, bool *is_refused,
                                        struct error *err);

/* Where a set that was wanted stands in the order of wanting, from 0. */
bool variant_values_place(const struct variant_values *values, const struct search_variant *variant,
                          size_t *place);

/* The sets that were wanted first and are not known, max_batch at most; the same until told.
 * Borrowed until then. */
struct search_batch variant_values_batch(struct variant_values *values, size_t max_batch);

/* Rows [n, n_prompts] of the last batch, in its order. Errors: ST_NO_MEMORY; then nothing is
 * taken. */
MUST_CHECK status_t variant_values_tell(struct variant_values *values, const double *rows,
                                        struct error *err);

/* How many sets were wanted, how many are known. */
size_t variant_values_n_wanted(const struct variant_values *values);
size_t variant_values_n_known(const struct variant_values *values);

#endif
