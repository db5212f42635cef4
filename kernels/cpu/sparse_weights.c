#include "kernels/cpu/sparse_weights.h"

#include "common/size.h"
#include "kernels/cpu/sparse.h"
#include "kernels/sparse_params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPARSE_ALIGNMENT = 64 };
static const float ROUND_UP = 1.0001f; /* covers the f32 rounding of norms and bounds */

static size_t up_to(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static size_t padded_features(size_t n_features)
{
    return up_to(n_features, n_features > SPARSE_TILE ? SPARSE_TILE : SPARSE_PANEL);
}

/* [rows, columns] zeroed items, 64-byte aligned. */
static status_t aligned_zeros(size_t rows, size_t columns, size_t item, void **out,
                              struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(rows, columns, item, &n_bytes) ||
        !size_add(n_bytes, SPARSE_ALIGNMENT, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "encoder weights %zu x %zu", rows, columns);
    n_bytes = n_bytes / SPARSE_ALIGNMENT * SPARSE_ALIGNMENT;
    void *memory = aligned_alloc(SPARSE_ALIGNMENT, n_bytes);
    if (!memory) return error_set(err, ST_NO_MEMORY, "encoder weights: %zu bytes", n_bytes);
    memset(memory, 0, n_bytes);
    *out = memory;
    return ST_OK;
}

static status_t zeros_f32(size_t rows, size_t columns, float **out, struct error *err)
{
    void *memory = NULL;
    const status_t status = aligned_zeros(rows, columns, sizeof(float), &memory, err);
    if (status == ST_OK) *out = memory;
    return status;
}

static status_t copy_f32(const float *from, size_t n, float **out, struct error *err)
{
    if (!from) return ST_OK;
    const status_t status = zeros_f32(n, 1, out, err);
    if (status == ST_OK) memcpy(*out, from, n * sizeof *from);
    return status;
}

static status_t bounds_alloc(struct screen_bounds *b, size_t n, struct error *err)
{
    status_t status = zeros_f32(n, 1, &b->scale, err);
    if (status == ST_OK) status = zeros_f32(n, 1, &b->offset, err);
    if (status == ST_OK) status = zeros_f32(n, 1, &b->norm, err);
    if (status == ST_OK) status = zeros_f32(n, 1, &b->residual, err);
    for (size_t f = 0; f < n && status == ST_OK; f++) b->offset[f] = -INFINITY;
    return status;
}

static void bounds_free(struct screen_bounds *b)
{
    free(b->scale);
    free(b->offset);
    free(b->norm);
    free(b->residual);
}

static double row_norm(const float *row, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)row[i] * (double)row[i];
    return sqrt(sum);
}

/* Bound constants of feature f: its weights read as step * w', with w' the rounded ones and
 * `residual` the norm of what the rounding left. */
static void bounds_set(const struct sparse *s, struct screen_bounds *b, size_t f, double step,
                       double residual)
{
    const float *row = s->rows + f * s->n_row;
    const double factor = s->scale ? (double)s->scale[f] : 1;
    const double floor = s->floor ? fmax((double)s->floor[f], 0) : 0;
    const double bias = (double)s->bias[f] * factor;
    /* What the additions of bias and floor may round away, and denormal products. */
    const double slack = (fabs(bias) + fabs(floor)) * 1e-6 + 1e-30;
    b->scale[f] = (float)(step * factor);
    b->offset[f] = (float)(bias - floor + slack);
    b->norm[f] = (float)(row_norm(row, s->n_in) * factor) * ROUND_UP + 1e-30f;
    b->residual[f] = (float)(residual * factor) * ROUND_UP;
}

static float from_bf16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static void float_bounds(struct sparse *s, uint16_t *hi)
{
    for (size_t f = 0; f < s->n_features; f++) {
        const float *row = s->rows + f * s->n_row;
        double residual = 0;
        s->kernels->split_bf16(row, s->n_row, hi, NULL);
        for (size_t i = 0; i < s->n_in; i++) {
            const double rest = (double)row[i] - (double)from_bf16(hi[i]);
            residual += rest * rest;
        }
        bounds_set(s, &s->bf16, f, 1, sqrt(residual));
        bounds_set(s, &s->f32, f, 1, 0);
    }
}

