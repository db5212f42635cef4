/* Kernels and host code with one mistake each, and the same without it: what the emulator must
 * catch, and what it must leave in peace.
 *
 *   planted_bugs NAME     run it with its mistake: exit 1 if the result is wrong, another code if
 *                         the emulator, a sanitizer or the kernel noticed, 0 if nobody did
 *   planted_bugs --sound  run all of them without: exit 0, or 1 and the name
 *   planted_bugs --list   the names
 *
 * tests/integration/emulator_bugs.py runs every one in every mode. */
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <thread>
#include <vector>

enum { N = 256, FULL_MASK = -1 };

static float *device_floats(size_t n)
{
    void *memory;
    if (cudaMalloc(&memory, n * sizeof(float)) != cudaSuccess) exit(3);
    return static_cast<float *>(memory);
}

static cudaStream_t new_stream()
{
    cudaStream_t stream;
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) exit(3);
    return stream;
}

static void put(float *device, const std::vector<float> &values, cudaStream_t stream)
{
    (void)cudaMemcpyAsync(device, values.data(), values.size() * sizeof(float),
                          cudaMemcpyHostToDevice, stream);
    (void)cudaStreamSynchronize(stream);
}

static std::vector<float> get(const float *device, size_t n, cudaStream_t stream)
{
    std::vector<float> values(n);
    (void)cudaMemcpyAsync(values.data(), device, n * sizeof(float), cudaMemcpyDeviceToHost, stream);
    (void)cudaStreamSynchronize(stream);
    return values;
}

static std::vector<float> ramp(size_t n)
{
    std::vector<float> values(n);
    for (size_t i = 0; i < n; i++) values[i] = static_cast<float>(i);
    return values;
}

/* --- mistakes of kernels ------------------------------------------------------------------- */
/* x becomes its reverse by way of shared memory. */
template <bool is_planted> __global__ void reverse_kernel(float *x)
{
    SHARED_ARRAY(float, all, [N]);
    all[threadIdx.x] = x[threadIdx.x];
    if (!is_planted) __syncthreads();
    x[threadIdx.x] = all[N - 1 - threadIdx.x];
}

template <bool is_planted> static bool missing_syncthreads()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N);
    put(x, ramp(N), s);
    LAUNCH(reverse_kernel<is_planted>, 1, N, 0, s, x);
    const std::vector<float> got = get(x, N, s);
    for (int i = 0; i < N; i++)
        if (got[i] != static_cast<float>(N - 1 - i)) return false;
    return true;
}

template <bool is_planted> __global__ void reverse_warp_kernel(float *x)
{
    SHARED_ARRAY(float, all, [32]);
    all[threadIdx.x] = x[threadIdx.x];
    if (!is_planted) __syncwarp();
    x[threadIdx.x] = all[31 - threadIdx.x];
}

template <bool is_planted> static bool missing_syncwarp()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32);
    put(x, ramp(32), s);
    LAUNCH(reverse_warp_kernel<is_planted>, 1, 32, 0, s, x);
    return get(x, 32, s)[31] == 0;
}

template <bool is_planted> __global__ void divergent_kernel(float *x)
{
    SHARED_ARRAY(float, all, [N]);
    all[threadIdx.x] = x[threadIdx.x];
    if (is_planted && threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    x[threadIdx.x] = all[threadIdx.x];
}

template <bool is_planted> static bool divergent_syncthreads()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N);
    put(x, ramp(N), s);
    LAUNCH(divergent_kernel<is_planted>, 1, N, 0, s, x);
    return get(x, N, s)[5] == 5;
}

template <bool is_planted> __global__ void absent_lanes_kernel(float *x)
{
    float v = x[threadIdx.x];
    if (!is_planted || threadIdx.x < 16) v += __shfl_xor_sync(FULL_MASK, v, 1);
    x[threadIdx.x] = v;
}

template <bool is_planted> static bool absent_lanes()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32);
    put(x, ramp(32), s);
    LAUNCH(absent_lanes_kernel<is_planted>, 1, 32, 0, s, x);
    return get(x, 32, s)[0] == 1;
}

template <bool is_planted> __global__ void differences_kernel(float *y, const float *x, int n)
{
    const int i = static_cast<int>(threadIdx.x);
    const bool has_next = is_planted || i + 1 < n;
    const float next = has_next ? x[i + 1] : x[i]; /* planted: the last one reads past the end */
    y[i] = next > x[i] ? 1.0f : 0.0f;
}

