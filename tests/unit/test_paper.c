/* The paper accounting against what a real pass asks its backend for, and counts by hand. */
#include "worker/paper/paper_plan.h"
#include "worker/paper/paper_report.h"
#include "worker/paper/paper_shape.h"

#include "worker/model/forward.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- a backend that notes every operation before the CPU does it ------------------------------ */
static const struct backend_ops *cpu;
static struct launch_costs recorded;
static size_t row_block;
enum { MOST_PACKED = 64 };
static struct {
    const struct packed *packed;
    struct accounted_product shape;
} products[MOST_PACKED];
static size_t n_products;

#define RECORD(slot)                                                                               \
    static status_t record_##slot(struct exec *exec, const struct slot##_params *p,                \
                                  struct error *err)                                               \
    {                                                                                              \
        account_##slot(&recorded, p);                                                              \
        return cpu->slot(exec, p, err);                                                            \
    }
RECORD(embed)
RECORD(norm)
RECORD(add)
RECORD(activate)
RECORD(rotate)
RECORD(attend)

static status_t record_pack(struct packed **out, struct backend *backend,
                            const struct pack_params *p, struct error *err)
{
    const status_t status = cpu->packed_create(out, backend, p, err);
    cr_assert_lt(n_products, MOST_PACKED);
    products[n_products].packed = *out;
    products[n_products++].shape =
        (struct accounted_product){.n_in = p->n_in, .n_out = p->n_out, .compute = p->compute};
    return status;
}

static status_t record_exec(struct exec **out, struct backend *backend, const struct exec_params *p,
                            struct error *err)
{
    row_block = p->row_block;
    return cpu->exec_create(out, backend, p, err);
}

static status_t record_matmul(struct exec *exec, const struct matmul_params *p, struct error *err)
{
    size_t i = 0;
    while (i < n_products && products[i].packed != p->weights) i++;
    cr_assert_lt(i, n_products, "a product with unknown weights");
    struct accounted_product shape = products[i].shape;
    shape.n_rows = p->n_rows;
    shape.row_block = row_block;
    account_matmul(&recorded, &shape);
    return cpu->matmul(exec, p, err);
}

static status_t record_download(struct exec *exec, void *host, const void *device, size_t n_bytes,
                                struct error *err)
{
    account_transfer(&recorded, LAUNCH_DOWNLOAD, n_bytes);
    return cpu->download(exec, host, device, n_bytes, err);
}

static status_t record_upload(struct exec *exec, void *device, const void *host, size_t n_bytes,
                              struct error *err)
{
    account_transfer(&recorded, LAUNCH_UPLOAD, n_bytes);
    return cpu->upload(exec, device, host, n_bytes, err);
}

static struct backend_ops recording_ops(void)
{
    struct backend_ops ops = *cpu;
    ops.memory_is_host = false; /* as on a device: activations are fetched */
    ops.packed_create = record_pack;
    ops.exec_create = record_exec;
    ops.matmul = record_matmul;
    ops.upload = record_upload;
    ops.download = record_download;
    ops.embed = record_embed;
    ops.norm = record_norm;
    ops.add = record_add;
    ops.activate = record_activate;
    ops.rotate = record_rotate;
    ops.attend = record_attend;
    return ops;
}

static void run_pass(struct model *model, struct hook_point hook, size_t n_rows, size_t n_ctx)
{
    enum { MOST_TOKENS = 512 };
    static uint32_t tokens[MOST_TOKENS], lengths[MOST_TOKENS];
    const struct forward_params params = {.model = model, .n_rows = n_rows, .n_ctx = n_ctx};
    const bool stays = true; /* as in a capture: the encoder reads it on the device */
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths, .stays = &stays};
    struct forward *forward = NULL;
    struct error err = {0};
    const float *acts;
    cr_assert_leq(n_rows * n_ctx, MOST_TOKENS);
    for (size_t r = 0; r < n_rows; r++) lengths[r] = (uint32_t)n_ctx;
    cr_assert_eq(forward_create(&forward, &params, &err), ST_OK, "%s", err.text);
    recorded = (struct launch_costs){0}; /* rotary tables are uploaded once */
    cr_assert_eq(forward_run(forward, &input, &hook, 1, &acts, &err), ST_OK, "%s", err.text);
    forward_destroy(&forward);
}

