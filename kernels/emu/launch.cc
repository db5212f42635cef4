#include "kernels/emu/emu.h"
#include "kernels/emu/fiber.h"

#include <map>
#include <numeric>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <utility>
#include <vector>

namespace emu
{
enum { MAX_GRID_YZ = 65535, MAX_BLOCK_Z = 64 };

const char *kernel_name;
static std::map<std::string, uint64_t> n_run; /* launches of each kernel; under the big lock */

void check_argument(const char *kernel, const void *pointer)
{
    const std::lock_guard<std::recursive_mutex> guard(big_lock());
    if (pointer && !is_device(pointer, 1))
        fail(NOWHERE, "%s is given host or freed memory, %p", kernel, pointer);
    if (pointer && device_of(pointer) != current_device())
        fail(NOWHERE, "%s is launched on device %d and given memory of device %d", kernel,
             current_device(), device_of(pointer));
}

/* Launches of the kernels that "KERNEL:N..." names. */
struct counted_launches {
    uint64_t n; /* so far; under the big lock */

    /* The number of this one, 0 if it is of another kernel; *nth is N, *rest what follows it. */
    uint64_t count(const char *wanted, const char *kernel, uint64_t *nth, const char **rest)
    {
        const char *colon = wanted ? strchr(wanted, ':') : nullptr;
        if (!colon || std::string(kernel).find(std::string(wanted, colon)) == std::string::npos)
            return 0;
        char *end;
        *nth = strtoull(colon + 1, &end, 10);
        *rest = end;
        return ++n;
    }
};

/* True for the launch that INTERP_EMU_FAULT names. */
static bool is_fault(const char *kernel)
{
    static counted_launches launches;
    uint64_t nth;
    const char *rest;
    const uint64_t n = launches.count(current_modes().fault, kernel, &nth, &rest);
    return n && n == nth;
}

/* What INTERP_EMU_TAKEN and INTERP_EMU_FULL say happens at a launch. */
static void let_others_take(const char *kernel)
{
    static counted_launches taken, full;
    uint64_t nth;
    const char *rest;
    uint64_t n = taken.count(current_modes().taken, kernel, &nth, &rest);
    if (n && n == nth && *rest == ':')
        memory_take(static_cast<size_t>(strtoull(rest + 1, nullptr, 10)) << 20);
    n = full.count(current_modes().full, kernel, &nth, &rest);
    if (n && n >= nth) memory_fill();
}

static void check_shape(const launch_shape &s)
{
    const size_t n_threads = size_t{s.block.x} * s.block.y * s.block.z;
    if (!s.grid.x || !s.grid.y || !s.grid.z || s.grid.x > INT32_MAX || s.grid.y > MAX_GRID_YZ ||
        s.grid.z > MAX_GRID_YZ)
        fail(NOWHERE, "%s: grid of %u x %u x %u", s.name, s.grid.x, s.grid.y, s.grid.z);
    if (!n_threads || n_threads > MAX_BLOCK_THREADS || s.block.z > MAX_BLOCK_Z)
        fail(NOWHERE, "%s: block of %u x %u x %u", s.name, s.block.x, s.block.y, s.block.z);
    if (s.n_dynamic > shared_limit(s.kernel))
        fail(NOWHERE, "%s: %zu bytes of dynamic shared memory, %zu are allowed", s.name,
             s.n_dynamic, shared_limit(s.kernel));
}

static void run_grid(const launch_shape &shape, const std::function<void()> &body)
{
    const enum order how = current_modes().order;
    const size_t n = size_t{shape.grid.x} * shape.grid.y * shape.grid.z;
    std::vector<size_t> blocks(n);
    std::iota(blocks.begin(), blocks.end(), size_t{0});
    for (size_t i = n - 1; how == order::random && i > 0; i--)
        std::swap(blocks[i], blocks[random_bits() % (i + 1)]);
    kernel_name = shape.name;
    n_run[shape.name]++;
    for (size_t i = 0; i < n; i++)
        run_block(shape, blocks[how == order::reverse ? n - 1 - i : i], body);
    kernel_name = nullptr;
    blocks_end();
    shared_end_launch();
}

void launch(const launch_shape &shape, std::function<void()> body)
{
    const std::lock_guard<std::recursive_mutex> guard(big_lock());
    check_shape(shape);
    check_stream(shape.name, shape.stream);
    let_others_take(shape.name);
    if (is_fault(shape.name)) {
        stream_submit(shape.stream, [] { device_lose(); });
        return;
    }
    stream_submit(shape.stream, [shape, body = std::move(body)] { run_grid(shape, body); });
}
} // namespace emu

/* For tests (emu.h). A kernel made of a template is "name<...>", with commas "(name<..., ...>)". */
uint64_t emu_n_launches(const char *kernel)
{
    const std::lock_guard<std::recursive_mutex> guard(emu::big_lock());
    uint64_t n = 0;
    for (const auto &run : emu::n_run) {
        const size_t first = run.first[0] == '(' ? 1 : 0;
        if (run.first.substr(first, run.first.find('<') - first) == kernel) n += run.second;
    }
    return n;
}
