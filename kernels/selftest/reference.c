#include "kernels/selftest/reference.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

struct packed {
    size_t n_in, n_out;
    bool is_rounded; /* rows of x are rounded to bf16 as the weights were */
    float *weights;  /* [n_in, n_out] */
};

struct exec {
    size_t row_block;
};

static const char *describe(const struct backend *backend)
{
    (void)backend;
    return "reference: plain loops in double";
}

static struct backend_memory memory(const struct backend *backend)
{
    (void)backend;
    return (struct backend_memory){0};
}

static bool is_lost(struct backend *backend)
{
    (void)backend;
    return false;
}

static void close_backend(struct backend *backend)
{
    free(backend);
}

static status_t alloc(struct backend *backend, size_t n_bytes, void **out, struct error *err)
{
    (void)backend;
    size_t rounded;
    if (!size_add(n_bytes, ALIGNMENT, &rounded))
        return error_set(err, ST_TOO_LARGE, "allocation of %zu bytes", n_bytes);
    rounded = rounded / ALIGNMENT * ALIGNMENT;
    void *array = aligned_alloc(ALIGNMENT, rounded);
    if (!array) return error_set(err, ST_NO_MEMORY, "%zu bytes", n_bytes);
    memset(array, 0, rounded);
    *out = array;
    return ST_OK;
}

static void release(struct backend *backend, void *array)
{
    (void)backend;
    free(array);
}

/* To the nearest bf16, ties to even. */
static float round_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static status_t packed_create(struct packed **out, struct backend *backend,
                              const struct pack_params *p, struct error *err)
{
    (void)backend;
    size_t n_bytes;
    struct packed *packed = calloc(1, sizeof *packed);
    if (!packed || !size_tensor(p->n_in, p->n_out, sizeof(float), &n_bytes) ||
        !(packed->weights = malloc(n_bytes))) {
        free(packed);
        return error_set(err, ST_NO_MEMORY, "weights %zu x %zu", p->n_in, p->n_out);
    }
    packed->n_in = p->n_in;
    packed->n_out = p->n_out;
    packed->is_rounded = p->compute == COMPUTE_BF16;
    for (size_t i = 0; i < p->n_in; i++) {
        for (size_t j = 0; j < p->n_out; j++) {
            const float w = p->weights[p->is_transposed ? j * p->n_in + i : i * p->n_out + j];
            packed->weights[i * p->n_out + j] = packed->is_rounded ? round_bf16(w) : w;
        }
    }
    *out = packed;
    return ST_OK;
}

static void packed_destroy(struct packed *packed)
{
    if (packed) free(packed->weights);
    free(packed);
}

static size_t packed_bytes(const struct packed *packed)
{
    return packed->n_in * packed->n_out * sizeof(float);
}

static size_t packed_estimate(const struct backend *backend, const struct pack_params *p)
{
    (void)backend;
    return p->n_in * p->n_out * sizeof(float);
}

static size_t exec_bytes(const struct backend *backend)
{
    (void)backend;
    return 0;
}

static size_t scratch_estimate(const struct backend *backend, const struct scratch_shape *shape)
{
    (void)backend;
    (void)shape;
    return 0;
}

static status_t exec_create(struct exec **out, struct backend *backend,
                            const struct exec_params *params, struct error *err)
{
    (void)backend;
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec) return error_set(err, ST_NO_MEMORY, "exec");
    exec->row_block = params->row_block;
    *out = exec;
    return ST_OK;
}

static void exec_destroy(struct exec *exec)
{
    free(exec);
}

static status_t copy(struct exec *exec, void *to, const void *from, size_t n_bytes,
                     struct error *err)
{
    (void)exec;
    (void)err;
    memcpy(to, from, n_bytes);
    return ST_OK;
}

static status_t synchronize(struct exec *exec, struct error *err)
{
    (void)exec;
    (void)err;
    return ST_OK;
}

static void multiply_row(const struct packed *w, const float *x, double *sums, float *y)
{
    for (size_t j = 0; j < w->n_out; j++) sums[j] = 0;
    for (size_t i = 0; i < w->n_in; i++) {
        const double value = (double)(w->is_rounded ? round_bf16(x[i]) : x[i]);
        const float *row = w->weights + i * w->n_out;
        for (size_t j = 0; j < w->n_out; j++) sums[j] += value * (double)row[j];
    }
    for (size_t j = 0; j < w->n_out; j++) y[j] = (float)sums[j];
}

static status_t matmul(struct exec *exec, const struct matmul_params *p, struct error *err)
{
    (void)exec;
    double *sums = calloc(p->weights->n_out, sizeof *sums);
    if (!sums) return error_set(err, ST_NO_MEMORY, "row of %zu", p->weights->n_out);
    for (size_t r = 0; r < p->n_rows; r++)
        multiply_row(p->weights, p->x + r * p->ld_x, sums, p->y + r * p->ld_y);
    free(sums);
    return ST_OK;
}

static status_t diverge(struct exec *exec, const struct diverge_params *p, struct error *err)
{
    const size_t n_out = p->weights->n_out;
    float *logits = malloc(p->n_rows * n_out * sizeof *logits);
    if (!logits) return error_set(err, ST_NO_MEMORY, "logits of %zu rows", p->n_rows);
    const struct matmul_params product = {.weights = p->weights,
                                          .x = p->x,
                                          .y = logits,
                                          .ld_x = p->ld_x,
                                          .ld_y = n_out,
                                          .n_rows = p->n_rows};
    const status_t status = matmul(exec, &product, err);
    if (status == ST_OK) reference_divergences(p, logits, n_out);
    free(logits);
    return status;
}

static const struct backend_ops REFERENCE_OPS = {
    .abi_version = BACKEND_ABI_VERSION,
    .name = "reference",
    .memory_is_host = true,
    .describe = describe,
    .memory = memory,
    .is_lost = is_lost,
    .close = close_backend,
    .alloc = alloc,
    .release = release,
    .packed_create = packed_create,
    .packed_destroy = packed_destroy,
    .packed_bytes = packed_bytes,
    .packed_estimate = packed_estimate,
    .exec_bytes = exec_bytes,
    .scratch_estimate = scratch_estimate,
    .exec_create = exec_create,
    .exec_destroy = exec_destroy,
    .upload = copy,
    .download = copy,
    .copy = copy,
    .synchronize = synchronize,
    .matmul = matmul,
    .embed = reference_embed,
    .norm = reference_norm,
    .add = reference_add,
    .activate = reference_activate,
    .rotate = reference_rotate,
    .attend = reference_attend,
    .head_norms = reference_head_norms,
    .edit = reference_edit,
    .diverge = diverge,
    .norm_backward = reference_norm_backward,
    .activate_backward = reference_activate_backward,
    .attend_backward = reference_attend_backward,
    .blend = reference_blend,
    .group_dots = reference_group_dots,
    .contract = reference_contract,
    .prepare = reference_prepare,
    .sparse_create = reference_sparse_create,
    .sparse_destroy = reference_sparse_destroy,
    .sparse_bytes = reference_sparse_bytes,
    .sparse_encoder_create = reference_encoder_create,
    .sparse_encoder_destroy = reference_encoder_destroy,
    .sparse_encode = reference_encode,
    .sparse_stats = reference_encoder_stats,
    .sparse_tally = reference_encoder_tally,
};

status_t reference_open(struct backend **out, struct error *err)
{
    struct backend *backend = calloc(1, sizeof *backend);
    if (!backend) return error_set(err, ST_NO_MEMORY, "reference backend");
    backend->ops = &REFERENCE_OPS;
    *out = backend;
    return ST_OK;
}
