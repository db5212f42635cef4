#include "kernels/cuda/recording.h"

#include <stdlib.h>

struct recording {
    struct exec *exec;
    cudaGraphExec_t launches;
    void *lengths; /* device [n_sequences], where the launches read them */
    size_t n_sequences;
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

status_t recording_replay(struct recording *r, const uint32_t *lengths, size_t n_sequences,
                          struct error *err)
{
    if (n_sequences != r->n_sequences)
        return error_set(err, ST_BAD_INPUT, "lengths of %zu sequences, recorded with %zu",
                         n_sequences, r->n_sequences);
    status_t status = exec_enter(r->exec, err);
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
    if (exec_enter(r->exec, NULL) == ST_OK && cudaStreamSynchronize(r->exec->stream) == cudaSuccess)
        (void)cudaGraphExecDestroy(r->launches);
    free(r);
}
