#include "worker/model/dictionary_config.h"

#include "common/file.h"
#include "worker/model/json_fields.h"

#include <stdlib.h>
#include <string.h>

enum { DICTIONARY_MAX_SIZE = 1 << 26 };

static const char *const ARCHITECTURES[DICTIONARY_N_ARCHITECTURES] = {
    [DICTIONARY_STANDARD] = "standard",
    [DICTIONARY_GATED] = "gated",
    [DICTIONARY_JUMPRELU] = "jumprelu",
    [DICTIONARY_TOPK] = "topk"};

const char *dictionary_architecture_name(enum dictionary_architecture architecture)
{
    return (unsigned)architecture < DICTIONARY_N_ARCHITECTURES ? ARCHITECTURES[architecture] : "?";
}

/* Before version 6 the file was flat, had other names and left defaults out. `metadata` is where
 * model and hook are described: the object of that name, or the root itself. */
struct cfg {
    const json_t *root, *metadata;
    bool is_legacy;
};

/* "5.10.0" -> 5; 0 for what does not begin with a number. */
static unsigned long major_version(const char *text)
{
    return text ? strtoul(text, NULL, 10) : 0;
}

static status_t cfg_init(struct cfg *cfg, const json_t *root, struct error *err)
{
    const char *version;
    if (!json_is_object(root)) return error_set(err, ST_BAD_INPUT, "not a JSON object");
    cfg->root = root;
    cfg->metadata = json_object_get(root, "metadata");
    if (cfg->metadata && !json_is_object(cfg->metadata))
        return error_set(err, ST_BAD_INPUT, "metadata is not an object");
    status_t status = json_read_string(root, "sae_lens_version", NULL, &version, err);
    if (status == ST_OK && !version && cfg->metadata)
        status = json_read_string(cfg->metadata, "sae_lens_version", NULL, &version, err);
    cfg->is_legacy = major_version(version) < 6;
    if (cfg->is_legacy || !cfg->metadata) cfg->metadata = root;
    return status;
}

/* A required count of at least 1. */
static status_t read_size(const json_t *object, const char *key, size_t *out, struct error *err)
{
    const status_t status = json_read_count(object, key, 0, out, err);
    if (status != ST_OK) return status;
    if (!*out) return error_set(err, ST_BAD_INPUT, "%s is missing or 0", key);
    if (*out > DICTIONARY_MAX_SIZE)
        return error_set(err, ST_TOO_LARGE, "%s is %zu, the most is %d", key, *out,
                         DICTIONARY_MAX_SIZE);
    return ST_OK;
}

/* Copy text of at most DICTIONARY_TEXT_SIZE - 1 bytes; absent gives "". */
static status_t copy_text(const json_t *object, const char *key, char out[DICTIONARY_TEXT_SIZE],
                          struct error *err)
{
    const char *text;
    const status_t status = json_read_string(object, key, "", &text, err);
    if (status != ST_OK) return status;
    const size_t n = strlen(text);
    if (n >= DICTIONARY_TEXT_SIZE) return error_set(err, ST_TOO_LARGE, "%s is too long", key);
    memcpy(out, text, n + 1);
    return ST_OK;
}

/* Old files say top-k by an activation function with its own k. */
static status_t read_activation(const struct cfg *cfg, struct dictionary_config *c,
                                struct error *err)
{
    const char *name, *old_name;
    status_t status = json_read_string(cfg->root, "activation_fn", NULL, &name, err);
    if (status == ST_OK)
        status = json_read_string(cfg->root, "activation_fn_str", NULL, &old_name, err);
    if (status != ST_OK) return status;
    if (!name) name = old_name ? old_name : "relu";
    if (strcmp(name, "relu") == 0) return ST_OK;
    if (strcmp(name, "topk") != 0)
        return error_set(err, ST_UNSUPPORTED, "activation_fn '%s'", name);
    const json_t *kwargs = json_object_get(cfg->root, "activation_fn_kwargs");
    c->architecture = DICTIONARY_TOPK;
    return json_is_object(kwargs) ? read_size(kwargs, "k", &c->k, err) : ST_OK;
}