template <bool is_planted> static bool past_the_end_global()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N), *y = device_floats(N);
    put(x, ramp(N), s);
    LAUNCH(differences_kernel<is_planted>, 1, N, 0, s, y, x, N);
    return get(y, N, s)[0] == 1;
}

template <bool is_planted> __global__ void past_shared_kernel(float *x)
{
    SHARED_ARRAY(float, all, [32]);
    all[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    const unsigned other = is_planted ? threadIdx.x + 1 : (threadIdx.x + 1) % 32;
    if (all[other] > 0.0f) x[threadIdx.x] = 1;
}

template <bool is_planted> static bool past_the_end_shared()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32);
    put(x, ramp(32), s);
    LAUNCH(past_shared_kernel<is_planted>, 1, 32, 0, s, x);
    return get(x, 32, s)[3] == 1;
}

__global__ void dynamic_shared_kernel(float *x)
{
    DYNAMIC_SHARED(float, all);
    all[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = all[N - 1 - threadIdx.x];
}

template <bool is_planted> static bool dynamic_shared_too_small()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N);
    put(x, ramp(N), s);
    LAUNCH(dynamic_shared_kernel, 1, N, N * sizeof(float) - (is_planted ? 4 : 0), s, x);
    return get(x, N, s)[0] == N - 1;
}

/* A block may have 163 KB on an sm_80 and 227 KB on an sm_90, but 99 KB on an sm_86 or 89. */
template <bool is_planted> static bool shared_of_large_devices()
{
    const cudaStream_t s = new_stream();
    const int n_bytes = (is_planted ? 100 : 99) << 10;
    float *x = device_floats(N);
    put(x, ramp(N), s);
    (void)cudaFuncSetAttribute(reinterpret_cast<const void *>(dynamic_shared_kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, n_bytes);
    LAUNCH(dynamic_shared_kernel, 1, N, static_cast<size_t>(n_bytes), s, x);
    return get(x, N, s)[0] == N - 1;
}

template <bool is_planted> __global__ void half_written_kernel(float *x)
{
    SHARED_ARRAY(float, sums, [N]);
    if (!is_planted || threadIdx.x < N / 2) sums[threadIdx.x] = 0;
    __syncthreads();
    x[threadIdx.x] += sums[N - 1 - threadIdx.x];
}

template <bool is_planted> static bool uninitialised_shared()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N);
    put(x, ramp(N), s);
    LAUNCH(half_written_kernel<is_planted>, 1, N, 0, s, x);
    return get(x, N, s)[7] == 7;
}

__global__ void accumulate_kernel(float *sums, const float *x)
{
    sums[threadIdx.x] += x[threadIdx.x];
}

template <bool is_planted> static bool uninitialised_global()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N), *sums = device_floats(N);
    put(x, ramp(N), s);
    if (!is_planted) (void)cudaMemsetAsync(sums, 0, N * sizeof(float), s);
    LAUNCH(accumulate_kernel, 1, N, 0, s, sums, x);
    return get(sums, N, s)[9] == 9;
}

/* Planted: a sum whose last bits depend on who comes first. Sound: counts, which do not. */
template <bool is_planted> __global__ void atomic_sum_kernel(float *sum, unsigned *count)
{
    if (is_planted)
        (void)atomicAdd(sum, 1.0f / static_cast<float>(1 + threadIdx.x));
    else
        (void)atomicAdd(count, threadIdx.x);
}

template <bool is_planted> static bool float_atomics()
{
    const cudaStream_t s = new_stream();
    float *sum = device_floats(2);
    unsigned *count = reinterpret_cast<unsigned *>(sum + 1);
    (void)cudaMemsetAsync(sum, 0, 2 * sizeof(float), s);
    LAUNCH(atomic_sum_kernel<is_planted>, 1, N, 0, s, sum, count);
    const std::vector<float> got = get(sum, 2, s);
    float want = 0;
    unsigned counted;
    memcpy(&counted, &got[1], sizeof counted);
    for (int i = 0; i < N; i++) want += 1.0f / static_cast<float>(1 + i);
    return is_planted ? got[0] == want : counted == N * (N - 1) / 2;
}

