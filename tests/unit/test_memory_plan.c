/* Plans against what is then taken, and passes over a batch in parts or with streamed layers
 * against the pass over all of it with all of them there: the same bits. */
#include "tests/unit/deep_model.h"
#include "tests/unit/emulated.h"
#include "tests/unit/file_tree.h"
#include "worker/model/forward.h"
#include "worker/model/memory_plan.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_ROWS = 5, N_CTX = 12, N_EDITED = 4 };
static const char GPT2[] = "tests/golden/models/gpt2-bare-names"; /* three layers */
static const char LLAMA[] = "tests/golden/models/llama-gqa-tied";

/* Names of backends that stay open under one test. */
static struct backend *open_backend(const char *name, size_t limit)
{
    struct backend *backend = NULL;
    struct error err = {0};
    cr_assert_eq(backend_open(name, &backend, &err), ST_OK, "%s", err.text);
    if (limit) backend->ops->limit_memory(backend, limit);
    return backend;
}

static struct model *open_model(struct backend *backend, const char *directory)
{
    struct model *model = NULL;
    struct error err = {0};
    const struct model_params params = {.directory = directory, .backend = backend};
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    return model;
}

static status_t try_plan(struct memory_plan *plan, struct backend *backend, const char *directory,
                         const struct memory_needs *needs, struct error *err)
{
    struct model_config config;
    cr_assert_eq(model_config_read(&config, directory, err), ST_OK, "%s", err->text);
    const struct memory_plan_params params = {
        .config = &config, .backend = backend, .needs = needs};
    return memory_plan_make(plan, &params, err);
}

static void plan_for(struct memory_plan *plan, struct backend *backend, const char *directory,
                     const struct memory_needs *needs)
{
    struct error err = {0};
    cr_assert_eq(try_plan(plan, backend, directory, needs, &err), ST_OK, "%s", err.text);
}

static void make_plan(struct memory_plan *plan, struct backend *backend, const char *directory)
{
    plan_for(plan, backend, directory, NULL);
}

/* What has to be free so that `n_bytes` are usable (memory_plan.c leaves a margin of 1/32). */
static size_t free_for(size_t n_bytes)
{
    return n_bytes + n_bytes / 31 + 1;
}

Test(memory_plan, says_what_a_model_then_takes)
{
    static const char *const BACKENDS[] = {"cpu", "emu"}, *const MODELS[] = {GPT2, LLAMA};
    for (size_t i = 0; i < 4; i++) {
        struct memory_plan plan;
        struct error err = {0};
        const struct packed *head;
        struct backend *backend = open_backend(BACKENDS[i / 2], 0);
        make_plan(&plan, backend, MODELS[i % 2]);
        struct model *model = open_model(backend, MODELS[i % 2]);
        cr_expect(!plan.is_streamed && plan.n_fitting > 0);
        cr_expect_eq(model_device_bytes(model), plan.n_tables + plan.n_layers * plan.n_layer,
                     "%s, %s", BACKENDS[i / 2], MODELS[i % 2]);
        cr_assert_eq(model_head(model, &head, &err), ST_OK, "%s", err.text);
        cr_expect_eq(model_device_bytes(model),
                     plan.n_tables + plan.n_layers * plan.n_layer + plan.n_head);
        model_close(&model);
        backend_close(&backend);
    }
}

Test(memory_plan, a_model_that_cannot_fit_is_refused_with_the_numbers)
{
    static const struct {
        const char *backend, *says;
    } CASES[] = {{"cpu", "does not fit on cpu"}, {"emu", "host emulator sm_80, even streamed"}};
    for (size_t i = 0; i < 2; i++) {
        struct error err = {0};
        struct model *model = NULL;
        struct backend *backend = open_backend(CASES[i].backend, 100000);
        const struct model_params params = {.directory = GPT2, .backend = backend};
        cr_expect_eq(model_open(&model, &params, &err), ST_NO_MEMORY);
        cr_expect(
            strstr(err.text, CASES[i].says) &&
                strstr(err.text, "100000 of 100000 bytes are free, 3125 of them kept in reserve"),
            "%s", err.text);
        cr_expect_null(model);
        backend_close(&backend);
    }
}

