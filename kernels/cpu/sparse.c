#include "kernels/cpu/sparse.h"

#include "common/size.h"
#include "kernels/cpu/sparse_encoder.h"

#include <stdlib.h>
#include <string.h>

enum { ENCODER_ALIGNMENT = 64 };

static status_t aligned_array(size_t n, size_t item, void **out, struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(n, item, 1, &n_bytes) || !size_add(n_bytes, ENCODER_ALIGNMENT, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "encoder scratch of %zu", n);
    n_bytes = n_bytes / ENCODER_ALIGNMENT * ENCODER_ALIGNMENT;
    *out = aligned_alloc(ENCODER_ALIGNMENT, n_bytes);
    if (!*out) return error_set(err, ST_NO_MEMORY, "encoder scratch: %zu bytes", n_bytes);
    memset(*out, 0, n_bytes);
    return ST_OK;
}

status_t sparse_array_f32(size_t n, float **out, struct error *err)
{
    void *memory = NULL;
    const status_t status = aligned_array(n, sizeof(float), &memory, err);
    *out = memory;
    return status;
}

void sparse_encoder_close(struct sparse_encoder *e)
{
    if (!e) return;
    tally_fini(&e->tally);
    refiner_fini(&e->refiner);
    free(e->selected);
    free(e->x);
    free(e->q);
    free(e->x_hi);
    free(e->product);
    free(e->masks);
    free(e->tokens.values);
    free(e->tokens.step);
    free(e->tokens.residual);
    free(e->tokens.norm);
    free(e->tokens.floor);
    free(e->centre);
    free(e->centred);
    free(e->offset);
    free(e);
}

static status_t alloc_scratch(struct sparse_encoder *e, struct error *err)
{
    const struct sparse *s = e->sparse;
    const size_t n = e->n_block + INT8_TOKENS;
    void *hi = NULL, *masks = NULL, *values = NULL, *q = NULL;
    status_t status = sparse_array_f32(n * s->n_row, &e->x, err);
    if (status == ST_OK) status = sparse_array_f32(e->row_block * SPARSE_TILE, &e->product, err);
    if (status == ST_OK) status = sparse_array_f32(n, &e->tokens.step, err);
    if (status == ST_OK) status = sparse_array_f32(n, &e->tokens.residual, err);
    if (status == ST_OK) status = sparse_array_f32(n, &e->tokens.norm, err);
    if (status == ST_OK) status = sparse_array_f32(n, &e->tokens.floor, err);
    if (status == ST_OK) status = aligned_array(n * s->n_in, sizeof *e->x_hi, &hi, err);
    e->x_hi = hi;
    if (status == ST_OK) status = aligned_array(n, sizeof *e->masks, &masks, err);
    e->masks = masks;
    if (status == ST_OK && s->panels) status = aligned_array(n * s->n_groups, 4, &values, err);
    e->tokens.values = values;
    if (status == ST_OK) status = aligned_array(s->n_groups, 4, &q, err);
    e->q = q;
    return status;
}

static enum screen first_screen(const struct sparse *s, enum screen wanted)
{
    if (wanted != SCREEN_AUTO) return wanted;
    if (s->panels) return SCREEN_INT8;
    return s->kernels == &vector_kernels_avx512 && cpu_has_bf16() ? SCREEN_BF16 : SCREEN_F32;
}

static status_t check_screen(const struct sparse *s, enum screen screen, struct error *err)
{
    if ((unsigned)screen >= SCREEN_N) return error_set(err, ST_BAD_INPUT, "no such screen");
    if (screen == SCREEN_INT8 && !s->panels)
        return error_set(err, ST_UNSUPPORTED, "screen int8 needs AVX512-VNNI");
    if (screen == SCREEN_BF16 && s->kernels != &vector_kernels_avx512)
        return error_set(err, ST_UNSUPPORTED, "screen bf16 needs AVX-512");
    return ST_OK;
}

