/* The truth and the prompts of known models (worker/known) are files like any user's: read here
 * as they are written there. */
#include "common/file.h"
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/prompt_split.h"
#include "tests/unit/circuit_cases.h"
#include "worker/known/known_model.h"

#include <unistd.h>

enum { N_EACH = 12, KNOWN_SIZE = 32 };

static char *read_all(const char *directory, const char *name, size_t *n_bytes)
{
    char path[128], *text = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(file_read(path, CIRCUIT_MAX_BYTES, &text, n_bytes, NULL), ST_OK);
    cr_assert_eq(unlink(path), 0);
    return text;
}

static void write_model(const char *kind, const char *directory)
{
    const struct known_params params = {.kind = kind, .seed = 3, .size = KNOWN_SIZE};
    struct error err = {.status = ST_OK};
    cr_assert_eq(known_model_write(&params, N_EACH, directory, &err), ST_OK, "%s", err.text);
}

static void remove_rest(const char *directory)
{
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    cr_expect_eq(rmdir(directory), 0);
}

static bool is_listed(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) return true;
    return false;
}

/* Nodes are those that the truth lists under "circuit", and each edge fits the model. */
static void expect_truth(const char *text, size_t n_bytes)
{
    struct circuit circuit;
    struct error err = {.status = ST_OK};
    char name[COMPONENT_NAME_SIZE];
    json_t *truth = json_loadb(text, n_bytes, 0, NULL);
    const json_t *names = json_object_get(truth, "circuit");
    cr_assert_eq(circuit_file_parse(&circuit, "circuit.json", text, n_bytes, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(circuit.n_nodes, json_array_size(names));
    for (size_t i = 0; i < circuit.n_nodes; i++) {
        (void)component_name(&circuit.nodes[i].component, name);
        cr_expect(is_listed(names, name), "%s", name);
        cr_expect(circuit.nodes[i].role[0] != '\0');
    }
    cr_expect_eq(circuit.n_edges, json_array_size(json_object_get(truth, "edges")));
    cr_expect(circuit.shape.n_layers >= 2 && circuit.shape.n_heads == 4);
    cr_expect_eq(circuit_check(&circuit, &circuit.shape, NULL, &err), ST_OK, "%s", err.text);
    circuit_fini(&circuit);
    json_decref(truth);
}

static void expect_prompts(const char *text, size_t n_bytes)
{
    const struct prompt_split_params params = prompt_split_params_default(1);
    struct prompt_set set;
    struct error err = {.status = ST_OK};
    enum prompt_part parts[2 * N_EACH];
    size_t n_in_part[PROMPT_N_PARTS];
    cr_assert_eq(prompt_set_parse(&set, "prompts.jsonl", text, n_bytes, KNOWN_SIZE, &err), ST_OK,
                 "%s", err.text);
    cr_assert_eq(set.n_prompts, 2 * N_EACH);
    cr_expect_eq(set.prompts[0].answer_position, set.prompts[0].n_tokens - 1);
    cr_assert_eq(prompt_split(&set, &params, parts, n_in_part, &err), ST_OK, "%s", err.text);
    cr_expect_eq(n_in_part[PART_VERDICT], N_EACH);
    for (size_t i = 0; i < set.n_prompts; i++)
        cr_expect_eq(parts[i] == PART_VERDICT, set.prompts[i].use == USE_HELD_OUT);
    prompt_set_fini(&set);
}

Test(circuit_known, truth_and_prompts_of_every_kind_are_read)
{
    size_t n_kinds = 0;
    const struct known_kind *kinds = known_kinds(&n_kinds);
    cr_assert(n_kinds >= 7);
    for (size_t k = 0; k < n_kinds; k++) {
        char directory[] = "/tmp/circuit-known-XXXXXX";
        size_t n_truth = 0, n_prompts = 0;
        cr_assert(mkdtemp(directory) != NULL);
        write_model(kinds[k].name, directory);
        char *truth = read_all(directory, "circuit.json", &n_truth);
        char *prompts = read_all(directory, "prompts.jsonl", &n_prompts);
        expect_truth(truth, n_truth);
        expect_prompts(prompts, n_prompts);
        remove_rest(directory);
        free(truth);
        free(prompts);
    }
}
