#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct emulated_mode EMULATED_MODES[] = {
    {"forward", "forward", "1", "0", "0", ""},    {"reverse", "reverse", "1", "0", "0", ""},
    {"random 1", "random", "1", "0", "0", ""},    {"random 2", "random", "2", "0", "0", ""},
    {"deferred 1", "forward", "1", "1", "0", ""}, {"deferred 2", "random", "3", "1", "0", ""},
    {"guard", "forward", "1", "0", "1", ""},      {"device", "forward", "1", "0", "0", "device"},
};
const size_t EMULATED_N_MODES = sizeof EMULATED_MODES / sizeof EMULATED_MODES[0];

static uint64_t random_state = 11;

uint32_t emulated_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

void emulated_set_mode(const struct emulated_mode *mode)
{
    cr_assert_eq(setenv("INTERP_EMU_ORDER", mode->order, 1), 0);
    cr_assert_eq(setenv("INTERP_EMU_SEED", mode->seed, 1), 0);
    cr_assert_eq(setenv("INTERP_EMU_DEFERRED", mode->deferred, 1), 0);
    cr_assert_eq(setenv("INTERP_EMU_GUARD", mode->guard, 1), 0);
    cr_assert_eq(setenv("INTERP_EMU_ARITHMETIC", mode->arithmetic, 1), 0);
}

/* A function of the emulator's plugin, which is open. */
union emulator_function {
    void *symbol;
    uint64_t (*count)(void);
    uint64_t (*count_of)(const char *name);
};

static union emulator_function emulator_function(const char *name)
{
    const char *directory = getenv("INTERP_PLUGIN_DIR");
    char path[PATH_MAX] = "";
    union emulator_function found = {NULL};
    if (directory && *directory) {
        cr_assert(snprintf(path, sizeof path, "%s", directory) < PATH_MAX);
    } else {
        const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        cr_assert(n > 0);
        path[n] = '\0';
        *strrchr(path, '/') = '\0';
    }
    cr_assert_lt(strlen(path) + sizeof "/libinterp_emu.so", sizeof path);
    (void)strcat(path, "/libinterp_emu.so");
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    cr_assert(library, "%s", dlerror());
    found.symbol = dlsym(library, name);
    cr_assert(found.symbol, "%s", dlerror());
    (void)dlclose(library); /* the backend holds it */
    return found;
}

static uint64_t emulator_count(const char *name)
{
    return emulator_function(name).count();
}

uint64_t emulated_allocations(void)
{
    return emulator_count("emu_n_allocations");
}

uint64_t emulated_alive(void)
{
    return emulator_count("emu_n_alive");
}

struct emulated_work emulated_work(void)
{
    return (struct emulated_work){emulator_count("emu_n_products"),
                                  emulator_count("emu_n_bytes_up"),
                                  emulator_count("emu_n_bytes_down")};
}

uint64_t emulated_launches(const char *kernel)
{
    return emulator_function("emu_n_launches").count_of(kernel);
}

void emulated_open(struct emulated *e, const struct emulated_mode *mode, size_t row_block)
{
    const struct exec_params params = {.row_block = row_block};
    *e = (struct emulated){.mode = mode->name};
    emulated_set_mode(mode);
    cr_assert_eq(backend_open_cpu(&e->cpu, &e->err), ST_OK, "%s", e->err.text);
    cr_assert_eq(backend_open("emu", &e->emu, &e->err), ST_OK, "%s", e->err.text);
    cr_assert_eq(e->cpu->ops->exec_create(&e->cpu_exec, e->cpu, &params, &e->err), ST_OK);
    cr_assert_eq(e->emu->ops->exec_create(&e->emu_exec, e->emu, &params, &e->err), ST_OK, "%s",
                 e->err.text);
}

void emulated_close(struct emulated *e)
{
    e->cpu->ops->exec_destroy(e->cpu_exec);
    e->emu->ops->exec_destroy(e->emu_exec);
    backend_close(&e->cpu);
    backend_close(&e->emu);
}

struct pair pair_of(struct emulated *e, size_t n, float scale)
{
    struct pair pair = {.n = n};
    void *memory[2];
    cr_assert_eq(e->cpu->ops->alloc(e->cpu, n * sizeof(float), &memory[0], &e->err), ST_OK);
    cr_assert_eq(e->emu->ops->alloc(e->emu, n * sizeof(float), &memory[1], &e->err), ST_OK, "%s",
                 e->err.text);
    pair.on[0] = memory[0];
    pair.on[1] = memory[1];
    for (size_t i = 0; i < n; i++)
        pair.on[0][i] = ((float)emulated_random() * 0x1p-31f - 1) * scale;
    cr_assert_eq(
        e->emu->ops->upload(e->emu_exec, pair.on[1], pair.on[0], n * sizeof(float), &e->err), ST_OK,
        "%s", e->err.text);
    return pair;
}

void pair_free(struct emulated *e, struct pair *pair)
{
    e->cpu->ops->release(e->cpu, pair->on[0]);
    e->emu->ops->release(e->emu, pair->on[1]);
}

void pair_expect_same(struct emulated *e, const struct pair *pair, double tolerance,
                      const char *what)
{
    const float *want = pair->on[0];
    float *got = malloc(pair->n * sizeof *got);
    double largest = 0, worst = 0;
    cr_assert(got);
    cr_assert_eq(
        e->emu->ops->download(e->emu_exec, got, pair->on[1], pair->n * sizeof *got, &e->err), ST_OK,
        "%s", e->err.text);
    for (size_t i = 0; i < pair->n; i++) {
        const double difference = fabs((double)got[i] - (double)want[i]);
        cr_assert(isfinite(got[i]), "%s, %s: value %zu is %g", e->mode, what, i, (double)got[i]);
        worst = fmax(worst, difference);
        largest = fmax(largest, fabs((double)want[i]));
    }
    if (tolerance == 0)
        cr_assert_eq(memcmp(got, want, pair->n * sizeof *got), 0, "%s, %s: other bits", e->mode,
                     what);
    cr_assert(worst <= tolerance * largest, "%s, %s: differs by %.3g of %.3g", e->mode, what, worst,
              largest);
    free(got);
}
