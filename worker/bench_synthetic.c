#include "worker/bench_synthetic.h"

#include "common/file.h"
#include "common/hash.h"
#include "worker/model/safetensors_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    D_MODEL = 768,
    N_HEADS = 12,
    N_POSITIONS = 1024,
    N_FEATURES = 16384,
    FEATURES_PER_TOKEN = 40,
    NAME_SIZE = 64
};

/* Uniform in (0, 1) and normal numbers from a counter: the same on every machine but for the
 * last bits of libm. */
struct stream {
    uint64_t seed, counter;
};

static double uniform(struct stream *s)
{
    return ((double)(hash_mix64(s->seed + s->counter++) >> 11) + 0.5) * 0x1p-53;
}

static float normal(struct stream *s)
{
    const double radius = sqrt(-2 * log(uniform(s)));
    return (float)(radius * cos(6.283185307179586 * uniform(s)));
}

static status_t write_text(const char *directory, const char *name, const char *text,
                           struct error *err)
{
    char *path = file_join(directory, name);
    if (!path) return error_set(err, ST_NO_MEMORY, "%s", name);
    const status_t status = file_write_atomic(path, text, strlen(text), err);
    free(path);
    return status;
}

/* One tensor of a list that is filled in turn. */
struct plan {
    char name[NAME_SIZE];
    size_t rows, columns; /* rows = 0: a vector */
    float spread, middle;
};

static size_t plan_layer(struct plan *plan, size_t layer)
{
    static const struct {
        const char *name;
        size_t rows, columns;
        float spread, middle;
    } PARTS[] = {{"ln_1.weight", 0, D_MODEL, 0.1f, 1},
                 {"ln_1.bias", 0, D_MODEL, 0.1f, 0},
                 {"ln_2.weight", 0, D_MODEL, 0.1f, 1},
                 {"ln_2.bias", 0, D_MODEL, 0.1f, 0},
                 {"attn.c_attn.weight", D_MODEL, 3 * D_MODEL, 0.04f, 0},
                 {"attn.c_attn.bias", 0, 3 * D_MODEL, 0.1f, 0},
                 {"attn.c_proj.weight", D_MODEL, D_MODEL, 0.04f, 0},
                 {"attn.c_proj.bias", 0, D_MODEL, 0.1f, 0},
                 {"mlp.c_fc.weight", D_MODEL, 4 * D_MODEL, 0.04f, 0},
                 {"mlp.c_fc.bias", 0, 4 * D_MODEL, 0.1f, 0},
                 {"mlp.c_proj.weight", 4 * D_MODEL, D_MODEL, 0.04f, 0},
                 {"mlp.c_proj.bias", 0, D_MODEL, 0.1f, 0}};
    const size_t n = sizeof PARTS / sizeof PARTS[0];
    for (size_t i = 0; i < n; i++) {
        plan[i] = (struct plan){.rows = PARTS[i].rows,
                                .columns = PARTS[i].columns,
                                .spread = PARTS[i].spread,
                                .middle = PARTS[i].middle};
        (void)snprintf(plan[i].name, NAME_SIZE, "transformer.h.%zu.%s", layer, PARTS[i].name);
    }
    return n;
}

static size_t plan_model(struct plan *plan, size_t n_layers, size_t n_vocab)
{
    size_t n = 0;
    plan[n++] = (struct plan){"transformer.wte.weight", n_vocab, D_MODEL, 0.5f, 0};
    plan[n++] = (struct plan){"transformer.wpe.weight", N_POSITIONS, D_MODEL, 0.3f, 0};
    plan[n++] = (struct plan){"transformer.ln_f.weight", 0, D_MODEL, 0.1f, 1};
    plan[n++] = (struct plan){"transformer.ln_f.bias", 0, D_MODEL, 0.1f, 0};
    for (size_t i = 0; i < n_layers; i++) n += plan_layer(plan + n, i);
    return n;
}

