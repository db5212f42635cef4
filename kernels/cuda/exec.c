#include "kernels/cuda/exec.h"

#include "common/size.h"
#include "kernels/cuda/launch.h"

#include <stdlib.h>
#include <string.h>

enum { EXEC_PINNED_BYTES = 1 << 20 };
/* What NVIDIA advises: more from Hopper on. With a workspace of its own cuBLAS allocates nothing,
 * and its results do not depend on what other streams do. */
enum { HOPPER_MAJOR = 9, SMALL_WORKSPACE_BYTES = 4 << 20, WORKSPACE_BYTES = 32 << 20 };
enum { CUBLAS_OWN_BYTES = 256 << 20 }; /* more than it takes for a handle */

status_t scratch_reserve(const struct exec *exec, struct scratch *scratch, size_t n_bytes,
                         struct error *err)
{
    if (n_bytes <= scratch->n_bytes) return ST_OK;
    scratch_release(scratch);
    const status_t status = device_alloc(exec->backend->device, n_bytes, &scratch->memory, err);
    if (status == ST_OK) scratch->n_bytes = n_bytes;
    return status;
}

void scratch_release(struct scratch *scratch)
{
    device_free(scratch->memory);
    *scratch = (struct scratch){0};
}

status_t exec_reserve(struct exec *exec, struct scratch *scratch, size_t n_bytes, struct error *err)
{
    if (n_bytes <= scratch->n_bytes) return ST_OK;
    if (exec->is_recording)
        return error_set(err, ST_INTERNAL, "%zu bytes of scratch while operations are recorded",
                         n_bytes);
    const size_t more = scratch->n_bytes + scratch->n_bytes / 2;
    if (exec->n_recordings && scratch->memory) {
        if (exec->n_retired == EXEC_MAX_RETIRED)
            return error_set(err, ST_INTERNAL, "scratch has grown %d times", EXEC_MAX_RETIRED);
        exec->retired[exec->n_retired++] = *scratch;
        *scratch = (struct scratch){0};
    }
    /* room to grow into where there is any */
    if (more > n_bytes && scratch_reserve(exec, scratch, more, NULL) == ST_OK) return ST_OK;
    return scratch_reserve(exec, scratch, n_bytes, err);
}

status_t exec_put_attended(struct exec *exec, const struct attend_params *p, struct error *err)
{
    if (exec->is_recording && p->n_ctx < exec->recorded_ctx) exec->recorded_ctx = p->n_ctx;
    return exec_put_lengths(exec, p->lengths, p->n_sequences, err);
}

status_t exec_put_lengths(struct exec *exec, const uint32_t *lengths, size_t n, struct error *err)
{
    struct exec_lengths *l = &exec->lengths;
    if (n == l->n && memcmp(lengths, l->host, n * sizeof *lengths) == 0) return ST_OK;
    if (exec->is_recording)
        return error_set(err, ST_INTERNAL, "other lengths while operations are recorded");
    l->n = 0;
    uint32_t *grown = realloc(l->host, n * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "lengths of %zu sequences", n);
    l->host = grown;
    status_t status = exec_reserve(exec, &l->device, n * sizeof *lengths, err);
    if (status == ST_OK)
        status = exec_upload(exec, l->device.memory, lengths, n * sizeof *lengths, err);
    if (status != ST_OK) return status;
    memcpy(l->host, lengths, n * sizeof *lengths);
    l->n = n;
    return ST_OK;
}

static status_t pinned_open(struct pinned_buffer *b, struct error *err)
{
    const status_t status =
        cuda_check(cudaMallocHost(&b->memory, EXEC_PINNED_BYTES), "pinned memory", err);
    if (status != ST_OK) return status;
    return cuda_check(cudaEventCreateWithFlags(&b->free, cudaEventDisableTiming), "event", err);
}

size_t exec_bytes(const struct backend *backend)
{
    const struct cuda_device *device = backend->device;
    return device->major < HOPPER_MAJOR ? SMALL_WORKSPACE_BYTES : WORKSPACE_BYTES;
}

/* What scratch that has grown to n_bytes may have taken: half of what it was before on top. */
static bool add_grown(size_t n_bytes, size_t *sum)
{
    return size_add(*sum, n_bytes, sum) && size_add(*sum, n_bytes / 2, sum);
}

