/* Arithmetic that the host and a device's kernels share, written once: HOST_DEVICE before an inline
 * function makes nvcc compile it for both. Elsewhere it is nothing. */
#ifndef COMMON_HOST_DEVICE_H
#define COMMON_HOST_DEVICE_H

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif

#endif
