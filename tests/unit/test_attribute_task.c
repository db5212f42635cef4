/* The attribute handler against torch's autograd on the definition of the scores
 * (tests/golden/attributions), for random models of both families and for known circuits. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "tests/unit/task_world.h"

#include "common/attribute.h"
#include "common/file.h"
#include "worker/known/known_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct task_world world;

static void set_up(void)
{
    task_world_open(&world, "cpu");
}

static void set_up_emulated(void)
{
    task_world_open(&world, "emu");
}

static void tear_down(void)
{
    task_world_close(&world);
}

TestSuite(attribute_task, .init = set_up, .fini = tear_down, .timeout = 60);
/* The CUDA backend, on the host emulator. */
TestSuite(attribute_task_emulated, .init = set_up_emulated, .fini = tear_down, .timeout = 60);

static json_t *golden(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "tests/golden/attributions/%s.json", name);
    json_t *value = json_load_file(path, 0, NULL);
    cr_assert(value, "%s", path);
    return value;
}

static json_t *make_spec(const json_t *study, const char *directory, const char *method,
                         const char *metric)
{
    return json_pack("{s:s s:s s:s s:s s:s s:s s:O s:O}", "kind", "attribute", "model", directory,
                     "fingerprint", "", "compute", "f32", "method", method, "metric", metric,
                     "n_ctx", json_object_get(study, "n_ctx"), "prompts",
                     json_object_get(study, "prompts"));
}

static void run_unit(void *task, uint32_t first, uint32_t n, struct attribute_result *out)
{
    const struct wire_text none = {"", 0};
    const struct attribute_unit unit = {first, n};
    struct buffer payload, bytes;
    buffer_init(&payload, 1 << 10);
    buffer_init(&bytes, 1 << 24);
    cr_assert_eq(attribute_unit_encode(&unit, &payload, &world.err), ST_OK);
    const struct wire_text text = {(const char *)payload.bytes, payload.n_bytes};
    cr_assert_eq(attribute_task_handler.run(task, 0, text, none, &bytes, &world.err), ST_OK, "%s",
                 world.err.text);
    cr_assert_eq(attribute_result_decode(bytes.bytes, bytes.n_bytes, out, &world.err), ST_OK, "%s",
                 world.err.text);
    buffer_fini(&payload);
    buffer_fini(&bytes);
}

/* All prompts as one unit. */
static struct attribute_result run_all(json_t *spec)
{
    const struct task_environment environment = task_world_environment(&world);
    struct attribute_result result = {0};
    void *task;
    cr_assert_eq(attribute_task_handler.open(&task, &environment, spec, &world.err), ST_OK, "%s",
                 world.err.text);
    run_unit(task, 0, (uint32_t)json_array_size(json_object_get(spec, "prompts")), &result);
    attribute_task_handler.close(task);
    json_decref(spec);
    return result;
}

/* To 1e-4 of the largest score of its kind, as the reference is asked to agree. */
static void expect_scores(const double *got, size_t n, const json_t *want, const char *what)
{
    double largest = 0, worst = 0;
    cr_assert_eq(json_array_size(want), n, "%s: %zu, not %zu", what, n, json_array_size(want));
    for (size_t i = 0; i < n; i++) {
        const double score = json_number_value(json_array_get(want, i));
        largest = fmax(largest, fabs(score));
        worst = fmax(worst, fabs(got[i] - score));
    }
    cr_assert(largest > 0, "%s: all 0", what);
    cr_expect(worst <= 1e-4 * largest, "%s: off by %.3g of %.3g", what, worst, largest);
}

static void check_model(const char *name, const char *directory)
{
    json_t *study = golden(name);
    const json_t *item;
    size_t i;
    char what[128];
    json_array_foreach(json_object_get(study, "cases"), i, item)
    {
        const char *method = json_string_value(json_object_get(item, "method"));
        const char *metric = json_string_value(json_object_get(item, "metric"));
        struct attribute_result result = run_all(make_spec(study, directory, method, metric));
        (void)snprintf(what, sizeof what, "%s, %s, %s", name, method, metric);
        expect_scores(result.nodes, result.n_nodes, json_object_get(item, "nodes"), what);
        expect_scores(result.edges, result.n_edges, json_object_get(item, "edges"), what);
        attribute_result_fini(&result);
    }
    json_decref(study);
}

