#include "kernels/cuda/handles.h"

#include <stdbool.h>

status_t handles_init(struct handles *handles, struct error *err)
{
    handles->n_idle = 0;
    if (pthread_mutex_init(&handles->lock, NULL) == 0) return ST_OK;
    return error_set(err, ST_NO_MEMORY, "the lock of cuBLAS handles");
}

void handles_fini(struct handles *handles)
{
    for (size_t i = 0; i < handles->n_idle; i++) (void)cublasDestroy(handles->idle[i]);
    (void)pthread_mutex_destroy(&handles->lock);
}

cublasStatus_t handles_take(struct handles *handles, cublasHandle_t *out)
{
    *out = NULL;
    (void)pthread_mutex_lock(&handles->lock);
    if (handles->n_idle) *out = handles->idle[--handles->n_idle];
    (void)pthread_mutex_unlock(&handles->lock);
    if (*out) return CUBLAS_STATUS_SUCCESS;
    const cublasStatus_t code = cublasCreate(out);
    if (code != CUBLAS_STATUS_SUCCESS) *out = NULL;
    return code;
}

void handles_give_back(struct handles *handles, cublasHandle_t handle)
{
    if (!handle) return;
    (void)cublasSetStream(handle, NULL); /* its stream goes, and its workspace with it */
    (void)pthread_mutex_lock(&handles->lock);
    const bool has_room = handles->n_idle < HANDLES_MOST_IDLE;
    if (has_room) handles->idle[handles->n_idle++] = handle;
    (void)pthread_mutex_unlock(&handles->lock);
    if (!has_room) (void)cublasDestroy(handle);
}
