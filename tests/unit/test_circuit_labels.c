/* Labels of another sweep for the agent of a circuit sweep: which may be shown, and which are. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "coordinator/sweep/circuit_labels.h"

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOOK "blocks.1.hook_resid_pre"
#define LABELS                                                                                     \
    "kind: label\nname: l\nmodel: /m\ncorpus: {path: /c.jsonl}\ntargets:\n"                        \
    "- {hook: " HOOK ", dictionary: /sae}\n"
#define ASKING                                                                                     \
    "kind: circuit\nname: c\nmodel: /m\ntask: {generator: ioi}\n"                                  \
    "dictionaries: [{hook: " HOOK ", dictionary: /sae}]\n"                                         \
    "search: {agent: {provider: p, labels: l-1}}\n"

static struct error err;

static struct sweep_spec *parse(const char *yaml)
{
    struct sweep_spec *spec;
    const struct sweep_text text = {yaml, strlen(yaml), "s.yaml", NULL};
    error_clear(&err);
    cr_assert_eq(sweep_spec_parse(&spec, &text, &err), ST_OK, "%s", err.text);
    return spec;
}

/* --- may they be shown? ------------------------------------------------------------------- */

static status_t check(const char *asking, const char *labels, enum sweep_state state)
{
    struct sweep_spec *spec = parse(asking);
    struct sweep from = {.id = "l-1", .spec = parse(labels), .state = state};
    error_clear(&err);
    const status_t status = circuit_labels_check(spec, &from, &err);
    sweep_spec_free(&spec);
    sweep_spec_free(&from.spec);
    return status;
}

Test(circuit_labels, of_the_same_model_and_dictionary_may_be_shown)
{
    cr_expect_eq(check(ASKING, LABELS, SWEEP_FINISHED), ST_OK, "%s", err.text);
    cr_expect_eq(check(ASKING, LABELS "- {hook: blocks.0.hook_resid_pre, dictionary: /another}\n",
                       SWEEP_FINISHED),
                 ST_OK, "what is beside them matters not: %s", err.text);
    cr_expect_eq(check(ASKING,
                       "kind: label\nname: l\nmodel: /m\ncorpus: {path: /c.jsonl}\ntargets:\n"
                       "- {hook: blocks.1.attn.hook_z, units: heads}\n",
                       SWEEP_FINISHED),
                 ST_OK, "%s", err.text);
}

Test(circuit_labels, that_are_none_of_these_features_are_refused)
{
    static const struct {
        const char *labels;
        enum sweep_state state;
        const char *words;
    } cases[] = {
        {"kind: noop\nname: n\n", SWEEP_FINISHED, "l-1 is a noop sweep, and labels nothing"},
        {"kind: circuit\nname: c\nmodel: /m\ntask: {generator: ioi}\n", SWEEP_FINISHED,
         "l-1 is a circuit sweep"},
        {LABELS "control: permuted\n", SWEEP_FINISHED, "l-1 is a control (permuted)"},
        {LABELS "control: random_weights\n", SWEEP_FINISHED, "l-1 is a control (random_weights)"},
        {LABELS, SWEEP_RUNNING, "l-1 is running, and a finished one is wanted"},
        {LABELS, SWEEP_FAILED, "l-1 is failed"},
        {"kind: label\nname: l\nmodel: /other\ncorpus: {path: /c.jsonl}\ntargets:\n"
         "- {hook: " HOOK ", dictionary: /sae}\n",
         SWEEP_FINISHED, "l-1 is about the model /other, this sweep about /m"},
        {"kind: label\nname: l\nmodel: /m\ncorpus: {path: /c.jsonl}\ntargets:\n"
         "- {hook: " HOOK ", dictionary: /trained-again}\n",
         SWEEP_FINISHED,
         "at " HOOK ", l-1 is about the dictionary /trained-again, this sweep about /sae"},
        {"kind: label\nname: l\nmodel: /m\ncorpus: {path: /c.jsonl}\ntargets:\n"
         "- {hook: blocks.0.mlp.hook_post, units: neurons}\n",
         SWEEP_FINISHED, "l-1 is about no candidate of this sweep"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_neq(check(ASKING, cases[i].labels, cases[i].state), ST_OK, "case %zu", i);
        cr_expect(strncmp(err.text, "search.agent.labels: ", 21) == 0 &&
                      strstr(err.text, cases[i].words),
                  "case %zu: %s", i, err.text);
    }
}

/* --- reading ------------------------------------------------------------------------------ */

static char directory[64];

static void set_up(void)
{
    char path[128];
    (void)snprintf(directory, sizeof directory, "/tmp/interp-labels-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/sweeps/l-1", directory);
    cr_assert_eq(file_make_directories(path, NULL), ST_OK);
}

static void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0);
}

