/* From masks to rows: candidates of as many tokens as fit a pass, refined on the device, fetched,
 * and those that fire put behind the rows so far. */
#include "kernels/cuda/sparse_encoder.h"

#include <stdlib.h>

enum { PASS_CANDIDATES = 1 << 22 /* of a pass, unless one token alone has more */ };

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
    free(e->feature);
    free(e->value);
    free(e->rows.row_start);
    free(e->rows.feature);
    free(e->rows.value);
}

/* Room for n more numbers and values, in a pair of arrays. */
static status_t grow(uint32_t **features, float **values, size_t n, size_t *capacity,
                     struct error *err)
{
    if (n <= *capacity) return ST_OK;
    const size_t wanted = n + n / 2;
    uint32_t *feature = realloc(*features, wanted * sizeof *feature);
    if (feature) *features = feature;
    float *value = feature ? realloc(*values, wanted * sizeof *value) : NULL;
    if (value) *values = value;
    if (!feature || !value) return error_set(err, ST_NO_MEMORY, "%zu activations", n);
    *capacity = wanted;
    return ST_OK;
}

/* Some tokens of the block and their candidates. */
struct pass {
    size_t first, n_tokens;
    struct sparse_candidates candidates;
};

/* As many tokens from `first` on as fit; starts of their candidates go to host_starts. */
static struct pass take_pass(struct sparse_encoder *e, size_t first)
{
    struct pass pass = {.first = first};
    size_t n = 0;
    e->host_starts[0] = 0;
    while (first + pass.n_tokens < e->tokens.n_tokens) {
        const size_t more = e->host_counts[first + pass.n_tokens];
        if (pass.n_tokens && n + more > PASS_CANDIDATES) break;
        n += more;
        e->host_starts[++pass.n_tokens] = (uint32_t)n;
    }
    pass.candidates.n = n;
    return pass;
}

static status_t place_candidates(struct sparse_encoder *e, struct pass *pass, struct error *err)
{
    struct sparse_candidates *c = &pass->candidates;
    /* grows in steps, so that passes of about the same size need nothing new */
    const size_t n_bytes = c->n * (2 * sizeof(uint32_t) + sizeof(float));
    const size_t wanted = n_bytes > e->candidates.n_bytes ? n_bytes + n_bytes / 2 : n_bytes;
    const status_t status = scratch_reserve(&e->candidates, wanted, err);
    if (status != ST_OK) return status;
    c->value = e->candidates.memory;
    c->token = (void *)(c->value + c->n);
    c->feature = c->token + c->n;
    return ST_OK;
}

static status_t refine_pass(struct sparse_encoder *e, struct pass *pass, struct error *err)
{
    const struct sparse *s = e->sparse;
    const struct sparse_candidates *c = &pass->candidates;
    cudaStream_t stream = e->exec->stream;
    status_t status = place_candidates(e, pass, err);
    if (status == ST_OK)
        status = exec_upload(e->exec, e->starts, e->host_starts,
                             (pass->n_tokens + 1) * sizeof *e->starts, err);
    if (status == ST_OK)
        status = cuda_check(launch_sparse_fill(stream, e->masks, s->device.n_words, pass->first,
                                               pass->n_tokens, e->starts, c),
                            "candidates", err);
    if (status == ST_OK)
        status = cuda_check(launch_sparse_refine(stream, &s->device, e->tokens.x, c, e->bad),
                            "refine", err);
    if (status == ST_OK && s->k)
        status = cuda_check(launch_sparse_keep(stream, e->starts, pass->n_tokens, s->k, c), "top k",
                            err);
    return status;
}

static status_t fetch_pass(struct sparse_encoder *e, const struct pass *pass, struct error *err)
{
    const size_t n = pass->candidates.n;
    uint64_t bad;
    status_t status = grow(&e->feature, &e->value, n, &e->n_host, err);
    if (status == ST_OK)
        status = exec_download(e->exec, e->feature, pass->candidates.feature,
                               n * sizeof *e->feature, err);
    if (status == ST_OK)
        status =
            exec_download(e->exec, e->value, pass->candidates.value, n * sizeof *e->value, err);
    if (status == ST_OK) status = sparse_read_bad(e, &bad, err);
    if (status != ST_OK || bad == SPARSE_NONE_BAD) return status;
    const size_t first_row = e->rows.n_rows - pass->first;
    return error_set(err, ST_BAD_INPUT, "feature %u overflows on token %zu", (unsigned)bad,
                     first_row + (size_t)(bad >> 32));
}

/* In a topk dictionary every feature competes; the wanted ones are picked at the end. */
static bool is_wanted(const struct sparse_encoder *e, uint32_t feature)
{
    return !e->host_selected ||
           (e->host_selected[feature / SPARSE_WORD] >> feature % SPARSE_WORD & 1u) != 0;
}

static status_t append_pass(struct sparse_encoder *e, const struct pass *pass, struct error *err)
{
    struct sparse_rows *rows = &e->rows;
    size_t at = rows->row_start[rows->n_rows];
    const status_t status =
        grow(&rows->feature, &rows->value, at + pass->candidates.n, &e->entries_capacity, err);
    if (status != ST_OK) return status;
    for (size_t t = 0; t < pass->n_tokens; t++) {
        for (size_t i = e->host_starts[t]; i < e->host_starts[t + 1]; i++) {
            if (e->value[i] == 0 || !is_wanted(e, e->feature[i])) continue;
            rows->feature[at] = e->feature[i];
            rows->value[at++] = e->value[i];
        }
        rows->row_start[++rows->n_rows] = at;
    }
    return ST_OK;
}

status_t sparse_rows_append(struct sparse_encoder *e, struct error *err)
{
    status_t status = ST_OK;
    for (size_t first = 0; first < e->tokens.n_tokens && status == ST_OK;) {
        struct pass pass = take_pass(e, first);
        if (pass.candidates.n) {
            status = refine_pass(e, &pass, err);
            if (status == ST_OK) status = fetch_pass(e, &pass, err);
        }
        if (status == ST_OK) status = append_pass(e, &pass, err);
        first += pass.n_tokens;
        e->stats.n_candidates += pass.candidates.n;
    }
    return status;
}
