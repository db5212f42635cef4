/* Do the kernels touch the bytes that kernels/cuda/accounting.h counts?
 *
 * The kernels of this program are compiled with the instrumentation of the thread sanitizer and
 * linked without it: its hooks are below, and note every byte of device memory that a kernel reads
 * and that it writes. Each operation runs once on the emulator; what its kernel touched must be
 * what the accounting says, to the byte. Prints a line for each difference; exit code 1 if any. */
#include "kernels/emu/emu.h"

extern "C" {
#include "kernels/cuda/accounting.h"
#include "kernels/plugin.h"
}

#include <map>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <unordered_set>
#include <vector>

/* Addresses of bytes. */
struct touched {
    std::unordered_set<uintptr_t> read, written;
};
static std::map<std::string, touched> kernels; /* since forget() */

static void note(bool is_write, const void *address, size_t n)
{
    if (!emu::kernel_name || !emu::is_device(address, n)) return;
    touched &all = kernels[emu::kernel_name];
    for (size_t i = 0; i < n; i++)
        (is_write ? all.written : all.read).insert(reinterpret_cast<uintptr_t>(address) + i);
}

/* --- the hooks ------------------------------------------------------------------------------- */
#define ACCESS(name, n)                                                                            \
    void __tsan_read##name(void *address);                                                         \
    void __tsan_write##name(void *address);                                                        \
    void __tsan_read##name(void *address)                                                          \
    {                                                                                              \
        note(false, address, n);                                                                   \
    }                                                                                              \
    void __tsan_write##name(void *address)                                                         \
    {                                                                                              \
        note(true, address, n);                                                                    \
    }
extern "C" {
ACCESS(1, 1)
ACCESS(2, 2)
ACCESS(4, 4)
ACCESS(8, 8)
ACCESS(16, 16)
/* Atomics read and write. Blocks run one after the other here, so plain accesses will do. */
#define ATOMIC(bits)                                                                               \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void *address, int);                  \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile void *address, void *expected,      \
                                                      uint##bits##_t wanted, int, int);            \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void *address, int)                   \
    {                                                                                              \
        note(false, const_cast<const void *>(address), bits / 8);                                  \
        return *static_cast<const volatile uint##bits##_t *>(address);                             \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile void *address, void *expected,      \
                                                      uint##bits##_t wanted, int, int)             \
    {                                                                                              \
        volatile uint##bits##_t *value = static_cast<volatile uint##bits##_t *>(address);          \
        uint##bits##_t *was = static_cast<uint##bits##_t *>(expected);                             \
        note(true, const_cast<const void *>(address), bits / 8);                                   \
        const bool is_same = *value == *was;                                                       \
        if (is_same)                                                                               \
            *value = wanted;                                                                       \
        else                                                                                       \
            *was = *value;                                                                         \
        return is_same;                                                                            \
    }
ATOMIC(32)
ATOMIC(64)
void __tsan_read_range(void *address, unsigned long n);
void __tsan_write_range(void *address, unsigned long n);
void __tsan_read_range(void *address, unsigned long n)
{
    note(false, address, n);
}
void __tsan_write_range(void *address, unsigned long n)
{
    note(true, address, n);
}
void __tsan_init();
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void *caller);
void __tsan_init()
{
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit(void *)
{
}
extern const struct backend_plugin interp_backend_plugin;
}

/* --- one operation at a time ------------------------------------------------------------------ */
static struct backend *backend;
static struct exec *exec;
static struct error err;
static int n_wrong;
static uint32_t state = 1;

static void must(status_t status)
{
    if (status == ST_OK) return;
    (void)fprintf(stderr, "%s\n", err.text);
    exit(2);
}

/* Device floats, in (0, 1]. */
static float *floats(size_t n)
{
    std::vector<float> host(n);
    void *memory = nullptr;
    for (float &value : host) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<float>((state >> 8) + 1) * 0x1p-24f;
    }
    must(backend->ops->alloc(backend, n * sizeof(float), &memory, &err));
    must(backend->ops->upload(exec, memory, host.data(), n * sizeof(float), &err));
    must(backend->ops->synchronize(exec, &err));
    return static_cast<float *>(memory);
}

static double bytes_of(const char *name)
{
    for (const auto &kernel : kernels)
        if (kernel.first.find(name) != std::string::npos)
            return static_cast<double>(kernel.second.read.size() + kernel.second.written.size());
    return 0;
}

