/* Searches on models whose circuit is known by construction (worker/known), run by the worker's own
 * variants: every node, no other, and the edges between heads, under zero, mean and resample. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "coordinator/circuit/circuit_search.h"
#include "tests/support/session_windows.h"
#include "worker/known/known_model.h"
#include "worker/model/model.h"
#include "worker/model/variants.h"

#include <jansson.h>
#include <unistd.h>

enum { N_EACH = 24, MAX_CTX = 64, N_BATCH = 64, MAX_VARIANTS = 512, MAX_LAYERS = 4 };
enum value { ZERO, MEAN, RESAMPLE, N_VALUES };
static const char *const VALUE_NAMES[N_VALUES] = {"zero", "mean", "resample"};

/* Pairs of one set of prompts.jsonl. */
struct pairs {
    uint32_t clean[N_EACH * MAX_CTX], corrupted[N_EACH * MAX_CTX];
    uint32_t lengths[N_EACH], positions[N_EACH], answers[N_EACH], distractors[N_EACH];
    size_t n, n_ctx;
};

static struct known_world {
    char root[32], directory[64];
    struct backend *backend;
    struct model *model;
    const struct model_config *config;
    struct variants *variants;
    json_t *truth;
    struct pairs search, reference;
    struct component candidates[64];
    size_t n_candidates;
    /* What stands in, [N_EACH * n_ctx, width]: of Z and MLP_OUT of each layer, of the embedding. */
    float *z[MAX_LAYERS], *mlp[MAX_LAYERS], *embed;
    double full[N_EACH];
} world;

/* --- the model ---------------------------------------------------------------------------- */

static void add_pair(struct pairs *pairs, const json_t *json)
{
    const json_t *clean = json_object_get(json, "clean");
    const json_t *corrupted = json_object_get(json, "corrupted");
    const size_t n = json_array_size(clean), i = pairs->n++;
    cr_assert(i < N_EACH && n <= MAX_CTX);
    if (i == 0) pairs->n_ctx = n;
    cr_assert_eq(n, pairs->n_ctx);
    for (size_t t = 0; t < n; t++) {
        pairs->clean[i * n + t] = (uint32_t)json_integer_value(json_array_get(clean, t));
        pairs->corrupted[i * n + t] = (uint32_t)json_integer_value(json_array_get(corrupted, t));
    }
    pairs->lengths[i] = (uint32_t)n;
    pairs->positions[i] = (uint32_t)json_integer_value(json_object_get(json, "position"));
    pairs->answers[i] = (uint32_t)json_integer_value(json_object_get(json, "answer"));
    pairs->distractors[i] = (uint32_t)json_integer_value(json_object_get(json, "distractor"));
}

static void read_pairs(void)
{
    char path[128], line[1 << 14];
    (void)snprintf(path, sizeof path, "%s/prompts.jsonl", world.directory);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "%s", path);
    while (fgets(line, sizeof line, file)) {
        json_t *json = json_loads(line, 0, NULL);
        const char *set = json_string_value(json_object_get(json, "set"));
        add_pair(strcmp(set, "search") == 0 ? &world.search : &world.reference, json);
        json_decref(json);
    }
    (void)fclose(file);
}

static void list_candidates(void)
{
    for (uint32_t layer = 0; layer < world.config->n_layers; layer++) {
        for (uint32_t head = 0; head < world.config->n_heads; head++)
            world.candidates[world.n_candidates++] =
                (struct component){.type = COMPONENT_HEAD, .layer = layer, .index = head};
        world.candidates[world.n_candidates++] =
            (struct component){.type = COMPONENT_MLP, .layer = layer};
    }
}

static void load_tokens(const uint32_t *tokens)
{
    struct error err = {.status = ST_OK};
    const struct variants_prompts prompts = {
        .tokens = tokens, .lengths = world.search.lengths, .answers = world.search.positions};
    cr_assert_eq(variants_load(world.variants, &prompts, &err), ST_OK, "%s", err.text);
}

