/* Products of cuBLAS on plain loops: operands checked against their allocations, then C in tiles,
 * the sums over k in ascending order in f32. */
#include "kernels/emu/emu.h"
#include "kernels/emu/include/cublas_v2.h"
#include "kernels/emu/include/cuda_bf16.h"

#include <algorithm>
#include <string.h>
#include <vector>

struct cublasContext {
    cudaStream_t stream;
    int device;
    bool has_workspace; /* of its user's */
};

namespace emu
{
enum { HANDLE_BYTES = 1 << 16 }; /* that must be free for a handle; not taken */

struct operand {
    const void *values;
    cudaDataType type;
    cublasOperation_t op;
    int ld;
    bool is_tf32; /* tensor cores take 10 bits of the mantissa */
};

static float cut_to_tf32(float value)
{
    const uint32_t half = has_device_arithmetic() ? 0 : 0x1000u; /* nobody says which it is */
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + half) & ~0x1fffu;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static size_t size_of(cudaDataType type)
{
    return type == CUDA_R_32F ? sizeof(float) : sizeof(__nv_bfloat16);
}

/* op(X) is rows x columns: X itself the other way round if it is transposed. */
static void check_operand(const char *name, const operand &x, int rows, int columns)
{
    const int n_in_column = x.op == CUBLAS_OP_N ? rows : columns;
    const int n_columns = x.op == CUBLAS_OP_N ? columns : rows;
    if (x.ld < n_in_column) fail(NOWHERE, "cuBLAS: columns of %s are %d apart", name, x.ld);
    const size_t n_values = static_cast<size_t>(x.ld) * static_cast<size_t>(n_columns - 1) +
                            static_cast<size_t>(n_in_column);
    if (!is_device(x.values, n_values * size_of(x.type)))
        fail(NOWHERE, "cuBLAS: %s reaches outside its device memory", name);
}

static float value_at(const operand &x, size_t at)
{
    if (x.type == CUDA_R_32F) {
        const float value = static_cast<const float *>(x.values)[at];
        return x.is_tf32 ? cut_to_tf32(value) : value;
    }
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(x.values)[at]);
}

struct product {
    int m, n, k;
    float alpha, beta;
    operand a, b;
    float *c;
    int ld_c;
};

enum { TILE_ROWS = 64, TILE_COLUMNS = 4 };

/* Rows first .. first + TILE_ROWS of op(A), a column after the other, zeros below the last. */
static void pack_rows(const operand &a, size_t first, size_t n_rows, size_t k, float *to)
{
    const size_t ld = static_cast<size_t>(a.ld), n = std::min<size_t>(TILE_ROWS, n_rows - first);
    const size_t of_row = a.op == CUBLAS_OP_N ? 1 : ld, of_column = a.op == CUBLAS_OP_N ? ld : 1;
    for (size_t l = 0; l < k; l++)
        for (size_t i = 0; i < TILE_ROWS; i++)
            to[l * TILE_ROWS + i] =
                i < n ? value_at(a, (first + i) * of_row + l * of_column) : 0.0f;
}

/* op(B), TILE_COLUMNS columns at a time and a row of them after the other. */
static void pack_columns(const operand &b, size_t n, size_t k, float *to)
{
    const size_t ld = static_cast<size_t>(b.ld);
    const size_t of_row = b.op == CUBLAS_OP_N ? 1 : ld, of_column = b.op == CUBLAS_OP_N ? ld : 1;
    for (size_t first = 0; first < n; first += TILE_COLUMNS)
        for (size_t l = 0; l < k; l++)
            for (size_t j = first; j < first + TILE_COLUMNS; j++)
                *to++ = j < n ? value_at(b, l * of_row + j * of_column) : 0.0f;
}

/* sums = the products of a packed tile of rows and one of columns: each over k in ascending order,
 * multiplied and then added, so the same bits whatever the width of the vectors. */
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void
multiply_tiles(const float *a, const float *b, size_t k, float sums[TILE_COLUMNS][TILE_ROWS])
{
    for (size_t j = 0; j < TILE_COLUMNS; j++)
        for (size_t i = 0; i < TILE_ROWS; i++) sums[j][i] = 0.0f;
    for (size_t l = 0; l < k; l++)
        for (size_t j = 0; j < TILE_COLUMNS; j++)
            for (size_t i = 0; i < TILE_ROWS; i++)
                sums[j][i] += a[l * TILE_ROWS + i] * b[l * TILE_COLUMNS + j];
}

static void multiply_as_device(const float *a, const float *b, size_t k, bool is_tensor,
                               float sums[TILE_COLUMNS][TILE_ROWS])
{
    for (size_t j = 0; j < TILE_COLUMNS; j++)
        for (size_t i = 0; i < TILE_ROWS; i++)
            sums[j][i] = device_dot(a + i, TILE_ROWS, b + j, TILE_COLUMNS, k, is_tensor);
}

static void store_tile(const product &p, const float sums[TILE_COLUMNS][TILE_ROWS], size_t row,
                       size_t column)
{
    const size_t m = static_cast<size_t>(p.m), n = static_cast<size_t>(p.n);
    for (size_t j = column; j < std::min(n, column + TILE_COLUMNS); j++) {
        float *c = p.c + j * static_cast<size_t>(p.ld_c);
        for (size_t i = row; i < std::min(m, row + TILE_ROWS); i++) {
            const float sum = p.alpha * sums[j - column][i - row];
            c[i] = p.beta != 0 ? sum + p.beta * c[i] : sum;
        }
    }
}

