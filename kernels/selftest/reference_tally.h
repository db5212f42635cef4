/* The tally of backend.h by the simplest way there is: every entry is kept, and sorted when the
 * tally is asked for. One encoder's. */
#ifndef KERNELS_SELFTEST_REFERENCE_TALLY_H
#define KERNELS_SELFTEST_REFERENCE_TALLY_H

#include "kernels/backend.h"

struct tally_entry {
    uint32_t feature;
    uint64_t key; /* as in struct sparse_tally */
};

struct reference_tally {
    size_t n_features, k;
    struct tally_entry *entries; /* [n_entries] of all tokens */
    size_t n_entries, room;
    uint32_t n_tokens;
    uint64_t *n_fired, *top; /* made when asked for */
};

/* Errors: ST_NO_MEMORY. */
MUST_CHECK status_t reference_tally_init(struct reference_tally *tally, size_t n_features, size_t k,
                                         struct error *err);
void reference_tally_fini(struct reference_tally *tally); /* safe on zeroed */
MUST_CHECK status_t reference_tally_take(struct reference_tally *tally,
                                         const struct sparse_rows *rows, struct error *err);
MUST_CHECK status_t reference_tally_read(struct reference_tally *tally, struct sparse_tally *out,
                                         struct error *err);

#endif
