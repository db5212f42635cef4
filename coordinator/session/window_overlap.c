#include "coordinator/session/window_overlap.h"

#include "common/hash.h"
#include "common/size.h"

#include <stdlib.h>

/* A gram of a remembered window, in a chain of its bucket. */
struct gram {
    uint64_t hash;
    uint32_t window;
    uint32_t next; /* index + 1 */
};

struct window_overlap {
    struct gram *grams;
    size_t n_grams;
    uint32_t *buckets;    /* [n_buckets], index + 1 */
    size_t n_buckets;     /* a power of two */
    uint32_t *n_grams_of; /* [n_windows]: distinct grams */
    uint32_t *n_common;   /* [n_windows], zero between calls */
    size_t n_windows;
    uint64_t *scratch; /* grams of the window that is asked for */
    size_t scratch_capacity;
};

static size_t gram_count(size_t n_tokens)
{
    return n_tokens > WINDOW_GRAM_TOKENS ? n_tokens - WINDOW_GRAM_TOKENS + 1 : 1;
}

static uint64_t gram_hash(const struct window *window, size_t at)
{
    uint64_t hash = 0;
    for (size_t i = at; i < window->n_tokens && i < at + WINDOW_GRAM_TOKENS; i++)
        hash = hash_mix64(hash ^ (window->tokens[i] + UINT64_C(1)));
    return hash;
}

static int compare_hashes(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Distinct grams of `window` into overlap->scratch; *n_out says how many. */
static status_t read_grams(struct window_overlap *overlap, const struct window *window,
                           size_t *n_out, struct error *err)
{
    const size_t n_all = gram_count(window->n_tokens);
    size_t n_bytes, n = 0;
    if (!size_mul(n_all, sizeof *overlap->scratch, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "grams of %zu tokens", window->n_tokens);
    if (n_all > overlap->scratch_capacity) {
        uint64_t *grown = realloc(overlap->scratch, n_bytes);
        if (!grown) return error_set(err, ST_NO_MEMORY, "grams of %zu tokens", window->n_tokens);
        overlap->scratch = grown;
        overlap->scratch_capacity = n_all;
    }
    uint64_t *grams = overlap->scratch;
    for (size_t i = 0; i < n_all; i++) grams[i] = gram_hash(window, i);
    qsort(grams, n_all, sizeof *grams, compare_hashes);
    for (size_t i = 0; i < n_all; i++)
        if (i == 0 || grams[i] != grams[n - 1]) grams[n++] = grams[i];
    *n_out = n;
    return ST_OK;
}

static status_t remember(struct window_overlap *overlap, const struct window *window,
                         uint32_t index, struct error *err)
{
    size_t n;
    const status_t status = read_grams(overlap, window, &n, err);
    if (status != ST_OK) return status;
    overlap->n_grams_of[index] = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        uint32_t *bucket = &overlap->buckets[overlap->scratch[i] & (overlap->n_buckets - 1)];
        overlap->grams[overlap->n_grams++] = (struct gram){overlap->scratch[i], index, *bucket};
        *bucket = (uint32_t)overlap->n_grams;
    }
    return ST_OK;
}

status_t window_overlap_create(struct window_overlap **out, const struct window *windows,
                               size_t n_windows, struct error *err)
{
    size_t n_grams = 0, n_buckets = 64;
    for (size_t i = 0; i < n_windows; i++)
        if (!size_add(n_grams, gram_count(windows[i].n_tokens), &n_grams) || n_grams > INT32_MAX)
            return error_set(err, ST_TOO_LARGE, "grams of %zu windows", n_windows);
    while (n_buckets < 2 * n_grams) n_buckets *= 2;
    struct window_overlap *made = calloc(1, sizeof *made);
    if (!made) return error_set(err, ST_NO_MEMORY, "grams of %zu windows", n_windows);
    made->n_windows = n_windows;
    made->n_buckets = n_buckets;
    made->grams = calloc(n_grams + 1, sizeof *made->grams);
    made->buckets = calloc(n_buckets, sizeof *made->buckets);
    made->n_grams_of = calloc(n_windows + 1, sizeof *made->n_grams_of);
    made->n_common = calloc(n_windows + 1, sizeof *made->n_common);
    status_t status = ST_OK;
    if (!made->grams || !made->buckets || !made->n_grams_of || !made->n_common)
        status = error_set(err, ST_NO_MEMORY, "grams of %zu windows", n_windows);
    for (size_t i = 0; status == ST_OK && i < n_windows; i++)
        status = remember(made, &windows[i], (uint32_t)i, err);
    if (status == ST_OK)
        *out = made;
    else
        window_overlap_destroy(&made);
    return status;
}

void window_overlap_destroy(struct window_overlap **overlap)
{
    struct window_overlap *gone = *overlap;
    if (!gone) return;
    free(gone->grams);
    free(gone->buckets);
    free(gone->n_grams_of);
    free(gone->n_common);
    free(gone->scratch);
    free(gone);
    *overlap = NULL;
}

/* Count (add = 1) or uncount (add = -1) the grams in common with each remembered window. */
static void tally_common(struct window_overlap *overlap, size_t n, uint32_t add)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t hash = overlap->scratch[i];
        uint32_t at = overlap->buckets[hash & (overlap->n_buckets - 1)];
        for (; at; at = overlap->grams[at - 1].next)
            if (overlap->grams[at - 1].hash == hash)
                overlap->n_common[overlap->grams[at - 1].window] += add;
    }
}

status_t window_overlap_largest(struct window_overlap *overlap, const struct window *window,
                                double *jaccard, struct error *err)
{
    size_t n;
    const status_t status = read_grams(overlap, window, &n, err);
    if (status != ST_OK) return status;
    double largest = 0.0;
    tally_common(overlap, n, 1);
    for (size_t i = 0; i < overlap->n_windows; i++) {
        const double n_common = overlap->n_common[i];
        if (n_common <= 0) continue;
        const double index = n_common / ((double)n + overlap->n_grams_of[i] - n_common);
        if (index > largest) largest = index;
    }
    tally_common(overlap, n, UINT32_MAX); /* minus one, modulo 2^32 */
    *jaccard = largest;
    return ST_OK;
}