static struct tensor_view view_of(const struct plan *plan)
{
    struct tensor_view view = {.name = plan->name, .dtype = TENSOR_F32, .n_dims = 1};
    if (plan->rows) view.shape[view.n_dims++ - 1] = plan->rows;
    view.shape[view.n_dims - 1] = plan->columns;
    return view;
}

/* Stream the planned tensors, each from its own seed, into `path`. */
static status_t write_random(const char *path, const struct plan *plan, size_t n_plan,
                             struct error *err)
{
    struct safetensors_writer *writer = NULL;
    struct tensor_view *views = calloc(n_plan, sizeof *views);
    float row[4 * D_MODEL];
    if (!views) return error_set(err, ST_NO_MEMORY, "%zu tensors", n_plan);
    for (size_t i = 0; i < n_plan; i++) views[i] = view_of(&plan[i]);
    status_t status = safetensors_writer_open(&writer, path, views, n_plan, err);
    for (size_t i = 0; i < n_plan && status == ST_OK; i++) {
        struct stream stream = {.seed = hash_mix64(i), .counter = 0};
        for (size_t r = 0; r < (plan[i].rows ? plan[i].rows : 1) && status == ST_OK; r++) {
            for (size_t c = 0; c < plan[i].columns; c++)
                row[c] = plan[i].middle + plan[i].spread * normal(&stream);
            status = safetensors_writer_append(writer, i, row, plan[i].columns * sizeof *row, err);
        }
    }
    if (status == ST_OK) status = safetensors_writer_finish(&writer, err);
    safetensors_writer_abort(&writer);
    free(views);
    return status;
}

status_t bench_write_model(const char *directory, size_t n_layers, size_t n_vocab,
                           struct error *err)
{
    char config[512];
    if (!n_vocab || n_vocab > BENCH_MAX_VOCAB)
        return error_set(err, ST_BAD_INPUT, "--vocab %zu is not 1..%d", n_vocab, BENCH_MAX_VOCAB);
    (void)snprintf(config, sizeof config,
                   "{\"model_type\": \"gpt2\", \"architectures\": [\"GPT2LMHeadModel\"], "
                   "\"n_embd\": %d, \"n_head\": %d, \"n_layer\": %zu, \"n_positions\": %d, "
                   "\"n_ctx\": %d, \"vocab_size\": %zu, \"activation_function\": \"gelu_new\", "
                   "\"layer_norm_epsilon\": 1e-05, \"torch_dtype\": \"float32\", "
                   "\"bos_token_id\": 0, \"eos_token_id\": 0}\n",
                   D_MODEL, N_HEADS, n_layers, N_POSITIONS, N_POSITIONS, n_vocab);
    struct plan *plan = calloc(4 + 12 * n_layers, sizeof *plan);
    char *path = file_join(directory, "model.safetensors");
    status_t status = plan && path ? ST_OK : error_set(err, ST_NO_MEMORY, "model");
    if (status == ST_OK) status = file_make_directories(directory, err);
    if (status == ST_OK) status = write_text(directory, "config.json", config, err);
    if (status == ST_OK)
        status = write_random(path, plan, plan_model(plan, n_layers, n_vocab), err);
    free(plan);
    free(path);
    return status;
}

/* Unit directions [N_FEATURES, D_MODEL]. */
static void fill_directions(float *directions)
{
    struct stream stream = {.seed = hash_mix64(77), .counter = 0};
    for (size_t f = 0; f < N_FEATURES; f++) {
        float *row = directions + f * D_MODEL;
        double squares = 0;
        for (size_t i = 0; i < D_MODEL; i++) {
            row[i] = normal(&stream);
            squares += (double)row[i] * (double)row[i];
        }
        for (size_t i = 0; i < D_MODEL; i++) row[i] /= (float)sqrt(squares);
    }
}