static void expect_recorded(const struct launch_costs *plan, const char *what)
{
    for (unsigned k = 0; k < LAUNCH_N; k++) {
        const char *name = launch_info_of((enum launch_kind)k)->name;
        cr_expect_eq(plan->of[k].n_launches, recorded.of[k].n_launches, "%s, %s: %zu, not %zu",
                     what, name, plan->of[k].n_launches, recorded.of[k].n_launches);
        cr_expect(fabs(plan->of[k].n_bytes - recorded.of[k].n_bytes) < 0.5, "%s, %s: %g, not %g",
                  what, name, plan->of[k].n_bytes, recorded.of[k].n_bytes);
        cr_expect(fabs(plan->of[k].flops - recorded.of[k].flops) < 0.5, "%s, %s", what, name);
    }
}

static void check_model(const char *name, enum compute compute)
{
    char path[256];
    struct backend *real;
    struct error err = {0};
    cr_assert_eq(backend_open_cpu(&real, &err), ST_OK);
    cpu = real->ops;
    const struct backend_ops ops = recording_ops();
    struct backend backend = {.ops = &ops, .device = real->device};
    struct model *model = NULL;
    (void)snprintf(path, sizeof path, "tests/golden/models/%s", name);
    const struct model_params params = {.directory = path, .backend = &backend, .compute = compute};
    n_products = 0;
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    const struct hook_point hooks[] = {{HOOK_RESID_PRE, 1},
                                       {HOOK_RESID_POST, model_config(model)->n_layers - 1}};
    for (size_t i = 0; i < 2; i++) {
        const struct paper_plan plan = {.config = model_config(model),
                                        .hook = hooks[i],
                                        .n_rows = 3,
                                        .n_ctx = 11,
                                        .compute = compute};
        struct launch_costs costs = {0};
        run_pass(model, hooks[i], plan.n_rows, plan.n_ctx);
        cr_assert_eq(paper_plan_forward(&plan, &costs, &err), ST_OK, "%s", err.text);
        expect_recorded(&costs, name);
    }
    model_close(&model);
    backend_close(&real);
}

Test(paper, plan_is_what_a_pass_of_gpt2_asks_for)
{
    check_model("gpt2-tied", COMPUTE_F32);
    check_model("gpt2-tied", COMPUTE_BF16X3);
}

Test(paper, plan_is_what_a_pass_of_llama_asks_for)
{
    check_model("llama-gqa-tied", COMPUTE_F32);
    check_model("llama-biases", COMPUTE_BF16);
}

/* GPT-2 small to the end of its last layer, 8 x 1024 tokens, bf16: by hand. */
Test(paper, products_of_gpt2_small_are_those_of_its_shape)
{
    struct model_config config;
    struct launch_costs costs = {0};
    cr_assert_eq(paper_shape_find("gpt2", &config, NULL), ST_OK);
    const struct paper_plan plan = {.config = &config,
                                    .hook = {HOOK_RESID_POST, 11},
                                    .n_rows = 8,
                                    .n_ctx = 1024,
                                    .compute = COMPUTE_BF16};
    cr_assert_eq(paper_plan_forward(&plan, &costs, NULL), ST_OK);
    /* 12 d^2 weights a layer, two operations each */
    const double flops = 2.0 * 8192 * 12 * 12 * 768 * 768;
    cr_expect(fabs(costs.of[LAUNCH_PRODUCT_BF16].flops / flops - 1) < 1e-12);
    /* 32 blocks of 256 rows; each reads 12 d^2 weights and 3 + 1 + 1 + 4 rows of d (bf16), and
     * writes 3 + 1 + 4 + 1 (f32); inputs d, d, d, 4 d */
    const double block = 12.0 * 768 * 768 * 2 + 256.0 * 768 * (7 * 2 + 9 * 4);
    cr_expect(fabs(costs.of[LAUNCH_PRODUCT_BF16].n_bytes / (12 * 32 * block) - 1) < 1e-12);
    cr_expect_eq(costs.of[LAUNCH_PRODUCT_BF16].n_launches, 12 * 32 * 4);
    cr_expect_eq(costs.of[LAUNCH_NORM].n_launches, 24);
    /* q, k, v and z once, lengths of 8 rows */
    const double attend = 12 * (8192.0 * 4 * 768 * 4 + 8 * 4);
    cr_expect(fabs(costs.of[LAUNCH_ATTEND].n_bytes - attend) < 0.5);
    /* Tiles of 32 x 32, 32 on the diagonal and 32 * 31 / 2 before it, 64 columns, two operations
     * to score a pair and two to add its value. On the diagonal the eight warps score all 32 keys
     * and add 4, 8, .. 32 of them for 4 queries each. */
    const double scored = 32 * 33 / 2 * 1024, added = 32 * 31 / 2 * 1024 + 32 * 4 * 144;
    const double flops_of_attend = 12.0 * 8 * 12 * (scored + added) * 2 * 64;
    cr_expect(fabs(costs.of[LAUNCH_ATTEND].flops - flops_of_attend) < 0.5);
}

