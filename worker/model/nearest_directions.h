/* Which directions point most nearly the same way: of each row the rows of largest cosine among the
 * others.
 *
 *   screen   unit rows (f32) times all unit rows, a block at a time on the backend: every cosine to
 *            within `margin`
 *   exact    rows whose screened cosine is within 2 * margin of the last place: dot product and
 *            norms in double, sums in the order of the columns, the cosine rounded to f32
 *
 * |screened - cosine| <= margin = (d + 16) * 2^-24: rounding of both rows to unit length in f32,
 * and the usual bound of a dot product of d terms in any order (Higham 2002, 3.1), as the sum of
 * |a_i b_i| is at most 1. Hence the result is that of computing every pair exactly as documented,
 * whatever the backend sums first, and the same bytes everywhere. Equal cosines go by number, so of
 * equal rows the first; rows that are zero have no neighbours and are nobody's. Only cosines > 0
 * count. One thread. */
#ifndef WORKER_MODEL_NEAREST_DIRECTIONS_H
#define WORKER_MODEL_NEAREST_DIRECTIONS_H

#include "common/neighbours.h"
#include "kernels/backend.h"

#include <stdbool.h>

struct nearest_directions;

/* rows: host [n, width], finite; taken over on ST_OK (freed by destroy). Errors: ST_TOO_LARGE,
 * ST_NO_MEMORY. */
MUST_CHECK status_t nearest_directions_create(struct nearest_directions **out,
                                              struct backend *backend, float *rows, size_t n,
                                              size_t width, struct error *err);
void nearest_directions_destroy(struct nearest_directions **nearest); /* NULL-safe */

/* The EVIDENCE_NEIGHBOURS nearest of each of the rows [first, first + n_rows), among the other rows
 * that is_wanted[n] names (NULL: all): out [n_rows, EVIDENCE_NEIGHBOURS], nearest first,
 * EVIDENCE_NO_SLOT fills up. Errors: ST_BAD_INPUT (no such rows), ST_NO_MEMORY. */
MUST_CHECK status_t nearest_directions_find(struct nearest_directions *nearest, size_t first,
                                            size_t n_rows, const bool *is_wanted,
                                            struct neighbour *out, struct error *err);

#endif