/* Round feature f to int8 and put it into its panel. */
static void panel_feature(struct sparse *s, size_t f)
{
    const float *row = s->rows + f * s->n_row;
    int8_t *panel =
        s->panels + f / SPARSE_PANEL * s->n_groups * SPARSE_PANEL * 4 + f % SPARSE_PANEL * 4;
    float largest = 0;
    for (size_t i = 0; i < s->n_in; i++) largest = fmaxf(largest, fabsf(row[i]));
    const float step = largest / 127;
    double residual = 0;
    int32_t sum = 0;
    for (size_t i = 0; i < s->n_in; i++) {
        const long rounded = step > 0 ? lrintf(fminf(fmaxf(row[i] / step, -127), 127)) : 0;
        const double rest = (double)row[i] - (double)step * (double)rounded;
        panel[i / 4 * SPARSE_PANEL * 4 + i % 4] = (int8_t)rounded;
        sum += (int32_t)rounded;
        residual += rest * rest;
    }
    s->panel_start[f] = -128 * sum;
    bounds_set(s, &s->int8, f, (double)step, sqrt(residual));
}

static status_t make_panels(struct sparse *s, struct error *err)
{
    void *panels = NULL, *start = NULL;
    status_t status = bounds_alloc(&s->int8, s->n_padded, err);
    if (status == ST_OK) status = aligned_zeros(s->n_padded, s->n_groups, 4, &panels, err);
    s->panels = panels;
    if (status == ST_OK) status = aligned_zeros(s->n_padded, 1, sizeof(int32_t), &start, err);
    s->panel_start = start;
    for (size_t f = 0; f < s->n_features && status == ST_OK; f++) panel_feature(s, f);
    return status;
}

static status_t copy_params(struct sparse *s, const struct sparse_params *p, struct error *err)
{
    status_t status = zeros_f32(s->n_features, s->n_row, &s->rows, err);
    if (status != ST_OK) return status;
    for (size_t f = 0; f < s->n_features; f++)
        memcpy(s->rows + f * s->n_row, p->weights + f * p->n_in, p->n_in * sizeof(float));
    status = copy_f32(p->bias, s->n_features, &s->bias, err);
    if (status == ST_OK) status = copy_f32(p->scale, s->n_features, &s->scale, err);
    if (status == ST_OK) status = copy_f32(p->floor, s->n_features, &s->floor, err);
    if (status == ST_OK) status = copy_f32(p->mag_scale, s->n_features, &s->mag_scale, err);
    if (status == ST_OK) status = copy_f32(p->mag_bias, s->n_features, &s->mag_bias, err);
    return status;
}

static status_t fill(struct sparse *s, const struct sparse_params *p, bool has_vnni,
                     struct error *err)
{
    const size_t n_bytes = sparse_weights_estimate(p->n_in, p->n_features, has_vnni);
    status_t status = memory_ledger_take(s->ledger, n_bytes, err);
    if (status != ST_OK)
        return error_wrap(err, "encoder weights %zu x %zu", p->n_features, p->n_in);
    s->n_bytes = n_bytes;
    uint16_t *hi = malloc(s->n_row * sizeof *hi);
    status = hi ? copy_params(s, p, err) : error_set(err, ST_NO_MEMORY, "encoder");
    if (status == ST_OK) status = bounds_alloc(&s->bf16, s->n_padded, err);
    if (status == ST_OK) status = bounds_alloc(&s->f32, s->n_padded, err);
    if (status == ST_OK) float_bounds(s, hi);
    free(hi);
    if (status == ST_OK && has_vnni) status = make_panels(s, err);
    return status;
}

status_t sparse_weights_create(struct sparse **out, const struct sparse_params *p,
                               const struct sparse_machine *machine, struct error *err)
{
    status_t status = sparse_params_check(p, err);
    if (status != ST_OK) return status;
    struct sparse *s = calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return error_set(err, ST_NO_MEMORY, "encoder weights");
    }
    s->kernels = machine->kernels;
    s->ledger = machine->ledger;
    s->n_in = p->n_in;
    s->n_row = up_to(p->n_in, DOT_LANES);
    s->n_groups = (p->n_in + 3) / 4;
    s->n_features = p->n_features;
    s->n_padded = padded_features(p->n_features);
    s->k = p->k;
    s->rounding = (float)(p->n_in + 64) * 0x1p-23f;
    status = fill(s, p, machine->has_vnni, err);
    if (status != ST_OK) {
        sparse_weights_destroy(s);
        return status;
    }
    *out = s;
    return ST_OK;
}

