/* The paper accounting: work walked on a device of paper against the same work on the emulator, and
 * counts by hand. */
#include "tests/unit/emulated.h"
#include "worker/paper/paper_lane.h"
#include "worker/paper/paper_report.h"
#include "worker/paper/paper_shape.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- what runs, and what is counted ----------------------------------------------------------- */

/* What the emulator has run so far, by kind of launch. */
struct ran {
    struct emulated_work work;
    uint64_t n_launches[LAUNCH_N];
};

static struct ran ran_so_far(void)
{
    struct ran ran = {.work = emulated_work()};
    for (unsigned k = 0; k < LAUNCH_N; k++)
        ran.n_launches[k] = emulated_launches(launch_info_of((enum launch_kind)k)->name);
    return ran;
}

static bool is_product(unsigned kind)
{
    return kind >= LAUNCH_PRODUCT_F32 && kind <= LAUNCH_PRODUCT_TF32;
}

static void expect_ran(const struct paper_counted *counted, const struct ran *before,
                       const char *what)
{
    const struct ran now = ran_so_far();
    const struct launch_cost *of = counted->counts.costs.of;
    uint64_t n_products = 0;
    for (unsigned k = 0; k < LAUNCH_N; k++) {
        const struct launch_info *info = launch_info_of((enum launch_kind)k);
        const uint64_t n = now.n_launches[k] - before->n_launches[k];
        if (is_product(k)) n_products += of[k].n_launches;
        if (is_product(k) || info->is_link || k == LAUNCH_COPY) continue;
        cr_expect_eq(of[k].n_launches, n, "%s, %s: %zu counted, %zu run", what, info->name,
                     of[k].n_launches, (size_t)n);
    }
    const uint64_t n_ran = now.work.n_products - before->work.n_products,
                   n_up = now.work.n_bytes_up - before->work.n_bytes_up,
                   n_down = now.work.n_bytes_down - before->work.n_bytes_down;
    cr_expect_eq(n_products, n_ran, "%s: %zu products counted, %zu run", what, (size_t)n_products,
                 (size_t)n_ran);
    const double up = of[LAUNCH_UPLOAD].n_bytes + counted->counts.streamed_bytes;
    cr_expect(fabs(up - (double)n_up) < 0.5, "%s: %g bytes up counted, %zu came", what, up,
              (size_t)n_up);
    cr_expect(fabs(of[LAUNCH_DOWNLOAD].n_bytes - (double)n_down) < 0.5,
              "%s: %g bytes down counted, %zu came", what, of[LAUNCH_DOWNLOAD].n_bytes,
              (size_t)n_down);
}

/* One plan's work on the emulator. */
struct on_emulator {
    struct model_config config;
    struct paper_plan plan;
    struct backend *backend;
    struct model *model;
    struct paper_lane *lane;
    struct error err;
    char path[256], what[300];
};

/* memory_bytes: of the device; 0: as much as it has. */
static void open_on_emulator(struct on_emulator *o, const char *model,
                             const struct paper_plan *plan, size_t memory_bytes)
{
    *o = (struct on_emulator){.plan = *plan};
    (void)snprintf(o->path, sizeof o->path, "tests/golden/models/%s", model);
    (void)snprintf(o->what, sizeof o->what, "%s of %s in %s", paper_work_name(plan->work), model,
                   compute_name(plan->compute));
    cr_assert_eq(setenv("INTERP_EMU_ARCH", "90", 1), 0);
    emulated_set_mode(&EMULATED_MODES[0]);
    cr_assert_eq(backend_open("emu", &o->backend, &o->err), ST_OK, "%s", o->err.text);
    if (memory_bytes) o->backend->ops->limit_memory(o->backend, memory_bytes);
    cr_assert_eq(model_config_read(&o->config, o->path, &o->err), ST_OK, "%s", o->err.text);
    o->plan.config = &o->config;
    o->plan.hook = (struct hook_point){HOOK_RESID_POST, o->config.n_layers - 1};
    const struct memory_needs needs = {.n_ctx = plan->n_ctx,
                                       .n_rows = plan->work == WORK_CAPTURE ? plan->n_rows : 0};
    const struct model_params params = {
        .directory = o->path, .backend = o->backend, .compute = plan->compute, .needs = &needs};
    cr_assert_eq(model_open(&o->model, &params, &o->err), ST_OK, "%s: %s", o->what, o->err.text);
    const struct paper_lane_params lane = {.plan = &o->plan, .model = o->model};
    cr_assert_eq(paper_lane_open(&o->lane, &lane, &o->err), ST_OK, "%s: %s", o->what, o->err.text);
}

