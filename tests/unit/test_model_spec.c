/* What a task's spec says that it will have on the device. */
#include "worker/tasks/model_spec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char DEMO[] = "config/demo/sae", OTHER[] = "tests/golden/dictionaries/standard";

static status_t read_spec(const char *text, struct model_wanted *out)
{
    json_t *spec = json_loads(text, 0, NULL);
    cr_assert_not_null(spec);
    const status_t status = model_spec_read_needs(spec, out, NULL);
    json_decref(spec); /* what was borrowed from it is not looked at */
    return status;
}

Test(model_spec, every_target_is_counted_and_its_dictionary_once)
{
    struct model_wanted wanted;
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{\"model\":\"m\",\"compute\":\"bf16\",\"n_ctx\":96,\"targets\":["
                   "{\"dictionary\":\"%s\"},{\"units\":\"neurons\"},{\"dictionary\":\"%s\"},"
                   "{\"dictionary\":\"%s\"},{\"dictionary\":\"%s\",\"norm_scaling_factor\":0.5}]}",
                   DEMO, OTHER, DEMO, DEMO);
    cr_assert_eq(read_spec(text, &wanted), ST_OK);
    const struct memory_needs *n = &wanted.needs;
    cr_expect_eq(wanted.compute, COMPUTE_BF16);
    cr_expect_eq(n->n_ctx, 96);
    cr_assert_eq(n->n_targets, 5);
    cr_expect(n->targets[0].n_features > 0 && n->targets[0].d_in > 0);
    cr_expect_eq(n->targets[1].n_features, 0);
    cr_expect_neq(n->targets[2].d_in, 0);
    cr_expect_eq(n->targets[3].n_features, n->targets[0].n_features);
    static const bool IS_THERE[] = {false, false, false, true, false};
    for (size_t i = 0; i < 5; i++) cr_expect_eq(n->targets[i].is_there, IS_THERE[i], "%zu", i);
}

Test(model_spec, dictionaries_of_ablations_count_too)
{
    struct model_wanted wanted;
    char text[256];
    (void)snprintf(text, sizeof text,
                   "{\"model\":\"m\",\"compute\":\"f32\",\"dictionaries\":[{\"dictionary\":"
                   "\"%s\"}]}",
                   DEMO);
    cr_assert_eq(read_spec(text, &wanted), ST_OK);
    cr_expect(wanted.needs.n_targets == 1 && wanted.needs.targets[0].n_features > 0);
    cr_expect_eq(wanted.needs.n_ctx, 0);
}

Test(model_spec, what_an_ablation_keeps_of_its_prompts_counts)
{
    struct model_wanted wanted;
    static const char PROMPTS[] = "\"prompts\":[{\"answers\":[1,2],\"distractors\":[3]},"
                                  "{\"answers\":[2],\"distractors\":[5,6,7]}]";
    char text[512];
    (void)snprintf(
        text, sizeof text,
        "{\"kind\":\"ablate\",\"model\":\"m\",\"compute\":\"f32\",\"vocabulary\":true,%s}",
        PROMPTS);
    cr_assert_eq(read_spec(text, &wanted), ST_OK);
    cr_expect(wanted.needs.n_prompts == 2 && wanted.needs.n_columns == 7);
    cr_expect(wanted.needs.is_compared);
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"attribute\",\"model\":\"m\",\"compute\":\"f32\",%s}", PROMPTS);
    cr_assert_eq(read_spec(text, &wanted), ST_OK);
    cr_expect(wanted.needs.n_prompts == 0 && !wanted.needs.is_compared, "it keeps no clean pass");
    cr_expect_eq(wanted.needs.adjoint, MEMORY_ADJOINT_EDGES);
    cr_assert_eq(read_spec("{\"kind\":\"generate\",\"model\":\"m\",\"compute\":\"f32\"}", &wanted),
                 ST_OK);
    cr_expect(wanted.needs.is_compared && wanted.needs.n_prompts == 0);
}

Test(model_spec, what_derivatives_take_counts)
{
    struct model_wanted wanted;
    static const char *const METHODS[] = {"atp", "eap_ig"};
    static const enum memory_adjoint WANT[] = {MEMORY_ADJOINT_NODES, MEMORY_ADJOINT_EDGES};
    char text[256];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"kind\":\"attribute\",\"model\":\"m\",\"compute\":\"f32\",\"n_ctx\":100,"
                       "\"method\":\"%s\",\"prompts\":[{},{},{}]}",
                       METHODS[i]);
        cr_assert_eq(read_spec(text, &wanted), ST_OK);
        cr_expect_eq(wanted.needs.adjoint, WANT[i], "%s", METHODS[i]);
        cr_expect_eq(wanted.needs.n_prompts, 2, "a batch of 256 tokens");
    }
}

Test(model_spec, what_is_wrong_beside_the_model_is_left_to_who_opens_it)
{
    static const char *const SPECS[] = {
        "{\"model\":\"m\",\"compute\":\"f32\",\"targets\":[{\"dictionary\":\"/nowhere\"}]}",
        "{\"model\":\"m\",\"compute\":\"f32\",\"targets\":7,\"n_ctx\":-3}",
        "{\"model\":\"m\",\"compute\":\"f32\",\"targets\":[{\"dictionary\":7}],\"n_ctx\":\"x\"}"};
    for (size_t i = 0; i < sizeof SPECS / sizeof SPECS[0]; i++) {
        struct model_wanted wanted;
        cr_expect_eq(read_spec(SPECS[i], &wanted), ST_OK, "%s", SPECS[i]);
        cr_expect_eq(wanted.needs.n_ctx, 0);
        for (size_t k = 0; k < wanted.needs.n_targets; k++)
            cr_expect_eq(wanted.needs.targets[k].n_features, 0);
    }
    struct model_wanted wanted;
    cr_expect_eq(read_spec("{\"compute\":\"f32\"}", &wanted), ST_PROTOCOL);
}
