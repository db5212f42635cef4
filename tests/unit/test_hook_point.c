/* Hook point names, both ways. */
#include "worker/model/hook_point.h"

#include <criterion/criterion.h>
#include <string.h>

static const char GPT2[] = "{\"model_type\": \"gpt2\", \"n_embd\": 12, \"n_layer\": 3, "
                           "\"n_head\": 2, \"vocab_size\": 50}";
static const char LLAMA[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 16, \"num_hidden_layers\": 11, "
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"intermediate_size\": 20, "
    "\"vocab_size\": 50}";

static struct model_config config_of(const char *text)
{
    struct model_config config;
    struct error err = {0};
    cr_assert_eq(model_config_parse(&config, text, strlen(text), "text", &err), ST_OK, "%s",
                 err.text);
    return config;
}

Test(hook_point, every_name_round_trips)
{
    const struct model_config configs[] = {config_of(GPT2), config_of(LLAMA)};
    for (size_t m = 0; m < 2; m++) {
        for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
            const struct hook_point hook = {
                .kind = (enum hook_kind)kind,
                .layer = hook_kind_has_layer((enum hook_kind)kind) ? configs[m].n_layers - 1 : 0};
            struct hook_point got;
            char name[HOOK_NAME_SIZE];
            if (!hook_kind_exists(hook.kind, &configs[m])) continue;
            cr_assert_eq(hook_point_parse(hook_point_name(hook, name), &configs[m], &got, NULL),
                         ST_OK, "%s", name);
            cr_expect(got.kind == hook.kind && got.layer == hook.layer, "%s", name);
        }
    }
}

Test(hook_point, widths_are_those_of_the_model)
{
    const struct model_config c = config_of(LLAMA);
    static const struct {
        const char *name;
        size_t width;
    } CASES[] = {{"blocks.10.hook_resid_post", 16},    {"blocks.0.attn.hook_q", 16},
                 {"blocks.0.attn.hook_v", 8},          {"blocks.0.mlp.hook_post", 20},
                 {"blocks.0.mlp.hook_pre_linear", 20}, {"logits", 50}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct hook_point hook;
        cr_assert_eq(hook_point_parse(CASES[i].name, &c, &hook, NULL), ST_OK);
        cr_expect_eq(hook_point_width(hook, &c), CASES[i].width, "%s", CASES[i].name);
    }
}

Test(hook_point, refuses_what_is_not_there)
{
    const struct model_config gpt2 = config_of(GPT2), llama = config_of(LLAMA);
    static const char *const ABSENT[] = {"blocks.3.hook_resid_pre",
                                         "blocks.-1.hook_resid_pre",
                                         "blocks.1.",
                                         "blocks.1x.hook_z",
                                         "hook_resid_pre",
                                         "blocks.0.logits",
                                         "blocks.0.hook_resid_pre ",
                                         "",
                                         "blocks.99999999999999999999.hook_resid_pre",
                                         "blocks.1.mlp.hook_pre_linear"};
    struct hook_point hook;
    struct error err = {0};
    for (size_t i = 0; i < sizeof ABSENT / sizeof ABSENT[0]; i++)
        cr_expect_eq(hook_point_parse(ABSENT[i], &gpt2, &hook, NULL), ST_NOT_FOUND, "%s",
                     ABSENT[i]);
    cr_expect_eq(hook_point_parse("hook_pos_embed", &llama, &hook, NULL), ST_NOT_FOUND);
    cr_expect_eq(hook_point_parse("blocks.1.attn.hook_pattern", &gpt2, &hook, &err),
                 ST_UNSUPPORTED);
    cr_expect(strstr(err.text, "attn.hook_pattern"), "%s", err.text);
}