/* The largest of all values. Planted: exchanged without looking whether somebody was faster. */
template <bool is_planted> __global__ void largest_kernel(unsigned *largest)
{
    const unsigned mine = (threadIdx.x * 37 + 11) % N;
    for (unsigned seen = atomicAdd(largest, 0u); mine > seen;) {
        if (is_planted) {
            (void)atomicExch(largest, mine);
            return;
        }
        const unsigned was = atomicCAS(largest, seen, mine);
        if (was == seen) return;
        seen = was;
    }
}

template <bool is_planted> static bool lost_update()
{
    const cudaStream_t s = new_stream();
    float *memory = device_floats(1);
    (void)cudaMemsetAsync(memory, 0, sizeof(float), s);
    LAUNCH(largest_kernel<is_planted>, 1, N, 0, s, reinterpret_cast<unsigned *>(memory));
    const std::vector<float> got = get(memory, 1, s);
    unsigned largest;
    memcpy(&largest, &got[0], sizeof largest);
    return largest == N - 1;
}

template <bool is_planted> __global__ void count_blocks_kernel(unsigned *count)
{
    if (threadIdx.x != 0) return;
    if (is_planted)
        *count += 1;
    else
        (void)atomicAdd(count, 1u);
}

template <bool is_planted> static bool race_of_blocks()
{
    const cudaStream_t s = new_stream();
    float *memory = device_floats(1);
    (void)cudaMemsetAsync(memory, 0, sizeof(float), s);
    LAUNCH(count_blocks_kernel<is_planted>, 8, 32, 0, s, reinterpret_cast<unsigned *>(memory));
    const std::vector<float> got = get(memory, 1, s);
    unsigned count;
    memcpy(&count, &got[0], sizeof count);
    return count == 8;
}

__global__ void load_four_kernel(float *y, const float *x)
{
    const float4 v = *reinterpret_cast<const float4 *>(x);
    y[threadIdx.x] = v.x + v.w;
}

template <bool is_planted> static bool misaligned_float4()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N), *y = device_floats(32);
    put(x, ramp(N), s);
    LAUNCH(load_four_kernel, 1, 32, 0, s, y, x + (is_planted ? 1 : 4));
    return get(y, 32, s)[0] == (is_planted ? 5 : 11);
}

/* What NVIDIA documents of these is how far off they are, not their bits. */
__global__ void exponentials_kernel(float *x)
{
    x[threadIdx.x] = expf(x[threadIdx.x]);
}

template <bool is_planted> static bool function_trusted_to_the_bit()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32);
    std::vector<float> values = ramp(32);
    put(x, values, s);
    LAUNCH(exponentials_kernel, 1, 32, 0, s, x);
    const std::vector<float> got = get(x, 32, s);
    for (int i = 0; i < 32; i++) {
        const float want = (expf)(values[i]);
        if (fabsf(got[i] - want) > (is_planted ? 0 : 1e-6f * want)) return false;
    }
    return true;
}

/* --- mistakes of host code ----------------------------------------------------------------- */
__global__ void fill_kernel(float *x, float value)
{
    x[threadIdx.x] = value;
}

template <bool is_planted> static bool missing_stream_sync()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32);
    std::vector<float> host(32, 3.0f);
    LAUNCH(fill_kernel, 1, 32, 0, s, x, 3.0f);
    (void)cudaMemcpyAsync(host.data(), x, 32 * sizeof(float), cudaMemcpyDeviceToHost, s);
    if (!is_planted) (void)cudaStreamSynchronize(s);
    const bool is_right = host[0] == 3;
    (void)cudaDeviceSynchronize();
    return is_right;
}

template <bool is_planted> static bool missing_event_wait()
{
    const cudaStream_t s = new_stream(), other = new_stream();
    float *x = device_floats(32);
    cudaEvent_t filled;
    (void)cudaEventCreateWithFlags(&filled, cudaEventDisableTiming);
    bool is_right = true;
    for (int i = 0; i < 8; i++) {
        (void)cudaMemsetAsync(x, 0, 32 * sizeof(float), s);
        (void)cudaStreamSynchronize(s);
        LAUNCH(fill_kernel, 1, 32, 0, s, x, 3.0f);
        (void)cudaEventRecord(filled, s);
        if (!is_planted) (void)cudaStreamWaitEvent(other, filled, 0);
        is_right = is_right && get(x, 32, other)[0] == 3;
        (void)cudaDeviceSynchronize();
    }
    return is_right;
}

