/* Components as columns of activations, and sets of them as the changes that a worker makes. */
#include "coordinator/circuit/component_site.h"
#include "coordinator/circuit/search_changes.h"

#include <criterion/criterion.h>
#include <string.h>

static struct error err;
static const struct model_shape shape = {
    .n_layers = 2, .n_heads = 4, .n_kv_heads = 2, .d_mlp = 12, .d_model = 8, .d_head = 2};

static struct component component_of(const char *name)
{
    struct component component;
    cr_assert_eq(component_parse(name, strlen(name), &component, &err), ST_OK, "%s", err.text);
    return component;
}

static void expect_site(const char *name, struct ablate_site want)
{
    const struct component component = component_of(name);
    struct ablate_site got;
    cr_assert_eq(component_site(&component, &shape, &got, &err), ST_OK, "%s", err.text);
    cr_expect(memcmp(&got, &want, sizeof got) == 0, "%s: place %u layer %u columns %u + %u", name,
              got.place, got.layer, got.column, got.n_columns);
}

Test(component_site, columns_of_every_kind)
{
    expect_site("embed", (struct ablate_site){ABLATE_RESID_PRE, 0, 0, 8});
    expect_site("L1H3", (struct ablate_site){ABLATE_Z, 1, 6, 2});
    expect_site("L1K1", (struct ablate_site){ABLATE_K, 1, 2, 2});
    expect_site("L0V1", (struct ablate_site){ABLATE_V, 0, 2, 2});
    expect_site("L0MLP", (struct ablate_site){ABLATE_MLP_OUT, 0, 0, 8});
    expect_site("L1N11", (struct ablate_site){ABLATE_MLP_POST, 1, 11, 1});
    expect_site("blocks.1.hook_resid_pre[7]", (struct ablate_site){ABLATE_RESID_PRE, 1, 7, 1});
}

Test(component_site, what_is_not_there_or_has_no_columns)
{
    const struct component absent = component_of("L2H0"), end_of = component_of("logits");
    struct ablate_site site;
    cr_expect_eq(component_site(&absent, &shape, &site, &err), ST_NOT_FOUND);
    cr_expect_eq(component_site(&end_of, &shape, &site, &err), ST_UNSUPPORTED);
}

Test(search_changes, variants_follow_one_another)
{
    char end_name[] = "end", s2_name[] = "s2", *positions[] = {end_name, s2_name};
    struct component nodes[] = {component_of("L0H1"), component_of("L1MLP@s2")};
    const struct search_things things = {
        .shape = &shape, .nodes = nodes, .n_nodes = 2, .positions = positions, .n_positions = 2};
    const uint32_t both[] = {0, 1}, outside[] = {2};
    const struct search_variant variants[] = {{.nodes = both, .n_nodes = 2},
                                              {.nodes = both + 1, .n_nodes = 1}};
    const struct search_variant wrong = {.nodes = outside, .n_nodes = 1};
    struct ablate_unit unit = {0};
    cr_assert_eq(search_changes_append_clean(&unit, &err), ST_OK);
    const struct search_batch batch = {variants, 2}, none = {&wrong, 1};
    cr_assert_eq(search_changes_append(&unit, &batch, ABLATE_RESAMPLE, &things, &err), ST_OK);
    cr_assert_eq(unit.n_variants, 3);
    cr_expect(unit.ends[0] == 0 && unit.ends[1] == 2 && unit.ends[2] == 3);
    cr_expect_eq(unit.changes[0].at.place, ABLATE_Z);
    cr_expect_eq(unit.changes[0].positions, 0);
    cr_expect_eq(unit.changes[1].at.place, ABLATE_MLP_OUT);
    cr_expect_eq(unit.changes[1].positions, 2);
    cr_expect_eq(unit.changes[2].value, ABLATE_RESAMPLE);
    cr_expect_eq(search_changes_append(&unit, &none, ABLATE_ZERO, &things, &err), ST_BAD_INPUT);
    ablate_unit_fini(&unit);
}

Test(search_changes, features_are_of_the_dictionary_at_their_hook_point)
{
    struct component dictionaries[] = {component_of("blocks.1.hook_resid_pre.error"),
                                       component_of("blocks.0.hook_mlp_out.error")};
    struct component nodes[] = {component_of("blocks.0.hook_mlp_out.f7"),
                                component_of("blocks.1.hook_resid_pre.error"),
                                component_of("blocks.1.hook_mlp_out.f7")};
    const struct search_things things = {.shape = &shape,
                                         .nodes = nodes,
                                         .n_nodes = 3,
                                         .dictionaries = dictionaries,
                                         .n_dictionaries = 2};
    const uint32_t known[] = {0, 1}, elsewhere[] = {2};
    const struct search_variant both = {.nodes = known, .n_nodes = 2};
    const struct search_variant wrong = {.nodes = elsewhere, .n_nodes = 1};
    const struct search_batch batch = {&both, 1}, none = {&wrong, 1};
    const struct ablate_site want[] = {{ABLATE_FEATURE, 1, 7, 1}, {ABLATE_ERROR, 0, 0, 1}};
    struct ablate_unit unit = {0};
    cr_assert_eq(search_changes_append(&unit, &batch, ABLATE_MEAN, &things, &err), ST_OK, "%s",
                 err.text);
    for (size_t i = 0; i < 2; i++)
        cr_expect(memcmp(&unit.changes[i].at, &want[i], sizeof want[i]) == 0, "change %zu", i);
    cr_expect_eq(search_changes_append(&unit, &none, ABLATE_MEAN, &things, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "blocks.1.hook_mlp_out.f7: the sweep has no dictionary there");
    ablate_unit_fini(&unit);
}
