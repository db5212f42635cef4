#include "kernels/cuda/device.h"

status_t cuda_check(cudaError_t code, const char *what, struct error *err)
{
    if (code == cudaSuccess) return ST_OK;
    (void)cudaGetLastError(); /* one that does not stick must not be found by the next check */
    return error_set(err, code == cudaErrorMemoryAllocation ? ST_NO_MEMORY : ST_INTERNAL,
                     "cuda: %s: %s", what, cudaGetErrorString(code));
}

status_t cublas_check(cublasStatus_t code, const char *what, struct error *err)
{
    if (code == CUBLAS_STATUS_SUCCESS) return ST_OK;
    return error_set(err, ST_INTERNAL, "cublas: %s: %s", what, cublasGetStatusString(code));
}

/* Device memory with nothing in it yet. */
static status_t device_reserve(size_t n_bytes, void **out, struct error *err)
{
    size_t n_free = 0, n_total = 0;
    const cudaError_t code = cudaMalloc(out, n_bytes ? n_bytes : 1);
    if (code != cudaErrorMemoryAllocation) return cuda_check(code, "cudaMalloc", err);
    (void)cudaGetLastError();
    if (cudaMemGetInfo(&n_free, &n_total) != cudaSuccess) n_free = n_total = 0;
    return error_set(err, ST_NO_MEMORY, "%zu bytes on the device, %zu of %zu are free", n_bytes,
                     n_free, n_total);
}

status_t device_alloc(size_t n_bytes, void **out, struct error *err)
{
    void *memory = NULL;
    status_t status = device_reserve(n_bytes, &memory, err);
    if (status != ST_OK) return status;
    status = cuda_check(cudaMemsetAsync(memory, 0, n_bytes ? n_bytes : 1, NULL), "zeroing", err);
    /* streams that do not block know nothing of the default one */
    if (status == ST_OK) status = cuda_check(cudaStreamSynchronize(NULL), "zeroing", err);
    if (status != ST_OK) {
        device_free(memory);
        return status;
    }
    *out = memory;
    return ST_OK;
}

void device_free(const void *memory)
{
    const union {
        const void *read;
        void *owned;
    } m = {.read = memory}; /* what the device only reads is const until it goes */
    if (memory) (void)cudaFree(m.owned);
}

status_t device_copy_of(const void *host, size_t n_bytes, void **out, struct error *err)
{
    void *memory = NULL;
    status_t status = device_reserve(n_bytes, &memory, err);
    if (status != ST_OK) return status;
    status = cuda_check(cudaMemcpyAsync(memory, host, n_bytes, cudaMemcpyHostToDevice, NULL),
                        "copying weights", err);
    if (status == ST_OK) status = cuda_check(cudaStreamSynchronize(NULL), "copying weights", err);
    if (status != ST_OK) {
        device_free(memory);
        return status;
    }
    *out = memory;
    return ST_OK;
}
