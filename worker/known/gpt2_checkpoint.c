/* A plan as a GPT-2 checkpoint. wpe alone carries the ballast, so the unembedding, which is wte,
 * does not see it; every LayerNorm's weight is what undoes the division by its length. */
#include "worker/known/checkpoint.h"
#include "worker/known/gpt2_heads.h"
#include "worker/known/mlp_maps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double BALLAST = 100, BIAS_SIZE = 0.1;
static const double GELU_MEAN_SQUARE = 0.425; /* of gelu of a normal number */

/* Lengths of what an MLP writes for one token. At the answer the later ones see the copied token,
 * KNOWN_GAIN strong, and write four times as much. */
static const double MLP_LENGTH_FIRST = 5, MLP_LENGTH_LATER = 1.8;

struct attention_tensors {
    double *qkv, *qkv_bias, *proj, *proj_bias; /* [d, 3d] [3d] [d, d] [d] */
};

static void add_direction(const struct known_plan *plan, const double *basis, size_t row,
                          double scale, double *out)
{
    const double *direction = basis + row * plan->d_model;
    for (size_t n = 0; n < plan->d_model; n++) out[n] += scale * direction[n];
}

static status_t fill_embeddings(struct tensor_set *out, const struct known_plan *plan,
                                const double *basis, struct error *err)
{
    const size_t d = plan->d_model;
    double *tokens, *positions;
    status_t status = tensor_set_add(out, &tokens, plan->n_vocab, d, err, "transformer.wte.weight");
    if (status == ST_OK)
        status =
            tensor_set_add(out, &positions, plan->n_positions, d, err, "transformer.wpe.weight");
    if (status != ST_OK) return status;
    for (size_t t = 0; t < plan->n_vocab; t++)
        add_direction(plan, basis, plan->blocks.token + t, 1, tokens + t * d);
    for (size_t p = 0; p < plan->n_positions; p++) {
        add_direction(plan, basis, plan->blocks.position + p, 1, positions + p * d);
        add_direction(plan, basis, plan->blocks.ballast, BALLAST, positions + p * d);
    }
    return ST_OK;
}

static status_t fill_norm(struct tensor_set *out, const struct known_plan *plan, const char *name,
                          struct error *err)
{
    double *weight, *bias;
    status_t status = tensor_set_add(out, &weight, 0, plan->d_model, err, "%s.weight", name);
    if (status == ST_OK)
        status = tensor_set_add(out, &bias, 0, plan->d_model, err, "%s.bias", name);
    if (status != ST_OK) return status;
    for (size_t n = 0; n < plan->d_model; n++) weight[n] = BALLAST / sqrt((double)plan->d_model);
    return ST_OK;
}

/* One head's maps into its columns of c_attn and its rows of c_proj. */
static void place_head(const struct known_plan *plan, const struct head_maps *maps, size_t head,
                       const struct attention_tensors *out)
{
    const size_t d_model = plan->d_model, d_head = plan->d_head;
    const double *const inputs[] = {maps->q, maps->k, maps->v};
    for (size_t part = 0; part < 3; part++)
        for (size_t n = 0; n < d_model; n++)
            memcpy(out->qkv + n * 3 * d_model + part * d_model + head * d_head,
                   inputs[part] + n * d_head, d_head * sizeof *out->qkv);
    memcpy(out->qkv_bias + head * d_head, maps->q_bias, d_head * sizeof *out->qkv_bias);
    memcpy(out->proj + head * d_head * d_model, maps->o, d_head * d_model * sizeof *out->proj);
}

static status_t build_heads(const struct known_plan *plan, const double *basis, size_t layer,
                            const struct attention_tensors *out, struct error *err)
{
    const size_t n_map = plan->d_model * plan->d_head, n_all = 4 * n_map + plan->d_head;
    double *memory = malloc(n_all * sizeof *memory);
    if (!memory) return error_set(err, ST_NO_MEMORY, "a head of %zu values", n_all);
    for (size_t k = 0; k < plan->n_heads; k++) {
        struct draw random = known_draw(plan->seed, RANDOM_HEAD, layer * KNOWN_N_HEADS + k);
        const struct head_site site = {.plan = plan,
                                       .basis = basis,
                                       .head = &plan->kind->heads[layer][k],
                                       .maps = {.q = memory,
                                                .k = memory + n_map,
                                                .v = memory + 2 * n_map,
                                                .o = memory + 3 * n_map,
                                                .q_bias = memory + 4 * n_map},
                                       .random = &random};
        memset(memory, 0, n_all * sizeof *memory);
        gpt2_head_build(&site);
        place_head(plan, &site.maps, plan->head_index[layer][k], out);
    }
    free(memory);
    return ST_OK;
}