static void expect(const struct launch_costs &costs, enum launch_kind kind, const char *what)
{
    must(backend->ops->synchronize(exec, &err));
    const char *name = launch_info_of(kind)->name;
    const double found = bytes_of(name), counted = costs.of[kind].n_bytes;
    const bool is_right = found == counted && costs.of[kind].n_launches == 1;
    (void)printf("%s %s, %s: %.0f bytes touched, %.0f counted\n", is_right ? "ok   " : "WRONG",
                 name, what, found, counted);
    n_wrong += !is_right;
}

#define RUN(slot, kind, what, p)                                                                   \
    do {                                                                                           \
        struct launch_costs costs = {};                                                            \
        kernels.clear();                                                                           \
        account_##slot(&costs, &(p));                                                              \
        must(backend->ops->slot(exec, &(p), &err));                                                \
        expect(costs, kind, what);                                                                 \
    } while (0)

enum { ROWS = 5, CONTEXT = 3, WIDTH = 37, LD = 41 };

static void check_rows()
{
    const uint32_t tokens[ROWS] = {4, 0, 2, 3, 1};
    float *x = floats(ROWS * LD), *y = floats(ROWS * LD), *vector = floats(WIDTH);
    struct embed_params embed = {
        tokens, floats(ROWS * WIDTH), floats(CONTEXT * WIDTH), y, ROWS, CONTEXT, WIDTH};
    RUN(embed, LAUNCH_EMBED, "tokens and positions", embed);
    embed.position_table = nullptr;
    RUN(embed, LAUNCH_EMBED, "tokens", embed);
    struct norm_params norm = {NORM_LAYER, x, vector, vector, y, 1e-5f, ROWS, WIDTH};
    norm.bias = floats(WIDTH);
    RUN(norm, LAUNCH_NORM, "layer", norm);
    norm.kind = NORM_RMS;
    norm.bias = nullptr;
    RUN(norm, LAUNCH_NORM, "rms", norm);
    struct add_params add = {x, floats(ROWS * WIDTH), vector, y, ROWS, WIDTH, LD, LD};
    RUN(add, LAUNCH_ADD, "rows and bias", add);
    add.out = x;
    add.b = nullptr;
    RUN(add, LAUNCH_ADD, "bias, in place", add);
    float *pre = floats(ROWS * 2 * WIDTH), *biases = floats(2 * WIDTH);
    const struct activate_params activate = {
        ACTIVATION_SILU, pre, biases, pre + WIDTH, biases + WIDTH, y, ROWS, WIDTH, 2 * WIDTH, LD};
    RUN(activate, LAUNCH_ACTIVATE, "gated", activate);
    struct prepare_params rows = {x, vector, y, ROWS, WIDTH, PREPARE_NONE, false, nullptr};
    RUN(prepare, LAUNCH_PREPARE_BIAS, "bias", rows);
    rows.bias = nullptr;
    rows.kind = PREPARE_LAYER;
    rows.is_centred = true;
    RUN(prepare, LAUNCH_PREPARE_SUMS, "centred, layer", rows);
    rows.kind = PREPARE_CONSTANT;
    rows.is_centred = false;
    rows.scales = floats(ROWS);
    RUN(prepare, LAUNCH_PREPARE_SUMS, "constant norm", rows);
}

static void check_heads()
{
    enum {
        SEQUENCES = 3,
        N = 40,
        HEADS = 4,
        KV = 2,
        HEAD = 10,
        Q = HEADS * HEAD,
        KV_Q = KV * HEAD
    };
    const uint32_t lengths[SEQUENCES] = {N, 7, 33};
    float *qkv = floats(SEQUENCES * N * (Q + 2 * KV_Q));
    const struct attend_params attend = {qkv,
                                         qkv + Q,
                                         qkv + Q + KV_Q,
                                         floats(SEQUENCES * N * Q),
                                         lengths,
                                         SEQUENCES,
                                         N,
                                         HEADS,
                                         KV,
                                         HEAD,
                                         Q + 2 * KV_Q,
                                         0,
                                         0.3f,
                                         0};
    RUN(attend, LAUNCH_ATTEND, "grouped heads of 10", attend);
    const struct rotate_params rotate = {qkv,
                                         floats(N * HEAD / 2),
                                         floats(N * HEAD / 2),
                                         SEQUENCES * N,
                                         N,
                                         HEADS + KV,
                                         HEAD,
                                         Q + 2 * KV_Q,
                                         false};
    RUN(rotate, LAUNCH_ROTATE, "heads of 10", rotate);
    const struct head_norms_params norms = {
        attend.z, floats(HEADS * HEAD * HEAD), floats(N * HEADS), N, HEADS, HEAD};
    RUN(head_norms, LAUNCH_HEAD_NORMS, "heads of 10", norms);
}