template <bool is_planted> static bool reused_pinned_buffer()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32), *y = device_floats(32);
    std::vector<float> pinned(32, 1.0f);
    (void)cudaMemcpyAsync(x, pinned.data(), 32 * sizeof(float), cudaMemcpyHostToDevice, s);
    if (!is_planted) (void)cudaStreamSynchronize(s);
    pinned.assign(32, 2.0f);
    (void)cudaMemcpyAsync(y, pinned.data(), 32 * sizeof(float), cudaMemcpyHostToDevice, s);
    return get(x, 32, s)[0] == 1;
}

/* Streams that do not block know nothing of the default one. */
template <bool is_planted> static bool missing_default_stream_sync()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32), *sums = device_floats(32);
    put(x, std::vector<float>(32, 3.0f), s);
    bool is_right = true;
    for (int i = 0; i < 8; i++) {
        (void)cudaMemsetAsync(sums, 0, 32 * sizeof(float), nullptr);
        if (!is_planted) (void)cudaStreamSynchronize(nullptr);
        LAUNCH(accumulate_kernel, 1, 32, 0, s, sums, x);
        is_right = is_right && get(sums, 32, s)[0] == 3;
        (void)cudaDeviceSynchronize();
    }
    return is_right;
}

static void begin_capture(cudaStream_t stream)
{
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) exit(3);
}

static bool end_capture(cudaStream_t stream)
{
    cudaGraph_t graph = nullptr;
    const bool is_right = cudaStreamEndCapture(stream, &graph) == cudaSuccess;
    if (graph) (void)cudaGraphDestroy(graph);
    return is_right;
}

template <bool is_planted> static bool allocation_in_a_capture()
{
    const cudaStream_t s = new_stream();
    void *pinned = nullptr;
    if (!is_planted) (void)cudaMallocHost(&pinned, N);
    begin_capture(s);
    if (is_planted) (void)cudaMallocHost(&pinned, N);
    return end_capture(s) && cudaFreeHost(pinned) == cudaSuccess;
}

/* All of the device is waited for, the stream that another thread captures, too. */
template <bool is_planted> static bool device_sync_beside_a_capture()
{
    const cudaStream_t s = new_stream();
    begin_capture(s);
    std::thread([] {
        (void)cudaSetDevice(0);
        (void)(is_planted ? cudaDeviceSynchronize() : cudaStreamSynchronize(nullptr));
    }).join();
    return end_capture(s);
}

/* Planted: the stream comes after the workspace, and takes it away. */
template <bool is_planted> static bool no_workspace_in_a_capture()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(N);
    void *workspace = device_floats(N);
    const float one = 1, zero = 0;
    cublasHandle_t cublas;
    (void)cublasCreate(&cublas);
    if (!is_planted) (void)cublasSetStream(cublas, s);
    (void)cublasSetWorkspace(cublas, workspace, N * sizeof(float));
    if (is_planted) (void)cublasSetStream(cublas, s);
    begin_capture(s);
    (void)cublasGemmEx(cublas, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, x, CUDA_R_32F, 4, x + 16,
                       CUDA_R_32F, 4, &zero, x + 32, CUDA_R_32F, 4, CUBLAS_COMPUTE_32F,
                       CUBLAS_GEMM_DEFAULT);
    return end_capture(s) && cublasDestroy(cublas) == CUBLAS_STATUS_SUCCESS;
}

template <bool is_planted> static bool stream_of_another_device()
{
    const cudaStream_t s = new_stream();
    if (is_planted) (void)cudaSetDevice(1);
    float *x = device_floats(32);
    LAUNCH(fill_kernel, 1, 32, 0, s, x, 3.0f);
    return get(x, 32, s)[0] == 3;
}

/* The device of one thread is not that of the next. */
template <bool is_planted> static bool no_device_chosen()
{
    std::thread([] {
        void *memory = nullptr;
        if (!is_planted) (void)cudaSetDevice(0);
        (void)cudaMalloc(&memory, N);
        (void)cudaFree(memory);
    }).join();
    return true;
}

struct wrapped {
    const float *x; /* out of sight of the check of arguments */
};

__global__ void copy_kernel(float *y, wrapped from)
{
    y[threadIdx.x] = from.x[threadIdx.x] > 0 ? 1.0f : 0.0f;
}

