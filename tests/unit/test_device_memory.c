/* What a device's memory is planned by and how it behaves when it is short, on the CPU and on the
 * CUDA backend under the host emulator. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

static void open_emulated(struct backend **out)
{
    struct error err = {0};
    cr_assert_eq(backend_open("emu", out, &err), ST_OK, "%s", err.text);
}

static void expect_estimate(struct backend *backend, size_t n_in, size_t n_out,
                            enum compute compute)
{
    struct error err = {0};
    struct packed *packed = NULL;
    float *weights = calloc(n_in * n_out, sizeof *weights);
    const struct pack_params params = {
        .n_in = n_in, .n_out = n_out, .weights = weights, .compute = compute};
    cr_assert(weights);
    cr_assert_eq(backend->ops->packed_create(&packed, backend, &params, &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(backend->ops->packed_estimate(backend, &params),
                 backend->ops->packed_bytes(packed), "%s, %s, %zu x %zu", backend->ops->name,
                 compute_name(compute), n_in, n_out);
    cr_expect_geq(backend->ops->packed_bytes(packed), n_in * n_out * sizeof(uint16_t));
    backend->ops->packed_destroy(packed);
    free(weights);
}

Test(device_memory, weights_take_what_was_estimated)
{
    static const size_t SHAPES[][2] = {{1, 1}, {31, 257}, {257, 31}, {64, 192}};
    struct backend *backends[2];
    struct error err = {0};
    cr_assert_eq(backend_open_cpu(&backends[0], &err), ST_OK);
    open_emulated(&backends[1]);
    for (size_t b = 0; b < 2; b++) {
        for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++)
            for (unsigned c = 0; c < COMPUTE_N; c++)
                expect_estimate(backends[b], SHAPES[i][0], SHAPES[i][1], (enum compute)c);
        backend_close(&backends[b]);
    }
}

static size_t taken(const struct backend *backend)
{
    const struct backend_memory memory = backend->ops->memory(backend);
    return memory.n_total - memory.n_free;
}

static void expect_dictionary_estimate(struct backend *backend, size_t n_in, size_t n_features)
{
    struct error err = {0};
    struct sparse *sparse = NULL;
    float *zeros = calloc(n_in * n_features + n_features, sizeof *zeros);
    const struct sparse_params params = {
        .n_in = n_in, .n_features = n_features, .weights = zeros, .bias = zeros};
    cr_assert(zeros);
    const struct sparse_cost cost = backend->ops->sparse_estimate(backend, n_in, n_features, 0);
    cr_assert_eq(backend->ops->sparse_create(&sparse, backend, &params, &err), ST_OK, "%s",
                 err.text);
    const size_t n_bytes = backend->ops->sparse_bytes(sparse);
    cr_expect(n_bytes <= cost.n_weights && cost.n_weights - n_bytes <= 5 * 4 * n_features,
              "%s: %zu bytes, estimated %zu", backend->ops->name, n_bytes, cost.n_weights);
    backend->ops->sparse_destroy(sparse);
    free(zeros);
}

Test(device_memory, dictionaries_take_at_most_what_was_estimated)
{
    struct backend *backends[2];
    struct error err = {0};
    cr_assert_eq(backend_open_cpu(&backends[0], &err), ST_OK);
    open_emulated(&backends[1]);
    for (size_t b = 0; b < 2; b++) {
        expect_dictionary_estimate(backends[b], 31, 257);
        expect_dictionary_estimate(backends[b], 64, 2100);
        backend_close(&backends[b]);
    }
}

/* Two encoders that differ in their tally alone. */
static void expect_tally_estimate(struct backend *backend, size_t n_in, size_t n_features, size_t k)
{
    const struct backend_ops *ops = backend->ops;
    const struct exec_params params = {.row_block = 16};
    const size_t tallies[] = {0, k};
    struct sparse_encoder *encoders[2];
    struct error err = {0};
    struct sparse *sparse = NULL;
    struct exec *exec;
    size_t n_taken[3], n_planned[2];
    float *zeros = calloc(n_in * n_features + n_features, sizeof *zeros);
    const struct sparse_params of = {
        .n_in = n_in, .n_features = n_features, .weights = zeros, .bias = zeros};
    cr_assert(zeros);
    ops->limit_memory(backend, (size_t)1 << 30);
    cr_assert_eq(ops->sparse_create(&sparse, backend, &of, &err), ST_OK, "%s", err.text);
    cr_assert_eq(ops->exec_create(&exec, backend, &params, &err), ST_OK, "%s", err.text);
    n_taken[0] = taken(backend);
    for (size_t i = 0; i < 2; i++) {
        const struct sparse_encoder_params encoder = {.sparse = sparse, .tally_k = tallies[i]};
        n_planned[i] = ops->sparse_estimate(backend, n_in, n_features, tallies[i]).n_encoder;
        cr_assert_eq(ops->sparse_encoder_create(&encoders[i], exec, &encoder, &err), ST_OK, "%s",
                     err.text);
        n_taken[i + 1] = taken(backend);
    }
    const size_t n_tally = (n_taken[2] - n_taken[1]) - (n_taken[1] - n_taken[0]);
    cr_expect_eq(n_planned[1] - n_planned[0], n_tally, "%s: %zu", ops->name, n_tally);
    cr_expect_eq(n_tally, n_features * (1 + k) * sizeof(uint64_t));
    for (size_t i = 0; i < 2; i++) ops->sparse_encoder_destroy(encoders[i]);
    cr_expect_eq(taken(backend), n_taken[0], "%s: all of it came back", ops->name);
    ops->exec_destroy(exec);
    ops->sparse_destroy(sparse);
    free(zeros);
}

