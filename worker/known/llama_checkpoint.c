/* A plan as a Llama checkpoint: linear maps lie [out, in], keys and values once per group, and the
 * ballast, which every token's embedding carries, is what RMSNorm divides by. */
#include "worker/known/checkpoint.h"
#include "worker/known/llama_heads.h"
#include "worker/known/mlp_maps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SILU_GATE_MEAN_SQUARE = 0.355; /* of silu(a) b, a and b normal numbers */
static const double MLP_LENGTH = 0.3;

struct attention_tensors {
    double *q, *k, *v, *o; /* [heads, d] [groups, d] [groups, d] [d, heads], in units of d_head */
};

/* out [columns, rows] = in [rows, columns] turned over; out's rows are out_width long. */
static void transpose(const double *in, size_t rows, size_t columns, double *out, size_t out_width)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) out[j * out_width + i] = in[i * columns + j];
}

static status_t fill_embeddings(struct tensor_set *out, const struct known_plan *plan,
                                const double *basis, struct error *err)
{
    const size_t d = plan->d_model;
    const double *ballast = basis + plan->blocks.ballast * d;
    const double *tokens = basis + plan->blocks.token * d;
    double *embed, *head;
    status_t status =
        tensor_set_add(out, &embed, plan->n_vocab, d, err, "model.embed_tokens.weight");
    if (status == ST_OK)
        status = tensor_set_add(out, &head, plan->n_vocab, d, err, "lm_head.weight");
    if (status != ST_OK) return status;
    for (size_t t = 0; t < plan->n_vocab; t++)
        for (size_t n = 0; n < d; n++)
            embed[t * d + n] = tokens[t * d + n] + KNOWN_LLAMA_BALLAST * ballast[n];
    memcpy(head, basis + plan->blocks.output * d, plan->n_vocab * d * sizeof *head);
    return ST_OK;
}

static status_t fill_norm(struct tensor_set *out, const struct known_plan *plan, const char *name,
                          struct error *err)
{
    double *weight;
    const status_t status = tensor_set_add(out, &weight, 0, plan->d_model, err, "%s.weight", name);
    for (size_t n = 0; status == ST_OK && n < plan->d_model; n++)
        weight[n] = KNOWN_LLAMA_BALLAST / sqrt((double)plan->d_model);
    return status;
}

/* A group's keys and values, and the heads that share them, into their places. */
static void build_group(const struct head_site *first, size_t layer, size_t group,
                        const struct attention_tensors *out)
{
    const struct known_plan *plan = first->plan;
    const size_t d = plan->d_model, d_head = plan->d_head,
                 n_shared = plan->n_heads / plan->n_kv_heads;
    const size_t at = plan->head_index[layer][group * n_shared] / n_shared;
    struct head_site site = *first;
    site.head = &plan->kind->heads[layer][group * n_shared];
    memset(site.maps.k, 0, d * d_head * sizeof *site.maps.k);
    memset(site.maps.v, 0, d * d_head * sizeof *site.maps.v);
    llama_group_build(&site);
    for (size_t i = group * n_shared; i < (group + 1) * n_shared; i++) {
        struct draw random = known_draw(plan->seed, RANDOM_HEAD, layer * KNOWN_N_HEADS + i);
        const size_t index = plan->head_index[layer][i];
        site.head = &plan->kind->heads[layer][i];
        site.random = &random;
        memset(site.maps.q, 0, d * d_head * sizeof *site.maps.q);
        memset(site.maps.o, 0, d * d_head * sizeof *site.maps.o);
        llama_head_build(&site);
        transpose(site.maps.q, d, d_head, out->q + index * d_head * d, d);
        transpose(site.maps.o, d_head, d, out->o + index * d_head, plan->n_heads * d_head);
    }
    transpose(site.maps.k, d, d_head, out->k + at * d_head * d, d);
    transpose(site.maps.v, d, d_head, out->v + at * d_head * d, d);
}

