/* Which labels people are asked about, and which wrong ones are slipped in.
 *
 *   items    a simple random sample of the population, without replacement
 *   decoys   the evidence of a label's feature under the label of another feature of nearly the
 *            same firing density. Their evidence comes from outside the sample and their label
 *            from features that are not in the sheet, as long as the population has such: then no
 *            text and no description stands in the sheet twice, which would give decoys away.
 *
 * Both together are shuffled. Everything is drawn from (seed, DRAW_AUDIT): an equal population
 * gives an equal sheet, and a larger sample contains the smaller one. Pure; any thread. */
#ifndef COORDINATOR_CLI_AUDIT_DRAW_H
#define COORDINATOR_CLI_AUDIT_DRAW_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_label {
    uint64_t row; /* of the sweep's results */
    uint64_t feature;
    uint32_t target;
    double density; /* share of tokens on which the feature fires */
    char *text;     /* owned by whoever made the array */
};

struct audit_pick {
    uint32_t evidence;    /* index of the label whose feature's windows are shown */
    uint32_t description; /* index of the label that is shown; another one: a decoy */
};

struct audit_draw_params {
    uint64_t seed;
    size_t n_items;
    size_t n_decoys;
};

/* Draw from labels[n_labels]. At most n_labels items and as many decoys come out; a decoy for
 * which no other text exists is left out. The caller frees *out [*n_out]. Errors: ST_NO_MEMORY,
 * ST_TOO_LARGE (2^32 labels). */
MUST_CHECK status_t audit_draw(const struct audit_label *labels, size_t n_labels,
                               const struct audit_draw_params *params, struct audit_pick **out,
                               size_t *n_out, struct error *err);

#endif
