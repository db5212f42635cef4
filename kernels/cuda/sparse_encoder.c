#include "kernels/cuda/sparse_encoder.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

/* Floats of a block's product: 256 MB. */
static const size_t MOST_PRODUCT = (size_t)1 << 26;
enum { ESCALATION_TOKENS = 2048 };
/* As kernels/cpu/sparse_judge.c: shares of pairs that come through in vain, or fire. */
static const double BF16_MOST_IN_VAIN = 0.25, DENSE_SHARE = 0.7;

void sparse_encoder_close(struct sparse_encoder *e)
{
    if (!e) return;
    void *const device[] = {e->selected,    e->tokens.x,     e->tokens.hi, e->tokens.residual,
                            e->tokens.norm, e->tokens.least, e->product,   e->masks,
                            e->starts,      e->report};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++) device_free(device[i]);
    scratch_release(&e->candidates);
    sparse_tally_close(e);
    sparse_digest_close(&e->digest);
    sparse_rows_fini(e);
    free(e->host_report);
    free(e->host_counts);
    free(e->host_starts);
    free(e);
}

/* An array that is to be, and where its address goes. */
struct device_array {
    void *slot;
    size_t rows, columns, item;
};

static status_t alloc_array(const struct sparse_encoder *e, const struct device_array *array,
                            struct error *err)
{
    size_t n_bytes;
    void *memory = NULL;
    if (!size_tensor(array->rows, array->columns, array->item, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "encoder scratch of %zu x %zu", array->rows,
                         array->columns);
    const status_t status = device_alloc(e->exec->backend->device, n_bytes, &memory, err);
    if (status == ST_OK) memcpy(array->slot, &memory, sizeof memory);
    return status;
}

static size_t report_bytes(size_t n_numbers)
{
    return sizeof(struct sparse_report) + n_numbers * sizeof(uint32_t);
}

static status_t alloc_scratch(struct sparse_encoder *e, struct error *err)
{
    const struct sparse_device *d = &e->sparse->device;
    const size_t n = e->n_block;
    const struct device_array PLAN[] = {{&e->tokens.x, n, d->n_row, sizeof(float)},
                                        {&e->tokens.hi, n, d->n_row, sizeof(uint16_t)},
                                        {&e->tokens.residual, n, 1, sizeof(float)},
                                        {&e->tokens.norm, n, 1, sizeof(float)},
                                        {&e->tokens.least, n, 1, sizeof(float)},
                                        {&e->product, n, d->n_features, sizeof(float)},
                                        {&e->masks, n, d->n_words, sizeof(uint32_t)},
                                        {&e->starts, n + 1, 1, sizeof(uint32_t)},
                                        {&e->report, 1, report_bytes(n + 1), 1}};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof PLAN / sizeof PLAN[0] && status == ST_OK; i++)
        status = alloc_array(e, &PLAN[i], err);
    e->host_report = malloc(report_bytes(n + 1));
    e->host_counts = malloc(n * sizeof *e->host_counts);
    e->host_starts = malloc((n + 1) * sizeof *e->host_starts);
    if (status == ST_OK && (!e->host_report || !e->host_counts || !e->host_starts))
        status = error_set(err, ST_NO_MEMORY, "encoder");
    return status;
}

static status_t select_features(struct sparse_encoder *e, const struct sparse_encoder_params *p,
                                struct error *err)
{
    const struct sparse_device *d = &e->sparse->device;
    status_t status = ST_OK;
    void *selected = NULL;
    if (!p->features) return ST_OK;
    uint32_t *words = calloc(d->n_words, sizeof *words);
    if (!words) return error_set(err, ST_NO_MEMORY, "encoder");
    for (size_t i = 0; i < p->n_selected && status == ST_OK; i++) {
        const uint32_t f = p->features[i];
        if (f >= d->n_features)
            status = error_set(err, ST_NOT_FOUND, "feature %u of %zu", f, d->n_features);
        else
            words[f / SPARSE_WORD] |= 1u << f % SPARSE_WORD;
    }
    if (status == ST_OK)
        status = device_copy_of(e->exec->backend->device, words, d->n_words * sizeof *words,
                                &selected, err);
    e->selected = selected;
    free(words);
    return status;
}

