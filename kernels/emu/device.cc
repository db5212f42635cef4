/* The one device of the emulator, and the names of what can go wrong. */
#include "kernels/emu/emu.h"

#include <stdio.h>

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
    }
    return "unknown error";
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess; /* a launch that is not legal has ended the process */
}

cudaError_t cudaGetDeviceCount(int *n_devices)
{
    *n_devices = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device)
{
    if (device != 0) return cudaErrorInvalidDevice;
    *out = {};
    (void)snprintf(out->name, sizeof out->name, "host emulator");
    out->totalGlobalMem = emu::current_modes().memory_bytes;
    out->major = 8;
    out->multiProcessorCount = 1;
    return cudaSuccess;
}
