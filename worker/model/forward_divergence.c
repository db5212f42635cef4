/* Tokens of a batch compared in pairs, on the device: KL comes to the host, logits do not. */
#include "worker/model/forward_parts.h"

#include <stdlib.h>

status_t forward_reserve_divergences(struct forward *f, size_t n, struct error *err)
{
    void *memory = NULL;
    if (n <= f->n_divergences) return ST_OK;
    f->ops->release(f->backend, f->divergences);
    f->divergences = NULL;
    f->n_divergences = 0;
    const status_t status = f->ops->alloc(f->backend, n * sizeof *f->divergences, &memory, err);
    if (status != ST_OK) return status;
    f->divergences = memory;
    f->n_divergences = n;
    return ST_OK;
}

/* normed: of pairs first .. first + n - 1 the rows p, then the rows q; pairs [n] says so. */
static status_t gather_pairs(struct forward *f, size_t first, size_t n, struct row_pair *pairs,
                             struct error *err)
{
    const struct row_pair *from = f->input->head_pairs + first;
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        pairs[i] = (struct row_pair){(uint32_t)i, (uint32_t)(n + i)};
        status = forward_gather(f, &from[i].p, 1, i, err);
        if (status == ST_OK) status = forward_gather(f, &from[i].q, 1, n + i, err);
    }
    return status == ST_OK ? forward_norm_gathered(f, 2 * n, err) : status;
}

static status_t compare(struct forward *f, size_t first, size_t n, const struct row_pair *pairs,
                        struct error *err)
{
    struct diverge_params p = {.x = f->normed,
                               .ld_x = f->config->d_model,
                               .n_rows = (2 * n + f->row_block - 1) / f->row_block * f->row_block,
                               .pairs = pairs,
                               .n_pairs = n};
    status_t status = model_head(f->model, &p.weights, err);
    if (status == ST_OK) status = forward_reserve_divergences(f, n, err);
    if (status != ST_OK) return status;
    p.out = f->divergences;
    status = f->ops->diverge(f->exec, &p, err);
    if (status != ST_OK) return status;
    return f->ops->download(f->exec, f->input->divergences + first, f->divergences,
                            n * sizeof *f->divergences, err);
}

status_t forward_head_pairs(struct forward *f, struct error *err)
{
    const size_t n_all = f->input->n_head_pairs, most = f->n_room > 1 ? f->n_room / 2 : 1;
    struct row_pair *pairs = malloc(most * sizeof *pairs);
    status_t status = pairs ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu comparisons", most);
    for (size_t first = 0; first < n_all && status == ST_OK; first += most) {
        const size_t n = n_all - first < most ? n_all - first : most;
        status = gather_pairs(f, first, n, pairs, err);
        if (status == ST_OK) status = compare(f, first, n, pairs, err);
    }
    free(pairs);
    if (f->input->head_rows) return status;
    f->out_acts[0] = NULL;
    f->n_seen = f->n_hooks;
    return status;
}