size_t sparse_encoder_block(size_t n_features)
{
    const size_t fitting = MOST_PRODUCT / n_features;
    if (!fitting) return 1;
    return fitting < SPARSE_BLOCK ? fitting : SPARSE_BLOCK;
}

size_t sparse_encoder_pass(size_t n_features)
{
    const size_t share = n_features < SPARSE_SHARE ? n_features : SPARSE_SHARE;
    const size_t n = sparse_encoder_block(n_features) * share;
    return n > n_features ? n : n_features;
}

static status_t encoder_init(struct sparse_encoder *e, const struct sparse_encoder_params *p,
                             struct error *err)
{
    if ((unsigned)p->screen >= SCREEN_N) return error_set(err, ST_BAD_INPUT, "no such screen");
    if (p->screen == SCREEN_INT8)
        return error_set(err, ST_UNSUPPORTED, "screen int8 is the CPU's; here: bf16, f32, none");
    e->n_block = sparse_encoder_block(p->sparse->device.n_features);
    e->n_pass = sparse_encoder_pass(p->sparse->device.n_features);
    e->wanted = p->screen;
    e->screen = p->screen == SCREEN_AUTO ? SCREEN_BF16 : p->screen;
    status_t status = exec_enter(e->exec, err);
    if (status == ST_OK) status = alloc_scratch(e, err);
    if (status == ST_OK) status = select_features(e, p, err);
    if (status == ST_OK) status = sparse_tally_open(e, p->tally_k, err);
    return status;
}

status_t sparse_encoder_open(struct sparse_encoder **out, struct exec *exec,
                             const struct sparse_encoder_params *params, struct error *err)
{
    struct sparse_encoder *e = calloc(1, sizeof *e);
    if (!e) return error_set(err, ST_NO_MEMORY, "encoder");
    e->sparse = params->sparse;
    e->exec = exec;
    const status_t status = encoder_init(e, params, err);
    if (status != ST_OK) {
        sparse_encoder_close(e);
        return status;
    }
    *out = e;
    return ST_OK;
}

status_t sparse_read_report(struct sparse_encoder *e, size_t n, struct error *err)
{
    return exec_download(e->exec, e->host_report, e->report, report_bytes(n), err);
}

/* The block's tokens, padded and rounded. What is not finite is noted, and makes candidates. */
static status_t prepare(struct sparse_encoder *e, const float *x, size_t first, struct error *err)
{
    const struct sparse *s = e->sparse;
    unsigned long long *bad = &e->report->bad;
    const status_t status =
        cuda_check(cudaMemsetAsync(bad, 0xff, sizeof *bad, e->exec->stream), "prepare", err);
    if (status != ST_OK) return status;
    return cuda_check(launch_sparse_prepare(e->exec->stream, x + first * s->device.n_in,
                                            s->device.n_in, s->device.n_row, s->rounding,
                                            e->screen == SCREEN_BF16, &e->tokens, bad),
                      "prepare", err);
}

/* product [n_tokens, n_features] = x W': column-major, W' is the transpose of what is stored. */
static status_t multiply(struct sparse_encoder *e, struct error *err)
{
    const struct sparse_device *d = &e->sparse->device;
    const bool is_bf16 = e->screen == SCREEN_BF16;
    const cudaDataType type = is_bf16 ? CUDA_R_16BF : CUDA_R_32F;
    const void *w = is_bf16 ? (const void *)d->rows_hi : d->rows;
    const void *x = is_bf16 ? (const void *)e->tokens.hi : e->tokens.x;
    const float one = 1.0f, zero = 0.0f;
    return cublas_check(cublasGemmEx(e->exec->cublas, CUBLAS_OP_T, CUBLAS_OP_N, (int)d->n_features,
                                     (int)e->tokens.n_tokens, (int)d->n_row, &one, w, type,
                                     (int)d->n_row, x, type, (int)d->n_row, &zero, e->product,
                                     CUDA_R_32F, (int)d->n_features, CUBLAS_COMPUTE_32F,
                                     CUBLAS_GEMM_DEFAULT),
                        "screen", err);
}

/* masks and host_counts of the block whose first token is `first` of the run; a value that is not
 * finite is an error. */
