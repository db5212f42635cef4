/* From masks to rows: candidates of as many tokens as fit a pass, refined and packed on the device;
 * those that fire are fetched behind the rows so far. */
#include "kernels/cuda/sparse_encoder.h"

#include <stdlib.h>

status_t sparse_rows_begin(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    e->rows.n_rows = 0;
    if (n_tokens + 1 > e->rows_capacity) {
        size_t *grown = realloc(e->rows.row_start, (n_tokens + 1) * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu rows", n_tokens);
        e->rows.row_start = grown;
        e->rows_capacity = n_tokens + 1;
    }
    e->rows.row_start[0] = 0;
    return ST_OK;
}

void sparse_rows_fini(struct sparse_encoder *e)
{
    free(e->rows.row_start);
    free(e->rows.feature);
    free(e->rows.value);
}

/* Room for n entries in all rows. */
static status_t reserve_entries(struct sparse_encoder *e, size_t n, struct error *err)
{
    if (n <= e->entries_capacity) return ST_OK;
    const size_t wanted = n + n / 2;
    uint32_t *feature = realloc(e->rows.feature, wanted * sizeof *feature);
    if (feature) e->rows.feature = feature;
    float *value = feature ? realloc(e->rows.value, wanted * sizeof *value) : NULL;
    if (value) e->rows.value = value;
    if (!feature || !value) return error_set(err, ST_NO_MEMORY, "%zu activations", n);
    e->entries_capacity = wanted;
    return ST_OK;
}

/* Some tokens of the block, their candidates, and those of them that fire. */
struct pass {
    size_t first, n_tokens;
    struct sparse_candidates candidates;
    struct sparse_entries entries;
};

/* As many tokens from `first` on as fit; starts of their candidates go to host_starts. */
static struct pass take_pass(struct sparse_encoder *e, size_t first)
{
    struct pass pass = {.first = first};
    size_t n = 0;
    e->host_starts[0] = 0;
    while (first + pass.n_tokens < e->tokens.n_tokens) {
        const size_t more = e->host_counts[first + pass.n_tokens];
        if (n + more > e->n_pass) break; /* never of the first token: n_pass has room for one */
        n += more;
        e->host_starts[++pass.n_tokens] = (uint32_t)n;
    }
    pass.candidates.n = n;
    return pass;
}

/* Where they go on the device. Room grows in steps, so that passes of about the same size need
 * nothing new. */
static status_t place_candidates(struct sparse_encoder *e, struct pass *pass, struct error *err)
{
    struct sparse_candidates *c = &pass->candidates;
    const size_t most = e->n_pass, more = c->n + c->n / 2;
    const size_t n = c->n * SPARSE_CANDIDATE_BYTES <= e->candidates.n_bytes ? c->n
                     : more < most                                          ? more
                                                                            : most;
    const status_t status =
        scratch_reserve(e->exec, &e->candidates, n * SPARSE_CANDIDATE_BYTES, err);
    if (status != ST_OK) return status;
    c->value = e->candidates.memory;
    pass->entries.value = c->value + c->n;
    c->token = (void *)(c->value + 2 * c->n);
    c->feature = c->token + c->n;
    pass->entries.feature = c->token + 2 * c->n;
    return ST_OK;
}

static status_t refine_pass(struct sparse_encoder *e, const struct pass *pass, struct error *err)
{
    const struct sparse *s = e->sparse;
    const struct sparse_candidates *c = &pass->candidates;
    cudaStream_t stream = e->exec->stream;
    status_t status = exec_upload(e->exec, e->starts, e->host_starts,
                                  (pass->n_tokens + 1) * sizeof *e->starts, err);
    if (status == ST_OK)
        status = cuda_check(launch_sparse_fill(stream, e->masks, s->device.n_words, pass->first,
                                               pass->n_tokens, e->starts, c),
                            "candidates", err);
    if (status == ST_OK)
        status =
            cuda_check(launch_sparse_refine(stream, &s->device, e->tokens.x, c, &e->report->bad),
                       "refine", err);
    if (status == ST_OK && s->k)
        status = cuda_check(launch_sparse_keep(stream, e->starts, pass->n_tokens, s->k, c), "top k",
                            err);
    return status;
}

/* `entries` of the pass, and where its rows begin, also into host_report. */
static status_t pack_pass(struct sparse_encoder *e, const struct pass *pass, struct error *err)
{
    /* In a topk dictionary every feature competes; the wanted ones are picked here. */
    const uint32_t *wanted = e->sparse->k ? e->selected : NULL;
    uint32_t *row_starts = e->report->numbers;
    cudaStream_t stream = e->exec->stream;
    status_t status = cuda_check(launch_sparse_count(stream, e->starts, pass->n_tokens, wanted,
                                                     &pass->candidates, row_starts),
                                 "counts of rows", err);
    if (status == ST_OK)
        status = cuda_check(launch_sparse_starts(stream, row_starts, pass->n_tokens), "rows", err);
    if (status == ST_OK)
        status = cuda_check(launch_sparse_pack(stream, e->starts, pass->n_tokens, wanted,
                                               &pass->candidates, row_starts, &pass->entries),
                            "rows", err);
    if (status == ST_OK) status = sparse_read_report(e, pass->n_tokens + 1, err);
    if (status != ST_OK || e->host_report->bad == SPARSE_NONE_BAD) return status;
    const uint64_t bad = e->host_report->bad;
    const size_t first_row = e->rows.n_rows - pass->first;
    return error_set(err, ST_BAD_INPUT, "feature %u overflows on token %zu", (unsigned)bad,
                     first_row + (size_t)(bad >> 32));
}

/* n entries behind the `at` before them. */
static status_t fetch_entries(struct sparse_encoder *e, const struct sparse_entries *entries,
                              size_t at, size_t n, struct error *err)
{
    struct sparse_rows *rows = &e->rows;
    status_t status = reserve_entries(e, at + n, err);
    if (status == ST_OK && n)
        status = exec_download(e->exec, rows->feature + at, entries->feature,
                               n * sizeof *rows->feature, err);
    if (status == ST_OK && n)
        status =
            exec_download(e->exec, rows->value + at, entries->value, n * sizeof *rows->value, err);
    return status;
}

static status_t fetch_pass(struct sparse_encoder *e, const struct pass *pass, struct error *err)
{
    struct sparse_rows *rows = &e->rows;
    const uint32_t *row_starts = e->host_report->numbers;
    const size_t at = rows->row_start[rows->n_rows], n = row_starts[pass->n_tokens];
    const status_t status =
        (e->digest.is_open ? sparse_digest_take : fetch_entries)(e, &pass->entries, at, n, err);
    for (size_t t = 0; t < pass->n_tokens && status == ST_OK; t++)
        rows->row_start[++rows->n_rows] = at + row_starts[t + 1];
    return status;
}

/* Tokens without a candidate: rows without an entry. */
static void append_empty(struct sparse_encoder *e, size_t n_tokens)
{
    struct sparse_rows *rows = &e->rows;
    for (size_t t = 0; t < n_tokens; t++, rows->n_rows++)
        rows->row_start[rows->n_rows + 1] = rows->row_start[rows->n_rows];
}

status_t sparse_rows_append(struct sparse_encoder *e, struct error *err)
{
    status_t status = ST_OK;
    for (size_t first = 0; first < e->tokens.n_tokens && status == ST_OK;) {
        struct pass pass = take_pass(e, first);
        if (pass.candidates.n) {
            status = place_candidates(e, &pass, err);
            if (status == ST_OK) status = refine_pass(e, &pass, err);
            if (status == ST_OK) status = pack_pass(e, &pass, err);
            if (status == ST_OK) status = sparse_tally_take(e, &pass.entries, pass.n_tokens, err);
            if (status == ST_OK) status = fetch_pass(e, &pass, err);
        } else {
            append_empty(e, pass.n_tokens);
        }
        first += pass.n_tokens;
        e->stats.n_candidates += pass.candidates.n;
    }
    return status;
}
