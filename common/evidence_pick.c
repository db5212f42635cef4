#include "common/evidence_pick.h"

#include "common/evidence_message.h"
#include "common/hash.h"

static bool is_excluded(const struct evidence_pick *pick, const struct evidence_window *window)
{
    for (size_t i = 0; i < pick->n_excluded; i++)
        if (pick->excluded[i].document_index == window->document_index &&
            pick->excluded[i].document_offset == window->document_offset)
            return true;
    return false;
}

static bool may_fire(const struct evidence_pick *pick, const struct evidence_entry *entry)
{
    return entry->max_value > pick->fire_threshold && !is_excluded(pick, &entry->window);
}

size_t evidence_pick_top(const struct evidence_view *view, const struct evidence_pick *pick,
                         size_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < view->n_top && n < pick->n; i++) {
        const struct evidence_entry entry = evidence_view_firing(view, i);
        if (may_fire(pick, &entry)) out[n++] = i;
    }
    return n;
}

/* The kept windows of a slot while some of them are being chosen. */
struct pool {
    const struct evidence_view *view;
    uint64_t seed;
    double n_windows[EVIDENCE_RESERVOIR_BINS]; /* firing windows of the whole split, by bin */
    double n_all;
    bool is_free[EVIDENCE_MAX_FIRING];    /* may be chosen, and is not yet */
    bool is_sampled[EVIDENCE_MAX_FIRING]; /* in its bin's reservoir, not only in the top */
};

/* Windows of the bin above the threshold: all, or the sample's share in the bin that holds it. */
static double windows_above(const struct evidence_view *view, uint32_t bin, const size_t *sample,
                            size_t n, float threshold)
{
    size_t n_above = 0;
    for (size_t i = 0; i < n; i++)
        n_above += evidence_view_firing(view, sample[i]).max_value > threshold;
    const double share = n ? (double)n_above / (double)n : 1;
    return share * evidence_counts_at(view->window_counts, bin);
}

static void fill_pool(struct pool *pool, const struct evidence_view *view,
                      const struct evidence_pick *pick)
{
    size_t sample[EVIDENCE_MAX_BIN_K];
    *pool = (struct pool){.view = view, .seed = hash_mix64(pick->seed ^ view->slot)};
    for (size_t i = 0; i < view->n_firing; i++) {
        const struct evidence_entry entry = evidence_view_firing(view, i);
        pool->is_free[i] = may_fire(pick, &entry);
    }
    for (uint32_t bin = 0; bin < EVIDENCE_RESERVOIR_BINS; bin++) {
        if (evidence_counts_at(view->window_counts, bin) == 0) continue;
        const size_t n = evidence_view_reservoir(view, bin, sample);
        for (size_t i = 0; i < n; i++) pool->is_sampled[sample[i]] = true;
        pool->n_windows[bin] = windows_above(view, bin, sample, n, pick->fire_threshold);
        pool->n_all += pool->n_windows[bin];
    }
}

/* Order of choice within a bin: its uniform sample, shuffled by the seed, before windows that
 * are kept only because they are large. */
static uint64_t choice_rank(const struct pool *pool, size_t index)
{
    if (!pool->is_sampled[index]) return UINT64_C(1) << 63 | index;
    const struct evidence_window window = evidence_view_firing(pool->view, index).window;
    const uint64_t place = (uint64_t)window.document_index << 32 | window.document_offset;
    return hash_mix64(pool->seed ^ hash_mix64(place)) >> 1;
}

/* The first free window of a bin; n_firing if it has none. */
static size_t choose_in_bin(const struct pool *pool, uint32_t bin)
{
    size_t best = pool->view->n_firing;
    uint64_t best_rank = UINT64_MAX;
    for (size_t i = 0; i < pool->view->n_firing; i++) {
        if (!pool->is_free[i] ||
            evidence_reservoir_bin(evidence_view_firing(pool->view, i).max_value) != bin)
            continue;
        const uint64_t rank = choice_rank(pool, i);
        if (rank < best_rank) best = i, best_rank = rank;
    }
    return best;
}

/* The bin of the window at `rank` of all firing windows, counted from the largest maximum. */
static uint32_t bin_at(const struct pool *pool, double rank)
{
    uint32_t last = 0;
    double n_above = 0;
    for (uint32_t bin = EVIDENCE_RESERVOIR_BINS; bin-- > 0;) {
        if (pool->n_windows[bin] <= 0) continue;
        n_above += pool->n_windows[bin];
        last = bin;
        if (rank < n_above) return bin;
    }
    return last;
}

static size_t choose_near(const struct pool *pool, uint32_t bin)
{
    const size_t none = pool->view->n_firing;
    for (uint32_t distance = 0; distance < EVIDENCE_RESERVOIR_BINS; distance++) {
        size_t index = none;
        if (bin + distance < EVIDENCE_RESERVOIR_BINS) index = choose_in_bin(pool, bin + distance);
        if (index == none && distance > 0 && distance <= bin)
            index = choose_in_bin(pool, bin - distance);
        if (index != none) return index;
    }
    return none;
}

static void insert_ascending(size_t *out, size_t n, size_t index)
{
    for (; n > 0 && out[n - 1] > index; n--) out[n] = out[n - 1];
    out[n] = index;
}

size_t evidence_pick_quantiles(const struct evidence_view *view, const struct evidence_pick *pick,
                               size_t *out)
{
    struct pool pool;
    size_t n = 0;
    fill_pool(&pool, view, pick);
    for (size_t part = 0; part < pick->n; part++) {
        const double within = (double)(hash_mix64(pool.seed + part) >> 11) * 0x1p-53;
        const double rank = ((double)part + within) / (double)pick->n * pool.n_all;
        const size_t index = choose_near(&pool, bin_at(&pool, rank));
        if (index == view->n_firing) break;
        pool.is_free[index] = false;
        insert_ascending(out, n++, index);
    }
    return n;
}

size_t evidence_pick_silent(const struct evidence_view *view, const struct evidence_pick *pick,
                            struct evidence_window *out)
{
    size_t n = 0;
    for (size_t i = 0; i < view->n_silent && n < pick->n; i++) {
        const struct evidence_window window = evidence_view_silent(view, i);
        if (!is_excluded(pick, &window)) out[n++] = window;
    }
    for (size_t i = view->n_firing; i-- > 0 && n < pick->n;) {
        const struct evidence_entry entry = evidence_view_firing(view, i);
        if (entry.max_value <= pick->fire_threshold && !is_excluded(pick, &entry.window))
            out[n++] = entry.window;
    }
    return n;
}

size_t evidence_pick_near_miss(const struct evidence_view *view, const struct evidence_pick *pick,
                               struct evidence_window *out)
{
    size_t n = 0;
    for (size_t i = 0; i < view->n_near_miss && n < pick->n; i++) {
        const struct evidence_window window = evidence_view_near_miss(view, i);
        if (!is_excluded(pick, &window)) out[n++] = window;
    }
    return n;
}

size_t evidence_pick_neighbour(const struct evidence_view *view, const struct evidence_pick *pick,
                               struct evidence_window *out)
{
    size_t n = 0;
    for (size_t i = 0; i < view->n_neighbour && n < pick->n; i++) {
        const struct evidence_window window = evidence_view_neighbour(view, i);
        if (!is_excluded(pick, &window)) out[n++] = window;
    }
    return n;
}