static void check_golden(const char *name)
{
    char directory[128];
    (void)snprintf(directory, sizeof directory, "tests/golden/models/%s", name);
    check_model(name, directory);
}

Test(attribute_task, gpt2_agrees_with_autograd)
{
    check_golden("gpt2-tied");
    check_golden("gpt2-untied-gelu");
}

static void check_llamas(void)
{
    check_golden("llama-gqa-tied");
    check_golden("llama-head-dim");
    check_golden("llama-biases");
    check_golden("llama-rope-llama3");
}

Test(attribute_task, llama_agrees_with_autograd)
{
    check_llamas();
}

Test(attribute_task_emulated, gpt2_agrees_with_autograd)
{
    check_golden("gpt2-tied");
    check_golden("gpt2-untied-gelu");
}

Test(attribute_task_emulated, llama_agrees_with_autograd)
{
    check_llamas();
}

static void with_known(const char *kind, const char *rope, void (*check)(const char *directory))
{
    static const char *const files[] = {"config.json",    "model.safetensors",
                                        "tokenizer.json", "tokenizer_config.json",
                                        "circuit.json",   "prompts.jsonl"};
    const struct known_params params = {.kind = kind, .seed = 1, .size = 16, .rope = rope};
    char root[] = "/tmp/interp-attribute-XXXXXX", directory[64];
    cr_assert(mkdtemp(root));
    (void)snprintf(directory, sizeof directory, "%s/model", root);
    cr_assert_eq(known_model_write(&params, 16, directory, &world.err), ST_OK, "%s",
                 world.err.text);
    check(directory);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = file_join(directory, files[i]);
        (void)unlink(path);
        free(path);
    }
    (void)rmdir(directory);
    (void)rmdir(root);
}

static void check_induction(const char *directory)
{
    check_model("known-induction", directory);
}

static void check_half(const char *directory)
{
    check_model("known-llama-half", directory);
}

/* Read by the other rule of rotary pairs, nothing reaches the answer, and nothing is said to. */
static void check_interleaved(const char *directory)
{
    json_t *study = golden("known-llama-half");
    struct attribute_result result =
        run_all(make_spec(study, directory, "eap", "logit_difference"));
    for (size_t i = 0; i < result.n_edges; i++) cr_expect(fabs(result.edges[i]) < 1e-3);
    for (size_t i = 0; i < result.n_nodes; i++) cr_expect(fabs(result.nodes[i]) < 1e-3);
    attribute_result_fini(&result);
    json_decref(study);
}

Test(attribute_task, known_circuits_agree_with_autograd)
{
    with_known("induction", NULL, check_induction);
    with_known("llama-induction", "half", check_half);
}

Test(attribute_task_emulated, known_circuits_agree_with_autograd)
{
    with_known("induction", NULL, check_induction);
    with_known("llama-induction", "half", check_half);
}

Test(attribute_task, rotary_pairs_of_the_other_layout_carry_nothing)
{
    with_known("llama-induction", "interleaved", check_interleaved);
}

Test(attribute_task, atp_has_the_nodes_of_eap_and_no_edges)
{
    json_t *study = golden("llama-gqa-tied");
    const char *directory = "tests/golden/models/llama-gqa-tied";
    struct attribute_result nodes = run_all(make_spec(study, directory, "atp", "logit_difference"));
    struct attribute_result both = run_all(make_spec(study, directory, "eap", "logit_difference"));
    cr_expect_eq(nodes.n_edges, 0);
    cr_assert_eq(nodes.n_nodes, both.n_nodes);
    cr_expect_arr_eq(nodes.nodes, both.nodes, nodes.n_nodes * sizeof *nodes.nodes);
    attribute_result_fini(&nodes);
    attribute_result_fini(&both);
    json_decref(study);
}

