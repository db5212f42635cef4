#include "coordinator/session/window_select.h"

#include "coordinator/session/draw.h"
#include "coordinator/session/window_overlap.h"

#include <stdlib.h>

struct candidate {
    const struct window *window;
    float max_value;
    uint64_t order; /* seeded: who comes first among equals */
    bool is_chosen;
};

struct chooser {
    const struct window_select_params *params;
    struct candidate *candidates; /* [n]; by kind, firing by falling maximum */
    size_t n;
    struct window_selection made;
};

struct window_select_params window_select_params_default(uint64_t seed, uint64_t feature)
{
    return (struct window_select_params){.n_wanted = {20, 20, 10, 10},
                                         .near_duplicate_jaccard = WINDOW_NEAR_DUPLICATE_JACCARD,
                                         .seed = seed,
                                         .feature = feature};
}

void window_selection_fini(struct window_selection *selection)
{
    free(selection->windows);
    *selection = (struct window_selection){0};
}

/* --- who may be chosen ------------------------------------------------------------------ */

static int compare_keys(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->window->kind != b->window->kind) return a->window->kind < b->window->kind ? -1 : 1;
    if (a->max_value > b->max_value || a->max_value < b->max_value)
        return a->max_value > b->max_value ? -1 : 1;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    return window_compare(a->window, b->window);
}

static uint64_t order_of(const struct window_select_params *params, const struct window *window)
{
    struct draw stream = draw_stream(params->seed, DRAW_SELECT, params->feature);
    return hash_mix64(draw_next(&stream) ^ hash_mix64(window->document_key) ^
                      hash_mix64(window->document_offset + UINT64_C(0x9e37)));
}

/* Count a reason to drop the window; false if there is none. */
static bool is_refused(struct window_selection *counts, const struct window *window,
                       const uint64_t *explain_keys, size_t n_keys)
{
    if (window_check(window, 1, NULL) != ST_OK) {
        counts->n_mislabelled++;
        return true;
    }
    if (n_keys > 0 &&
        bsearch(&window->document_key, explain_keys, n_keys, sizeof *explain_keys, compare_keys)) {
        counts->n_leaked++;
        return true;
    }
    return false;
}

static status_t admit(struct chooser *chooser, const struct window *pool, size_t n_pool,
                      const struct window *explain, size_t n_explain, struct error *err)
{
    struct window_overlap *overlap = NULL;
    uint64_t *keys = calloc(n_explain + 1, sizeof *keys);
    if (!keys) return error_set(err, ST_NO_MEMORY, "choosing among %zu windows", n_pool);
    status_t status = window_overlap_create(&overlap, explain, n_explain, err);
    if (status != ST_OK) goto done;
    for (size_t i = 0; i < n_explain; i++) keys[i] = explain[i].document_key;
    qsort(keys, n_explain, sizeof *keys, compare_keys);
    for (size_t i = 0; i < n_pool; i++) {
        double jaccard = 0.0;
        if (is_refused(&chooser->made, &pool[i], keys, n_explain)) continue;
        status = window_overlap_largest(overlap, &pool[i], &jaccard, err);
        if (status != ST_OK) goto done;
        if (jaccard >= chooser->params->near_duplicate_jaccard) {
            chooser->made.n_near_duplicates++;
            continue;
        }
        chooser->candidates[chooser->n++] = (struct candidate){
            &pool[i], window_max(&pool[i]), order_of(chooser->params, &pool[i]), false};
    }
    qsort(chooser->candidates, chooser->n, sizeof chooser->candidates[0], compare_candidates);
done:
    window_overlap_destroy(&overlap);
    free(keys);
    return status;
}

/* --- choosing --------------------------------------------------------------------------- */

enum conflict { CONFLICT_NONE, CONFLICT_DOCUMENT, CONFLICT_OVERLAP };

static enum conflict conflict_of(const struct chooser *chooser, const struct window *window)
{
    enum conflict worst = CONFLICT_NONE;
    for (size_t i = 0; i < chooser->made.n_windows; i++) {
        const struct window *chosen = &chooser->made.windows[i];
        if (chosen->document_key != window->document_key) continue;
        if (window_overlaps(chosen, window)) return CONFLICT_OVERLAP;
        worst = CONFLICT_DOCUMENT;
    }
    return worst;
}

/* Choose one of candidates [first, end): the first in seeded order from an unused document, else
 * (where sharing is allowed) the first that overlaps nothing chosen. */
