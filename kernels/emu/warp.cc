/* Collectives of a warp: the lanes of a mask meet, and each takes its result. */
#include "kernels/emu/emu.h"
#include "kernels/emu/fiber.h"

#include <string.h>

namespace emu
{
/* Lanes with one mask that are on their way to meet. */
struct meeting {
    unsigned mask, arrived;
    unsigned leader; /* thread that came first: the others must come to the same place */
};

struct warp {
    meeting meetings[WARP_SIZE];
    unsigned n_meetings, exited, phase;
};

enum { MAX_WARPS = MAX_BLOCK_THREADS / WARP_SIZE };
static warp warps[MAX_WARPS];
static char sync_tags[MAX_WARPS][2];

void warps_reset()
{
    for (warp &w : warps) w.n_meetings = w.exited = w.phase = 0;
}

void warp_thread_finished(unsigned index)
{
    warps[index / WARP_SIZE].exited |= 1u << index % WARP_SIZE;
}

/* The meeting of that mask, a new one if this lane is the first. */
static meeting &meeting_of(warp &w, unsigned mask)
{
    for (unsigned i = 0; i < w.n_meetings; i++)
        if (w.meetings[i].mask == mask) return w.meetings[i];
    meeting &m = w.meetings[w.n_meetings++];
    m.mask = mask;
    m.arrived = 0;
    m.leader = running.current;
    return m;
}

static void check_same_place(const thread &leader, const thread &t)
{
    if (leader.operation == t.operation && leader.where.line == t.where.line &&
        (leader.where.file == t.where.file || strcmp(leader.where.file, t.where.file) == 0))
        return;
    fail(t.where, "lanes of one mask meet at different places, lines %d and %d", leader.where.line,
         t.where.line);
}

/* All have come: results for all, who may run again. A lane outside the mask has no value to give:
 * NaN, as undefined as on a GPU. */
static void conclude(thread *lanes, unsigned mask, collective operation)
{
    uint64_t ballot = 0;
    for (unsigned lane = 0; operation == collective::ballot && lane < WARP_SIZE; lane++)
        if (mask >> lane & 1 && lanes[lane].value) ballot |= 1u << lane;
    for (unsigned left = mask; left; left &= left - 1) {
        thread &t = lanes[__builtin_ctz(left)];
        t.state = state::runnable;
        if (operation == collective::shuffle)
            t.result = mask >> t.source_lane & 1 ? lanes[t.source_lane].value : UINT64_MAX;
        else
            t.result = ballot;
    }
}

uint64_t warp_collective(collective operation, unsigned mask, uint64_t value, int source_lane,
                         site where)
{
    const unsigned lane = running.current % WARP_SIZE, first = running.current - lane;
    const unsigned n_lanes = running.n_threads - first;
    warp &w = warps[first / WARP_SIZE];
    thread &t = running.threads[first + lane];
    if (!(mask >> lane & 1))
        fail(where, "lane %u calls with mask %08x, without itself", lane, mask);
    if (n_lanes < WARP_SIZE) mask &= (1u << n_lanes) - 1;
    if (w.exited & mask) fail(where, "lanes %08x of the mask have left", w.exited & mask);
    t.where = where;
    t.operation = operation;
    t.mask = mask;
    t.value = value;
    t.source_lane = static_cast<unsigned char>(static_cast<unsigned>(source_lane) % WARP_SIZE);
    char *tag = &sync_tags[first / WARP_SIZE][w.phase];
    if (operation == collective::sync) sync_release(tag);
    meeting &m = meeting_of(w, mask);
    check_same_place(running.threads[m.leader], t);
    m.arrived |= 1u << lane;
    if (m.arrived == mask) {
        conclude(&running.threads[first], mask, operation);
        m = w.meetings[--w.n_meetings];
        w.phase ^= 1;
    } else {
        t.state = state::at_collective;
        leave_thread();
    }
    if (operation == collective::sync) sync_acquire(tag);
    return t.result;
}
} // namespace emu
