/* config.json in both spellings, its conflicts and refusals. */
#include "worker/model/model_config.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LLAMA                                                                                      \
    "\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", "                       \
    "\"hidden_size\": 64, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "                  \
    "\"intermediate_size\": 128, \"vocab_size\": 100"

static status_t parse(const char *text, struct model_config *config, struct error *err)
{
    error_clear(err);
    return model_config_parse(config, text, strlen(text), "config.json", err);
}

Test(model_config, reads_both_spellings_alike)
{
    static const char *const SPELLINGS[] = {
        "{" LLAMA ", \"rope_theta\": 500.0, \"torch_dtype\": \"float16\", \"rope_scaling\": "
        "{\"type\": \"linear\", \"factor\": 4.0}}",
        "{" LLAMA ", \"dtype\": \"float16\", \"rope_parameters\": {\"rope_type\": \"linear\", "
        "\"factor\": 4.0, \"rope_theta\": 500.0}}",
        "{" LLAMA ", \"rope_theta\": 500.0, \"dtype\": \"float16\", \"torch_dtype\": \"float16\", "
        "\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 4.0, \"rope_theta\": 500}, "
        "\"rope_scaling\": {\"rope_type\": \"linear\", \"type\": \"linear\", \"factor\": 4.0}}",
    };
    for (size_t i = 0; i < sizeof SPELLINGS / sizeof SPELLINGS[0]; i++) {
        struct model_config c;
        struct error err = {0};
        cr_assert_eq(parse(SPELLINGS[i], &c, &err), ST_OK, "%s", err.text);
        cr_expect_eq(c.rope.kind, ROPE_LINEAR);
        cr_expect_eq(c.rope.theta, 500.0);
        cr_expect_eq(c.rope.factor, 4.0);
        cr_expect_str_eq(c.dtype, "float16");
        cr_expect_eq(c.n_kv_heads, 4);
        cr_expect_eq(c.d_head, 16);
        cr_expect_not(c.is_tied);
    }
}

Test(model_config, refuses_and_names_the_key)
{
    static const struct {
        const char *text, *word;
    } CASES[] = {
        {"{" LLAMA ", \"rope_theta\": 1.0, \"rope_parameters\": {\"rope_theta\": 2.0}}",
         "rope_theta"},
        {"{" LLAMA ", \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2}, "
         "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 3}}",
         "rope_scaling"},
        {"{" LLAMA ", \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2}}", "yarn"},
        {"{" LLAMA ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 2}}",
         "low_freq_factor"},
        {"{" LLAMA ", \"rope_parameters\": {\"partial_rotary_factor\": 0.5}}",
         "partial_rotary_factor"},
        {"{" LLAMA ", \"dtype\": \"float8\"}", "float8"},
        {"{" LLAMA ", \"dtype\": \"float16\", \"torch_dtype\": \"float32\"}", "torch_dtype"},
        {"{" LLAMA ", \"hidden_act\": \"mish\"}", "mish"},
        {"{" LLAMA ", \"num_key_value_heads\": 3}", "num_key_value_heads"},
        {"{" LLAMA ", \"head_dim\": 15}", "head_dim"},
        {"{" LLAMA ", \"head_dim\": -2}", "head_dim"},
        {"{" LLAMA ", \"rms_norm_eps\": \"small\"}", "rms_norm_eps"},
        {"{" LLAMA ", \"rms_norm_eps\": 1e-85}", "rms_norm_eps"},
        {"{" LLAMA ", \"attention_bias\": 1}", "attention_bias"},
        {"{" LLAMA ", \"quantization_config\": {}}", "quantization_config"},
        {"{" LLAMA ", \"max_position_embeddings\": 99999999999}", "max_position_embeddings"},
        {"{\"architectures\": [\"MambaForCausalLM\"]}", "MambaForCausalLM"},
        {"{" LLAMA ", \"hidden_size\": 65}", "duplicate"},
        {"[1]", "object"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct model_config c = {.n_layers = 77};
        struct error err = {0};
        cr_expect_neq(parse(CASES[i].text, &c, &err), ST_OK, "%s", CASES[i].text);
        cr_expect(strstr(err.text, CASES[i].word), "'%s' does not say %s", err.text, CASES[i].word);
        cr_expect(strstr(err.text, "config.json"), "%s", err.text);
        cr_expect_eq(c.n_layers, 77);
    }
}

Test(model_config, llama3_scaling_keeps_high_and_divides_low_frequencies)
{
    struct model_config c;
    struct error err = {0};
    float cos_table[2 * 32], sin_table[2 * 32];
    cr_assert_eq(parse("{" LLAMA ", \"head_dim\": 64, \"rope_theta\": 10000.0, \"rope_scaling\": "
                       "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, "
                       "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 64}}",
                       &c, &err),
                 ST_OK, "%s", err.text);
    model_config_rope_tables(&c, 2, cos_table, sin_table);
    const double low = pow(10000.0, -62.0 / 64); /* the lowest frequency, divided by 8 */
    cr_expect_float_eq(cos_table[0], 1, 1e-7);
    cr_expect_float_eq(sin_table[32], sinf(1), 1e-6); /* the highest one, kept */
    cr_expect_float_eq(sin_table[63], sin(low / 8), 1e-8);
}
