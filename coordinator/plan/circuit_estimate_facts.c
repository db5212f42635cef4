/* What an estimate of a circuit sweep can find out from files. */
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/prompt_set.h"
#include "coordinator/plan/circuit_estimate.h"
#include "coordinator/plan/feature_set.h"

#include "common/file.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_CONFIG_BYTES = 1 << 20,
    SENTENCE_TOKENS = 128, /* of a generator's sentence: more than its bytes */
    TEXT_EXTRA_TOKENS = 2  /* BOS, and a space that tokenizers put in front */
};

/* --- candidates --------------------------------------------------------------------------- */

/* The first of `keys` (NULL-terminated) that is a number above 0; 0: none. */
static uint32_t count_of(const json_t *config, const char *const *keys)
{
    for (; *keys; keys++) {
        const json_int_t count = json_integer_value(json_object_get(config, *keys));
        if (count > 0 && count <= UINT32_MAX) return (uint32_t)count;
    }
    return 0;
}

static struct model_shape shape_of(const json_t *config)
{
    static const char *const layers[] = {"n_layer", "num_hidden_layers", NULL};
    static const char *const heads[] = {"n_head", "num_attention_heads", NULL};
    static const char *const groups[] = {"num_key_value_heads", NULL};
    static const char *const model[] = {"n_embd", "hidden_size", NULL};
    static const char *const mlp[] = {"n_inner", "intermediate_size", NULL};
    struct model_shape shape = {.n_layers = count_of(config, layers),
                                .n_heads = count_of(config, heads),
                                .n_kv_heads = count_of(config, groups),
                                .d_model = count_of(config, model),
                                .d_mlp = count_of(config, mlp)};
    if (!shape.n_kv_heads) shape.n_kv_heads = shape.n_heads;
    if (!shape.d_mlp) shape.d_mlp = 4 * shape.d_model; /* GPT-2's rule */
    return shape;
}

/* How many of n a list such as 0-3,7 names. */
static status_t count_list(const char *key, const char *list, uint32_t n, uint64_t *out,
                           struct error *err)
{
    struct feature_set set = {0};
    const status_t status = feature_set_init(&set, list, n, 0, 0, err);
    if (status != ST_OK) return error_wrap(err, "%s", key);
    *out = set.n;
    feature_set_fini(&set);
    return ST_OK;
}

static json_t *read_config(const char *directory, const char *name)
{
    struct error ignored = {.status = ST_OK};
    char *path = file_join(directory, name), *text = NULL;
    json_t *config = NULL;
    if (path && file_read(path, MAX_CONFIG_BYTES, &text, NULL, &ignored) == ST_OK)
        config = json_loads(text, 0, NULL);
    free(text);
    free(path);
    return config;
}

static status_t count_layer(const struct sweep_spec *spec, const struct model_shape *shape,
                            uint64_t *out, struct error *err)
{
    const unsigned kinds = spec->candidates;
    uint64_t n_neurons = 0, n_dimensions = 0;
    status_t status = ST_OK;
    if (kinds & CIRCUIT_NEURONS)
        status = count_list("neurons", spec->neurons, shape->d_mlp, &n_neurons, err);
    if (status == ST_OK && (kinds & CIRCUIT_RESIDUAL))
        status = count_list("dimensions", spec->dimensions, shape->d_model, &n_dimensions, err);
    *out = n_neurons + n_dimensions;
    if (kinds & CIRCUIT_HEADS) *out += shape->n_heads;
    if (kinds & CIRCUIT_KV_GROUPS) *out += 2 * (uint64_t)shape->n_kv_heads;
    if (kinds & CIRCUIT_MLPS) *out += 1;
    return status;
}

/* Of all dictionaries; *is_known: the size of each could be read. */
static status_t count_features(const struct sweep_spec *spec, uint64_t *out, bool *is_known,
                               struct error *err)
{
    static const char *const d_sae[] = {"d_sae", NULL};
    status_t status = ST_OK;
    *out = 0;
    *is_known = true;
    for (size_t i = 0; i < spec->n_dictionaries && status == ST_OK; i++) {
        const struct circuit_dictionary_spec *from = &spec->dictionaries[i];
        json_t *config = read_config(from->dictionary, "cfg.json");
        const uint32_t n_all = count_of(config, d_sae);
        uint64_t n = 0;
        json_decref(config);
        *is_known = *is_known && n_all > 0;
        if (n_all > 0) status = count_list("dictionaries", from->features, n_all, &n, err);
        *out += n + from->error_term;
    }
    return status;
}