Test(memory_plan, a_little_less_than_all_layers_is_streamed)
{
    struct memory_plan all, plan;
    struct backend *backend = open_backend("emu", 0);
    make_plan(&all, backend, GPT2);
    backend_close(&backend);
    const size_t n_needed = all.n_resident + all.n_smallest;
    backend = open_backend("emu", free_for(n_needed));
    make_plan(&plan, backend, GPT2);
    cr_expect(!plan.is_streamed && plan.n_fitting > 0);
    backend_close(&backend);
    backend = open_backend("emu", free_for(n_needed) - 64);
    make_plan(&plan, backend, GPT2);
    cr_expect(plan.is_streamed && plan.n_fitting > 0);
    cr_expect_eq(plan.n_host, 3 * plan.n_layer);
    backend_close(&backend);
}

Test(memory_plan, layers_that_the_host_has_no_room_for_are_not_streamed)
{
    struct memory_plan all, plan;
    struct error err = {0};
    struct model_config config;
    struct backend *backend = open_backend("emu", 0);
    make_plan(&all, backend, GPT2);
    backend_close(&backend);
    cr_assert_eq(model_config_read(&config, GPT2, &err), ST_OK, "%s", err.text);
    const size_t n_host = 3 * all.n_layer, n_device = free_for(all.n_resident + all.n_smallest);
    const struct {
        size_t n_device, n_host_free, n_host_total;
        bool has_room;
    } CASES[] = {{n_device - 64, free_for(n_host), 2 * n_host, true},
                 {n_device - 64, n_host, 2 * n_host, false},
                 {n_device - 64, 0, 0, true},           /* nobody knows */
                 {n_device, n_host, 2 * n_host, true}}; /* all layers are on the device */
    char says[80];
    (void)snprintf(says, sizeof says, "3 layers take %zu bytes of its memory, %zu of %zu bytes",
                   n_host, n_host, 2 * n_host);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        backend = open_backend("emu", CASES[i].n_device);
        const struct memory_plan_params params = {
            .config = &config,
            .backend = backend,
            .host = {.n_free = CASES[i].n_host_free, .n_total = CASES[i].n_host_total}};
        cr_assert_eq(memory_plan_make(&plan, &params, &err), ST_OK, "%s", err.text);
        cr_expect_eq(memory_plan_check(&plan, backend, &err),
                     CASES[i].has_room ? ST_OK : ST_NO_MEMORY, "case %zu: %s", i, err.text);
        cr_expect(CASES[i].has_room || strstr(err.text, says), "case %zu: %s", i, err.text);
        backend_close(&backend);
    }
}

/* --- what a task will load ----------------------------------------------------------------- */

enum { D_MODEL = 32, D_MLP = 72 }; /* of GPT2 */

/* Two dictionaries, one of them read at two hook points; neurons. */
static const struct memory_needs NEEDS = {
    .n_ctx = 24,
    .n_targets = 4,
    .targets = {{.directory = "a", .d_in = D_MODEL, .n_features = 300},
                {.directory = "a", .d_in = D_MODEL, .n_features = 300, .is_there = true},
                {.directory = "b", .d_in = D_MLP, .n_features = 500},
                {.directory = NULL}}};

Test(memory_plan, counts_every_dictionary_and_the_context_asked_for)
{
    static const char *const BACKENDS[] = {"cpu", "emu"};
    for (size_t i = 0; i < 2; i++) {
        struct memory_plan alone, plan;
        char text[MEMORY_PLAN_TEXT_SIZE];
        struct backend *backend = open_backend(BACKENDS[i], 0);
        const struct backend_ops *ops = backend->ops;
        make_plan(&alone, backend, GPT2);
        plan_for(&plan, backend, GPT2, &NEEDS);
        const struct sparse_cost a = ops->sparse_estimate(backend, D_MODEL, 300, 0),
                                 b = ops->sparse_estimate(backend, D_MLP, 500, 0);
        const size_t n_scratch = 4 * ops->exec_bytes(backend) + 2 * a.n_encoder + b.n_encoder;
        const size_t n_dictionary = a.n_weights + b.n_weights;
        cr_expect_eq(alone.n_ctx, 64, "%zu: all its positions, below 128", alone.n_ctx);
        cr_expect_eq(plan.n_ctx, 24);
        cr_expect_eq(plan.n_dictionaries, 2);
        cr_expect_eq(plan.n_dictionary, n_dictionary);
        cr_expect_eq(plan.n_scratch, n_scratch);
        cr_expect_eq(plan.n_resident - alone.n_resident,
                     n_dictionary + n_scratch - 2 * ops->exec_bytes(backend));
        const size_t kept = D_MODEL + 2 * (D_MODEL + D_MODEL + D_MLP) + D_MLP;
        cr_expect_eq(plan.n_sequence / 24 - alone.n_sequence / 64,
                     (kept - 3 * D_MODEL) * sizeof(float));
        cr_expect(strstr(memory_plan_text(&plan, text), "2 dictionaries"), "%s", text);
        backend_close(&backend);
    }
}