static void open_known(const char *kind, uint64_t seed, uint32_t size)
{
    const struct known_params params = {.kind = kind, .seed = seed, .size = size};
    struct error err = {.status = ST_OK};
    char path[128];
    memset(&world, 0, sizeof world);
    (void)snprintf(world.root, sizeof world.root, "/tmp/interp-search-XXXXXX");
    cr_assert(mkdtemp(world.root) != NULL);
    (void)snprintf(world.directory, sizeof world.directory, "%s/model", world.root);
    cr_assert_eq(known_model_write(&params, N_EACH, world.directory, &err), ST_OK, "%s", err.text);
    cr_assert_eq(backend_open_cpu(&world.backend, &err), ST_OK, "%s", err.text);
    const struct model_params of_model = {.directory = world.directory, .backend = world.backend};
    cr_assert_eq(model_open(&world.model, &of_model, &err), ST_OK, "%s", err.text);
    world.config = model_config(world.model);
    (void)snprintf(path, sizeof path, "%s/circuit.json", world.directory);
    world.truth = json_load_file(path, 0, NULL);
    read_pairs();
    list_candidates();
    const struct variants_params of_variants = {
        .model = world.model, .n_prompts = N_EACH, .n_ctx = world.search.n_ctx, .n_batch = N_BATCH};
    cr_assert_eq(variants_create(&world.variants, &of_variants, &err), ST_OK, "%s", err.text);
}

static void close_known(void)
{
    static const char *const names[] = {"config.json",  "model.safetensors",     "tokenizer.json",
                                        "circuit.json", "tokenizer_config.json", "prompts.jsonl"};
    char path[128];
    variants_destroy(&world.variants);
    model_close(&world.model);
    backend_close(&world.backend);
    json_decref(world.truth);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", world.directory, names[i]);
        (void)unlink(path);
    }
    cr_expect(rmdir(world.directory) == 0 && rmdir(world.root) == 0);
}

/* --- what stands in ----------------------------------------------------------------------- */

/* Values at a hook point of what is loaded; by_position: each position's mean over prompts. */
static float *kept_values(enum hook_kind kind, size_t layer, size_t width, bool by_position)
{
    const struct hook_point hook = {kind, layer};
    const size_t n_ctx = world.search.n_ctx, n = N_EACH * n_ctx * width;
    const float *clean;
    float *out = keep_alloc(n, sizeof *out);
    cr_assert_eq(variants_clean(world.variants, hook, &clean, NULL), ST_OK);
    memcpy(out, clean, n * sizeof *out);
    for (size_t at = 0; at < n_ctx * width && by_position; at++) {
        double sum = 0.0;
        for (size_t i = 0; i < N_EACH; i++) sum += (double)clean[i * n_ctx * width + at];
        for (size_t i = 0; i < N_EACH; i++) out[i * n_ctx * width + at] = (float)(sum / N_EACH);
    }
    return out;
}

static void prepare(enum value value)
{
    const size_t d_model = world.config->d_model;
    const size_t d_z = world.config->n_heads * world.config->d_head;
    const bool is_mean = value == MEAN;
    load_tokens(is_mean ? world.reference.clean : world.search.corrupted);
    world.embed = value == ZERO ? NULL : kept_values(HOOK_RESID_PRE, 0, d_model, is_mean);
    for (size_t layer = 0; layer < world.config->n_layers; layer++) {
        world.z[layer] = value == ZERO ? NULL : kept_values(HOOK_Z, layer, d_z, is_mean);
        world.mlp[layer] =
            value == ZERO ? NULL : kept_values(HOOK_MLP_OUT, layer, d_model, is_mean);
    }
    load_tokens(world.search.clean);
}

static struct variant_change change_of(const struct component *component)
{
    const size_t d_model = world.config->d_model, d_head = world.config->d_head;
    const size_t d_z = world.config->n_heads * d_head, layer = component->layer;
    if (component->type == COMPONENT_HEAD)
        return (struct variant_change){
            .hook = {HOOK_Z, layer},
            .column = component->index * d_head,
            .n_columns = d_head,
            .values = world.z[layer] ? world.z[layer] + component->index * d_head : NULL,
            .ld = d_z};
    const bool is_mlp = component->type == COMPONENT_MLP;
    return (struct variant_change){.hook = {is_mlp ? HOOK_MLP_OUT : HOOK_RESID_PRE, layer},
                                   .n_columns = d_model,
                                   .values = is_mlp ? world.mlp[layer] : world.embed,
                                   .ld = d_model};
}

