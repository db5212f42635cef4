/* CUDA graphs as lists of work: what a captured stream was given, submitted again at each launch.
 * Calls that a capture forbids end the process, as they would spoil the capture on a GPU. */
#include "kernels/emu/emu.h"

#include <map>
#include <vector>

struct CUgraph_st {
    std::vector<std::function<void()>> work;
};

struct CUgraphExec_st {
    std::vector<std::function<void()>> work;
};

namespace emu
{
static std::map<cudaStream_t, CUgraph_st *> captures; /* streams that are captured now */
static thread_local cudaStream_t captured;            /* by this thread, or NULL */
static uint64_t n_alive;                              /* instantiated graphs; under the big lock */

uint64_t n_graphs_alive()
{
    return n_alive;
}

bool graph_takes(cudaStream_t stream, const std::function<void()> &work)
{
    const auto found = captures.find(stream);
    if (found == captures.end()) return false;
    if (stream != captured) fail(NOWHERE, "work on a stream that another thread captures");
    found->second->work.push_back(work);
    return true;
}

bool is_captured(cudaStream_t stream)
{
    return captures.count(stream) > 0;
}

void check_not_captured(const char *call)
{
    if (captured) fail(NOWHERE, "%s while a stream is captured", call);
}

void check_none_captured(const char *call)
{
    if (!captures.empty()) fail(NOWHERE, "%s while a thread captures a stream", call);
}
} // namespace emu

using emu::big_lock;
typedef std::lock_guard<std::recursive_mutex> locked;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    const locked guard(big_lock());
    emu::check_not_captured("cudaStreamBeginCapture");
    emu::check_stream("cudaStreamBeginCapture", stream);
    if (!stream) emu::fail(emu::NOWHERE, "cudaStreamBeginCapture of the default stream");
    emu::captures[stream] = new CUgraph_st();
    emu::captured = stream;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
    const locked guard(big_lock());
    if (!stream || stream != emu::captured)
        emu::fail(emu::NOWHERE, "cudaStreamEndCapture of a stream that is not captured here");
    *out = emu::captures[stream];
    emu::captures.erase(stream);
    emu::captured = nullptr;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
    const locked guard(big_lock());
    *out = new CUgraphExec_st{graph->work};
    emu::n_alive++;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream)
{
    const locked guard(big_lock());
    for (const auto &work : graph->work) emu::stream_submit(stream, work);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph)
{
    const locked guard(big_lock());
    emu::n_alive--;
    delete graph;
    return cudaSuccess;
}