/* The stream and what hooks and dictionaries read of it is there for the whole batch. */
Test(memory_plan, a_batch_that_is_known_is_counted_whole)
{
    struct memory_plan one, batch;
    struct memory_needs needs = NEEDS;
    struct backend *backend = open_backend("cpu", 0);
    plan_for(&one, backend, GPT2, &needs);
    needs.n_rows = 100; /* 2400 tokens: ten blocks of 256 */
    plan_for(&batch, backend, GPT2, &needs);
    const size_t kept = (D_MODEL + 2 * (D_MODEL + D_MODEL + D_MLP) + D_MLP) * sizeof(float);
    cr_expect_eq(one.n_kept, 0);
    cr_expect_eq(batch.n_kept, 2560 * kept);
    cr_expect_eq(batch.n_sequence, one.n_sequence - 24 * kept);
    cr_expect_eq(batch.n_smallest, one.n_smallest - 256 * kept + 2560 * kept);
    backend_close(&backend);
}

Test(memory_plan, what_a_task_will_load_decides_whether_layers_stay)
{
    struct memory_plan plan;
    struct model *model = NULL;
    struct error err = {0};
    struct backend *backend = open_backend("emu", 0);
    plan_for(&plan, backend, GPT2, &NEEDS);
    backend_close(&backend);
    backend = open_backend("emu", free_for(plan.n_resident + plan.n_smallest) - 64);
    model = open_model(backend, GPT2);
    cr_expect_not(model_plan(model)->is_streamed, "the model alone has room");
    model_close(&model);
    const struct model_params params = {.directory = GPT2, .backend = backend, .needs = &NEEDS};
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    cr_expect(model_plan(model)->is_streamed, "with its dictionaries it has not");
    model_close(&model);
    backend_close(&backend);
}

/* The dictionaries come after the pass has taken its buffers: the plan has left them their room. */
Test(memory_plan, the_batch_is_chosen_from_what_the_plan_leaves)
{
    enum { ROWS = 64 };
    struct memory_plan plan;
    struct model *model = NULL;
    struct forward *forward = NULL;
    struct error err = {0};
    struct backend *backend = open_backend("emu", 0);
    plan_for(&plan, backend, GPT2, &NEEDS);
    backend_close(&backend);
    backend = open_backend("emu", free_for(plan.n_resident + plan.n_smallest));
    const struct model_params params = {.directory = GPT2, .backend = backend, .needs = &NEEDS};
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    const struct memory_plan *made = model_plan(model);
    cr_assert(!made->is_streamed && made->n_fitting > 0);
    const struct forward_params pass = {
        .model = model, .n_rows = ROWS, .n_ctx = 24, .row_block = 16};
    cr_assert_eq(forward_create(&forward, &pass, &err), ST_OK, "%s", err.text);
    const size_t n_room =
        forward_part_rows(forward) * 24 * memory_plan_token_bytes(model_config(model));
    cr_expect_leq(n_room, made->n_room / 2, "%zu bytes of %zu", n_room, made->n_room);
    cr_expect_leq(plan.n_dictionary, backend->ops->memory(backend).n_free);
    forward_destroy(&forward);
    model_close(&model);
    backend_close(&backend);
}

static size_t (*real_estimate)(const struct backend *backend, const struct pack_params *params);

static size_t estimate_no_mlp(const struct backend *backend, const struct pack_params *params)
{
    return params->n_in == D_MLP ? 0 : real_estimate(backend, params);
}