static void close_on_emulator(struct on_emulator *o)
{
    paper_lane_close(&o->lane);
    model_close(&o->model);
    backend_close(&o->backend);
}

static void step(struct on_emulator *o, size_t *n_tokens)
{
    cr_assert_eq(paper_lane_step(o->lane, n_tokens, &o->err), ST_OK, "%s: %s", o->what,
                 o->err.text);
    cr_assert_not(o->backend->ops->is_lost(o->backend));
}

/* The plan's work on the emulator, its second step beside what a device of paper of that size
 * counts. Returns whether weights are streamed. */
static bool check_work(const char *model, const struct paper_plan *plan, size_t memory_bytes)
{
    const struct device_peaks peaks = {.name = "small", .memory_bytes = (double)memory_bytes};
    struct on_emulator o;
    struct paper_counted counted;
    size_t n_tokens = 0;
    open_on_emulator(&o, model, plan, memory_bytes);
    step(&o, &n_tokens);
    const struct ran before = ran_so_far();
    step(&o, &n_tokens);
    cr_assert_eq(paper_count(&o.plan, memory_bytes ? &peaks : NULL, &counted, &o.err), ST_OK,
                 "%s: %s", o.what, o.err.text);
    expect_ran(&counted, &before, o.what);
    cr_expect_eq(2 * counted.n_tokens, n_tokens);
    const bool is_streamed = model_plan(o.model)->is_streamed;
    cr_expect_eq(counted.counts.streamed_bytes > 0, is_streamed, "%s", o.what);
    cr_expect_eq(counted.weight_bytes,
                 (double)(model_device_bytes(o.model) + model_weights(o.model)->n_shelf_bytes),
                 "%s", o.what);
    close_on_emulator(&o);
    return is_streamed;
}

static void check_model(const char *model, enum compute compute)
{
    for (unsigned work = 0; work < WORK_N; work++) {
        const struct paper_plan plan = {
            .work = (enum paper_work)work, .n_rows = 3, .n_ctx = 11, .compute = compute};
        cr_expect_not(check_work(model, &plan, 0));
    }
}

/* A device that has no room for all layers: a little less than the plan of one without an end. */
Test(paper, counts_what_the_emulator_streams)
{
    static const struct memory_needs NEEDS = {.n_ctx = 11, .n_rows = 3};
    const struct paper_plan plan = {.n_rows = 3, .n_ctx = 11};
    struct model_config config;
    struct memory_plan all;
    struct backend *paper = NULL;
    cr_assert_eq(paper_device_open(&paper, NULL, NULL), ST_OK);
    cr_assert_eq(model_config_read(&config, "tests/golden/models/gpt2-bare-names", NULL), ST_OK);
    const struct memory_plan_params params = {.config = &config, .backend = paper, .needs = &NEEDS};
    cr_assert_eq(memory_plan_make(&all, &params, NULL), ST_OK);
    backend_close(&paper);
    const size_t n_needed = all.n_resident + all.n_smallest;
    cr_expect(check_work("gpt2-bare-names", &plan, n_needed + n_needed / 31 - 64));
}

Test(paper, counts_what_the_emulator_runs_of_gpt2)
{
    check_model("gpt2-tied", COMPUTE_F32);
}

Test(paper, counts_what_the_emulator_runs_of_gpt2_in_bf16)
{
    check_model("gpt2-tied", COMPUTE_BF16X3);
}

Test(paper, counts_what_the_emulator_runs_of_llama)
{
    check_model("llama-gqa-tied", COMPUTE_F32);
}

Test(paper, counts_what_the_emulator_runs_of_llama_with_biases)
{
    check_model("llama-biases", COMPUTE_BF16);
}