static void check_backward()
{
    float *x = floats(ROWS * 2 * WIDTH), *y = floats(ROWS * 2 * WIDTH), *vector = floats(2 * WIDTH);
    struct norm_backward_params norm = {};
    norm.forward = {NORM_LAYER, x, vector, nullptr, nullptr, 1e-5f, ROWS, WIDTH};
    norm.d_y = y;
    norm.d_x = floats(ROWS * WIDTH);
    RUN(norm_backward, LAUNCH_NORM_BACKWARD, "layer", norm);
    struct activate_backward_params activate = {};
    activate.forward = {ACTIVATION_SILU, x,    vector, x + WIDTH, vector + WIDTH,
                        nullptr,         ROWS, WIDTH,  2 * WIDTH, WIDTH};
    activate.d_out = y;
    activate.d_pre = floats(ROWS * WIDTH);
    activate.d_up = floats(ROWS * WIDTH);
    activate.ld_d_out = activate.ld_d = WIDTH;
    RUN(activate_backward, LAUNCH_ACTIVATE_BACKWARD, "gated", activate);
    const struct blend_params blend = {x, y, norm.d_x, 0.5f, ROWS * WIDTH};
    RUN(blend, LAUNCH_BLEND, "", blend);
    const struct group_dots_params dots = {x, y, norm.d_x, ROWS, 3, 7, WIDTH, WIDTH};
    RUN(group_dots, LAUNCH_GROUP_DOTS, "3 groups of 7", dots);
}

static void check_contract()
{
    enum { A = 5, B = 3, TERMS = 20, D = 9, LD_A = TERMS * D, LD_OUT = 4 };
    struct contract_params contract = {};
    void *out = nullptr;
    must(backend->ops->alloc(backend, A * LD_OUT * sizeof(double), &out, &err));
    contract = {floats(A * LD_A),
                floats(B * LD_A),
                static_cast<double *>(out),
                A,
                B,
                TERMS,
                D,
                LD_A,
                LD_A,
                LD_OUT};
    struct launch_costs costs = {};
    kernels.clear();
    account_contract(&costs, &contract);
    must(backend->ops->contract(exec, &contract, &err));
    expect(costs, LAUNCH_CONTRACT, "20 terms");
    expect(costs, LAUNCH_ADD_PARTS, "20 terms");
}

static void check_attend_backward()
{
    enum { SEQUENCES = 2, N = 40, HEADS = 4, KV = 2, HEAD = 10, Q = HEADS * HEAD, K = KV * HEAD };
    enum { LD_QKV = Q + 2 * K };
    const uint32_t lengths[SEQUENCES] = {N, 7};
    const float *qkv = floats(SEQUENCES * N * LD_QKV);
    float *d_qkv = floats(SEQUENCES * N * LD_QKV);
    struct attend_backward_params p = {};
    p.forward = {qkv,   qkv + Q, qkv + Q + K, nullptr, lengths, SEQUENCES, N,
                 HEADS, KV,      HEAD,        LD_QKV,  0,       0.3f,      0};
    p.d_z = floats(SEQUENCES * N * Q);
    p.d_q = d_qkv;
    p.d_k = d_qkv + Q;
    p.d_v = d_qkv + Q + K;
    p.ld_d = LD_QKV;
    struct launch_costs costs = {};
    kernels.clear();
    account_attend_backward(&costs, &p);
    must(backend->ops->attend_backward(exec, &p, &err));
    expect(costs, LAUNCH_ATTEND_QUERIES, "grouped heads of 10");
    expect(costs, LAUNCH_ATTEND_KEYS, "grouped heads of 10");
}

