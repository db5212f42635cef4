/* Shared memory of the running block: dynamic first, then each SHARED_ARRAY as the first thread
 * names it. Filled with NaN for every block, with unreachable gaps between arrays under ASan. */
#include "kernels/emu/emu.h"

#include <map>
#include <stdlib.h>
#include <string.h>
#include <vector>

namespace emu
{
#ifdef EMU_ASAN
/* The macros of asan_interface.h are empty in code that is not instrumented itself. */
extern "C" void __asan_poison_memory_region(void const volatile *memory, size_t n_bytes);
extern "C" void __asan_unpoison_memory_region(void const volatile *memory, size_t n_bytes);
#else
static void __asan_poison_memory_region(void const volatile *, size_t)
{
}

static void __asan_unpoison_memory_region(void const volatile *, size_t)
{
}
#endif

enum { GAP_BYTES = 32, ALIGNMENT = 16, MAX_ARRAYS = 64, POISON = 0xff };
/* gaps come on top of what a kernel may use */
enum { GAPS_BYTES = (MAX_ARRAYS + 1) * (GAP_BYTES + ALIGNMENT) };
static const size_t ARENA_BYTES = (size_t{SHARED_MAX_BYTES} + GAPS_BYTES + 255) / 256 * 256;

static struct {
    const void *id;
    char *memory;
} arrays[MAX_ARRAYS];
static unsigned n_arrays;
static char *arena;
static size_t n_arena_used, n_bytes_used, n_bytes_allowed;
static size_t n_arena_unknown; /* from the start: NaN, where no array is */
/* Under TSan each block has an arena of its own, so that blocks share no history of accesses. */
static std::vector<char *> spent_arenas;
static std::map<const void *, size_t> limits; /* by kernel, where raised */

void shared_allow(const void *kernel, size_t n_bytes)
{
    if (n_bytes > SHARED_MAX_BYTES)
        fail(NOWHERE, "%zu bytes of shared memory, %d on the smaller architectures", n_bytes,
             static_cast<int>(SHARED_MAX_BYTES));
    limits[kernel] = n_bytes;
}

size_t shared_limit(const void *kernel)
{
    const auto found = limits.find(kernel);
    return found != limits.end() ? found->second : static_cast<size_t>(SHARED_DEFAULT_BYTES);
}

/* n bytes of the arena, behind a gap. */
static char *take(size_t n_bytes)
{
    char *memory = arena + n_arena_used;
    __asan_unpoison_memory_region(memory, n_bytes);
    n_arena_used += (n_bytes + GAP_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    n_bytes_used += n_bytes;
    return memory;
}

/* n bytes that nobody may touch yet, and that hold nothing. */
static void make_unknown(char *memory, size_t n_bytes)
{
    __asan_unpoison_memory_region(memory, n_bytes);
    memset(memory, POISON, n_bytes);
    __asan_poison_memory_region(memory, n_bytes);
}

static void make_arena()
{
    arena = static_cast<char *>(aligned_alloc(256, ARENA_BYTES));
    if (!arena) fail(NOWHERE, "no memory for shared memory");
    __asan_poison_memory_region(arena, ARENA_BYTES);
    n_arena_unknown = 0;
}

void shared_begin(const launch_shape &shape)
{
    if (!arena) make_arena();
    n_arrays = 0;
    n_arena_used = n_bytes_used = 0;
    n_bytes_allowed = shared_limit(shape.kernel);
    if (n_bytes_allowed + GAPS_BYTES > n_arena_unknown) {
        make_unknown(arena + n_arena_unknown, n_bytes_allowed + GAPS_BYTES - n_arena_unknown);
        n_arena_unknown = n_bytes_allowed + GAPS_BYTES;
    }
    (void)take(shape.n_dynamic);
}

void shared_end_block()
{
#ifdef EMU_TSAN
    spent_arenas.push_back(arena);
    arena = nullptr;
#else
    make_unknown(arena, n_arena_used);
#endif
}

void shared_end_launch()
{
    for (char *spent : spent_arenas) free(spent);
    spent_arenas.clear();
}

void *shared_dynamic()
{
    return arena;
}

void *shared_array(const void *id, size_t n_bytes, site where)
{
    for (unsigned i = 0; i < n_arrays; i++)
        if (arrays[i].id == id) return arrays[i].memory;
    if (n_arrays == MAX_ARRAYS) fail(where, "more than %d shared arrays", MAX_ARRAYS);
    if (n_bytes_used + n_bytes > n_bytes_allowed)
        fail(where, "%zu bytes of shared memory, %zu are allowed", n_bytes_used + n_bytes,
             n_bytes_allowed);
    arrays[n_arrays].id = id;
    arrays[n_arrays].memory = take(n_bytes);
    return arrays[n_arrays++].memory;
}
} // namespace emu
