#include "coordinator/circuit/context_search.h"

#include <stdlib.h>
#include <string.h>

enum { PROBES = 3 }; /* prefixes that are tried at a time */

status_t context_search_init(struct context_search *out, uint32_t node, struct index_span context,
                             struct error *err)
{
    *out = (struct context_search){.node = node, .n_rest = context.n};
    out->rest = malloc((context.n + 1) * sizeof *out->rest);
    if (!out->rest) return error_set(err, ST_NO_MEMORY, "search: a context of %zu", context.n);
    if (context.n > 0) memcpy(out->rest, context.items, context.n * sizeof *out->rest);
    return ST_OK;
}

void context_search_fini(struct context_search *search)
{
    free(search->rest);
    *search = (struct context_search){.is_over = true};
}

/* Does the node show after kept and the first n of the rest? */
static bool shows(const struct context_search *search, size_t n, struct search_view *view,
                  const struct effect_sample *sample, const struct clear_rule *rule)
{
    uint32_t base[NODE_SEARCH_MAX_CONTEXT + 1];
    const struct index_span rest = {search->rest, n};
    memcpy(base, search->kept, search->n_kept * sizeof *base);
    base[search->n_kept] = search->node;
    const double *before = search_view_nodes(view, (struct index_span){base, search->n_kept}, rest);
    const double *after =
        search_view_nodes(view, (struct index_span){base, search->n_kept + 1}, rest);
    if (!before || !after) return false;
    const struct node_effect effect = effect_between(sample, before, after);
    return effect_is_clear(&effect, rule);
}

static void end(struct context_search *search, bool is_found)
{
    search->is_over = true;
    search->is_found = is_found;
}

/* Is what was kept enough? */
static void check(struct context_search *search, struct search_view *view,
                  const struct effect_sample *sample, const struct context_rule *rule)
{
    const size_t n_missing = view->n_missing;
    const bool is_enough = shows(search, 0, view, sample, &rule->clear);
    if (view->n_missing > n_missing) return;
    if (is_enough)
        end(search, true);
    else if (search->n_kept == rule->max_context || search->n_rest == 0)
        end(search, false);
    search->is_checked = true;
    search->low = 0;
    search->high = search->n_rest;
}

static void narrow(struct context_search *search, struct search_view *view,
                   const struct effect_sample *sample, const struct context_rule *rule)
{
    const size_t n_missing = view->n_missing, low = search->low, width = search->high - low;
    size_t new_low = low, new_high = search->high;
    for (size_t k = PROBES; k > 0; k--) {
        const size_t at = low + width * k / (PROBES + 1);
        if (at == low) continue;
        if (shows(search, at, view, sample, &rule->clear))
            new_high = at;
        else if (at < new_high && at > new_low)
            new_low = at;
    }
    if (view->n_missing > n_missing) return;
    search->low = new_low < new_high ? new_low : low;
    search->high = new_high;
}

void context_search_advance(struct context_search *search, struct search_view *view,
                            const struct effect_sample *sample, const struct context_rule *rule)
{
    if (search->is_over) return;
    if (!search->is_checked) check(search, view, sample, rule);
    if (search->is_over || !search->is_checked) return;
    if (search->high - search->low > 1) narrow(search, view, sample, rule);
    if (search->high - search->low > 1) return;
    search->kept[search->n_kept++] = search->rest[search->high - 1];
    search->n_rest = search->high - 1;
    search->is_checked = false;
}
