#include "coordinator/circuit/ablation_method.h"
#include "coordinator/circuit/circuit_edge.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct model_shape SHAPE = {.n_layers = 6,
                                         .n_heads = 8,
                                         .n_kv_heads = 2,
                                         .d_mlp = 40,
                                         .d_model = 32,
                                         .d_head = 4,
                                         .n_features = 64};

static struct component read_name(const char *text)
{
    struct component component = {.type = COMPONENT_LOGITS};
    struct error err = {.status = ST_OK};
    cr_assert_eq(component_parse(text, strlen(text), &component, &err), ST_OK, "%s", err.text);
    return component;
}

static struct circuit_edge read_edge(const char *text)
{
    struct circuit_edge edge = {.input = EDGE_Q};
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_edge_parse(text, strlen(text), &edge, &err), ST_OK, "%s", err.text);
    return edge;
}

Test(component, every_spelling_has_one_canonical_name)
{
    static const struct {
        const char *spelling, *canonical, *hook;
    } cases[] = {
        {"input", "embed", "hook_embed"},
        {"Resid Start", "embed", "hook_embed"},
        {"hook_pos_embed", "pos_embed", "hook_pos_embed"},
        {"Resid End", "logits", "logits"},
        {"L5H3", "L5H3", "blocks.5.attn.hook_z"},
        {"l5h3", "L5H3", "blocks.5.attn.hook_z"},
        {"a5.h3", "L5H3", "blocks.5.attn.hook_z"},
        {"A5.3", "L5H3", "blocks.5.attn.hook_z"},
        {"5.3", "L5H3", "blocks.5.attn.hook_z"},
        {"blocks.5.attn.hook_z[3]", "L5H3", "blocks.5.attn.hook_z"},
        {"blocks.5.attn.hook_z.3", "L5H3", "blocks.5.attn.hook_z"},
        {"blocks.5.attn.hook_result[:, :, 3]", "L5H3", "blocks.5.attn.hook_z"},
        {"L5H3@END", "L5H3@end", "blocks.5.attn.hook_z"},
        {"L5K1", "L5K1", "blocks.5.attn.hook_k"},
        {"blocks.5.attn.hook_v[1]", "L5V1", "blocks.5.attn.hook_v"},
        {"m5", "L5MLP", "blocks.5.hook_mlp_out"},
        {"MLP 5", "L5MLP", "blocks.5.hook_mlp_out"},
        {"blocks.5.hook_mlp_out", "L5MLP", "blocks.5.hook_mlp_out"},
        {"blocks.5.mlp.hook_post[12]", "L5N12", "blocks.5.mlp.hook_post"},
        {"m5.n12", "L5N12", "blocks.5.mlp.hook_post"},
        {"blocks.5.hook_resid_pre.7", "blocks.5.hook_resid_pre[7]", "blocks.5.hook_resid_pre"},
        {"blocks.5.hook_mlp_out[7]", "blocks.5.hook_mlp_out[7]", "blocks.5.hook_mlp_out"},
        {"blocks.5.hook_resid_post.f9", "blocks.5.hook_resid_post.f9", "blocks.5.hook_resid_post"},
        {"blocks.5.attn.hook_z.hook_sae_acts_post[9]", "blocks.5.attn.hook_z.f9",
         "blocks.5.attn.hook_z"},
        {"blocks.5.mlp.hook_post.hook_sae_error", "blocks.5.mlp.hook_post.error",
         "blocks.5.mlp.hook_post"},
    };
    char name[COMPONENT_NAME_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct component made = read_name(cases[i].spelling);
        cr_expect_str_eq(component_name(&made, name), cases[i].canonical);
        const struct component again = read_name(name);
        cr_expect(component_equal(&made, &again), "%s", cases[i].canonical);
        cr_expect_str_eq(component_hook(&made, name), cases[i].hook);
    }
}

