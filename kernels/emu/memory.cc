/* Device and pinned memory: every allocation known, filled with NaN, behind a guard page or (under
 * ASan) between its red zones; freed memory is never given out again in guard mode. */
#include "kernels/emu/emu.h"

#include <map>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

namespace emu
{
enum { PAGE_BYTES = 4096, DEVICE_ALIGNMENT = 256, GUARDED_ALIGNMENT = 16, POISON = 0xff };

struct allocation {
    size_t n_bytes;
    int device;
    void *mapping; /* guard mode: pages that hold it; NULL from malloc */
    size_t mapped_bytes;
};

static std::map<uintptr_t, allocation> allocations; /* by address */
static size_t n_bytes_in_use[MAX_DEVICES];
static uint64_t n_allocations;            /* of device and pinned memory, ever */
static uint64_t n_bytes_up, n_bytes_down; /* over the link, ever */

static uintptr_t address_of(const void *memory)
{
    return reinterpret_cast<uintptr_t>(memory);
}

/* The allocation that holds these bytes, or NULL. */
static const allocation *find(const void *memory, size_t n_bytes)
{
    auto next = allocations.upper_bound(address_of(memory));
    if (next == allocations.begin()) return nullptr;
    --next;
    const size_t offset = address_of(memory) - next->first;
    const bool is_inside =
        offset <= next->second.n_bytes && n_bytes <= next->second.n_bytes - offset;
    return is_inside ? &next->second : nullptr;
}

bool is_device(const void *memory, size_t n_bytes)
{
    return find(memory, n_bytes) != nullptr;
}

int device_of(const void *memory)
{
    const allocation *a = find(memory, 1);
    return a ? a->device : -1;
}

static size_t n_bytes_taken; /* by others */
static bool is_filled;       /* by others */

void memory_fill()
{
    is_filled = true;
}

void memory_take(size_t n_bytes)
{
    n_bytes_taken = n_bytes;
}

static size_t memory_left()
{
    const size_t n_used = n_bytes_in_use[current_device()] + n_bytes_taken;
    return !is_filled && current_modes().memory_bytes > n_used
               ? current_modes().memory_bytes - n_used
               : 0;
}

void host_locked_out(bool is_out)
{
    if (!current_modes().has_guards) return;
    for (const auto &entry : allocations)
        (void)mprotect(entry.second.mapping, entry.second.mapped_bytes,
                       is_out ? PROT_NONE : PROT_READ | PROT_WRITE);
}

/* The last byte (rounded up to GUARDED_ALIGNMENT) lies against an unreachable page. */
static void *guarded(size_t n_bytes, allocation *out)
{
    const size_t rounded =
        (n_bytes + GUARDED_ALIGNMENT - 1) / GUARDED_ALIGNMENT * GUARDED_ALIGNMENT;
    out->mapped_bytes = (rounded + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    void *pages = mmap(nullptr, out->mapped_bytes + PAGE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    out->mapping = pages;
    char *end = static_cast<char *>(pages) + out->mapped_bytes;
    (void)mprotect(end, PAGE_BYTES, PROT_NONE);
    return end - rounded;
}

static void *unguarded(size_t n_bytes)
{
#ifdef EMU_ASAN
    return malloc(n_bytes); /* to the byte: the red zone begins where the array ends */
#else
    return aligned_alloc(DEVICE_ALIGNMENT,
                         (n_bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT);
#endif
}

static void release(void *memory, const allocation &a)
{
    if (a.mapping)
        (void)mprotect(a.mapping, a.mapped_bytes, PROT_NONE);
    else
        free(memory);
}

static const char *problem_of(const void *to, const void *from, size_t n_bytes, cudaMemcpyKind kind)
{
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (to_device && !is_device(to, n_bytes)) return "the target is not all device memory";
    if (from_device && !is_device(from, n_bytes)) return "the source is not all device memory";
    if (!to_device && is_device(to, 1)) return "the target is device memory";
    if (!from_device && is_device(from, 1)) return "the source is device memory";
    return nullptr;
}
} // namespace emu

using emu::big_lock;
typedef std::lock_guard<std::recursive_mutex> locked;

cudaError_t cudaMalloc(void **out, size_t n_bytes)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaMalloc");
    emu::check_not_captured("cudaMalloc");
    emu::n_allocations++;
    const int device = emu::current_device();
    emu::allocation a = {n_bytes ? n_bytes : 1, device, nullptr, 0};
    if (emu::device_state() != cudaSuccess) return emu::device_state();
    if (a.n_bytes > emu::memory_left()) return cudaErrorMemoryAllocation;
    emu::host_locked_out(false);
    void *memory =
        emu::current_modes().has_guards ? emu::guarded(a.n_bytes, &a) : emu::unguarded(a.n_bytes);
    if (memory) {
        memset(memory, emu::POISON, a.n_bytes);
        emu::allocations[emu::address_of(memory)] = a;
        emu::n_bytes_in_use[device] += a.n_bytes;
        *out = memory;
    }
    emu::host_locked_out(true);
    return memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *memory)
{
    const locked guard(big_lock());
    if (!memory) return cudaSuccess;
    emu::check_chosen("cudaFree");
    emu::check_not_captured("cudaFree");
    emu::streams_drain();
    const auto found = emu::allocations.find(emu::address_of(memory));
    if (found == emu::allocations.end()) emu::fail(emu::NOWHERE, "cudaFree of %p", memory);
    emu::n_bytes_in_use[found->second.device] -= found->second.n_bytes;
    emu::release(memory, found->second);
    emu::allocations.erase(found);
    emu::is_filled = false;
    return emu::device_state();
}

/* For tests (emu.h). */
uint64_t emu_n_allocations(void)
{
    const locked guard(big_lock());
    return emu::n_allocations;
}

uint64_t emu_n_alive(void)
{
    const locked guard(big_lock());
    return emu::allocations.size() + emu::n_graphs_alive();
}

uint64_t emu_n_bytes_up(void)
{
    const locked guard(big_lock());
    return emu::n_bytes_up;
}

uint64_t emu_n_bytes_down(void)
{
    const locked guard(big_lock());
    return emu::n_bytes_down;
}

cudaError_t cudaMallocHost(void **out, size_t n_bytes)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaMallocHost");
    emu::check_not_captured("cudaMallocHost");
    emu::n_allocations++;
    *out = malloc(n_bytes ? n_bytes : 1);
    if (!*out) return cudaErrorMemoryAllocation;
    memset(*out, emu::POISON, n_bytes);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaFreeHost");
    emu::check_not_captured("cudaFreeHost");
    emu::streams_drain();
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n_bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    const locked guard(big_lock());
    const char *problem = emu::problem_of(to, from, n_bytes, kind);
    if (problem) emu::fail(emu::NOWHERE, "copy of %zu bytes: %s", n_bytes, problem);
    /* until the copy runs, the host must not take what it finds for the result */
    if (emu::current_modes().is_deferred && kind == cudaMemcpyDeviceToHost)
        memset(to, emu::POISON, n_bytes);
    emu::stream_submit(stream, [=] {
        memmove(to, from, n_bytes);
        if (kind == cudaMemcpyHostToDevice) emu::n_bytes_up += n_bytes;
        if (kind == cudaMemcpyDeviceToHost) emu::n_bytes_down += n_bytes;
    });
    return emu::device_state();
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t n_bytes, cudaStream_t stream)
{
    const locked guard(big_lock());
    if (!emu::is_device(to, n_bytes))
        emu::fail(emu::NOWHERE, "fill of %zu bytes that are not all device memory", n_bytes);
    emu::check_stream("cudaMemsetAsync", stream);
    emu::stream_submit(stream, [=] { memset(to, value, n_bytes); });
    return emu::device_state();
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    const locked guard(big_lock());
    emu::check_chosen("cudaMemGetInfo");
    *total_bytes = emu::current_modes().memory_bytes;
    *free_bytes = emu::memory_left();
    return emu::device_state();
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute, int value)
{
    const locked guard(big_lock());
    if (value < 0) return cudaErrorInvalidValue;
    if (!emu::current_modes().has_image) return cudaErrorNoKernelImageForDevice;
    emu::shared_allow(kernel, static_cast<size_t>(value));
    return cudaSuccess;
}
