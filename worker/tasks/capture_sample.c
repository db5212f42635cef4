#include "worker/tasks/capture_sample.h"

#include <string.h>

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

size_t capture_hits_smallest(struct capture_hits *hits, size_t k, uint32_t *out)
{
    size_t n = 0, n_below = 0;
    uint64_t limit = UINT64_MAX;
    if (k == 0) return 0;
    if (hits->n > k) {
        memcpy(hits->order, hits->key, hits->n * sizeof *hits->key);
        limit = select_kth(hits->order, hits->n, k - 1);
        for (size_t i = 0; i < hits->n; i++) n_below += hits->key[i] < limit;
    }
    size_t n_at_limit = k - n_below; /* places left for keys equal to the limit */
    for (size_t i = 0; i < hits->n; i++) {
        if (hits->key[i] > limit) continue;
        if (hits->key[i] == limit && n_at_limit == 0) continue;
        if (hits->key[i] == limit) n_at_limit--;
        out[n++] = hits->place[i];
    }
    return n;
}
