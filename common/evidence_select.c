#include "common/evidence_select.h"

#include <string.h>

enum { INSERTION_MAX = 16 };

static void sort_by_insertion(struct evidence_candidate *candidates, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const struct evidence_candidate moved = candidates[i];
        size_t at = i;
        for (; at > 0 && evidence_candidate_before(&moved, &candidates[at - 1]); at--)
            candidates[at] = candidates[at - 1];
        candidates[at] = moved;
    }
}

static void merge_runs(const struct evidence_candidate *from, size_t middle, size_t n,
                       struct evidence_candidate *to)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < n; i++) {
        const bool takes_right =
            left == middle ||
            (right < n && evidence_candidate_before(&from[right], &from[left]));
        to[i] = takes_right ? from[right++] : from[left++];
    }
}

/* Already sorted runs, the usual case after a merge, cost one pass. */
static bool is_sorted(const struct evidence_candidate *candidates, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (evidence_candidate_before(&candidates[i], &candidates[i - 1])) return false;
    return true;
}

void evidence_candidates_sort(struct evidence_candidate *candidates, size_t n,
                              struct evidence_candidate *scratch)
{
    if (n <= INSERTION_MAX) {
        sort_by_insertion(candidates, n);
        return;
    }
    if (is_sorted(candidates, n)) return;
    const size_t middle = n / 2;
    evidence_candidates_sort(candidates, middle, scratch);
    evidence_candidates_sort(candidates + middle, n - middle, scratch);
    memcpy(scratch, candidates, n * sizeof *scratch);
    merge_runs(scratch, middle, n, candidates);
}

void evidence_candidates_merge(struct evidence_candidate *candidates, size_t n_sorted, size_t n,
                               struct evidence_candidate *scratch)
{
    evidence_candidates_sort(candidates + n_sorted, n - n_sorted, scratch);
    memcpy(scratch, candidates, n * sizeof *scratch);
    merge_runs(scratch, n_sorted, n, candidates);
}

static bool has_smaller_key(const struct evidence_candidate *a, const struct evidence_candidate *b)
{
    return a->key != b->key ? a->key < b->key : a->document_index < b->document_index;
}

size_t evidence_smallest_keys(const struct evidence_candidate *candidates, size_t n, uint32_t k,
                              size_t *out)
{
    size_t n_out = 0;
    for (size_t i = 0; i < n && k > 0; i++) {
        if (n_out == k && !has_smaller_key(&candidates[i], &candidates[out[k - 1]])) continue;
        size_t at = n_out < k ? n_out++ : k - 1;
        for (; at > 0 && has_smaller_key(&candidates[i], &candidates[out[at - 1]]); at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return n_out;
}

static size_t drop_repeated(struct evidence_candidate *candidates, size_t n)
{
    size_t n_distinct = n > 0;
    for (size_t i = 1; i < n; i++)
        if (evidence_candidate_before(&candidates[n_distinct - 1], &candidates[i]))
            candidates[n_distinct++] = candidates[i];
    for (size_t i = n_distinct; i < n; i++) candidates[i].is_kept = false;
    return n_distinct;
}

size_t evidence_candidates_select(struct evidence_candidate *candidates, size_t n,
                                  const struct evidence_limits *limits)
{
    size_t smallest[EVIDENCE_MAX_BIN_K];
    n = drop_repeated(candidates, n);
    for (size_t i = 0; i < n; i++) candidates[i].is_kept = i < limits->top_k;
    for (size_t start = 0; start < n;) {
        const size_t end = evidence_bin_end(candidates, n, start);
        const size_t n_smallest =
            evidence_smallest_keys(candidates + start, end - start, limits->bin_k, smallest);
        for (size_t i = 0; i < n_smallest; i++) candidates[start + smallest[i]].is_kept = true;
        start = end;
    }
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) n_kept += candidates[i].is_kept;
    return n_kept;
}

bool evidence_insert_smallest(struct evidence_candidate *list, size_t *n, size_t k,
                              const struct evidence_candidate *candidate)
{
    if (k == 0 || (*n == k && !has_smaller_key(candidate, &list[k - 1]))) return false;
    size_t at = *n;
    while (at > 0 && has_smaller_key(candidate, &list[at - 1])) at--;
    if (at > 0 && !has_smaller_key(&list[at - 1], candidate)) return false; /* the same one */
    if (*n < k) ++*n;
    memmove(list + at + 1, list + at, (*n - 1 - at) * sizeof *list);
    list[at] = *candidate;
    return true;
}
