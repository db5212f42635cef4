/* A running top 20 of every feature's values, as a capture keeps it: what is added to an encode to
 * measure both. Values alone. One thread. */
#ifndef WORKER_BENCH_TOP_H
#define WORKER_BENCH_TOP_H

#include "common/error.h"
#include "kernels/sparse_rows.h"

enum { BENCH_TOP_K = 20 };

struct bench_top {
    float *top;    /* [n_features, BENCH_TOP_K], NULL: none is kept */
    float *lowest; /* [n_features] the least of the top */
};

/* Errors: ST_NO_MEMORY. */
MUST_CHECK status_t bench_top_init(struct bench_top *out, size_t n_features, struct error *err);
void bench_top_fini(struct bench_top *top); /* safe on zeroed */

/* Take in what fired; nothing if none is kept. */
void bench_top_take(struct bench_top *top, const struct sparse_rows *rows);

#endif
