#include "kernels/cuda/recording.h"

#include <stdlib.h>

struct recording {
    struct exec *exec;
    cudaGraphExec_t launches;
    void *lengths; /* device [n_sequences], where the launches read them */
    size_t n_sequences;
    size_t n_ctx; /* no length may be over it: the least context of its attentions */
};

status_t recording_begin(struct exec *exec, const uint32_t *lengths, size_t n_sequences,
                         struct error *err)
{
    if (exec->is_recording || !n_sequences)
        return error_set(err, ST_INTERNAL, "a recording inside a recording, or of nothing");
    status_t status = exec_enter(exec, err);
    if (status == ST_OK) status = exec_put_lengths(exec, lengths, n_sequences, err);
    if (status == ST_OK)
        status = cuda_check(cudaStreamBeginCapture(exec->stream, cudaStreamCaptureModeThreadLocal),
                            "recording", err);
    if (status != ST_OK) return status;
    exec->is_recording = true;
    exec->recorded_ctx = SIZE_MAX;
    exec->n_recordings++;
    return ST_OK;
}

static status_t instantiate(struct exec *exec, cudaGraph_t graph, struct recording **out,
                            struct error *err)
{
    struct recording *r = calloc(1, sizeof *r);
    if (!r) return error_set(err, ST_NO_MEMORY, "recording");
    r->exec = exec;
    r->lengths = exec->lengths.device.memory;
    r->n_sequences = exec->lengths.n;
    r->n_ctx = exec->recorded_ctx;
    const status_t status =
        cuda_check(cudaGraphInstantiate(&r->launches, graph, 0), "recording", err);
    if (status != ST_OK) {
        free(r);
        return status;
    }
    *out = r;
    return ST_OK;
}

status_t recording_end(struct exec *exec, struct recording **out, struct error *err)
{
    cudaGraph_t graph = NULL;
    if (!exec->is_recording) return error_set(err, ST_INTERNAL, "no recording to end");
    exec->is_recording = false;
    status_t status = cuda_check(cudaStreamEndCapture(exec->stream, &graph), "recording", err);
    if (status == ST_OK && out) status = instantiate(exec, graph, out, err);
    if (graph) (void)cudaGraphDestroy(graph);
    return status;
}

/* Before any of them is on the device: the launches believe what they read there. */
static status_t check_lengths(const struct recording *r, const uint32_t *lengths,
                              size_t n_sequences, struct error *err)
{
    if (n_sequences != r->n_sequences)
        return error_set(err, ST_BAD_INPUT, "lengths of %zu sequences, recorded with %zu",
                         n_sequences, r->n_sequences);
    for (size_t s = 0; s < n_sequences; s++)
        if (lengths[s] > r->n_ctx)
            return error_set(err, ST_BAD_INPUT, "replay: sequence %zu has %u tokens of %zu", s,
                             (unsigned)lengths[s], r->n_ctx);
    return ST_OK;
}

status_t recording_replay(struct recording *r, const uint32_t *lengths, size_t n_sequences,
                          struct error *err)
{
    status_t status = check_lengths(r, lengths, n_sequences, err);
    if (status == ST_OK) status = exec_enter(r->exec, err);
    if (status == ST_OK && r->lengths == r->exec->lengths.device.memory)
        status = exec_put_lengths(r->exec, lengths, n_sequences, err);
    else if (status == ST_OK) /* the exec's have grown and moved since */
        status = exec_upload(r->exec, r->lengths, lengths, n_sequences * sizeof *lengths, err);
    if (status != ST_OK) return status;
    return cuda_check(cudaGraphLaunch(r->launches, r->exec->stream), "replay", err);
}

void recording_destroy(struct recording *r)
{
    if (!r) return;
    (void)!exec_enter(r->exec, NULL); /* of a lost device, too, nothing stays behind */
    (void)cudaStreamSynchronize(r->exec->stream);
    (void)cudaGraphExecDestroy(r->launches);
    free(r);
}
