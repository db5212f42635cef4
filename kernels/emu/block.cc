/* One block: its threads as fibers, who runs next, and the block barrier.
 *
 * forward and reverse run warp after warp, each until it can go no further. random picks one
 * thread, or one warp and drives it once or until it blocks: lock-step rounds would hide a missing
 * barrier, one warp far ahead of the others shows it.
 *
 * Whoever drives a warp, its threads hand over to each other: a thread that waits switches to the
 * next lane that can run, and the last one back to the scheduler. A thread gets a stack when it
 * begins; when it ends, the next one to begin goes on there. So a kernel without barriers costs
 * calls, and no switches. Under TSan every thread keeps a stack of its own: the race detector
 * knows threads by their stacks. */
#include "kernels/emu/emu.h"
#include "kernels/emu/fiber.h"

#include <string.h>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emu
{
block running;
static fiber *scheduler;
/* Stacks of threads that have ended. Never destroyed: leak checkers look behind destructors. */
static std::vector<fiber *> &idle = *new std::vector<fiber *>;
static const std::function<void()> *kernel_body;
static char start_tag, end_tag, barrier_tags[2];

#ifdef EMU_TSAN
enum { REUSES_STACKS = 0 };
#else
enum { REUSES_STACKS = 1 };
#endif

/* The warp that is being driven: which lane comes next, and whether from the first again. */
static struct {
    unsigned first, flip, lane, end;
    bool is_once;
} drive;
static size_t n_turns;

static thread *thread_at(unsigned lane)
{
    const unsigned index = drive.first + (lane ^ drive.flip);
    thread *t = &running.threads[index];
    return index < running.n_threads && t->state == state::runnable ? t : nullptr;
}

/* Who runs next in this drive; NULL: nobody. */
static thread *next_thread()
{
    for (; drive.lane < drive.end; drive.lane++)
        if (thread *t = thread_at(drive.lane)) return t;
    if (drive.is_once) return nullptr;
    for (drive.lane = 0; drive.lane < drive.end; drive.lane++)
        if (thread *t = thread_at(drive.lane)) return t;
    return nullptr;
}

static void begin_turn(const thread *t)
{
    drive.lane++;
    n_turns++;
    running.current = static_cast<unsigned>(t - running.threads);
    threadIdx = t->index;
}

static void end_thread()
{
    running.threads[running.current].state = state::finished;
    running.n_live--;
    warp_thread_finished(running.current);
    sync_release(&end_tag);
}

static void thread_main();

static fiber *take_stack()
{
    if (idle.empty()) return fiber_create(thread_main);
    fiber *stack = idle.back();
    idle.pop_back();
    return stack;
}

/* From a thread (or the scheduler) that is on `self` to the next thread, or to the scheduler. */
static void hand_over(fiber *self)
{
    thread *next = next_thread();
    if (!next) {
        if (self != scheduler) fiber_switch(self, scheduler);
        return;
    }
    begin_turn(next);
    if (!next->stack) next->stack = take_stack();
    if (next->stack != self) fiber_switch(self, next->stack);
}

static void thread_main()
{
    fiber_started();
    for (;;) {
        fiber *self = running.threads[running.current].stack;
        (*kernel_body)();
        end_thread();
        if (REUSES_STACKS) idle.push_back(self); /* the next to begin takes the last */
        hand_over(self);
    }
}

void leave_thread()
{
    hand_over(running.threads[running.current].stack);
}

/* Runs every thread of a warp once, or until none can go on; `flip` changes their order. */
static bool drive_warp(unsigned first, unsigned flip, bool is_once)
{
    const size_t n_before = n_turns;
    drive = {first, flip, 0, WARP_SIZE, is_once};
    hand_over(scheduler);
    return n_turns != n_before;
}

static void drive_thread(unsigned index)
{
    const unsigned lane = index % WARP_SIZE;
    drive = {index - lane, 0, lane, lane + 1, true};
    hand_over(scheduler);
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
        if (running.threads[index].state != state::runnable) continue;
        const uint32_t how = random_bits() % 4;
        if (how == 0)
            drive_thread(index);
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

/* Their places: the same for all blocks of a launch, and mostly for the next one. */
static void number_threads(const dim3 &b)
{
    static dim3 last(0, 0, 0);
    if (last.x == b.x && last.y == b.y && last.z == b.z) return;
    last = b;
    for (unsigned i = 0; i < b.x * b.y * b.z; i++)
        running.threads[i].index = {i % b.x, i / b.x % b.y, i / (b.x * b.y)};
}

/* For TSan, before any of them runs: who makes a stack is ordered before whoever runs on it.
 * Neighbouring blocks take different ones, so that they are not ordered by using the same. */
static void give_own_stacks()
{
    enum { N_SETS = 4 };
    static fiber *stacks[N_SETS][MAX_BLOCK_THREADS];
    static unsigned set;
    if (REUSES_STACKS) return;
    set = (set + 1) % N_SETS;
    for (unsigned i = 0; i < running.n_threads; i++) {
        if (!stacks[set][i]) stacks[set][i] = fiber_create(thread_main);
        running.threads[i].stack = stacks[set][i];
    }
}

static void start_threads(const dim3 &b)
{
    running.n_threads = running.n_live = b.x * b.y * b.z;
    number_threads(b);
    for (unsigned i = 0; i < running.n_threads; i++) {
        running.threads[i].stack = nullptr;
        running.threads[i].state = state::runnable;
    }
    give_own_stacks();
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
    start_threads(shape.block);
    scheduler = fiber_host();
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
