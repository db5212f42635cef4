#include "worker/model/model_config.h"

#include "common/file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_given(const json_t *object, const char *key)
{
    const json_t *value = key ? json_object_get(object, key) : NULL;
    return value && !json_is_null(value);
}

/* A count from 1 to `most`; `fallback` where the key is absent or null (0: required). */
static status_t read_size(const json_t *object, const char *key, size_t fallback, size_t most,
                          size_t *out, struct error *err)
{
    if (!is_given(object, key)) {
        if (!fallback) return error_set(err, ST_BAD_INPUT, "%s is missing", key);
        *out = fallback;
        return ST_OK;
    }
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 1)
        return error_set(err, ST_BAD_INPUT, "%s is not a positive integer", key);
    if ((unsigned long long)json_integer_value(value) > most)
        return error_set(err, ST_TOO_LARGE, "%s is %lld, the most is %zu", key,
                         (long long)json_integer_value(value), most);
    *out = (size_t)json_integer_value(value);
    return ST_OK;
}

static status_t read_positive(const json_t *object, const char *key, double fallback, double *out,
                              struct error *err)
{
    *out = fallback;
    if (is_given(object, key)) {
        const json_t *value = json_object_get(object, key);
        if (!json_is_number(value)) return error_set(err, ST_BAD_INPUT, "%s is not a number", key);
        *out = json_number_value(value);
    }
    if (!(*out > 0) || !isfinite(*out))
        return error_set(err, ST_BAD_INPUT, "%s is missing or not positive", key);
    return ST_OK;
}

static status_t read_bool(const json_t *object, const char *key, bool fallback, bool *out,
                          struct error *err)
{
    *out = fallback;
    if (!is_given(object, key)) return ST_OK;
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return error_set(err, ST_BAD_INPUT, "%s is not true or false", key);
    *out = json_is_true(value);
    return ST_OK;
}

/* NULL where the key is absent or null. */
static status_t read_text(const json_t *object, const char *key, const char **out,
                          struct error *err)
{
    *out = NULL;
    if (!is_given(object, key)) return ST_OK;
    *out = json_string_value(json_object_get(object, key));
    return *out ? ST_OK : error_set(err, ST_BAD_INPUT, "%s is not text", key);
}

static status_t read_activation(const json_t *root, const struct family *family,
                                enum activation *out, struct error *err)
{
    static const struct {
        const char *name;
        enum activation kind;
    } KINDS[] = {{"gelu_new", ACTIVATION_GELU_TANH}, {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
                 {"gelu", ACTIVATION_GELU_ERF},      {"silu", ACTIVATION_SILU},
                 {"swish", ACTIVATION_SILU},         {"relu", ACTIVATION_RELU}};
    const char *name;
    const status_t status = read_text(root, family->keys.activation, &name, err);
    if (status != ST_OK) return status;
    if (!name) name = family->default_activation;
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (strcmp(name, KINDS[i].name) != 0) continue;
        *out = KINDS[i].kind;
        return ST_OK;
    }
    return error_set(err, ST_UNSUPPORTED, "activation '%s' (%s)", name, family->keys.activation);
}

static status_t read_dtype(const json_t *root, struct model_config *config, struct error *err)
{
    static const char *const KNOWN[] = {"float32", "float16", "bfloat16"};
    const char *now, *before;
    status_t status = read_text(root, "dtype", &now, err);
    if (status == ST_OK) status = read_text(root, "torch_dtype", &before, err);
    if (status != ST_OK) return status;
    if (now && before && strcmp(now, before) != 0)
        return error_set(err, ST_BAD_INPUT, "dtype '%s' and torch_dtype '%s' contradict", now,
                         before);
    const char *name = now ? now : before;
    if (!name) return ST_OK;
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        if (strcmp(name, KNOWN[i]) != 0) continue;
        memcpy(config->dtype, name, strlen(name) + 1);
        return ST_OK;
    }
    return error_set(err, ST_UNSUPPORTED, "dtype '%s' is not float32, float16 or bfloat16", name);
}