/* Two edits that set, one of them rows of 0; one that adds the same row everywhere; two sums. */
static void check_edit()
{
    const struct edit set[] = {{floats(2 * LD), 1, 2, 3, WIDTH - 3, LD, 0, 0, 0, 0},
                               {nullptr, 4, 1, 0, WIDTH, 0, 0, 0, 0, 0}};
    const struct edit add[] = {{floats(WIDTH), 0, ROWS, 2, WIDTH - 2, 0, 1, 0.5f, 0, 0}};
    const struct edit sum[] = {{nullptr, 0, 2, 0, WIDTH, LD, 0, 0, 1, 2},
                               {nullptr, 3, 1, 1, WIDTH - 1, 0, 0, 0, 0, 1}};
    const float *const terms[] = {floats(WIDTH), floats(2 * LD), floats(2 * LD)};
    float *x = floats(ROWS * LD);
    const struct edit_params sets = {x, ROWS, LD, set, 2, nullptr, 0},
                             adds = {x, ROWS, LD, add, 1, nullptr, 0},
                             sums = {x, ROWS, LD, sum, 2, terms, 3};
    RUN(edit, LAUNCH_EDIT, "set", sets);
    RUN(edit, LAUNCH_EDIT, "added", adds);
    RUN(edit, LAUNCH_EDIT, "sums", sums);
}

/* A vocabulary of one tile; three pairs of two rows. */
static void check_diverge()
{
    enum { IN = 21, OUT = 777, N = 16, PAIRS = 3, COLUMNS = 2 };
    const std::vector<float> weights(IN * OUT, 0.5f);
    const struct pack_params pack = {IN, OUT, weights.data(), false, COMPUTE_F32, false};
    const struct row_pair pairs[PAIRS] = {{0, 2}, {2, 2}, {0, 0}};
    const uint32_t columns[COLUMNS] = {700, 3};
    struct packed *packed = nullptr;
    void *out = nullptr;
    must(backend->ops->packed_create(&packed, backend, &pack, &err));
    must(backend->ops->alloc(backend, PAIRS * sizeof(struct divergence), &out, &err));
    const struct diverge_params p = {packed,
                                     floats(N * IN),
                                     IN,
                                     N,
                                     pairs,
                                     columns,
                                     PAIRS,
                                     COLUMNS,
                                     static_cast<struct divergence *>(out),
                                     floats(PAIRS * COLUMNS)};
    const struct accounted_divergence counted = {{IN, OUT, N, N, COMPUTE_F32}, PAIRS, COLUMNS, 2};
    struct launch_costs costs = {};
    kernels.clear();
    account_diverge(&costs, &counted);
    must(backend->ops->diverge(exec, &p, &err));
    expect(costs, LAUNCH_DIVERGE, "a tile");
    backend->ops->packed_destroy(packed);
}

/* Only the rounding is a kernel of ours. */
static void check_split(enum compute compute)
{
    enum { IN = 21, OUT = 9, N = 16 };
    const std::vector<float> weights(IN * OUT, 0.5f);
    const struct pack_params pack = {IN, OUT, weights.data(), false, compute, false};
    const struct accounted_product shape = {IN, OUT, N, N, compute};
    struct packed *packed = nullptr;
    struct launch_costs costs = {};
    must(backend->ops->packed_create(&packed, backend, &pack, &err));
    const struct matmul_params p = {packed, floats(N * IN), floats(N * OUT), IN, OUT, N};
    kernels.clear();
    account_matmul(&costs, &shape);
    must(backend->ops->matmul(exec, &p, &err));
    expect(costs, LAUNCH_SPLIT_BF16, compute_name(compute));
    backend->ops->packed_destroy(packed);
}

/* Biases so large that every pair is a candidate, and fires unless topk says otherwise. */
static void check_encode(enum screen screen, size_t k)
{
    enum { TOKENS = 5, IN = 21, FEATURES = 70 };
    const std::vector<float> weights(IN * FEATURES, 0.25f), bias(FEATURES, 100.0f);
    struct sparse_params params = {};
    params.n_in = IN;
    params.n_features = FEATURES;
    params.weights = weights.data();
    params.bias = bias.data();
    params.k = k;
    const size_t tally_k = k ? 0 : 3; /* fewer than tokens: every key is written */
    const struct accounted_encode encode = {&params,  TOKENS,  screen, FEATURES,
                                            FEATURES, tally_k, false};
    const char *what = k ? "topk" : screen_name(screen);
    struct sparse_encoder_params of = {};
    struct sparse *sparse = nullptr;
    struct sparse_encoder *encoder = nullptr;
    struct sparse_rows rows;
    struct launch_costs costs = {};
    must(backend->ops->sparse_create(&sparse, backend, &params, &err));
    of.sparse = sparse;
    of.screen = screen;
    of.tally_k = tally_k;
    must(backend->ops->sparse_encoder_create(&encoder, exec, &of, &err));
    const float *x = floats(TOKENS * IN);
    kernels.clear();
    account_encode(&costs, &encode);
    must(backend->ops->sparse_encode(encoder, x, TOKENS, &rows, &err));
    if (k) { /* few values are so close to the k-th that they pass */
        expect(costs, LAUNCH_SPARSE_LEAST, what);
    } else {
        expect(costs, LAUNCH_SPARSE_PREPARE, what);
        expect(costs, LAUNCH_SPARSE_SCAN, what);
        expect(costs, LAUNCH_SPARSE_FILL, what);
        expect(costs, LAUNCH_SPARSE_REFINE, what);
        expect(costs, LAUNCH_SPARSE_COUNT, what);
        expect(costs, LAUNCH_SPARSE_STARTS, what);
        expect(costs, LAUNCH_SPARSE_PACK, what);
        expect(costs, LAUNCH_SPARSE_TALLY, what);
    }
    backend->ops->sparse_encoder_destroy(encoder);
    backend->ops->sparse_destroy(sparse);
}

