/* The CUDA execution model on the host: what the emulator's parts share with each other and with
 * the headers in include/.
 *
 *   a .cu file --include/cuda_runtime.h--> launch.cc: grid, arguments    stream.cc: order of work
 *                                             |
 *                                          block.cc: the threads of one block, as fibers
 *                                          warp.cc:  collectives       shared.cc: shared memory
 *   a .c file ---include/cuda_runtime_api.h, cublas_v2.h--> memory.cc, stream.cc, cublas.cc
 *
 * A block's threads are fibers on one host thread. They change places at barriers, at warp
 * collectives and (random order) before atomics; blocks run one after the other. The emulator
 * itself is never instrumented: under a sanitizer the kernels are, and fibers, shared memory and
 * barriers are made known to it (fiber.cc).
 *
 * One lock guards everything, so that any host thread may call; kernels run under it. A mistake of
 * a kernel or of its host code ends the process with one line: what, kernel, block, thread, line.
 *
 * Modes, from the environment:
 *   INTERP_EMU_ORDER=forward|reverse|random   order of threads and blocks
 *   INTERP_EMU_SEED=N                         of random and of deferred
 *   INTERP_EMU_DEFERRED=1   work on a stream runs as late as it may, streams in random legal order
 *   INTERP_EMU_GUARD=1      device memory ends at a guard page and is out of the host's reach
 *   INTERP_EMU_ARITHMETIC=device   sums of products and functions of the mathematical library
 *                           rounded as badly as a GPU may (arithmetic.cc); else: as on this host
 *   INTERP_EMU_MEMORY_MIB=N size of each device (default 4096)
 * and what a machine may be like:
 *   INTERP_EMU_DEVICES=N    devices, 1 to 16 (default 1): each with memory of its own
 *   INTERP_EMU_DRIVER=N     the CUDA version that the driver knows, 1000 * major + 10 * minor;
 *                           0: there is no driver
 *   INTERP_EMU_ARCH=NN      compute capability (default 80)
 *   INTERP_EMU_MIG=1        devices are parts of others, as their names tell
 *   INTERP_EMU_NO_IMAGE=1   no kernel has an image for the device
 *   INTERP_EMU_FAULT=KERNEL:N   the Nth launch of a kernel whose name contains KERNEL makes an
 *                           illegal access: the device is lost, as a GPU's context is
 *   INTERP_EMU_TAKEN=KERNEL:N:MIB   from the Nth launch of such a kernel on another process has
 *                           that much of the device's memory
 *   INTERP_EMU_FULL=KERNEL:N   from the Nth on every launch of such a kernel leaves the device
 *                           full, by another process, until this one gives something back
 * Fresh device, pinned and shared memory is always filled with NaN. */
#ifndef KERNELS_EMU_EMU_H
#define KERNELS_EMU_EMU_H

#include <functional>
#include <mutex>
#include <stddef.h>
#include <stdint.h>