static void tiles_free(struct screen_tiles *tiles)
{
    for (size_t i = 0; tiles->tiles && i < tiles->n_tiles; i++)
        matmul_packed_destroy(tiles->tiles[i]);
    free(tiles->tiles);
}

void sparse_weights_destroy(struct sparse *s)
{
    if (!s) return;
    float *const arrays[] = {s->rows, s->bias, s->scale, s->floor, s->mag_scale, s->mag_bias};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) free(arrays[i]);
    bounds_free(&s->int8);
    bounds_free(&s->bf16);
    bounds_free(&s->f32);
    free(s->panels);
    free(s->panel_start);
    tiles_free(&s->bf16_tiles);
    tiles_free(&s->f32_tiles);
    (void)pthread_mutex_destroy(&s->lock);
    memory_ledger_give(s->ledger, s->n_bytes);
    free(s);
}

size_t sparse_weights_bytes(const struct sparse *s)
{
    return s->n_bytes;
}

size_t sparse_weights_estimate(size_t n_in, size_t n_features, bool has_vnni)
{
    const size_t n_padded = padded_features(n_features);
    const size_t bounds = 12 * n_padded * sizeof(float);
    const size_t int8 = has_vnni ? n_padded * up_to(n_in, 4) : 0;
    return n_features * up_to(n_in, DOT_LANES) * sizeof(float) + bounds + int8;
}

/* Rows first..first+SPARSE_TILE as one packed product, zero rows behind the last feature. */
static status_t make_tile(const struct sparse *s, size_t first, enum compute compute,
                          struct packed **out, struct error *err)
{
    const size_t width = s->n_padded < SPARSE_TILE ? s->n_padded : SPARSE_TILE;
    float *rows = NULL;
    status_t status = zeros_f32(width, s->n_in, &rows, err);
    if (status != ST_OK) return status;
    for (size_t f = first; f < first + width && f < s->n_features; f++)
        memcpy(rows + (f - first) * s->n_in, s->rows + f * s->n_row, s->n_in * sizeof *rows);
    const struct pack_params params = {.n_in = s->n_in,
                                       .n_out = width,
                                       .weights = rows,
                                       .is_transposed = true,
                                       .compute = compute};
    status = matmul_packed_create(out, &params, s->kernels, s->ledger, err);
    free(rows);
    return status;
}

static status_t make_tiles(const struct sparse *s, enum compute compute, struct screen_tiles *tiles,
                           struct error *err)
{
    status_t status = ST_OK;
    const size_t n = (s->n_padded + SPARSE_TILE - 1) / SPARSE_TILE;
    /* cppcheck-suppress pointerSize ; an array of pointers */
    struct screen_tiles made = {.tiles = calloc(n, sizeof(struct packed *)), .n_tiles = n};
    if (!made.tiles) return error_set(err, ST_NO_MEMORY, "encoder tiles");
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = make_tile(s, i * SPARSE_TILE, compute, &made.tiles[i], err);
    if (status == ST_OK)
        *tiles = made;
    else
        tiles_free(&made);
    return status;
}

status_t sparse_tiles(const struct sparse *sparse, enum screen screen, struct packed *const **out,
                      struct error *err)
{
    union {
        const struct sparse *read;
        struct sparse *write;
    } s = {.read = sparse}; /* the tiles are a cache behind the lock */
    status_t status = ST_OK;
    const bool is_bf16 = screen == SCREEN_BF16;
    (void)pthread_mutex_lock(&s.write->lock);
    struct screen_tiles *tiles = is_bf16 ? &s.write->bf16_tiles : &s.write->f32_tiles;
    if (!tiles->tiles)
        status = make_tiles(sparse, is_bf16 ? COMPUTE_BF16 : COMPUTE_F32, tiles, err);
    *out = tiles->tiles;
    (void)pthread_mutex_unlock(&s.write->lock);
    return status;
}
