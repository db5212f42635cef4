/* The head_scores handler: TransformerLens' scores on models of both families (GQA, no scale), what
 * the known models' heads are built to attend to, and equal bits however sequences are cut. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "tests/unit/task_world.h"

#include "common/file.h"
#include "common/head_scores.h"
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
    task_world_open(&world, NULL);
}

static void tear_down(void)
{
    task_world_close(&world);
}

TestSuite(head_scores_task, .init = set_up, .fini = tear_down, .timeout = 60);

static status_t open_task(const char *directory, size_t n_ctx, json_t *repeated)
{
    json_t *spec = json_pack("{s:s s:s s:s s:s s:I s:o*}", "kind", "head_scores", "model",
                             directory, "fingerprint", "", "compute", "f32", "n_ctx",
                             (json_int_t)n_ctx, "repeated", repeated);
    return task_world_open_task(&world, &head_scores_task_handler, spec);
}

static status_t run(const struct head_scores_unit *unit, struct buffer *out)
{
    struct buffer payload;
    buffer_init(&payload, HEAD_SCORES_MAX_UNIT_BYTES);
    buffer_init(out, HEAD_SCORES_MAX_RESULT_BYTES);
    error_clear(&world.err);
    cr_assert_eq(head_scores_unit_encode(unit, &payload, &world.err), ST_OK, "%s", world.err.text);
    const struct wire_text bytes = {(const char *)payload.bytes, payload.n_bytes};
    const status_t status = task_world_run_unit(&world, bytes, out);
    buffer_fini(&payload);
    return status;
}

static void add(struct head_scores *scores, const struct head_scores_unit *unit)
{
    struct buffer bytes;
    struct head_scores_result result;
    cr_assert_eq(run(unit, &bytes), ST_OK, "%s", world.err.text);
    cr_assert_eq(head_scores_result_decode(bytes.bytes, bytes.n_bytes, &result, &world.err), ST_OK,
                 "%s", world.err.text);
    if (!scores->sums)
        cr_assert_eq(head_scores_init(scores, result.n_layers, result.n_heads, &world.err), ST_OK);
    cr_assert_eq(head_scores_add(scores, &result, &world.err), ST_OK);
    head_scores_result_fini(&result);
    buffer_fini(&bytes);
}

/* --- against TransformerLens --------------------------------------------------------------- */

static struct head_scores_unit read_unit(const json_t *sequences, size_t first, size_t n)
{
    struct head_scores_unit unit = {.n = (uint32_t)n, .is_listed = true};
    size_t n_ids = 0;
    unit.lengths = calloc(n, sizeof *unit.lengths);
    unit.ids = calloc(4096, sizeof *unit.ids);
    for (size_t i = 0; i < n; i++) {
        const json_t *ids = json_array_get(sequences, first + i);
        unit.lengths[i] = (uint32_t)json_array_size(ids);
        for (size_t t = 0; t < json_array_size(ids); t++)
            unit.ids[n_ids++] = (uint32_t)json_integer_value(json_array_get(ids, t));
    }
    return unit;
}

static double value_at(const json_t *score, const char *key, size_t layer, size_t head)
{
    return json_number_value(
        json_array_get(json_array_get(json_object_get(score, key), layer), head));
}

static void expect_scores(const struct head_scores *scores, const json_t *want, const char *name)
{
    for (size_t p = 0; p < HEAD_N_PATTERNS; p++) {
        const json_t *score = json_array_get(want, p);
        cr_assert_str_eq(json_string_value(json_object_get(score, "pattern")),
                         head_pattern_name((enum head_pattern)p));
        for (uint32_t l = 0; l < scores->n_layers; l++)
            for (uint32_t h = 0; h < scores->n_heads; h++) {
                const struct head_score got = head_scores_of(scores, l, h, (enum head_pattern)p);
                cr_expect_float_eq(got.mul, value_at(score, "mul", l, h), 1e-5, "%s L%uH%u", name,
                                   l, h);
                cr_expect_float_eq(got.abs, value_at(score, "abs", l, h), 1e-5, "%s L%uH%u", name,
                                   l, h);
                cr_expect_float_eq(got.attention, value_at(score, "attention", l, h), 1e-5,
                                   "%s L%uH%u", name, l, h);
            }
    }
}