TestSuite(circuit_labels_file, .init = set_up, .fini = tear_down);

static void write_records(const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/sweeps/l-1/results.jsonl", directory);
    cr_assert_eq(file_write_atomic(path, text, strlen(text), NULL), ST_OK);
}

#define RECORD(feature, dictionary, more)                                                          \
    "{\"feature\":" feature ",\"target\":{\"dictionary\":" dictionary ",\"hook_point\":\"" HOOK    \
    "\",\"model\":\"/m\"}" more "}\n"
#define HEAD(feature, model)                                                                       \
    "{\"feature\":" feature ",\"label\":\"names\",\"target\":{\"dictionary\":null,"                \
    "\"hook_point\":\"blocks.1.attn.hook_z\",\"model\":\"" model "\"}}\n"

static struct component component_of(const char *name)
{
    struct component component;
    memset(&component, 0, sizeof component);
    cr_assert_eq(component_parse(name, strlen(name), &component, NULL), ST_OK, "%s", name);
    return component;
}

/* The labels for these candidates, ascending. */
static struct circuit_labels read_labels(const struct sweep_spec *spec, const char *const *names,
                                         size_t n)
{
    struct component candidates[8];
    struct circuit_labels labels;
    for (size_t i = 0; i < n; i++) candidates[i] = component_of(names[i]);
    const struct circuit_labels_source source = {spec, directory, candidates, n};
    error_clear(&err);
    cr_assert_eq(circuit_labels_read(&labels, &source, &err), ST_OK, "%s", err.text);
    return labels;
}

Test(circuit_labels_file, are_those_of_candidates_of_this_model_and_dictionary)
{
    static const char *const names[] = {"L1H0", "L1H2", HOOK ".f3", HOOK ".f5", HOOK ".f7"};
    struct sweep_spec *spec = parse(ASKING);
    write_records(RECORD("3", "\"/sae\"", ",\"label\":\"days\"")                 /* taken */
                  RECORD("4", "\"/sae\"", ",\"label\":\"no candidate\"")         /* none */
                  RECORD("5", "\"/sae\"", ",\"label\":null")                     /* without label */
                  RECORD("7", "\"/other\"", ",\"label\":\"another dictionary\"") /* another's */
                  "not JSON\n" HEAD("2", "/m") HEAD("0", "/another-model") HEAD("1", "/m"));
    struct circuit_labels labels = read_labels(spec, names, 5);
    cr_assert_eq(labels.n, 2);
    cr_expect_str_eq(labels.items[0].text, "days");
    cr_expect_eq(labels.items[0].component.type, COMPONENT_FEATURE);
    cr_expect_eq(labels.items[0].component.index, 3);
    cr_expect_eq(labels.items[1].component.type, COMPONENT_HEAD);
    cr_expect_eq(labels.items[1].component.index, 2);
    circuit_labels_fini(&labels);
    circuit_labels_fini(&labels);
    sweep_spec_free(&spec);
}

Test(circuit_labels_file, are_found_at_named_positions_too)
{
    static const char *const names[] = {"L1H2@answer", "L1H2@end", HOOK ".f3@end"};
    struct sweep_spec *spec = parse(ASKING);
    write_records(RECORD("3", "\"/sae\"", ",\"label\":\"days\"") HEAD("2", "/m"));
    struct circuit_labels labels = read_labels(spec, names, 3);
    cr_assert_eq(labels.n, 2, "each once");
    cr_expect_str_eq(labels.items[0].component.position, "");
    circuit_labels_fini(&labels);
    sweep_spec_free(&spec);
}