/* Biases of what writes to the stream: a little of every scratch row. */
static void fill_bias(const struct known_plan *plan, const double *basis, uint64_t subject,
                      double *out)
{
    struct draw random = known_draw(plan->seed, RANDOM_BIAS, subject);
    for (size_t s = 0; s < plan->blocks.n_scratch; s++)
        add_direction(plan, basis, plan->blocks.scratch + s, BIAS_SIZE * known_draw_normal(&random),
                      out);
}

static status_t fill_attention(struct tensor_set *out, const struct known_plan *plan,
                               const double *basis, size_t layer, struct error *err)
{
    const size_t d = plan->d_model;
    struct attention_tensors t;
    status_t status =
        tensor_set_add(out, &t.qkv, d, 3 * d, err, "transformer.h.%zu.attn.c_attn.weight", layer);
    if (status == ST_OK)
        status = tensor_set_add(out, &t.qkv_bias, 0, 3 * d, err,
                                "transformer.h.%zu.attn.c_attn.bias", layer);
    if (status == ST_OK)
        status =
            tensor_set_add(out, &t.proj, d, d, err, "transformer.h.%zu.attn.c_proj.weight", layer);
    if (status == ST_OK)
        status = tensor_set_add(out, &t.proj_bias, 0, d, err, "transformer.h.%zu.attn.c_proj.bias",
                                layer);
    if (status != ST_OK) return status;
    fill_bias(plan, basis, 2 * layer, t.proj_bias);
    return build_heads(plan, basis, layer, &t, err);
}

static status_t fill_mlp(struct tensor_set *out, const struct known_plan *plan, const double *basis,
                         size_t layer, struct error *err)
{
    const size_t d = plan->d_model;
    struct draw random = known_draw(plan->seed, RANDOM_MLP, layer);
    double *in, *in_bias, *back, *back_bias;
    status_t status =
        tensor_set_add(out, &in, d, plan->d_mlp, err, "transformer.h.%zu.mlp.c_fc.weight", layer);
    if (status == ST_OK)
        status = tensor_set_add(out, &in_bias, 0, plan->d_mlp, err,
                                "transformer.h.%zu.mlp.c_fc.bias", layer);
    if (status == ST_OK)
        status = tensor_set_add(out, &back, plan->d_mlp, d, err,
                                "transformer.h.%zu.mlp.c_proj.weight", layer);
    if (status == ST_OK)
        status =
            tensor_set_add(out, &back_bias, 0, d, err, "transformer.h.%zu.mlp.c_proj.bias", layer);
    if (status != ST_OK) return status;
    mlp_read(plan, basis, &random, in);
    for (size_t j = 0; j < plan->d_mlp; j++) in_bias[j] = BIAS_SIZE * known_draw_normal(&random);
    mlp_write(plan, basis, &random, GELU_MEAN_SQUARE, layer ? MLP_LENGTH_LATER : MLP_LENGTH_FIRST,
              back);
    fill_bias(plan, basis, 2 * layer + 1, back_bias);
    return ST_OK;
}

static status_t fill_layer(struct tensor_set *out, const struct known_plan *plan,
                           const double *basis, size_t layer, struct error *err)
{
    char name[TENSOR_SET_NAME_SIZE];
    (void)snprintf(name, sizeof name, "transformer.h.%zu.ln_1", layer);
    status_t status = fill_norm(out, plan, name, err);
    if (status == ST_OK) status = fill_attention(out, plan, basis, layer, err);
    (void)snprintf(name, sizeof name, "transformer.h.%zu.ln_2", layer);
    if (status == ST_OK) status = fill_norm(out, plan, name, err);
    if (status == ST_OK) status = fill_mlp(out, plan, basis, layer, err);
    return status;
}

status_t checkpoint_fill_gpt2(struct tensor_set *out, const struct known_plan *plan,
                              const double *basis, struct error *err)
{
    status_t status = fill_embeddings(out, plan, basis, err);
    for (size_t layer = 0; layer < plan->kind->n_layers && status == ST_OK; layer++)
        status = fill_layer(out, plan, basis, layer, err);
    return status == ST_OK ? fill_norm(out, plan, "transformer.ln_f", err) : status;
}

json_t *checkpoint_config_gpt2(const struct known_plan *plan)
{
    return json_pack(
        "{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:b, s:i, s:i, s:s}", "architectures",
        "GPT2LMHeadModel", "model_type", "gpt2", "vocab_size", (json_int_t)plan->n_vocab,
        "n_positions", (json_int_t)plan->n_positions, "n_embd", (json_int_t)plan->d_model,
        "n_layer", (json_int_t)plan->kind->n_layers, "n_head", (json_int_t)plan->n_heads, "n_inner",
        (json_int_t)plan->d_mlp, "activation_function", "gelu_new", "layer_norm_epsilon", 1e-5,
        "tie_word_embeddings", 1, "bos_token_id", 0, "eos_token_id", 0, "torch_dtype", "float32");
}