static status_t fill_attention(struct tensor_set *out, const struct known_plan *plan,
                               const double *basis, size_t layer, struct error *err)
{
    const size_t d = plan->d_model, n_map = d * plan->d_head;
    const size_t n_q = plan->n_heads * plan->d_head, n_kv = plan->n_kv_heads * plan->d_head;
    struct attention_tensors t;
    status_t status =
        tensor_set_add(out, &t.q, n_q, d, err, "model.layers.%zu.self_attn.q_proj.weight", layer);
    if (status == ST_OK)
        status = tensor_set_add(out, &t.k, n_kv, d, err, "model.layers.%zu.self_attn.k_proj.weight",
                                layer);
    if (status == ST_OK)
        status = tensor_set_add(out, &t.v, n_kv, d, err, "model.layers.%zu.self_attn.v_proj.weight",
                                layer);
    if (status == ST_OK)
        status = tensor_set_add(out, &t.o, d, n_q, err, "model.layers.%zu.self_attn.o_proj.weight",
                                layer);
    if (status != ST_OK) return status;
    double *memory = malloc(4 * n_map * sizeof *memory);
    if (!memory) return error_set(err, ST_NO_MEMORY, "a head of %zu values", 4 * n_map);
    const struct head_site site = {
        .plan = plan,
        .basis = basis,
        .maps = {
            .q = memory, .k = memory + n_map, .v = memory + 2 * n_map, .o = memory + 3 * n_map}};
    for (size_t group = 0; group < plan->n_kv_heads; group++) build_group(&site, layer, group, &t);
    free(memory);
    return ST_OK;
}

static status_t fill_mlp(struct tensor_set *out, const struct known_plan *plan, const double *basis,
                         size_t layer, struct error *err)
{
    static const char *const NAMES[] = {"gate", "up"};
    const size_t d = plan->d_model;
    struct draw random = known_draw(plan->seed, RANDOM_MLP, layer);
    double *tensor;
    double *map = calloc(d * plan->d_mlp, sizeof *map);
    status_t status = map ? ST_OK : error_set(err, ST_NO_MEMORY, "an MLP");
    for (size_t i = 0; i < 2 && status == ST_OK; i++) {
        status = tensor_set_add(out, &tensor, plan->d_mlp, d, err,
                                "model.layers.%zu.mlp.%s_proj.weight", layer, NAMES[i]);
        if (status != ST_OK) break;
        memset(map, 0, d * plan->d_mlp * sizeof *map);
        mlp_read(plan, basis, &random, map);
        transpose(map, d, plan->d_mlp, tensor, d);
    }
    if (status == ST_OK)
        status = tensor_set_add(out, &tensor, d, plan->d_mlp, err,
                                "model.layers.%zu.mlp.down_proj.weight", layer);
    if (status == ST_OK) {
        memset(map, 0, d * plan->d_mlp * sizeof *map);
        mlp_write(plan, basis, &random, SILU_GATE_MEAN_SQUARE, MLP_LENGTH, map);
        transpose(map, plan->d_mlp, d, tensor, plan->d_mlp);
    }
    free(map);
    return status;
}

static status_t fill_layer(struct tensor_set *out, const struct known_plan *plan,
                           const double *basis, size_t layer, struct error *err)
{
    char name[TENSOR_SET_NAME_SIZE];
    (void)snprintf(name, sizeof name, "model.layers.%zu.input_layernorm", layer);
    status_t status = fill_norm(out, plan, name, err);
    if (status == ST_OK) status = fill_attention(out, plan, basis, layer, err);
    (void)snprintf(name, sizeof name, "model.layers.%zu.post_attention_layernorm", layer);
    if (status == ST_OK) status = fill_norm(out, plan, name, err);
    if (status == ST_OK) status = fill_mlp(out, plan, basis, layer, err);
    return status;
}

status_t checkpoint_fill_llama(struct tensor_set *out, const struct known_plan *plan,
                               const double *basis, struct error *err)
{
    status_t status = fill_embeddings(out, plan, basis, err);
    for (size_t layer = 0; layer < plan->kind->n_layers && status == ST_OK; layer++)
        status = fill_layer(out, plan, basis, layer, err);
    return status == ST_OK ? fill_norm(out, plan, "model.norm", err) : status;
}

json_t *checkpoint_config_llama(const struct known_plan *plan)
{
    return json_pack(
        "{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:b, s:b, s:b, s:i, "
        "s:i, s:s}",
        "architectures", "LlamaForCausalLM", "model_type", "llama", "vocab_size",
        (json_int_t)plan->n_vocab, "max_position_embeddings", (json_int_t)plan->n_positions,
        "hidden_size", (json_int_t)plan->d_model, "num_hidden_layers",
        (json_int_t)plan->kind->n_layers, "num_attention_heads", (json_int_t)plan->n_heads,
        "num_key_value_heads", (json_int_t)plan->n_kv_heads, "head_dim", (json_int_t)plan->d_head,
        "intermediate_size", (json_int_t)plan->d_mlp, "hidden_act", "silu", "rms_norm_eps", 1e-6,
        "rope_theta", KNOWN_ROPE_THETA, "tie_word_embeddings", 0, "attention_bias", 0, "mlp_bias",
        0, "bos_token_id", 0, "eos_token_id", 0, "torch_dtype", "float32");
}