static struct variant_edge edge_of(const struct circuit_edge *edge)
{
    const size_t d_head = world.config->d_head, last = world.config->n_layers - 1;
    const size_t n_shared = world.config->n_heads / world.config->n_kv_heads;
    static const enum hook_kind inputs[] = {HOOK_Q, HOOK_K, HOOK_V};
    struct variant_edge out = {.sender = change_of(&edge->sender)};
    if (edge->receiver.type == COMPONENT_HEAD) {
        out.receiver = (struct hook_point){inputs[edge->input], edge->receiver.layer};
        /* A head's key and value are its group's. */
        out.column = edge->receiver.index / (edge->input == EDGE_Q ? 1 : n_shared) * d_head;
        out.n_columns = d_head;
    } else {
        const bool is_mlp = edge->receiver.type == COMPONENT_MLP;
        out.receiver = (struct hook_point){is_mlp ? HOOK_MLP_OUT : HOOK_RESID_POST,
                                           is_mlp ? edge->receiver.layer : last};
        out.n_columns = world.config->d_model;
    }
    return out;
}

/* --- answering ---------------------------------------------------------------------------- */

static double difference(const float *logits, size_t prompt)
{
    const float *row = logits + prompt * world.config->n_vocab;
    return (double)row[world.search.answers[prompt]] -
           (double)row[world.search.distractors[prompt]];
}

/* Against the clean row of the same batch: what is dead has no effect at all. */
static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    double *rows = context;
    (void)err;
    for (size_t i = 0; i < N_EACH; i++)
        rows[index * N_EACH + i] = world.full[i] + (difference(logits, i) - difference(clean, i));
    return ST_OK;
}

static status_t take_full(void *context, size_t index, const float *logits, const float *clean,
                          struct error *err)
{
    (void)context, (void)index, (void)logits, (void)err;
    for (size_t i = 0; i < N_EACH; i++) world.full[i] = difference(clean, i);
    return ST_OK;
}

static void run_batch(const struct search_batch *batch, const struct circuit_edge *edges,
                      double *rows)
{
    struct variant list[MAX_VARIANTS];
    struct error err = {.status = ST_OK};
    cr_assert(batch->n <= MAX_VARIANTS);
    for (size_t v = 0; v < batch->n; v++) {
        const struct search_variant *set = &batch->variants[v];
        struct variant_change *changes = calloc(set->n_nodes + 1, sizeof *changes);
        struct variant_edge *cuts = calloc(set->n_edges + 1, sizeof *cuts);
        cr_assert(changes && cuts);
        for (size_t i = 0; i < set->n_nodes; i++)
            changes[i] = change_of(&world.candidates[set->nodes[i]]);
        for (size_t i = 0; i < set->n_edges; i++) cuts[i] = edge_of(&edges[set->edges[i]]);
        list[v] = (struct variant){
            .changes = changes, .n_changes = set->n_nodes, .edges = cuts, .n_edges = set->n_edges};
    }
    cr_assert_eq(variants_run(world.variants, list, batch->n, take, rows, &err), ST_OK, "%s",
                 err.text);
    for (size_t v = 0; v < batch->n; v++) {
        free((void *)(uintptr_t)list[v].changes);
        free((void *)(uintptr_t)list[v].edges);
    }
}

static struct circuit_search *search_model(const struct circuit_search_params *params,
                                           struct circuit_search_result *result)
{
    const struct variant none = {.n_changes = 0};
    struct circuit_search *search = NULL;
    struct search_batch batch;
    struct error err = {.status = ST_OK};
    double rows[MAX_VARIANTS * N_EACH];
    size_t n;
    cr_assert_eq(variants_run(world.variants, &none, 1, take_full, NULL, &err), ST_OK);
    cr_assert_eq(circuit_search_create(&search, params, &err), ST_OK, "%s", err.text);
    for (;;) {
        cr_assert_eq(circuit_search_ask(search, &batch, &err), ST_OK, "%s", err.text);
        if (batch.n == 0) break;
        run_batch(&batch, circuit_search_edges(search, &n), rows);
        cr_assert_eq(circuit_search_tell(search, rows, world.full, &err), ST_OK, "%s", err.text);
    }
    cr_assert_eq(circuit_search_finish(search, result, &err), ST_OK, "%s", err.text);
    return search;
}

static struct circuit_search_params params_of(bool has_edges)
{
    static uint32_t units[N_EACH];
    struct circuit_search_params params = circuit_search_params_default(1);
    for (uint32_t i = 0; i < N_EACH; i++) units[i] = i;
    params.candidates = world.candidates;
    params.nodes.n = world.n_candidates;
    params.units = (struct prompt_units){units, N_EACH, N_EACH};
    params.max_batch = MAX_VARIANTS;
    params.edges = has_edges ? SEARCH_EDGES : SEARCH_NO_EDGES;
    return params;
}

