#include "worker/tasks/capture_select.h"

#include "common/evidence_bins.h"

/* A run of candidates of one reservoir bin, as places in candidates[]. */
struct members {
    const uint32_t *place; /* [n], ascending */
    size_t n;
};

static void keep_all(struct capture_candidate *candidates, struct members members)
{
    for (size_t i = 0; i < members.n; i++) candidates[members.place[i]].is_kept = true;
}

static void keep_smallest(const struct capture_select_room *room,
                          struct capture_candidate *candidates, size_t k)
{
    const size_t n = capture_hits_smallest(room->hits, k, room->chosen);
    for (size_t i = 0; i < n; i++) candidates[room->chosen[i]].is_kept = true;
}

/* The k < members.n of largest maximum; of equal ones, those of smallest key. Larger floats > 0
 * have larger bits. */
static void keep_largest(const struct capture_select_room *room,
                         struct capture_candidate *candidates, struct members members, size_t k)
{
    struct capture_hits *hits = room->hits;
    for (size_t i = 0; i < members.n; i++)
        hits->key[i] = ~evidence_float_bits(candidates[members.place[i]].max_value);
    hits->n = members.n;
    const uint64_t limit = capture_hits_limit(hits, k);
    size_t n_equal = 0, n_larger = 0;
    for (size_t i = 0; i < members.n; i++) {
        struct capture_candidate *candidate = &candidates[members.place[i]];
        const uint64_t order = hits->key[i];
        if (order < limit) {
            candidate->is_kept = true;
            n_larger++;
        } else if (order == limit) {
            hits->key[n_equal] = candidate->key; /* n_equal <= i */
            hits->place[n_equal++] = members.place[i];
        }
    }
    hits->n = n_equal;
    keep_smallest(room, candidates, k - n_larger);
}

static void keep_sample(const struct capture_select_room *room,
                        struct capture_candidate *candidates, struct members members, size_t k)
{
    struct capture_hits *hits = room->hits;
    for (size_t i = 0; i < members.n; i++) {
        hits->key[i] = candidates[members.place[i]].key;
        hits->place[i] = members.place[i];
    }
    hits->n = members.n;
    keep_smallest(room, candidates, k);
}

/* A counting sort, stable: bin b has by_bin[end[b] - count .. end[b]). Returns which bins have
 * any, as bits. */
static uint64_t group_by_bin(const struct capture_candidate *candidates, size_t n, uint32_t *by_bin,
                             uint32_t start[EVIDENCE_RESERVOIR_BINS + 1])
{
    uint32_t next[EVIDENCE_RESERVOIR_BINS];
    uint64_t bins = 0;
    for (size_t bin = 0; bin <= EVIDENCE_RESERVOIR_BINS; bin++) start[bin] = 0;
    for (size_t i = 0; i < n; i++) {
        start[candidates[i].bin + 1]++;
        bins |= UINT64_C(1) << candidates[i].bin;
    }
    for (size_t bin = 0; bin < EVIDENCE_RESERVOIR_BINS; bin++) {
        next[bin] = start[bin];
        start[bin + 1] += start[bin];
    }
    for (size_t i = 0; i < n; i++) by_bin[next[candidates[i].bin]++] = (uint32_t)i;
    return bins;
}

void capture_select(const struct capture_select_room *room, const struct evidence_limits *limits,
                    struct capture_candidate *candidates, size_t n)
{
    uint32_t start[EVIDENCE_RESERVOIR_BINS + 1];
    size_t n_top = limits->top_k; /* places left in the top */
    for (size_t i = 0; i < n; i++) candidates[i].is_kept = n <= n_top;
    if (n <= n_top) return;
    uint64_t bins = group_by_bin(candidates, n, room->by_bin, start);
    while (bins) { /* from the largest down */
        const uint32_t bin = 63u - (uint32_t)__builtin_clzll(bins);
        const struct members members = {room->by_bin + start[bin], start[bin + 1] - start[bin]};
        bins &= ~(UINT64_C(1) << bin);
        if (members.n <= n_top || members.n <= limits->bin_k) {
            keep_all(candidates, members);
        } else {
            if (n_top > 0) keep_largest(room, candidates, members, n_top);
            if (limits->bin_k > 0) keep_sample(room, candidates, members, limits->bin_k);
        }
        n_top -= members.n < n_top ? members.n : n_top;
    }
}
