#include "kernels/cpu/sparse.h"

#include "common/size.h"
#include "kernels/cpu/screen_int8.h"
#include "kernels/cpu/sparse_refine.h"
#include "kernels/cpu/sparse_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Share of pairs that a screen lets through in vain above which the next screen (slower, tighter)
 * is taken, judged over at least this many tokens. Dense f32 costs about 3 times an f32 product
 * here, int8 a quarter and bf16 half of one. The result does not depend on it. */
static const struct {
    enum screen screen;
    double most_in_vain;
} ESCALATION[] = {{SCREEN_INT8, 0.12}, {SCREEN_BF16, 0.25}};
static const double DENSE_SHARE = 0.7; /* of candidates, from which no product pays */
/* Before int8 is given up, and already at this share, the mean of the activations is taken out:
 * real residual streams have a few columns that are large on every token. */
static const double CENTRE_SHARE = 0.015;
enum { ESCALATION_TOKENS = 2048, ENCODER_ALIGNMENT = 64 };
static const float NORM_ROUND_UP = 1.0001f;

struct sparse_encoder {
    const struct sparse *sparse;
    const struct vector_kernels *kernels;
    struct matmul_cache *matmul;
    size_t row_block, n_block; /* n_block: tokens of a block, a multiple of row_block */
    enum screen wanted, screen;
    uint32_t *selected;        /* one bit a feature, NULL: all */
    struct refiner refiner;
    float *x;                  /* [n_block + padding, n_row] */
    int8_t *q;                 /* [n_in up to whole groups of 4], zeros behind n_in */
    uint16_t *x_hi;            /* [n_block, n_in], bf16 */
    float *product;            /* [row_block, tile width] */
    uint32_t *masks;           /* [n_block + padding], of the panel at hand */
    struct int8_tokens tokens; /* step, residual, norm, floor serve every screen */
    /* int8 only, NULL until centred: x - centre is rounded, offset holds centre W on top */
    float *centre, *centred; /* [n_in]; centred: the row at hand */
    double centre_norm;
    float *offset; /* [n_padded] */
    struct sparse_stats stats;
    uint64_t window_tokens, window_candidates, window_fired; /* since the screen was judged */
};

