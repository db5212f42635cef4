/* The leak count: documents on two sides, looked for in the finished units and not in what
 * decided the sides, so that it can catch a mistake there. */
#include "coordinator/plan/capture_plan.h"

#include "coordinator/plan/capture_plan_parts.h"

#include <stdlib.h>
#include <string.h>

enum { NO_SIDE = 254, TWO_SIDES = 253 };

struct seen {
    uint64_t content_key;
    uint8_t side; /* NO_SIDE, a side, or TWO_SIDES */
};

static void see(uint8_t *seen, uint8_t side)
{
    if (*seen == NO_SIDE)
        *seen = side;
    else if (*seen != side)
        *seen = TWO_SIDES;
}

static int compare_seen(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    return x->content_key < y->content_key ? -1 : x->content_key > y->content_key;
}

/* Documents of one content: all those on a side count if there are two sides among them. */
static uint64_t count_group(const struct seen *seen, size_t n)
{
    uint8_t side = NO_SIDE;
    uint64_t n_placed = 0;
    for (size_t i = 0; i < n; i++) {
        if (seen[i].side == NO_SIDE) continue;
        see(&side, seen[i].side);
        n_placed++;
    }
    return side == TWO_SIDES ? n_placed : 0;
}

status_t capture_plan_count_leaks(const struct capture_plan *plan, uint64_t *n_leaks,
                                  struct error *err)
{
    return capture_plan_count_leaks_in(plan, plan->corpus, n_leaks, err);
}

status_t capture_plan_count_leaks_in(const struct capture_plan *plan,
                                     const struct token_corpus *corpus, uint64_t *n_leaks,
                                     struct error *err)
{
    const size_t n = token_corpus_n_documents(corpus);
    *n_leaks = 0;
    if (n == 0) return ST_OK;
    struct seen *seen = calloc(n, sizeof *seen);
    if (!seen) return error_set(err, ST_NO_MEMORY, "%zu documents", n);
    for (size_t i = 0; i < n; i++)
        seen[i] = (struct seen){token_corpus_document(corpus, i).content_key, NO_SIDE};
    for (size_t u = 0; u < plan->n_units; u++)
        for (uint32_t s = 0; s < plan->units[u].n_segments; s++) {
            const struct capture_segment *segment =
                &plan->segments[plan->units[u].first_segment + s];
            see(&seen[segment->document_index].side, plan->units[u].side);
        }
    qsort(seen, n, sizeof *seen, compare_seen);
    for (size_t low = 0, high; low < n; low = high) {
        for (high = low + 1; high < n && seen[high].content_key == seen[low].content_key;) high++;
        *n_leaks += count_group(seen + low, high - low);
    }
    free(seen);
    return ST_OK;
}