/* --- what must be found ------------------------------------------------------------------- */

static bool is_listed(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) return true;
    return false;
}

static void expect_nodes(const char *kind, const struct circuit_search_result *result,
                         enum value value)
{
    const json_t *circuit = json_object_get(world.truth, "circuit");
    const json_t *dead = json_object_get(world.truth, "dead");
    char name[COMPONENT_NAME_SIZE];
    for (size_t v = 0; v < world.n_candidates; v++) {
        const struct found_node *node = &result->nodes[v];
        (void)component_name(&world.candidates[v], name);
        cr_expect_eq(node->is_chosen, is_listed(circuit, name),
                     "%s, %s, %s: reason %d, alone %g (p %g), given %g", kind, VALUE_NAMES[value],
                     name, (int)node->reason, node->alone.mean, node->alone.p, node->given.mean);
        if (is_listed(dead, name)) cr_expect(node->alone.mean == 0.0 && node->alone.p == 1.0);
    }
    cr_expect(result->node_stability.is_defined && result->node_stability.value >= 0.99, "%s, %s",
              kind, VALUE_NAMES[value]);
}

static bool is_true_edge(const struct circuit_edge *edge)
{
    const json_t *edges = json_object_get(world.truth, "edges"), *json;
    char sender[COMPONENT_NAME_SIZE], receiver[COMPONENT_NAME_SIZE];
    size_t i;
    (void)component_name(&edge->sender, sender);
    (void)component_name(&edge->receiver, receiver);
    json_array_foreach(edges, i, json)
    {
        const char *input = json_string_value(json_object_get(json, "input"));
        if (strcmp(json_string_value(json_object_get(json, "from")), sender) == 0 &&
            strcmp(json_string_value(json_object_get(json, "to")), receiver) == 0 &&
            (!input || strcmp(input, edge_input_name(edge->input)) == 0))
            return true;
    }
    return false;
}

/* Heads to heads, and heads to the logits: found exactly where the wiring has them. */
static void expect_edges(const char *kind, struct circuit_search *search,
                         const struct circuit_search_result *result, enum value value)
{
    size_t n, n_heads_edges = 0;
    const struct circuit_edge *edges = circuit_search_edges(search, &n);
    char name[EDGE_NAME_SIZE];
    for (size_t e = 0; e < n; e++) {
        if (component_is_graph_end(&edges[e].sender)) continue;
        n_heads_edges += result->edges[e].is_kept;
        cr_expect_eq(result->edges[e].is_kept, is_true_edge(&edges[e]),
                     "%s, %s, %s: alone %g, given %g", kind, VALUE_NAMES[value],
                     circuit_edge_name(&edges[e], name), result->edges[e].alone.mean,
                     result->edges[e].given.mean);
    }
    cr_expect(n_heads_edges >= 2);
}

static void expect_found(const char *kind, uint64_t seed, uint32_t size, bool has_edges)
{
    open_known(kind, seed, size);
    for (enum value value = ZERO; value < N_VALUES; value++) {
        struct circuit_search_result result;
        prepare(value);
        const struct circuit_search_params params = params_of(has_edges);
        struct circuit_search *search = search_model(&params, &result);
        expect_nodes(kind, &result, value);
        if (has_edges) expect_edges(kind, search, &result, value);
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
    close_known();
}

Test(circuit_search_models, induction)
{
    expect_found("induction", 1, 32, true);
    expect_found("induction", 2, 24, false);
}

Test(circuit_search_models, negative)
{
    expect_found("negative", 1, 32, true);
    expect_found("negative", 5, 24, false);
}

Test(circuit_search_models, or_gate)
{
    expect_found("or-gate", 1, 32, true);
    expect_found("or-gate", 4, 24, false);
}

Test(circuit_search_models, graded_gate)
{
    expect_found("graded-gate", 1, 32, true);
    expect_found("graded-gate", 6, 24, false);
}

Test(circuit_search_models, and_gate)
{
    expect_found("and-gate", 1, 32, true);
    expect_found("and-gate", 7, 24, false);
}

Test(circuit_search_models, backup)
{
    expect_found("backup", 1, 32, true);
    expect_found("backup", 8, 24, false);
}

Test(circuit_search_models, llama_induction)
{
    expect_found("llama-induction", 1, 16, true);
    expect_found("llama-induction", 3, 32, false);
}