static status_t screen_block(struct sparse_encoder *e, size_t first, struct error *err)
{
    const struct sparse *s = e->sparse;
    uint32_t *counts = e->report->numbers;
    const size_t n_bytes = e->tokens.n_tokens * sizeof *counts;
    const float *product = e->screen == SCREEN_NONE ? NULL : e->product;
    cudaStream_t stream = e->exec->stream;
    status_t status = product ? multiply(e, err) : ST_OK;
    if (status == ST_OK && product && s->k)
        status = cuda_check(launch_sparse_least(stream, &s->device, &e->tokens, product, s->k),
                            "bounds", err);
    if (status == ST_OK)
        status = cuda_check(cudaMemsetAsync(counts, 0, n_bytes, stream), "counts", err);
    if (status == ST_OK)
        status = cuda_check(launch_sparse_scan(stream, &s->device, &e->tokens, product,
                                               s->k ? NULL : e->selected, e->masks, counts),
                            "scan", err);
    if (status == ST_OK) status = sparse_read_report(e, e->tokens.n_tokens, err);
    if (status != ST_OK) return status;
    if (e->host_report->bad != SPARSE_NONE_BAD)
        return error_set(err, ST_BAD_INPUT, "activation of token %zu is not finite",
                         first + (size_t)e->host_report->bad);
    memcpy(e->host_counts, e->host_report->numbers, n_bytes);
    return ST_OK;
}

/* AUTO: take the next screen if this one lets too much through. */
static void judge(struct sparse_encoder *e)
{
    if (e->wanted != SCREEN_AUTO || e->window_tokens < ESCALATION_TOKENS) return;
    const double n_pairs = (double)e->window_tokens * (double)e->sparse->device.n_features;
    const double share = (double)e->window_candidates / n_pairs;
    const double fired = (double)e->window_fired / n_pairs;
    e->window_tokens = e->window_candidates = e->window_fired = 0;
    if (fired > DENSE_SHARE || (e->screen == SCREEN_F32 && share > DENSE_SHARE))
        e->screen = SCREEN_NONE;
    else if (e->screen == SCREEN_BF16 && share - fired > BF16_MOST_IN_VAIN)
        e->screen = SCREEN_F32;
}

static status_t run_block(struct sparse_encoder *e, const float *x, size_t first, struct error *err)
{
    const size_t n_before = e->rows.row_start[e->rows.n_rows];
    const uint64_t n_candidates = e->stats.n_candidates;
    status_t status = prepare(e, x, first, err);
    if (status == ST_OK) status = screen_block(e, first, err);
    if (status == ST_OK) status = sparse_rows_append(e, err);
    if (status != ST_OK) return status;
    e->window_tokens += e->tokens.n_tokens;
    e->window_candidates += e->stats.n_candidates - n_candidates;
    e->window_fired += e->rows.row_start[e->rows.n_rows] - n_before;
    judge(e);
    return ST_OK;
}

status_t sparse_encoder_run_rows(struct sparse_encoder *e, const float *x, size_t n_tokens,
                                 struct error *err)
{
    status_t status = exec_enter(e->exec, err);
    if (status == ST_OK) status = sparse_tally_begin(e, n_tokens, err);
    if (status == ST_OK) status = sparse_rows_begin(e, n_tokens, err);
    for (size_t first = 0; first < n_tokens && status == ST_OK; first += e->n_block) {
        e->tokens.n_tokens = n_tokens - first < e->n_block ? n_tokens - first : e->n_block;
        status = run_block(e, x, first, err);
    }
    if (status != ST_OK) return status;
    e->stats.n_tokens += n_tokens;
    if (e->tally.k) e->n_tallied += (uint32_t)n_tokens;
    e->stats.n_fired += e->rows.row_start[e->rows.n_rows];
    return ST_OK;
}

status_t sparse_encoder_run(struct sparse_encoder *e, const float *x, size_t n_tokens,
                            struct sparse_rows *out, struct error *err)
{
    const status_t status = sparse_encoder_run_rows(e, x, n_tokens, err);
    if (status == ST_OK) *out = e->rows;
    return status;
}

struct sparse_stats sparse_encoder_stats(const struct sparse_encoder *e)
{
    struct sparse_stats stats = e->stats;
    stats.screen = e->screen;
    return stats;
}