/* Sums of units add up to those of all prompts, and a unit is the same bits every time. */
static void check_units(void)
{
    json_t *study = golden("gpt2-tied");
    json_t *spec = make_spec(study, "tests/golden/models/gpt2-tied", "eap_ig", "logit_difference");
    const struct task_environment environment = task_world_environment(&world);
    struct attribute_result parts[4] = {{0}};
    void *task;
    cr_assert_eq(attribute_task_handler.open(&task, &environment, spec, &world.err), ST_OK);
    run_unit(task, 0, 5, &parts[0]);
    run_unit(task, 0, 2, &parts[1]);
    run_unit(task, 2, 3, &parts[2]);
    run_unit(task, 0, 5, &parts[3]);
    for (size_t i = 0; i < parts[0].n_edges; i++)
        cr_expect_float_eq(parts[1].edges[i] + parts[2].edges[i], parts[0].edges[i], 1e-12);
    for (size_t i = 0; i < parts[0].n_nodes; i++)
        cr_expect_float_eq(parts[1].nodes[i] + parts[2].nodes[i], parts[0].nodes[i], 1e-12);
    cr_expect_arr_eq(parts[0].edges, parts[3].edges, parts[0].n_edges * sizeof(double));
    cr_expect_arr_eq(parts[0].nodes, parts[3].nodes, parts[0].n_nodes * sizeof(double));
    for (size_t i = 0; i < 4; i++) attribute_result_fini(&parts[i]);
    attribute_task_handler.close(task);
    json_decref(spec);
    json_decref(study);
}

Test(attribute_task, units_add_up)
{
    check_units();
}

Test(attribute_task_emulated, units_add_up)
{
    check_units();
}

Test(attribute_task, what_makes_no_sense_is_refused_by_name)
{
    static const struct {
        const char *key, *value, *want;
    } cases[] = {{"metric", "kl", "eap_ig"},
                 {"metric", "accuracy", "accuracy"},
                 {"method", "acdc", "acdc"},
                 {"model", "tests/golden/models/none", "none"}};
    const struct task_environment environment = task_world_environment(&world);
    json_t *study = golden("gpt2-tied");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *spec = make_spec(study, "tests/golden/models/gpt2-tied", "eap", "logit_difference");
        void *task = NULL;
        error_clear(&world.err);
        (void)json_object_set_new(spec, cases[i].key, json_string(cases[i].value));
        cr_expect_neq(attribute_task_handler.open(&task, &environment, spec, &world.err), ST_OK);
        cr_expect(strstr(world.err.text, cases[i].want), "%s", world.err.text);
        json_decref(spec);
    }
    json_decref(study);
}

Test(attribute_task, prompts_that_are_not_there_are_refused)
{
    json_t *study = golden("gpt2-tied");
    json_t *spec = make_spec(study, "tests/golden/models/gpt2-tied", "atp", "logit_difference");
    const struct task_environment environment = task_world_environment(&world);
    const struct attribute_unit unit = {3, 3};
    const struct wire_text none = {"", 0};
    struct buffer payload, bytes;
    void *task;
    buffer_init(&payload, 1 << 10);
    buffer_init(&bytes, 1 << 20);
    cr_assert_eq(attribute_task_handler.open(&task, &environment, spec, &world.err), ST_OK);
    cr_assert_eq(attribute_unit_encode(&unit, &payload, &world.err), ST_OK);
    const struct wire_text text = {(const char *)payload.bytes, payload.n_bytes};
    cr_expect_eq(attribute_task_handler.run(task, 0, text, none, &bytes, &world.err), ST_BAD_INPUT);
    cr_expect(strstr(world.err.text, "3 to 6 of 5"), "%s", world.err.text);
    cr_expect_eq(bytes.n_bytes, 0);
    buffer_fini(&payload);
    buffer_fini(&bytes);
    attribute_task_handler.close(task);
    json_decref(spec);
    json_decref(study);
}
