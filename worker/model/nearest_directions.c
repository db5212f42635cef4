#include "worker/model/nearest_directions.h"

#include "common/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 64 };

struct nearest_directions {
    struct backend *backend;
    const struct backend_ops *ops;
    struct exec *exec;
    struct packed *all; /* the unit rows, [width, n] */
    float *x, *y;       /* device [BLOCK_ROWS, width], [BLOCK_ROWS, n] */
    float *rows;        /* host [n, width] as they were given */
    double *norm;       /* [n] */
    float *block;       /* host [BLOCK_ROWS, width], unit rows */
    float *screened;    /* host [BLOCK_ROWS, n] */
    size_t n, width;
    float margin;
};

/* --- exact --------------------------------------------------------------------------------- */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static const float *row_of(const struct nearest_directions *self, size_t row)
{
    return self->rows + row * self->width;
}

/* At most 1, though rounding may say more of equal rows. */
static float cosine_of(const struct nearest_directions *self, size_t a, size_t b)
{
    const double cosine =
        dot(row_of(self, a), row_of(self, b), self->width) / (self->norm[a] * self->norm[b]);
    return cosine > 1 ? 1.0f : (float)cosine;
}

static void write_unit(const struct nearest_directions *self, size_t row, float *out)
{
    const double norm = self->norm[row];
    for (size_t i = 0; i < self->width; i++)
        out[i] = norm > 0 ? (float)((double)row_of(self, row)[i] / norm) : 0.0f;
}

/* --- life ---------------------------------------------------------------------------------- */

static status_t device_rows(struct nearest_directions *self, size_t width, float **out,
                            struct error *err)
{
    void *memory = NULL;
    const status_t status =
        self->ops->alloc(self->backend, BLOCK_ROWS * width * sizeof(float), &memory, err);
    *out = memory;
    return status;
}

static status_t pack_all(struct nearest_directions *self, struct error *err)
{
    float *units = malloc(self->n * self->width * sizeof *units);
    if (!units) return error_set(err, ST_NO_MEMORY, "%zu directions", self->n);
    for (size_t i = 0; i < self->n; i++) write_unit(self, i, units + i * self->width);
    const struct pack_params params = {.n_in = self->width,
                                       .n_out = self->n,
                                       .weights = units,
                                       .is_transposed = true,
                                       .compute = COMPUTE_F32};
    const status_t status = self->ops->packed_create(&self->all, self->backend, &params, err);
    free(units);
    return status;
}

static status_t make(struct nearest_directions *self, struct error *err)
{
    const struct exec_params params = {.row_block = BLOCK_ROWS};
    self->norm = malloc(self->n * sizeof *self->norm);
    self->block = malloc(BLOCK_ROWS * self->width * sizeof *self->block);
    self->screened = malloc(BLOCK_ROWS * self->n * sizeof *self->screened);
    if (!self->norm || !self->block || !self->screened)
        return error_set(err, ST_NO_MEMORY, "%zu directions", self->n);
    for (size_t i = 0; i < self->n; i++)
        self->norm[i] = sqrt(dot(row_of(self, i), row_of(self, i), self->width));
    status_t status = self->ops->exec_create(&self->exec, self->backend, &params, err);
    if (status == ST_OK) status = pack_all(self, err);
    if (status == ST_OK) status = device_rows(self, self->width, &self->x, err);
    if (status == ST_OK) status = device_rows(self, self->n, &self->y, err);
    return status;
}

