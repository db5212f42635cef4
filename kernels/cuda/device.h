/* The opened device and what every file of kernels/cuda needs of the runtime: statuses for its
 * error codes, zeroed device memory, the geometry of launches. C side; kernels see launch.h. */
#ifndef KERNELS_CUDA_DEVICE_H
#define KERNELS_CUDA_DEVICE_H

#include "kernels/backend.h"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

enum { DEVICE_TEXT_SIZE = 320 };

struct cuda_device {
    int index, major; /* major: of the compute capability */
    char text[DEVICE_TEXT_SIZE];
};

/* ST_OK, or what `what` met: ST_NO_MEMORY if the device is full, else ST_INTERNAL. */
MUST_CHECK status_t cuda_check(cudaError_t code, const char *what, struct error *err);
MUST_CHECK status_t cublas_check(cublasStatus_t code, const char *what, struct error *err);

/* n_bytes of the current device, zeroed (behind all work so far); NULL of 0 bytes is not given.
 * Errors: ST_NO_MEMORY with what is free. */
MUST_CHECK status_t device_alloc(size_t n_bytes, void **out, struct error *err);
void device_free(const void *memory); /* NULL-safe */

/* Like device_alloc(), filled from the host. For weights: waits until it is done. */
MUST_CHECK status_t device_copy_of(const void *host, size_t n_bytes, void **out, struct error *err);

#endif
