/* The example sweeps that are in the tree, read as a user's submit would read them. */
#include "coordinator/plan/estimate_facts.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sweep_spec *load(const char *name)
{
    char directory[512], path[640], *text = NULL;
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec = NULL;
    size_t n_bytes;
    cr_assert_not_null(getcwd(directory, sizeof directory - 32));
    (void)strcat(directory, "/config/sweeps");
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(file_read(path, 1 << 20, &text, &n_bytes, &err), ST_OK, "%s", err.text);
    const struct sweep_text source = {text, n_bytes, name, directory};
    cr_assert_eq(sweep_spec_parse(&spec, &source, &err), ST_OK, "%s", err.text);
    free(text);
    return spec;
}

Test(estimate_facts, every_example_sweep_parses)
{
    static const char *const names[] = {"demo.yaml",    "smollm2.yaml",   "gpt2-res-jb.yaml",
                                        "noop.yaml",    "induction.yaml", "circuit_agent.yaml",
                                        "features.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct sweep_spec *spec = load(names[i]);
        cr_expect_not_null(spec);
        sweep_spec_free(&spec);
    }
}

Test(estimate_facts, the_demo_sweep_is_measured_from_its_files)
{
    struct sweep_spec *spec = load("demo.yaml");
    struct estimate_input input;
    struct estimate estimate;
    struct error err = {.status = ST_OK};
    cr_assert_eq(estimate_facts_read(&input, spec, NULL, &err), ST_OK, "%s", err.text);
    cr_expect_eq(input.n_features, 16384);
    cr_expect_gt(input.n_documents, 3000);
    cr_expect_gt(input.n_text_bytes, 1500000);
    estimate_make(&input, &estimate);
    cr_expect_eq(estimate.n_calls, 0);
    cr_expect(estimate.n_tokens > 400000 && estimate.n_tokens < 900000, "%llu",
              (unsigned long long)estimate.n_tokens);
    sweep_spec_free(&spec);
}

Test(estimate_facts, max_tokens_bounds_what_is_read)
{
    struct sweep_spec *spec = load("demo.yaml");
    struct estimate_input input;
    struct error err = {.status = ST_OK};
    spec->corpus.max_tokens = 1000;
    spec->ood[0].max_tokens = 500;
    cr_assert_eq(estimate_facts_read(&input, spec, NULL, &err), ST_OK, "%s", err.text);
    cr_expect_eq(input.n_text_bytes, 6000, "4 bytes a token");
    sweep_spec_free(&spec);
}

Test(estimate_facts, a_provider_that_is_not_there_is_named)
{
    struct sweep_spec *spec = load("gpt2-res-jb.yaml");
    struct estimate_input input;
    struct error err = {.status = ST_OK};
    cr_expect_eq(estimate_facts_read(&input, spec, NULL, &err), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "explainer: there is no provider 'explainer'");
    sweep_spec_free(&spec);
}

Test(estimate_facts, features_are_counted_by_kind_of_unit)
{
    struct sweep_spec *spec = load("demo.yaml");
    struct sweep_target *target = &spec->targets[0];
    static const struct {
        enum sweep_units units;
        const char *features;
        uint64_t want;
    } cases[] = {
        {SWEEP_UNITS_DICTIONARY, "0-9", 10},
        {SWEEP_UNITS_RESIDUAL, "all", 256},
        {SWEEP_UNITS_NEURONS, "all", 1024},
        {SWEEP_UNITS_HEADS, "all", 4},
    };
    spec->corpus.max_tokens = spec->ood[0].max_tokens = 100;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct estimate_input input;
        struct error err = {.status = ST_OK};
        target->units = cases[i].units;
        free(target->features);
        target->features = strdup(cases[i].features);
        cr_assert_eq(estimate_facts_read(&input, spec, NULL, &err), ST_OK, "%s", err.text);
        cr_expect_eq(input.n_features, cases[i].want, "case %zu: %llu", i,
                     (unsigned long long)input.n_features);
    }
    sweep_spec_free(&spec);
}
