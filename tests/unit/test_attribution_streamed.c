/* Attributions of a model that is larger than its device (the host emulator's): weights that
 * derivatives take are streamed too, and every score has the bits that it has when all is there. */
#include "tests/unit/deep_model.h"
#include "tests/unit/emulated.h"
#include "tests/unit/file_tree.h"
#include "tests/unit/task_world.h"
#include "worker/model/attribution.h"
#include "worker/model/forward_parts.h"

#include "common/attribute.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <string.h>

enum { N_PROMPTS = 6, N_CTX = 11, MOST_SCORES = 4096, ROOM = 1 << 30 };
static const char GPT2[] = "tests/golden/models/gpt2-bare-names"; /* three layers */

static const struct memory_needs NEEDS = {
    .n_ctx = N_CTX, .n_prompts = N_PROMPTS, .adjoint = MEMORY_ADJOINT_EDGES};

static struct backend *open_device(size_t limit)
{
    struct backend *backend = NULL;
    struct error err = {0};
    cr_assert_eq(backend_open("emu", &backend, &err), ST_OK, "%s", err.text);
    if (limit) backend->ops->limit_memory(backend, limit);
    return backend;
}

static struct memory_plan plan_for(const char *directory, const struct memory_needs *needs)
{
    struct model_config config;
    struct memory_plan plan;
    struct error err = {0};
    struct backend *backend = open_device(0);
    cr_assert_eq(model_config_read(&config, directory, &err), ST_OK, "%s", err.text);
    const struct memory_plan_params params = {
        .config = &config, .backend = backend, .needs = needs};
    cr_assert_eq(memory_plan_make(&plan, &params, &err), ST_OK, "%s", err.text);
    backend_close(&backend);
    return plan;
}

/* What has to be free so that `n_bytes` are usable (memory_plan.c leaves a margin of 1/32). */
static size_t free_for(size_t n_bytes)
{
    return n_bytes + n_bytes / 31 + 1;
}

/* A device that lacks 64 bytes for all layers. */
static size_t little_less_than(const char *directory, const struct memory_needs *needs)
{
    const struct memory_plan plan = plan_for(directory, needs);
    cr_assert_not(plan.is_streamed);
    return free_for(memory_plan_least(&plan)) - 64;
}

/* --- scores -------------------------------------------------------------------------------- */

struct scores {
    double nodes[MOST_SCORES], edges[MOST_SCORES];
};

static status_t slope(void *context, size_t prompt, const float *logits, const float *clean,
                      float *out, struct error *err)
{
    (void)context;
    (void)clean;
    (void)err;
    out[3] = 1 + logits[prompt] / 8;
    out[17] = -1;
    return ST_OK;
}