Test(memory_plan, what_a_backend_cannot_hold_is_named)
{
    struct memory_plan plan = {.n_ctx = 7};
    struct error err = {0};
    struct backend *backend = open_backend("cpu", 0);
    struct backend_ops ops = *backend->ops;
    struct backend copy = {.ops = &ops, .device = backend->device};
    real_estimate = ops.packed_estimate;
    ops.packed_estimate = estimate_no_mlp; /* one of the four maps of a layer */
    cr_expect_eq(try_plan(&plan, &copy, GPT2, NULL, &err), ST_TOO_LARGE);
    cr_expect_str_eq(err.text, "backend cpu has no product of 72 x 32 in f32");
    error_clear(&err);
    const struct memory_needs endless = {
        .n_targets = 1, .targets = {{.directory = "x", .d_in = SIZE_MAX / 8, .n_features = 1000}}};
    cr_expect_eq(try_plan(&plan, backend, GPT2, &endless, &err), ST_TOO_LARGE);
    cr_expect(strstr(err.text, "backend cpu has no dictionary of "), "%s", err.text);
    cr_expect_eq(plan.n_ctx, 7, "untouched");
    backend_close(&backend);
}

/* --- the same bits ------------------------------------------------------------------------- */

static const struct hook_point HOOKS[] = {
    {HOOK_EMBED, 0},    {HOOK_RESID_PRE, 1},  {HOOK_Q, 1},
    {HOOK_Z, 1},        {HOOK_ATTN_OUT, 1},   {HOOK_MLP_PRE, 1},
    {HOOK_MLP_POST, 1}, {HOOK_RESID_POST, 1}, {HOOK_LN_FINAL_NORMALIZED, 0},
    {HOOK_LOGITS, 0}};
enum { N_HOOKS = sizeof HOOKS / sizeof HOOKS[0] };

/* Adds its row's number to a value: wrong rows would show. */
static status_t edit_rows(void *context, const struct forward_values *at, struct error *err)
{
    (void)context;
    (void)err;
    for (size_t r = 0; r < at->n_rows; r++)
        at->values[(r * at->n_ctx + N_EDITED) * at->ld] += (float)(at->first_row + r);
    return ST_OK;
}

struct outcome {
    float *acts[N_HOOKS]; /* owned */
    size_t n_bytes[N_HOOKS];
    float *norms;
};

static void keep(struct outcome *out, const float *const *acts, const struct model_config *config,
                 size_t n_head_rows)
{
    for (size_t i = 0; i < N_HOOKS; i++) {
        const size_t n_rows =
            HOOKS[i].kind == HOOK_LOGITS && n_head_rows ? n_head_rows : N_ROWS * N_CTX;
        out->n_bytes[i] = n_rows * hook_point_width(HOOKS[i], config) * sizeof(float);
        out->acts[i] = malloc(out->n_bytes[i]);
        cr_assert(out->acts[i]);
        memcpy(out->acts[i], acts[i], out->n_bytes[i]);
    }
}

/* One pass with everything that a pass can be asked for. n_halvings: of its parts. */
static void run_pass(struct model *model, unsigned n_halvings, bool has_head_rows,
                     struct outcome *out, size_t *n_part)
{
    static const uint32_t LENGTHS[N_ROWS] = {12, 7, 12, 1, 9}, HEAD_ROWS[] = {59, 3, 20, 21, 0, 44};
    const struct forward_edit edit = {{HOOK_RESID_MID, 1}, edit_rows, NULL, NULL};
    const struct model_config *config = model_config(model);
    const float *acts[N_HOOKS];
    uint32_t tokens[N_ROWS * N_CTX];
    struct forward *forward = NULL;
    struct error err = {0};
    for (size_t i = 0; i < N_ROWS * N_CTX; i++) tokens[i] = (uint32_t)(i * 7 % config->n_vocab);
    const struct forward_input input = {.tokens = tokens,
                                        .row_lengths = LENGTHS,
                                        .edits = &edit,
                                        .n_edits = 1,
                                        .head_rows = has_head_rows ? HEAD_ROWS : NULL,
                                        .n_head_rows = has_head_rows ? 6 : 0};
    const struct forward_params params = {
        .model = model, .n_rows = N_ROWS, .n_ctx = N_CTX, .row_block = 16};
    model_note_pass(model, true);
    while (model_n_halvings(model) < n_halvings) cr_assert(model_halve(model));
    cr_assert_eq(forward_create(&forward, &params, &err), ST_OK, "%s", err.text);
    *n_part = forward_part_rows(forward);
    cr_assert_eq(forward_run(forward, &input, HOOKS, N_HOOKS, acts, &err), ST_OK, "%s", err.text);
    keep(out, acts, config, has_head_rows ? 6 : 0);
    out->norms = calloc(N_ROWS * N_CTX, config->n_heads * sizeof *out->norms);
    cr_assert(out->norms);
    cr_assert_eq(forward_head_norms(forward, 1, acts[3], N_ROWS * N_CTX, out->norms, &err), ST_OK,
                 "%s", err.text);
    forward_destroy(&forward);
}