static status_t count_candidates(struct circuit_estimate_input *out, struct error *err)
{
    const struct sweep_spec *spec = out->spec;
    const uint64_t n_positions = spec->n_positions ? spec->n_positions : 1;
    uint64_t n_layers = 0, n_each = 0, n_features = 0;
    bool is_known = false;
    json_t *config = read_config(spec->model, "config.json");
    const struct model_shape shape = shape_of(config);
    json_decref(config);
    if (!shape.n_layers || !shape.n_heads) return ST_OK;
    status_t status = count_list("layers", spec->layers, shape.n_layers, &n_layers, err);
    if (status == ST_OK) status = count_layer(spec, &shape, &n_each, err);
    if (status == ST_OK) status = count_features(spec, &n_features, &is_known, err);
    if (status == ST_OK && is_known)
        out->n_candidates = (n_layers * n_each + n_features) * n_positions;
    return status;
}

/* --- prompts ------------------------------------------------------------------------------ */

struct counted {
    uint64_t n, n_search, n_held_out, n_tokens;
};

static uint64_t tokens_of(const json_t *clean)
{
    return json_is_array(clean) ? json_array_size(clean)
                                : json_string_length(clean) + TEXT_EXTRA_TOKENS;
}

static void count_line(struct counted *counted, const char *line, size_t n_bytes)
{
    json_t *prompt = json_loadb(line, n_bytes, 0, NULL);
    const char *set = json_string_value(json_object_get(prompt, "set"));
    const uint64_t n_tokens = tokens_of(json_object_get(prompt, "clean"));
    if (prompt) counted->n++;
    if (set && strcmp(set, "search") == 0) counted->n_search++;
    if (set && strcmp(set, "held_out") == 0) counted->n_held_out++;
    if (prompt && n_tokens > counted->n_tokens) counted->n_tokens = n_tokens;
    json_decref(prompt);
}

static struct counted count_file(const char *path)
{
    struct counted counted = {.n = 0};
    struct error ignored = {.status = ST_OK};
    char *text = NULL;
    size_t n_bytes;
    if (file_read(path, PROMPT_SET_MAX_BYTES, &text, &n_bytes, &ignored) != ST_OK) return counted;
    for (size_t at = 0; at < n_bytes;) {
        const char *end = memchr(text + at, '\n', n_bytes - at);
        const size_t n = end ? (size_t)(end - (text + at)) : n_bytes - at;
        count_line(&counted, text + at, n);
        at += n + 1;
    }
    free(text);
    return counted;
}

/* At most: parts are cut among different prompts, and within templates where those have means. */
static uint64_t share_of(const struct sweep_spec *spec, uint64_t n, uint32_t percent)
{
    const uint64_t share = (n * percent + 99) / 100 + 1;
    return spec->ablation.mean_over == MEAN_PER_TEMPLATE || share > n ? n : share;
}

static void count_prompts(struct circuit_estimate_input *out)
{
    const struct circuit_task_spec *task = &out->spec->task;
    const struct circuit_splits *splits = &out->spec->prompt_splits;
    struct counted counted = {.n = task->n_prompts, .n_tokens = SENTENCE_TOKENS};
    if (task->prompts) counted = count_file(task->prompts);
    if (task->generator == CIRCUIT_GENERATOR_INDUCTION) counted.n_tokens = task->n_tokens;
    const bool is_said = counted.n_held_out > 0;
    out->n_search = is_said ? counted.n_search : share_of(out->spec, counted.n, splits->search);
    out->n_verdict = is_said ? counted.n_held_out : share_of(out->spec, counted.n, splits->verdict);
    out->n_prompt_tokens =
        counted.n_tokens < task->max_tokens ? counted.n_tokens : task->max_tokens;
}

static void count_brought(struct circuit_estimate_input *out)
{
    struct error ignored = {.status = ST_OK};
    struct circuit circuit;
    char *text = NULL;
    size_t n_bytes;
    const char *path = out->spec->circuit;
    if (!path || file_read(path, CIRCUIT_MAX_BYTES, &text, &n_bytes, &ignored) != ST_OK) return;
    if (circuit_file_parse(&circuit, path, text, n_bytes, &ignored) == ST_OK) {
        out->n_brought = circuit.n_nodes;
        circuit_fini(&circuit);
    }
    free(text);
}

status_t circuit_estimate_read(struct circuit_estimate_input *out, const struct sweep_spec *spec,
                               const char *data_directory, struct error *err)
{
    struct circuit_estimate_input input = {.spec = spec};
    const status_t status = count_candidates(&input, err);
    if (status != ST_OK) return status;
    count_prompts(&input);
    count_brought(&input);
    if (data_directory) (void)ablate_rate_read(data_directory, spec, &input.rate);
    *out = input;
    return ST_OK;
}
