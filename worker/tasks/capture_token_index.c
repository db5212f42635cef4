#include "worker/tasks/capture_token_index.h"

#include <stdlib.h>

void capture_token_index_fini(struct capture_token_index *index)
{
    free(index->item);
    free(index->window);
    free(index->sorting);
    *index = (struct capture_token_index){0};
}

static status_t reserve(struct capture_token_index *index, uint32_t n_tokens, struct error *err)
{
    if (n_tokens <= index->capacity) return ST_OK;
    capture_token_index_fini(index);
    index->item = malloc(n_tokens * sizeof *index->item);
    index->window = malloc(n_tokens * sizeof *index->window);
    index->sorting = malloc(n_tokens * sizeof *index->sorting);
    if (!index->item || !index->window || !index->sorting) {
        capture_token_index_fini(index);
        return error_set(err, ST_NO_MEMORY, "index of %u tokens", n_tokens);
    }
    index->capacity = n_tokens;
    return ST_OK;
}

static int compare_u64(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

status_t capture_token_index_build(struct capture_token_index *index,
                                   const struct capture_unit *unit,
                                   const struct capture_windows *windows, struct error *err)
{
    const status_t status = reserve(index, windows->n_tokens, err);
    index->n = 0;
    if (status != ST_OK || windows->n_tokens == 0) return status;
    uint32_t n = 0, n_places = 0;
    for (uint32_t i = 0; i < windows->n; i++)
        for (uint32_t j = 0; j < windows->item[i].window.n_tokens; j++)
            index->sorting[n++] =
                (uint64_t)unit->tokens[windows->item[i].first_token + j] << 32 | i;
    qsort(index->sorting, n, sizeof *index->sorting, compare_u64);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t token = (uint32_t)(index->sorting[i] >> 32);
        if (index->n == 0 || index->item[index->n - 1].token != token)
            index->item[index->n++] = (struct capture_token){token, n_places, 0, 0};
        struct capture_token *item = &index->item[index->n - 1];
        item->n_occurrences++;
        const uint32_t window = (uint32_t)index->sorting[i];
        if (item->n_windows > 0 && index->window[n_places - 1] == window) continue;
        index->window[n_places++] = window;
        item->n_windows++;
    }
    return ST_OK;
}

const struct capture_token *capture_token_index_find(const struct capture_token_index *index,
                                                     uint32_t token)
{
    uint32_t low = 0, high = index->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (index->item[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < index->n && index->item[low].token == token ? &index->item[low] : NULL;
}
