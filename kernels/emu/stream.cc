/* Streams and events. Without INTERP_EMU_DEFERRED work runs when it is submitted. With it, work
 * waits until somebody synchronises; then streams take turns at random, each in its own order,
 * until what was waited for is done. So a missing wait is seen as old or poisoned data. */
#include "kernels/emu/emu.h"

#include <deque>
#include <memory>
#include <string.h>
#include <utility>
#include <vector>

struct CUevent_st {
    uint64_t n_recorded, n_reached;
};

namespace emu
{
struct item {
    std::function<void()> work; /* or none: */
    CUevent_st *awaited;        /* goes on when n_reached is at least `reach` */
    uint64_t reach;
};
} // namespace emu

struct CUstream_st {
    std::deque<emu::item> queue;
};

namespace emu
{
static std::vector<CUstream_st *> streams; /* without the default stream, which waits for all */

static bool is_ready(const CUstream_st *s)
{
    if (s->queue.empty()) return false;
    const item &next = s->queue.front();
    return !next.awaited || next.awaited->n_reached >= next.reach;
}

/* On a lost device work is dropped. */
static void run_now(const std::function<void()> &work)
{
    if (device_state() != cudaSuccess) return;
    host_locked_out(false);
    work();
    host_locked_out(true);
}

/* One item of some stream that may go on. */
static void step()
{
    std::vector<CUstream_st *> ready;
    for (CUstream_st *s : streams)
        if (is_ready(s)) ready.push_back(s);
    if (ready.empty()) fail(NOWHERE, "streams wait for an event that nobody records");
    CUstream_st *s = ready[random_bits() % ready.size()];
    const item next = std::move(s->queue.front());
    s->queue.pop_front();
    if (next.work) run_now(next.work);
}

static void drain(const CUstream_st *s)
{
    while (!s->queue.empty() && device_state() == cudaSuccess) step();
}

void streams_drain()
{
    for (const CUstream_st *s : streams) drain(s);
}

void stream_submit(cudaStream_t stream, std::function<void()> work)
{
    if (graph_takes(stream, work)) return;
    if (!stream) check_not_captured("work on the default stream");
    if (current_modes().is_deferred && stream) {
        stream->queue.push_back({std::move(work), nullptr, 0});
        return;
    }
    streams_drain(); /* the default stream waits for all; nothing waits without deferral */
    run_now(work);
}
} // namespace emu

using emu::big_lock;
typedef std::lock_guard<std::recursive_mutex> locked;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned)
{
    const locked guard(big_lock());
    *out = new CUstream_st();
    emu::streams.push_back(*out);
    return emu::device_state();
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    const locked guard(big_lock());
    emu::drain(stream);
    for (size_t i = 0; i < emu::streams.size(); i++) {
        if (emu::streams[i] != stream) continue;
        emu::streams.erase(emu::streams.begin() + static_cast<ptrdiff_t>(i));
        delete stream;
        return cudaSuccess;
    }
    emu::fail(emu::NOWHERE, "cudaStreamDestroy of a stream that is not there");
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    const locked guard(big_lock());
    emu::check_not_captured("cudaStreamSynchronize");
    if (stream)
        emu::drain(stream);
    else
        emu::streams_drain();
    return emu::device_state();
}

cudaError_t cudaDeviceSynchronize(void)
{
    const locked guard(big_lock());
    emu::streams_drain();
    return emu::device_state();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    const locked guard(big_lock());
    if (emu::current_modes().is_deferred) stream->queue.push_back({{}, event, event->n_recorded});
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned)
{
    *out = new CUevent_st();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    const locked guard(big_lock());
    emu::streams_drain(); /* somebody may still wait for it */
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    const locked guard(big_lock());
    emu::check_not_captured("cudaEventRecord");
    const uint64_t reach = ++event->n_recorded;
    emu::stream_submit(stream, [event, reach] { event->n_reached = reach; });
    return emu::device_state();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    const locked guard(big_lock());
    emu::check_not_captured("cudaEventSynchronize");
    while (event->n_reached < event->n_recorded && emu::device_state() == cudaSuccess) emu::step();
    return emu::device_state();
}