#include "kernels/emu/include/cuda_runtime_api.h"

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace emu
{
enum { WARP_SIZE = 32, MAX_BLOCK_THREADS = 1024 };
/* Of a block: without asking, and at most on every architecture that is built for (99 KB on sm_86
 * and 89, where sm_80 has 163 and sm_90 227). */
enum { SHARED_DEFAULT_BYTES = 48 << 10, SHARED_MAX_BYTES = 99 << 10 };

/* --- modes.cc ---------------------------------------------------------------------------- */
enum class order { forward, reverse, random };
struct modes {
    enum order order;
    bool is_deferred, has_guards, has_device_arithmetic;
    size_t memory_bytes;
    int n_devices, driver, arch;
    bool has_image, is_part;
    const char *fault; /* KERNEL:N, or NULL */
    const char *taken; /* KERNEL:N:MIB, or NULL */
    const char *full;  /* KERNEL:N, or NULL */
};
const modes &current_modes();
uint32_t random_bits();

/* Where a kernel stands, for messages. */
struct site {
    const char *file;
    int line;
};
[[noreturn]] void fail(site where, const char *format, ...) __attribute__((format(printf, 2, 3)));
inline constexpr site NOWHERE = {nullptr, 0};

/* Held by every call from the host. */
std::recursive_mutex &big_lock();

/* --- device.cc --------------------------------------------------------------------------- */
enum { MAX_DEVICES = 16 };
int current_device(); /* of the calling thread */
/* On a machine with several devices: this thread has chosen one, or the end. A GPU's runtime takes
 * device 0, and memory of it for a context that nobody wanted. */
void check_chosen(const char *call);
/* After an illegal access nothing works any more: what calls then return, cudaSuccess before. */
cudaError_t device_state();
void device_lose();

/* --- launch.cc --------------------------------------------------------------------------- */
struct launch_shape {
    const char *name;
    const void *kernel;
    dim3 grid, block;
    size_t n_dynamic; /* bytes of dynamic shared memory */
    cudaStream_t stream;
};
void check_argument(const char *kernel, const void *pointer);
void launch(const launch_shape &shape, std::function<void()> body);
extern const char *kernel_name; /* of the kernel that runs, or NULL */

/* --- block.cc ---------------------------------------------------------------------------- */
enum class state : unsigned char { runnable, at_barrier, at_collective, finished };
enum class collective : unsigned char { sync, shuffle, ballot };
struct fiber;
struct alignas(64) thread {
    fiber *stack;
    site where;
    uint3 index;
    enum state state;
    /* its collective, while it waits in one: */
    collective operation;
    unsigned char source_lane;
    unsigned mask;
    uint64_t value, result;
};
struct block {
    thread threads[MAX_BLOCK_THREADS];
    unsigned n_threads, n_live, current, barrier_phase;
};
extern block running;
void run_block(const launch_shape &shape, size_t index, const std::function<void()> &body);
void blocks_end(); /* of a launch: what they did is seen from here on */
void block_barrier(site where);
void yield_at_random(); /* before an atomic */
void leave_thread();    /* the running thread waits: back to the scheduler */

/* --- warp.cc ----------------------------------------------------------------------------- */
void warps_reset();
void warp_thread_finished(unsigned thread_index);
uint64_t warp_collective(collective operation, unsigned mask, uint64_t value, int source_lane,
                         site where);

/* --- shared.cc --------------------------------------------------------------------------- */
void shared_begin(const launch_shape &shape);
void shared_end_block();
void shared_end_launch();
void *shared_array(const void *id, size_t n_bytes, site where);
void *shared_dynamic();
void shared_allow(const void *kernel, size_t n_bytes); /* cudaFuncSetAttribute */
size_t shared_limit(const void *kernel);

/* --- arithmetic.cc ----------------------------------------------------------------------- */
bool has_device_arithmetic();
/* `value` as it is, or up to n_ulp units in the last place off. */
float off_by(float value, int n_ulp);
double off_by(double value, int n_ulp);
/* Sum of k products in a GPU's manner: tensor cores', or f32. */
float device_dot(const float *a, size_t step_a, const float *b, size_t step_b, size_t k,
                 bool is_tensor);

/* --- memory.cc --------------------------------------------------------------------------- */
bool is_device(const void *memory, size_t n_bytes);
int device_of(const void *memory); /* that it lies on, or -1 */
void memory_take(size_t n_bytes);  /* by another process, of every device */
void memory_fill();                /* by another process, until something is freed */
void host_locked_out(bool is_out); /* guard mode: device memory out of reach while host code runs */

/* --- stream.cc --------------------------------------------------------------------------- */
void stream_submit(cudaStream_t stream, std::function<void()> work);
void streams_drain();
/* The stream is of the device that this thread has chosen, or the end. */
void check_stream(const char *call, cudaStream_t stream);

/* --- graph.cc ---------------------------------------------------------------------------- */
/* True if the stream is captured: then `work` is in its graph. */
bool graph_takes(cudaStream_t stream, const std::function<void()> &work);
bool is_captured(cudaStream_t stream);
void check_not_captured(const char *call);  /* this thread captures no stream, or the end */
void check_none_captured(const char *call); /* nor does any other */
uint64_t n_graphs_alive();                  /* instantiated and not destroyed */
} // namespace emu

/* How often device or pinned memory was asked for so far; exported, so that a test can see that a
 * steady state asks for none. */
extern "C" __attribute__((visibility("default"))) uint64_t emu_n_allocations(void);
/* Device allocations and instantiated graphs that nobody has given back. */
extern "C" __attribute__((visibility("default"))) uint64_t emu_n_alive(void);
/* What has run so far: launches of that kernel, products of cuBLAS, bytes that were copied from the
 * host to a device and back. So a test can hold an accounting against it. */
extern "C" __attribute__((visibility("default"))) uint64_t emu_n_launches(const char *kernel);
extern "C" __attribute__((visibility("default"))) uint64_t emu_n_products(void);
extern "C" __attribute__((visibility("default"))) uint64_t emu_n_bytes_up(void);
extern "C" __attribute__((visibility("default"))) uint64_t emu_n_bytes_down(void);

#endif
