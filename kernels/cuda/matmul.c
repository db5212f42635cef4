#include "kernels/cuda/matmul.h"

#include "common/size.h"
#include "kernels/cuda/launch.h"

#include <stdlib.h>
#include <string.h>

enum { MATMUL_MAX_DIM = 1 << 28 };

/* One product of n_rows rows with columns of one part of the weights. */
struct product {
    const struct packed *weights;
    const void *part, *x; /* part: from the first column on */
    float *y;
    size_t ld_x, ld_y, n_rows;
    size_t first, n_columns;
    bool is_added; /* to what y holds */
};

static uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static float from_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Operands stay f32; tensor cores read less of them for tf32. */
static bool is_single(enum compute compute)
{
    return compute == COMPUTE_F32 || compute == COMPUTE_TF32;
}

size_t packed_part_bytes(const struct packed *packed)
{
    const size_t item = is_single(packed->compute) ? sizeof(float) : sizeof(uint16_t);
    return packed->n_in * packed->n_out * item;
}

size_t packed_n_parts(const struct packed *packed)
{
    return packed->compute == COMPUTE_BF16X3 ? 2 : 1;
}

/* A part onto the device, or into pinned memory. */
static status_t put_part(const struct cuda_device *device, struct packed *packed, size_t part,
                         const void *values, struct error *err)
{
    const size_t n_bytes = packed_part_bytes(packed);
    if (!packed->is_shelved)
        return device_copy_of(device, values, n_bytes, &packed->parts[part], err);
    const cudaError_t code = cudaMallocHost(&packed->parts[part], n_bytes);
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return error_set(err, ST_NO_MEMORY, "%zu bytes of pinned memory", n_bytes);
    }
    const status_t status = cuda_check(code, "pinned memory", err);
    if (status == ST_OK) memcpy(packed->parts[part], values, n_bytes);
    return status;
}

/* A part of the weights as bf16: the rounded values, or the rounded rest. */
static status_t pack_part(const struct cuda_device *device, struct packed *packed, size_t part,
                          const float *weights, struct error *err)
{
    const size_t n = packed->n_in * packed->n_out;
    uint16_t *rounded = malloc(n * sizeof *rounded);
    if (!rounded) return error_set(err, ST_NO_MEMORY, "%zu weights", n);
    for (size_t i = 0; i < n; i++) {
        const uint16_t high = to_bf16(weights[i]);
        rounded[i] = part ? to_bf16(weights[i] - from_bf16(high)) : high;
    }
    const status_t status = put_part(device, packed, part, rounded, err);
    free(rounded);
    return status;
}

static status_t packed_fill(const struct cuda_device *device, struct packed *packed,
                            const struct pack_params *p, struct error *err)
{
    status_t status = ST_OK;
    if (is_single(p->compute)) return put_part(device, packed, 0, p->weights, err);
    for (size_t i = 0; i < packed_n_parts(packed) && status == ST_OK; i++)
        status = pack_part(device, packed, i, p->weights, err);
    return status;
}

static bool is_product(const struct pack_params *p)
{
    size_t n_bytes;
    return p->n_in && p->n_out && p->n_in <= MATMUL_MAX_DIM && p->n_out <= MATMUL_MAX_DIM &&
           size_tensor(p->n_in, p->n_out, sizeof(float), &n_bytes);
}

status_t matmul_packed_create(struct packed **out, struct backend *backend,
                              const struct pack_params *p, struct error *err)
{
    if (!is_product(p)) return error_set(err, ST_TOO_LARGE, "weights %zu x %zu", p->n_in, p->n_out);
    status_t status = device_choose(backend, err);
    if (status != ST_OK) return status;
    struct packed *packed = calloc(1, sizeof *packed);
    if (!packed) return error_set(err, ST_NO_MEMORY, "packed weights");
    packed->n_in = p->n_in;
    packed->n_out = p->n_out;
    packed->is_transposed = p->is_transposed;
    packed->is_shelved = p->is_shelved;
    packed->compute = p->compute;
    status = packed_fill(backend->device, packed, p, err);
    if (status != ST_OK) {
        matmul_packed_destroy(packed);
        return error_wrap(err, "packing weights %zu x %zu", p->n_in, p->n_out);
    }
    *out = packed;
    return ST_OK;
}

void matmul_packed_destroy(struct packed *packed)
{
    if (!packed) return;
    for (size_t i = 0; i < PACKED_MAX_PARTS; i++) {
        if (!packed->parts[i] || packed->is_borrowed) continue;
        if (packed->is_shelved)
            (void)cudaFreeHost(packed->parts[i]);
        else
            device_free(packed->parts[i]);
    }
    free(packed);
}

