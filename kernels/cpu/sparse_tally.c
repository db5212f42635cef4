#include "kernels/cpu/sparse_tally.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

size_t tally_bytes(size_t n_features, size_t k)
{
    size_t n_bytes;
    if (!k || k > SPARSE_MAX_TALLY || !size_tensor(n_features, 1 + k, sizeof(uint64_t), &n_bytes))
        return 0;
    return n_bytes;
}

status_t tally_init(struct tally *tally, size_t n_features, size_t k, struct memory_ledger *ledger,
                    struct error *err)
{
    const size_t n_bytes = tally_bytes(n_features, k);
    *tally = (struct tally){.ledger = ledger, .n_features = n_features, .k = k};
    if (!k) return ST_OK;
    if (!n_bytes)
        return error_set(err, ST_TOO_LARGE, "tally of %zu values, at most %d", k, SPARSE_MAX_TALLY);
    const status_t status = memory_ledger_take(ledger, n_bytes, err);
    if (status != ST_OK) return status;
    tally->n_bytes = n_bytes;
    tally->n_fired = calloc(n_features, sizeof *tally->n_fired);
    tally->top = calloc(n_features, k * sizeof *tally->top);
    if (tally->n_fired && tally->top) return ST_OK;
    return error_set(err, ST_NO_MEMORY, "tally of %zu features", n_features);
}

void tally_fini(struct tally *tally)
{
    free(tally->n_fired);
    free(tally->top);
    if (tally->n_bytes) memory_ledger_give(tally->ledger, tally->n_bytes);
    *tally = (struct tally){0};
}

/* Into the k keys, in their order, if it is above the last. */
static void offer(uint64_t *top, size_t k, uint64_t key)
{
    size_t at = k;
    while (at > 0 && key > top[at - 1]) at--;
    if (at == k) return;
    memmove(top + at + 1, top + at, (k - 1 - at) * sizeof *top);
    top[at] = key;
}

static uint64_t key_of(float value, uint32_t token)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint64_t)bits << 32 | (uint32_t)~token;
}

status_t tally_take(struct tally *tally, const struct sparse_rows *rows, struct error *err)
{
    if (!tally->k) return ST_OK;
    if (rows->n_rows > UINT32_MAX - tally->n_tokens)
        return error_set(err, ST_TOO_LARGE, "tally of more than %u tokens", (unsigned)UINT32_MAX);
    for (size_t r = 0; r < rows->n_rows; r++, tally->n_tokens++) {
        for (size_t i = rows->row_start[r]; i < rows->row_start[r + 1]; i++) {
            const size_t f = rows->feature[i];
            tally->n_fired[f]++;
            offer(tally->top + f * tally->k, tally->k, key_of(rows->value[i], tally->n_tokens));
        }
    }
    return ST_OK;
}

status_t tally_read(const struct tally *tally, struct sparse_tally *out, struct error *err)
{
    if (!tally->k) return error_set(err, ST_BAD_INPUT, "the encoder keeps no tally");
    *out = (struct sparse_tally){.n_features = tally->n_features,
                                 .k = tally->k,
                                 .n_fired = tally->n_fired,
                                 .top = tally->top};
    return ST_OK;
}
