/* cfg.json of a SAELens dictionary, old and new spelling, in the words of this project.
 *
 * Everything that changes an activation is understood or refused by name (labeling.md 3a):
 * architecture, normalisation, reshaping, the flags of top-k, the processing of the model that
 * the dictionary was trained on. Plain data after reading; any thread. */
#ifndef WORKER_MODEL_DICTIONARY_CONFIG_H
#define WORKER_MODEL_DICTIONARY_CONFIG_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum dictionary_architecture {
    DICTIONARY_STANDARD,
    DICTIONARY_GATED,
    DICTIONARY_JUMPRELU,
    DICTIONARY_TOPK,
    DICTIONARY_N_ARCHITECTURES
};

/* How an activation is scaled before anything else (SAELens' normalize_activations). */
enum dictionary_norm {
    DICTIONARY_NORM_NONE,
    DICTIONARY_NORM_EXPECTED_AVERAGE, /* by a factor that is not in the file: the user gives it */
    DICTIONARY_NORM_CONSTANT,         /* x sqrt(d_in) / |x| */
    DICTIONARY_NORM_LAYER             /* (x - mean) / (std + 1e-5), std unbiased */
};

enum { DICTIONARY_TEXT_SIZE = 128, DICTIONARY_CONFIG_MAX_BYTES = 4 << 20 };

struct dictionary_config {
    enum dictionary_architecture architecture;
    enum dictionary_norm norm;
    size_t d_in, n_features;
    size_t k;                    /* topk, else 0 */
    bool has_b_dec_in_input;     /* x - b_dec is encoded */
    bool is_rescaled_by_decoder; /* topk: pre-activations times |W_dec| */
    bool is_centred;             /* trained on a residual stream without its mean over d_model:
                                    * the mean is subtracted before encoding */
    char hook_name[DICTIONARY_TEXT_SIZE];  /* "" if the file does not say */
    char model_name[DICTIONARY_TEXT_SIZE]; /* likewise */
    bool prepend_bos;
    size_t context_size; /* 0 if the file does not say */
};

/* "standard", "gated", "jumprelu", "topk"; "?" outside the enum. */
const char *dictionary_architecture_name(enum dictionary_architecture architecture);

/* Read `directory`/cfg.json. Errors: ST_NOT_FOUND, ST_BAD_INPUT, ST_UNSUPPORTED; one line that
 * names file and key. *out untouched on failure. */
MUST_CHECK status_t dictionary_config_read(struct dictionary_config *out, const char *directory,
                                           struct error *err);

/* The same from JSON text, `source` naming it in errors. */
MUST_CHECK status_t dictionary_config_parse(struct dictionary_config *out, const char *text,
                                            size_t n_bytes, const char *source, struct error *err);

#endif