static bool choose_one(struct chooser *chooser, size_t first, size_t end, bool may_share)
{
    struct candidate *best = NULL;
    enum conflict best_conflict = CONFLICT_OVERLAP;
    for (size_t i = first; i < end; i++) {
        struct candidate *candidate = &chooser->candidates[i];
        if (candidate->is_chosen) continue;
        const enum conflict conflict = conflict_of(chooser, candidate->window);
        if (conflict == CONFLICT_OVERLAP || (conflict == CONFLICT_DOCUMENT && !may_share)) continue;
        if (best && (conflict > best_conflict ||
                     (conflict == best_conflict && candidate->order >= best->order)))
            continue;
        best = candidate;
        best_conflict = conflict;
    }
    if (!best) return false;
    best->is_chosen = true;
    chooser->made.n_shared_documents += best_conflict == CONFLICT_DOCUMENT;
    chooser->made.n_of_kind[best->window->kind]++;
    chooser->made.windows[chooser->made.n_windows++] = *best->window;
    return true;
}

/* One from each of `n_wanted` equal parts of [first, end), then anything that is missing, first
 * from unused documents, at last from any. */
static void choose_spread(struct chooser *chooser, size_t first, size_t end, size_t n_wanted)
{
    const size_t n = end - first;
    size_t n_chosen = 0;
    if (n_wanted > n) n_wanted = n;
    for (size_t part = 0; part < n_wanted; part++)
        n_chosen += choose_one(chooser, first + part * n / n_wanted,
                               first + (part + 1) * n / n_wanted, false);
    while (n_chosen < n_wanted && choose_one(chooser, first, end, false)) n_chosen++;
    while (n_chosen < n_wanted && choose_one(chooser, first, end, true)) n_chosen++;
}

static void range_of_kind(const struct chooser *chooser, enum window_kind kind, size_t *first,
                          size_t *end)
{
    *first = 0;
    while (*first < chooser->n && chooser->candidates[*first].window->kind < kind) ++*first;
    *end = *first;
    while (*end < chooser->n && chooser->candidates[*end].window->kind == kind) ++*end;
}

/* Up to `n` windows of a kind, beside those that are chosen; returns how many are missing. */
static size_t choose_kind(struct chooser *chooser, enum window_kind kind, size_t n)
{
    const size_t n_before = chooser->made.n_of_kind[kind];
    size_t first, end;
    range_of_kind(chooser, kind, &first, &end);
    choose_spread(chooser, first, end, n);
    return n - (chooser->made.n_of_kind[kind] - n_before);
}

/* Scarce ones first. */
static void choose_all(struct chooser *chooser)
{
    const size_t *n_wanted = chooser->params->n_wanted;
    (void)choose_kind(chooser, WINDOW_FIRING, n_wanted[WINDOW_FIRING]);
    const size_t n_short =
        choose_kind(chooser, WINDOW_SILENT_NEIGHBOUR, n_wanted[WINDOW_SILENT_NEIGHBOUR]);
    const size_t n_missing =
        choose_kind(chooser, WINDOW_SILENT_HARD, n_wanted[WINDOW_SILENT_HARD] + n_short);
    if (n_missing > n_short)
        (void)choose_kind(chooser, WINDOW_SILENT_NEIGHBOUR, n_missing - n_short);
    (void)choose_kind(chooser, WINDOW_SILENT_RANDOM, n_wanted[WINDOW_SILENT_RANDOM]);
}

static int compare_chosen(const void *left, const void *right)
{
    const struct window *a = left, *b = right;
    const float a_max = window_max(a), b_max = window_max(b);
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a_max > b_max || a_max < b_max) return a_max > b_max ? -1 : 1;
    return window_compare(a, b);
}

status_t window_select(const struct window *explain, size_t n_explain, const struct window *pool,
                       size_t n_pool, const struct window_select_params *params,
                       struct window_selection *out, struct error *err)
{
    struct chooser chooser = {.params = params};
    chooser.candidates = calloc(n_pool + 1, sizeof *chooser.candidates);
    chooser.made.windows = calloc(n_pool + 1, sizeof *chooser.made.windows);
    status_t status = ST_OK;
    if (!chooser.candidates || !chooser.made.windows)
        status = error_set(err, ST_NO_MEMORY, "choosing among %zu windows", n_pool);
    if (status == ST_OK) status = admit(&chooser, pool, n_pool, explain, n_explain, err);
    if (status != ST_OK) goto done;
    choose_all(&chooser);
    qsort(chooser.made.windows, chooser.made.n_windows, sizeof chooser.made.windows[0],
          compare_chosen);
    *out = chooser.made;
    chooser.made.windows = NULL; /* the caller's now */
done:
    free(chooser.candidates);
    free(chooser.made.windows);
    return status;
}
