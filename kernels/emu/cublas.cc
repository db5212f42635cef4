/* Products of cuBLAS on plain loops: operands checked against their allocations, then C column by
 * column, the sums over k in ascending order in f32. */
#include "kernels/emu/emu.h"
#include "kernels/emu/include/cublas_v2.h"
#include "kernels/emu/include/cuda_bf16.h"

#include <vector>

struct cublasContext {
    cudaStream_t stream;
};

namespace emu
{
struct operand {
    const void *values;
    cudaDataType type;
    cublasOperation_t op;
    int ld;
};

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

static float value_at(const operand &x, size_t row, size_t column)
{
    const size_t ld = static_cast<size_t>(x.ld);
    const size_t at = x.op == CUBLAS_OP_N ? column * ld + row : row * ld + column;
    if (x.type == CUDA_R_32F) return static_cast<const float *>(x.values)[at];
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(x.values)[at]);
}

struct product {
    int m, n, k;
    float alpha, beta;
    operand a, b;
    float *c;
    int ld_c;
};

static void multiply(const product &p)
{
    const size_t m = static_cast<size_t>(p.m), n = static_cast<size_t>(p.n),
                 k = static_cast<size_t>(p.k);
    std::vector<float> a(m * k), column(m);
    for (size_t l = 0; l < k; l++)
        for (size_t i = 0; i < m; i++) a[l * m + i] = value_at(p.a, i, l);
    for (size_t j = 0; j < n; j++) {
        float *c = p.c + j * static_cast<size_t>(p.ld_c);
        column.assign(m, 0.0f);
        for (size_t l = 0; l < k; l++) {
            const float b = value_at(p.b, l, j);
            const float *from = &a[l * m];
            for (size_t i = 0; i < m; i++) column[i] += from[i] * b;
        }
        for (size_t i = 0; i < m; i++)
            c[i] = p.alpha * column[i] + (p.beta != 0 ? p.beta * c[i] : 0.0f);
    }
}

static void check_and_submit(cublasHandle_t handle, const product &p)
{
    if (p.m <= 0 || p.n <= 0 || p.k <= 0)
        fail(NOWHERE, "cuBLAS: a product of %d x %d x %d", p.m, p.n, p.k);
    check_operand("A", p.a, p.m, p.k);
    check_operand("B", p.b, p.k, p.n);
    check_operand("C", {p.c, CUDA_R_32F, CUBLAS_OP_N, p.ld_c}, p.m, p.n);
    stream_submit(handle->stream, [p] { multiply(p); });
}
} // namespace emu

using emu::big_lock;
typedef std::lock_guard<std::recursive_mutex> locked;

const char *cublasGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "not initialized";
}

cublasStatus_t cublasCreate(cublasHandle_t *out)
{
    *out = new cublasContext();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *workspace, size_t n_bytes)
{
    const locked guard(big_lock());
    if (!emu::is_device(workspace, n_bytes))
        emu::fail(emu::NOWHERE, "cuBLAS: the workspace is not all device memory");
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a,
                                          cublasOperation_t op_b, int m, int n, int k,
                                          const void *alpha, const void *a, cudaDataType type_a,
                                          int ld_a, long long stride_a, const void *b,
                                          cudaDataType type_b, int ld_b, long long stride_b,
                                          const void *beta, void *c, cudaDataType type_c, int ld_c,
                                          long long stride_c, int n_products, cublasComputeType_t,
                                          cublasGemmAlgo_t)
{
    const locked guard(big_lock());
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
                                {a_at, type_a, op_a, ld_a},
                                {b_at, type_b, op_b, ld_b},
                                static_cast<float *>(c) + i * stride_c,
                                ld_c};
        emu::check_and_submit(handle, p);
    }
    return CUBLAS_STATUS_SUCCESS;
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
