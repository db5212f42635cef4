#include "worker/tasks/capture_sample.h"

#include <stdbool.h>

static uint64_t median_of_three(uint64_t a, uint64_t b, uint64_t c)
{
    if (a > b) {
        const uint64_t swapped = a;
        a = b;
        b = swapped;
    }
    return c < a ? a : c > b ? b : c;
}

/* The k-th smallest (0-based) of key[n], which is reordered: quickselect. */
static uint64_t select_kth(uint64_t *key, size_t n, size_t k)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        const uint64_t pivot = median_of_three(key[low], key[low + (high - low) / 2], key[high]);
        size_t left = low, right = high;
        while (left <= right) {
            while (key[left] < pivot) left++;
            while (key[right] > pivot) right--;
            if (left > right) break;
            const uint64_t swapped = key[left];
            key[left++] = key[right];
            key[right] = swapped;
            if (right == 0) break;
            right--;
        }
        if (k <= right)
            high = right;
        else if (k >= left)
            low = left;
        else
            break;
    }
    return key[k];
}

enum { N_BUCKETS = 64 };

/* Keys fall into buckets by their bits below those that all share; the k-th smallest is sought in
 * its bucket alone, which has a key or two if they are uniform. */
uint64_t capture_hits_limit(struct capture_hits *hits, size_t k)
{
    uint32_t count[N_BUCKETS] = {0};
    uint64_t low = UINT64_MAX, high = 0;
    for (size_t i = 0; i < hits->n; i++) {
        low = hits->key[i] < low ? hits->key[i] : low;
        high = hits->key[i] > high ? hits->key[i] : high;
    }
    const unsigned n_bits = high > low ? 64u - (unsigned)__builtin_clzll(high - low) : 0;
    const unsigned shift = n_bits > 6 ? n_bits - 6u : 0;
    for (size_t i = 0; i < hits->n; i++) count[(hits->key[i] - low) >> shift]++;
    size_t bucket = 0, n_before = 0, n = 0;
    while (n_before + count[bucket] < k) n_before += count[bucket++];
    for (size_t i = 0; i < hits->n; i++) {
        hits->order[n] = hits->key[i];
        n += (hits->key[i] - low) >> shift == bucket;
    }
    return n == 1 ? hits->order[0] : select_kth(hits->order, n, k - n_before - 1);
}

size_t capture_hits_smallest(struct capture_hits *hits, size_t k, uint32_t *out)
{
    size_t n = 0, n_below = 0;
    if (hits->n <= k) {
        for (size_t i = 0; i < hits->n; i++) out[i] = hits->place[i];
        return hits->n;
    }
    if (k == 0) return 0;
    const uint64_t limit = capture_hits_limit(hits, k);
    for (size_t i = 0; i < hits->n; i++) n_below += hits->key[i] < limit;
    size_t n_at_limit = k - n_below; /* places left for keys equal to the limit */
    for (size_t i = 0; n < k; i++) {
        const bool is_at_limit = hits->key[i] == limit && n_at_limit > 0;
        n_at_limit -= is_at_limit;
        out[n] = hits->place[i];
        n += hits->key[i] < limit || is_at_limit;
    }
    return n;
}
