#include "kernels/cpu/matmul.h"

#include "common/size.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/panels.h"

#include <stdlib.h>
#include <string.h>

enum { MATMUL_MAX_DIM = 1 << 28 };

/* How a product is really done. F32, BF16X3 and BF16 are oneDNN's, from AVX-512 on. Below it f32 is
 * multiplied in PANELS, bf16 is that of ROUNDED values, and bf16x3 is f32, which is more accurate
 * and no slower there. So is tf32 everywhere: it is there for tensor cores. */
enum form { FORM_F32, FORM_BF16X3, FORM_BF16, FORM_PANELS, FORM_ROUNDED };

/* Weights in panels, or oneDNN's in one or two parts: f32, or bf16 high (and low, for bf16x3). */
struct packed {
    size_t n_in, n_out;
    enum form form;
    struct panels *panels;
    struct onednn_weights *parts[2]; /* [1] only for bf16x3 */
    struct memory_ledger *ledger;
    size_t n_bytes; /* taken from it */
};

struct matmul_cache {
    size_t row_block;
    const struct vector_kernels *kernels;
    struct onednn_runner *onednn; /* NULL where all weights are in panels */
    uint16_t *hi, *lo;            /* [row_block, widest n_in so far]: n_split */
    size_t n_split;
    float *rows; /* [row_block, widest n_in so far]: n_rows_floats */
    size_t n_rows_floats;
};

static enum form form_of(enum compute compute, const struct vector_kernels *kernels)
{
    if (kernels->multiply) return compute == COMPUTE_BF16 ? FORM_ROUNDED : FORM_PANELS;
    if (compute == COMPUTE_BF16) return FORM_BF16;
    return compute == COMPUTE_BF16X3 ? FORM_BF16X3 : FORM_F32;
}

/* The values that bf16 has, as f32. hi [n] is scratch. */
static void round_to_bf16(const struct vector_kernels *kernels, const float *x, size_t n,
                          uint16_t *hi, float *out)
{
    kernels->split_bf16(x, n, hi, NULL);
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)hi[i] << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

static status_t pack_rounded(struct packed *packed, const struct pack_params *p,
                             const struct vector_kernels *kernels, struct error *err)
{
    status_t status = ST_OK;
    const size_t n = p->n_in * p->n_out; /* checked by the caller */
    struct pack_params of_rounded = *p;
    uint16_t *hi = malloc(n * sizeof *hi);
    float *rounded = malloc(n * sizeof *rounded);

    if (!hi || !rounded) {
        status = error_set(err, ST_NO_MEMORY, "rounded weights %zu x %zu", p->n_in, p->n_out);
        goto done;
    }
    round_to_bf16(kernels, p->weights, n, hi, rounded);
    of_rounded.weights = rounded;
    status = panels_create(&packed->panels, &of_rounded, kernels, err);
done:
    free(hi);
    free(rounded);
    return status;
}

/* What oneDNN is given: these values in the order of params' weights. */
static struct onednn_weights_params onednn_params(enum form form, const struct pack_params *p,
                                                  const void *values)
{
    return (struct onednn_weights_params){.n_in = p->n_in,
                                          .n_out = p->n_out,
                                          .values = values,
                                          .is_transposed = p->is_transposed,
                                          .is_bf16 = form != FORM_F32};
}

static status_t pack_bf16(struct packed *packed, const struct pack_params *p,
                          const struct vector_kernels *kernels, struct error *err)
{
    status_t status = ST_OK;
    const size_t n = p->n_in * p->n_out; /* checked by the caller */
    const bool has_low = packed->form == FORM_BF16X3;
    uint16_t *hi = malloc(n * sizeof *hi), *lo = has_low ? malloc(n * sizeof *lo) : NULL;
    const struct onednn_weights_params high = onednn_params(packed->form, p, hi);
    const struct onednn_weights_params low = onednn_params(packed->form, p, lo);

    if (!hi || (has_low && !lo)) {
        status = error_set(err, ST_NO_MEMORY, "bf16 weights %zu x %zu", p->n_in, p->n_out);
        goto done;
    }
    kernels->split_bf16(p->weights, n, hi, lo);
    status = onednn_weights_create(&packed->parts[0], &high, err);
    if (status == ST_OK && has_low) status = onednn_weights_create(&packed->parts[1], &low, err);
done:
    free(hi);
    free(lo);
    return status;
}

