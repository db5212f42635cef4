#include "coordinator/circuit/rank_correlation.h"

#include <math.h>
#include <stdlib.h>

struct placed {
    double value;
    size_t place;
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->value < y->value || y->value < x->value) return x->value < y->value ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* ranks [n] from 1; room [n]. */
static void rank(const double *values, size_t n, struct placed *room, double *ranks)
{
    size_t end;
    for (size_t i = 0; i < n; i++) room[i] = (struct placed){values[i], i};
    qsort(room, n, sizeof *room, compare_placed);
    for (size_t i = 0; i < n; i = end) {
        for (end = i + 1; end < n && room[end].value <= room[i].value; end++) {
        }
        for (size_t k = i; k < end; k++) ranks[room[k].place] = 0.5 * (double)(i + 1 + end);
    }
}

static struct score_value correlate(const double *a, const double *b, size_t n)
{
    const double mean = 0.5 * ((double)n + 1.0); /* of ranks, with ties too */
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < n; i++) {
        ab += (a[i] - mean) * (b[i] - mean);
        aa += (a[i] - mean) * (a[i] - mean);
        bb += (b[i] - mean) * (b[i] - mean);
    }
    const bool is_defined = aa > 0.0 && bb > 0.0;
    return (struct score_value){is_defined, is_defined ? ab / sqrt(aa * bb) : 0.0};
}

status_t rank_correlation(const double *a, const double *b, size_t n, struct score_value *out,
                          struct error *err)
{
    struct placed *room = calloc(n + 1, sizeof *room);
    double *ranks = calloc(2 * n + 1, sizeof *ranks);
    status_t status = ST_OK;
    if (room && ranks) {
        rank(a, n, room, ranks);
        rank(b, n, room, ranks + n);
        *out = correlate(ranks, ranks + n, n);
    } else {
        status = error_set(err, ST_NO_MEMORY, "ranks of %zu values", n);
    }
    free(room);
    free(ranks);
    return status;
}
