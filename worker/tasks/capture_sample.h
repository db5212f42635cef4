/* The k smallest of many keys, without sorting them: how a slot's silent windows are sampled. */
#ifndef WORKER_TASKS_CAPTURE_SAMPLE_H
#define WORKER_TASKS_CAPTURE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* Hits of a scan: places (ascending) and their keys. */
struct capture_hits {
    uint64_t *key;   /* [capacity], owned by whoever made it */
    uint64_t *order; /* [capacity], scratch */
    uint32_t *place; /* [capacity] */
    size_t n;
};

/* The k-th smallest key, 1 <= k <= hits->n. */
uint64_t capture_hits_limit(struct capture_hits *hits, size_t k);

/* Write the places of the k hits of smallest key to `out` [k], in the order of the hits; of equal
 * keys the earlier hits. Returns how many, at most k. */
size_t capture_hits_smallest(struct capture_hits *hits, size_t k, uint32_t *out);

#endif