Test(head_scores_task, scores_are_those_of_transformer_lens)
{
    static const char *const names[] = {"gpt2-tied", "gpt2-untied-gelu", "llama-gqa-tied",
                                        "llama-mha-untied"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128], directory[128];
        struct head_scores scores = {.sums = NULL};
        (void)snprintf(path, sizeof path, "tests/golden/head_scores/%s.json", names[i]);
        (void)snprintf(directory, sizeof directory, "tests/golden/models/%s", names[i]);
        json_t *golden = json_load_file(path, 0, NULL);
        const json_t *sequences = json_object_get(golden, "sequences");
        cr_assert_geq(json_array_size(sequences), 15, "%s", path);
        cr_assert_eq(open_task(directory, 40, NULL), ST_OK, "%s", world.err.text);
        struct head_scores_unit unit = read_unit(sequences, 0, json_array_size(sequences));
        add(&scores, &unit);
        expect_scores(&scores, json_object_get(golden, "scores"), names[i]);
        head_scores_unit_fini(&unit);
        head_scores_fini(&scores);
        task_world_close_task(&world);
        json_decref(golden);
    }
}

/* --- however they are cut ------------------------------------------------------------------- */

Test(head_scores_task, equal_sequences_give_equal_bits_however_they_are_cut)
{
    json_t *golden = json_load_file("tests/golden/head_scores/llama-gqa-tied.json", 0, NULL);
    const json_t *sequences = json_object_get(golden, "sequences");
    const size_t n = json_array_size(sequences);
    struct head_scores whole = {.sums = NULL}, parts = {.sums = NULL};
    cr_assert_eq(open_task("tests/golden/models/llama-gqa-tied", 33, NULL), ST_OK, "%s",
                 world.err.text);
    struct head_scores_unit unit = read_unit(sequences, 0, n);
    add(&whole, &unit);
    head_scores_unit_fini(&unit);
    task_world_close_task(&world);
    cr_assert_eq(open_task("tests/golden/models/llama-gqa-tied", 64, NULL), ST_OK, "%s",
                 world.err.text);
    for (size_t first = 0; first < n; first += 4) {
        unit = read_unit(sequences, first, n - first < 4 ? n - first : 4);
        add(&parts, &unit);
        head_scores_unit_fini(&unit);
    }
    cr_expect_eq(
        memcmp(whole.sums, parts.sums,
               (size_t)whole.n_layers * whole.n_heads * HEAD_N_PATTERNS * 3 * sizeof *whole.sums),
        0);
    head_scores_fini(&whole);
    head_scores_fini(&parts);
    json_decref(golden);
}

/* --- heads of known roles ------------------------------------------------------------------- */

static void remove_known(const char *root, const char *directory)
{
    static const char *const files[] = {"config.json",    "model.safetensors",
                                        "tokenizer.json", "tokenizer_config.json",
                                        "circuit.json",   "prompts.jsonl"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = file_join(directory, files[i]);
        (void)unlink(path);
        free(path);
    }
    (void)rmdir(directory);
    (void)rmdir(root);
}

static struct head_score score_of(const struct head_scores *scores, const json_t *node,
                                  enum head_pattern pattern)
{
    return head_scores_of(scores, (uint32_t)json_integer_value(json_object_get(node, "layer")),
                          (uint32_t)json_integer_value(json_object_get(node, "head")), pattern);
}

/* Previous-token heads, the impostor too, and induction heads score 1 each for what they do, in
 * sequences of random words said twice. */
static void check_roles(const struct head_scores *scores, const char *directory)
{
    char *path = file_join(directory, "circuit.json");
    json_t *truth = json_load_file(path, 0, NULL);
    const json_t *impostors = json_object_get(truth, "impostors");
    const json_t *nodes = json_object_get(truth, "nodes");
    size_t n_previous = 0, n_induction = 0;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *name = json_string_value(json_object_get(node, "name"));
        const bool is_circuit = json_is_true(json_object_get(node, "in_circuit"));
        const bool is_first = json_integer_value(json_object_get(node, "layer")) == 0;
        bool is_impostor = false;
        for (size_t k = 0; k < json_array_size(impostors); k++)
            is_impostor |= !strcmp(json_string_value(json_array_get(impostors, k)), name);
        if (is_impostor || (is_circuit && is_first)) {
            n_previous++;
            cr_expect_gt(score_of(scores, node, PATTERN_PREVIOUS_TOKEN).attention, 0.999, "%s",
                         name);
        } else if (is_circuit) {
            n_induction++;
            cr_expect_gt(score_of(scores, node, PATTERN_INDUCTION).attention, 0.999, "%s", name);
            cr_expect_lt(score_of(scores, node, PATTERN_PREVIOUS_TOKEN).attention, 0.2, "%s", name);
        }
    }
    cr_expect(n_previous == 2 && n_induction == 1, "%zu, %zu", n_previous, n_induction);
    free(path);
    json_decref(truth);
}

