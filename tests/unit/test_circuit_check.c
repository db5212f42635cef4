/* What the keys of a circuit sweep may say together. (The table of keys: test_sweep_spec.c.) */
#include "coordinator/intake/circuit_check.h"

#include "coordinator/intake/sweep_keys.h"

#include <criterion/criterion.h>
#include <string.h>

#define BASE "kind: circuit\nname: c\nmodel: m\n"
#define TASK BASE "task: {generator: ioi}\n"

static struct error err;

static status_t check(const char *yaml)
{
    struct yaml_tree *tree = NULL;
    void *spec = NULL;
    error_clear(&err);
    cr_assert_eq(yaml_tree_parse(&tree, yaml, strlen(yaml), "s.yaml", &err), ST_OK, "%s", err.text);
    cr_assert_eq(config_load(&spec, &sweep_circuit_schema, tree, &err), ST_OK, "%s", err.text);
    status_t status = circuit_check_keys(tree, spec, &err);
    if (status == ST_OK) status = circuit_check_unused(tree, spec, &err);
    config_destroy(&spec, &sweep_circuit_schema);
    yaml_tree_destroy(&tree);
    return status;
}

Test(circuit_check, takes_what_goes_together)
{
    static const char *const cases[] = {
        TASK,
        BASE "task: {prompts: p.jsonl}\n",
        TASK "search: {agent: {provider: p}}\n",
        TASK "search: {agent: {provider: p, labels: l-1, max_tokens: 100}, order: attribution}\n",
        TASK "circuit: c.json\n",
        TASK "circuit: c.json\nsearch: {order: listed, agent: {max_tokens: 4000}, fdr_q: 0.05}\n",
        TASK "circuit: c.json\nablation: {values: [mean]}\n",
        TASK "candidates: []\ndictionaries: [{hook: blocks.1.hook_resid_pre, dictionary: d}]\n",
        TASK "search: {edges: acdc, taus: [\"0.1\", \"1e-3\"]}\n",
        TASK "metric: kl\nsearch: {order: attribution, method: eap_ig}\n",
        TASK "positions: [end]\n"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(check(cases[i]), ST_OK, "case %zu: %s", i, err.text);
}

Test(circuit_check, passes_over_nothing_that_a_user_asked_for)
{
    static const struct {
        const char *yaml, *where;
    } cases[] = {
        {TASK "search:\n  agent:\n    labels: l-1\n", "s.yaml:7: search.agent.labels: "},
        {TASK "search:\n  agent:\n    max_tokens: 99\n", "s.yaml:7: search.agent.max_tokens: "},
        {TASK "circuit: c.json\nsearch:\n  agent: {provider: p}\n",
         "s.yaml:7: search.agent.provider: "},
        {TASK "circuit: c.json\nsearch:\n  order: attribution\n", "s.yaml:7: search.order: "},
        {TASK "circuit: c.json\nsearch:\n  edges: acdc\n", "s.yaml:7: search.edges: "},
        {TASK "circuit: c.json\nsearch:\n  fdr_q: 0.01\n", "s.yaml:7: search.fdr_q: "},
        {TASK "circuit: c.json\nsearch:\n  taus: [0.1]\n", "s.yaml:7: search.taus: "},
        {TASK "circuit: c.json\nsearch:\n  value: mean\n", "s.yaml:7: search.value: "},
        {TASK "circuit: c.json\nsearch:\n  n_searches: 9\n", "s.yaml:7: search.n_searches: "},
        {TASK "circuit: c.json\nsearch:\n  conditional: false\n", "s.yaml:7: search.conditional: "},
        {TASK "circuit: c.json\nsearch: {agent: {labels: l-1}}\n",
         "s.yaml:6: search.agent.labels: "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(check(cases[i].yaml), ST_BAD_INPUT, "case %zu", i);
        cr_expect(strncmp(err.text, cases[i].where, strlen(cases[i].where)) == 0, "case %zu: %s", i,
                  err.text);
    }
}

Test(circuit_check, names_the_key_that_does_not_fit)
{
    static const struct {
        const char *yaml, *key;
        status_t status;
    } cases[] = {
        {BASE, "task", ST_BAD_INPUT},
        {BASE "task: {generator: ioi, prompts: p}\n", "task.prompts", ST_BAD_INPUT},
        {BASE "task: {generator: ioi, prompts_sha256: ab}\n", "task.prompts_sha256", ST_BAD_INPUT},
        {TASK "circuit_sha256: ab\n", "circuit_sha256", ST_BAD_INPUT},
        {TASK "prompt_splits: {search: 90}\n", "prompt_splits", ST_BAD_INPUT},
        {TASK "head_scores: {n_words: 1}\n", "head_scores.n_words", ST_BAD_INPUT},
        {TASK "ablation: {values: []}\n", "ablation.values", ST_BAD_INPUT},
        {TASK "ablation: {values: [mean]}\n", "ablation.values", ST_BAD_INPUT},
        {TASK "search: {taus: [\"0\"]}\n", "search.taus[0]", ST_BAD_INPUT},
        {TASK "candidates: []\n", "candidates", ST_BAD_INPUT},
        {TASK "layers: 3-1\n", "layers", ST_BAD_INPUT},
        {TASK "neurons: x\n", "neurons", ST_BAD_INPUT},
        {TASK "dimensions: x\n", "dimensions", ST_BAD_INPUT},
        {TASK "positions: [end]\nsearch: {edges: acdc}\n", "search.edges", ST_UNSUPPORTED},
        {TASK "candidates: [residual]\nsearch: {edges: acdc}\n", "search.edges", ST_UNSUPPORTED},
        {TASK "metric: accuracy\nsearch: {order: attribution}\n", "search.order", ST_BAD_INPUT},
        {TASK "metric: kl\nsearch: {order: attribution, method: eap}\n", "search.method",
         ST_BAD_INPUT},
        {TASK "search: {order: attribution, method: atp, edges: acdc}\n", "search.method",
         ST_BAD_INPUT},
        {TASK "dictionaries: [{hook: x, dictionary: d}]\n", "dictionaries[0].hook", ST_BAD_INPUT},
        {TASK "dictionaries: [{hook: blocks.1.hook_mlp_out, dictionary: d},"
              " {hook: blocks.1.hook_mlp_out, dictionary: e}]\n",
         "dictionaries[1].hook", ST_UNSUPPORTED},
        {TASK "dictionaries: [{hook: blocks.1.hook_mlp_out, dictionary: d, features: x}]\n",
         "dictionaries[0].features", ST_BAD_INPUT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char where[64];
        (void)snprintf(where, sizeof where, ": %s: ", cases[i].key);
        cr_expect_eq(check(cases[i].yaml), cases[i].status, "case %zu: %s", i, err.text);
        cr_expect(strncmp(err.text, "s.yaml:", 7) == 0 && strstr(err.text, where), "case %zu: %s",
                  i, err.text);
    }
}
