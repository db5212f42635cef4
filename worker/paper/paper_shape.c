#include "worker/paper/paper_shape.h"

#include <string.h>
#include <sys/stat.h>

/* The config.json of each, as far as it says anything about shapes. */
static const struct {
    const char *name, *config;
} SHAPES[] = {
    {"gpt2",
     "{\"model_type\": \"gpt2\", \"architectures\": [\"GPT2LMHeadModel\"], \"n_embd\": 768, "
     "\"n_head\": 12, \"n_layer\": 12, \"n_positions\": 1024, \"vocab_size\": 50257, "
     "\"activation_function\": \"gelu_new\", \"layer_norm_epsilon\": 1e-05}"},
    {"gpt2-xl",
     "{\"model_type\": \"gpt2\", \"architectures\": [\"GPT2LMHeadModel\"], \"n_embd\": 1600, "
     "\"n_head\": 25, \"n_layer\": 48, \"n_positions\": 1024, \"vocab_size\": 50257, "
     "\"activation_function\": \"gelu_new\", \"layer_norm_epsilon\": 1e-05}"},
    {"llama-2-70b",
     "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], "
     "\"hidden_size\": 8192, "
     "\"num_attention_heads\": 64, \"num_key_value_heads\": 8, \"num_hidden_layers\": 80, "
     "\"intermediate_size\": 28672, \"max_position_embeddings\": 4096, \"vocab_size\": 32000, "
     "\"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, "
     "\"tie_word_embeddings\": false}"},
};

status_t paper_shape_find(const char *name, struct model_config *out, struct error *err)
{
    struct stat info;
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) {
        if (strcmp(SHAPES[i].name, name) == 0)
            return model_config_parse(out, SHAPES[i].config, strlen(SHAPES[i].config), name, err);
    }
    if (stat(name, &info) == 0) return model_config_read(out, name, err);
    return error_set(err, ST_NOT_FOUND,
                     "'%s' is neither gpt2, gpt2-xl, llama-2-70b nor a model's directory", name);
}