/* GPT-2 small to the end of its last layer, 8 x 1024 tokens, bf16: by hand. */
Test(paper, products_of_gpt2_small_are_those_of_its_shape)
{
    struct model_config config;
    struct paper_counted counted;
    cr_assert_eq(paper_shape_find("gpt2", &config, NULL), ST_OK);
    const struct paper_plan plan = {.config = &config,
                                    .hook = {HOOK_RESID_POST, 11},
                                    .n_rows = 8,
                                    .n_ctx = 1024,
                                    .compute = COMPUTE_BF16};
    cr_assert_eq(paper_count(&plan, NULL, &counted, NULL), ST_OK);
    const struct launch_costs costs = counted.counts.costs;
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
    struct paper_counted counted;
    struct paper_report report = {.model = "llama-2-70b", .counted = &counted};
    struct error err = {0};
    cr_assert_eq(paper_shape_find("llama-2-70b", &config, NULL), ST_OK);
    cr_assert_eq(device_peaks_find("h100", &report.peaks, NULL), ST_OK);
    const struct paper_plan plan = {.config = &config,
                                    .hook = {HOOK_RESID_POST, 79},
                                    .n_rows = 1,
                                    .n_ctx = 16,
                                    .compute = COMPUTE_BF16};
    report.plan = &plan;
    cr_assert_eq(paper_count(&plan, report.peaks, &counted, &err), ST_OK, "%s", err.text);
    /* 80 layers: q, o 8192^2; k, v 8192 x 1024; gate, up, down 8192 x 28672; f32 embeddings, and
     * weights of 161 norms */
    const double layer = 2.0 * 8192 * 8192 + 2.0 * 8192 * 1024 + 3.0 * 8192 * 28672;
    const double n_bytes = 80 * layer * 2;
    cr_expect_eq(counted.counts.streamed_bytes, n_bytes);
    cr_expect_eq(counted.weight_bytes, n_bytes + (32000.0 + 161) * 8192 * 4);
    cr_expect(fabs(paper_report_limit(&report) / (16 * 64e9 / n_bytes) - 1) < 1e-9);
}

Test(paper, a_device_that_is_too_small_says_so_with_the_numbers)
{
    struct model_config config;
    struct paper_counted counted;
    const struct device_peaks small = {.name = "small", .memory_bytes = 100e6};
    struct error err = {0};
    cr_assert_eq(paper_shape_find("gpt2-xl", &config, NULL), ST_OK);
    const struct paper_plan plan = {
        .work = WORK_ABLATE, .config = &config, .n_rows = 1, .n_ctx = 16, .compute = COMPUTE_F32};
    cr_expect_eq(paper_count(&plan, &small, &counted, &err), ST_NO_MEMORY);
    cr_expect(strstr(err.text, "does not fit on small, even streamed: it takes "), "%s", err.text);
    cr_expect(strstr(err.text, " of 100000000 bytes are free"), "%s", err.text);
}

/* GPT-2 small, 12 heads and an MLP in each of 12 layers, 8 prompts of 16 tokens: by hand. */
Test(paper, ablations_of_gpt2_small_are_those_of_its_shape)
{
    struct model_config config;
    struct paper_counted counted;
    cr_assert_eq(paper_shape_find("gpt2", &config, NULL), ST_OK);
    const struct paper_plan plan = {
        .work = WORK_ABLATE, .config = &config, .n_rows = 8, .n_ctx = 16, .compute = COMPUTE_F32};
    cr_assert_eq(paper_count(&plan, NULL, &counted, NULL), ST_OK);
    const struct launch_cost *of = counted.counts.costs.of;
    cr_expect_eq(counted.n_tokens, 12 * 13 * 128);
    /* batches of 32: 156 variants are 5, whose answers come with those of the clean prompts; the
     * vocabulary is 25 tiles of 2,048 */
    cr_expect_eq(of[LAUNCH_DIVERGE].n_launches, 5 * 25);
    cr_expect_eq(of[LAUNCH_DOWNLOAD].n_bytes, (156 + 5) * 8 * (2 * 4 + 4 * 8));
    /* an edit for each layer's heads and one for each MLP's; a list entry of 40 bytes for each
     * variant's whole rows */
    cr_expect_geq(of[LAUNCH_EDIT].n_launches, 24);
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
                 {"cuda NVIDIA B200 sm_100", "b200"},
                 {"cuda NVIDIA L40S sm_89", "l40s"},
                 {"cuda NVIDIA RTX A6000 sm_86", "rtx-a6000"},
                 {"cuda NVIDIA GeForce RTX 4090 sm_89", "rtx-4090"},
                 {"cuda NVIDIA GeForce RTX 4090 D sm_89", ""},
                 {"cuda NVIDIA GB200 sm_100", ""},
                 {"cuda NVIDIA L40 sm_89", ""},
                 {"cuda NVIDIA RTX 6000 Ada Generation sm_89", ""},
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
    cr_expect_eq(device_peaks_find("h1000", &peaks, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "device 'h1000' is none of h100, h100-pcie, h200, a100, a100-pcie, "
                               "b200, l40s, rtx-a6000, rtx-4090");
    cr_expect_null(peaks);
}
