#include "kernels/cpu/sparse_encoder.h"

#include <math.h>

static size_t up_to(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* False if no feature of the panel can reach the result (in a topk dictionary all compete). */
static bool is_panel_wanted(const struct sparse_encoder *e, size_t panel)
{
    return !e->selected || e->sparse->k || e->selected[panel];
}

static status_t screen_by_int8(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    const struct sparse *s = e->sparse;
    const struct screen_bounds *b = &s->int8;
    const size_t n_padded = up_to(n_tokens, INT8_TOKENS);
    const struct refine_tokens tokens = {.x = e->x, .floor = e->tokens.floor, .n_tokens = n_tokens};
    status_t status = ST_OK;
    for (size_t t = n_tokens; t < n_padded; t++) e->tokens.floor[t] = INFINITY;
    e->tokens.n_tokens = n_padded;
    for (size_t f = 0; f < s->n_features && status == ST_OK; f += SPARSE_PANEL) {
        if (!is_panel_wanted(e, f / SPARSE_PANEL)) continue;
        const struct int8_panel panel = {.weights = s->panels + f * s->n_groups * 4,
                                         .start = s->panel_start + f,
                                         .scale = b->scale + f,
                                         .offset = (e->offset ? e->offset : b->offset) + f,
                                         .norm = b->norm + f,
                                         .residual = b->residual + f,
                                         .n_groups = s->n_groups};
        screen_int8_panel(&panel, &e->tokens, e->masks);
        status = refiner_panel(&e->refiner, f / SPARSE_PANEL, e->masks, &tokens, err);
    }
    return status;
}

/* x W for one row block and one tile of features. */
static status_t multiply_tile(struct sparse_encoder *e, const struct packed *tile, size_t first,
                              struct error *err)
{
    const struct sparse *s = e->sparse;
    const size_t width = matmul_packed_n_out(tile);
    if (e->screen == SCREEN_BF16)
        return matmul_run_bf16(e->matmul, tile, e->x_hi + first * s->n_in, e->product, width, err);
    const struct matmul_params product = {.weights = tile,
                                          .x = e->x + first * s->n_row,
                                          .y = e->product,
                                          .ld_x = s->n_row,
                                          .ld_y = width,
                                          .n_rows = e->row_block};
    return matmul_run(e->matmul, &product, err);
}

/* Bound and refine the panels of one tile for tokens first .. first + n of the block; panel by
 * panel, so that a floor that rises (topk) serves the next panel. */
static status_t scan_tile(struct sparse_encoder *e, size_t first_feature, size_t width,
                          size_t first, size_t n, struct error *err)
{
    const struct sparse *s = e->sparse;
    const struct screen_bounds *b = e->screen == SCREEN_BF16 ? &s->bf16 : &s->f32;
    status_t status = ST_OK;
    for (size_t f = first_feature;
         f < first_feature + width && f < s->n_features && status == ST_OK; f += SPARSE_PANEL) {
        if (!is_panel_wanted(e, f / SPARSE_PANEL)) continue;
        const struct scan_params scan = {.product = e->product + (f - first_feature),
                                         .ld = width,
                                         .n_tokens = n,
                                         .scale = b->scale + f,
                                         .offset = b->offset + f,
                                         .norm = b->norm + f,
                                         .residual = b->residual + f,
                                         .row_residual = e->tokens.residual + first,
                                         .row_norm = e->tokens.norm + first,
                                         .floor = e->tokens.floor + first,
                                         .masks = e->masks};
        e->kernels->scan(&scan);
        const struct refine_tokens tokens = {.x = e->x + first * s->n_row,
                                             .floor = e->tokens.floor + first,
                                             .first = first,
                                             .n_tokens = n};
        status = refiner_panel(&e->refiner, f / SPARSE_PANEL, e->masks, &tokens, err);
    }
    return status;
}

static bool is_tile_wanted(const struct sparse_encoder *e, size_t first)
{
    for (size_t f = first; f < first + SPARSE_TILE && f < e->sparse->n_features;
         f += SPARSE_PANEL) {
        if (is_panel_wanted(e, f / SPARSE_PANEL)) return true;
    }
    return false;
}

static status_t screen_by_product(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    const struct sparse *s = e->sparse;
    struct packed *const *tiles;
    status_t status = sparse_tiles(s, e->screen, &tiles, err);
    for (size_t f = 0; f < s->n_features && status == ST_OK; f += SPARSE_TILE) {
        const struct packed *tile = tiles[f / SPARSE_TILE];
        if (!is_tile_wanted(e, f)) continue;
        for (size_t t = 0; t < n_tokens && status == ST_OK; t += e->row_block) {
            const size_t n = n_tokens - t < e->row_block ? n_tokens - t : e->row_block;
            status = multiply_tile(e, tile, t, err);
            if (status == ST_OK) status = scan_tile(e, f, matmul_packed_n_out(tile), t, n, err);
        }
    }
    return status;
}

static status_t screen_nothing(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    const struct refine_tokens tokens = {.x = e->x, .floor = e->tokens.floor, .n_tokens = n_tokens};
    status_t status = ST_OK;
    for (size_t t = 0; t < n_tokens; t++) e->masks[t] = UINT32_MAX;
    for (size_t f = 0; f < e->sparse->n_features && status == ST_OK; f += SPARSE_PANEL)
        status = refiner_panel(&e->refiner, f / SPARSE_PANEL, e->masks, &tokens, err);
    return status;
}

status_t sparse_screen_block(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    if (e->screen == SCREEN_INT8) return screen_by_int8(e, n_tokens, err);
    if (e->screen == SCREEN_NONE) return screen_nothing(e, n_tokens, err);
    return screen_by_product(e, n_tokens, err);
}