/* One bit per feature that the caller wants. */
static status_t select_features(struct sparse_encoder *e, const struct sparse_encoder_params *p,
                                struct error *err)
{
    void *selected;
    if (!p->features) return ST_OK;
    const status_t status =
        aligned_array(e->sparse->n_padded / SPARSE_PANEL, sizeof *e->selected, &selected, err);
    if (status != ST_OK) return status;
    e->selected = selected;
    for (size_t i = 0; i < p->n_selected; i++) {
        const uint32_t f = p->features[i];
        if (f >= e->sparse->n_features)
            return error_set(err, ST_NOT_FOUND, "feature %u of %zu", f, e->sparse->n_features);
        e->selected[f / SPARSE_PANEL] |= 1u << f % SPARSE_PANEL;
    }
    return ST_OK;
}

static status_t encoder_init(struct sparse_encoder *e, const struct sparse_encoder_params *p,
                             struct error *err)
{
    const struct sparse *s = p->sparse;
    status_t status = check_screen(s, p->screen, err);
    if (status != ST_OK) return status;
    if (e->row_block > SPARSE_BLOCK)
        return error_set(err, ST_TOO_LARGE, "row block %zu is over %d", e->row_block, SPARSE_BLOCK);
    e->sparse = s;
    e->n_block = SPARSE_BLOCK / e->row_block * e->row_block;
    e->wanted = p->screen;
    e->screen = first_screen(s, p->screen);
    status = select_features(e, p, err);
    if (status == ST_OK) status = alloc_scratch(e, err);
    if (status == ST_OK) status = refiner_init(&e->refiner, s, e->selected, err);
    if (status == ST_OK) status = tally_init(&e->tally, s->n_features, p->tally_k, s->ledger, err);
    return status;
}

status_t sparse_encoder_open(struct sparse_encoder **out,
                             const struct sparse_encoder_params *params,
                             struct matmul_cache *matmul, size_t row_block,
                             const struct vector_kernels *kernels, struct error *err)
{
    struct sparse_encoder *e = calloc(1, sizeof *e);
    if (!e) return error_set(err, ST_NO_MEMORY, "encoder");
    e->kernels = kernels;
    e->matmul = matmul;
    e->row_block = row_block;
    const status_t status = encoder_init(e, params, err);
    if (status != ST_OK) {
        sparse_encoder_close(e);
        return status;
    }
    *out = e;
    return ST_OK;
}

static status_t run_block(struct sparse_encoder *e, const float *x, size_t first, size_t n_tokens,
                          struct error *err)
{
    status_t status = sparse_prepare(e, x, first, n_tokens, err);
    if (status == ST_OK) status = sparse_screen_block(e, n_tokens, err);
    return status == ST_OK ? refiner_collect(&e->refiner, n_tokens, err) : status;
}

status_t sparse_encoder_run(struct sparse_encoder *e, const float *x, size_t n_tokens,
                            struct sparse_rows *out, struct error *err)
{
    status_t status = refiner_begin(&e->refiner, n_tokens, err);
    for (size_t first = 0; first < n_tokens && status == ST_OK; first += e->n_block) {
        const size_t n = n_tokens - first < e->n_block ? n_tokens - first : e->n_block;
        const struct sparse_rows *rows = &e->refiner.rows;
        const uint64_t before = e->refiner.n_candidates, fired = rows->row_start[rows->n_rows];
        status = run_block(e, x, first, n, err);
        e->window_fired += rows->row_start[rows->n_rows] - fired;
        e->window_tokens += n;
        e->window_candidates += e->refiner.n_candidates - before;
        if (status == ST_OK) status = sparse_judge(e, n, err);
    }
    if (status == ST_OK) status = tally_take(&e->tally, &e->refiner.rows, err);
    if (status != ST_OK) return status;
    *out = e->refiner.rows;
    e->stats.n_tokens += n_tokens;
    e->stats.n_fired += out->row_start[out->n_rows];
    return ST_OK;
}

status_t sparse_encoder_tally(struct sparse_encoder *e, struct sparse_tally *out, struct error *err)
{
    return tally_read(&e->tally, out, err);
}

struct sparse_stats sparse_encoder_stats(const struct sparse_encoder *e)
{
    struct sparse_stats stats = e->stats;
    stats.n_candidates = e->refiner.n_candidates;
    stats.screen = e->screen;
    return stats;
}
