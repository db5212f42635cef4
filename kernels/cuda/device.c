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
    return error_set(err, code == CUBLAS_STATUS_ALLOC_FAILED ? ST_NO_MEMORY : ST_INTERNAL,
                     "cublas: %s: %s", what, cublasGetStatusString(code));
}

status_t device_choose(const struct backend *backend, struct error *err)
{
    const struct cuda_device *device = backend->device;
    return cuda_check(cudaSetDevice(device->index), "choosing the device", err);
}

static bool runtime_memory(struct backend_memory *out)
{
    return cudaMemGetInfo(&out->n_free, &out->n_total) == cudaSuccess;
}

void device_limit(struct cuda_device *device, size_t n_bytes)
{
    struct backend_memory memory;
    if (!runtime_memory(&memory)) return;
    atomic_store(&device->limit.n_free, memory.n_free);
    atomic_store(&device->limit.n_bytes, n_bytes);
}

struct backend_memory device_memory(const struct cuda_device *device)
{
    struct backend_memory memory = {0};
    if (!runtime_memory(&memory)) return (struct backend_memory){0};
    const size_t limit = atomic_load(&device->limit.n_bytes);
    const size_t n_before = atomic_load(&device->limit.n_free);
    if (!limit) return memory;
    const size_t n_used = n_before > memory.n_free ? n_before - memory.n_free : 0;
    const size_t n_left = limit > n_used ? limit - n_used : 0;
    return (struct backend_memory){.n_free = n_left < memory.n_free ? n_left : memory.n_free,
                                   .n_total = limit < memory.n_total ? limit : memory.n_total};
}

/* A round to the device and back on its default stream, of which no exec's stream knows. To wait
 * for the whole device is refused while any thread records, and ends what that one records. */
static cudaError_t ask_device(void)
{
    cudaEvent_t answer;
    cudaError_t code = cudaEventCreateWithFlags(&answer, cudaEventDisableTiming);
    if (code != cudaSuccess) return code;
    code = cudaEventRecord(answer, NULL);
    if (code == cudaSuccess) code = cudaEventSynchronize(answer);
    (void)cudaEventDestroy(answer);
    (void)cudaGetLastError(); /* forget what does not stick */
    return code;
}

bool device_is_lost(struct backend *backend)
{
    if (device_choose(backend, NULL) != ST_OK) return true;
    const cudaError_t code = ask_device();
    return code != cudaSuccess && code != cudaErrorMemoryAllocation; /* full is not lost */
}

static status_t is_full(const struct cuda_device *device, size_t n_bytes, struct error *err)
{
    const struct backend_memory memory = device_memory(device);
    return error_set(err, ST_NO_MEMORY, "%zu bytes on the device, %zu of %zu are free", n_bytes,
                     memory.n_free, memory.n_total);
}

/* Device memory with nothing in it yet. */
static status_t device_reserve(const struct cuda_device *device, size_t n_bytes, void **out,
                               struct error *err)
{
    if (atomic_load(&device->limit.n_bytes) && n_bytes > device_memory(device).n_free)
        return is_full(device, n_bytes, err);
    const cudaError_t code = cudaMalloc(out, n_bytes ? n_bytes : 1);
    if (code != cudaErrorMemoryAllocation) return cuda_check(code, "cudaMalloc", err);
    (void)cudaGetLastError();
    return is_full(device, n_bytes, err);
}

status_t device_alloc(const struct cuda_device *device, size_t n_bytes, void **out,
                      struct error *err)
{
    void *memory = NULL;
    status_t status = device_reserve(device, n_bytes, &memory, err);
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

status_t device_copy_of(const struct cuda_device *device, const void *host, size_t n_bytes,
                        void **out, struct error *err)
{
    void *memory = NULL;
    status_t status = device_reserve(device, n_bytes, &memory, err);
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