Test(circuit_labels_file, say_how_far_they_hold)
{
    static const char *const names[] = {HOOK ".f3", HOOK ".f4", HOOK ".f5"};
    struct sweep_spec *spec = parse(ASKING);
    write_records(
        RECORD("3", "\"/sae\"",
               ",\"label\":\"a\",\"supported\":true,\"scores\":{\"detection\":{\"random\":"
               "{\"balanced_accuracy\":0.9}},\"fuzzing\":{\"random\":{\"balanced_accuracy\":0.1}}}")
            RECORD("4", "\"/sae\"",
                   ",\"label\":\"b\",\"supported\":false,\"scores\":{\"fuzzing\":{\"random\":"
                   "{\"balanced_accuracy\":0.7}}}") RECORD("5", "\"/sae\"", ",\"label\":\"c\""));
    struct circuit_labels labels = read_labels(spec, names, 3);
    cr_assert_eq(labels.n, 3);
    cr_expect(labels.items[0].is_supported && labels.items[0].score == 0.9);
    cr_expect(!labels.items[1].is_supported && labels.items[1].score == 0.7);
    cr_expect(!labels.items[2].is_supported && labels.items[2].score == 0.0);
    circuit_labels_fini(&labels);
    sweep_spec_free(&spec);
}

#define MODEL_HASH "aa00000000000000000000000000000000000000000000000000000000000000"
#define SAE_HASH "bb00000000000000000000000000000000000000000000000000000000000000"

static status_t check_same(const char *summary)
{
    static const char dictionaries[1][HASH_HEX_SIZE] = {SAE_HASH};
    char path[128];
    struct sweep_spec *spec = parse(ASKING);
    const struct circuit_labels_source source = {spec, directory, NULL, 0};
    const struct circuit_labels_subjects now = {MODEL_HASH, dictionaries};
    (void)snprintf(path, sizeof path, "%s/sweeps/l-1/summary.json", directory);
    cr_assert_eq(file_write_atomic(path, summary, strlen(summary), NULL), ST_OK);
    const status_t status = circuit_labels_check_same(&source, &now, &err);
    sweep_spec_free(&spec);
    return status;
}

#define SUMMARY(model, dictionary)                                                                 \
    "{\"model_fingerprint\":\"" model "\",\"targets\":["                                           \
    "{\"hook_point\":\"blocks.1.attn.hook_z\",\"dictionary\":null,"                                \
    "\"dictionary_fingerprint\":null},"                                                            \
    "{\"hook_point\":\"blocks.0.hook_resid_pre\",\"dictionary\":\"/another\","                     \
    "\"dictionary_fingerprint\":\"cc\"},"                                                          \
    "{\"hook_point\":\"" HOOK "\",\"dictionary\":\"/sae\","                                        \
    "\"dictionary_fingerprint\":" dictionary "}]}"

Test(circuit_labels_file, are_of_the_model_and_dictionary_that_are_there_now)
{
    static const struct {
        const char *summary;
        status_t status;
        const char *words;
    } cases[] = {
        {SUMMARY(MODEL_HASH, "\"" SAE_HASH "\""), ST_OK, ""},
        {SUMMARY("ab12", "\"" SAE_HASH "\""), ST_CONFLICT,
         "l-1 labelled another model of the same path (fingerprint ab12, now aa0000000000): label "
         "it again, or leave the labels out"},
        {SUMMARY(MODEL_HASH, "\"cd34\""), ST_CONFLICT,
         "l-1 labelled another dictionary of the same path (fingerprint cd34, now bb0000000000)"},
        {SUMMARY(MODEL_HASH, "null"), ST_CONFLICT, "l-1 does not say which dictionary it labelled"},
        {"{\"n_features\":3}", ST_CONFLICT, "l-1 does not say which model it labelled"},
        {"none", ST_CORRUPT, "summary.json: no JSON"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(check_same(cases[i].summary), cases[i].status, "case %zu: %s", i, err.text);
        cr_expect(strstr(err.text, cases[i].words), "case %zu: %s", i, err.text);
        if (cases[i].status != ST_OK)
            cr_expect_eq(strncmp(err.text, "search.agent.labels: ", 21), 0, "%s", err.text);
    }
}

Test(circuit_labels_file, that_cannot_be_read_say_why)
{
    struct sweep_spec *spec = parse(ASKING);
    struct results_file *file = NULL;
    const struct circuit_labels_source source = {spec, directory, NULL, 0};
    error_clear(&err);
    cr_expect_eq(circuit_labels_open(&source, &file, &err), ST_NOT_FOUND);
    cr_expect(strncmp(err.text, "search.agent.labels: open ", 26) == 0 &&
                  strstr(err.text, "sweeps/l-1/results.jsonl: No such file"),
              "%s", err.text);
    free(spec->search.agent.labels);
    spec->search.agent.labels = strdup("../l-1");
    error_clear(&err);
    cr_expect_eq(circuit_labels_open(&source, &file, &err), ST_BAD_INPUT, "no way out of DATA");
    sweep_spec_free(&spec);
}
