#include "coordinator/circuit/circuit_stability.h"

static const void *item_at(const struct found_set *set, const struct found_kind *kind, size_t i)
{
    return (const char *)set->items + i * kind->item_size;
}

double circuit_jaccard(const struct found_set *a, const struct found_set *b,
                       const struct found_kind *kind)
{
    size_t i = 0, j = 0, n_both = 0;
    while (i < a->n && j < b->n) {
        const int order = kind->compare(item_at(a, kind, i), item_at(b, kind, j));
        i += order <= 0;
        j += order >= 0;
        n_both += order == 0;
    }
    const size_t n_any = a->n + b->n - n_both;
    return n_any > 0 ? (double)n_both / (double)n_any : 1.0;
}

status_t circuit_stability(const struct found_set *sets, size_t n_sets,
                           const struct found_kind *kind, struct score_value *out,
                           struct error *err)
{
    double sum = 0.0;
    *out = (struct score_value){false, 0.0};
    for (size_t s = 0; s < n_sets; s++)
        for (size_t i = 1; i < sets[s].n; i++)
            if (kind->compare(item_at(&sets[s], kind, i - 1), item_at(&sets[s], kind, i)) >= 0)
                return error_set(err, ST_BAD_INPUT,
                                 "stability: items %zu and %zu of set %zu do not ascend", i - 1, i,
                                 s);
    if (n_sets < 2) return ST_OK;
    for (size_t i = 0; i < n_sets; i++)
        for (size_t j = i + 1; j < n_sets; j++) sum += circuit_jaccard(&sets[i], &sets[j], kind);
    *out = (struct score_value){true, sum / ((double)n_sets * (double)(n_sets - 1) / 2.0)};
    return ST_OK;
}