static size_t up_to(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

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

static status_t array_f32(size_t n, float **out, struct error *err)
{
    void *memory = NULL;
    const status_t status = aligned_array(n, sizeof(float), &memory, err);
    *out = memory;
    return status;
}

void sparse_encoder_close(struct sparse_encoder *e)
{
    if (!e) return;
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
    status_t status = array_f32(n * s->n_row, &e->x, err);
    if (status == ST_OK) status = array_f32(e->row_block * SPARSE_TILE, &e->product, err);
    if (status == ST_OK) status = array_f32(n, &e->tokens.step, err);
    if (status == ST_OK) status = array_f32(n, &e->tokens.residual, err);
    if (status == ST_OK) status = array_f32(n, &e->tokens.norm, err);
    if (status == ST_OK) status = array_f32(n, &e->tokens.floor, err);
    if (status == ST_OK) status = aligned_array(n * s->n_in, sizeof *e->x_hi, &hi, err);
    e->x_hi = hi;
    if (status == ST_OK) status = aligned_array(n, sizeof *e->masks, &masks, err);
    e->masks = masks;
    if (status == ST_OK && s->panels)
        status = aligned_array(n * s->n_groups, 4, &values, err);
    e->tokens.values = values;
    if (status == ST_OK) status = aligned_array(s->n_groups, 4, &q, err);
    e->q = q;
    return status;
}

static enum screen first_screen(const struct sparse *s, enum screen wanted)
{
    if (wanted != SCREEN_AUTO) return wanted;
    if (s->panels) return SCREEN_INT8;
    return cpu_has_bf16() ? SCREEN_BF16 : SCREEN_F32;
}

/* One bit per feature that the caller wants. */
static status_t select_features(struct sparse_encoder *e, const struct sparse_encoder_params *p,
                                struct error *err)
{
    void *selected;
    if (!p->features) return ST_OK;
    const status_t status = aligned_array(e->sparse->n_padded / SPARSE_PANEL,
                                          sizeof *e->selected, &selected, err);
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
    if ((unsigned)p->screen >= SCREEN_N || (p->screen == SCREEN_INT8 && !s->panels))
        return error_set(err, ST_UNSUPPORTED, "screen %s needs AVX512-VNNI",
                         screen_name(p->screen));
    if (e->row_block > SPARSE_BLOCK)
        return error_set(err, ST_TOO_LARGE, "row block %zu is over %d", e->row_block,
                         SPARSE_BLOCK);
    e->sparse = s;
    e->n_block = SPARSE_BLOCK / e->row_block * e->row_block;
    e->wanted = p->screen;
    e->screen = first_screen(s, p->screen);
    status_t status = select_features(e, p, err);
    if (status == ST_OK) status = alloc_scratch(e, err);
    if (status == ST_OK) status = refiner_init(&e->refiner, s, e->selected, err);
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

/* False if no feature of the panel can reach the result (in a topk dictionary all compete). */
static bool is_panel_wanted(const struct sparse_encoder *e, size_t panel)
{
    return !e->selected || e->sparse->k || e->selected[panel];
}

/* --- prepare: rows into scratch, rounded, with the norms that bound the rounding ---------- */

struct row_moments {
    double norm, residual, rounded_norm; /* |x|, |x - x'|, |x'| */
};

/* The largest magnitude of a row; not finite if any value is not. */
static float row_largest(const float *x, size_t n)
{
    uint32_t largest = 0; /* magnitudes order like their bits, NaN above infinity */
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    float value;
    memcpy(&value, &largest, sizeof value);
    return value;
}

/* The row's values rounded to int8 under one step, written into the interleaved layout of
 * screen_int8.h. Padding columns keep the value 0 (stored as 128). */
static struct row_moments round_int8(struct sparse_encoder *e, size_t token, const float *x,
                                     float largest)
{
    const size_t n_groups = e->sparse->n_groups;
    uint8_t *values = e->tokens.values + token / INT8_TOKENS * INT8_TOKENS * n_groups * 4 +
                      token % INT8_TOKENS * 4;
    const bool is_tiny = largest < 1e-30f; /* then all rounds to 0 and the rest is the row */
    const float step = is_tiny ? 0 : largest / 127, inverse = is_tiny ? 0 : 127 / largest;
    double sums[3] = {0, 0, 0};
    e->kernels->quantise(x, e->sparse->n_in, step, inverse, e->q, sums);
    for (size_t g = 0; g < n_groups; g++) {
        uint32_t four;
        memcpy(&four, e->q + 4 * g, sizeof four);
        four ^= 0x80808080u; /* value + 128, unsigned */
        memcpy(values + g * INT8_TOKENS * 4, &four, sizeof four);
    }
    e->tokens.step[token] = step;
    return (struct row_moments){sqrt(sums[0]), sqrt(sums[1]), sqrt(sums[2])};
}

/* As round_int8(), of the centred row; the norm returned bounds |x| + |centre|. */
static struct row_moments prepare_int8(struct sparse_encoder *e, size_t token, const float *x,
                                       float largest)
{
    if (!e->centre) return round_int8(e, token, x, largest);
    const size_t n_in = e->sparse->n_in;
    for (size_t i = 0; i < n_in; i++) e->centred[i] = x[i] - e->centre[i];
    struct row_moments m = round_int8(e, token, e->centred, row_largest(e->centred, n_in));
    m.norm += 2 * e->centre_norm; /* |x| <= |x - centre| + |centre| */
    return m;
}

static struct row_moments round_bf16(struct sparse_encoder *e, size_t token, const float *x)
{
    const size_t n_in = e->sparse->n_in;
    uint16_t *hi = e->x_hi + token * n_in;
    double square = 0, residual = 0, rounded = 0;
    e->kernels->split_bf16(x, n_in, hi, NULL);
    for (size_t i = 0; i < n_in; i++) {
        const uint32_t bits = (uint32_t)hi[i] << 16;
        float back;
        memcpy(&back, &bits, sizeof back);
        const double rest = (double)x[i] - (double)back;
        square += (double)x[i] * (double)x[i];
        residual += rest * rest;
        rounded += (double)back * (double)back;
    }
    return (struct row_moments){sqrt(square), sqrt(residual), sqrt(rounded)};
}

static struct row_moments plain_norm(const float *x, size_t n)
{
    double square = 0;
    for (size_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i];
    return (struct row_moments){sqrt(square), 0, 0};
}

static status_t prepare(struct sparse_encoder *e, const float *x, size_t first, size_t n_tokens,
                        struct error *err)
{
    const struct sparse *s = e->sparse;
    for (size_t t = 0; t < n_tokens; t++) {
        float *row = e->x + t * s->n_row;
        memcpy(row, x + (first + t) * s->n_in, s->n_in * sizeof *row);
        const float largest = row_largest(row, s->n_in);
        if (!isfinite(largest))
            return error_set(err, ST_BAD_INPUT, "activation of token %zu is not finite",
                             first + t);
        struct row_moments m;
        if (e->screen == SCREEN_INT8)
            m = prepare_int8(e, t, row, largest);
        else if (e->screen == SCREEN_BF16)
            m = round_bf16(e, t, row);
        else
            m = plain_norm(row, s->n_in);
        e->tokens.residual[t] =
            ((float)m.residual + (float)m.norm * s->rounding) * NORM_ROUND_UP + 1e-30f;
        e->tokens.norm[t] = (float)m.rounded_norm * NORM_ROUND_UP + 1e-30f;
        e->tokens.floor[t] = 0;
    }
    return ST_OK;
}

/* --- screens ------------------------------------------------------------------------------ */

static status_t screen_by_int8(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    const struct sparse *s = e->sparse;
    const struct screen_bounds *b = &s->int8;
    const size_t n_padded = up_to(n_tokens, INT8_TOKENS);
    const struct refine_tokens tokens = {.x = e->x, .floor = e->tokens.floor,
                                         .n_tokens = n_tokens};
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
            if (status == ST_OK)
                status = scan_tile(e, f, matmul_packed_n_out(tile), t, n, err);
        }
    }
    return status;
}