/* Every pair fires, all values are kept: windows of 4 tokens, the last of 1. */
static void check_digest()
{
    enum { TOKENS = 33, IN = 21, FEATURES = 70, LONG = 4, WINDOWS = 9 };
    const std::vector<float> weights(IN * FEATURES, 0.25f), bias(FEATURES, 100.0f);
    std::vector<struct digest_window> windows;
    struct sparse_params params = {};
    params.n_in = IN;
    params.n_features = FEATURES;
    params.weights = weights.data();
    params.bias = bias.data();
    struct sparse_encoder_params of = {};
    struct sparse *sparse = nullptr;
    struct sparse_encoder *encoder = nullptr;
    struct digest digest;
    struct launch_costs costs = {};
    for (uint32_t w = 0; w < WINDOWS; w++)
        windows.push_back({w * 977u, w * LONG, static_cast<uint16_t>(w < 8 ? LONG : 1), 1});
    must(backend->ops->sparse_create(&sparse, backend, &params, &err));
    of.sparse = sparse;
    of.screen = SCREEN_F32;
    must(backend->ops->sparse_encoder_create(&encoder, exec, &of, &err));
    struct digest_params p = {};
    p.x = floats(TOKENS * IN);
    p.n_tokens = TOKENS;
    p.windows = windows.data();
    p.n_windows = p.room_windows = WINDOWS;
    p.top_k = WINDOWS;
    kernels.clear();
    must(backend->ops->sparse_digest(encoder, &p, &digest, &err));
    struct accounted_digest counted = {};
    counted.n_slots = FEATURES;
    counted.n_tokens = TOKENS;
    counted.n_windows = WINDOWS;
    counted.n_values = counted.n_pairs = TOKENS * FEATURES;
    counted.n_runs = counted.n_candidates = counted.n_kept = WINDOWS * FEATURES;
    for (size_t s = 0; s < FEATURES; s++)
        counted.n_words += digest.slots[s].n_value_bins + digest.slots[s].n_window_bins + WINDOWS;
    account_digest(&costs, &counted);
    expect(costs, LAUNCH_DIGEST_COUNT, "windows of 4");
    expect(costs, LAUNCH_DIGEST_TOTAL, "windows of 4");
    expect(costs, LAUNCH_DIGEST_PLACE, "windows of 4");
    expect(costs, LAUNCH_DIGEST_GROUP, "windows of 4");
    expect(costs, LAUNCH_DIGEST_SELECT, "all kept");
    expect(costs, LAUNCH_DIGEST_PACK, "all kept");
    backend->ops->sparse_encoder_destroy(encoder);
    backend->ops->sparse_destroy(sparse);
}

int main()
{
    const struct exec_params params = {16};
    must(interp_backend_plugin.open(&backend, 0, &err));
    must(backend->ops->exec_create(&exec, backend, &params, &err));
    check_rows();
    check_heads();
    check_backward();
    check_contract();
    check_attend_backward();
    check_edit();
    check_diverge();
    check_split(COMPUTE_BF16);
    check_split(COMPUTE_BF16X3);
    check_encode(SCREEN_F32, 0);
    check_encode(SCREEN_BF16, 0);
    check_encode(SCREEN_NONE, 0);
    check_encode(SCREEN_F32, 3);
    check_digest();
    (void)printf("%d wrong\n", n_wrong);
    return n_wrong ? 1 : 0;
}
