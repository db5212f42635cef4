#include "worker/model/family.h"

#include <string.h>

static const struct family FAMILIES[] = {
    {.name = "gpt2",
     .architecture = "GPT2LMHeadModel",
     .keys = {.d_model = "n_embd",
              .n_layers = "n_layer",
              .n_heads = "n_head",
              .d_mlp = "n_inner",
              .n_vocab = "vocab_size",
              .n_positions = "n_positions",
              .norm_eps = "layer_norm_epsilon",
              .activation = "activation_function"},
     .tensors = {.prefixes = {"transformer.", ""},
                 .token_embed = "wte",
                 .position_embed = "wpe",
                 .norm_1 = "h.#.ln_1",
                 .norm_2 = "h.#.ln_2",
                 .norm_final = "ln_f",
                 .qkv = "h.#.attn.c_attn",
                 .attn_out = "h.#.attn.c_proj",
                 .mlp_in = "h.#.mlp.c_fc",
                 .mlp_out = "h.#.mlp.c_proj",
                 .head = "lm_head"},
     .norm = NORM_LAYER,
     .norm_has_bias = true,
     .is_conv1d = true,
     .is_tied_by_default = true,
     .has_biases = true,
     .default_norm_eps = 1e-5,
     .default_n_positions = 1024,
     .default_activation = "gelu_new"},
    {.name = "llama",
     .architecture = "LlamaForCausalLM",
     .keys = {.d_model = "hidden_size",
              .n_layers = "num_hidden_layers",
              .n_heads = "num_attention_heads",
              .n_kv_heads = "num_key_value_heads",
              .d_head = "head_dim",
              .d_mlp = "intermediate_size",
              .n_vocab = "vocab_size",
              .n_positions = "max_position_embeddings",
              .norm_eps = "rms_norm_eps",
              .activation = "hidden_act",
              .attention_bias = "attention_bias",
              .mlp_bias = "mlp_bias"},
     .tensors = {.prefixes = {"model.", ""},
                 .token_embed = "embed_tokens",
                 .norm_1 = "layers.#.input_layernorm",
                 .norm_2 = "layers.#.post_attention_layernorm",
                 .norm_final = "norm",
                 .q = "layers.#.self_attn.q_proj",
                 .k = "layers.#.self_attn.k_proj",
                 .v = "layers.#.self_attn.v_proj",
                 .attn_out = "layers.#.self_attn.o_proj",
                 .mlp_gate = "layers.#.mlp.gate_proj",
                 .mlp_in = "layers.#.mlp.up_proj",
                 .mlp_out = "layers.#.mlp.down_proj",
                 .head = "lm_head"},
     .norm = NORM_RMS,
     .has_rotary = true,
     .default_norm_eps = 1e-6,
     .default_n_positions = 2048,
     .default_activation = "silu"},
};

enum { N_FAMILIES = sizeof FAMILIES / sizeof FAMILIES[0] };

status_t family_find(const char *architecture, const char *model_type, const struct family **out,
                     struct error *err)
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        const struct family *family = &FAMILIES[i];
        if (architecture && strcmp(architecture, family->architecture) != 0) continue;
        if (model_type && strcmp(model_type, family->name) != 0) continue;
        if (!architecture && !model_type) continue;
        *out = family;
        return ST_OK;
    }
    return error_set(err, ST_UNSUPPORTED,
                     "architectures '%s' with model_type '%s' is neither GPT2LMHeadModel (gpt2) "
                     "nor LlamaForCausalLM (llama)",
                     architecture ? architecture : "(none)", model_type ? model_type : "(none)");
}