static void expect_same(const struct outcome *a, const struct outcome *b, const char *what,
                        const struct model_config *config)
{
    char name[HOOK_NAME_SIZE];
    for (size_t i = 0; i < N_HOOKS; i++) {
        cr_assert_eq(a->n_bytes[i], b->n_bytes[i]);
        cr_expect_eq(memcmp(a->acts[i], b->acts[i], a->n_bytes[i]), 0, "%s: other bits at %s", what,
                     hook_point_name(HOOKS[i], name));
    }
    cr_expect_eq(memcmp(a->norms, b->norms, N_ROWS * N_CTX * config->n_heads * sizeof(float)), 0,
                 "%s: other head norms", what);
}

static void outcome_fini(struct outcome *out)
{
    for (size_t i = 0; i < N_HOOKS; i++) free(out->acts[i]);
    free(out->norms);
}

static void expect_parts_change_nothing(const char *backend_name, const char *directory)
{
    struct backend *backend = open_backend(backend_name, 0);
    for (int has_head_rows = 0; has_head_rows < 2; has_head_rows++) {
        struct outcome whole, parts;
        size_t n_whole, n_part;
        struct model *model = open_model(backend, directory);
        run_pass(model, 0, has_head_rows, &whole, &n_whole);
        cr_expect_eq(n_whole, N_ROWS);
        for (unsigned n = 1; n <= 2; n++) {
            run_pass(model, n, has_head_rows, &parts, &n_part);
            cr_expect_eq(n_part, n == 1 ? 2 : 1, "%zu sequences", n_part);
            expect_same(&whole, &parts, directory, model_config(model));
            outcome_fini(&parts);
        }
        outcome_fini(&whole);
        model_close(&model);
    }
    backend_close(&backend);
}

Test(memory_plan, a_batch_in_parts_has_the_bits_of_the_whole)
{
    expect_parts_change_nothing("cpu", GPT2);
    expect_parts_change_nothing("cpu", LLAMA);
    expect_parts_change_nothing("emu", GPT2);
}

/* On a device that lacks 64 bytes for all layers, in whole batches and in parts. */
static void expect_streaming_changes_nothing(struct emulated_mode *mode, const char *directory)
{
    struct memory_plan plan;
    struct outcome resident, streamed;
    struct emulated e;
    size_t n_part;
    emulated_open(&e, mode, 16); /* sets the mode for the process */
    emulated_close(&e);
    struct backend *backend = open_backend("emu", 0);
    make_plan(&plan, backend, directory);
    struct model *model = open_model(backend, directory);
    run_pass(model, 0, false, &resident, &n_part);
    model_close(&model);
    backend->ops->limit_memory(backend, free_for(plan.n_resident + plan.n_smallest) - 64);
    model = open_model(backend, directory);
    cr_assert(model_plan(model)->is_streamed);
    cr_expect_eq(model_device_bytes(model), plan.n_tables);
    for (unsigned n_halvings = 0; n_halvings < 2; n_halvings++) {
        run_pass(model, n_halvings, false, &streamed, &n_part);
        expect_same(&resident, &streamed, mode->name, model_config(model));
        outcome_fini(&streamed);
    }
    outcome_fini(&resident);
    model_close(&model);
    backend_close(&backend);
}

ParameterizedTestParameters(memory_plan, streamed_layers_give_the_bits_of_resident_ones)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTest(struct emulated_mode *mode, memory_plan,
                  streamed_layers_give_the_bits_of_resident_ones)
{
    expect_streaming_changes_nothing(mode, GPT2);
}

/* Rotary positions, groups of heads, a gated MLP: five layers, so that the window comes round. */
ParameterizedTestParameters(memory_plan, streamed_layers_of_a_llama_give_the_same_bits)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTest(struct emulated_mode *mode, memory_plan,
                  streamed_layers_of_a_llama_give_the_same_bits)
{
    char root[FILE_TREE_ROOT_SIZE];
    file_tree_make(root);
    deep_model_write(root, 5);
    expect_streaming_changes_nothing(mode, root);
    file_tree_remove(root);
}
