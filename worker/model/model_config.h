/* config.json of an HF checkpoint, in the words of this project.
 *
 * Both spellings are read (reference/data.md, config trap): `rope_theta`, `rope_scaling`,
 * `torch_dtype` at top level, and the newer `rope_parameters`, `dtype`. Where both are given
 * they must agree. Whatever would change the result and is not understood is refused by name;
 * keys about training, generation and caching are ignored. Plain data after reading; any
 * thread. */
#ifndef WORKER_MODEL_MODEL_CONFIG_H
#define WORKER_MODEL_MODEL_CONFIG_H

#include "kernels/backend.h"
#include "worker/model/family.h"

enum {
    MODEL_MAX_LAYERS = 1024,
    MODEL_MAX_WIDTH = 1 << 20,
    MODEL_MAX_VOCAB = 1 << 24,
    MODEL_MAX_POSITIONS = 1 << 24,
    MODEL_CONFIG_MAX_BYTES = 4 << 20,
    MODEL_NAME_SIZE = 64
};

enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3 };

struct rope_config {
    enum rope_kind kind;
    double theta;
    double factor;
    double low_freq_factor, high_freq_factor; /* llama3 */
    double original_n_positions;              /* llama3 */
};

struct model_config {
    const struct family *family;
    size_t n_layers, d_model, n_heads, n_kv_heads, d_head, d_mlp, n_vocab;
    size_t n_positions; /* longest context the model was made for */
    enum activation activation;
    float norm_eps;
    bool is_tied; /* the head is the token embedding */
    bool has_attention_bias, has_mlp_bias;
    bool is_attention_scaled;    /* by 1 / sqrt(d_head) */
    bool is_scaled_by_layer;     /* further by 1 / (layer + 1) */
    struct rope_config rope;     /* families with has_rotary */
    char dtype[MODEL_NAME_SIZE]; /* as the config spells it; "" if it does not say */
};

/* Read `directory`/config.json. Errors: ST_NOT_FOUND, ST_BAD_INPUT, ST_UNSUPPORTED,
 * ST_TOO_LARGE: one line that names file and key. *out untouched on failure. */
MUST_CHECK status_t model_config_read(struct model_config *out, const char *directory,
                                      struct error *err);

/* The same from JSON text, `source` naming it in errors. */
MUST_CHECK status_t model_config_parse(struct model_config *out, const char *text, size_t n_bytes,
                                       const char *source, struct error *err);

/* What products of queries and keys are multiplied with, in f32 as HF computes it. */
float model_config_attention_scale(const struct model_config *config, size_t layer);

/* Rotary tables: cos and sin [n_ctx, d_head / 2], computed in f32 as HF does. */
void model_config_rope_tables(const struct model_config *config, size_t n_ctx, float *cos_table,
                              float *sin_table);

#endif