static void check_known(const char *kind, uint64_t seed)
{
    char root[] = "/tmp/interp-scores-XXXXXX", directory[64];
    const struct known_params params = {.kind = kind, .seed = seed, .size = 32};
    const struct head_scores_unit unit = {.first = 3, .n = 20};
    struct head_scores scores = {.sums = NULL};
    cr_assert(mkdtemp(root));
    (void)snprintf(directory, sizeof directory, "%s/model", root);
    cr_assert_eq(known_model_write(&params, 8, directory, &world.err), ST_OK, "%s", world.err.text);
    cr_assert_eq(open_task(directory, 21,
                           json_pack("{s:i s:i s:s}", "n_tokens", 21, "seed", 4, "bos", "auto")),
                 ST_OK, "%s", world.err.text);
    add(&scores, &unit);
    cr_expect_eq(scores.n_queries[PATTERN_INDUCTION], 20 * 10);
    check_roles(&scores, directory);
    head_scores_fini(&scores);
    task_world_close_task(&world);
    remove_known(root, directory);
}

Test(head_scores_task, words_of_a_copy_are_the_tokens_with_bos_or_without)
{
    static const char *const bos[] = {"true", "false"};
    const struct head_scores_unit unit = {.first = 3, .n = 5};
    for (size_t i = 0; i < 2; i++) {
        const int n_tokens = i == 0 ? 17 : 16;
        struct buffer by_words, by_tokens;
        cr_assert_eq(open_task("config/demo/model", 17,
                               json_pack("{s:i s:i s:s}", "n_words", 8, "seed", 4, "bos", bos[i])),
                     ST_OK, "%s", world.err.text);
        cr_assert_eq(run(&unit, &by_words), ST_OK, "%s", world.err.text);
        task_world_close_task(&world);
        cr_assert_eq(
            open_task("config/demo/model", 17,
                      json_pack("{s:i s:i s:s}", "n_tokens", n_tokens, "seed", 4, "bos", bos[i])),
            ST_OK, "%s", world.err.text);
        cr_assert_eq(run(&unit, &by_tokens), ST_OK, "%s", world.err.text);
        task_world_close_task(&world);
        cr_assert_eq(by_words.n_bytes, by_tokens.n_bytes);
        cr_expect_arr_eq(by_words.bytes, by_tokens.bytes, by_words.n_bytes);
        buffer_fini(&by_words);
        buffer_fini(&by_tokens);
    }
}

Test(head_scores_task, heads_of_the_known_models_do_what_they_are_built_for)
{
    check_known("induction", 1);
    check_known("induction", 2);
    check_known("llama-induction", 1);
}

/* --- what is wrong -------------------------------------------------------------------------- */

static void expect_open_refusal(const char *why, size_t n_ctx, json_t *repeated)
{
    cr_expect_neq(open_task("config/demo/model", n_ctx, repeated), ST_OK);
    cr_expect_not_null(strstr(world.err.text, why), "\"%s\" does not say \"%s\"", world.err.text,
                       why);
}

Test(head_scores_task, what_is_wrong_is_named)
{
    uint32_t lengths[] = {9}, ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct head_scores_unit unit = {.n = 1, .is_listed = true, .lengths = lengths, .ids = ids};
    struct buffer out;
    expect_open_refusal("\"n_ctx\" is no number from 2", 1, NULL);
    expect_open_refusal("repeated: n_tokens is 7: two copies", 8,
                        json_pack("{s:i s:i s:s}", "n_tokens", 7, "seed", 1, "bos", "false"));
    expect_open_refusal("repeated: task spec: \"n_tokens\" is no number from 4 to 8", 8,
                        json_pack("{s:i s:i s:s}", "n_tokens", 10, "seed", 1, "bos", "false"));
    expect_open_refusal("repeated: n_words is 4: BOS does not fit in n_ctx, 8", 8,
                        json_pack("{s:i s:i s:s}", "n_words", 4, "seed", 1, "bos", "true"));
    cr_assert_eq(open_task("config/demo/model", 8, NULL), ST_OK, "%s", world.err.text);
    cr_expect_eq(run(&unit, &out), ST_BAD_INPUT);
    cr_expect_str_eq(world.err.text, "sequence 0 has 9 tokens, n_ctx is 8");
    lengths[0] = 8;
    ids[4] = 4096;
    cr_expect_eq(run(&unit, &out), ST_BAD_INPUT);
    cr_expect_not_null(strstr(world.err.text, "4096"), "%s", world.err.text);
    unit.is_listed = false;
    cr_expect_eq(run(&unit, &out), ST_BAD_INPUT);
    cr_expect_str_eq(world.err.text, "the task has no repeated sequences");
}