/* bf16 parts of the rows of a product; sums of adjoints, which take turns. */
size_t exec_scratch_estimate(const struct backend *backend, const struct scratch_shape *s)
{
    const struct contract_params contract = {
        .n_a = s->n_a, .n_b = s->n_b, .n_terms = s->n_terms, .d = s->d};
    const bool is_split = s->compute == COMPUTE_BF16 || s->compute == COMPUTE_BF16X3;
    size_t n_part, n_attended, n_contracted, sum = 0;
    (void)backend;
    bool is_possible =
        size_tensor(s->row_block, s->n_in, sizeof(uint16_t), &n_part) &&
        size_tensor(s->n_queries, ATTEND_BACKWARD_STATES, sizeof(float), &n_attended) &&
        size_mul(s->n_a, s->n_b, &n_contracted) &&
        size_tensor(n_contracted, s->n_a ? contract_n_parts(&contract) : 0, sizeof(double),
                    &n_contracted);
    if (is_possible && is_split) is_possible = add_grown(n_part, &sum);
    if (is_possible && s->compute == COMPUTE_BF16X3) is_possible = add_grown(n_part, &sum);
    if (is_possible)
        is_possible = add_grown(n_attended > n_contracted ? n_attended : n_contracted, &sum);
    return is_possible ? sum : SIZE_MAX;
}

/* Where there is no room for what cuBLAS itself keeps on the device, it is "not initialized". */
static status_t take_handle(struct exec *exec, struct error *err)
{
    struct cuda_device *device = exec->backend->device;
    const cublasStatus_t code = handles_take(&device->handles, &exec->cublas);
    const size_t n_free = code == CUBLAS_STATUS_NOT_INITIALIZED ? device_memory(device).n_free : 0;
    if (code != CUBLAS_STATUS_NOT_INITIALIZED || n_free >= CUBLAS_OWN_BYTES)
        return cublas_check(code, "create", err);
    return error_set(err, ST_NO_MEMORY, "cublas: create: %s; %zu bytes of the device are free",
                     cublasGetStatusString(code), n_free);
}

static status_t cublas_open(struct exec *exec, struct error *err)
{
    const size_t n_bytes = exec_bytes(exec->backend);
    status_t status = device_alloc(exec->backend->device, n_bytes, &exec->workspace, err);
    if (status == ST_OK) status = take_handle(exec, err);
    if (status == ST_OK)
        status = cublas_check(cublasSetStream(exec->cublas, exec->stream), "stream", err);
    if (status == ST_OK)
        status = cublas_check(cublasSetWorkspace(exec->cublas, exec->workspace, n_bytes),
                              "workspace", err);
    return status;
}

void exec_close(struct exec *exec)
{
    if (!exec) return;
    struct cuda_device *device = exec->backend->device;
    if (exec->stream) (void)cudaStreamSynchronize(exec->stream);
    handles_give_back(&device->handles, exec->cublas);
    for (size_t i = 0; i < EXEC_N_PINNED; i++) {
        if (exec->pinned[i].free) (void)cudaEventDestroy(exec->pinned[i].free);
        if (exec->pinned[i].memory) (void)cudaFreeHost(exec->pinned[i].memory);
    }
    for (size_t i = 0; i < exec->n_retired; i++) scratch_release(&exec->retired[i]);
    scratch_release(&exec->lengths.device);
    free(exec->lengths.host);
    scratch_release(&exec->tokens);
    scratch_release(&exec->hi);
    scratch_release(&exec->lo);
    scratch_release(&exec->sums);
    scratch_release(&exec->edits);
    scratch_release(&exec->terms);
    scratch_release(&exec->tile);
    scratch_release(&exec->states);
    scratch_release(&exec->pairs);
    scratch_release(&exec->columns);
    device_free(exec->workspace);
    if (exec->stream) (void)cudaStreamDestroy(exec->stream);
    free(exec);
}