/* Without steps twice in a row: windows are not where they began. */
static void attribute(struct model *model, size_t n_steps, struct scores *out)
{
    const struct attribution_params params = {
        .model = model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .has_edges = true};
    const size_t n_vocab = model_config(model)->n_vocab;
    uint32_t clean[N_PROMPTS * N_CTX], corrupted[N_PROMPTS * N_CTX], lengths[N_PROMPTS],
        answers[N_PROMPTS];
    struct attribution *attribution = NULL;
    struct error err = {0};
    for (uint32_t i = 0; i < N_PROMPTS * N_CTX; i++) {
        clean[i] = (uint32_t)((i / N_CTX * 37 + i * 11) % n_vocab);
        corrupted[i] = (uint32_t)((clean[i] + (i % N_CTX == 2 ? 5 : 0)) % n_vocab);
    }
    for (uint32_t i = 0; i < N_PROMPTS; i++) {
        lengths[i] = N_CTX - i % 3;
        answers[i] = lengths[i] - 1;
    }
    const struct attribution_prompts prompts = {N_PROMPTS, clean, corrupted, lengths, answers};
    const struct attribution_request request = {
        .n_steps = n_steps, .slope = slope, .nodes = out->nodes, .edges = out->edges};
    *out = (struct scores){.nodes = {0}};
    cr_assert_eq(attribution_create(&attribution, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(attribution_n_prompts(attribution), N_PROMPTS, "in one batch");
    for (int i = 0; i < (n_steps ? 1 : 2); i++)
        cr_assert_eq(attribution_run(attribution, &prompts, &request, &err), ST_OK, "%s", err.text);
    attribution_destroy(&attribution);
}

static struct model *open_model(struct backend *backend, const char *directory)
{
    struct model *model = NULL;
    struct error err = {0};
    const struct model_params params = {
        .directory = directory, .backend = backend, .needs = &NEEDS};
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    return model;
}

static void expect_same_scores(struct backend *backend, const char *directory, const char *what)
{
    static const size_t STEPS[] = {0, 2};
    static struct scores resident[2], streamed;
    const size_t limit = little_less_than(directory, &NEEDS);
    struct model *model = open_model(backend, directory);
    cr_assert_not(model_plan(model)->is_streamed);
    const struct attribute_shape shape = attribution_shape(model_config(model));
    cr_assert(attribute_n_nodes(&shape) <= MOST_SCORES && attribute_n_edges(&shape) <= MOST_SCORES);
    for (size_t i = 0; i < 2; i++) attribute(model, STEPS[i], &resident[i]);
    cr_expect(fabs(resident[0].edges[0]) > 0 && fabs(resident[0].nodes[0]) > 0);
    model_close(&model);
    backend->ops->limit_memory(backend, limit);
    model = open_model(backend, directory);
    cr_assert(model_plan(model)->is_streamed);
    backend->ops->limit_memory(backend, ROOM); /* whole batches: sums over prompts in one order */
    for (size_t i = 0; i < 2; i++) {
        attribute(model, STEPS[i], &streamed);
        cr_expect_eq(memcmp(&streamed, &resident[i], sizeof streamed), 0,
                     "%s, %zu steps: other bits", what, STEPS[i]);
    }
    model_close(&model);
}

static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

static void in_mode(struct emulated_mode *mode, const char *directory)
{
    emulated_set_mode(mode);
    struct backend *backend = open_device(0);
    expect_same_scores(backend, directory, mode->name);
    backend_close(&backend);
}

ParameterizedTestParameters(attribution_streamed, has_the_bits_of_the_resident_run)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, attribution_streamed,
                  has_the_bits_of_the_resident_run)
{
    in_mode(mode, GPT2);
}

/* Rotary positions, groups of heads, a gated MLP: five layers, so that windows come round. */
ParameterizedTestParameters(attribution_streamed, of_a_llama_has_the_same_bits)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, attribution_streamed, of_a_llama_has_the_same_bits)
{
    char root[FILE_TREE_ROOT_SIZE];
    file_tree_make(root);
    deep_model_write(root, 5);
    in_mode(mode, root);
    file_tree_remove(root);
}

/* What is brought while a layer is computed with is what is asked for next, there and back. */
Test(attribution_streamed, windows_are_filled_in_the_order_of_the_pass)
{
    static const size_t ROUND[] = {1, 2, 3, 0}, AND_BACK[] = {1, 2, 3, 2}, BACK[] = {1, 0, 1, 2};
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(forward_next_layer(LAYERS_ROUND, i, 4), ROUND[i]);
        cr_expect_eq(forward_next_layer(LAYERS_AND_BACK, i, 4), AND_BACK[i]);
        cr_expect_eq(forward_next_layer(LAYERS_BACK, i, 4), BACK[i]);
    }
    cr_expect_eq(forward_next_layer(LAYERS_BACK, 0, 1), 0);
}

/* --- what they take ------------------------------------------------------------------------ */

/* On a device of just that size. */
static void expect_taken(const struct memory_plan *plan, size_t limit, const char *directory)
{
    struct backend *backend = open_device(limit);
    const struct backend_ops *ops = backend->ops;
    struct model *model = open_model(backend, directory);
    const struct attribution_params params = {
        .model = model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .has_edges = true};
    struct attribution *attribution = NULL;
    struct error err = {0};
    const struct exec_params loader = {.row_block = 1};
    struct exec *exec;
    const struct packed *head;
    cr_assert_eq(model_plan(model)->is_streamed, plan->is_streamed);
    cr_assert_eq(model_head(model, &head, &err), ST_OK, "%s", err.text);
    cr_assert_eq(ops->exec_create(&exec, backend, &loader, &err), ST_OK, "%s", err.text);
    cr_assert_eq(attribution_create(&attribution, &params, &err), ST_OK, "%s", err.text);
    const size_t n_taken = ops->memory(backend).n_total - ops->memory(backend).n_free;
    cr_expect_leq(n_taken, memory_plan_least(plan));
    cr_expect_gt(n_taken, memory_plan_least(plan) - plan->n_adjoint,
                 "%zu of %zu bytes taken: derivatives' %zu would not be missed", n_taken,
                 memory_plan_least(plan), plan->n_adjoint);
    attribution_destroy(&attribution);
    ops->exec_destroy(exec);
    model_close(&model);
    backend_close(&backend);
}