static status_t read_llama3(const json_t *scaling, struct rope_config *rope, struct error *err)
{
    status_t status = read_positive(scaling, "low_freq_factor", 0, &rope->low_freq_factor, err);
    if (status == ST_OK)
        status = read_positive(scaling, "high_freq_factor", 0, &rope->high_freq_factor, err);
    if (status == ST_OK)
        status = read_positive(scaling, "original_max_position_embeddings", 0,
                               &rope->original_n_positions, err);
    if (status == ST_OK && rope->high_freq_factor <= rope->low_freq_factor)
        status = error_set(err, ST_BAD_INPUT, "high_freq_factor %g is not above low_freq_factor %g",
                           rope->high_freq_factor, rope->low_freq_factor);
    return status;
}

/* `scaling` holds rope_type (older: type), factor and their kin. */
static status_t read_scaling(const json_t *scaling, struct rope_config *rope, struct error *err)
{
    const char *type, *old_type;
    double rotary_share;
    status_t status = read_text(scaling, "rope_type", &type, err);
    if (status == ST_OK) status = read_text(scaling, "type", &old_type, err);
    if (status == ST_OK)
        status = read_positive(scaling, "partial_rotary_factor", 1, &rotary_share, err);
    if (status != ST_OK) return status;
    if (type && old_type && strcmp(type, old_type) != 0)
        return error_set(err, ST_BAD_INPUT, "rope_type '%s' and type '%s' contradict", type,
                         old_type);
    if (rotary_share != 1)
        return error_set(err, ST_UNSUPPORTED, "partial_rotary_factor %g", rotary_share);
    if (!type) type = old_type;
    if (!type || strcmp(type, "default") == 0) {
        rope->kind = ROPE_DEFAULT;
        return ST_OK;
    }
    if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0)
        return error_set(err, ST_UNSUPPORTED, "rope type '%s' is not default, linear or llama3",
                         type);
    rope->kind = strcmp(type, "linear") == 0 ? ROPE_LINEAR : ROPE_LLAMA3;
    status = read_positive(scaling, "factor", 0, &rope->factor, err);
    if (status != ST_OK || rope->kind == ROPE_LINEAR) return status;
    return read_llama3(scaling, rope, err);
}

static bool rope_equal(const struct rope_config *a, const struct rope_config *b)
{
    return a->kind == b->kind && a->factor == b->factor &&
           a->low_freq_factor == b->low_freq_factor && a->high_freq_factor == b->high_freq_factor &&
           a->original_n_positions == b->original_n_positions;
}

/* An object under `key`, NULL where it is absent or null. */
static status_t read_object(const json_t *root, const char *key, const json_t **out,
                            struct error *err)
{
    *out = is_given(root, key) ? json_object_get(root, key) : NULL;
    if (*out && !json_is_object(*out))
        return error_set(err, ST_BAD_INPUT, "%s is not an object", key);
    return ST_OK;
}

static status_t read_rope(const json_t *root, struct rope_config *out, struct error *err)
{
    struct rope_config now = {.kind = ROPE_DEFAULT}, before = {.kind = ROPE_DEFAULT};
    const json_t *parameters = NULL, *scaling = NULL;
    double theta, old_theta;
    status_t status = read_object(root, "rope_parameters", &parameters, err);
    if (status == ST_OK) status = read_object(root, "rope_scaling", &scaling, err);
    if (status == ST_OK && parameters) status = read_scaling(parameters, &now, err);
    if (status == ST_OK && scaling) status = read_scaling(scaling, &before, err);
    if (status == ST_OK) status = read_positive(root, "rope_theta", 10000, &old_theta, err);
    if (status == ST_OK) status = read_positive(parameters, "rope_theta", old_theta, &theta, err);
    if (status != ST_OK) return status;
    if (parameters && scaling && !rope_equal(&now, &before))
        return error_set(err, ST_BAD_INPUT, "rope_parameters and rope_scaling contradict");
    if (is_given(root, "rope_theta") && theta != old_theta)
        return error_set(err, ST_BAD_INPUT, "rope_theta is %g and, in rope_parameters, %g",
                         old_theta, theta);
    *out = parameters ? now : before;
    out->theta = theta;
    return ST_OK;
}

