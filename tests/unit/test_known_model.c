#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "worker/known/known_model.h"

#include "common/file.h"
#include "common/hash.h"
#include "worker/known/direction_basis.h"
#include "worker/known/plain_trig.h"
#include "worker/known/prompt_pairs.h"
#include "worker/known/word_vocabulary.h"
#include "worker/model/forward.h"
#include "worker/model/tokenizer.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOT_SIZE = 32, PATH_SIZE = 64, N_PROMPTS = 24 };

static const char *const FILES[] = {"config.json",           "model.safetensors", "tokenizer.json",
                                    "tokenizer_config.json", "circuit.json",      "prompts.jsonl"};
enum { N_FILES = sizeof FILES / sizeof FILES[0] };

static void make_root(char root[ROOT_SIZE])
{
    (void)snprintf(root, ROOT_SIZE, "/tmp/interp-known-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static const char *place(const char root[ROOT_SIZE], const char *name, char out[PATH_SIZE])
{
    (void)snprintf(out, PATH_SIZE, "%.31s/%.31s", root, name);
    return out;
}

static void remove_model(const char *directory)
{
    for (size_t i = 0; i < N_FILES; i++) {
        char *path = file_join(directory, FILES[i]);
        (void)unlink(path);
        free(path);
    }
    (void)rmdir(directory);
}

static void write_known(const char *directory, const struct known_params *params)
{
    struct error err = {0};
    cr_assert_eq(known_model_write(params, N_PROMPTS, directory, &err), ST_OK, "%s %zu: %s",
                 params->kind, params->size, err.text);
}

/* SHA-256 of one file of a model. */
static void hash_of(const char *directory, const char *name, char out[HASH_HEX_SIZE])
{
    struct error err = {0};
    char *bytes, *path = file_join(directory, name);
    size_t n_bytes;
    cr_assert_eq(file_read(path, 64 << 20, &bytes, &n_bytes, &err), ST_OK, "%s", err.text);
    (void)hash_sha256_hex(bytes, n_bytes, out);
    free(bytes);
    free(path);
}

Test(known_model, same_seed_same_bytes_another_seed_another_model)
{
    char root[ROOT_SIZE], first[PATH_SIZE], again[PATH_SIZE], other[PATH_SIZE];
    size_t n_kinds;
    const struct known_kind *kinds = known_kinds(&n_kinds);
    make_root(root);
    for (size_t k = 0; k < n_kinds; k++) {
        struct known_params params = {.kind = kinds[k].name, .seed = 5, .size = 16};
        write_known(place(root, "first", first), &params);
        write_known(place(root, "again", again), &params);
        params.seed = 6;
        write_known(place(root, "other", other), &params);
        for (size_t i = 0; i < N_FILES; i++) {
            const bool has_seed = strcmp(FILES[i], "model.safetensors") == 0 ||
                                  strcmp(FILES[i], "circuit.json") == 0 ||
                                  strcmp(FILES[i], "prompts.jsonl") == 0;
            char a[HASH_HEX_SIZE], b[HASH_HEX_SIZE], c[HASH_HEX_SIZE];
            hash_of(first, FILES[i], a);
            hash_of(again, FILES[i], b);
            hash_of(other, FILES[i], c);
            cr_expect_str_eq(a, b, "%s: %s differs", kinds[k].name, FILES[i]);
            cr_expect_eq(strcmp(a, c) != 0, has_seed, "%s: %s", kinds[k].name, FILES[i]);
        }
        remove_model(first);
        remove_model(again);
        remove_model(other);
    }
    cr_expect_eq(rmdir(root), 0, "nothing else was left");
}

/* Mean of logit(answer) - logit(distractor) at the last position over tokens [n, n_tokens]. */
static double mean_difference(struct model *model, const struct prompt_pairs *pairs,
                              const uint32_t *tokens)
{
    struct error err = {0};
    struct forward *forward = NULL;
    struct hook_point hook;
    const struct forward_params params = {
        .model = model, .n_rows = pairs->n_pairs, .n_ctx = pairs->n_tokens};
    uint32_t lengths[2 * N_PROMPTS];
    const float *logits;
    double sum = 0;
    for (size_t i = 0; i < pairs->n_pairs; i++) lengths[i] = (uint32_t)pairs->n_tokens;
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    cr_assert_eq(forward_create(&forward, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(hook_point_parse("logits", model_config(model), &hook, &err), ST_OK);
    cr_assert_eq(forward_run(forward, &input, &hook, 1, &logits, &err), ST_OK, "%s", err.text);
    for (size_t i = 0; i < pairs->n_pairs; i++) {
        const float *last = logits + ((i + 1) * pairs->n_tokens - 1) * model_config(model)->n_vocab;
        sum += (double)last[pairs->pairs[i].answer] - (double)last[pairs->pairs[i].distractor];
    }
    forward_destroy(&forward);
    return sum / (double)pairs->n_pairs;
}

/* The model as this program reads it: clean and corrupted difference. */
static void measure(const struct known_params *params, double *clean, double *corrupted)
{
    struct error err = {0};
    struct backend *backend = NULL;
    struct model *model = NULL;
    struct known_plan plan;
    struct prompt_pairs pairs;
    char root[ROOT_SIZE], directory[PATH_SIZE];
    make_root(root);
    write_known(place(root, "model", directory), params);
    cr_assert_eq(backend_open_cpu(&backend, &err), ST_OK);
    const struct model_params open = {
        .directory = directory, .backend = backend, .compute = COMPUTE_F32};
    cr_assert_eq(model_open(&model, &open, &err), ST_OK, "%s", err.text);
    cr_assert_eq(known_plan_make(&plan, params, &err), ST_OK);
    cr_assert_eq(prompt_pairs_make(&pairs, &plan, N_PROMPTS, &err), ST_OK);
    *clean = mean_difference(model, &pairs, pairs.clean);
    *corrupted = mean_difference(model, &pairs, pairs.corrupted);
    prompt_pairs_fini(&pairs);
    model_close(&model);
    backend_close(&backend);
    remove_model(directory);
    (void)rmdir(root);
}

Test(known_model, answers_clean_prompts_and_no_corrupted_one)
{
    static const size_t sizes[] = {16, 33, 64};
    size_t n_kinds;
    const struct known_kind *kinds = known_kinds(&n_kinds);
    for (size_t k = 0; k < n_kinds; k++) {
        const double want = kinds[k].is_llama                        ? 3.38
                            : strcmp(kinds[k].name, "negative") == 0 ? 2.39
                                                                     : 3.97;
        for (size_t i = 0; i < 3; i++) {
            const struct known_params params = {
                .kind = kinds[k].name, .seed = i + 1, .size = sizes[i]};
            double clean, corrupted;
            measure(&params, &clean, &corrupted);
            cr_expect_lt(fabs(clean - want), 0.025, "%s size %zu: clean %.4f", kinds[k].name,
                         sizes[i], clean);
            cr_expect_lt(fabs(corrupted), 1e-4, "%s size %zu: corrupted %.6f", kinds[k].name,
                         sizes[i], corrupted);
        }
    }
}

Test(known_model, weights_for_the_other_rope_layout_lose_the_answer)
{
    static const size_t sizes[] = {16, 64};
    for (size_t i = 0; i < 2; i++) {
        const struct known_params params = {
            .kind = "llama-induction", .seed = i + 1, .size = sizes[i], .rope = "interleaved"};
        double clean, corrupted;
        measure(&params, &clean, &corrupted);
        cr_expect_lt(fabs(clean), 1e-3, "size %zu: %.6f", sizes[i], clean);
    }
}

Test(known_model, refuses_bad_parameters_by_name_and_leaves_nothing)
{
    static const struct {
        struct known_params params;
        size_t n_prompts;
        const char *says;
    } CASES[] = {
        {{.kind = "xor-gate", .size = 32}, 8, "xor-gate"},
        {{.kind = "induction", .size = 15}, 8, "size 15"},
        {{.kind = "induction", .size = 129}, 8, "size 129"},
        {{.kind = "induction", .size = 32, .rope = "half"}, 8, "no rotary positions"},
        {{.kind = "llama-induction", .size = 32, .rope = "meta"}, 8, "rope 'meta'"},
        {{.kind = "induction", .size = 32}, 0, "prompts 0"},
        {{.kind = "induction", .size = 32}, PROMPT_PAIRS_MAX + 1, "prompts 4097"},
    };
    char root[ROOT_SIZE], directory[PATH_SIZE];
    make_root(root);
    (void)place(root, "model", directory);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct error err = {0};
        cr_expect_eq(known_model_write(&CASES[i].params, CASES[i].n_prompts, directory, &err),
                     ST_BAD_INPUT, "%s", CASES[i].says);
        cr_expect(strstr(err.text, CASES[i].says), "'%s' does not say %s", err.text, CASES[i].says);
    }
    cr_expect_eq(rmdir(root), 0, "something is left");
}

Test(known_model, takes_an_empty_directory_and_leaves_a_full_one_alone)
{
    const struct known_params params = {.kind = "induction", .seed = 1, .size = 16};
    struct error err = {0};
    char root[ROOT_SIZE], directory[PATH_SIZE], before[HASH_HEX_SIZE], after[HASH_HEX_SIZE];
    make_root(root);
    cr_assert_eq(file_make_directories(place(root, "model", directory), &err), ST_OK);
    write_known(directory, &params);
    hash_of(directory, "model.safetensors", before);
    const struct known_params other = {.kind = "negative", .seed = 1, .size = 16};
    cr_expect_eq(known_model_write(&other, N_PROMPTS, directory, &err), ST_CONFLICT);
    cr_expect(strstr(err.text, "not empty"), "%s", err.text);
    hash_of(directory, "model.safetensors", after);
    cr_expect_str_eq(before, after);
    remove_model(directory);
    cr_expect_eq(rmdir(root), 0, "the refused model left something");
    error_clear(&err);
    cr_expect_eq(known_model_write(&params, N_PROMPTS, "/nowhere/at/all", &err), ST_IO);
    cr_expect(strstr(err.text, "/nowhere/at/all"), "%s", err.text);
}

Test(known_plan, every_head_has_one_place_and_seeds_move_them)
{
    size_t n_kinds, n_moved = 0;
    const struct known_kind *kinds = known_kinds(&n_kinds);
    for (size_t k = 0; k < n_kinds; k++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            const struct known_params params = {.kind = kinds[k].name, .seed = seed, .size = 32};
            struct known_plan plan;
            struct error err = {0};
            cr_assert_eq(known_plan_make(&plan, &params, &err), ST_OK);
            for (size_t layer = 0; layer < kinds[k].n_layers; layer++) {
                const uint32_t *index = plan.head_index[layer];
                unsigned seen = 0;
                for (size_t h = 0; h < plan.n_heads; h++) seen |= 1u << index[h];
                cr_expect_eq(seen, 15u, "%s seed %zu", kinds[k].name, (size_t)seed);
                if (plan.n_kv_heads == 2) cr_expect_eq(index[0] / 2, index[1] / 2);
                n_moved += index[0] != 0;
            }
        }
    }
    cr_expect(n_moved > 180 && n_moved < 270, "%zu of 300 are not at 0: about 3 in 4", n_moved);
}

Test(direction_basis, rows_are_orthonormal_with_mean_zero)
{
    enum { D = 96 };
    struct error err = {0};
    double *rows = NULL, worst = 0;
    cr_assert_eq(direction_basis_create(&rows, D, 3, &err), ST_OK);
    for (size_t i = 0; i + 1 < D; i++) {
        double sum = 0;
        for (size_t n = 0; n < D; n++) sum += rows[i * D + n];
        worst = fmax(worst, fabs(sum));
        for (size_t j = 0; j <= i; j++) {
            double dot = i == j ? -1 : 0;
            for (size_t n = 0; n < D; n++) dot += rows[i * D + n] * rows[j * D + n];
            worst = fmax(worst, fabs(dot));
        }
    }
    cr_expect_lt(worst, 1e-13, "%g", worst);
    free(rows);
}

Test(plain_trig, agrees_with_the_library)
{
    for (int i = -200; i <= 200; i++) {
        const double x = i / 100.0;
        cr_expect_lt(fabs(plain_cos(x) - cos(x)), 1e-15, "cos %g", x);
        cr_expect_lt(fabs(plain_sin(x) - sin(x)), 1e-15, "sin %g", x);
    }
    for (size_t i = 0; i < 1000; i++)
        cr_expect_lt(fabs(plain_cos_pi(i, 77) - cos(3.14159265358979323846 * (double)i / 77)),
                     1e-13, "cos pi %zu/77", i);
}

Test(word_vocabulary, words_differ_and_the_tokenizer_reads_a_prompt_back)
{
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    struct token_list ids = {0};
    struct buffer text;
    uint32_t tokens[WORD_VOCABULARY_MAX];
    json_t *root = word_tokenizer(WORD_VOCABULARY_MAX);
    char *json = json_dumps(root, 0);
    cr_assert_eq(json_object_size(json_object_get(json_object_get(root, "model"), "vocab")),
                 WORD_VOCABULARY_MAX, "two words are alike");
    buffer_init(&text, 1 << 16);
    for (uint32_t t = 0; t < WORD_VOCABULARY_MAX; t++) tokens[t] = t;
    cr_assert_eq(word_text(&text, tokens, WORD_VOCABULARY_MAX, &err), ST_OK);
    cr_assert_eq(tokenizer_parse(&tokenizer, json, strlen(json), &err), ST_OK, "%s", err.text);
    cr_assert_eq(tokenizer_encode(tokenizer, buffer_text(&text), text.n_bytes, true, &ids, &err),
                 ST_OK);
    cr_expect_eq(ids.n_ids, (size_t)WORD_VOCABULARY_MAX);
    cr_expect_eq(memcmp(ids.ids, tokens, sizeof tokens), 0);
    token_list_fini(&ids);
    tokenizer_close(&tokenizer);
    buffer_fini(&text);
    free(json);
    json_decref(root);
}

Test(prompt_pairs, sets_are_disjoint_and_only_the_match_is_corrupted)
{
    const struct known_params params = {.kind = "induction", .seed = 9, .size = 16};
    struct error err = {0};
    struct known_plan plan;
    struct prompt_pairs pairs;
    cr_assert_eq(known_plan_make(&plan, &params, &err), ST_OK);
    cr_assert_eq(prompt_pairs_make(&pairs, &plan, 200, &err), ST_OK);
    cr_assert_eq(pairs.n_pairs, 400);
    const size_t n = pairs.n_tokens;
    for (size_t i = 0; i < pairs.n_pairs; i++) {
        const struct prompt_pair *pair = &pairs.pairs[i];
        const uint32_t *clean = pairs.clean + i * n, *corrupted = pairs.corrupted + i * n;
        unsigned n_answer = 0, n_distractor = 0, n_different = 0, n_repeated = 0;
        for (size_t j = 0; j < n; j++) {
            n_answer += clean[j] == pair->answer;
            n_distractor += clean[j] == pair->distractor;
            n_different += clean[j] != corrupted[j];
            n_repeated += corrupted[j] == corrupted[n - 1];
        }
        cr_expect(clean[0] == 0 && clean[n - 1] == clean[pair->match_position]);
        cr_expect_eq(clean[pair->match_position + 1], pair->answer);
        cr_expect(n_answer == 1 && n_distractor == 1 && n_different == 1 && n_repeated == 1);
        cr_expect_eq(pair->match_position, 1 + i % pairs.n_search % (n - 3));
        cr_expect(pair->answer != pair->distractor && pair->distractor != clean[n - 1]);
        for (size_t j = 0; j < i; j++)
            cr_expect(memcmp(clean, pairs.clean + j * n, n * sizeof *clean) != 0, "%zu is %zu", i,
                      j);
    }
    prompt_pairs_fini(&pairs);
}
