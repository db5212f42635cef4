/* The cuBLAS handles of a device that no exec has: one that is given back serves the next exec.
 *
 * cublasDestroy() waits for the whole device: CUDA refuses that while any thread records, and it
 * ends what that one records (device.c). So no handle goes before its device does, and there are
 * never more of them than there were execs at once. Any thread; taking and giving back lock. */
#ifndef KERNELS_CUDA_HANDLES_H
#define KERNELS_CUDA_HANDLES_H

#include "common/error.h"

#include <cublas_v2.h>
#include <pthread.h>

enum { HANDLES_MOST_IDLE = 256 };

struct handles {
    pthread_mutex_t lock;
    cublasHandle_t idle[HANDLES_MOST_IDLE];
    size_t n_idle;
};

MUST_CHECK status_t handles_init(struct handles *handles, struct error *err);
/* The device is the calling thread's, and nobody records. */
void handles_fini(struct handles *handles);

/* One that is idle, else a new one of the calling thread's device. It has no stream and no
 * workspace. Returns what cublasCreate() says. */
cublasStatus_t handles_take(struct handles *handles, cublasHandle_t *out);
/* Its work is done. NULL-safe. */
void handles_give_back(struct handles *handles, cublasHandle_t handle);

#endif