/* Packed operands, kept from one product to the next. */
static std::vector<float> packed_rows, packed_columns;

static uint64_t n_products; /* ever; under the big lock */

static void multiply(const product &p)
{
    n_products++;
    const size_t m = static_cast<size_t>(p.m), n = static_cast<size_t>(p.n),
                 k = static_cast<size_t>(p.k);
    const size_t n_columns = (n + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
    float sums[TILE_COLUMNS][TILE_ROWS];
    packed_rows.resize(std::max(packed_rows.size(), k * TILE_ROWS));
    packed_columns.resize(std::max(packed_columns.size(), k * n_columns));
    pack_columns(p.b, n, k, packed_columns.data());
    for (size_t row = 0; row < m; row += TILE_ROWS) {
        pack_rows(p.a, row, m, k, packed_rows.data());
        for (size_t column = 0; column < n; column += TILE_COLUMNS) {
            if (has_device_arithmetic())
                multiply_as_device(packed_rows.data(), &packed_columns[column * k], k,
                                   p.a.is_tf32 || p.a.type != CUDA_R_32F, sums);
            else
                multiply_tiles(packed_rows.data(), &packed_columns[column * k], k, sums);
            store_tile(p, sums, row, column);
        }
    }
}

/* Without a workspace of its user's cuBLAS allocates one for each stream and each graph. */
static void check_handle(cublasHandle_t handle)
{
    check_stream("cuBLAS", handle->stream);
    if (handle->device != current_device())
        fail(NOWHERE, "cuBLAS: a handle of device %d by a thread that has chosen %d",
             handle->device, current_device());
    if (is_captured(handle->stream) && !handle->has_workspace)
        fail(NOWHERE, "cuBLAS without a workspace while its stream is captured");
}

static void check_and_submit(cublasHandle_t handle, const product &p)
{
    check_handle(handle);
    if (p.m <= 0 || p.n <= 0 || p.k <= 0)
        fail(NOWHERE, "cuBLAS: a product of %d x %d x %d", p.m, p.n, p.k);
    check_operand("A", p.a, p.m, p.k);
    check_operand("B", p.b, p.k, p.n);
    check_operand("C", {p.c, CUDA_R_32F, CUBLAS_OP_N, p.ld_c, false}, p.m, p.n);
    stream_submit(handle->stream, [p] { multiply(p); });
}
} // namespace emu

using emu::big_lock;
typedef std::lock_guard<std::recursive_mutex> locked;

/* For tests (emu.h). */
uint64_t emu_n_products(void)
{
    const locked guard(big_lock());
    return emu::n_products;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    if (status == CUBLAS_STATUS_EXECUTION_FAILED)
        return "the GPU program failed to execute"; /* a lost device, seen by cuBLAS */
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "not initialized";
}

cublasStatus_t cublasCreate(cublasHandle_t *out)
{
    const locked guard(big_lock());
    emu::check_chosen("cublasCreate");
    emu::check_not_captured("cublasCreate");
    size_t n_free, n_total;
    *out = nullptr;
    if (cudaMemGetInfo(&n_free, &n_total) != cudaSuccess || n_free < emu::HANDLE_BYTES)
        return CUBLAS_STATUS_NOT_INITIALIZED; /* its word for a full device, too */
    *out = new cublasContext();
    (*out)->device = emu::current_device();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    const locked guard(big_lock());
    emu::check_chosen("cublasDestroy");
    emu::check_none_captured("cublasDestroy, which waits for the device,");
    emu::streams_drain();
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    handle->has_workspace = false; /* as documented */
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t n_bytes)
{
    const locked guard(big_lock());
    if (!emu::is_device(workspace, n_bytes))
        emu::fail(emu::NOWHERE, "cuBLAS: the workspace is not all device memory");
    handle->has_workspace = true;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a,
                                          cublasOperation_t op_b, int m, int n, int k,
                                          const void *alpha, const void *a, cudaDataType type_a,
                                          int ld_a, long long stride_a, const void *b,
                                          cudaDataType type_b, int ld_b, long long stride_b,
                                          const void *beta, void *c, cudaDataType type_c, int ld_c,
                                          long long stride_c, int n_products,
                                          cublasComputeType_t compute, cublasGemmAlgo_t)
{
    const locked guard(big_lock());
    const bool is_tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if (type_c != CUDA_R_32F) emu::fail(emu::NOWHERE, "cuBLAS: C is not f32");
    for (long long i = 0; i < n_products; i++) {
        const char *a_at = static_cast<const char *>(a) +
                           i * stride_a * static_cast<long long>(emu::size_of(type_a));
        const char *b_at = static_cast<const char *>(b) +
                           i * stride_b * static_cast<long long>(emu::size_of(type_b));
        const emu::product p = {m,
                                n,
                                k,
                                *static_cast<const float *>(alpha),
                                *static_cast<const float *>(beta),
                                {a_at, type_a, op_a, ld_a, is_tf32},
                                {b_at, type_b, op_b, ld_b, is_tf32},
                                static_cast<float *>(c) + i * stride_c,
                                ld_c};
        emu::check_and_submit(handle, p);
    }
    return emu::device_state() == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                              : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                            int m, int n, int k, const void *alpha, const void *a,
                            cudaDataType type_a, int ld_a, const void *b, cudaDataType type_b,
                            int ld_b, const void *beta, void *c, cudaDataType type_c, int ld_c,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, type_a, ld_a, 0, b,
                                      type_b, ld_b, 0, beta, c, type_c, ld_c, 0, 1, compute,
                                      algorithm);
}