template <bool is_planted> static bool use_after_free()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32), *y = device_floats(32);
    put(x, ramp(32), s);
    if (is_planted) (void)cudaFree(x);
    LAUNCH(copy_kernel, 1, 32, 0, s, y, wrapped{x});
    (void)get(y, 32, s);
    return true; /* what lay there is often still there */
}

template <bool is_planted> static bool host_pointer_as_argument()
{
    const cudaStream_t s = new_stream();
    float host[32] = {0}, *x = device_floats(32);
    LAUNCH(fill_kernel, 1, 32, 0, s, is_planted ? host : x, 1.0f);
    (void)cudaStreamSynchronize(s);
    return true;
}

/* The dot product of a row with itself, in an order that cuBLAS does not promise. */
template <bool is_planted> static bool product_trusted_to_the_bit()
{
    const cudaStream_t s = new_stream();
    cublasHandle_t cublas;
    float *x = device_floats(N), *y = device_floats(1);
    std::vector<float> values(N);
    for (int i = 0; i < N; i++) values[i] = 1.0f / static_cast<float>(1 + i);
    put(x, values, s);
    if (cublasCreate(&cublas) != CUBLAS_STATUS_SUCCESS) exit(3);
    (void)cublasSetStream(cublas, s);
    const float one = 1, zero = 0;
    (void)cublasGemmEx(cublas, CUBLAS_OP_T, CUBLAS_OP_N, 1, 1, N, &one, x, CUDA_R_32F, N, x,
                       CUDA_R_32F, N, &zero, y, CUDA_R_32F, 1, CUBLAS_COMPUTE_32F,
                       CUBLAS_GEMM_DEFAULT);
    float want = 0;
    for (const float value : values) want += value * value;
    return fabsf(get(y, 1, s)[0] - want) <= (is_planted ? 0 : 1e-5f * want);
}

template <bool is_planted> static bool host_reads_device()
{
    const cudaStream_t s = new_stream();
    float *x = device_floats(32);
    put(x, ramp(32), s);
    volatile const float *direct = x;
    return is_planted ? direct[2] == 2 : get(x, 32, s)[2] == 2;
}

/* --- the list ------------------------------------------------------------------------------ */
struct bug {
    const char *name;
    bool (*planted)(), (*sound)();
};

#define BUG(function)                                                                              \
    {                                                                                              \
#function, function < true>, function < false>                                             \
    }
static const bug BUGS[] = {BUG(missing_syncthreads),
                           BUG(missing_syncwarp),
                           BUG(divergent_syncthreads),
                           BUG(absent_lanes),
                           BUG(past_the_end_global),
                           BUG(past_the_end_shared),
                           BUG(dynamic_shared_too_small),
                           BUG(shared_of_large_devices),
                           BUG(uninitialised_shared),
                           BUG(uninitialised_global),
                           BUG(float_atomics),
                           BUG(lost_update),
                           BUG(race_of_blocks),
                           BUG(misaligned_float4),
                           BUG(function_trusted_to_the_bit),
                           BUG(missing_stream_sync),
                           BUG(missing_event_wait),
                           BUG(reused_pinned_buffer),
                           BUG(missing_default_stream_sync),
                           BUG(allocation_in_a_capture),
                           BUG(device_sync_beside_a_capture),
                           BUG(no_workspace_in_a_capture),
                           BUG(stream_of_another_device),
                           BUG(no_device_chosen),
                           BUG(product_trusted_to_the_bit),
                           BUG(use_after_free),
                           BUG(host_pointer_as_argument),
                           BUG(host_reads_device)};

static int run_sound()
{
    for (const bug &b : BUGS) {
        if (b.sound()) continue;
        (void)fprintf(stderr, "%s: wrong without its mistake\n", b.name);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "--list";
    if (setenv("INTERP_EMU_DEVICES", "2", 1) != 0 || cudaSetDevice(0) != cudaSuccess) return 3;
    if (strcmp(what, "--sound") == 0) return run_sound();
    for (const bug &b : BUGS) {
        if (strcmp(what, "--list") == 0)
            (void)puts(b.name);
        else if (strcmp(what, b.name) == 0)
            return b.planted() ? 0 : 1;
    }
    return strcmp(what, "--list") == 0 ? 0 : 2;
}