Test(device_memory, tallies_take_what_was_estimated)
{
    static const char *const BACKENDS[] = {"cpu", "emu"};
    for (size_t b = 0; b < 2; b++) {
        struct backend *backend = NULL;
        struct error err = {0};
        cr_assert_eq(backend_open(BACKENDS[b], &backend, &err), ST_OK, "%s", err.text);
        expect_tally_estimate(backend, 31, 257, 20);
        cr_expect_eq(
            backend->ops->sparse_estimate(backend, 31, 257, SPARSE_MAX_TALLY + 1).n_weights, 0,
            "no such tally");
        backend_close(&backend);
    }
}

/* What exec has taken since n_before, after comparisons of these sizes one after the other. */
static void expect_comparison_estimates(struct backend *backend)
{
    static const size_t N_ROWS[] = {16, 48, 32};
    const struct backend_ops *ops = backend->ops;
    const struct exec_params params = {.row_block = 16};
    struct row_pair pairs[48];
    uint32_t columns[3] = {0, 6, 2};
    struct error err = {0};
    struct packed *packed = NULL;
    struct exec *exec;
    void *x, *out, *logits;
    float weights[7] = {1, 2, 3, 4, 5, 6, 7};
    const struct pack_params pack = {.n_in = 1, .n_out = 7, .weights = weights};
    for (uint32_t i = 0; i < 48; i++) pairs[i] = (struct row_pair){0, i % 16};
    ops->limit_memory(backend, (size_t)1 << 28);
    cr_assert_eq(ops->packed_create(&packed, backend, &pack, &err), ST_OK, "%s", err.text);
    cr_assert_eq(ops->exec_create(&exec, backend, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(ops->alloc(backend, 48 * sizeof(float), &x, &err), ST_OK);
    cr_assert_eq(ops->alloc(backend, sizeof pairs * sizeof(struct divergence), &out, &err), ST_OK);
    cr_assert_eq(ops->alloc(backend, 48 * 3 * sizeof(float), &logits, &err), ST_OK);
    const size_t n_before = taken(backend);
    for (size_t i = 0; i < 3; i++) {
        const size_t n = N_ROWS[i], n_largest = n > 16 ? 48 : 16;
        const struct diverge_shape shape = {n_largest, 7, n_largest, 3};
        const struct diverge_params p = {.weights = packed,
                                         .x = x,
                                         .ld_x = 1,
                                         .n_rows = n,
                                         .pairs = pairs,
                                         .columns = columns,
                                         .n_pairs = n,
                                         .n_columns = 3,
                                         .out = out,
                                         .logits = logits};
        cr_assert_eq(ops->diverge(exec, &p, &err), ST_OK, "%s", err.text);
        cr_assert_eq(ops->synchronize(exec, &err), ST_OK, "%s", err.text);
        cr_expect_eq(taken(backend) - n_before, ops->diverge_estimate(backend, &shape),
                     "%s, %zu rows", ops->name, n);
    }
    const struct diverge_shape endless = {SIZE_MAX / 16, SIZE_MAX / 16, 1, 1};
    cr_expect_eq(ops->diverge_estimate(backend, &endless), 0);
    ops->release(backend, x);
    ops->release(backend, out);
    ops->release(backend, logits);
    ops->exec_destroy(exec);
    ops->packed_destroy(packed);
}

Test(device_memory, comparisons_take_what_was_estimated)
{
    static const char *const BACKENDS[] = {"cpu", "emu"};
    for (size_t b = 0; b < 2; b++) {
        struct backend *backend = NULL;
        struct error err = {0};
        cr_assert_eq(backend_open(BACKENDS[b], &backend, &err), ST_OK, "%s", err.text);
        expect_comparison_estimates(backend);
        backend_close(&backend);
    }
}

static void expect_limit(struct backend *backend)
{
    struct error err = {0};
    void *first, *second;
    backend->ops->limit_memory(backend, 1 << 20);
    cr_expect_eq(backend->ops->memory(backend).n_total, 1 << 20);
    cr_assert_eq(backend->ops->alloc(backend, 700000, &first, &err), ST_OK, "%s", err.text);
    cr_expect_eq(backend->ops->alloc(backend, 700000, &second, &err), ST_NO_MEMORY);
    cr_expect(strstr(err.text, "bytes on the device, ") && strstr(err.text, " of 1048576 are free"),
              "%s: %s", backend->ops->name, err.text);
    backend->ops->release(backend, first);
    cr_expect_eq(backend->ops->memory(backend).n_free, 1 << 20);
    cr_assert_eq(backend->ops->alloc(backend, 700000, &second, NULL), ST_OK);
    backend->ops->release(backend, second);
}

Test(device_memory, a_limit_is_a_smaller_device)
{
    struct backend *backend;
    struct error err = {0};
    cr_assert_eq(backend_open_cpu(&backend, &err), ST_OK);
    expect_limit(backend);
    backend_close(&backend);
    open_emulated(&backend);
    expect_limit(backend);
    backend_close(&backend);
}

/* Scratch grows by half as much again, where there is room for that. */
Test(device_memory, scratch_takes_what_is_needed_where_more_does_not_fit)
{
    enum { ROWS = 256, FEW = 1000, MANY = 1100 };
    static const size_t N_NEEDED = (size_t)ROWS * MANY * sizeof(uint16_t); /* bf16 rows */
    struct emulated e;
    struct packed *packed[2] = {NULL};
    emulated_open(&e, &EMULATED_MODES[0], ROWS);
    const struct backend_ops *ops = e.emu->ops;
    struct pair x = pair_of(&e, ROWS * MANY, 1), y = pair_of(&e, ROWS * 8, 0),
                w = pair_of(&e, MANY * 8, 1);
    for (size_t i = 0; i < 2; i++) {
        const struct pack_params pack = {
            .n_in = i ? MANY : FEW, .n_out = 8, .weights = w.on[0], .compute = COMPUTE_BF16};
        cr_assert_eq(ops->packed_create(&packed[i], e.emu, &pack, &e.err), ST_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        const struct matmul_params p = {.weights = packed[i],
                                        .x = x.on[1],
                                        .y = y.on[1],
                                        .ld_x = MANY,
                                        .ld_y = 8,
                                        .n_rows = ROWS};
        cr_expect_eq(ops->matmul(e.emu_exec, &p, &e.err), ST_OK, "%s", e.err.text);
        cr_assert_eq(ops->synchronize(e.emu_exec, &e.err), ST_OK);
        ops->limit_memory(e.emu, N_NEEDED + 1000); /* FEW and half of it again are more */
    }
    for (size_t i = 0; i < 2; i++) ops->packed_destroy(packed[i]);
    pair_free(&e, &x);
    pair_free(&e, &y);
    pair_free(&e, &w);
    emulated_close(&e);
}

/* What products of these widths, one after the other, have an exec take. */
static size_t taken_by_products(struct emulated *e, enum compute compute, const size_t widths[2],
                                struct pair *x, struct pair *y)
{
    enum { ROWS = 16, OUT = 8 };
    const struct backend_ops *ops = e->emu->ops;
    struct packed *packed;
    size_t n_taken = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct pack_params pack = {
            .n_in = widths[i], .n_out = OUT, .weights = x->on[0], .compute = compute};
        cr_assert_eq(ops->packed_create(&packed, e->emu, &pack, &e->err), ST_OK);
        const struct matmul_params p = {.weights = packed,
                                        .x = x->on[1],
                                        .y = y->on[1],
                                        .ld_x = widths[i],
                                        .ld_y = OUT,
                                        .n_rows = ROWS};
        const size_t n_before = taken(e->emu);
        cr_assert_eq(ops->matmul(e->emu_exec, &p, &e->err), ST_OK, "%s", e->err.text);
        cr_assert_eq(ops->synchronize(e->emu_exec, &e->err), ST_OK);
        n_taken += taken(e->emu) - n_before;
        ops->packed_destroy(packed);
    }
    return n_taken;
}

Test(device_memory, rounded_rows_take_at_most_what_was_estimated)
{
    static const enum compute COMPUTES[] = {COMPUTE_BF16, COMPUTE_BF16X3, COMPUTE_F32};
    static const size_t WIDTHS[][2] = {{1000, 1100}, {100, 1100}};
    for (size_t i = 0; i < 6; i++) {
        struct emulated e;
        emulated_open(&e, &EMULATED_MODES[0], 16);
        e.emu->ops->limit_memory(e.emu, (size_t)1 << 28);
        struct pair x = pair_of(&e, (size_t)16 * 1100, 1), y = pair_of(&e, (size_t)16 * 8, 0);
        const struct scratch_shape shape = {
            .row_block = 16, .n_in = 1100, .compute = COMPUTES[i / 2]};
        const size_t n_most = e.emu->ops->scratch_estimate(e.emu, &shape);
        const size_t n_taken = taken_by_products(&e, COMPUTES[i / 2], WIDTHS[i % 2], &x, &y);
        cr_expect(n_taken <= n_most && n_taken >= n_most * 2 / 3, "%s: %zu of %zu",
                  compute_name(COMPUTES[i / 2]), n_taken, n_most);
        cr_expect_eq(n_most > 0, COMPUTES[i / 2] != COMPUTE_F32);
        pair_free(&e, &x);
        pair_free(&e, &y);
        emulated_close(&e);
    }
}

/* A limit is the backend's that was told: another one on the same device has none. */
Test(device_memory, a_limit_belongs_to_its_backend)
{
    struct backend *limited, *free_one;
    void *memory = NULL;
    struct error err = {0};
    open_emulated(&limited);
    open_emulated(&free_one);
    limited->ops->limit_memory(limited, 1 << 20);
    cr_expect_eq(limited->ops->alloc(limited, 2 << 20, &memory, NULL), ST_NO_MEMORY);
    cr_assert_eq(free_one->ops->alloc(free_one, 2 << 20, &memory, &err), ST_OK, "%s", err.text);
    cr_expect_gt(free_one->ops->memory(free_one).n_total, 1 << 20);
    free_one->ops->release(free_one, memory);
    backend_close(&limited);
    open_emulated(&limited); /* opened again it has none either */
    cr_expect_gt(limited->ops->memory(limited).n_total, 1 << 20);
    backend_close(&limited);
    backend_close(&free_one);
}

/* --- windows ------------------------------------------------------------------------------- */

enum { N_LAYERS = 5, N_WEIGHTS = 2, N_IN = 33, N_OUT = 48, N_ROWS = 32 };
enum { N_MAPS = N_LAYERS * N_WEIGHTS };

struct shelf {
    struct packed *resident[N_MAPS], *shelved[N_MAPS];
};

static void shelf_fill(struct shelf *shelf, struct emulated *e, enum compute compute)
{
    float weights[N_IN * N_OUT];
    const struct backend_ops *ops = e->emu->ops;
    for (size_t i = 0; i < N_MAPS; i++) {
        struct pack_params params = {
            .n_in = N_IN, .n_out = N_OUT, .weights = weights, .compute = compute};
        for (size_t k = 0; k < sizeof weights / sizeof weights[0]; k++)
            weights[k] = (float)emulated_random() * 0x1p-31F - 1;
        cr_assert_eq(ops->packed_create(&shelf->resident[i], e->emu, &params, &e->err), ST_OK);
        params.is_shelved = true;
        cr_assert_eq(ops->packed_create(&shelf->shelved[i], e->emu, &params, &e->err), ST_OK, "%s",
                     e->err.text);
    }
}

static void shelf_empty(struct shelf *shelf, struct emulated *e)
{
    for (size_t i = 0; i < N_MAPS; i++) {
        e->emu->ops->packed_destroy(shelf->resident[i]);
        e->emu->ops->packed_destroy(shelf->shelved[i]);
    }
}

/* y of every product of a pass over `layers`, one behind the other in *y. */
static void run_products(struct emulated *e, const struct shelf *shelf, struct window *window,
                         const float *x, float *y)
{
    /* forward, on from a layer that was not announced, there and back */
    static const size_t LAYERS[] = {0, 1, 2, 3, 4, 0, 1, 1, 3, 0, 3, 4, 3, 2, 1, 0, 1};
    const size_t n = sizeof LAYERS / sizeof LAYERS[0];
    const struct backend_ops *ops = e->emu->ops;
    for (size_t i = 0; i < n; i++) {
        const size_t next = i < 8 ? (LAYERS[i] + 1) % N_LAYERS : LAYERS[(i + 1) % n];
        const struct packed *const *weights = NULL;
        if (window)
            cr_assert_eq(ops->window_take(window, LAYERS[i], next, &weights, &e->err), ST_OK,
                         "%s: %s", e->mode, e->err.text);
        for (size_t k = 0; k < N_WEIGHTS; k++, y += N_ROWS * N_OUT) {
            const struct matmul_params p = {
                .weights = weights ? weights[k] : shelf->resident[LAYERS[i] * N_WEIGHTS + k],
                .x = x,
                .y = y,
                .ld_x = N_IN,
                .ld_y = N_OUT,
                .n_rows = N_ROWS};
            cr_assert_eq(ops->matmul(e->emu_exec, &p, &e->err), ST_OK, "%s: %s", e->mode,
                         e->err.text);
        }
    }
}

static void expect_same_products(struct emulated *e, enum compute compute)
{
    enum { N_TAKES = 17, N_FLOATS = N_TAKES * N_WEIGHTS * N_ROWS * N_OUT };
    const struct backend_ops *ops = e->emu->ops;
    struct shelf shelf;
    struct window *window = NULL;
    struct pair x = pair_of(e, N_ROWS * N_IN, 1), y = pair_of(e, N_FLOATS, 0);
    shelf_fill(&shelf, e, compute);
    run_products(e, &shelf, NULL, x.on[1], y.on[1]);
    cr_assert_eq(ops->download(e->emu_exec, y.on[0], y.on[1], N_FLOATS * sizeof(float), &e->err),
                 ST_OK);
    const struct window_params params = {(const struct packed *const *)shelf.shelved, N_LAYERS,
                                         N_WEIGHTS};
    cr_assert_eq(ops->window_create(&window, e->emu_exec, &params, &e->err), ST_OK, "%s",
                 e->err.text);
    run_products(e, &shelf, window, x.on[1], y.on[1]);
    pair_expect_same(e, &y, 0, compute_name(compute));
    ops->window_destroy(window);
    shelf_empty(&shelf, e);
    pair_free(e, &x);
    pair_free(e, &y);
}

ParameterizedTestParameters(device_memory, a_window_computes_as_if_all_were_there)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTest(struct emulated_mode *mode, device_memory, a_window_computes_as_if_all_were_there)
{
    struct emulated e;
    emulated_open(&e, mode, 16);
    cr_assert(backend_supports(e.emu, BACKEND_STREAMING));
    for (unsigned c = 0; c < COMPUTE_N; c++) expect_same_products(&e, (enum compute)c);
    emulated_close(&e);
}

Test(device_memory, shelved_weights_need_a_window_and_a_window_needs_equal_layers)
{
    struct emulated e;
    struct shelf shelf;
    struct window *window = NULL;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    shelf_fill(&shelf, &e, COMPUTE_F32);
    struct pair x = pair_of(&e, 16 * N_IN, 1), y = pair_of(&e, 16 * N_OUT, 1);
    const struct matmul_params p = {.weights = shelf.shelved[0],
                                    .x = x.on[1],
                                    .y = y.on[1],
                                    .ld_x = N_IN,
                                    .ld_y = N_OUT,
                                    .n_rows = 16};
    cr_expect_eq(e.emu->ops->matmul(e.emu_exec, &p, &e.err), ST_INTERNAL);
    const struct window_params params = {(const struct packed *const *)shelf.resident, N_LAYERS,
                                         N_WEIGHTS};
    cr_expect_eq(e.emu->ops->window_create(&window, e.emu_exec, &params, NULL), ST_BAD_INPUT);
    cr_expect_null(window);
    pair_free(&e, &x);
    pair_free(&e, &y);
    shelf_empty(&shelf, &e);
    emulated_close(&e);
}

/* --- devices that fail --------------------------------------------------------------------- */

Test(device_memory, an_illegal_access_loses_the_device_for_good)
{
    const struct exec_params params = {.row_block = 16};
    struct backend *backend = NULL;
    struct error why = {0}, err = {0};
    struct exec *exec;
    void *x, *more;
    cr_assert_eq(setenv("INTERP_EMU_FAULT", "add_kernel:2", 1), 0);
    cr_assert_eq(backend_open_untested("emu", &backend, &why, &err), ST_OK, "%s", err.text);
    const struct backend_ops *ops = backend->ops;
    cr_assert_eq(ops->exec_create(&exec, backend, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(ops->alloc(backend, 64, &x, &err), ST_OK);
    const struct add_params add = {
        .a = x, .b = x, .out = x, .n_rows = 1, .d = 16, .ld_a = 16, .ld_out = 16};
    cr_assert_eq(ops->add(exec, &add, &err), ST_OK, "%s", err.text);
    cr_expect(!ops->is_lost(backend));
    cr_expect_eq(ops->add(exec, &add, &err), ST_INTERNAL);
    cr_expect(strstr(err.text, "illegal memory access"), "%s", err.text);
    cr_expect(ops->is_lost(backend));
    cr_expect_neq(ops->alloc(backend, 16, &more, NULL), ST_OK);
    ops->release(backend, x);
    ops->exec_destroy(exec);
    backend_close(&backend);
    cr_expect_eq(emulated_alive(), 0, "what was on it is given back all the same");
}

/* cuBLAS does not say that it finds no room. */
Test(device_memory, a_device_too_full_for_cublas_is_full)
{
    const struct exec_params params = {.row_block = 16};
    struct backend *backend = NULL;
    struct error why = {0}, err = {0};
    struct exec *exec = NULL;
    cr_assert_eq(setenv("INTERP_EMU_MEMORY_MIB", "4", 1), 0); /* its workspace, and no more */
    cr_assert_eq(backend_open_untested("emu", &backend, &why, &err), ST_OK, "%s", err.text);
    cr_expect_eq(backend->ops->exec_create(&exec, backend, &params, &err), ST_NO_MEMORY);
    cr_expect_str_eq(err.text, "cublas: create: not initialized; 0 bytes of the device are free");
    backend_close(&backend);
    cr_expect_eq(emulated_alive(), 0);
}

/* A machine as the emulator's environment says, and what opening its device says. */
struct machine_case {
    char variable[24], value[8], backend[24], says[120];
    status_t status;
};
static struct machine_case MACHINES[] = {
    {"INTERP_EMU_DRIVER", "0", "emu", "backend emu: this machine has no NVIDIA driver",
     ST_NOT_FOUND},
    {"INTERP_EMU_DRIVER", "11040", "emu",
     "the NVIDIA driver is too old: it knows CUDA 11.4, this build needs 13.0", ST_NOT_FOUND},
    {"INTERP_EMU_ARCH", "75", "emu", "has compute capability 7.5; 8.0 is the oldest", ST_NOT_FOUND},
    {"INTERP_EMU_NO_IMAGE", "1", "emu", "this build has no image for emu host emulator sm_80",
     ST_NOT_FOUND},
    {"INTERP_EMU_MEMORY_MIB", "0", "emu", "device 0: 1 bytes on the device, 0 of 0 are free",
     ST_NO_MEMORY},
    {"INTERP_EMU_DEVICES", "2", "emu:2",
     "backend emu:2: this machine has 2 devices, emu:0 to emu:1", ST_NOT_FOUND},
    {"INTERP_EMU_DEVICES", "2", "emu:GPU-abcd", "0 of the 2 devices here have that UUID",
     ST_NOT_FOUND},
    {"INTERP_EMU_DEVICES", "2", "emu:GPU-656d", "2 of the 2 devices here have that UUID",
     ST_NOT_FOUND},
};

ParameterizedTestParameters(device_memory, a_device_that_cannot_be_used_says_why)
{
    return cr_make_param_array(struct machine_case, MACHINES, sizeof MACHINES / sizeof MACHINES[0]);
}

ParameterizedTest(struct machine_case *c, device_memory, a_device_that_cannot_be_used_says_why)
{
    struct backend *backend = NULL;
    struct error err = {0};
    cr_assert_eq(setenv(c->variable, c->value, 1), 0);
    cr_expect_eq(backend_open(c->backend, &backend, &err), c->status, "%s=%s", c->variable,
                 c->value);
    cr_expect_eq(err.status, c->status);
    cr_expect(strstr(err.text, c->says), "%s=%s: %s", c->variable, c->value, err.text);
    cr_expect_null(backend);
}

/* By the name that nvidia-smi has for it; in capitals too. */
Test(device_memory, a_part_of_a_device_is_named_as_one)
{
    struct backend_place places[2];
    struct backend *backend = NULL;
    struct error err = {0};
    size_t n = 0;
    cr_assert_eq(setenv("INTERP_EMU_DEVICES", "2", 1), 0);
    cr_assert_eq(setenv("INTERP_EMU_MIG", "1", 1), 0);
    cr_assert_eq(backend_devices("emu", places, 2, &n, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(places[1].uuid, "MIG-656d756c-6174-6564-2030-310000000000");
    cr_assert_eq(backend_open("emu:MIG-656D756C-6174-6564-2030-31", &backend, &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(backend->ops->place(backend)->index, 1);
    backend_close(&backend);
}

Test(device_memory, devices_are_told_apart_by_index_and_uuid)
{
    struct backend_place places[4];
    struct backend *backend = NULL;
    struct error err = {0};
    char name[64] = "emu:";
    size_t n = 0;
    void *memory;
    cr_assert_eq(setenv("INTERP_EMU_DEVICES", "3", 1), 0);
    cr_assert_eq(setenv("INTERP_EMU_MEMORY_MIB", "8", 1), 0);
    cr_assert_eq(backend_devices("emu", places, 4, &n, &err), ST_OK, "%s", err.text);
    cr_assert_eq(n, 3);
    cr_expect_str_neq(places[0].uuid, places[1].uuid);
    cr_expect_str_eq(places[2].pci, "0000:03:00.0");
    strncat(name, places[2].uuid, sizeof name - strlen(name) - 1);
    cr_assert_eq(backend_open(name, &backend, &err), ST_OK, "%s", err.text);
    cr_expect_eq(backend->ops->place(backend)->index, 2);
    cr_assert_eq(backend->ops->alloc(backend, 4 << 20, &memory, &err), ST_OK, "%s", err.text);
    cr_expect_eq(backend->ops->memory(backend).n_free, 4 << 20);
    struct backend *other = NULL;
    cr_assert_eq(backend_open("emu:1", &other, &err), ST_OK, "%s", err.text);
    cr_expect_eq(other->ops->memory(other).n_free, 8 << 20, "each has memory of its own");
    cr_expect_str_eq(other->ops->describe(other), backend->ops->describe(backend));
    backend->ops->release(backend, memory);
    backend_close(&backend);
    backend_close(&other);
}
