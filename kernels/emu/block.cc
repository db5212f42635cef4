/* One block: its threads as fibers, who runs next, and the block barrier.
 *
 * forward and reverse run warp after warp, each until it can go no further. random picks one
 * thread, or one warp and drives it once or until it blocks: lock-step rounds would hide a missing
 * barrier, one warp far ahead of the others shows it. */
#include "kernels/emu/emu.h"
#include "kernels/emu/fiber.h"

#include <string.h>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emu
{
/* Under TSan a thread of a block keeps its fiber, and neighbouring blocks take different ones, so
 * that they are not ordered by using the same. */
enum { N_FIBER_SETS = 4 };

block running;
static fiber *fibers[N_FIBER_SETS][MAX_BLOCK_THREADS];
static unsigned fiber_set;
static const std::function<void()> *kernel_body;
static char start_tag, end_tag, barrier_tags[2];

static void thread_main()
{
    fiber_started();
    for (;;) {
        (*kernel_body)();
        running.threads[running.current].state = state::finished;
        sync_release(&end_tag);
        leave_thread();
    }
}

void leave_thread()
{
    fiber_leave(running.threads[running.current].stack);
}

static void resume(unsigned index)
{
    thread &t = running.threads[index];
    running.current = index;
    threadIdx = t.index;
    fiber_enter(t.stack);
    if (t.state != state::finished) return;
    running.n_live--;
    warp_thread_finished(index);
}

static bool is_runnable(unsigned index)
{
    return running.threads[index].state == state::runnable;
}

/* Runs every thread of a warp once, or until none can go on; `flip` changes their order. */
static bool drive_warp(unsigned first, unsigned flip, bool is_once)
{
    bool has_run = false;
    for (bool again = true; again;) {
        again = false;
        for (unsigned lane = 0; lane < WARP_SIZE; lane++) {
            const unsigned index = first + (lane ^ flip);
            if (index >= running.n_threads || !is_runnable(index)) continue;
            resume(index);
            has_run = true;
            again = !is_once;
        }
    }
    return has_run;
}

static bool run_in_order(bool is_reverse)
{
    const unsigned n_warps = (running.n_threads + WARP_SIZE - 1) / WARP_SIZE;
    bool has_run = false;
    for (unsigned i = 0; i < n_warps; i++) {
        const unsigned warp = is_reverse ? n_warps - 1 - i : i;
        has_run |= drive_warp(warp * WARP_SIZE, is_reverse ? WARP_SIZE - 1 : 0, false);
    }
    return has_run;
}

static bool run_at_random()
{
    const unsigned start = random_bits() % running.n_threads;
    for (unsigned i = 0; i < running.n_threads; i++) {
        const unsigned index = (start + i) % running.n_threads;
        if (!is_runnable(index)) continue;
        const uint32_t how = random_bits() % 4;
        if (how == 0)
            resume(index);
        else
            (void)drive_warp(index / WARP_SIZE * WARP_SIZE, random_bits() % WARP_SIZE, how == 1);
        return true;
    }
    return false;
}

/* Every live thread waits at the barrier: the same one, and nobody left before it. */
static void release_barrier()
{
    const thread *first = nullptr;
    for (unsigned i = 0; i < running.n_threads; i++) {
        thread &t = running.threads[i];
        if (t.state != state::at_barrier) continue;
        if (!first) first = &t;
        if (t.where.line != first->where.line || strcmp(t.where.file, first->where.file) != 0)
            fail(t.where, "threads of a block wait at different barriers, lines %d and %d",
                 first->where.line, t.where.line);
    }
    if (running.n_live < running.n_threads)
        fail(first->where, "%u threads left the kernel before this barrier",
             running.n_threads - running.n_live);
    for (unsigned i = 0; i < running.n_threads; i++) running.threads[i].state = state::runnable;
    running.barrier_phase ^= 1;
}

/* Nobody can go on: either all wait at the barrier, or somebody waits for ever. */
static void unblock()
{
    for (unsigned i = 0; i < running.n_threads; i++) {
        const thread &t = running.threads[i];
        if (t.state != state::at_collective) continue;
        threadIdx = t.index;
        fail(t.where, "warp collective with mask %08x: some of its lanes never come", t.mask);
    }
    release_barrier();
}

static void start_threads(const launch_shape &shape)
{
    const dim3 &b = shape.block;
    running.n_threads = running.n_live = b.x * b.y * b.z;
#ifdef EMU_TSAN
    fiber_set = (fiber_set + 1) % N_FIBER_SETS;
#endif
    for (unsigned i = 0; i < running.n_threads; i++) {
        thread &t = running.threads[i];
        fiber *&stack = fibers[fiber_set][i];
        if (!stack) stack = fiber_create(thread_main);
        t.stack = stack;
        t.state = state::runnable;
        t.index = {i % b.x, i / b.x % b.y, i / (b.x * b.y)};
    }
    sync_release(&start_tag);
}

void run_block(const launch_shape &shape, size_t index, const std::function<void()> &body)
{
    const order how = current_modes().order;
    const std::function<void()> first_acquire = [&body] {
        sync_acquire(&start_tag);
        body();
    };
    kernel_body = &first_acquire;
    blockDim = shape.block;
    gridDim = shape.grid;
    blockIdx = {static_cast<unsigned>(index % gridDim.x),
                static_cast<unsigned>(index / gridDim.x % gridDim.y),
                static_cast<unsigned>(index / gridDim.x / gridDim.y)};
    shared_begin(shape);
    warps_reset();
    start_threads(shape);
    while (running.n_live > 0) {
        const bool has_run =
            how == order::random ? run_at_random() : run_in_order(how == order::reverse);
        if (!has_run) unblock();
    }
    shared_end_block();
}

void blocks_end()
{
    sync_acquire(&end_tag);
}

void block_barrier(site where)
{
    thread &t = running.threads[running.current];
    char *tag = &barrier_tags[running.barrier_phase];
    t.where = where;
    t.state = state::at_barrier;
    sync_release(tag);
    leave_thread();
    sync_acquire(tag);
}

void yield_at_random()
{
    if (!kernel_name || current_modes().order != order::random || random_bits() % 2 != 0) return;
    leave_thread();
}
} // namespace emu