Test(component, what_is_no_name_is_quoted)
{
    static const char *const cases[] = {"",
                                        "L5",
                                        "L5H",
                                        "L5H3x",
                                        "H3",
                                        "5.3.1",
                                        "L-1H0",
                                        "L5H+3",
                                        "L5 H3",
                                        "embed@end",
                                        "L5H3@",
                                        "L5H3@a b",
                                        "blocks.5.hook_resid_pre",
                                        "L9999999999H1",
                                        "L5H3@abcdefghijklmnop"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct component component;
        struct error err = {.status = ST_OK};
        cr_expect_eq(component_parse(cases[i], strlen(cases[i]), &component, &err), ST_BAD_INPUT,
                     "%s", cases[i]);
        cr_expect(strstr(err.text, cases[i]) != NULL, "%s", err.text);
    }
}

Test(component, order_is_that_of_layers_and_the_ends_stand_outside)
{
    static const char *const ascending[] = {"embed",
                                            "pos_embed",
                                            "L0H0",
                                            "L0H0@end",
                                            "L0H0@s2",
                                            "L0H1",
                                            "L0K0",
                                            "L0V0",
                                            "L0MLP",
                                            "L0N3",
                                            "L0N11",
                                            "blocks.0.hook_resid_pre[5]",
                                            "blocks.0.hook_resid_post[4]",
                                            "blocks.0.hook_resid_pre.f2",
                                            "blocks.0.hook_resid_pre.error",
                                            "L1H0",
                                            "L10H0",
                                            "logits"};
    const size_t n = sizeof ascending / sizeof ascending[0];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            const struct component a = read_name(ascending[i]), b = read_name(ascending[j]);
            const int order = component_compare(&a, &b);
            cr_expect((order > 0) - (order < 0) == (i > j) - (i < j), "%s, %s", ascending[i],
                      ascending[j]);
        }
}