static status_t write_weights(const char *directory, const float *directions, float *turned,
                              struct error *err)
{
    static float encoder_bias[N_FEATURES];
    static const float decoder_bias[D_MODEL];
    for (size_t f = 0; f < N_FEATURES; f++) {
        encoder_bias[f] = -2.3f;
        for (size_t i = 0; i < D_MODEL; i++)
            turned[i * N_FEATURES + f] = directions[f * D_MODEL + i];
    }
    const size_t n_bytes = sizeof(float) * N_FEATURES * D_MODEL;
    const struct tensor_view views[] = {
        {"W_enc", TENSOR_F32, 2, {D_MODEL, N_FEATURES}, turned, n_bytes},
        {"W_dec", TENSOR_F32, 2, {N_FEATURES, D_MODEL}, directions, n_bytes},
        {"b_enc", TENSOR_F32, 1, {N_FEATURES}, encoder_bias, sizeof encoder_bias},
        {"b_dec", TENSOR_F32, 1, {D_MODEL}, decoder_bias, sizeof decoder_bias}};
    char *path = file_join(directory, "sae_weights.safetensors");
    if (!path) return error_set(err, ST_NO_MEMORY, "weights");
    const status_t status = safetensors_write(path, views, 4, err);
    free(path);
    return status;
}

static void fill_activations(const float *directions, size_t n_tokens, float *x)
{
    struct stream stream = {.seed = hash_mix64(99), .counter = 0};
    for (size_t t = 0; t < n_tokens; t++) {
        float *row = x + t * D_MODEL;
        for (size_t i = 0; i < D_MODEL; i++) row[i] = 0.05f * normal(&stream);
        for (size_t j = 0; j < FEATURES_PER_TOKEN; j++) {
            const size_t f = (size_t)(uniform(&stream) * N_FEATURES);
            const float strength = (float)(0.5 + 5 * uniform(&stream));
            for (size_t i = 0; i < D_MODEL; i++) row[i] += strength * directions[f * D_MODEL + i];
        }
    }
}

static status_t write_activations(const char *directory, const float *directions, size_t n_tokens,
                                  struct error *err)
{
    const size_t n_bytes = n_tokens * D_MODEL * sizeof(float);
    float *x = malloc(n_bytes);
    char *path = file_join(directory, "activations.safetensors");
    status_t status = x && path ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu tokens", n_tokens);
    if (status == ST_OK) {
        fill_activations(directions, n_tokens, x);
        const struct tensor_view view = {"x", TENSOR_F32, 2, {n_tokens, D_MODEL}, x, n_bytes};
        status = safetensors_write(path, &view, 1, err);
    }
    free(x);
    free(path);
    return status;
}

status_t bench_write_dictionary(const char *directory, size_t n_tokens, struct error *err)
{
    static const char CONFIG[] =
        "{\"architecture\": \"standard\", \"d_in\": 768, \"d_sae\": 16384, \"dtype\": "
        "\"float32\", \"device\": \"cpu\", \"apply_b_dec_to_input\": true, "
        "\"normalize_activations\": \"none\", \"reshape_activations\": \"none\", \"metadata\": "
        "{\"sae_lens_version\": \"6.54.12\", \"hook_name\": \"blocks.6.hook_resid_pre\"}}\n";
    const size_t n_bytes = sizeof(float) * N_FEATURES * D_MODEL;
    float *directions = malloc(n_bytes), *turned = malloc(n_bytes);
    status_t status = directions && turned && n_tokens < 1 << 20
                          ? file_make_directories(directory, err)
                          : error_set(err, ST_NO_MEMORY, "dictionary");
    if (status == ST_OK) status = write_text(directory, "cfg.json", CONFIG, err);
    if (status == ST_OK) {
        fill_directions(directions);
        status = write_weights(directory, directions, turned, err);
    }
    if (status == ST_OK) status = write_activations(directory, directions, n_tokens, err);
    free(directions);
    free(turned);
    return status;
}
