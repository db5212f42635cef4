/* The digest of backend.h by the simplest way there is: feature by feature and window by window,
 * a feature's values laid out by token, windows kept by evidence_insert_firing(). */
#ifndef KERNELS_SELFTEST_REFERENCE_DIGEST_H
#define KERNELS_SELFTEST_REFERENCE_DIGEST_H

#include "kernels/backend.h"

struct reference_digest {
    struct digest_slot *slots;
    uint32_t *active, *words;
    uint16_t *positions;
    float *values;
    size_t n_words, n_pairs;
    struct digest digest; /* of these arrays */
};

/* Of the rows of p's tokens; p->x is not read. The caller passes it to reference_digest_fini() in
 * any case. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t reference_digest_init(struct reference_digest *out,
                                          const struct sparse_rows *rows, size_t n_features,
                                          const struct digest_params *p, struct error *err);
void reference_digest_fini(struct reference_digest *digest); /* safe on zeroed */

/* Says in `why` where `digest` parts from the reference; false if it does not. */
bool reference_digest_differs(const struct reference_digest *reference, const struct digest *digest,
                              char *why, size_t why_size);

#endif
