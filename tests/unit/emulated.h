/* Two backends side by side for tests: the CPU as the oracle, and the CUDA backend on the host
 * emulator in one of its modes. A buffer has the same contents in both; results are fetched from
 * the second and compared. */
#ifndef TESTS_UNIT_EMULATED_H
#define TESTS_UNIT_EMULATED_H

#include "kernels/plugin.h"

struct emulated_mode {
    char name[24], order[12], seed[4], deferred[4], guard[4], arithmetic[8];
};
extern struct emulated_mode EMULATED_MODES[]; /* not const: Criterion's parameters are not */
extern const size_t EMULATED_N_MODES;

struct emulated {
    const char *mode;
    struct backend *cpu, *emu;
    struct exec *cpu_exec, *emu_exec;
    struct error err;
};

/* Set the mode; for tests that open the backend themselves. */
void emulated_set_mode(const struct emulated_mode *mode);
/* The mode holds for the whole process: one a test. */
void emulated_open(struct emulated *e, const struct emulated_mode *mode, size_t row_block);
void emulated_close(struct emulated *e);

/* The same numbers for both; [0] the CPU's, [1] the emulated device's. NULL stands for none. */
struct pair {
    float *on[2];
    size_t n;
};
struct pair pair_of(struct emulated *e, size_t n, float scale); /* random */
void pair_free(struct emulated *e, struct pair *pair);
/* Every value within `tolerance` of the largest; 0: the same bits. */
void pair_expect_same(struct emulated *e, const struct pair *pair, double tolerance,
                      const char *what);
/* The same call on both. side: 0 the CPU, 1 the emulated device. */
#define ON_BOTH(e, slot, params_of_side)                                                           \
    for (size_t side = 0; side < 2; side++) {                                                      \
        struct backend *backend = side ? (e)->emu : (e)->cpu;                                      \
        const status_t status = backend->ops->slot(side ? (e)->emu_exec : (e)->cpu_exec,           \
                                                   &(params_of_side), &(e)->err);                  \
        cr_assert_eq(status, ST_OK, "%s, %s: %s", (e)->mode, #slot, (e)->err.text);                \
    }

uint32_t emulated_random(void);

/* How often the plugin has asked for device or pinned memory so far; one is open. */
uint64_t emulated_allocations(void);
/* Device memory and recordings that nobody has given back; one was open. */
uint64_t emulated_alive(void);

/* What has run so far in the plugin that is open: products of cuBLAS, bytes over the link, launches
 * of a kernel. */
struct emulated_work {
    uint64_t n_products, n_bytes_up, n_bytes_down;
};
struct emulated_work emulated_work(void);
uint64_t emulated_launches(const char *kernel);

#endif