/* Shape of the weights of these params, for a packed of its form, and what they take. */
static status_t packed_measure(struct packed *packed, const struct pack_params *p,
                               const struct vector_kernels *kernels, size_t *n_bytes,
                               struct error *err)
{
    const struct onednn_weights_params part = onednn_params(packed->form, p, NULL);
    size_t n_plain;
    if (!p->n_in || !p->n_out || p->n_in > MATMUL_MAX_DIM || p->n_out > MATMUL_MAX_DIM ||
        !size_tensor(p->n_in, p->n_out, sizeof(float), &n_plain))
        return error_set(err, ST_TOO_LARGE, "weights %zu x %zu", p->n_in, p->n_out);
    packed->n_in = p->n_in;
    packed->n_out = p->n_out;
    if (kernels->multiply) {
        *n_bytes = panels_bytes(p->n_in, p->n_out, kernels);
        return ST_OK;
    }
    const status_t status = onednn_weights_measure(n_bytes, &part, err);
    if (status == ST_OK && packed->form == FORM_BF16X3) *n_bytes *= 2;
    return status;
}

static status_t packed_fill(struct packed *packed, const struct pack_params *p,
                            const struct vector_kernels *kernels, struct error *err)
{
    const struct onednn_weights_params f32 = onednn_params(FORM_F32, p, p->weights);
    if (packed->form == FORM_ROUNDED) return pack_rounded(packed, p, kernels, err);
    if (packed->form == FORM_PANELS) return panels_create(&packed->panels, p, kernels, err);
    if (packed->form == FORM_F32) return onednn_weights_create(&packed->parts[0], &f32, err);
    return pack_bf16(packed, p, kernels, err);
}

static status_t packed_make(struct packed *packed, const struct pack_params *p,
                            const struct vector_kernels *kernels, struct error *err)
{
    size_t n_bytes = 0;
    status_t status = packed_measure(packed, p, kernels, &n_bytes, err);
    if (status != ST_OK) return status;
    status = memory_ledger_take(packed->ledger, n_bytes, err);
    if (status != ST_OK) return status;
    packed->n_bytes = n_bytes;
    return packed_fill(packed, p, kernels, err);
}

status_t matmul_packed_create(struct packed **out, const struct pack_params *p,
                              const struct vector_kernels *kernels, struct memory_ledger *ledger,
                              struct error *err)
{
    struct packed *packed = calloc(1, sizeof *packed);
    if (!packed) return error_set(err, ST_NO_MEMORY, "packed weights");
    packed->form = form_of(p->compute, kernels);
    packed->ledger = ledger;
    const status_t status = packed_make(packed, p, kernels, err);
    if (status != ST_OK) {
        matmul_packed_destroy(packed);
        return error_wrap(err, "packing weights %zu x %zu", p->n_in, p->n_out);
    }
    *out = packed;
    return ST_OK;
}

size_t matmul_packed_estimate(const struct pack_params *p, const struct vector_kernels *kernels)
{
    struct packed packed = {.form = form_of(p->compute, kernels)};
    size_t n_bytes = 0;
    return packed_measure(&packed, p, kernels, &n_bytes, NULL) == ST_OK ? n_bytes : 0;
}

void matmul_packed_destroy(struct packed *packed)
{
    if (!packed) return;
    onednn_weights_destroy(packed->parts[0]);
    onednn_weights_destroy(packed->parts[1]);
    panels_destroy(packed->panels);
    memory_ledger_give(packed->ledger, packed->n_bytes);
    free(packed);
}

size_t matmul_packed_bytes(const struct packed *packed)
{
    return packed->n_bytes;
}

size_t matmul_packed_n_in(const struct packed *packed)
{
    return packed->n_in;
}

size_t matmul_packed_n_out(const struct packed *packed)
{
    return packed->n_out;
}

status_t matmul_cache_create(struct matmul_cache **out, size_t row_block,
                             const struct vector_kernels *kernels, struct error *err)
{
    struct matmul_cache *cache = calloc(1, sizeof *cache);
    if (!cache) return error_set(err, ST_NO_MEMORY, "matmul cache");
    cache->row_block = row_block;
    cache->kernels = kernels;
    if (!kernels->multiply) {
        const status_t status = onednn_runner_create(&cache->onednn, row_block, err);
        if (status != ST_OK) {
            matmul_cache_destroy(cache);
            return status;
        }
    }
    *out = cache;
    return ST_OK;
}

void matmul_cache_destroy(struct matmul_cache *cache)
{
    if (!cache) return;
    onednn_runner_destroy(cache->onednn);
    free(cache->hi);
    free(cache->lo);
    free(cache->rows);
    free(cache);
}

static status_t split_reserve(struct matmul_cache *cache, size_t n_in, struct error *err)
{
    const size_t n = cache->row_block * n_in;
    if (n <= cache->n_split) return ST_OK;
    free(cache->hi);
    free(cache->lo);
    cache->n_split = 0;
    cache->hi = malloc(n * sizeof *cache->hi);
    cache->lo = malloc(n * sizeof *cache->lo);
    if (!cache->hi || !cache->lo) return error_set(err, ST_NO_MEMORY, "bf16 rows");
    cache->n_split = n;
    return ST_OK;
}

