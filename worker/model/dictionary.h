/* A dictionary (sparse autoencoder), opened once and shared: config, encoder weights on the
 * backend, decoder rows on demand from the memory-mapped file. Read-only after open; any number
 * of threads encode through their own struct encoder (encoder.h). */
#ifndef WORKER_MODEL_DICTIONARY_H
#define WORKER_MODEL_DICTIONARY_H

#include "kernels/backend.h"
#include "worker/model/dictionary_config.h"

struct dictionary;

struct dictionary_params {
    const char *directory;      /* cfg.json and sae_weights.safetensors (SAELens) */
    struct backend *backend;    /* borrowed, must outlive the dictionary */
    double norm_scaling_factor; /* for normalize_activations: expected_average_only_in whose
                                 * factor was not folded in; 0: not given */
};

/* Errors: as dictionary_config_read(); ST_BAD_INPUT and ST_UNSUPPORTED naming tensor or key
 * (shape, NaN, infinity, a missing norm_scaling_factor), ST_NOT_FOUND (a tensor),
 * ST_NO_MEMORY; preceded by the directory's name. On ST_OK the caller owns *out. */
MUST_CHECK status_t dictionary_open(struct dictionary **out, const struct dictionary_params *params,
                                    struct error *err);
void dictionary_close(struct dictionary **dictionary); /* NULL-safe; sets *dictionary = NULL */

const struct dictionary_config *dictionary_config(const struct dictionary *dictionary);
const char *dictionary_directory(const struct dictionary *dictionary);
struct backend *dictionary_backend(const struct dictionary *dictionary);
size_t dictionary_device_bytes(const struct dictionary *dictionary);
const struct sparse *dictionary_sparse(const struct dictionary *dictionary);

/* b_dec as it is subtracted from the input ([d_in], scaled by the factor), or NULL if the
 * dictionary subtracts nothing. */
const float *dictionary_input_bias(const struct dictionary *dictionary);

/* b_dec as it is added to what the features write, likewise scaled. */
const float *dictionary_output_bias(const struct dictionary *dictionary);

/* Copy row `feature` of W_dec, the direction that the feature writes, into out [d_in], in the
 * scale of the unnormalised activations where the norm is a fixed factor.
 * Errors: ST_NOT_FOUND (no such feature). */
MUST_CHECK status_t dictionary_decoder_row(const struct dictionary *dictionary, size_t feature,
                                           float *out, struct error *err);

/* The same, of unit length where the dictionary scales its activations by that length: what the
 * feature adds to the activations for each unit of its own. */
MUST_CHECK status_t dictionary_direction(const struct dictionary *dictionary, size_t feature,
                                         float *out, struct error *err);

#endif