status_t exec_open(struct exec **out, struct backend *backend, const struct exec_params *params,
                   struct error *err)
{
    if (!params->row_block || params->row_block > BACKEND_MAX_ROW_BLOCK)
        return error_set(err, ST_BAD_INPUT, "row block %zu is not 1..%d", params->row_block,
                         BACKEND_MAX_ROW_BLOCK);
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec) return error_set(err, ST_NO_MEMORY, "exec");
    exec->backend = backend;
    exec->row_block = params->row_block;
    status_t status = exec_enter(exec, err);
    if (status == ST_OK)
        status = cuda_check(cudaStreamCreateWithFlags(&exec->stream, cudaStreamNonBlocking),
                            "stream", err);
    for (size_t i = 0; i < EXEC_N_PINNED && status == ST_OK; i++)
        status = pinned_open(&exec->pinned[i], err);
    if (status == ST_OK) status = cublas_open(exec, err);
    if (status != ST_OK) {
        exec_close(exec);
        return status;
    }
    *out = exec;
    return ST_OK;
}

status_t exec_enter(struct exec *exec, struct error *err)
{
    return device_choose(exec->backend, err);
}

/* The next pinned buffer, once nothing uses it any more. */
static status_t take_pinned(struct exec *exec, struct pinned_buffer **out, struct error *err)
{
    *out = &exec->pinned[exec->next_pinned];
    exec->next_pinned = (exec->next_pinned + 1) % EXEC_N_PINNED;
    return cuda_check(cudaEventSynchronize((*out)->free), "waiting for a pinned buffer", err);
}

status_t exec_upload(struct exec *exec, void *device, const void *host, size_t n_bytes,
                     struct error *err)
{
    status_t status = exec_enter(exec, err);
    for (size_t at = 0; at < n_bytes && status == ST_OK; at += EXEC_PINNED_BYTES) {
        const size_t n = n_bytes - at < EXEC_PINNED_BYTES ? n_bytes - at : EXEC_PINNED_BYTES;
        struct pinned_buffer *buffer;
        status = take_pinned(exec, &buffer, err);
        if (status != ST_OK) return status;
        memcpy(buffer->memory, (const char *)host + at, n);
        status = cuda_check(cudaMemcpyAsync((char *)device + at, buffer->memory, n,
                                            cudaMemcpyHostToDevice, exec->stream),
                            "upload", err);
        if (status == ST_OK)
            status = cuda_check(cudaEventRecord(buffer->free, exec->stream), "upload", err);
    }
    return status;
}

/* The part of a download that starts at `at`, into the next pinned buffer. */
static status_t start_download(struct exec *exec, const void *device, size_t at, size_t n,
                               struct pinned_buffer **out, struct error *err)
{
    status_t status = take_pinned(exec, out, err);
    if (status == ST_OK)
        status = cuda_check(cudaMemcpyAsync((*out)->memory, (const char *)device + at, n,
                                            cudaMemcpyDeviceToHost, exec->stream),
                            "download", err);
    if (status == ST_OK)
        status = cuda_check(cudaEventRecord((*out)->free, exec->stream), "download", err);
    return status;
}

/* While one part is copied out of its buffer the next one is under way. */
status_t exec_download(struct exec *exec, void *host, const void *device, size_t n_bytes,
                       struct error *err)
{
    struct pinned_buffer *now = NULL, *next = NULL;
    status_t status = exec_enter(exec, err);
    size_t n = n_bytes < EXEC_PINNED_BYTES ? n_bytes : EXEC_PINNED_BYTES;
    if (status == ST_OK && n) status = start_download(exec, device, 0, n, &now, err);
    for (size_t at = 0; at < n_bytes && status == ST_OK;) {
        const size_t left = n_bytes - at - n;
        const size_t n_next = left < EXEC_PINNED_BYTES ? left : EXEC_PINNED_BYTES;
        if (n_next) status = start_download(exec, device, at + n, n_next, &next, err);
        if (status == ST_OK) status = cuda_check(cudaEventSynchronize(now->free), "download", err);
        if (status != ST_OK) return status;
        memcpy((char *)host + at, now->memory, n);
        at += n;
        n = n_next;
        now = next;
    }
    return status;
}

status_t exec_copy(struct exec *exec, void *to, const void *from, size_t n_bytes, struct error *err)
{
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !n_bytes) return status;
    return cuda_check(cudaMemcpyAsync(to, from, n_bytes, cudaMemcpyDeviceToDevice, exec->stream),
                      "copy", err);
}

status_t exec_synchronize(struct exec *exec, struct error *err)
{
    const status_t status = exec_enter(exec, err);
    return status == ST_OK ? cuda_check(cudaStreamSynchronize(exec->stream), "synchronize", err)
                           : status;
}