static status_t rows_reserve(struct matmul_cache *cache, size_t n_in, struct error *err)
{
    const size_t n = cache->row_block * n_in;
    if (n <= cache->n_rows_floats) return ST_OK;
    free(cache->rows);
    cache->n_rows_floats = 0;
    cache->rows = malloc(n * sizeof *cache->rows);
    if (!cache->rows) return error_set(err, ST_NO_MEMORY, "rows of a product");
    cache->n_rows_floats = n;
    return ST_OK;
}

/* y = x W for one block by one or three bf16 products. */
static status_t run_split(struct matmul_cache *cache, const struct matmul_params *p, const float *x,
                          float *y, struct error *err)
{
    const struct packed *w = p->weights;
    const bool has_low = w->form == FORM_BF16X3;
    status_t status = split_reserve(cache, w->n_in, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < cache->row_block; r++)
        cache->kernels->split_bf16(x + r * p->ld_x, w->n_in, cache->hi + r * w->n_in,
                                   has_low ? cache->lo + r * w->n_in : NULL);
    const struct onednn_product products[] = {{w->parts[0], cache->hi, y, p->ld_y, false},
                                              {w->parts[0], cache->lo, y, p->ld_y, true},
                                              {w->parts[1], cache->hi, y, p->ld_y, true}};
    for (size_t i = 0; i < (has_low ? 3u : 1u) && status == ST_OK; i++)
        status = onednn_run(cache->onednn, &products[i], err);
    return status;
}

/* y = x W for one block, x rounded to bf16 and multiplied in f32. */
static status_t run_rounded(struct matmul_cache *cache, const struct matmul_params *p,
                            const float *x, float *y, struct error *err)
{
    const struct packed *w = p->weights;
    status_t status = split_reserve(cache, w->n_in, err);
    if (status == ST_OK) status = rows_reserve(cache, w->n_in, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < cache->row_block; r++)
        round_to_bf16(cache->kernels, x + r * p->ld_x, w->n_in, cache->hi,
                      cache->rows + r * w->n_in);
    const struct matmul_params rounded = {
        .x = cache->rows, .y = y, .ld_x = w->n_in, .ld_y = p->ld_y, .n_rows = cache->row_block};
    panels_multiply(w->panels, &rounded);
    return ST_OK;
}

/* y = x W for one block in f32. Rows with gaps between them are brought together first: for those
 * oneDNN has plain loops alone, whose sums also run in another order. */
static status_t run_plain(struct matmul_cache *cache, const struct matmul_params *p, const float *x,
                          float *y, struct error *err)
{
    const struct packed *w = p->weights;
    struct onednn_product product = {.weights = w->parts[0], .x = x, .y = y, .ld_y = p->ld_y};
    if (p->ld_x == w->n_in) return onednn_run(cache->onednn, &product, err);
    const status_t status = rows_reserve(cache, w->n_in, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < cache->row_block; r++)
        memcpy(cache->rows + r * w->n_in, x + r * p->ld_x, w->n_in * sizeof *x);
    product.x = cache->rows;
    return onednn_run(cache->onednn, &product, err);
}

static status_t run_form(struct matmul_cache *cache, const struct matmul_params *p, const float *x,
                         float *y, struct error *err)
{
    const enum form form = p->weights->form;
    if (form == FORM_ROUNDED) return run_rounded(cache, p, x, y, err);
    if (form == FORM_F32) return run_plain(cache, p, x, y, err);
    return run_split(cache, p, x, y, err);
}

status_t matmul_run(struct matmul_cache *cache, const struct matmul_params *p, struct error *err)
{
    const struct packed *w = p->weights;
    if (p->n_rows % cache->row_block || p->ld_x < w->n_in || p->ld_y < w->n_out)
        return error_set(err, ST_BAD_INPUT, "product of %zu rows in blocks of %zu, %zu -> %zu",
                         p->n_rows, cache->row_block, w->n_in, w->n_out);
    if (w->form == FORM_PANELS) {
        panels_multiply(w->panels, p);
        return ST_OK;
    }
    status_t status = ST_OK;
    for (size_t r = 0; r < p->n_rows && status == ST_OK; r += cache->row_block)
        status = run_form(cache, p, p->x + r * p->ld_x, p->y + r * p->ld_y, err);
    return status;
}

status_t matmul_run_bf16(struct matmul_cache *cache, const struct packed *weights,
                         const uint16_t *x_hi, float *y, size_t ld_y, struct error *err)
{
    const struct onednn_product product = {
        .weights = weights->parts[0], .x = x_hi, .y = y, .ld_y = ld_y};
    return onednn_run(cache->onednn, &product, err);
}
