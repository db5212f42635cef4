#include "kernels/emu/emu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace emu
{
enum { EXIT_FAILED_CHECK = 97, DEFAULT_MEMORY_MIB = 4096, DEFAULT_ARCH = 80, NEWEST = 99990 };

static uint64_t random_state;

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value && strcmp(value, "0") != 0;
}

static unsigned long long number_of(const char *name, unsigned long long otherwise)
{
    const char *value = getenv(name);
    return value && *value ? strtoull(value, nullptr, 10) : otherwise;
}

static modes read_modes()
{
    modes m = {};
    const char *wanted = getenv("INTERP_EMU_ORDER");
    if (!wanted || !*wanted || strcmp(wanted, "forward") == 0)
        m.order = order::forward;
    else if (strcmp(wanted, "reverse") == 0)
        m.order = order::reverse;
    else if (strcmp(wanted, "random") == 0)
        m.order = order::random;
    else
        fail(NOWHERE, "INTERP_EMU_ORDER '%s' is not forward, reverse or random", wanted);
    m.is_deferred = is_set("INTERP_EMU_DEFERRED");
    m.has_guards = is_set("INTERP_EMU_GUARD");
    const char *arithmetic = getenv("INTERP_EMU_ARITHMETIC");
    m.has_device_arithmetic = arithmetic && strcmp(arithmetic, "device") == 0;
    if (arithmetic && *arithmetic && !m.has_device_arithmetic)
        fail(NOWHERE, "INTERP_EMU_ARITHMETIC '%s' is not device", arithmetic);
    m.memory_bytes = number_of("INTERP_EMU_MEMORY_MIB", DEFAULT_MEMORY_MIB) << 20;
    m.n_devices = static_cast<int>(number_of("INTERP_EMU_DEVICES", 1));
    if (m.n_devices < 1 || m.n_devices > MAX_DEVICES)
        fail(NOWHERE, "INTERP_EMU_DEVICES is not 1 to %d", MAX_DEVICES);
    m.driver = static_cast<int>(number_of("INTERP_EMU_DRIVER", NEWEST));
    m.arch = static_cast<int>(number_of("INTERP_EMU_ARCH", DEFAULT_ARCH));
    m.has_image = !is_set("INTERP_EMU_NO_IMAGE");
    m.is_part = is_set("INTERP_EMU_MIG");
    m.fault = is_set("INTERP_EMU_FAULT") ? getenv("INTERP_EMU_FAULT") : nullptr;
    m.taken = is_set("INTERP_EMU_TAKEN") ? getenv("INTERP_EMU_TAKEN") : nullptr;
    m.full = is_set("INTERP_EMU_FULL") ? getenv("INTERP_EMU_FULL") : nullptr;
    random_state = 88172645463325252u ^ (number_of("INTERP_EMU_SEED", 1) * 0x9E3779B97F4A7C15u);
    for (int i = 0; i < 8; i++) (void)random_bits();
    return m;
}

const modes &current_modes()
{
    static const modes m = read_modes();
    return m;
}

bool has_device_arithmetic()
{
    static const bool has = current_modes().has_device_arithmetic;
    return has;
}

uint32_t random_bits()
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return static_cast<uint32_t>(random_state >> 32);
}

std::recursive_mutex &big_lock()
{
    static std::recursive_mutex lock;
    return lock;
}

void fail(site where, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "emulator: %s", text);
    if (kernel_name)
        (void)fprintf(stderr, "; kernel %s, block (%u,%u,%u), thread (%u,%u,%u)", kernel_name,
                      blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    if (where.file) (void)fprintf(stderr, ", %s:%d", where.file, where.line);
    (void)fputc('\n', stderr);
    _exit(EXIT_FAILED_CHECK); /* other threads and fibers must not go on */
}
} // namespace emu
