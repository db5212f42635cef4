/* The CUDA table of operations and the plugin that brings it: libinterp_cuda.so when nvcc and
 * NVIDIA's libraries make it, libinterp_emu.so when g++ and kernels/emu do. */
#include "kernels/cuda/adjoints.h"
#include "kernels/cuda/exec.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/matmul.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/sparse.h"
#include "kernels/plugin.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef BACKEND_NAME /* the emulator's build is "emu" */
#define BACKEND_NAME "cuda"
#endif

/* Compute capability 8.0: bf16 products. */
enum { OLDEST_MAJOR = 8 };

static const char *cuda_describe(const struct backend *backend)
{
    const struct cuda_device *device = backend->device;
    return device->text;
}

static status_t choose(const struct backend *backend, struct error *err)
{
    const struct cuda_device *device = backend->device;
    return cuda_check(cudaSetDevice(device->index), "choosing the device", err);
}

static size_t cuda_memory_free(const struct backend *backend)
{
    size_t n_free = 0, n_total = 0;
    if (choose(backend, NULL) != ST_OK || cudaMemGetInfo(&n_free, &n_total) != cudaSuccess)
        return 0;
    return n_free;
}

static void cuda_close(struct backend *backend)
{
    free(backend->device);
    free(backend);
}

static status_t cuda_alloc(struct backend *backend, size_t n_bytes, void **out, struct error *err)
{
    const status_t status = choose(backend, err);
    return status == ST_OK ? device_alloc(n_bytes, out, err) : status;
}

static void cuda_release(struct backend *backend, void *memory)
{
    if (memory && choose(backend, NULL) == ST_OK) device_free(memory);
}

static const struct backend_ops CUDA_OPS = {
    .abi_version = BACKEND_ABI_VERSION,
    .name = BACKEND_NAME,
    .memory_is_host = false,
    .describe = cuda_describe,
    .memory_free = cuda_memory_free,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .packed_create = matmul_packed_create,
    .packed_destroy = matmul_packed_destroy,
    .packed_bytes = matmul_packed_bytes,
    .exec_create = exec_open,
    .exec_destroy = exec_close,
    .upload = exec_upload,
    .download = exec_download,
    .copy = exec_copy,
    .synchronize = exec_synchronize,
    .matmul = matmul_run,
    .embed = operation_embed,
    .norm = operation_norm,
    .add = operation_add,
    .activate = operation_activate,
    .rotate = operation_rotate,
    .attend = operation_attend,
    .head_norms = operation_head_norms,
    .norm_backward = adjoint_norm,
    .activate_backward = adjoint_activate,
    .attend_backward = adjoint_attend,
    .blend = adjoint_blend,
    .group_dots = adjoint_group_dots,
    .contract = adjoint_contract,
    .sparse_create = sparse_weights_create,
    .sparse_destroy = sparse_weights_destroy,
    .sparse_bytes = sparse_weights_bytes,
    .sparse_encoder_create = sparse_encoder_open,
    .sparse_encoder_destroy = sparse_encoder_close,
    .sparse_encode = sparse_encoder_run,
    .sparse_stats = sparse_encoder_stats,
};

static status_t probe(size_t *n_devices, struct error *err)
{
    int n = 0;
    const cudaError_t code = cudaGetDeviceCount(&n);
    if (code == cudaErrorInsufficientDriver)
        return error_set(err, ST_UNSUPPORTED,
                         "backend " BACKEND_NAME
                         ": no NVIDIA driver, or one too old for this build");
    if (code != cudaSuccess || n < 1)
        return error_set(err, ST_UNSUPPORTED, "backend " BACKEND_NAME ": %s",
                         code == cudaSuccess ? "no device" : cudaGetErrorString(code));
    *n_devices = (size_t)n;
    return ST_OK;
}

static status_t describe(struct cuda_device *device, struct error *err)
{
    struct cudaDeviceProp prop;
    const status_t status =
        cuda_check(cudaGetDeviceProperties(&prop, device->index), "properties", err);
    if (status != ST_OK) return status;
    if (prop.major < OLDEST_MAJOR)
        return error_set(err, ST_UNSUPPORTED,
                         "device %d, %s, has compute capability %d.%d; %d.0 is the oldest",
                         device->index, prop.name, prop.major, prop.minor, OLDEST_MAJOR);
    device->major = prop.major;
    (void)snprintf(device->text, sizeof device->text, BACKEND_NAME ":%d %s sm_%d%d", device->index,
                   prop.name, prop.major, prop.minor);
    return ST_OK;
}

static status_t open_device(struct backend **out, size_t index, struct error *err)
{
    struct backend *backend = calloc(1, sizeof *backend);
    struct cuda_device *device = calloc(1, sizeof *device);
    status_t status = backend && device ? ST_OK : error_set(err, ST_NO_MEMORY, "backend");
    if (status == ST_OK) {
        device->index = (int)index;
        status = describe(device, err);
    }
    if (status == ST_OK)
        status = cuda_check(cudaSetDevice(device->index), "choosing the device", err);
    if (status == ST_OK) status = cuda_check(launch_prepare(), "kernels for this device", err);
    if (status == ST_OK)
        status = cuda_check(launch_prepare_backward(), "kernels for this device", err);
    if (status != ST_OK) {
        free(backend);
        free(device);
        return status;
    }
    backend->ops = &CUDA_OPS;
    backend->device = device;
    *out = backend;
    return ST_OK;
}

extern const struct backend_plugin interp_backend_plugin;
__attribute__((visibility("default"))) const struct backend_plugin interp_backend_plugin = {
    .abi_version = BACKEND_ABI_VERSION,
    .ops_bytes = sizeof(struct backend_ops),
    .name = BACKEND_NAME,
    .probe = probe,
    .open = open_device,
};
