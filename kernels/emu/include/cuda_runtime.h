/* The language of a .cu file for the host emulator: qualifiers, launches, shared memory, built-in
 * variables, warp collectives, atomics and intrinsics. What nvcc knows by itself, or kernels/cuda/
 * device.cuh defines for it, is a macro or a function of the emulator here. */
#ifndef KERNELS_EMU_CUDA_RUNTIME_H
#define KERNELS_EMU_CUDA_RUNTIME_H

#include "kernels/emu/emu.h"
#include "kernels/emu/include/cuda_runtime_api.h"

#include <math.h>
#include <string.h>
#include <tuple>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct __align__(8) float2
{
    float x, y;
};
struct __align__(16) float4
{
    float x, y, z, w;
};

/* kernel<<<grid, block, n_dynamic, stream>>>(...); a template's kernel in parentheses. */
#define LAUNCH(kernel, grid, block, n_dynamic, stream, ...)                                        \
    emu::launch_kernel(#kernel, kernel, dim3(grid), dim3(block), n_dynamic, stream, __VA_ARGS__)
/* __shared__ type name extent; and extern __shared__ type name[]. */
#define SHARED_ARRAY(type, name, ...)                                                              \
    typedef type name##_type __VA_ARGS__;                                                          \
    static char name##_id;                                                                         \
    name##_type &name = *static_cast<name##_type *>(                                               \
        emu::shared_array(&name##_id, sizeof(name##_type), {__FILE__, __LINE__}))
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(emu::shared_dynamic())
#define SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace emu
{
template <class T> void check_if_pointer(const char *kernel, const T &argument)
{
    if constexpr (std::is_pointer<T>::value) check_argument(kernel, argument);
}

/* Arguments are converted and copied now, as a launch does; the kernel may run later. */
template <class... P, class... A>
void launch_kernel(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t n_dynamic,
                   cudaStream_t stream, A... arguments)
{
    const std::tuple<P...> copies(static_cast<P>(arguments)...);
    std::apply([name](const auto &...each) { (check_if_pointer(name, each), ...); }, copies);
    const launch_shape shape = {
        name, reinterpret_cast<const void *>(kernel), grid, block, n_dynamic, stream};
    launch(shape, [kernel, copies] { std::apply(kernel, copies); });
}

template <class T> uint64_t to_bits(T value)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}

template <class T> T from_bits(uint64_t bits)
{
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

inline int lane()
{
    return static_cast<int>(running.current % WARP_SIZE);
}
} // namespace emu

inline void __syncthreads(SITE)
{
    emu::block_barrier({file, line});
}

inline void __syncwarp(unsigned mask = ~0u, SITE)
{
    (void)emu::warp_collective(emu::collective::sync, mask, 0, 0, {file, line});
}

inline unsigned __ballot_sync(unsigned mask, int predicate, SITE)
{
    return static_cast<unsigned>(
        emu::warp_collective(emu::collective::ballot, mask, predicate != 0, 0, {file, line}));
}

inline int __any_sync(unsigned mask, int predicate, SITE)
{
    return __ballot_sync(mask, predicate, file, line) != 0;
}

template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, SITE)
{
    const int first = emu::lane() & ~(width - 1);
    return emu::from_bits<T>(emu::warp_collective(emu::collective::shuffle, mask,
                                                  emu::to_bits(value),
                                                  first | (source & (width - 1)), {file, line}));
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32, SITE)
{
    const int other = emu::lane() ^ flip;
    const bool is_inside = other <= (emu::lane() | (width - 1));
    return emu::from_bits<T>(emu::warp_collective(emu::collective::shuffle, mask,
                                                  emu::to_bits(value),
                                                  is_inside ? other : emu::lane(), {file, line}));
}

template <class T> T __shfl_down_sync(unsigned mask, T value, int by, int width = 32, SITE)
{
    const int other = emu::lane() + by;
    const bool is_inside = other <= (emu::lane() | (width - 1));
    return emu::from_bits<T>(emu::warp_collective(emu::collective::shuffle, mask,
                                                  emu::to_bits(value),
                                                  is_inside ? other : emu::lane(), {file, line}));
}

template <class T> T __shfl_up_sync(unsigned mask, T value, int by, int width = 32, SITE)
{
    const int other = emu::lane() - by;
    const bool is_inside = other >= (emu::lane() & ~(width - 1));
    return emu::from_bits<T>(emu::warp_collective(emu::collective::shuffle, mask,
                                                  emu::to_bits(value),
                                                  is_inside ? other : emu::lane(), {file, line}));
}

template <class T> T atomicCAS(T *at, T expected, T value)
{
    emu::yield_at_random();
    (void)__atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED);
    return expected;
}

template <class T> T atomicAdd(T *at, T value)
{
    emu::yield_at_random();
    T old, sum;
    __atomic_load(at, &old, __ATOMIC_RELAXED);
    do sum = old + value;
    while (!__atomic_compare_exchange(at, &old, &sum, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}

template <class T> T atomicExch(T *at, T value)
{
    emu::yield_at_random();
    return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}

template <class T> T atomicMin(T *at, T value)
{
    emu::yield_at_random();
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (value < old && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
    return old;
}

/* kernels/cuda/grid.cuh: what other blocks change by atomics, as it is now. */
template <class T> T load_now(const T *at)
{
    emu::yield_at_random();
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

inline unsigned __float_as_uint(float x)
{
    return emu::from_bits<unsigned>(emu::to_bits(x));
}

inline float __uint_as_float(unsigned x)
{
    return emu::from_bits<float>(emu::to_bits(x));
}

inline float __fmul_rn(float a, float b)
{
    return a * b;
}

inline float __fadd_rn(float a, float b)
{
    return a + b;
}

#undef SITE

/* As accurate as NVIDIA documents these; roots and quotients are exact (no -use_fast_math). */
#define expf(x) emu::off_by(expf(x), 2)
#define tanhf(x) emu::off_by(tanhf(x), 2)
#define erff(x) emu::off_by(erff(x), 2)
#define exp(x) emu::off_by(exp(x), 1)
#define log(x) emu::off_by(log(x), 1)

#endif