static status_t read_architecture(const struct cfg *cfg, struct dictionary_config *c,
                                  struct error *err)
{
    const char *name;
    status_t status =
        json_read_string(cfg->root, "architecture", cfg->is_legacy ? "standard" : NULL, &name, err);
    if (status != ST_OK) return status;
    if (!name) return error_set(err, ST_BAD_INPUT, "architecture is missing");
    unsigned i = 0;
    while (i < DICTIONARY_N_ARCHITECTURES && strcmp(name, ARCHITECTURES[i]) != 0) i++;
    if (i == DICTIONARY_N_ARCHITECTURES)
        return error_set(err, ST_UNSUPPORTED,
                         "architecture '%s' is not one of standard, gated, jumprelu, topk", name);
    c->architecture = (enum dictionary_architecture)i;
    status = read_activation(cfg, c, err);
    if (status != ST_OK || c->architecture != DICTIONARY_TOPK) return status;
    if (!c->k) status = read_size(cfg->root, "k", &c->k, err);
    if (status == ST_OK)
        status = json_read_bool(cfg->root, "rescale_acts_by_decoder_norm", false,
                                &c->is_rescaled_by_decoder, err);
    if (status == ST_OK && c->k > c->n_features)
        status = error_set(err, ST_BAD_INPUT, "k is %zu of %zu features", c->k, c->n_features);
    return status;
}

static status_t read_norm(const struct cfg *cfg, struct dictionary_config *c, struct error *err)
{
    static const struct {
        const char *name;
        enum dictionary_norm norm;
    } NORMS[] = {{"none", DICTIONARY_NORM_NONE},
                 {"expected_average_only_in", DICTIONARY_NORM_EXPECTED_AVERAGE},
                 {"constant_norm_rescale", DICTIONARY_NORM_CONSTANT},
                 {"layer_norm", DICTIONARY_NORM_LAYER}};
    const json_t *value = json_object_get(cfg->root, "normalize_activations");
    const char *name;
    if (json_is_boolean(value)) { /* before it had names */
        c->norm = json_is_true(value) ? DICTIONARY_NORM_EXPECTED_AVERAGE : DICTIONARY_NORM_NONE;
        return ST_OK;
    }
    const status_t status =
        json_read_string(cfg->root, "normalize_activations", "none", &name, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < sizeof NORMS / sizeof NORMS[0]; i++) {
        if (strcmp(name, NORMS[i].name) != 0) continue;
        c->norm = NORMS[i].norm;
        return ST_OK;
    }
    return error_set(err, ST_UNSUPPORTED, "normalize_activations '%s'", name);
}

