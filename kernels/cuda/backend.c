/* The CUDA table of operations and the plugin that brings it: libinterp_cuda.so when nvcc and
 * NVIDIA's libraries make it, libinterp_emu.so when g++ and kernels/emu do. */
#include "kernels/cuda/adjoints.h"
#include "kernels/cuda/exec.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/matmul.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/recording.h"
#include "kernels/cuda/row_operations.h"
#include "kernels/cuda/sparse.h"
#include "kernels/cuda/window.h"
#include "kernels/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const struct backend_place *cuda_place(const struct backend *backend)
{
    const struct cuda_device *device = backend->device;
    return &device->place;
}

static struct backend_memory cuda_memory(const struct backend *backend)
{
    return device_choose(backend, NULL) == ST_OK ? device_memory(backend->device)
                                                 : (struct backend_memory){0};
}

static void cuda_limit_memory(struct backend *backend, size_t n_bytes)
{
    if (device_choose(backend, NULL) == ST_OK) device_limit(backend->device, n_bytes);
}

static void cuda_close(struct backend *backend)
{
    struct cuda_device *device = backend->device;
    (void)!device_choose(backend, NULL); /* a lost device is none, and its handles go too */
    handles_fini(&device->handles);
    free(device);
    free(backend);
}

static status_t cuda_alloc(struct backend *backend, size_t n_bytes, void **out, struct error *err)
{
    const status_t status = device_choose(backend, err);
    return status == ST_OK ? device_alloc(backend->device, n_bytes, out, err) : status;
}

static void cuda_release(struct backend *backend, void *memory)
{
    (void)!device_choose(backend, NULL); /* a lost device is none, and its memory is freed too */
    device_free(memory);
}

static const struct backend_ops CUDA_OPS = {
    .abi_version = BACKEND_ABI_VERSION,
    .name = BACKEND_NAME,
    .memory_is_host = false,
    .describe = cuda_describe,
    .place = cuda_place,
    .memory = cuda_memory,
    .limit_memory = cuda_limit_memory,
    .is_lost = device_is_lost,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .packed_create = matmul_packed_create,
    .packed_destroy = matmul_packed_destroy,
    .packed_bytes = matmul_packed_bytes,
    .packed_estimate = matmul_packed_estimate,
    .exec_bytes = exec_bytes,
    .scratch_estimate = exec_scratch_estimate,
    .diverge_estimate = operation_diverge_estimate,
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
    .edit = operation_edit,
    .diverge = operation_diverge,
    .norm_backward = adjoint_norm,
    .activate_backward = adjoint_activate,
    .attend_backward = adjoint_attend,
    .blend = adjoint_blend,
    .group_dots = adjoint_group_dots,
    .contract = adjoint_contract,
    .record_begin = recording_begin,
    .record_end = recording_end,
    .replay = recording_replay,
    .recording_destroy = recording_destroy,
    .prepare = operation_prepare,
    .sparse_create = sparse_weights_create,
    .sparse_destroy = sparse_weights_destroy,
    .sparse_bytes = sparse_weights_bytes,
    .sparse_estimate = sparse_weights_estimate,
    .sparse_encoder_create = sparse_encoder_open,
    .sparse_encoder_destroy = sparse_encoder_close,
    .sparse_encode = sparse_encoder_run,
    .sparse_stats = sparse_encoder_stats,
    .sparse_tally = sparse_encoder_tally,
    .sparse_digest = sparse_encoder_digest,
    .digest_estimate = sparse_digest_estimate,
    .window_create = window_open,
    .window_destroy = window_close,
    .window_take = window_take,
};

static status_t no_driver(struct error *err)
{
    int driver = 0, wanted = 0;
    (void)cudaGetLastError();
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    if (cudaRuntimeGetVersion(&wanted) != cudaSuccess) wanted = 0;
    if (!driver)
        return error_set(err, ST_UNSUPPORTED,
                         "backend " BACKEND_NAME ": this machine has no NVIDIA driver");
    return error_set(err, ST_UNSUPPORTED,
                     "backend " BACKEND_NAME
                     ": the NVIDIA driver is too old: it knows CUDA %d.%d, this build needs %d.%d",
                     driver / 1000, driver % 1000 / 10, wanted / 1000, wanted % 1000 / 10);
}

static status_t probe(size_t *n_devices, struct error *err)
{
    int n = 0;
    const cudaError_t code = cudaGetDeviceCount(&n);
    if (code == cudaErrorInsufficientDriver) return no_driver(err);
    if (code != cudaSuccess || n < 1)
        return error_set(err, ST_UNSUPPORTED, "backend " BACKEND_NAME ": %s",
                         code == cudaSuccess ? "no device" : cudaGetErrorString(code));
    *n_devices = (size_t)n;
    return ST_OK;
}

static void describe_place(const struct cudaDeviceProp *prop, size_t index,
                           struct backend_place *out)
{
    unsigned char b[sizeof prop->uuid.bytes];
    const bool is_part = strstr(prop->name, " MIG ") != NULL; /* "NVIDIA H100 ... MIG 1g.10gb" */
    memcpy(b, prop->uuid.bytes, sizeof b);
    *out = (struct backend_place){.index = index, .n_total = prop->totalGlobalMem};
    (void)snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, prop->name);
    (void)snprintf(out->uuid, sizeof out->uuid,
                   "%s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   is_part ? "MIG" : "GPU", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8],
                   b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    (void)snprintf(out->pci, sizeof out->pci, "%04x:%02x:%02x.0", (unsigned)prop->pciDomainID,
                   (unsigned)prop->pciBusID & 0xffu, (unsigned)prop->pciDeviceID & 0xffu);
}

static status_t identify(size_t index, struct backend_place *out, struct error *err)
{
    struct cudaDeviceProp prop;
    const status_t status =
        cuda_check(cudaGetDeviceProperties(&prop, (int)index), "properties", err);
    if (status == ST_OK) describe_place(&prop, index, out);
    return status;
}

/* The text has no index: it pins sweeps, and equal devices compute the same. */
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
    describe_place(&prop, (size_t)device->index, &device->place);
    (void)snprintf(device->text, sizeof device->text, BACKEND_NAME " %s sm_%d%d", prop.name,
                   prop.major, prop.minor);
    return ST_OK;
}

/* Every kernel has an image for the device, and a first small allocation succeeds. */
static status_t try_device(const struct cuda_device *device, struct error *err)
{
    cudaError_t code = launch_prepare();
    if (code == cudaSuccess) code = launch_prepare_backward();
    void *memory = NULL;
    if (code == cudaErrorNoKernelImageForDevice)
        return error_set(err, ST_UNSUPPORTED,
                         "device %d: this build has no image for %s, nor PTX that becomes one",
                         device->index, device->text);
    status_t status = cuda_check(code, "kernels for this device", err);
    if (status == ST_OK) status = device_alloc(device, 1, &memory, err);
    device_free(memory);
    return status == ST_OK ? ST_OK : error_wrap(err, "device %d", device->index);
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
    if (status == ST_OK) status = try_device(device, err);
    if (status == ST_OK) status = handles_init(&device->handles, err);
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
    .identify = identify,
};
