/* The devices of the emulator, as the environment describes them, and the names of what can go
 * wrong. A device that is lost stays so: every call says it until the process ends. */
#include "kernels/emu/emu.h"

#include <stdio.h>

namespace emu
{
enum { RUNTIME_VERSION = 13000 };

static thread_local int chosen_device;
static thread_local bool has_chosen;
static cudaError_t lost = cudaSuccess; /* under the big lock */

int current_device()
{
    return chosen_device;
}

void check_chosen(const char *call)
{
    if (!has_chosen && current_modes().n_devices > 1)
        fail(NOWHERE, "%s by a thread that has chosen none of %d devices", call,
             current_modes().n_devices);
}

cudaError_t device_state()
{
    const std::lock_guard<std::recursive_mutex> guard(big_lock());
    return lost;
}

void device_lose()
{
    lost = cudaErrorIllegalAddress;
}
} // namespace emu

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver:
        return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice:
        return "no kernel image is available for execution on the device";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    }
    return "unknown error";
}

/* A launch that is not legal has ended the process; a lost device is found here too. */
cudaError_t cudaGetLastError(void)
{
    return emu::device_state();
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = emu::current_modes().driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = emu::RUNTIME_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *n_devices)
{
    *n_devices = 0;
    if (emu::current_modes().driver < emu::RUNTIME_VERSION) return cudaErrorInsufficientDriver;
    *n_devices = emu::current_modes().n_devices;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || device >= emu::current_modes().n_devices) return cudaErrorInvalidDevice;
    emu::chosen_device = device;
    emu::has_chosen = true;
    return emu::device_state();
}

cudaError_t cudaGetDevice(int *device)
{
    *device = emu::chosen_device;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device)
{
    const emu::modes &modes = emu::current_modes();
    if (device < 0 || device >= modes.n_devices) return cudaErrorInvalidDevice;
    *out = {};
    (void)snprintf(out->name, sizeof out->name, "host emulator%s",
                   modes.is_part ? " MIG 1g.4gb" : "");
    (void)snprintf(out->uuid.bytes, sizeof out->uuid.bytes, "emulated %02u",
                   static_cast<unsigned>(device) % 100U);
    out->totalGlobalMem = modes.memory_bytes;
    out->major = modes.arch / 10;
    out->minor = modes.arch % 10;
    out->multiProcessorCount = 1;
    out->pciBusID = 1 + device;
    return cudaSuccess;
}
