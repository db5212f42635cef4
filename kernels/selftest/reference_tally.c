#include "kernels/selftest/reference_tally.h"

#include <stdlib.h>
#include <string.h>

status_t reference_tally_init(struct reference_tally *tally, size_t n_features, size_t k,
                              struct error *err)
{
    *tally = (struct reference_tally){.n_features = n_features, .k = k};
    if (!k) return ST_OK;
    tally->n_fired = malloc(n_features * sizeof *tally->n_fired);
    tally->top = malloc(n_features * k * sizeof *tally->top);
    if (tally->n_fired && tally->top) return ST_OK;
    return error_set(err, ST_NO_MEMORY, "tally of %zu features", n_features);
}

void reference_tally_fini(struct reference_tally *tally)
{
    free(tally->entries);
    free(tally->n_fired);
    free(tally->top);
    *tally = (struct reference_tally){0};
}

status_t reference_tally_take(struct reference_tally *tally, const struct sparse_rows *rows,
                              struct error *err)
{
    const size_t n = tally->n_entries + rows->row_start[rows->n_rows];
    if (!tally->k) return ST_OK;
    if (n > tally->room) {
        struct tally_entry *grown = realloc(tally->entries, 2 * n * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "tally of %zu entries", n);
        tally->entries = grown;
        tally->room = 2 * n;
    }
    for (size_t r = 0; r < rows->n_rows; r++, tally->n_tokens++) {
        for (size_t i = rows->row_start[r]; i < rows->row_start[r + 1]; i++) {
            uint32_t bits;
            memcpy(&bits, &rows->value[i], sizeof bits);
            tally->entries[tally->n_entries++] = (struct tally_entry){
                rows->feature[i], (uint64_t)bits << 32 | (UINT32_MAX - tally->n_tokens)};
        }
    }
    return ST_OK;
}

/* By feature, the largest key of each first. */
static int compare_entries(const void *left, const void *right)
{
    const struct tally_entry *a = left, *b = right;
    if (a->feature != b->feature) return a->feature < b->feature ? -1 : 1;
    return (a->key < b->key) - (a->key > b->key);
}

status_t reference_tally_read(struct reference_tally *tally, struct sparse_tally *out,
                              struct error *err)
{
    const size_t n = tally->n_features, k = tally->k;
    if (!k) return error_set(err, ST_BAD_INPUT, "the encoder keeps no tally");
    memset(tally->n_fired, 0, n * sizeof *tally->n_fired);
    memset(tally->top, 0, n * k * sizeof *tally->top);
    if (tally->n_entries)
        qsort(tally->entries, tally->n_entries, sizeof *tally->entries, compare_entries);
    for (size_t i = 0; i < tally->n_entries; i++) {
        const size_t f = tally->entries[i].feature, rank = tally->n_fired[f]++;
        if (rank < k) tally->top[f * k + rank] = tally->entries[i].key;
    }
    *out = (struct sparse_tally){
        .n_features = n, .k = k, .n_fired = tally->n_fired, .top = tally->top};
    return ST_OK;
}