Test(attribution_streamed, weights_of_derivatives_are_planned)
{
    struct memory_needs without = NEEDS;
    struct memory_plan all, streamed, alone;
    struct model_config config;
    struct error err = {0};
    char root[FILE_TREE_ROOT_SIZE], text[MEMORY_PLAN_TEXT_SIZE];
    file_tree_make(root);
    deep_model_write(root, 5);
    all = plan_for(root, &NEEDS);
    without.adjoint = MEMORY_ADJOINT_NODES;
    alone = plan_for(root, &without);
    cr_expect_gt(all.n_adjoint, alone.n_adjoint, "single heads'");
    cr_expect_eq(all.n_adjoint, all.n_adjoint_head + 5 * all.n_adjoint_layer);
    expect_taken(&all, free_for(memory_plan_least(&all)), root);
    struct backend *backend = open_device(little_less_than(root, &NEEDS));
    cr_assert_eq(model_config_read(&config, root, &err), ST_OK, "%s", err.text);
    const struct memory_plan_params params = {
        .config = &config, .backend = backend, .needs = &NEEDS};
    cr_assert_eq(memory_plan_make(&streamed, &params, &err), ST_OK, "%s", err.text);
    cr_assert(streamed.is_streamed && streamed.n_fitting);
    cr_expect_eq(streamed.n_adjoint, all.n_adjoint_head + 2 * all.n_adjoint_layer);
    cr_expect_eq(streamed.n_host, 5 * (all.n_layer + all.n_adjoint_layer));
    cr_expect(strstr(memory_plan_text(&streamed, text), "derivatives' "), "%s", text);
    backend_close(&backend);
    expect_taken(&streamed, free_for(memory_plan_least(&streamed)), root);
    file_tree_remove(root);
}

/* --- a task -------------------------------------------------------------------------------- */

static json_t *make_spec(const char *directory)
{
    json_t *prompts = json_array();
    for (int i = 0; i < N_PROMPTS; i++) {
        json_t *clean = json_array(), *corrupted = json_array();
        for (int t = 0; t < N_CTX; t++) {
            (void)json_array_append_new(clean, json_integer((i * 7 + t * 31) % 113));
            (void)json_array_append_new(corrupted,
                                        json_integer((i * 7 + t * 31 + (t == 1 ? 9 : 0)) % 113));
        }
        (void)json_array_append_new(prompts, json_pack("{s:o, s:o, s:i, s:[i], s:[i]}", "clean",
                                                       clean, "corrupted", corrupted, "answer_at",
                                                       N_CTX - 1, "answers", 3, "distractors", 17));
    }
    return json_pack("{s:s s:s s:s s:s s:s s:s s:i s:i s:o}", "kind", "attribute", "model",
                     directory, "fingerprint", "", "compute", "f32", "method", "eap_ig", "metric",
                     "logit_difference", "steps", 3, "n_ctx", N_CTX, "prompts", prompts);
}

/* One prompt a unit, so that no batch sums over prompts. */
static void run_task(const char *directory, size_t limit, struct buffer *out)
{
    struct task_world world = {.backend = NULL};
    void *task = NULL;
    const struct wire_text none = {"", 0};
    task_world_open(&world, "emu");
    if (limit) world.backend->ops->limit_memory(world.backend, limit);
    const struct task_environment environment = task_world_environment(&world);
    json_t *spec = make_spec(directory);
    cr_assert_eq(attribute_task_handler.open(&task, &environment, spec, &world.err), ST_OK, "%s",
                 world.err.text);
    json_decref(spec);
    for (uint32_t i = 0; i < N_PROMPTS; i++) {
        const struct attribute_unit unit = {i, 1};
        struct buffer payload;
        buffer_init(&payload, 1 << 10);
        cr_assert_eq(attribute_unit_encode(&unit, &payload, &world.err), ST_OK);
        const struct wire_text text = {(const char *)payload.bytes, payload.n_bytes};
        cr_assert_eq(attribute_task_handler.run(task, i, text, none, out, &world.err), ST_OK, "%s",
                     world.err.text);
        buffer_fini(&payload);
    }
    attribute_task_handler.close(task);
    task_world_close(&world);
}

Test(attribution_streamed, a_task_on_a_device_too_small_for_its_model_gives_the_same_bytes)
{
    char root[FILE_TREE_ROOT_SIZE];
    struct buffer resident, streamed;
    buffer_init(&resident, 1 << 24);
    buffer_init(&streamed, 1 << 24);
    file_tree_make(root);
    deep_model_write(root, 5);
    run_task(root, 0, &resident);
    run_task(root, little_less_than(root, &NEEDS), &streamed);
    cr_assert_gt(resident.n_bytes, 0);
    cr_assert_eq(resident.n_bytes, streamed.n_bytes);
    cr_expect_eq(memcmp(resident.bytes, streamed.bytes, resident.n_bytes), 0);
    file_tree_remove(root);
    buffer_fini(&resident);
    buffer_fini(&streamed);
}