status_t nearest_directions_create(struct nearest_directions **out, struct backend *backend,
                                   float *rows, size_t n, size_t width, struct error *err)
{
    size_t n_bytes;
    if (n == 0 || width == 0 || n > EVIDENCE_MAX_SLOTS || !size_mul(n, width, &n_bytes) ||
        !size_mul(n_bytes, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu directions of %zu", n, width);
    struct nearest_directions *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "nearest directions");
    self->backend = backend;
    self->ops = backend->ops;
    self->rows = rows;
    self->n = n;
    self->width = width;
    self->margin = (float)(width + 16) * 0x1p-24f;
    const status_t status = make(self, err);
    if (status == ST_OK) {
        *out = self;
        return ST_OK;
    }
    self->rows = NULL; /* still the caller's */
    nearest_directions_destroy(&self);
    return status;
}

void nearest_directions_destroy(struct nearest_directions **nearest)
{
    struct nearest_directions *self = *nearest;
    if (!self) return;
    if (self->exec) self->ops->exec_destroy(self->exec);
    if (self->all) self->ops->packed_destroy(self->all);
    self->ops->release(self->backend, self->x);
    self->ops->release(self->backend, self->y);
    free(self->rows);
    free(self->norm);
    free(self->block);
    free(self->screened);
    free(self);
    *nearest = NULL;
}

/* --- finding ------------------------------------------------------------------------------- */

/* screened [n, all] of the rows [first, first + n), n <= BLOCK_ROWS. */
static status_t screen(struct nearest_directions *self, size_t first, size_t n, struct error *err)
{
    memset(self->block, 0, BLOCK_ROWS * self->width * sizeof *self->block);
    for (size_t i = 0; i < n; i++) write_unit(self, first + i, self->block + i * self->width);
    const struct matmul_params params = {.weights = self->all,
                                         .x = self->x,
                                         .y = self->y,
                                         .ld_x = self->width,
                                         .ld_y = self->n,
                                         .n_rows = BLOCK_ROWS};
    status_t status = self->ops->upload(self->exec, self->x, self->block,
                                        BLOCK_ROWS * self->width * sizeof *self->block, err);
    if (status == ST_OK) status = self->ops->matmul(self->exec, &params, err);
    return status == ST_OK ? self->ops->download(self->exec, self->screened, self->y,
                                                 n * self->n * sizeof *self->screened, err)
                           : status;
}

static bool may_be(const struct nearest_directions *self, const bool *is_wanted, size_t row,
                   size_t other)
{
    return other != row && self->norm[other] > 0 && (!is_wanted || is_wanted[other]);
}

/* The EVIDENCE_NEIGHBOURS-th largest screened cosine of those that may be; 0 if there are fewer
 * above 0. */
static float last_place(const struct nearest_directions *self, const bool *is_wanted, size_t row,
                        const float *screened)
{
    float top[EVIDENCE_NEIGHBOURS] = {0};
    for (size_t other = 0; other < self->n; other++) {
        const float value = screened[other];
        if (!(value > top[EVIDENCE_NEIGHBOURS - 1]) || !may_be(self, is_wanted, row, other))
            continue;
        size_t at = EVIDENCE_NEIGHBOURS - 1;
        for (; at > 0 && value > top[at - 1]; at--) top[at] = top[at - 1];
        top[at] = value;
    }
    return top[EVIDENCE_NEIGHBOURS - 1];
}

static void insert(struct neighbour *list, size_t *n, struct neighbour item)
{
    size_t at = *n;
    while (at > 0 && item.cosine > list[at - 1].cosine) at--; /* equal ones come by number */
    if (at == EVIDENCE_NEIGHBOURS) return;
    if (*n < EVIDENCE_NEIGHBOURS) ++*n;
    for (size_t i = *n - 1; i > at; i--) list[i] = list[i - 1];
    list[at] = item;
}

static void find_row(const struct nearest_directions *self, const bool *is_wanted, size_t row,
                     const float *screened, struct neighbour *out)
{
    size_t n = 0;
    for (size_t i = 0; i < EVIDENCE_NEIGHBOURS; i++)
        out[i] = (struct neighbour){EVIDENCE_NO_SLOT, 0};
    if (!(self->norm[row] > 0)) return;
    const float limit = last_place(self, is_wanted, row, screened) - 2 * self->margin;
    for (size_t other = 0; other < self->n; other++) {
        if (!(screened[other] >= limit) || !may_be(self, is_wanted, row, other)) continue;
        const struct neighbour item = {(uint32_t)other, cosine_of(self, row, other)};
        if (item.cosine > 0) insert(out, &n, item);
    }
}

status_t nearest_directions_find(struct nearest_directions *self, size_t first, size_t n_rows,
                                 const bool *is_wanted, struct neighbour *out, struct error *err)
{
    status_t status = ST_OK;
    if (first > self->n || n_rows > self->n - first)
        return error_set(err, ST_BAD_INPUT, "directions %zu + %zu of %zu", first, n_rows, self->n);
    for (size_t done = 0; done < n_rows && status == ST_OK; done += BLOCK_ROWS) {
        const size_t left = n_rows - done;
        const size_t n = left < BLOCK_ROWS ? left : (size_t)BLOCK_ROWS;
        status = screen(self, first + done, n, err);
        for (size_t i = 0; i < n && status == ST_OK; i++)
            find_row(self, is_wanted, first + done + i, self->screened + i * self->n,
                     out + (done + i) * EVIDENCE_NEIGHBOURS);
    }
    return status;
}