Test(paper, encode_is_counted_by_hand)
{
    const struct sparse_params sparse = {.n_in = 20, .n_features = 70};
    const struct accounted_encode p = {.sparse = &sparse,
                                       .n_tokens = 1030,
                                       .screen = SCREEN_BF16,
                                       .candidates_per_token = 3,
                                       .fired_per_token = 2};
    struct launch_costs costs = {0};
    account_encode(&costs, &p); /* blocks of 1,024 and 6 tokens; rows of 32; 3 mask words */
    cr_expect_eq(costs.of[LAUNCH_PRODUCT_BF16].n_launches, 2);
    cr_expect_eq(costs.of[LAUNCH_PRODUCT_BF16].flops, 2.0 * 1030 * 70 * 32);
    cr_expect_eq(costs.of[LAUNCH_PRODUCT_BF16].n_bytes,
                 (1030 + 2 * 70) * 32 * 2.0 + 1030 * 70 * 4.0);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_REFINE].flops, 3 * 1030 * 2.0 * 32);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_LEAST].n_launches, 0);
    /* a block: what is no number with its counts, then with where rows begin; rows alone */
    cr_expect_eq(costs.of[LAUNCH_DOWNLOAD].n_launches, 2 * 4);
    cr_expect_eq(costs.of[LAUNCH_DOWNLOAD].n_bytes, 2 * (8 + 8 + 4) + 1030 * (4 + 4 + 2 * 8));
    cr_expect_eq(costs.of[LAUNCH_SPARSE_PACK].n_launches, 2);
}

/* 4 tokens, 10 entries of at most 10 features, 5 keys each: read once and written once. */
Test(paper, a_tally_is_counted_by_hand)
{
    const struct sparse_params sparse = {.n_in = 20, .n_features = 70};
    const struct accounted_encode p = {.sparse = &sparse,
                                       .n_tokens = 4,
                                       .screen = SCREEN_BF16,
                                       .candidates_per_token = 3,
                                       .fired_per_token = 2.5,
                                       .tally_k = 5};
    struct launch_costs costs = {0};
    account_encode(&costs, &p);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_TALLY].n_launches, 1);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_TALLY].n_bytes, 5 * 4 + 10 * 8 + 10 * 6 * 16);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_TALLY].flops, 10 * 5);
}

/* A pass has room for 256 candidates a token of a block: of 1,024 tokens with 600 it takes 436. */
Test(paper, more_candidates_than_a_pass_holds_take_more_passes)
{
    const struct sparse_params sparse = {.n_in = 20, .n_features = 700};
    const struct accounted_encode p = {.sparse = &sparse,
                                       .n_tokens = 1024,
                                       .screen = SCREEN_BF16,
                                       .candidates_per_token = 600,
                                       .fired_per_token = 10};
    struct launch_costs costs = {0};
    account_encode(&costs, &p);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_SCAN].n_launches, 1);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_REFINE].n_launches, 3);
    cr_expect_eq(costs.of[LAUNCH_SPARSE_REFINE].flops, 1024 * 600 * 2.0 * 32);
    cr_expect_eq(costs.of[LAUNCH_DOWNLOAD].n_launches, 1 + 3 * 3);
    cr_expect_eq(costs.of[LAUNCH_DOWNLOAD].n_bytes, 4 * 8 + 3 * 4 + 1024 * (4 + 4 + 10 * 8));
}

