/* The tally of an encoder (struct sparse_tally of backend.h), from its rows as they come. The top
 * of a feature is kept in order: most values are below its last one and cost a comparison. One
 * encoder's; private to kernels/cpu. */
#ifndef KERNELS_CPU_SPARSE_TALLY_H
#define KERNELS_CPU_SPARSE_TALLY_H

#include "kernels/cpu/host_memory.h"

struct tally {
    struct memory_ledger *ledger;
    size_t n_features, k; /* k 0: none is kept */
    size_t n_bytes;       /* taken from the ledger */
    uint64_t *n_fired;    /* [n_features] */
    uint64_t *top;        /* [n_features, k] descending */
    uint32_t n_tokens;
};

/* What one takes; 0: none is kept, or k is over SPARSE_MAX_TALLY. */
size_t tally_bytes(size_t n_features, size_t k);
/* Its bytes are the ledger's until it goes. Errors: ST_TOO_LARGE (k is over SPARSE_MAX_TALLY),
 * ST_NO_MEMORY. */
MUST_CHECK status_t tally_init(struct tally *tally, size_t n_features, size_t k,
                               struct memory_ledger *ledger, struct error *err);
void tally_fini(struct tally *tally); /* safe on zeroed */

/* Take rows in; nothing if none is kept. Errors: ST_TOO_LARGE (more than 2^32 - 1 tokens). */
MUST_CHECK status_t tally_take(struct tally *tally, const struct sparse_rows *rows,
                               struct error *err);

/* *out borrows. Errors: ST_BAD_INPUT (none is kept). */
MUST_CHECK status_t tally_read(const struct tally *tally, struct sparse_tally *out,
                               struct error *err);

#endif
