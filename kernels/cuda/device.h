/* The opened device and what every file of kernels/cuda needs of the runtime: statuses for its
 * error codes, zeroed device memory, the geometry of launches. C side; kernels see launch.h. */
#ifndef KERNELS_CUDA_DEVICE_H
#define KERNELS_CUDA_DEVICE_H

#include "kernels/backend.h"
#include "kernels/cuda/handles.h"

#include <cuda_runtime_api.h>
#include <stdatomic.h>

enum { DEVICE_TEXT_SIZE = 320 };

/* What device_limit() was told, and what was free then; n_bytes 0: no limit. */
struct device_limit {
    atomic_size_t n_bytes, n_free;
};

/* One for each backend that is opened, and its; shared by all threads. */
struct cuda_device {
    int index, major; /* major: of the compute capability */
    struct backend_place place;
    char text[DEVICE_TEXT_SIZE];
    struct device_limit limit;
    struct handles handles;
};

/* ST_OK, or what `what` met: ST_NO_MEMORY if the device is full, else ST_INTERNAL. */
MUST_CHECK status_t cuda_check(cudaError_t code, const char *what, struct error *err);
MUST_CHECK status_t cublas_check(cublasStatus_t code, const char *what, struct error *err);

/* Make the backend's device the calling thread's. */
MUST_CHECK status_t device_choose(const struct backend *backend, struct error *err);

/* The device of the functions below is the calling thread's (device_choose()). */

/* Free and total of the device, within its limit; zeros if it does not say. */
struct backend_memory device_memory(const struct cuda_device *device);
/* What this backend may have on its device from now on is at most n_bytes. What others take, in
 * this process or not, counts too: the runtime knows only what is left. */
void device_limit(struct cuda_device *device, size_t n_bytes);

/* Has the backend's device failed for good? Any thread, whatever the others do. */
bool device_is_lost(struct backend *backend);

/* n_bytes of the device, zeroed (behind all work so far); NULL of 0 bytes is not given.
 * Errors: ST_NO_MEMORY with what is free. */
MUST_CHECK status_t device_alloc(const struct cuda_device *device, size_t n_bytes, void **out,
                                 struct error *err);
void device_free(const void *memory); /* NULL-safe */

/* Like device_alloc(), filled from the host. For weights: waits until it is done. */
MUST_CHECK status_t device_copy_of(const struct cuda_device *device, const void *host,
                                   size_t n_bytes, void **out, struct error *err);

#endif