/* What changes the computation and is not implemented: refused unless it is absent, null or
 * false. */
static status_t refuse_unknown(const json_t *root, struct error *err)
{
    static const char *const REFUSED[] = {"quantization_config", "add_cross_attention",
                                          "sliding_window", "attn_logit_softcapping",
                                          "is_encoder_decoder"};
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        if (is_given(root, REFUSED[i]) && !json_is_false(json_object_get(root, REFUSED[i])))
            return error_set(err, ST_UNSUPPORTED, "%s is set", REFUSED[i]);
    }
    double share;
    const status_t status = read_positive(root, "partial_rotary_factor", 1, &share, err);
    if (status == ST_OK && share != 1)
        return error_set(err, ST_UNSUPPORTED, "partial_rotary_factor %g", share);
    return status;
}

static status_t read_family(const json_t *root, const struct family **out, struct error *err)
{
    const json_t *list = json_object_get(root, "architectures");
    const char *architecture = json_string_value(json_array_get(list, 0));
    const char *model_type;
    const status_t status = read_text(root, "model_type", &model_type, err);
    if (status != ST_OK) return status;
    if (list && !json_is_null(list) && !json_is_array(list))
        return error_set(err, ST_BAD_INPUT, "architectures is not a list");
    return family_find(architecture, model_type, out, err);
}

static status_t read_shape(const json_t *root, struct model_config *c, struct error *err)
{
    const struct family_keys *keys = &c->family->keys;
    status_t status = read_size(root, keys->n_layers, 0, MODEL_MAX_LAYERS, &c->n_layers, err);
    if (status == ST_OK)
        status = read_size(root, keys->d_model, 0, MODEL_MAX_WIDTH, &c->d_model, err);
    if (status == ST_OK)
        status = read_size(root, keys->n_heads, 0, MODEL_MAX_WIDTH, &c->n_heads, err);
    if (status == ST_OK)
        status = read_size(root, keys->n_vocab, 0, MODEL_MAX_VOCAB, &c->n_vocab, err);
    if (status == ST_OK)
        status = read_size(root, keys->n_positions, c->family->default_n_positions,
                           MODEL_MAX_POSITIONS, &c->n_positions, err);
    if (status != ST_OK) return status;
    c->n_kv_heads = c->n_heads;
    if (is_given(root, keys->n_kv_heads))
        status = read_size(root, keys->n_kv_heads, 0, c->n_heads, &c->n_kv_heads, err);
    if (status == ST_OK)
        status = read_size(root, keys->d_mlp, keys->d_head ? 0 : 4 * c->d_model, MODEL_MAX_WIDTH,
                           &c->d_mlp, err);
    if (status != ST_OK) return status;
    if (c->n_heads % c->n_kv_heads)
        return error_set(err, ST_BAD_INPUT, "%s %zu is no multiple of %s %zu", keys->n_heads,
                         c->n_heads, keys->n_kv_heads, c->n_kv_heads);
    if (is_given(root, keys->d_head))
        return read_size(root, keys->d_head, 0, MODEL_MAX_WIDTH, &c->d_head, err);
    if (c->d_model % c->n_heads)
        return error_set(err, ST_BAD_INPUT, "%s %zu is no multiple of %s %zu", keys->d_model,
                         c->d_model, keys->n_heads, c->n_heads);
    c->d_head = c->d_model / c->n_heads;
    return ST_OK;
}