Test(component, what_the_model_lacks_is_refused_by_name)
{
    static const struct {
        const char *name, *why; /* NULL: it exists */
    } cases[] = {{"L5H7", NULL},
                 {"L6H0", "L6H0: the model has 6 layers"},
                 {"L5H8", "8 heads"},
                 {"L0K1", NULL},
                 {"L0V2", "2 K/V groups"},
                 {"L0N40", "40 neurons"},
                 {"blocks.0.hook_resid_pre[32]", "32 residual dimensions"},
                 {"blocks.0.mlp.hook_post.f63", NULL},
                 {"blocks.0.hook_resid_pre.f64", "64 features"},
                 {"blocks.6.hook_resid_pre.error", "6 layers"},
                 {"logits", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct component component = read_name(cases[i].name);
        struct error err = {.status = ST_OK};
        const status_t status = component_check(&component, &SHAPE, &err);
        cr_expect_eq(status, cases[i].why ? ST_NOT_FOUND : ST_OK, "%s", cases[i].name);
        if (cases[i].why) cr_expect(strstr(err.text, cases[i].why) != NULL, "%s", err.text);
    }
}

Test(circuit_edge, every_spelling_has_one_canonical_name)
{
    static const char *const cases[][2] = {{"a0.h0->a5.h5<k>", "L0H0->L5H5.k"},
                                           {"a0.h0->a5.h5.k", "L0H0->L5H5.k"},
                                           {"A0.0 -> A5.5.K", "L0H0->L5H5.k"},
                                           {"L0H0->L5H5.k@end", "L0H0->L5H5.k@end"},
                                           {"L0H0@s1->L5H5.q@end", "L0H0@s1->L5H5.q@end"},
                                           {"input->m3", "embed->L3MLP"},
                                           {"m3->logits", "L3MLP->logits"},
                                           {"pos_embed->L0K1", "pos_embed->L0K1"}};
    char name[EDGE_NAME_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct circuit_edge edge = read_edge(cases[i][0]);
        cr_expect_str_eq(circuit_edge_name(&edge, name), cases[i][1]);
        const struct circuit_edge again = read_edge(name);
        cr_expect_eq(circuit_edge_compare(&edge, &again), 0);
    }
}

Test(circuit_edge, what_is_no_edge_is_quoted)
{
    static const char *const cases[][2] = {{"L0H0", "no edge"},
                                           {"L0H0->L5H5", "which input"},
                                           {"L0H0->L5H5.x", "no component"},
                                           {"L0H0->embed", "receives no edge"},
                                           {"L0H0->L1N4", "receives no edge"},
                                           {"logits->L5H5.q", "sends no edge"},
                                           {"L0K0->L5H5.q", "sends no edge"},
                                           {"L0H0->m4.q", "has no input"},
                                           {"L0H0->L1K0.v", "has no input"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct circuit_edge edge;
        struct error err = {.status = ST_OK};
        cr_expect_eq(circuit_edge_parse(cases[i][0], strlen(cases[i][0]), &edge, &err),
                     ST_BAD_INPUT);
        cr_expect(strstr(err.text, cases[i][1]) && strstr(err.text, cases[i][0]), "%s", err.text);
    }
}

Test(circuit_edge, nothing_flows_backwards)
{
    static const struct {
        const char *edge;
        bool is_legal, is_legal_parallel;
    } cases[] = {{"L0H0->L1H0.k", true, true},
                 {"L1H0->L1H1.k", false, false},
                 {"L1H0->L0H0.k", false, false},
                 {"L1H0->L1MLP", true, false},
                 {"L1MLP->L1MLP", false, false},
                 {"L1MLP->L1H0.q", false, false},
                 {"L1MLP->L2H0.q", true, true},
                 {"embed->L0H0.v", true, true},
                 {"L5MLP->logits", true, true},
                 {"blocks.2.hook_resid_pre[0]->L2H0.v", true, true},
                 {"blocks.2.hook_resid_mid[0]->L2H0.v", false, false},
                 {"blocks.2.hook_resid_post[0]->L3H0.v", true, true}};
    struct model_shape parallel = SHAPE;
    parallel.is_parallel = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct circuit_edge edge = read_edge(cases[i].edge);
        cr_expect_eq(circuit_edge_check(&edge, &SHAPE, NULL) == ST_OK, cases[i].is_legal, "%s",
                     cases[i].edge);
        cr_expect_eq(circuit_edge_check(&edge, &parallel, NULL) == ST_OK,
                     cases[i].is_legal_parallel, "%s", cases[i].edge);
    }
}

Test(ablation_method, six_choices_come_back_from_json)
{
    const struct ablation_method cases[] = {
        {GRANULARITY_NODE, 1u << COMPONENT_HEAD | 1u << COMPONENT_MLP, ABLATE_MEAN,
         MEAN_PER_TEMPLATE, true, DIRECTION_DESTROY, SET_COMPLEMENT},
        {GRANULARITY_EDGE, 1u << COMPONENT_FEATURE, ABLATE_RESAMPLE, MEAN_NONE, false,
         DIRECTION_RESTORE, SET_ALL}};
    for (size_t i = 0; i < 2; i++) {
        struct ablation_method again;
        json_t *json = ablation_method_json(&cases[i]);
        cr_assert_eq(ablation_method_parse(json, &again, NULL), ST_OK);
        cr_expect_eq(again.granularity, cases[i].granularity);
        cr_expect_eq(again.types, cases[i].types);
        cr_expect_eq(again.value, cases[i].value);
        cr_expect_eq(again.mean, cases[i].mean);
        cr_expect_eq(again.is_at_named_positions, cases[i].is_at_named_positions);
        cr_expect_eq(again.direction, cases[i].direction);
        cr_expect_eq(again.set, cases[i].set);
        json_decref(json);
    }
}

Test(ablation_method, a_wrong_choice_is_named)
{
    static const char *const keys[] = {"granularity", "value", "mean_over", "positions",
                                       "direction",   "set",   "types"};
    const struct ablation_method method = {.types = 1, .value = ABLATE_MEAN, .mean = MEAN_OVERALL};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct ablation_method again;
        struct error err = {.status = ST_OK};
        json_t *json = ablation_method_json(&method);
        json_object_set_new(json, keys[i], json_string("nonsense"));
        cr_expect_eq(ablation_method_parse(json, &again, &err), ST_BAD_INPUT);
        cr_expect(strstr(err.text, keys[i]) != NULL, "%s", err.text);
        json_decref(json);
    }
}