static status_t screen_nothing(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    const struct refine_tokens tokens = {.x = e->x, .floor = e->tokens.floor,
                                         .n_tokens = n_tokens};
    status_t status = ST_OK;
    for (size_t t = 0; t < n_tokens; t++) e->masks[t] = UINT32_MAX;
    for (size_t f = 0; f < e->sparse->n_features && status == ST_OK; f += SPARSE_PANEL)
        status = refiner_panel(&e->refiner, f / SPARSE_PANEL, e->masks, &tokens, err);
    return status;
}

static status_t run_block(struct sparse_encoder *e, const float *x, size_t first,
                          size_t n_tokens, struct error *err)
{
    status_t status = prepare(e, x, first, n_tokens, err);
    if (status != ST_OK) return status;
    if (e->screen == SCREEN_INT8)
        status = screen_by_int8(e, n_tokens, err);
    else if (e->screen == SCREEN_NONE)
        status = screen_nothing(e, n_tokens, err);
    else
        status = screen_by_product(e, n_tokens, err);
    return status == ST_OK ? refiner_collect(&e->refiner, n_tokens, err) : status;
}

/* Mean of the block's rows, those of outlying norm left out. */
static void mean_row(const struct sparse_encoder *e, size_t n_tokens, float *out)
{
    const struct sparse *s = e->sparse;
    double total = 0;
    size_t n_kept = 0;
    for (size_t t = 0; t < n_tokens; t++) total += (double)e->tokens.norm[t];
    memset(out, 0, s->n_in * sizeof *out);
    for (size_t t = 0; t < n_tokens; t++) {
        if ((double)e->tokens.norm[t] * (double)n_tokens > 4 * total) continue;
        for (size_t i = 0; i < s->n_in; i++) out[i] += e->x[t * s->n_row + i];
        n_kept++;
    }
    for (size_t i = 0; i < s->n_in && n_kept; i++) out[i] /= (float)n_kept;
}

/* offset[f] + centre W_f, rounded up. */
static void shift_offsets(struct sparse_encoder *e)
{
    const struct sparse *s = e->sparse;
    for (size_t f = 0; f < s->n_padded; f++) {
        e->offset[f] = s->int8.offset[f];
        if (f >= s->n_features) continue;
        double sum = 0;
        for (size_t i = 0; i < s->n_in; i++)
            sum += (double)e->centre[i] * (double)s->rows[f * s->n_row + i];
        sum *= s->scale ? (double)s->scale[f] : 1;
        e->offset[f] += (float)(sum + fabs(sum) * 1e-6) + fabsf(e->offset[f]) * 1e-6f;
    }
}

/* Take the mean of the last block out of what int8 rounds. */
static status_t centre_int8(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    status_t status = array_f32(e->sparse->n_in, &e->centre, err);
    if (status == ST_OK) status = array_f32(e->sparse->n_in, &e->centred, err);
    if (status == ST_OK) status = array_f32(e->sparse->n_padded, &e->offset, err);
    if (status != ST_OK) return status;
    mean_row(e, n_tokens, e->centre);
    e->centre_norm = plain_norm(e->centre, e->sparse->n_in).norm;
    shift_offsets(e);
    return ST_OK;
}

/* AUTO: centre, or take the next screen, if this one lets too much through. n_tokens: of the
 * block just done. */
static status_t judge_screen(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    if (e->wanted != SCREEN_AUTO || e->window_tokens < ESCALATION_TOKENS) return ST_OK;
    const double n_pairs = (double)e->window_tokens * (double)e->sparse->n_features;
    const double share = (double)e->window_candidates / n_pairs;
    const double fired = (double)e->window_fired / n_pairs, in_vain = share - fired;
    e->window_tokens = e->window_candidates = e->window_fired = 0;
    if (fired > DENSE_SHARE || (e->screen == SCREEN_F32 && share > DENSE_SHARE)) {
        e->screen = SCREEN_NONE;
        return ST_OK;
    }
    if (e->screen == SCREEN_INT8 && !e->centre && in_vain > CENTRE_SHARE)
        return centre_int8(e, n_tokens, err);
    for (size_t i = 0; i < sizeof ESCALATION / sizeof ESCALATION[0]; i++) {
        if (e->screen != ESCALATION[i].screen || in_vain <= ESCALATION[i].most_in_vain) continue;
        e->screen = (enum screen)(e->screen + 1);
        break;
    }
    return ST_OK;
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
        if (status == ST_OK) status = judge_screen(e, n, err);
    }
    if (status != ST_OK) return status;
    *out = e->refiner.rows;
    e->stats.n_tokens += n_tokens;
    e->stats.n_fired += out->row_start[out->n_rows];
    return ST_OK;
}

struct sparse_stats sparse_encoder_stats(const struct sparse_encoder *e)
{
    struct sparse_stats stats = e->stats;
    stats.n_candidates = e->refiner.n_candidates;
    stats.screen = e->screen;
    return stats;
}