static status_t read_switches(const json_t *root, struct model_config *c, struct error *err)
{
    const struct family *family = c->family;
    double eps;
    status_t status =
        read_positive(root, family->keys.norm_eps, family->default_norm_eps, &eps, err);
    if (status != ST_OK) return status;
    c->norm_eps = (float)eps;
    if (!(c->norm_eps > 0) || !isfinite(c->norm_eps))
        return error_set(err, ST_BAD_INPUT, "%s %g is no float32", family->keys.norm_eps, eps);
    status = read_bool(root, "tie_word_embeddings", family->is_tied_by_default, &c->is_tied, err);
    if (status == ST_OK)
        status = read_bool(root, family->keys.attention_bias, family->has_biases,
                           &c->has_attention_bias, err);
    if (status == ST_OK)
        status = read_bool(root, family->keys.mlp_bias, family->has_biases, &c->has_mlp_bias, err);
    if (status == ST_OK)
        status = read_bool(root, "scale_attn_weights", true, &c->is_attention_scaled, err);
    if (status == ST_OK)
        status =
            read_bool(root, "scale_attn_by_inverse_layer_idx", false, &c->is_scaled_by_layer, err);
    if (status == ST_OK) status = read_activation(root, family, &c->activation, err);
    if (status == ST_OK) status = read_dtype(root, c, err);
    return status;
}

static status_t parse_root(struct model_config *config, const json_t *root, struct error *err)
{
    if (!json_is_object(root)) return error_set(err, ST_BAD_INPUT, "not a JSON object");
    status_t status = read_family(root, &config->family, err);
    if (status == ST_OK) status = refuse_unknown(root, err);
    if (status == ST_OK) status = read_shape(root, config, err);
    if (status == ST_OK) status = read_switches(root, config, err);
    if (status != ST_OK || !config->family->has_rotary) return status;
    if (config->d_head % 2)
        return error_set(err, ST_BAD_INPUT, "head_dim %zu is odd", config->d_head);
    return read_rope(root, &config->rope, err);
}

status_t model_config_parse(struct model_config *out, const char *text, size_t n_bytes,
                            const char *source, struct error *err)
{
    json_error_t where;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_set(err, ST_BAD_INPUT, "%s: line %d: %s", source, where.line, where.text);
    struct model_config config = {0};
    const status_t status = parse_root(&config, root, err);
    json_decref(root);
    if (status != ST_OK) return error_wrap(err, "%s", source);
    *out = config;
    return ST_OK;
}

status_t model_config_read(struct model_config *out, const char *directory, struct error *err)
{
    char *text = NULL;
    size_t n_bytes;
    char *path = file_join(directory, "config.json");
    if (!path) return error_set(err, ST_NO_MEMORY, "%s", directory);
    status_t status = file_read(path, MODEL_CONFIG_MAX_BYTES, &text, &n_bytes, err);
    if (status == ST_OK) status = model_config_parse(out, text, n_bytes, path, err);
    free(text);
    free(path);
    return status;
}

/* Llama 3's stretch of low frequencies (transformers, modeling_rope_utils, "llama3"). */
static float llama3_frequency(const struct rope_config *rope, float frequency)
{
    const float old_length = (float)rope->original_n_positions;
    const float wavelength = 6.28318531f / frequency;
    const float low = (float)rope->low_freq_factor, high = (float)rope->high_freq_factor;
    if (wavelength > old_length / low) return frequency / (float)rope->factor;
    if (wavelength < old_length / high) return frequency;
    const float smooth = (old_length / wavelength - low) / (high - low);
    return (1.0f - smooth) * frequency / (float)rope->factor + smooth * frequency;
}

float model_config_attention_scale(const struct model_config *config, size_t layer)
{
    float scale = config->is_attention_scaled ? 1.0f / sqrtf((float)config->d_head) : 1.0f;
    if (config->is_scaled_by_layer) scale /= (float)(layer + 1);
    return scale;
}

void model_config_rope_tables(const struct model_config *config, size_t n_ctx, float *cos_table,
                              float *sin_table)
{
    const size_t half = config->d_head / 2;
    const struct rope_config *rope = &config->rope;
    for (size_t i = 0; i < half; i++) {
        const float exponent = (float)(2 * i) / (float)config->d_head;
        float frequency = 1.0f / powf((float)rope->theta, exponent);
        if (rope->kind == ROPE_LINEAR) frequency /= (float)rope->factor;
        if (rope->kind == ROPE_LLAMA3) frequency = llama3_frequency(rope, frequency);
        for (size_t t = 0; t < n_ctx; t++) {
            const float angle = (float)t * frequency;
            cos_table[t * half + i] = cosf(angle);
            sin_table[t * half + i] = sinf(angle);
        }
    }
}
