#include "worker/bench_top.h"

#include <stdlib.h>

status_t bench_top_init(struct bench_top *out, size_t n_features, struct error *err)
{
    out->top = calloc(n_features * BENCH_TOP_K, sizeof *out->top);
    out->lowest = calloc(n_features, sizeof *out->lowest);
    return out->top && out->lowest ? ST_OK : error_set(err, ST_NO_MEMORY, "top %d", BENCH_TOP_K);
}

void bench_top_fini(struct bench_top *top)
{
    free(top->top);
    free(top->lowest);
    *top = (struct bench_top){NULL, NULL};
}

/* Insert into a feature's top if it beats the least of them. */
static void offer(struct bench_top *t, uint32_t feature, float value)
{
    float *top = t->top + (size_t)feature * BENCH_TOP_K;
    size_t least = 0;
    for (size_t i = 1; i < BENCH_TOP_K; i++) least = top[i] < top[least] ? i : least;
    top[least] = value;
    for (size_t i = 0; i < BENCH_TOP_K; i++) least = top[i] < top[least] ? i : least;
    t->lowest[feature] = top[least];
}

void bench_top_take(struct bench_top *t, const struct sparse_rows *rows)
{
    const size_t n = rows->row_start[rows->n_rows];
    for (size_t i = 0; t->top && i < n; i++)
        if (rows->value[i] > t->lowest[rows->feature[i]])
            offer(t, rows->feature[i], rows->value[i]);
}
