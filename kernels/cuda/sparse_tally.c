/* The tally of an encoder: on the device while it runs, on the host when it is asked for. */
#include "kernels/cuda/sparse_encoder.h"

#include "common/size.h"

#include <stdlib.h>

void sparse_tally_close(struct sparse_encoder *e)
{
    device_free(e->tally.n_fired);
    device_free(e->tally.top);
    free(e->host_fired);
    free(e->host_top);
}

size_t sparse_tally_bytes(size_t n_features, size_t k)
{
    size_t n_bytes;
    if (!k || k > SPARSE_MAX_TALLY || !size_tensor(n_features, 1 + k, sizeof(uint64_t), &n_bytes))
        return 0;
    return n_bytes;
}

status_t sparse_tally_open(struct sparse_encoder *e, size_t k, struct error *err)
{
    const size_t n_features = e->sparse->device.n_features,
                 n_counts = n_features * sizeof(uint64_t);
    const size_t n_bytes = sparse_tally_bytes(n_features, k);
    void *n_fired = NULL, *top = NULL;
    if (!k) return ST_OK;
    if (!n_bytes)
        return error_set(err, ST_TOO_LARGE, "tally of %zu values, at most %d", k, SPARSE_MAX_TALLY);
    const size_t n_keys = n_bytes - n_counts;
    e->host_fired = malloc(n_counts);
    e->host_top = malloc(n_keys);
    if (!e->host_fired || !e->host_top)
        return error_set(err, ST_NO_MEMORY, "tally of %zu features", n_features);
    status_t status = device_alloc(e->exec->backend->device, n_counts, &n_fired, err); /* zeros */
    if (status == ST_OK) status = device_alloc(e->exec->backend->device, n_keys, &top, err);
    e->tally = (struct sparse_tally_device){.n_fired = n_fired, .top = top};
    if (status == ST_OK) e->tally.k = k;
    return status;
}

status_t sparse_tally_begin(const struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    if (!e->tally.k || n_tokens <= UINT32_MAX - e->n_tallied) return ST_OK;
    return error_set(err, ST_TOO_LARGE, "tally of more than %u tokens", (unsigned)UINT32_MAX);
}

status_t sparse_tally_take(struct sparse_encoder *e, const struct sparse_entries *entries,
                           size_t n_tokens, struct error *err)
{
    const uint32_t first_token = e->n_tallied + (uint32_t)e->rows.n_rows;
    if (!e->tally.k) return ST_OK;
    return cuda_check(launch_sparse_tally(e->exec->stream, e->report->numbers, n_tokens, entries,
                                          first_token, &e->tally),
                      "tally", err);
}

static int descending(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a < *b) - (*a > *b);
}

status_t sparse_encoder_tally(struct sparse_encoder *e, struct sparse_tally *out, struct error *err)
{
    const size_t n = e->sparse->device.n_features, k = e->tally.k;
    if (!k) return error_set(err, ST_BAD_INPUT, "the encoder keeps no tally");
    status_t status =
        exec_download(e->exec, e->host_fired, e->tally.n_fired, n * sizeof *e->host_fired, err);
    if (status == ST_OK)
        status =
            exec_download(e->exec, e->host_top, e->tally.top, n * k * sizeof *e->host_top, err);
    if (status != ST_OK) return status;
    for (size_t f = 0; f < n; f++) qsort(e->host_top + f * k, k, sizeof *e->host_top, descending);
    *out = (struct sparse_tally){
        .n_features = n, .k = k, .n_fired = e->host_fired, .top = e->host_top};
    return ST_OK;
}