/* Heads are flattened into d_in values, which is how hook_z comes here anyway. */
static status_t read_reshape(const struct cfg *cfg, struct error *err)
{
    const char *name;
    const status_t status = json_read_string(cfg->root, "reshape_activations", "none", &name, err);
    if (status != ST_OK || strcmp(name, "none") == 0 || strcmp(name, "hook_z") == 0) return status;
    return error_set(err, ST_UNSUPPORTED, "reshape_activations '%s'", name);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* Residual stream and what is written into it: zero mean over d_model once the writers are
 * centred. Elsewhere centring changes nothing. */
static bool is_centred_hook(const char *hook)
{
    static const char *const HOOKS[] = {"hook_resid_pre", "hook_resid_mid", "hook_resid_post",
                                        "hook_attn_out",  "hook_mlp_out",   "hook_embed"};
    for (size_t i = 0; i < sizeof HOOKS / sizeof HOOKS[0]; i++) {
        if (ends_with(hook, HOOKS[i])) return true;
    }
    return false;
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* The processing of the model that the dictionary was trained on. We carry unprocessed values:
 * centring is undone here, folding that moves values between heads is refused. */
static status_t read_processing(const struct cfg *cfg, struct dictionary_config *c,
                                struct error *err)
{
    const json_t *kwargs = json_object_get(cfg->metadata, "model_from_pretrained_kwargs");
    const bool is_head = ends_with(c->hook_name, "hook_q") || ends_with(c->hook_name, "hook_k") ||
                         ends_with(c->hook_name, "hook_v") || ends_with(c->hook_name, "hook_z");
    if (!kwargs || json_is_null(kwargs)) return ST_OK;
    if (!json_is_object(kwargs))
        return error_set(err, ST_BAD_INPUT, "model_from_pretrained_kwargs is not an object");
    if (is_head && (is_true(kwargs, "fold_value_biases") ||
                    is_true(kwargs, "refactor_factored_attn_matrices")))
        return error_set(err, ST_UNSUPPORTED, "model_from_pretrained_kwargs folds values at %s",
                         c->hook_name);
    c->is_centred = is_true(kwargs, "center_writing_weights") && is_centred_hook(c->hook_name);
    return ST_OK;
}

static status_t read_hook(const struct cfg *cfg, struct dictionary_config *c, struct error *err)
{
    status_t status = copy_text(cfg->metadata, "hook_name", c->hook_name, err);
    if (status == ST_OK && !c->hook_name[0])
        status = copy_text(cfg->metadata, "hook_point", c->hook_name, err);
    if (status == ST_OK) status = copy_text(cfg->metadata, "model_name", c->model_name, err);
    if (status == ST_OK)
        status = json_read_bool(cfg->metadata, "prepend_bos", cfg->is_legacy, &c->prepend_bos, err);
    if (status == ST_OK)
        status = json_read_count(cfg->metadata, "context_size", 0, &c->context_size, err);
    static const char *const HEADS[] = {"hook_head_index", "hook_point_head_index"};
    for (size_t i = 0; i < 2 && status == ST_OK; i++) {
        const json_t *head = json_object_get(cfg->metadata, HEADS[i]);
        if (head && !json_is_null(head))
            status = error_set(err, ST_UNSUPPORTED, "%s: a dictionary of one head", HEADS[i]);
    }
    return status;
}

static status_t parse_root(struct dictionary_config *c, const json_t *root, struct error *err)
{
    struct cfg cfg = {NULL, NULL, false};
    status_t status = cfg_init(&cfg, root, err);
    if (status == ST_OK) status = read_size(root, "d_in", &c->d_in, err);
    if (status == ST_OK) status = read_size(root, "d_sae", &c->n_features, err);
    if (status == ST_OK) status = read_architecture(&cfg, c, err);
    if (status == ST_OK) status = read_norm(&cfg, c, err);
    if (status == ST_OK) status = read_reshape(&cfg, err);
    if (status == ST_OK)
        status = json_read_bool(root, "apply_b_dec_to_input", true, &c->has_b_dec_in_input, err);
    if (status == ST_OK) status = read_hook(&cfg, c, err);
    if (status == ST_OK) status = read_processing(&cfg, c, err);
    return status;
}

status_t dictionary_config_parse(struct dictionary_config *out, const char *text, size_t n_bytes,
                                 const char *source, struct error *err)
{
    json_error_t where;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_set(err, ST_BAD_INPUT, "%s: line %d: %s", source, where.line, where.text);
    struct dictionary_config config = {.prepend_bos = false};
    const status_t status = parse_root(&config, root, err);
    json_decref(root);
    if (status != ST_OK) return error_wrap(err, "%s", source);
    *out = config;
    return ST_OK;
}

status_t dictionary_config_read(struct dictionary_config *out, const char *directory,
                                struct error *err)
{
    char *text = NULL;
    size_t n_bytes;
    char *path = file_join(directory, "cfg.json");
    if (!path) return error_set(err, ST_NO_MEMORY, "%s", directory);
    status_t status = file_read(path, DICTIONARY_CONFIG_MAX_BYTES, &text, &n_bytes, err);
    if (status == ST_OK) status = dictionary_config_parse(out, text, n_bytes, path, err);
    free(text);
    free(path);
    return status;
}