Test(paper, a_launch_takes_the_longer_of_memory_and_math)
{
    const struct device_peaks *h100;
    cr_assert_eq(device_peaks_find("h100", &h100, NULL), ST_OK);
    const struct launch_cost bytes = {1, 3.35e9, 1e6}, math = {1, 1e3, 989.5e9};
    struct launch_time time = launch_cost_time(LAUNCH_NORM, &bytes, h100);
    cr_expect_eq(time.bound, BOUND_MEMORY);
    cr_expect(fabs(time.seconds - 1e-3) < 1e-9);
    time = launch_cost_time(LAUNCH_PRODUCT_BF16, &math, h100);
    cr_expect_eq(time.bound, BOUND_MATH);
    cr_expect(fabs(time.seconds - 1e-3) < 1e-9);
    const struct launch_cost link = {1, 64e6, 0};
    time = launch_cost_time(LAUNCH_DOWNLOAD, &link, h100);
    cr_expect_eq(time.bound, BOUND_LINK);
    cr_expect(fabs(time.seconds - 1e-3) < 1e-9);
}

Test(paper, what_does_not_fit_is_streamed)
{
    struct model_config config;
    struct launch_costs costs = {0};
    struct paper_report report = {.model = "llama-2-70b", .costs = &costs};
    cr_assert_eq(paper_shape_find("llama-2-70b", &config, NULL), ST_OK);
    cr_assert_eq(device_peaks_find("h100", &report.peaks, NULL), ST_OK);
    const struct paper_plan plan = {.config = &config,
                                    .hook = {HOOK_RESID_POST, 79},
                                    .n_rows = 1,
                                    .n_ctx = 16,
                                    .compute = COMPUTE_BF16};
    report.plan = &plan;
    cr_assert_eq(paper_plan_forward(&plan, &costs, NULL), ST_OK);
    /* 80 layers: q, o 8192^2; k, v 8192 x 1024; gate, up, down 8192 x 28672; f32 embeddings */
    const double layer = 2.0 * 8192 * 8192 + 2.0 * 8192 * 1024 + 3.0 * 8192 * 28672;
    const double n_bytes = 80 * layer * 2 + 32000.0 * 8192 * 4;
    cr_expect(fabs(paper_plan_weight_bytes(&plan) - n_bytes) < 1);
    cr_expect(fabs(paper_report_limit(&report) / (16 * 64e9 / n_bytes) - 1) < 1e-9);
}

Test(paper, devices_are_found_by_what_the_driver_calls_them)
{
    const struct device_peaks *peaks = NULL;
    struct error err = {0};
    static const struct {
        const char *description, *key; /* "": unknown */
    } CASES[] = {{"cuda NVIDIA H100 80GB HBM3 sm_90", "h100"},
                 {"cuda NVIDIA H100 PCIe sm_90", "h100-pcie"},
                 {"cuda NVIDIA H200 sm_90", "h200"},
                 {"cuda NVIDIA A100-SXM4-80GB sm_80", "a100"},
                 {"cuda A100-SXM4-80GB sm_80", "a100"}, /* older drivers leave the maker out */
                 {"cuda NVIDIA A100 80GB PCIe sm_80", "a100-pcie"},
                 {"cuda NVIDIA GH200 480GB sm_90", ""},
                 {"cuda NVIDIA GH200 sm_90", ""},
                 {"cuda NVIDIA H200 NVL sm_90", ""},
                 {"cuda NVIDIA H100 80GB HBM3 MIG 1g.10gb sm_90", ""},
                 {"cuda NVIDIA GH100 80GB HBM3 sm_90", ""},
                 {"cuda NVIDIA H100 NVL sm_90", ""},
                 {"cuda NVIDIA A100-SXM4-40GB sm_80", ""},
                 {"emu host emulator sm_80", ""},
                 {"cpu: avx512 vnni bf16", ""},
                 {"cuda NVIDIA  sm_90", ""},
                 {"H200", ""},
                 {"", ""}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const struct device_peaks *found = device_peaks_match(CASES[i].description);
        cr_expect_str_eq(found ? found->key : "", CASES[i].key, "%s", CASES[i].description);
    }
    cr_expect_eq(device_peaks_find("h1000", &peaks, &err), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "device 'h1000' is none of h100, h100-pcie, h200, a100, a100-pcie");
    cr_expect_null(peaks);
}