size_t matmul_packed_bytes(const struct packed *packed)
{
    return packed_part_bytes(packed) * packed_n_parts(packed);
}

size_t matmul_packed_estimate(const struct backend *backend, const struct pack_params *p)
{
    const struct packed packed = {.n_in = p->n_in, .n_out = p->n_out, .compute = p->compute};
    (void)backend;
    return is_product(p) ? matmul_packed_bytes(&packed) : 0;
}

/* A part from a column on. */
static const void *part_from(const struct packed *w, size_t part, size_t column)
{
    const size_t item = is_single(w->compute) ? sizeof(float) : sizeof(uint16_t);
    return (const char *)w->parts[part] + column * (w->is_transposed ? w->n_in : 1) * item;
}

/* Row-major y [rows, n_out] = x [rows, n_in] W is column-major y' [n_out, rows] = W' x'. */
static status_t multiply(struct exec *exec, const struct product *p, struct error *err)
{
    const struct packed *w = p->weights;
    const cudaDataType type = is_single(w->compute) ? CUDA_R_32F : CUDA_R_16BF;
    const cublasComputeType_t how =
        w->compute == COMPUTE_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const float one = 1.0f, kept = p->is_added ? 1.0f : 0.0f;
    return cublas_check(
        cublasGemmEx(exec->cublas, w->is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N,
                     (int)p->n_columns, (int)p->n_rows, (int)w->n_in, &one, p->part, type,
                     (int)(w->is_transposed ? w->n_in : w->n_out), p->x, type, (int)p->ld_x, &kept,
                     p->y, CUDA_R_32F, (int)p->ld_y, how, CUBLAS_GEMM_DEFAULT),
        "product", err);
}

/* bf16 parts of row_block rows, then one product or three: hi hi + lo hi + hi lo. */
static status_t run_split(struct exec *exec, struct product *product, struct error *err)
{
    const struct packed *w = product->weights;
    const bool has_low = w->compute == COMPUTE_BF16X3;
    const size_t n_bytes = product->n_rows * w->n_in * sizeof(uint16_t);
    status_t status = exec_reserve(exec, &exec->hi, n_bytes, err);
    if (status == ST_OK && has_low) status = exec_reserve(exec, &exec->lo, n_bytes, err);
    if (status == ST_OK)
        status = cuda_check(launch_split_bf16(exec->stream, product->x, product->ld_x,
                                              product->n_rows, w->n_in, exec->hi.memory,
                                              has_low ? exec->lo.memory : NULL),
                            "bf16 parts", err);
    product->ld_x = w->n_in;
    product->x = exec->hi.memory;
    if (status == ST_OK) status = multiply(exec, product, err);
    if (status != ST_OK || !has_low) return status;
    product->is_added = true;
    product->x = exec->lo.memory;
    status = multiply(exec, product, err);
    product->x = exec->hi.memory;
    product->part = part_from(w, 1, product->first);
    return status == ST_OK ? multiply(exec, product, err) : status;
}

status_t matmul_run_columns(struct exec *exec, const struct matmul_params *p, size_t first,
                            size_t n, struct error *err)
{
    const struct packed *w = p->weights;
    if (p->n_rows % exec->row_block || p->ld_x < w->n_in || p->ld_y < n ||
        p->ld_x > MATMUL_MAX_DIM || p->ld_y > MATMUL_MAX_DIM)
        return error_set(err, ST_BAD_INPUT, "product of %zu rows in blocks of %zu, %zu -> %zu",
                         p->n_rows, exec->row_block, w->n_in, n);
    if (w->is_shelved) return error_set(err, ST_INTERNAL, "product with weights on their shelf");
    status_t status = exec_enter(exec, err);
    for (size_t r = 0; r < p->n_rows && status == ST_OK; r += exec->row_block) {
        struct product product = {.weights = w,
                                  .part = part_from(w, 0, first),
                                  .x = p->x + r * p->ld_x,
                                  .y = p->y + r * p->ld_y,
                                  .ld_x = p->ld_x,
                                  .ld_y = p->ld_y,
                                  .n_rows = exec->row_block,
                                  .first = first,
                                  .n_columns = n};
        status =
            is_single(w->compute) ? multiply(exec, &product, err) : run_split(exec, &product, err);
    }
    return status;
}

status_t matmul_run(struct exec *exec, const struct matmul_params *p, struct error *err)
{
    return matmul_run_columns(exec, p, 0, p->weights->n_out, err);
}
