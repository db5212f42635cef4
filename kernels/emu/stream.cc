/* Streams and events. Without INTERP_EMU_DEFERRED work runs when it is submitted. With it, work
 * waits until somebody synchronises; then streams take turns at random, each in its own order,
 * until what was waited for is done. So a missing wait is seen as old or poisoned data.
 *
 * Only streams that do not block are made, so the default stream of a device is one as any other:
 * it waits for nobody, and nobody for it. */
#include "kernels/emu/emu.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string.h>
#include <utility>
#include <vector>

struct CUevent_st {
    uint64_t n_recorded, n_reached;
    int device;
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
    int device;
};

namespace emu
{
static std::vector<CUstream_st *> streams; /* those that were created, and of default streams */
static CUstream_st default_streams[MAX_DEVICES]; /* those that had work */

/* The stream itself, or the default one of this thread's device. */
static CUstream_st *stream_of(cudaStream_t stream)
{
    if (stream) return stream;
    CUstream_st *s = &default_streams[current_device()];
    if (std::find(streams.begin(), streams.end(), s) == streams.end()) streams.push_back(s);
    s->device = current_device();
    return s;
}

void check_stream(const char *call, cudaStream_t stream)
{
    check_chosen(call);
    if (stream && stream->device != current_device())
        fail(NOWHERE, "%s on a stream of device %d by a thread that has chosen %d", call,
             stream->device, current_device());
}

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
    if (current_modes().is_deferred)
        stream_of(stream)->queue.push_back({std::move(work), nullptr, 0});
    else
        run_now(work);
}
} // namespace emu

using emu::big_lock;
typedef std::lock_guard<std::recursive_mutex> locked;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaStreamCreateWithFlags");
    if (flags != cudaStreamNonBlocking)
        emu::fail(emu::NOWHERE, "a stream that waits for the default one, which is not emulated");
    *out = new CUstream_st();
    (*out)->device = emu::current_device();
    emu::streams.push_back(*out);
    return emu::device_state();
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaStreamDestroy");
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
    emu::check_chosen("cudaStreamSynchronize");
    emu::check_not_captured("cudaStreamSynchronize");
    emu::drain(emu::stream_of(stream));
    return emu::device_state();
}

cudaError_t cudaDeviceSynchronize(void)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaDeviceSynchronize");
    emu::check_none_captured("cudaDeviceSynchronize"); /* however it is captured */
    emu::streams_drain();
    return emu::device_state();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    const locked guard(big_lock());
    emu::check_not_captured("cudaStreamWaitEvent");
    if (emu::current_modes().is_deferred) stream->queue.push_back({{}, event, event->n_recorded});
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned)
{
    emu::check_chosen("cudaEventCreateWithFlags");
    *out = new CUevent_st();
    (*out)->device = emu::current_device();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaEventDestroy");
    emu::streams_drain(); /* somebody may still wait for it */
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    const locked guard(big_lock());
    emu::check_not_captured("cudaEventRecord");
    if (event->device != emu::stream_of(stream)->device)
        emu::fail(emu::NOWHERE, "cudaEventRecord of an event of another device than the stream's");
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
